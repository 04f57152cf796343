package store_test

import (
	"testing"

	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// A transaction that was refused is tried again as it was written: its member takes the place of nothing that was written on it and waits
// as well, or that would be forgotten when the transaction is taken.
func TestConformanceParkedLaterStays(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		r := version.Replica(w.NewUUID())
		first, later := stampBy(version.Version{Replica: r, Tick: 7}), stampBy(version.Version{Replica: r, Tick: 10}, version.Version{Replica: r, Tick: 7})
		k := key("Patient", "p")
		park := func(s version.Stamp, reason string) {
			w.do(func(tx *store.Tx) error {
				return tx.Park(store.Parked{Direction: "push", Peer: "parent", Key: k, Action: "UPDATED", Stamp: s, Reason: reason, Kind: "invalid"})
			})
		}
		waits := func(want version.Version) {
			t.Helper()
			rows, err := w.Parked(t.Context(), store.ParkedFilter{Key: k})
			if err != nil || len(rows) != 1 || rows[0].Stamp.Version != want {
				t.Fatalf("%+v %v, want %s", rows, err, want)
			}
		}
		park(first, "no")
		waits(first.Version)
		park(later, "no")
		waits(later.Version)
		park(first, "again")
		waits(later.Version)
		w.do(func(tx *store.Tx) error { // the transaction was taken
			_, err := tx.Unpark("parent", "push", k, first.Vector)
			return err
		})
		waits(later.Version)
	})
}
