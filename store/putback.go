package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/syncerr"
)

// Backed is what a copy of an SQLite database says of itself.
type Backed struct {
	Node    string `json:"node"`
	Replica string `json:"replica"`
	Schema  int64  `json:"schema"`
	Changes int64  `json:"changes"` // position of the newest one in its log
	Newest  int64  `json:"newest"`  // when that was written, milliseconds since 1970 UTC; 0 where there is none
	Live    int64  `json:"resources"`
}

// CheckBackup reads a copy of an SQLite database whole and says whose it is. It changes nothing. It returns a NotFound error where there is no file, an
// Invalid one where it is no database of a node or is damaged, and an Unsupported one where it was written by a newer program.
func CheckBackup(ctx context.Context, path string) (Backed, error) {
	var b Backed
	invalid := func(format string, args ...any) (Backed, error) {
		return b, syncerr.New(syncerr.Invalid, "check "+path, format, args...).WithHint("Nothing was changed. Take another backup")
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return b, syncerr.New(syncerr.NotFound, "check "+path, "there is no such file").WithHint("Name the file that `tributary backup` wrote")
	}
	db, err := sql.Open("sqlite", fileURI(path)+"?mode=ro&_pragma=query_only(1)&_pragma=busy_timeout(10000)")
	if err != nil {
		return b, syncerr.Wrap(syncerr.Internal, "check "+path, err)
	}
	defer db.Close()
	var said string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&said); err != nil {
		if ctx.Err() != nil {
			return b, ctx.Err()
		}
		return invalid("it is no SQLite database, or a damaged one: %w", err)
	}
	if said != "ok" {
		return invalid("the database in it is damaged: %s", said)
	}
	for text, into := range map[string]any{
		"SELECT value FROM node_state WHERE name = 'name'":                                 &b.Node,
		"SELECT value FROM node_state WHERE name = 'replica'":                              &b.Replica,
		"SELECT MAX(version_id) FROM goose_db_version":                                     &b.Schema,
		"SELECT COALESCE(MAX(seq), 0) FROM change_log":                                     &b.Changes,
		"SELECT COUNT(*) FROM resource WHERE deleted = 0":                                  &b.Live,
		"SELECT COALESCE((SELECT committed FROM change_log ORDER BY seq DESC LIMIT 1), 0)": &b.Newest,
	} {
		if err := db.QueryRowContext(ctx, text).Scan(into); err != nil {
			return invalid("it is a database, but not that of a node: %w", err)
		}
	}
	if newest, err := newestSchema(); err != nil || b.Schema > newest {
		return b, errors.Join(err, syncerr.New(syncerr.Unsupported, "check "+path, "it was written by a newer program: its schema is %d, this program knows %d", b.Schema, newest).
			WithHint("Nothing was changed. Install the program that wrote it, or a newer one"))
	}
	return b, nil
}

// newestSchema returns the version of the schema that this program makes.
func newestSchema() (newest int64, err error) {
	files, err := migrations.ReadDir("migrations/sqlite")
	for _, f := range files {
		number, _, _ := strings.Cut(f.Name(), "_")
		n, perr := strconv.ParseInt(number, 10, 64)
		err = errors.Join(err, perr)
		newest = max(newest, n)
	}
	return newest, err
}

// InUse reports whether another process has an SQLite database open. One that cannot be opened is in nobody's use.
func InUse(ctx context.Context, path string) bool {
	if _, err := os.Stat(path); err != nil {
		return false
	}
	db, err := sql.Open("sqlite", fileURI(path)+"?_pragma=busy_timeout(1000)&_pragma=locking_mode(EXCLUSIVE)&_txlock=exclusive")
	if err != nil {
		return false
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err == nil {
		err = tx.Rollback()
	}
	if err == nil {
		return false
	}
	kind, _ := kindSQLite(err)
	return kind == syncerr.Unavailable
}

// PutBack puts a copy of an SQLite database in the place of the one at path, which nobody may have open, and keeps that one beside it as kept. The copy gets
// a nonce of its own, so that the next start finds itself restored (DESIGN.md 4.3). Where anything fails the old database is where it was.
func PutBack(ctx context.Context, backup, path, kept string) (err error) {
	const op = "restore"
	part := path + ".restoring"
	if err := removed(part); err != nil {
		return syncerr.Wrap(syncerr.Unavailable, op, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removed(part))
		}
	}()
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return syncerr.Wrap(syncerr.Unavailable, op, err)
	}
	if err := f.Close(); err != nil {
		return syncerr.Wrap(syncerr.Unavailable, op, err)
	}
	d := dialect{kind: kindSQLite}
	s := &Store{dialect: d, opts: Options{Rand: rand.Reader}}
	if err := s.statement(ctx, backup, "VACUUM INTO ?", part); err != nil {
		return err
	}
	if err := s.mark(ctx, part); err != nil {
		return err
	}
	if err := flushed(part); err != nil {
		return syncerr.Wrap(syncerr.Unavailable, op, err)
	}
	var moved [][2]string
	back := func(err error) error {
		for _, m := range moved {
			err = errors.Join(err, os.Rename(m[1], m[0]))
		}
		return syncerr.Wrap(syncerr.Unavailable, op, err)
	}
	for _, suffix := range []string{"-wal", "-shm", ""} {
		switch err := os.Rename(path+suffix, kept+suffix); {
		case err == nil:
			moved = append(moved, [2]string{path + suffix, kept + suffix})
		case !errors.Is(err, os.ErrNotExist):
			return back(err)
		}
	}
	if err := os.Rename(part, path); err != nil {
		return back(err)
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync() // not every file system can
		_ = dir.Close()
	}
	return nil
}
