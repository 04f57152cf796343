package store_test

import (
	"reflect"
	"testing"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// A child is told what this node and those above have of its changes, but for what they lack, once, and again when that changes. What another life
// of the parent told is dropped.
func TestConformanceReached(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		child, other := version.Replica(w.NewUUID()), version.Replica(w.NewUUID())
		parent := feed.Above{Name: "nation", Replica: version.Replica(w.NewUUID()), Epoch: w.NewUUID()}
		v := func(tick uint64) version.Version { return version.Version{Replica: child, Tick: tick} }
		mark := feed.ReachMark{}
		told := func(want ...feed.Progress) feed.Reached {
			t.Helper()
			var got feed.Reached
			w.look(func(r *store.Reader) error {
				var news bool
				var err error
				got, news, err = r.ReachedSince("c1", mark)
				if news {
					mark = got.Until
				}
				return err
			})
			if len(got.Progress)+len(want) > 0 && !reflect.DeepEqual(got.Progress, want) {
				t.Errorf("told %+v, want %+v", got.Progress, want)
			}
			return got
		}
		way := func(level int) feed.Way { return feed.Way{Level: level, Replica: child, Type: "Patient"} }
		w.do(func(tx *store.Tx) error {
			return tx.Learn([]feed.Known{{Type: "Patient", Vector: version.Vector{v(5), {Replica: other, Tick: 3}}}}, true)
		})
		w.do(func(tx *store.Tx) error { return tx.Except(fhir.Key{Type: "Patient", ID: "1"}, v(4)) })
		told()
		w.do(func(tx *store.Tx) error { return tx.Ask("c1", []version.Replica{child}) })
		told(feed.Progress{Way: way(0), Tick: 5, Aside: []uint64{4}})
		told()
		w.do(func(tx *store.Tx) error { return tx.Settle(fhir.Key{Type: "Patient", ID: "1"}, version.Vector{v(4)}) })
		told(feed.Progress{Way: way(0), Tick: 5})
		w.do(func(tx *store.Tx) error { return tx.Except(fhir.Key{Type: "Patient", ID: "2"}, v(8)) }) // what it saw of that resource is lacking too
		told(feed.Progress{Way: way(0), Tick: 5, Aside: []uint64{8}})
		w.do(func(tx *store.Tx) error { return tx.Settle(fhir.Key{Type: "Patient", ID: "2"}, version.Vector{v(8)}) })
		told(feed.Progress{Way: way(0), Tick: 5})

		up := feed.Reached{Epoch: parent.Epoch, Until: feed.ReachMark{Revision: 9}, Progress: []feed.Progress{{Way: way(0), Tick: 3, Aside: []uint64{2}}}}
		w.do(func(tx *store.Tx) error { return tx.TakeReached(up) })
		told() // who the parent is was not noted
		w.do(func(tx *store.Tx) error { return tx.Below(parent) })
		if got := told(); !got.HasAbove || len(got.Above) != 1 || got.Above[0].Name != "nation" {
			t.Errorf("told of the nodes above: %+v", got)
		}
		w.do(func(tx *store.Tx) error { return tx.TakeReached(up) })
		told(feed.Progress{Way: way(1), Tick: 3, Aside: []uint64{2}})
		late := up
		late.Progress = []feed.Progress{{Way: way(0), Tick: 1}}
		w.do(func(tx *store.Tx) error { return tx.TakeReached(late) }) // a delta from where this node does not stand any more
		told()
		late.Since, late.Epoch = up.Until, w.NewUUID()
		w.do(func(tx *store.Tx) error { return tx.TakeReached(late) }) // of a life that is not the parent's of now
		told()
		parent.Epoch = w.NewUUID()
		w.do(func(tx *store.Tx) error { return tx.Below(parent) })
		w.look(func(r *store.Reader) error {
			left, err := r.ReachedBy("")
			if len(left) > 0 {
				t.Errorf("of an earlier life this stays: %+v", left)
			}
			return err
		})
		if m := told(); !m.HasAbove || m.Above[0].Epoch != parent.Epoch {
			t.Errorf("the child is not told of the new life: %+v", m)
		}
	})
}

// Reports of a child touch its own rows only; those that it does not name any more in a whole report are gone, and so are all when it is removed.
func TestConformanceReports(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		a, b, x, y := w.NewUUID(), w.NewUUID(), w.NewUUID(), w.NewUUID()
		w.do(func(tx *store.Tx) error { return tx.AddChild(store.Participant{ID: a, Name: "a"}) })
		stand := func(name string) *feed.Stand {
			return &feed.Stand{Name: name, Replicas: []version.Replica{version.Replica(w.NewUUID())}, Parked: 2}
		}
		names := func(want ...string) {
			t.Helper()
			rows, err := w.Below(t.Context())
			got := map[string]bool{}
			for _, r := range rows {
				got[r.Child+" "+r.ID+" "+r.Parent] = true
			}
			if err != nil || len(got) != len(want) {
				t.Errorf("%v (%v), want %v", got, err, want)
			}
			for _, n := range want {
				if !got[n] {
					t.Errorf("%v lacks %s", got, n)
				}
			}
		}
		w.do(func(tx *store.Tx) error {
			return tx.TakeReports(a, feed.Reports{Whole: true, Nodes: []feed.Report{{Stand: stand("a")}, {ID: x, Stand: stand("x"), Contact: 5000}, {ID: y, Parent: x, Stand: stand("y")}}})
		})
		w.do(func(tx *store.Tx) error {
			return tx.TakeReports(b, feed.Reports{Nodes: []feed.Report{{ID: x, Stand: stand("lie")}, {ID: a, Gone: true}}})
		})
		names(a+" "+a+" ", a+" "+x+" "+a, a+" "+y+" "+x, b+" "+x+" "+b)
		all, err := w.BelowSince(t.Context(), 0, 10)
		if err != nil || len(all) != 4 {
			t.Fatalf("%+v %v", all, err)
		}
		w.do(func(tx *store.Tx) error {
			return tx.TakeReports(a, feed.Reports{Nodes: []feed.Report{{ID: y, Contact: 1}}})
		})
		since, err := w.BelowSince(t.Context(), all[3].Touched, 10)
		if err != nil || len(since) != 1 || since[0].ID != y || since[0].Revision > all[3].Touched || since[0].Stand.Parked != 2 {
			t.Errorf("since then: %+v %v", since, err)
		}
		w.do(func(tx *store.Tx) error {
			return tx.TakeReports(a, feed.Reports{Whole: true, Nodes: []feed.Report{{ID: y, Stand: stand("y")}}})
		})
		names(a+" "+a+" ", a+" "+y+" "+a, b+" "+x+" "+b)
		w.do(func(tx *store.Tx) error { return tx.RemoveChild("a") })
		names(b + " " + x + " " + b)
	})
}
