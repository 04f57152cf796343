package store_test

import (
	"fmt"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
)

// What a server was last seen to have is listed by type and id, without what it deleted.
func TestServerKeys(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		w.do(func(tx *store.Tx) error {
			for i := range 30 {
				for _, server := range []string{"a", "b"} {
					k := fhir.Key{Type: []string{"Location", "Organization"}[i%2], ID: fmt.Sprintf("x%02d", i)}
					if err := tx.SetServerCopy(server, k, store.ServerCopy{Deleted: i < 4}); err != nil {
						return err
					}
				}
			}
			return nil
		})
		w.look(func(r *store.Reader) error {
			got, err := r.ServerKeys("a", "Location", "x06", 3)
			if err != nil || fmt.Sprint(got) != "[Location/x08 Location/x10 Location/x12]" {
				t.Error(got, err)
			}
			if got, err = r.ServerKeys("a", "Location", "", 100); err != nil || len(got) != 13 {
				t.Error(got, err)
			}
			if n, err := r.ServerCount("b"); err != nil || n != 26 {
				t.Error(n, err)
			}
			return nil
		})
	})
}
