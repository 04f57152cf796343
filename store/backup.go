package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"

	"github.com/tributary-sync/tributary/syncerr"
)

// Backup writes a consistent copy of an SQLite database to a new file at path while the node runs. The copy carries a nonce of its
// own: whoever starts a node on it starts a restored one, which notices. It returns a Usage error for another database, and a
// Conflict error where the file exists.
func (s *Store) Backup(ctx context.Context, path string) (err error) {
	if s.dialect.name != "sqlite" {
		return syncerr.New(syncerr.Usage, "back up", "this node's data is in MySQL").
			WithHint("Use the server's own tool, for example mariadb-dump --single-transaction; an operator must restart the node after putting it back")
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return syncerr.Wrap(syncerr.Usage, "back up", err)
	}
	if _, err := os.Stat(path); err == nil {
		return syncerr.New(syncerr.Conflict, "back up", "there is a file %s already", path).WithHint("Name a new file")
	}
	return s.copyTo(ctx, path, s.mark)
}

// copyTo writes a consistent copy of an SQLite database to path, in place of what stands there. The file appears when it is whole,
// and after finish changed it.
func (s *Store) copyTo(ctx context.Context, path string, finish func(ctx context.Context, path string) error) (err error) {
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return syncerr.Wrap(syncerr.Usage, "copy database", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removed(part))
		}
	}()
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // it holds records: for its owner only
	if err != nil {
		return syncerr.Wrap(syncerr.Usage, "copy database", err)
	}
	if err := f.Close(); err != nil {
		return syncerr.Wrap(syncerr.Unavailable, "copy database", err)
	}
	// A connection of its own: readers may not write anything, and writers are not to wait.
	if err := s.statement(ctx, s.opts.DSN, "VACUUM INTO ?", part); err != nil {
		return err
	}
	if err := finish(ctx, part); err != nil {
		return err
	}
	if err := flushed(part); err != nil {
		return syncerr.Wrap(syncerr.Unavailable, "copy database", err)
	}
	return syncerr.Wrap(syncerr.Unavailable, "copy database", os.Rename(part, path))
}

// mark gives a copy its own nonce and flushes it to the disk.
func (s *Store) mark(ctx context.Context, path string) error {
	return s.statement(ctx, path, "REPLACE INTO node_state (name, value) VALUES ('nonce', ?), ('nonce_before', '')", "backup-"+s.NewUUID())
}

// statement runs one statement on a connection of its own to an SQLite file.
func (s *Store) statement(ctx context.Context, path, text string, args ...any) error {
	db, err := sql.Open("sqlite", fileURI(path)+"?_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)")
	if err != nil {
		return s.dialect.wrap("back up", err)
	}
	_, err = db.ExecContext(ctx, text, args...)
	return s.dialect.wrap("back up", errors.Join(err, db.Close()))
}

func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// flushed waits until a file is on the disk.
func flushed(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
