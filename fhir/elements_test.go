package fhir

import (
	"encoding/json"
	"flag"
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
		}
	}
}

// The table of elements is that of the definitions which HL7 publishes for R4 (npm ci --prefix internal/samples/validate fetches them).
func TestElementsAreThoseOfR4(t *testing.T) {
	lines := map[string][]string{}
	for _, file := range []string{"profiles-types.json", "profiles-resources.json"} {
		b, err := os.ReadFile(filepath.Join("..", "internal", "samples", "validate", "node_modules", "@medplum", "definitions", "dist", "fhir", "r4", file))
		if err != nil {
			t.Fatalf("%v (is it installed? npm ci --prefix internal/samples/validate)", err)
		}
		var bundle struct {
			Entry []struct{ Resource definition }
		}
		if err := json.Unmarshal(b, &bundle); err != nil {
			t.Fatal(err)
		}
		for _, e := range bundle.Entry {
			d := e.Resource
			if d.ResourceType != "StructureDefinition" || d.Derivation == "constraint" || d.Kind == "primitive-type" || d.Kind == "logical" ||
				d.Kind == "resource" && !IsType(d.Name) && !slices.Contains(bases, d.Name) {
				continue
			}
			d.add(lines)
		}
	}
	var out strings.Builder
	names := make([]string, 0, len(lines))
	for name := range lines {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		out.WriteString(name + " " + strings.Join(lines[name], " ") + "\n")
	}
	if *update {
		if err := os.WriteFile("elements.txt", []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if out.String() != elements {
		t.Error("elements.txt is not what the definitions say; go test ./fhir -run TestElements -update writes it anew")
	}
}

// add writes a type's elements, and those of the types without a name in it, as lines of the table.
func (d definition) add(lines map[string][]string) {
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
		if e.Max != "1" && e.Max != "0" {
			name += "*"
		}
		if e.Min > 0 {
			name += "!"
		}
		lines[owner] = append(lines[owner], name+":"+text)
	}
}
