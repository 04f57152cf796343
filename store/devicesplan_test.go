package store

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/version"
)

// Each statement of a device's session seeks: none scans a table, sorts, or passes what it does not return.
func TestDevicePlans(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		st, err := Create(t.Context(), Options{Driver: driver, DSN: dsn, Clock: time.Now, Volatile: true}, "clinic", 10)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		err = st.Write(t.Context(), func(tx *Tx) error {
			var items []DeviceItem
			for i := range 3000 {
				k := fhir.Key{Type: []string{"Patient", "Observation"}[i%2], ID: fmt.Sprintf("r%d", i)}
				v, err := tx.NextTick(k.Type)
				if err != nil {
					return err
				}
				s := version.Stamp{Version: v, Vector: version.Vector{}.With(v), Author: v.Replica, Origin: v, Hash: version.Hash{1}}
				if _, err := tx.Put(Change{Key: k, Action: feed.Updated, Stamp: s, Content: st.Pack([]byte(`{}`), nil)}); err != nil {
					return err
				}
				items = append(items, DeviceItem{Key: k, Acked: uint64(i), Place: uint64(i%3) * uint64(i)})
			}
			for d := range int64(3) {
				if err := tx.PutItems(d+1, items); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, s := range map[string]struct {
			text string
			args []any
		}{
			"queue":    {queueQuery, []any{2, 1000, 100}},
			"items":    {itemsQuery, []any{2, "Patient", "r500", "Patient", 100}},
			"waiting":  {waitsQuery, []any{2}},
			"recent":   {recentQuery, []any{1000, 1100}},
			"live":     {listQuery, []any{"Patient", "r100", 100}},
			"same":     {"SELECT 1 FROM change_log a JOIN change_log b ON b.seq = ? AND b.replica = a.replica AND b.tick = a.tick WHERE a.seq = ?", []any{1, 2}},
			"sessions": {"SELECT " + sessionColumns + " FROM device_session WHERE device = ? ORDER BY started DESC, id DESC", []any{2}},
		} {
			err := st.Read(t.Context(), func(r *Reader) error {
				if driver == "mysql" {
					if err := r.each("ANALYZE TABLE device_ack, change_log, resource", nil, func(*sql.Rows) error { return nil }); err != nil {
						return err
					}
				}
				plan, err := r.plan(driver, s.text, s.args)
				bad := []string{"SCAN", " ALL "}
				if name != "sessions" { // of eight rows at most
					bad = append(bad, "TEMP B-TREE", "filesort")
				}
				for _, bad := range bad {
					if strings.Contains(plan, bad) {
						t.Errorf("%s: %s in\n%s", name, bad, plan)
					}
				}
				if plan == "" {
					t.Errorf("%s: no plan", name)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}
