package node_test

import (
	"context"
	"testing"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/node"
)

// The configuration says what becomes of a copy whose reference leads nowhere, pulled or pushed, and it is shown as parked at the child.
func TestReferencesByConfiguration(t *testing.T) {
	ctx := context.Background()
	for _, mode := range []config.References{config.AcceptReferences, config.HoldReferences, config.FetchReferences} {
		t.Run(string(mode), func(t *testing.T) {
			// The child does not pull organizations, so that they come to it by no other way than that they are fetched: not at all.
			types := []config.TypeRule{{Type: "Patient"}, {Type: "Encounter"}, {Type: "Basic"}}
			parent := start(t, "parent", nil, node.Deps{}, func(c *config.Config) { c.References = mode })
			child := start(t, "child", parent, node.Deps{}, func(c *config.Config) { c.References, c.Pull.Types = mode, types })
			refer := func(r *running, key fhir.Key, to string) {
				t.Helper()
				res, err := fhir.Parse([]byte(`{"resourceType":"`+key.Type+`","id":"`+key.ID+`","subject":{"reference":"`+to+`"}}`), 0)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := r.Engine().Author(ctx, "test", []engine.Write{{Op: engine.Update, Key: key, Body: res}}); err != nil {
					t.Fatal(err)
				}
			}
			down, up, free := fhir.Key{Type: "Encounter", ID: "down"}, fhir.Key{Type: "Encounter", ID: "up"}, fhir.Key{Type: "Encounter", ID: "free"}
			refer(parent, down, "Patient/nobody")
			refer(parent, free, "Organization/not-pulled")
			refer(child, up, "Patient/nobody")
			if _, err := child.Sync(ctx, "both"); err != nil {
				t.Fatal(err)
			}
			held := mode == config.HoldReferences
			for r, k := range map[*running]fhir.Key{child: down, parent: up} {
				if _, ok, err := r.Engine().Store().Get(ctx, k); err != nil || ok == held {
					t.Errorf("%s has %s: %t; %v", r.cfg.Node.Name, k, ok, err)
				}
			}
			if _, ok, err := child.Engine().Store().Get(ctx, free); err != nil || !ok {
				t.Errorf("it waits for what is never pulled: %v", err)
			}
			s, err := child.Control().Status(ctx)
			if want := map[bool]int64{true: 2}[held]; err != nil || s.Counts.Parked != want {
				t.Errorf("%d are shown as parked, want %d: %v", s.Counts.Parked, want, err)
			}
		})
	}
}
