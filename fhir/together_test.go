package fhir

import (
	"strings"
	"testing"
)

// Every element of a group is one that R4 defines.
func TestTogether(t *testing.T) {
	n := 0
	for line := range strings.Lines(together) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "!" {
			continue
		}
		for _, g := range Together(f[0]) {
			for _, name := range g.Elements {
				if e, ok := ElementOf(f[0], name); !ok || e.Name != name {
					t.Errorf("%s has no element %s", f[0], name)
				}
				n++
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d elements", n)
	}
	if g := Together("Appointment"); len(g) != 2 || !g[0].Critical || g[0].Elements[0] != "status" {
		t.Errorf("a type without a line of its own: %v", g)
	}
	if Together("Address") != nil || Composed("Quantity") || Composed("Timing.repeat") || !Composed("Patient.contact") || !Composed("Patient") {
		t.Error("an address or a quantity is said by all its elements, a contact is not")
	}
}
