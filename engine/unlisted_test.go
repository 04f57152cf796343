package engine_test

import (
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

// A full comparison does not take over that somebody has seen changes which this node never made: it is refused, audited, and nothing is
// written; what it has made may be seen.
func TestEngineUnlistOfWhatWasNeverMade(t *testing.T) {
	low := newSite(t, "low", engine.Config{})
	low.write("other", "L")
	rows := len(low.log())
	for _, c := range []struct {
		tick    uint64
		removed int
	}{{2, 0}, {1, 1}} {
		x := ver(replicaX, 1)
		u := engine.Unlisted{
			Key: fhir.Key{Type: "Patient", ID: "p"}, Fate: version.FateRemove, There: true,
			Stamp: version.Stamp{Version: x, Vector: version.Vector{x}.With(ver(low.replica(), c.tick))},
		}
		n, err := low.Unlist(low.ctx, follower(), []engine.Unlisted{u})
		if err != nil || n != c.removed || len(low.log()) != rows+c.removed {
			t.Errorf("tick %d: %d removed, %d rows, %v", c.tick, n, len(low.log())-rows, err)
		}
		recs, err := low.Store().AuditRecords(low.ctx, audit.Query{Outcome: audit.Refused})
		if err != nil || len(recs) != 1 || recs[0].Key != u.Key || !strings.Contains(recs[0].Details, "change 2 of this node's own") {
			t.Errorf("tick %d: audit %+v %v", c.tick, recs, err)
		}
	}
}

// What the parent sends with such a vector is parked and is an exception, so that it comes when the parent's memory has shown that this
// database was put back, and the changes are another replica's.
func TestEngineAcceptOfWhatWasNeverMade(t *testing.T) {
	top, low := newSite(t, "top", engine.Config{}), newSite(t, "low", engine.Config{})
	low.write("p", "L")
	ev := seen(top.write("p", "T"), ver(low.replica(), 2))
	r := low.take(follower(), ev)[0]
	wantResult(t, r, feed.Refused)
	if p := low.parked(); len(p) != 1 || r.Retry || low.family("p") != "L" || low.copyOf("p").Stamp.Vector.Tick(low.replica()) != 1 {
		t.Fatalf("%+v", r)
	}
	low.learns(follower(), top.tells())
	if got := top.lists(low.tells()); len(got) != 1 {
		t.Errorf("it is listed %v", got)
	}
	low.write("p", "L2") // now the tick is one that this node has given
	wantResult(t, low.take(follower(), ev)[0], feed.Applied)
	if p := low.parked(); len(p) != 0 {
		t.Errorf("%+v", p)
	}
}
