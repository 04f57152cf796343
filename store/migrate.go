package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/tributary-sync/tributary/syncerr"
)

//go:embed migrations
var migrations embed.FS

// migrate brings the schema up to date.
func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations/"+s.dialect.name)
	if err != nil {
		return syncerr.Wrap(syncerr.Internal, "migrate", err)
	}
	return s.upgrade(ctx, files)
}

// upgrade carries out the migrations in files that the database has not had. Before it changes an SQLite file it makes a copy beside
// it, in place of the copy that an upgrade from the same version left which did not succeed.
func (s *Store) upgrade(ctx context.Context, files fs.FS) error {
	db, err := sqlDB(s.writer)
	if err != nil {
		return syncerr.Wrap(syncerr.Internal, "migrate", err)
	}
	d := goose.DialectSQLite3
	if s.dialect.name == "mysql" {
		d = goose.DialectMySQL
	}
	p, err := goose.NewProvider(d, db, files, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return syncerr.Wrap(syncerr.Internal, "migrate", err)
	}
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return s.dialect.wrap("read schema version", err)
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	switch {
	case have > newest:
		return syncerr.New(syncerr.Usage, "open database", "its schema is version %d, this program knows up to %d", have, newest).
			WithHint("Upgrade this program; an older one cannot use a newer database")
	case have == newest:
		return nil
	case have > 0 && s.dialect.name == "sqlite":
		copyTo := fmt.Sprintf("%s.schema-%d", s.opts.DSN, have)
		if err := s.copyTo(ctx, copyTo, func(context.Context, string) error { return nil }); err != nil {
			return fmt.Errorf("before the upgrade, to %s: %w", copyTo, err)
		}
	}
	if _, err := p.Up(ctx); err != nil {
		var partial *goose.PartialError
		if errors.As(err, &partial) {
			err = partial.Err
		}
		return s.dialect.wrap("upgrade schema", err)
	}
	return nil
}

// Schema returns the version of the schema.
func (s *Store) Schema(ctx context.Context) int64 {
	var n int64
	if s.reader.WithContext(ctx).Raw("SELECT MAX(version_id) FROM goose_db_version").Scan(&n).Error != nil {
		return 0
	}
	return n
}
