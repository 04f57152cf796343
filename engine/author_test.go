package engine_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
)

func open(t *testing.T, driver, dsn, name string) *engine.Engine {
	t.Helper()
	st, err := store.Create(context.Background(), store.Options{Driver: driver, DSN: dsn}, name, 10)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return engine.New(st, engine.Config{})
}

func patient(t *testing.T, id, family string) fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(fmt.Sprintf(`{"resourceType":"Patient","id":%q,"identifier":[{"system":"s","value":%q}],"name":[{"family":%q}]}`, id, id, family)), 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Ticks and the sequence are contiguous and in commit order under concurrent writers (invariant 5).
func TestConcurrentAuthors(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		e := open(t, driver, dsn, "clinic")
		ctx := context.Background()
		var wg sync.WaitGroup
		for w := range 16 {
			wg.Go(func() {
				for i := range 20 {
					r := patient(t, fmt.Sprintf("p-%d-%d", w, i), "A")
					if _, err := e.Author(ctx, "test", []engine.Write{{Op: engine.Update, Key: r.Key, Body: r}}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var seq, tick uint64
		err := e.Store().Read(ctx, func(r *store.Reader) error {
			_, _, _, err := r.Changes(0, nil, 1000, func(row store.Row) error {
				seq++
				tick++
				if row.Seq != seq || row.Ordinal != seq || row.Stamp.Version.Tick != tick {
					t.Errorf("row %d: seq %d ordinal %d tick %d", seq, row.Seq, row.Ordinal, row.Stamp.Version.Tick)
				}
				return nil
			})
			return err
		})
		if err != nil || seq != 320 {
			t.Fatalf("%d rows, %v", seq, err)
		}
		var evs []feed.Event
		_ = e.Store().Read(ctx, func(r *store.Reader) error {
			_, _, _, err := r.Changes(0, nil, 1000, func(row store.Row) error { evs = append(evs, row.Event); return nil })
			return err
		})
		d2 := dsn + "2"
		if driver == "mysql" {
			d2 = testdb.MySQL(t)
		}
		b := open(t, driver, d2, "district")
		rs, err := b.Accept(ctx, engine.Batch{Link: engine.Link{Child: "x", Peer: "clinic"}, Events: evs})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			if r.Result != feed.Applied {
				t.Fatalf("%+v", r)
			}
		}
		c, ok, err := b.Store().Get(ctx, evs[0].Key)
		if err != nil || !ok || string(c.Body) != string(evs[0].Content) {
			t.Fatalf("%v %v %s", ok, err, c.Body)
		}
	})
}
