package store_test

import (
	"testing"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// A child gets a new credential, as an operator is told to do after a clone: what its parent remembers of its log stays, for whoever comes
// under the name with a replica that the child had, and for nobody else.
func TestConformanceDepartedChildIsRemembered(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		first, second, other := version.Replica(w.NewUUID()), version.Replica(w.NewUUID()), version.Replica(w.NewUUID())
		head := store.LogHead{Cursor: feed.Cursor{Epoch: w.NewUUID(), Seq: 7}, Check: "0123456789abcdef0123456789abcdef"}
		w.do(func(tx *store.Tx) error { return tx.AddChild(store.Participant{ID: "c1", Name: "north"}) })
		w.do(func(tx *store.Tx) error {
			if err := tx.NameReplica(first, "clinic"); err != nil {
				return err
			}
			if err := tx.NameReplica(second, "clinic"); err != nil {
				return err
			}
			if err := tx.TouchChild(store.Participant{ID: "c1", Name: "north", Replica: second}); err != nil {
				return err
			}
			return tx.Remember("c1", head)
		})
		w.do(func(tx *store.Tx) error { return tx.RemoveChild("north") })
		w.do(func(tx *store.Tx) error { return tx.AddChild(store.Participant{ID: "c2", Name: "north"}) })
		w.look(func(r *store.Reader) error {
			for _, c := range []struct {
				name    string
				replica version.Replica
				want    store.LogHead
			}{{"north", first, head}, {"north", second, head}, {"north", other, store.LogHead{}}, {"south", first, store.LogHead{}}} {
				got, err := r.Remembered("c2", c.name, c.replica)
				if err != nil {
					return err
				}
				same(t, "remembered of "+c.name, got, c.want)
			}
			return nil
		})
		now := store.LogHead{Cursor: feed.Cursor{Epoch: head.Epoch, Seq: 9}, Check: head.Check}
		w.do(func(tx *store.Tx) error { return tx.Remember("c2", now) })
		w.look(func(r *store.Reader) error {
			got, err := r.Remembered("c2", "north", first)
			same(t, "remembered since", got, now)
			return err
		})
	})
}
