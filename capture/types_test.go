package capture_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/capture"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/resourcemanager"
)

// A type that is given to the server later is given from the begin of the log, and a deletion that happened while it was not given is not forgotten
// before the server was told: what the place in the log has passed is what went then.
func TestTypesAdded(t *testing.T) {
	w := newWorld(t, reconcile.SourceWins)
	seen := func(id string) fhir.Key { return fhir.Key{Type: "Observation", ID: id} }
	write := func(op engine.Op, id string) {
		t.Helper()
		one := engine.Write{Op: op, Key: seen(id)}
		if op == engine.Update {
			r, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":"Observation","id":%q,"status":"final"}`, id), 0)
			if err != nil {
				t.Fatal(err)
			}
			one.Body = r
		}
		if _, err := w.eng.Author(t.Context(), "test", []engine.Write{one}); err != nil {
			t.Fatal(err)
		}
	}
	gives := func(types ...string) map[string]func(string) bool {
		w.link = capture.New(w.eng, capture.Server{
			Source: w.emr, Remote: func(string) (resourcemanager.Remote, error) { return w.emr, nil }, Traffic: w.emr.Traffic,
		}, capture.Config{
			Name: "emr", URL: "http://emr", Pulls: []string{"Patient"}, Pushes: types, Batch: 2,
			Client: func(string) string { return "fhir" }, Clock: func() time.Time { w.now = w.now.Add(time.Second); return w.now },
		})
		return map[string]func(string) bool{"emr": func(t string) bool { return slices.Contains(types, t) }}
	}
	collect := func(servers map[string]func(string) bool) int {
		t.Helper()
		got, err := w.eng.Collect(t.Context(), engine.Collecting{Keep: time.Millisecond, Servers: servers})
		if err != nil {
			t.Fatal(err)
		}
		return got.Tombstones
	}
	gives("Patient", "Observation")
	write(engine.Update, "gone")
	w.push()
	gives("Patient")
	write(engine.Delete, "gone")
	write(engine.Update, "made")
	w.edit("a", "one")
	w.push() // passes what is not given
	all := gives("Patient", "Observation")
	if n := collect(all); n != 0 {
		t.Fatalf("%d tombstones went before the server was told", n)
	}
	before := w.emr.writes
	w.push()
	if got := w.emr.docs[seen("gone")].State; got != resourcemanager.Gone {
		t.Errorf("what was deleted meanwhile is %v at the server", got)
	}
	if got := w.emr.docs[seen("made")].State; got != resourcemanager.Present {
		t.Errorf("what was made meanwhile is %v at the server", got)
	}
	if w.emr.writes != before+2 {
		t.Errorf("%d writes, want 2: the server has the others", w.emr.writes-before)
	}
	w.now = w.now.Add(8 * 24 * time.Hour) // when the log is looked through from its begin again
	if n := collect(all); n != 1 {
		t.Errorf("%d tombstones went when the server was told, want 1", n)
	}
	w.same("a", "one")
	w.still()
}
