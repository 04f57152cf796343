package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"testing"

	"modernc.org/sqlite"

	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/syncerr"
)

// ten is a pool of one connection to a new file with a table t of the numbers 0 to 9.
func ten(t *testing.T) (db *sql.DB, path string) {
	t.Helper()
	path = testdb.SQLite(t)
	db, err := poolSQLite(fileURI(path) + "?_pragma=journal_mode(WAL)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	must(t, db, "CREATE TABLE t (n INTEGER PRIMARY KEY)")
	for n := range 10 {
		must(t, db, "INSERT INTO t (n) VALUES (?)", n)
	}
	return db, path
}

func must(t *testing.T, db *sql.DB, text string, args ...any) {
	t.Helper()
	if _, err := db.Exec(text, args...); err != nil {
		t.Fatal(err)
	}
}

// kept calls look with the statements of the one connection of a pool.
func kept(t *testing.T, db *sql.DB, look func(map[string]*keptStmt)) {
	t.Helper()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Raw(func(conn any) error {
		look(conn.(*keptConn).kept)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A statement is parsed once for a connection, also when it runs in transactions, and what runs once is not kept.
func TestStatementsAreKept(t *testing.T) {
	db, _ := ten(t)
	const text = "SELECT n FROM t WHERE n = ?"
	var first *keptStmt
	for n := range 5 {
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		var got int
		if err := tx.QueryRow(text, n).Scan(&got); err != nil || got != n {
			t.Errorf("%d %v, want %d", got, err, n)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		kept(t, db, func(all map[string]*keptStmt) {
			if first == nil {
				first = all[text]
			}
			if first == nil || all[text] != first || len(all) != 2 { // this one and the INSERT
				t.Errorf("%d statements are kept, %q anew at run %d", len(all), text, n)
			}
		})
	}
}

// Two results of one statement can be read at the same time, each from its own place.
func TestStatementRunsInsideItself(t *testing.T) {
	db, _ := ten(t)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	const text = "SELECT n FROM t WHERE n < ? ORDER BY n"
	read := func(limit int, each func(n int)) {
		rows, err := tx.Query(text, limit)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var n int
			if err := rows.Scan(&n); err != nil {
				t.Fatal(err)
			}
			each(n)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	got := ""
	for range 2 { // the second time it is kept already
		read(4, func(n int) {
			read(n, func(m int) { got += fmt.Sprintf("%d%d ", n, m) })
		})
	}
	if want := "10 20 21 30 31 32 "; got != want+want {
		t.Errorf("%q, want twice %q", got, want)
	}
}

// As many statements as one likes can run; those used longest ago are closed.
func TestKeptStatementsAreBounded(t *testing.T) {
	db, _ := ten(t)
	const often = "SELECT COUNT(*) FROM t"
	must(t, db, often)
	var first *keptStmt
	kept(t, db, func(all map[string]*keptStmt) { first = all[often] })
	for n := range 3 * keptStatements {
		var got int
		if err := db.QueryRow(fmt.Sprintf("SELECT n + %d FROM t WHERE n = 1", n)).Scan(&got); err != nil || got != n+1 {
			t.Fatalf("%d %v, want %d", got, err, n+1)
		}
		if err := db.QueryRow(often).Scan(&got); err != nil || got != 10 {
			t.Fatalf("%d %v, want 10", got, err)
		}
	}
	kept(t, db, func(all map[string]*keptStmt) {
		if len(all) != keptStatements || all[often] != first {
			t.Errorf("%d statements are kept, want %d with %q from the start", len(all), keptStatements, often)
		}
	})
}

// A statement goes on to work after the schema changed, and after it failed.
func TestKeptStatementAfterChangeAndFailure(t *testing.T) {
	db, _ := ten(t)
	const text = "INSERT INTO t (n) VALUES (?)"
	_, err := db.Exec(text, 3)
	var e *sqlite.Error
	if !errors.As(err, &e) || e.Code()&0xff != 19 {
		t.Errorf("%v, want a broken constraint", err)
	}
	must(t, db, text, 10)
	must(t, db, "ALTER TABLE t ADD COLUMN word TEXT NOT NULL DEFAULT 'w'")
	must(t, db, text, 11)
	var got string
	if err := db.QueryRow("SELECT word || n FROM t WHERE n > 10").Scan(&got); err != nil || got != "w11" {
		t.Errorf("%q %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.ExecContext(ctx, text, 12); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	must(t, db, text, 12)
}

// A closed pool has closed its files: SQLite removes the log beside the database with the last connection.
func TestCloseLeavesNoStatement(t *testing.T) {
	db, path := ten(t)
	if _, err := os.Stat(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v: a connection is still open", err)
	}
}

// What the driver says of a broken file, a busy one and a full disk comes out as the kind that a caller acts on.
func TestKindsOfSQLite(t *testing.T) {
	for _, c := range []struct {
		name, pragma string
		want         syncerr.Kind
	}{
		{"read-only", "query_only(1)", syncerr.Unavailable},
		{"full", "max_page_count(1)", syncerr.StorageFull},
		{"busy", "busy_timeout(0)", syncerr.Unavailable},
		{"constraint", "foreign_keys(0)", syncerr.Internal},
	} {
		t.Run(c.name, func(t *testing.T) {
			db, path := ten(t)
			if c.name == "busy" {
				tx, err := db.Begin()
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = tx.Rollback() }()
			}
			other, err := poolSQLite(fileURI(path) + "?_pragma=" + c.pragma)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			for range 2 { // as the statement is parsed, and as it is kept
				_, err = other.Exec("INSERT INTO t (n) SELECT n + 1000 * (? = 'full') FROM (WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL "+
					"SELECT n + 1 FROM c LIMIT 5000) SELECT n FROM c)", c.name)
				if kind, _ := kindSQLite(err); err == nil || kind != c.want {
					t.Errorf("%v is %v, want %v", err, kind, c.want)
				}
			}
		})
	}
}
