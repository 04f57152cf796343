package fhir

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write elements.txt anew from the definitions")

// bases are the types whose elements all others inherit; they are in their own lines only.
var bases = []string{"Resource", "DomainResource", "Element", "BackboneElement"}

// inherited reports whether an element of a type stands in the line of a base.
func inherited(owner, name string) bool {
	if slices.Contains(bases, owner) {
		return false
	}
	if strings.Contains(owner, ".") || !IsType(owner) {
		return name == "id" || name == "extension" || name == "modifierExtension"
	}
	return slices.Contains([]string{"id", "meta", "implicitRules", "language", "text", "contained", "extension", "modifierExtension"}, name)
}

// ofTheServer are elements of Meta that the makers of the packaged definitions added for a server of theirs; R4 has none of them.
var ofTheServer = []string{"project", "author", "onBehalfOf", "account", "accounts", "compartment"}

type definition struct {
	ResourceType, Name, Kind, Derivation, BaseDefinition string
	Snapshot                                             struct {
		Element []struct {
			Path, Max, ContentReference string
			Min                         int
			Type                        []struct {
				Code string
			}
			Binding struct{ Strength, ValueSet string }
		}
	}
}

// The table of elements is that of the definitions which HL7 publishes for R4 (npm ci --prefix internal/samples/validate fetches them).
func TestElementsAreThoseOfR4(t *testing.T) {
	lines, sets := map[string][]string{}, valueSets(t)
	used := map[string][]string{}
	for _, file := range []string{"profiles-types.json", "profiles-resources.json"} {
		var bundle struct {
			Entry []struct{ Resource definition }
		}
		readDefinitions(t, file, &bundle)
		for _, e := range bundle.Entry {
			d := e.Resource
			if d.ResourceType != "StructureDefinition" || d.Derivation == "constraint" || d.Kind == "primitive-type" || d.Kind == "logical" ||
				d.Kind == "resource" && !IsType(d.Name) && !slices.Contains(bases, d.Name) {
				continue
			}
			d.add(lines, sets, used)
		}
	}
	for file, is := range map[string]struct{ want, got string }{"elements.txt": {written(lines), elements}, "codes.txt": {written(used), codes}} {
		if *update {
			if err := os.WriteFile(file, []byte(is.want), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if is.want != is.got {
			t.Errorf("%s is not what the definitions say; go test ./fhir -run TestElements -update writes it anew", file)
		}
	}
}

func written(lines map[string][]string) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		out.WriteString(name + " " + strings.Join(lines[name], " ") + "\n")
	}
	return out.String()
}

func readDefinitions(t *testing.T, file string, to any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "internal", "samples", "validate", "node_modules", "@medplum", "definitions", "dist", "fhir", "r4", file))
	if err != nil {
		t.Fatalf("%v (is it installed? npm ci --prefix internal/samples/validate)", err)
	}
	if err := json.Unmarshal(b, to); err != nil {
		t.Fatal(err)
	}
}

type concept struct {
	Code    string
	Concept []concept
}

func codesIn(concepts []concept) (out []string) {
	for _, c := range concepts {
		out = append(append(out, c.Code), codesIn(c.Concept)...)
	}
	return out
}

// valueSets returns the codes of the value sets that are said by lists of codes and whole code systems.
func valueSets(t *testing.T) map[string][]string {
	t.Helper()
	type terminology struct {
		ResourceType, URL, Content string
		Concept                    []concept
		Compose                    struct {
			Exclude []struct{}
			Include []struct {
				System           string
				Concept          []concept
				Filter, ValueSet []any
			}
		}
	}
	var all []terminology
	systems := map[string][]string{}
	for _, file := range []string{"valuesets.json", "v3-codesystems.json"} {
		var bundle struct {
			Entry []struct{ Resource terminology }
		}
		readDefinitions(t, file, &bundle)
		for _, e := range bundle.Entry {
			all = append(all, e.Resource)
			if e.Resource.ResourceType == "CodeSystem" && e.Resource.Content == "complete" {
				systems[e.Resource.URL] = codesIn(e.Resource.Concept)
			}
		}
	}
	out := map[string][]string{}
	for _, v := range all {
		whole := v.ResourceType == "ValueSet" && v.Compose.Exclude == nil && v.Compose.Include != nil
		var list []string
		for _, i := range v.Compose.Include {
			some := codesIn(i.Concept)
			if some == nil {
				some = systems[i.System]
			}
			whole = whole && i.Filter == nil && i.ValueSet == nil && some != nil
			list = append(list, some...)
		}
		if whole {
			out[v.URL] = list
		}
	}
	return out
}

// add writes a type's elements, and those of the types without a name in it, as lines of the table.
func (d definition) add(lines, sets, used map[string][]string) {
	if d.Name == "" || !strings.ContainsAny(d.Name[:1], "ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		return
	}
	if _, ok := lines[d.Name]; !ok {
		lines[d.Name] = nil
	}
	for _, e := range d.Snapshot.Element[1:] {
		at := strings.LastIndexByte(e.Path, '.')
		owner, name := e.Path[:at], e.Path[at+1:]
		if inherited(owner, name) || owner == "Meta" && slices.Contains(ofTheServer, name) {
			continue
		}
		var types []string
		for _, t := range e.Type {
			code := strings.TrimPrefix(t.Code, "http://hl7.org/fhirpath/System.")
			if code != t.Code {
				code = "string"
			}
			if code == "BackboneElement" || code == "Element" {
				code = e.Path
			}
			types = append(types, code)
		}
		if e.ContentReference != "" {
			types = []string{strings.TrimPrefix(e.ContentReference[strings.IndexByte(e.ContentReference, '#'):], "#")}
		}
		text := strings.Join(types, "|")
		if len(types) > 40 {
			text = "*" // any type that a value may have (FHIR R4 datatypes.html#open)
		}
		url, _, _ := strings.Cut(e.Binding.ValueSet, "|")
		if set := sets[url]; text == "code" && e.Binding.Strength == "required" && set != nil {
			name := url[strings.LastIndexByte(url, '/')+1:]
			text, used[name] = "code="+name, set
		}
		if e.Max != "1" && e.Max != "0" {
			name += "*"
		}
		if e.Min > 0 {
			name += "!"
		}
		lines[owner] = append(lines[owner], name+":"+text)
	}
}
