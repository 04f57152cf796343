package fhir_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

func TestParseKey(t *testing.T) {
	for _, text := range []string{"Patient/1", "List/a.b-C", "SubstanceReferenceInformation/" + strings.Repeat("9", 64)} {
		k, err := fhir.ParseKey(text)
		if err != nil || k.String() != text || k.Validate() != nil {
			t.Errorf("%s: got %s, %v", text, k, err)
		}
		var back fhir.Key
		b, err := json.Marshal(k)
		if err != nil || json.Unmarshal(b, &back) != nil || back != k {
			t.Errorf("%s: came back as %s through %s, %v", text, back, b, err)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "no slash": "Patient", "no type": "/1", "no id": "Patient/", "unknown type": "Horse/1", "lower case": "patient/1",
		"two slashes": "Patient/1/2", "underscore": "Patient/a_b", "too long": "Patient/" + strings.Repeat("9", 65), "nul": "Patient/\x00",
		"not ascii": "Patient/é", "query": "Patient/1?x",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := fhir.ParseKey(text)
			if err == nil || syncerr.KindOf(err) != syncerr.Invalid {
				t.Errorf("got %v, want an invalid error", err)
			}
			k := fhir.Key{Type: "Patient", ID: "1"}
			if err := k.UnmarshalText([]byte(text)); err == nil || k.ID != "1" {
				t.Errorf("as text: got %s, %v", k, err)
			}
		})
	}
	if got := (fhir.Key{}).String(); got != "" {
		t.Errorf("the zero key is %q", got)
	}
}

func TestKeyCompare(t *testing.T) {
	sorted := []fhir.Key{{}, {Type: "Basic", ID: "2"}, {Type: "Patient", ID: "1"}, {Type: "Patient", ID: "10"}, {Type: "Patient", ID: "2"}, {Type: "Patient", ID: "a"}}
	mixed := slices.Clone(sorted)
	slices.Reverse(mixed)
	slices.SortFunc(mixed, fhir.Key.Compare)
	if !slices.Equal(mixed, sorted) {
		t.Errorf("got %v, want %v", mixed, sorted)
	}
	if got := sorted[1].Compare(sorted[1]); got != 0 {
		t.Errorf("a key against itself: got %d", got)
	}
}

func TestTypes(t *testing.T) {
	all := fhir.Types()
	// 148 names in http://hl7.org/fhir/R4/resourcelist.html, two of them abstract: Resource and DomainResource.
	if len(all) != 146 || !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("got %d types, sorted %t, want 146 different ones in order", len(all), slices.IsSorted(all))
	}
	known := map[string]bool{}
	for _, name := range all {
		known[name] = true
		got, ok := fhir.CanonicalType(strings.ToLower(name))
		if !fhir.IsType(name) || !ok || got != name {
			t.Errorf("%s: known %t, found as %q", name, fhir.IsType(name), got)
		}
	}
	for _, name := range all {
		for i := range len(name) {
			for _, part := range []string{name[i:], name[:i]} {
				if fhir.IsType(part) != known[part] {
					t.Errorf("%q, a part of %s: got %t, want %t", part, name, fhir.IsType(part), known[part])
				}
			}
		}
	}
	for _, bad := range []string{"", " ", "Resource", "DomainResource", "Horse", "patient", "PATIENT", "Patients", "Patient ", " Patient", "Basic Binary", "BodyStructure\nBundle", "Binary\nBiologicallyDerivedProduct"} {
		if fhir.IsType(bad) {
			t.Errorf("%q was taken for a type", bad)
		}
	}
	if got, ok := fhir.CanonicalType("Horse"); ok || got != "" {
		t.Errorf("Horse: got %q", got)
	}
}
