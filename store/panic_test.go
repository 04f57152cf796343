package store_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/tributary-sync/tributary/store"
)

// A writer that panics undoes itself and keeps nobody else from writing.
func TestPanickingWriter(t *testing.T) {
	ctx := context.Background()
	st, err := store.Create(ctx, store.Options{DSN: filepath.Join(t.TempDir(), "n.db"), Volatile: true}, "n", 10)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = st.Write(ctx, func(tx *store.Tx) error {
			if err := tx.SetState("half", "done"); err != nil {
				t.Error(err)
			}
			panic("a defect")
		})
	}()
	if err := st.Write(ctx, func(tx *store.Tx) error { return tx.SetState("after", "it") }); err != nil {
		t.Error(err)
	}
	if v, err := st.State(ctx, "half"); v != "" || err != nil {
		t.Errorf("half of it stays: %q %v", v, err)
	}
}
