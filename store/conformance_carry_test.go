package store_test

import (
	"reflect"
	"testing"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// The peers of sticks, what they said, and the receipts that wait for them: a receipt is told by every bundle until the peer has taken one that told it.
func TestConformanceCarry(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		p := store.CarryPeer{
			ID: w.NewUUID(), Name: "north", PublicKey: "key", Introduced: w.millis.Load(), Out: 3,
			State: store.CarryState{
				Types: []string{"Patient"}, Ours: true, Place: store.CarryPlace{Scope: "*|*", Epoch: "e", Resume: "9/Patient/1//0/"}, Heads: []string{"h"},
				Said: store.CarrySaid{Serial: 2, Epoch: "x", Read: feed.Cursor{Epoch: "00000000-0000-4000-8000-00000000000e", Seq: 4}},
			},
		}
		w.do(func(tx *store.Tx) error { return tx.SaveCarryPeer(p) })
		w.do(func(tx *store.Tx) error { return tx.SetCarryKnown(p.ID, []byte("known")) })
		p.In, p.InAt, p.State.Place = 7, w.millis.Load(), store.CarryPlace{}
		w.do(func(tx *store.Tx) error { return tx.SaveCarryPeer(p) })
		for _, by := range [][2]string{{"north", ""}, {"", "key"}} {
			got, ok, err := w.CarryPeer(t.Context(), by[0], by[1])
			if err != nil || !ok || !reflect.DeepEqual(got, p) {
				t.Errorf("by %v: %+v, %v, %v; want %+v", by, got, ok, err, p)
			}
		}
		if _, ok, err := w.CarryPeer(t.Context(), "south", "other"); ok || err != nil {
			t.Errorf("one that is not there: %v, %v", ok, err)
		}
		if b, err := w.CarryKnown(t.Context(), p.ID); err != nil || string(b) != "known" {
			t.Errorf("%q, %v", b, err)
		}

		one := w.put(key("Patient", "p1"), `{"resourceType":"Patient","id":"p1"}`).Version
		r := func(id string, tick uint64, result feed.Result) feed.Receipt {
			return feed.Receipt{Key: fhir.Key{Type: "Patient", ID: id}, Version: version.Version{Replica: far, Tick: tick}, Result: result, Reason: "why"}
		}
		w.do(func(tx *store.Tx) error {
			return tx.KeepCarryReceipts(p.ID, []feed.Receipt{r("p1", 1, feed.Applied), r("p2", 2, feed.Refused), r("p3", 3, feed.Same), {Result: feed.Refused}})
		})
		told := func(serial uint64) (out []feed.Receipt) {
			w.look(func(rd *store.Reader) error {
				return rd.CarryReceipts(p.ID, serial, func(r feed.Receipt) error {
					out = append(out, r)
					return nil
				})
			})
			return out
		}
		if got := told(9); len(got) != 0 {
			t.Errorf("none is told yet: %+v", got)
		}
		w.do(func(tx *store.Tx) error { return tx.SendCarryReceipts(p.ID, 4) })
		w.do(func(tx *store.Tx) error { return tx.KeepCarryReceipts(p.ID, []feed.Receipt{r("p4", 4, feed.Held)}) })
		w.do(func(tx *store.Tx) error { return tx.SendCarryReceipts(p.ID, 5) })
		got := told(5)
		if len(got) != 3 || got[0].Stamp.Version != one || !got[1].Stamp.IsZero() || got[1].Result != feed.Refused || got[1].Reason != "why" || got[2].Key.ID != "p4" {
			t.Errorf("%+v", got)
		}
		w.do(func(tx *store.Tx) error { return tx.EndCarryReceipts(p.ID, 4) })
		if got := told(5); len(got) != 1 || got[0].Key.ID != "p4" {
			t.Errorf("after it took bundle 4: %+v", got)
		}
		w.do(func(tx *store.Tx) error { return tx.UnsendCarryReceipts(p.ID, key("Patient", "p4")) })
		if got := told(5); len(got) != 0 {
			t.Errorf("for which there was no room: %+v", got)
		}
		w.do(func(tx *store.Tx) error { return tx.SendCarryReceipts(p.ID, 6) })
		if got := told(6); len(got) != 1 {
			t.Errorf("told by the next bundle: %+v", got)
		}
		w.do(func(tx *store.Tx) error { return tx.RemoveCarryPeer(p.ID) })
		if got := told(5); len(got) != 0 {
			t.Errorf("of a peer that was forgotten: %+v", got)
		}
		if all, err := w.CarryPeers(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("%+v, %v", all, err)
		}
		err := w.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.CarryPeer(p.ID)
			return err
		})
		if syncerr.KindOf(err) != syncerr.NotFound {
			t.Errorf("%v", err)
		}
	})
}
