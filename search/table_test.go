package search

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
)

// examples is the folder of the package hl7.fhir.r4.examples, which has the definitions of R4, too.
func examples(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("TRIBUTARY_TEST_EXAMPLES")
	if dir == "" {
		dir = "../.cache/hl7.fhir.r4.examples"
	}
	return dir
}

func readJSON(t testing.TB, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(examples(t), file))
	if err != nil {
		t.Fatalf("%v: run scripts/setup-test.sh, or set TRIBUTARY_TEST_EXAMPLES to the folder of hl7.fhir.r4.examples", err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// published is a search parameter of R4.
type published struct {
	Code, Type, Expression string
	Base, Target           []string
}

func publishedParameters(t testing.TB) map[string]map[string]published {
	t.Helper()
	var b struct {
		Entry []struct{ Resource published }
	}
	readJSON(t, "Bundle-searchParams.json", &b)
	out := map[string]map[string]published{}
	for _, e := range b.Entry {
		for _, base := range e.Resource.Base {
			if out[base] == nil {
				out[base] = map[string]published{}
			}
			out[base][e.Resource.Code] = e.Resource
		}
	}
	if len(out) < 135 {
		t.Fatalf("only %d types have parameters", len(out))
	}
	return out
}

// definitions knows the elements of types.
type definitions map[string]map[string][]string

func (d definitions) of(t testing.TB, name string) map[string][]string {
	t.Helper()
	if d[name] == nil {
		var s struct {
			Snapshot struct {
				Element []struct {
					Path             string
					ContentReference string
					Type             []struct{ Code string }
				}
			}
		}
		readJSON(t, "StructureDefinition-"+name+".json", &s)
		d[name] = map[string][]string{}
		for _, e := range s.Snapshot.Element {
			codes := []string{}
			for _, c := range e.Type {
				codes = append(codes, c.Code)
			}
			d[name][e.Path] = codes
		}
	}
	return d[name]
}

// types returns the types of an element, and whether it is a choice.
func (d definitions) types(t testing.TB, resourceType, element string) (types []string, choice bool) {
	t.Helper()
	in, at := resourceType, resourceType
	for i, name := range strings.Split(element, ".") {
		if i > 0 && types[0] != "BackboneElement" && types[0] != "Element" {
			in, at = types[0], types[0]
		}
		at += "." + name
		var ok bool
		if types, ok = d.of(t, in)[at]; ok {
			choice = false
			continue
		}
		if types, choice = d.of(t, in)[at+"[x]"]; !choice {
			t.Fatalf("%s.%s: there is no %s", resourceType, element, at)
		}
	}
	return types, choice
}

// elements returns what an expression reads of a type: the element, the type that it is cast to, and the filter behind it.
func elements(t testing.TB, resourceType, expression string) map[string][2]string {
	t.Helper()
	form := regexp.MustCompile(`^\(?([\w.]+?)(?:\.as\((\w+)\)| as (\w+))?\)?(?:\.where\((?:resolve\(\) is (\w+)|system='(\w+)')\))?$`)
	out := map[string][2]string{}
	for part := range strings.SplitSeq(expression, " | ") {
		m := form.FindStringSubmatch(part)
		if m == nil {
			t.Fatalf("%s: %q is not understood", resourceType, part)
		}
		path, ok := strings.CutPrefix(m[1], resourceType+".")
		if !ok && strings.Contains(m[1], ".") {
			continue
		}
		v := out[path]
		if v[0] != "" {
			v[0] += " "
		}
		out[path] = [2]string{v[0] + m[2] + m[3], m[4] + m[5]}
	}
	return out
}

// Each line of the table says what the registry of R4 says, by the definitions that HL7 publishes.
func TestTableIsThatOfR4(t *testing.T) {
	registry, defs := publishedParameters(t), definitions{}
	// The list. What stands beside it in the table is held against the registry all the same.
	wanted := strings.Fields("identifier name family given birthdate gender phone address patient subject encounter code category status clinical-status " +
		"date period organization location practitioner performer value-quantity active type")
	beyond := strings.Fields("AdverseEvent BiologicallyDerivedProduct CatalogEntry MedicinalProductIngredient ObservationDefinition SubstanceSpecification")
	// Codes that a definition defines are thousands, and no record of a clinic.
	left := []string{"CodeSystem.code", "ValueSet.code", "Questionnaire.code"}
	lines := 0
	for _, rt := range fhir.Types() {
		table := tables()[rt]
		for _, name := range wanted {
			if _, ok := registry[rt][name]; ok && table.parameters[name] == nil && !slices.Contains(left, rt+"."+name) && registry[rt][name].Type != "composite" {
				t.Errorf("%s.%s is not in the table", rt, name)
			}
		}
		for name, p := range table.parameters {
			lines++
			r, ok := registry[rt][name]
			if !ok {
				if name != "identifier" || !slices.Contains(beyond, rt) {
					t.Errorf("%s.%s is not in R4", rt, name)
				}
				continue
			}
			if p.kind != r.Type {
				t.Errorf("%s.%s is a %s, in R4 a %s", rt, name, p.kind, r.Type)
			}
			checkPaths(t, defs, rt, p, elements(t, rt, r.Expression))
			targets := r.Target
			if f := p.filtered(); f != "" && p.kind == "reference" {
				targets = []string{f}
			}
			slices.Sort(targets)
			has := slices.Sorted(slices.Values(p.targets))
			if p.kind == "reference" && !slices.Equal(has, targets) && len(has) < len(fhir.Types()) {
				t.Errorf("%s.%s refers to %v, in R4 to %v", rt, name, has, targets)
			}
		}
	}
	if lines < 650 {
		t.Errorf("only %d lines were looked at", lines)
	}
}

// checkPaths holds the paths of a parameter against those of its expression.
func checkPaths(t *testing.T, defs definitions, rt string, p *parameter, want map[string][2]string) {
	t.Helper()
	has := map[string]path{}
	for _, one := range p.paths {
		has[one.element] = one
	}
	for element, v := range want {
		types, choice := defs.types(t, rt, element)
		if v[0] != "" {
			types = strings.Fields(v[0])
		}
		read := map[string]string{
			"token": "Identifier ContactPoint code boolean string Coding CodeableConcept id uri", "string": "string HumanName Address", "reference": "Reference",
			"date": "date dateTime instant Period Timing", "quantity": "Quantity", "uri": "uri url",
		}[p.kind]
		types = slices.DeleteFunc(slices.Clone(types), func(s string) bool { return !slices.Contains(strings.Fields(read), s) })
		if len(types) == 0 {
			continue // as canonical, or SampledData
		}
		kinds := map[string]string{
			"Identifier": "i", "ContactPoint": "c", "HumanName": "h", "Address": "a", "Reference": "r", "Quantity": "q",
		}[types[0]]
		if kinds == "" {
			kinds = map[string]string{"token": "t", "string": "s", "date": "d", "uri": "u"}[p.kind]
		}
		one, ok := has[element]
		delete(has, element)
		if !ok || string(one.kind) != kinds || one.filter != v[1] {
			t.Errorf("%s.%s reads %s as %c=%s, R4 as %s=%s", rt, p.name, element, one.kind, one.filter, kinds, v[1])
			continue
		}
		if kinds == "h" {
			for _, part := range []string{"family", "given", "text", "prefix", "suffix"} {
				if has[element+"."+part].kind != kindString {
					t.Errorf("%s.%s does not read %s.%s", rt, p.name, element, part)
				}
				delete(has, element+"."+part)
			}
		}
		if choice {
			_, names, _ := strings.Cut(strings.TrimSuffix(one.members, "}"), "{")
			for i := range types {
				types[i] = strings.ToUpper(types[i][:1]) + types[i][1:]
			}
			slices.Sort(types)
			if got := slices.Sorted(strings.SplitSeq(names, ",")); !slices.Equal(got, types) {
				t.Errorf("%s.%s reads %s as %v, R4 as %v", rt, p.name, element, got, types)
			}
		}
	}
	for element := range has {
		t.Errorf("%s.%s reads %s, which R4 does not", rt, p.name, element)
	}
}

func TestCompartmentIsThatOfR4(t *testing.T) {
	var d struct {
		Resource []struct {
			Code  string
			Param []string
		}
	}
	readJSON(t, "CompartmentDefinition-patient.json", &d)
	registry, defs := publishedParameters(t), definitions{}
	types := 0
	for _, r := range d.Resource {
		want := map[string]bool{}
		for _, name := range r.Param {
			for element := range elements(t, r.Code, registry[r.Code][name].Expression) {
				if types, _ := defs.types(t, r.Code, element); slices.Contains(types, "Reference") {
					want[element] = true
				}
			}
		}
		if len(want) > 0 {
			types++
		}
		has := map[string]bool{}
		for _, p := range tables()[r.Code].compartment {
			has[p.element] = true
		}
		if !maps.Equal(has, want) {
			t.Errorf("%s: %v, in R4 %v", r.Code, has, want)
		}
	}
	if types < 60 {
		t.Errorf("only %d types are in the compartment", types)
	}
}

// Rows of different elements have different numbers, and so have those that one element has beside its own.
func TestRowsAreTold(t *testing.T) {
	of := map[int32]string{}
	add := func(id int32, what string) {
		if before, ok := of[id]; ok && before != what {
			t.Errorf("%s and %s have the number %d", before, what, id)
		}
		of[id] = what
	}
	for _, rt := range fhir.Types() {
		for _, p := range tables()[rt].parameters {
			for i, one := range p.paths {
				what := rt + "." + one.element + ":" + string(one.kind)
				add(one.id, what)
				for _, k := range []byte{rowSystem, rowEnd, rowLogical, rowLogicalOf} {
					add(variant(&p.paths[i], k), what+string(k))
				}
			}
		}
		for _, one := range tables()[rt].compartment {
			add(one.id, rt+"."+one.element+":r")
		}
	}
	if len(of) < 3000 {
		t.Errorf("only %d", len(of))
	}
	// A number that changes leaves the rows of every database behind.
	if got := rowID("Patient", "identifier", 'i'); got != 2101346518 {
		t.Errorf("Patient.identifier has the number %d", got)
	}
}
