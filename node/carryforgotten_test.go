package node_test

import (
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/node"
)

// TestStickAfterForgetting is MS10 of reference/seed-protocols.md over a stick: deletions that were collected at a node while it did not know the other
// one any more reach it all the same. What was changed there since, and what was made there, stays.
func TestStickAfterForgetting(t *testing.T) {
	var later atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	district, clinic := start(t, "district", nil, node.Deps{Clock: clock}, nil), alone(t, "clinic")
	introduce(t, district, clinic)
	dir := t.TempDir()
	exchange := func() {
		t.Helper()
		for range 3 {
			district.out(t, dir, clinic, 0)
			clinic.in(t, dir)
			clinic.out(t, dir, district, 0)
			district.in(t, dir)
		}
	}
	for _, id := range []string{"removed", "changed", "kept"} {
		district.write(t, "Patient", id, "first")
	}
	exchange()
	sticksAgree(t, district, clinic)

	if err := district.Control().ForgetPeer(t.Context(), "clinic"); err != nil {
		t.Fatal(err)
	}
	district.remove(t, "Patient", "removed")
	district.remove(t, "Patient", "changed")
	later.Store(int64(time.Hour))
	got, err := district.Engine().Collect(t.Context(), engine.Collecting{Keep: time.Minute})
	if err != nil || got.Tombstones != 2 {
		t.Fatalf("collected %+v, %v", got, err)
	}
	clinic.write(t, "Patient", "changed", "second")
	clinic.write(t, "Patient", "made", "first")
	introduce(t, district, clinic)
	exchange()
	sticksAgree(t, district, clinic)
	for id, want := range map[string]bool{"removed": false, "changed": true, "made": true, "kept": true} {
		for _, n := range []*running{district, clinic} {
			row, ok, err := n.Engine().Store().Get(t.Context(), fhir.Key{Type: "Patient", ID: id})
			if has := ok && !row.Stamp.Deleted; err != nil || has != want {
				t.Errorf("%s has Patient/%s: %v, %v; want %v", n.cfg.Node.Name, id, has, err, want)
			}
		}
	}
	rows, err := clinic.Engine().Store().AuditRecords(t.Context(), audit.Query{Outcome: audit.Decided, Limit: 10})
	if err != nil || len(rows) != 1 {
		t.Errorf("what was kept against a deletion is told %d times, %v", len(rows), err)
	}

	// It is over then: no later bundle lists anything.
	if w := district.out(t, dir, clinic, 0); len(w.Manifest.Lists) != 0 {
		t.Errorf("the next bundle lists %q again", w.Manifest.Lists)
	}
}

// Two bundles that were written at one place of the log, before and after old rows were collected below it, are of one log: neither is refused.
func TestSticksAroundCollecting(t *testing.T) {
	var later atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	district, clinic := start(t, "district", nil, node.Deps{Clock: clock}, nil), alone(t, "clinic")
	introduce(t, district, clinic)
	for i := range 5 {
		district.write(t, "Patient", "p", strconv.Itoa(i))
	}
	way := t.TempDir()
	district.out(t, way, clinic, 0)
	clinic.in(t, way)
	clinic.out(t, way, district, 0)
	district.in(t, way)

	before, after := t.TempDir(), t.TempDir()
	district.out(t, before, clinic, 0)
	later.Store(int64(time.Hour))
	got, err := district.Engine().Collect(t.Context(), engine.Collecting{Keep: time.Minute})
	if err != nil || got.Rows == 0 {
		t.Fatalf("collected %+v, %v", got, err)
	}
	district.out(t, after, clinic, 0)
	clinic.in(t, after)
	clinic.in(t, before)
}
