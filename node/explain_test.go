package node_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/fhir"
)

// What is not here is asked of the parent; where that cannot be asked, it says so.
func TestExplainAsksTheParent(t *testing.T) {
	cal := &calendar{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	nation := newStill(t, cal, "nation", nil)
	clinic := newStill(t, cal, "clinic", nation)
	choosy := newStill(t, cal, "choosy", nation, func(c *config.Config) { c.Pull.Types = []config.TypeRule{{Type: "Location"}} })
	exchange(t, clinic, choosy)
	nation.put("there", "x")
	nation.put("gone", "x")
	nation.put("gone", "")
	says := func(at *still, id string, want ...string) {
		t.Helper()
		e, err := at.Control().Explain(t.Context(), fhir.Key{Type: "Patient", ID: id})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range e.Story {
			got = append(got, s.Code)
			if v := s.Words["version"]; s.Code == "parent_holds" && v == "" {
				t.Errorf("%s: no version in %+v", id, s)
			}
		}
		if got = got[len(got)-min(len(got), len(want)):]; !slices.Equal(got, want) {
			t.Errorf("%s at %s: the story ends with %v, want %v", id, at.cfg.Node.Name, got, want)
		}
	}
	says(clinic, "there", "never_here", "parent_holds", "parent_brings")
	says(clinic, "gone", "absent_read", "parent_deleted")
	says(clinic, "none", "absent_read", "parent_lacks")
	says(choosy, "there", "absent_unwanted", "parent_holds")
	exchange(t, clinic)
	says(clinic, "none", "absent_read", "parent_lacks")
	nation.srv.Close()
	says(clinic, "none", "absent_read", "parent_unasked")
}
