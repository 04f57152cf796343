package engine_test

import (
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
		bad := north.write("bad", "N")
		c.change(&bad)
		testdb.Each(t, func(t *testing.T, driver, dsn string) {
			hub := open(t, driver, dsn, "hub")
			pos := store.Position{Cursor: feed.Cursor{Epoch: parentEpoch, Seq: 9}}
			names := []feed.Name{{Replica: north.replica(), Node: long}}
			rs, err := hub.Accept(t.Context(), engine.Batch{Link: arbiter(), Events: []feed.Event{bad, north.write("good", "N")}, Names: names, Position: &pos})
			if err != nil || rs[0].Result != feed.Refused || rs[1].Result != feed.Applied {
				t.Fatalf("%s: %+v %v", c.name, rs, err)
			}
			parked, err := hub.Store().Parked(t.Context(), store.ParkedFilter{})
			if err != nil || len(parked) != 1 || len(parked[0].Content) == 0 || parked[0].Reason != rs[0].Reason {
				t.Errorf("%s: %+v %v", c.name, parked, err)
			}
			recs, err := hub.Store().AuditRecords(t.Context(), audit.Query{Failures: true})
			if err != nil || len(recs) != 1 {
				t.Errorf("%s: %+v %v", c.name, recs, err)
			}
			if p, err := hub.Store().Position(t.Context(), "parent", "pull"); err != nil || p.Cursor != pos.Cursor {
				t.Errorf("%s: %v %v", c.name, p, err)
			}
		})
	}
}
