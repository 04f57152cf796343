package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// A client that an implementer injects may give what no codec lets through. Whatever it is, it is refused and parked in columns that
// have their lengths, what stands beside it is taken, and what was written can be read.
func TestEngineRefusalsFitTheDatabase(t *testing.T) {
	north := newSite(t, "north", engine.Config{})
	long := strings.Repeat("x", 300)
	var events []feed.Event
	var names []string
	for _, c := range []struct {
		name   string
		change func(*feed.Event)
	}{
		{"unit", func(e *feed.Event) { e.Unit, e.UnitSize = long, 2 }},
		{"id", func(e *feed.Event) { e.Key.ID = long }},
		{"type", func(e *feed.Event) { e.Key.Type = long }},
		{"version of no replica", func(e *feed.Event) { e.Stamp.Version = version.Version{Replica: version.Replica(long), Tick: 1} }},
		{"version without a tick", func(e *feed.Event) { e.Stamp.Version.Tick = 0 }},
		{"author", func(e *feed.Event) { e.Stamp.Author = version.Replica(long) }},
		{"origin", func(e *feed.Event) { e.Stamp.Origin = version.Version{Replica: version.Replica(long), Tick: 1} }},
		{"vector", func(e *feed.Event) { e.Stamp.Vector = version.Vector{{Replica: version.Replica(long), Tick: 1}} }},
	} {
		bad := north.write(fmt.Sprint("bad", len(events)), "N")
		c.change(&bad)
		events, names = append(events, bad, north.write(fmt.Sprint("good", len(events)), "N")), append(names, c.name)
	}
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		hub := open(t, driver, dsn, "hub")
		pos := store.Position{Cursor: feed.Cursor{Epoch: parentEpoch, Seq: 99}}
		told := []feed.Name{{Replica: north.replica(), Node: long}}
		rs, err := hub.Accept(t.Context(), engine.Batch{Link: arbiter(), Events: events, Names: told, Position: &pos})
		if err != nil || len(rs) != len(events) {
			t.Fatalf("%+v %v", rs, err)
		}
		for i, name := range names {
			if rs[2*i].Result != feed.Refused || rs[2*i].Reason == "" || rs[2*i+1].Result != feed.Applied {
				t.Errorf("%s: %+v", name, rs[2*i:2*i+2])
			}
		}
		parked, err := hub.Store().Parked(t.Context(), store.ParkedFilter{})
		if err != nil || len(parked) != len(names)-1 { // the two whose keys are none share a row
			t.Errorf("%d parked, %v", len(parked), err)
		}
		for _, p := range parked {
			if len(p.Content) == 0 || p.Reason == "" {
				t.Errorf("%+v", p)
			}
		}
		recs, err := hub.Store().AuditRecords(t.Context(), audit.Query{Failures: true})
		if err != nil || len(recs) != len(names) {
			t.Errorf("%d audit rows, %v", len(recs), err)
		}
		if p, err := hub.Store().Position(t.Context(), "parent", "pull"); err != nil || p.Cursor != pos.Cursor {
			t.Errorf("%v %v", p, err)
		}
	})
}
