package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/store"
)

func TestRestore(t *testing.T) {
	m := newMachine(t, "clinic", "")
	m.must(t, "load", m.write(t, "p.ndjson", patients(3)))
	backup := filepath.Join(m.dir, "backup.db")
	m.must(t, "backup", backup)
	m.must(t, "load", m.write(t, "p.ndjson", patients(5)))
	var before, after control.Status
	m.value(t, &before, "status")
	db := filepath.Join(m.dir, "data", "tributary.db")
	was, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	untouched := func() {
		t.Helper()
		if is, err := os.ReadFile(db); err != nil || string(is) != string(was) {
			t.Errorf("the database was changed (%v)", err)
		}
		if left, err := filepath.Glob(db + ".*"); err != nil || len(left) > 0 {
			t.Errorf("left beside it: %v (%v)", left, err)
		}
	}
	text, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(text) / 2; i < len(text)/2+9000; i++ {
		text[i] ^= 0x5a
	}
	m.write(t, "garbled.db", string(text))
	other := newMachine(t, "other", "")
	other.must(t, "backup", filepath.Join(m.dir, "other.db"))
	m.refused(t, 1, []string{"no such file"}, "restore", "missing.db")
	m.refused(t, 1, []string{"Nothing was changed"}, "restore", m.write(t, "text.db", "no database"))
	m.refused(t, 1, []string{"damaged", "Nothing was changed"}, "restore", "garbled.db")
	m.refused(t, 2, []string{`a copy of node "other"`, "nothing was changed"}, "restore", "other.db")
	if out := m.must(t, "restore", "backup.db", "--check"); !strings.Contains(out, "3 resources") || !strings.Contains(out, "Nothing was changed") {
		t.Errorf("got\n%s", out)
	}
	untouched()
	st, err := store.Open(t.Context(), store.Options{Driver: "sqlite", DSN: db})
	if err != nil {
		t.Fatal(err)
	}
	m.refused(t, 1, []string{"the node runs", "Stop it"}, "restore", "backup.db") // another process has it open
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	stop := m.serve(t)
	m.refused(t, 1, []string{"the node runs", "Stop it"}, "restore", "backup.db")
	stop()

	out := m.must(t, "restore", "backup.db")
	kept, err := filepath.Glob(db + ".before-restore-*Z")
	if err != nil || len(kept) != 1 || !strings.Contains(out, kept[0]) || !strings.Contains(out, "1. tributary serve") {
		t.Fatalf("kept %v (%v):\n%s", kept, err, out)
	}
	if info, err := os.Stat(db); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the records: %v %v", info, err)
	}
	m.value(t, &after, "status")
	if after.Node.Replica == before.Node.Replica || after.Node.Restored == nil || after.Counts.Resources["Patient"] != 3 {
		t.Errorf("the node does not find itself restored: %+v", after.Node)
	}
	old, err := store.CheckBackup(t.Context(), kept[0])
	if err != nil || old.Live != 5 || old.Replica != string(before.Node.Replica) {
		t.Errorf("what was kept: %+v, %v", old, err)
	}

	m.env = []string{"TRIBUTARY_STORE__DRIVER=mysql", "TRIBUTARY_STORE__DSN=user:secret@tcp(db:3306)/x"}
	m.refused(t, 1, []string{"mariadb-dump", "utf8mb4_bin", "nothing was changed"}, "restore", "backup.sql")
}

// A card that is pulled in the middle leaves the old database in its place.
func TestRestoreThatFails(t *testing.T) {
	m := newMachine(t, "clinic", "")
	m.must(t, "backup", filepath.Join(m.dir, "backup.db"))
	db := filepath.Join(m.dir, "data", "tributary.db")
	if err := os.MkdirAll(db+".restoring/full", 0o700); err != nil { // nothing can be written there
		t.Fatal(err)
	}
	if r := m.do(t, "restore", "backup.db"); r.code != 1 {
		t.Errorf("got exit code %d\n%s%s", r.code, r.out, r.err)
	}
	var s control.Status
	if m.value(t, &s, "status"); s.Node.Restored != nil {
		t.Errorf("got %+v", s.Node)
	}
}
