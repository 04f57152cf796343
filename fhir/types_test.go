package fhir

import (
	"slices"
	"testing"
)

// The list and the switch name the same types.
func TestTypes(t *testing.T) {
	all := Types()
	if !slices.IsSorted(all) || len(all) != 146 {
		t.Errorf("got %d types, sorted %v; R4 has 146", len(all), slices.IsSorted(all))
	}
	for _, name := range all {
		if !IsType(name) {
			t.Errorf("IsType(%q) = false", name)
		}
		if IsType(name+"x") || IsType(name[1:]) {
			t.Errorf("IsType takes a part of %q", name)
		}
	}
}
