package store_test

import (
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
)

func TestConformanceShape(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		w.do(func(tx *store.Tx) error {
			return tx.AddChild(store.Participant{ID: "c1", Name: "north", Credential: "h"})
		})
		tables, err := w.Shape(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]store.Table{}
		for _, table := range tables {
			found[table.Name] = table
		}
		if got := found["participant"]; got.Rows != 1 || !strings.Contains(got.Definition, "public_key") || !strings.Contains(got.Definition, "participant_name") {
			t.Errorf("got %+v", got)
		}
		if len(found) < 20 || found["change_log"].Rows != 0 {
			t.Errorf("got %d tables, change_log %+v", len(found), found["change_log"])
		}
		sizes, err := w.Sizes(t.Context())
		if err != nil || sizes.Database < 16<<10 || sizes.Free > sizes.Database {
			t.Errorf("got %+v, %v", sizes, err)
		}
	})
}
