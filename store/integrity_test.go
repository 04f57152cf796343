package store_test

import (
	"database/sql"
	"os"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
)

func TestConformanceIntegrity(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		db, err := sql.Open(driver, dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		exec := func(text string, args ...any) {
			t.Helper()
			if _, err := db.ExecContext(t.Context(), text, args...); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range []string{"a", "b"} {
			body := `{"resourceType":"Patient","id":"` + id + `"}`
			w.put(key("Patient", id), body)
			doc, err := fhir.Parse([]byte(body), len(body)+1)
			if err != nil {
				t.Fatal(err)
			}
			hash := doc.Hash()
			exec("UPDATE resource SET hash = ? WHERE id = ?", hash[:], id)
		}
		check := func(full bool, want ...string) {
			t.Helper()
			problems, copies, err := w.Integrity(t.Context(), full)
			if err != nil || len(problems) != len(want) || full && copies != 2 {
				t.Fatalf("full %v: got %q, %d copies, %v, want %q", full, problems, copies, err, want)
			}
			for i := range want {
				if !strings.Contains(problems[i], want[i]) {
					t.Errorf("got %q, want %q", problems[i], want[i])
				}
			}
		}
		check(false)
		check(true)
		exec("UPDATE resource SET hash = ? WHERE id = 'b'", make([]byte, 32))
		check(false)
		check(true, "Patient/b has a content other than")
		exec("UPDATE change_log SET content = NULL WHERE id = 'b'")
		check(true, "Patient/b has no content")
		exec("UPDATE counter SET value = 1 WHERE name = 'sequence'")
		check(false, "its counter says 1")
	})
}

// Pages that a card has garbled are found quickly, before anything else is read from them.
func TestIntegrityOfAGarbledFile(t *testing.T) {
	dsn := t.TempDir() + "/x.db"
	st, err := store.Create(t.Context(), store.Options{Driver: "sqlite", DSN: dsn}, "a", 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(dsn)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(b) / 2; i < len(b)/2+20000; i++ {
		b[i] ^= 0x5a
	}
	if err := os.WriteFile(dsn, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if st, err = store.Open(t.Context(), store.Options{Driver: "sqlite", DSN: dsn}); err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if problems, _, err := st.Integrity(t.Context(), false); err == nil && len(problems) == 0 {
		t.Error("nothing was found")
	}
}
