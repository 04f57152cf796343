package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

func TestConformanceIntervals(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		hour := time.Hour.Milliseconds()
		begin := w.millis.Load()
		times := []int64{begin - hour, begin, begin + hour, begin + 2*hour, begin + 3*hour, begin + 4*hour}
		read := func() []store.Interval {
			t.Helper()
			out, err := w.Intervals(t.Context(), times)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		for i, x := range read() {
			if x != (store.Interval{From: times[i]}) {
				t.Errorf("of an empty node: %+v", x)
			}
		}
		// The first hour: 3 changes from here. The second: nothing. The third: 4 from the parent, 10 minutes old, 2 of which are parked, and
		// two passes. The fourth: one change, and a pass that breaks.
		for i := range 3 {
			w.millis.Add(1000)
			w.put(key("Patient", fmt.Sprint(i)), `{}`)
		}
		w.millis.Store(begin + 2*hour)
		w.do(func(tx *store.Tx) error {
			for i := range uint64(4) {
				v := version.Version{Replica: far, Tick: i + 1}
				s := stampBy(v)
				s.Authored = tx.Now() - 600_000
				if _, err := tx.Put(store.Change{Key: key("Patient", fmt.Sprint("far", i)), Action: "CREATED", Stamp: s, Source: "parent:e1", Content: w.Pack([]byte(`{}`), nil)}); err != nil {
					return err
				}
				outcome := audit.Applied
				if i > 1 {
					outcome = audit.Parked
				}
				tx.Audit(audit.Record{Operation: audit.Pull, Outcome: outcome})
			}
			for i, id := range []string{"00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"} {
				r := audit.Run{ID: id, Direction: "pull", Started: tx.Now() + int64(i), Finished: tx.Now() + 5, Outcome: "done", BytesIn: 100, BytesOut: 7}
				if err := tx.OpenRun(r); err != nil {
					return err
				}
				if err := tx.SaveRun(r); err != nil {
					return err
				}
			}
			return nil
		})
		w.millis.Store(begin + 4*hour - 1)
		w.put(key("Patient", "last"), `{}`)
		w.do(func(tx *store.Tx) error {
			r := audit.Run{ID: "00000000-0000-4000-8000-000000000003", Direction: "push", Started: tx.Now(), Finished: tx.Now(), Outcome: "failed", BytesOut: 9}
			tx.Audit(audit.Record{Operation: audit.Push, Outcome: audit.Failed})
			if err := tx.OpenRun(r); err != nil {
				return err
			}
			return tx.SaveRun(r)
		})
		w.millis.Store(begin + 9*hour)
		w.put(key("Patient", "later"), `{}`)
		want := []store.Interval{
			{From: times[0]},
			{From: times[1], Changes: 3},
			{From: times[2]},
			{From: times[3], Changes: 4, Arrived: 4, Lag: 600_000, Failures: 2, BytesIn: 200, BytesOut: 14, Passes: 2},
			{From: times[4], Changes: 1, Failures: 1, BytesOut: 9, Broken: 1},
		}
		for i, x := range read() {
			if x != want[i] {
				t.Errorf("interval %d: got %+v, want %+v", i, x, want[i])
			}
		}
	})
}
