package api_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

const strange = version.Replica("22222222-2222-4222-8222-222222222222")

// What a child says that it knows is checked before anything is taken: a claim to know more of this node's changes than it has made, or
// of a type that there is not, is refused with a reason and audited, and the changes that came with it are not taken.
func TestImpossibleKnowledgeIsRefused(t *testing.T) {
	f := newFamily(t)
	ctx := context.Background()
	child := f.process("A")
	own := f.eng.Store().Identity().Replica
	ahead := feed.Known{Type: "Patient", Vector: version.Vector{{Replica: own, Tick: 7}}}
	v := version.Version{Replica: strange, Tick: 1}
	ev := feed.Event{
		Key: key("Patient/x"), Action: feed.Deleted, Committed: 1,
		Stamp: version.Stamp{Version: v, Vector: version.Vector{v}, Author: strange, Origin: v, Deleted: true},
	}
	_, err := child.Send(ctx, resourcemanager.Shipment{Events: []feed.Event{ev}, Known: []feed.Known{ahead}})
	if syncerr.KindOf(err) != syncerr.Invalid || !strings.Contains(err.Error(), "change 7 of this node's own") {
		t.Errorf("a push with it: %v", err)
	}
	_, err = child.CatchUp(ctx, feed.CatchUp{Knowledge: []feed.Known{ahead}}, func(feed.Line) error { return nil })
	if syncerr.KindOf(err) != syncerr.Invalid {
		t.Errorf("a catch-up with it: %v", err)
	}
	if _, ok, err := f.eng.Store().Get(ctx, ev.Key); ok || err != nil {
		t.Errorf("the change was taken: %v", err)
	}
	known, err := f.eng.Store().Knowledge(ctx, nil)
	if err != nil || len(known) != 0 {
		t.Errorf("it was learnt: %+v %v", known, err)
	}
	rows, err := f.eng.Store().AuditRecords(ctx, audit.Query{Outcome: audit.Refused})
	if err != nil || len(rows) != 2 || rows[0].Action != "KNOWLEDGE" || rows[0].Peer != "clinic-a" {
		t.Errorf("audit: %+v %v", rows, err)
	}
	ahead.Vector = version.Vector{{Replica: strange, Tick: 7}}
	if _, err := child.Send(ctx, resourcemanager.Shipment{Events: []feed.Event{ev}, Known: []feed.Known{ahead}}); err != nil {
		t.Errorf("what can be is taken: %v", err)
	}
	for _, place := range []string{"x", "1/Nonsense/0//0/", "999/Patient/1//0/", "1/Patient/9//0/"} {
		_, err := child.CatchUp(ctx, feed.CatchUp{Resume: place}, func(feed.Line) error { return nil })
		if k := syncerr.KindOf(err); k != syncerr.Invalid && k != syncerr.EpochChanged {
			t.Errorf("place %q: %v", place, err)
		}
	}
}
