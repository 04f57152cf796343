package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/syncerr"
)

func fresh(t *testing.T, driver, dsn string) *Store {
	t.Helper()
	s, err := Create(t.Context(), Options{Driver: driver, DSN: dsn, Volatile: true}, "clinic", 10)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// next is the migrations of a program that is one version ahead of this one.
func next(t *testing.T, s *Store, statement string) fs.FS {
	t.Helper()
	now, err := fs.Sub(migrations, "migrations/"+s.dialect.name)
	if err != nil {
		t.Fatal(err)
	}
	out := fstest.MapFS{"90000_next.sql": {Data: []byte("-- +goose Up\n" + statement + "\n")}}
	names, err := fs.Glob(now, "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(now, name)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(out, fstest.MapFS{name: {Data: text}})
	}
	return out
}

// states reads the node's facts from a file with nothing of ours.
func states(t *testing.T, path string) (out string) {
	t.Helper()
	db, err := sql.Open("sqlite", fileURI(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT group_concat(value) FROM node_state WHERE name = 'mark'").Scan(&out); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return out
}

func (s *Store) mustMark(t *testing.T, value string) {
	t.Helper()
	if err := s.Write(t.Context(), func(tx *Tx) error { return tx.SetState("mark", value) }); err != nil {
		t.Fatal(err)
	}
}

// An upgrade that fails leaves the database as it was; the next one goes through, and the copy is of what stood before it.
func TestUpgradeAfterOneThatFailed(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		s := fresh(t, driver, dsn)
		was := s.Schema(t.Context())
		s.mustMark(t, "first")
		err := s.upgrade(t.Context(), next(t, s, "ALTER TABLE no_such_table ADD COLUMN x INTEGER;"))
		if err == nil || s.Schema(t.Context()) != was {
			t.Fatalf("schema %d, %v", s.Schema(t.Context()), err)
		}
		s.mustMark(t, "second")
		if err := s.upgrade(t.Context(), next(t, s, "ALTER TABLE node_state ADD COLUMN x INTEGER;")); err != nil {
			t.Fatal(err)
		}
		if n := s.Schema(t.Context()); n != 90000 {
			t.Errorf("schema %d", n)
		}
		if got, err := s.State(t.Context(), "mark"); err != nil || got != "second" {
			t.Errorf("%q %v", got, err)
		}
		if err := s.upgrade(t.Context(), next(t, s, "this is never run again;")); err != nil {
			t.Error(err)
		}
		wantRefused(t, s)
		if driver != "sqlite" {
			return
		}
		copies, err := filepath.Glob(dsn + ".schema-*")
		if err != nil || len(copies) != 1 {
			t.Fatalf("copies: %q %v", copies, err)
		}
		if got := states(t, copies[0]); got != "second" {
			t.Errorf("the copy is of the %s state", got)
		}
		if info, err := os.Stat(copies[0]); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may read the copy: %v %v", info.Mode(), err)
		}
	})
}

// wantRefused checks that this program leaves the newer database alone.
func wantRefused(t *testing.T, s *Store) {
	t.Helper()
	if err := s.migrate(t.Context()); syncerr.KindOf(err) != syncerr.Usage || !strings.Contains(err.Error(), "Upgrade this program") {
		t.Errorf("the program before it says %v", err)
	}
}

// On a full disk writes say so and change nothing, reads go on, and writes go on by themselves when there is room.
func TestDiskFull(t *testing.T) {
	s := fresh(t, "sqlite", testdb.SQLite(t))
	s.mustMark(t, "before")
	bound := func(pages string) {
		t.Helper()
		if err := s.writer.Exec("PRAGMA max_page_count = " + pages).Error; err != nil {
			t.Fatal(err)
		}
	}
	fill := func(size int) error {
		return s.Write(context.Background(), func(tx *Tx) error {
			tx.Audit(audit.Record{Operation: audit.Local, Outcome: audit.Done})
			return tx.SetState("large", strings.Repeat("x", size))
		})
	}
	bound("1") // SQLite takes the present size where less is asked for
	for range 3 {
		err := fill(1 << 20)
		if syncerr.KindOf(err) != syncerr.StorageFull || !syncerr.KindOf(err).Retry() || !strings.Contains(syncerr.HintOf(err), "free some space") {
			t.Fatalf("%v", err)
		}
		mark, err1 := s.State(t.Context(), "mark")
		large, err2 := s.State(t.Context(), "large")
		recs, err3 := s.AuditRecords(t.Context(), audit.Query{})
		if err := errors.Join(err1, err2, err3); err != nil || mark != "before" || large != "" || len(recs) != 0 {
			t.Errorf("%q, %d bytes, %d records, %v", mark, len(large), len(recs), err)
		}
	}
	bound("1000000")
	if err := fill(1 << 20); err != nil {
		t.Error(err)
	}
}

// A snapshot is one whatever the server or the DSN says: what is committed while a reader reads is not seen by it.
func TestReadersSeeOneState(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		if driver == "mysql" {
			dsn += "?tx_isolation=%27READ-COMMITTED%27"
		}
		s := fresh(t, driver, dsn)
		s.mustMark(t, "before")
		err := s.Read(t.Context(), func(r *Reader) error {
			for range 2 {
				var mark string
				if _, err := r.one("SELECT value FROM node_state WHERE name = 'mark'", nil, &mark); err != nil || mark != "before" {
					t.Errorf("%q %v", mark, err)
				}
				s.mustMark(t, "after")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// A file that is no database is refused, and nothing of the attempt stays open.
func TestOpenDamaged(t *testing.T) {
	before := goleak.IgnoreCurrent()
	path := testdb.SQLite(t)
	if err := os.WriteFile(path, []byte(strings.Repeat("no database at all. ", 300)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, driver := range []string{"sqlite", ""} {
		_, err := Open(t.Context(), Options{Driver: driver, DSN: path})
		if err == nil || !strings.Contains(syncerr.HintOf(err), "damaged") {
			t.Errorf("%v", err)
		}
	}
	if _, err := Open(t.Context(), Options{Driver: "oracle", DSN: path}); syncerr.KindOf(err) != syncerr.Usage {
		t.Errorf("%v", err)
	}
	goleak.VerifyNone(t, before)
}
