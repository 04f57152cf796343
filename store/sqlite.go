package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/schema"
	"modernc.org/sqlite"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

func openSQLite(opts Options, create bool) (writer, reader *gorm.DB, err error) {
	path := opts.DSN
	if _, err := os.Stat(path); err != nil {
		if !create {
			return nil, nil, syncerr.New(syncerr.NotFound, "open database", "there is no file %s", path).
				WithHint("Run `tributary init` to make a new node; if this node had data, check that its disk or card is mounted")
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, nil, syncerr.Wrap(syncerr.Usage, "make folder for the database", err)
		}
	}
	sync := "FULL" // NORMAL loses acknowledged commits at a power cut
	if opts.Volatile {
		sync = "OFF"
	}
	dsn := fileURI(path) + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(" + sync + ")&_pragma=foreign_keys(0)"
	wrap := dialect{kind: kindSQLite}.wrap
	wdb, err := poolSQLite(dsn + "&_txlock=immediate&_pragma=cache_size(-16000)&_pragma=temp_store(MEMORY)&_pragma=wal_autocheckpoint(4000)")
	if err != nil {
		return nil, nil, wrap("open database "+path, err)
	}
	wdb.SetMaxOpenConns(1)
	if writer, err = gorm.Open(sqliteDialector{db: wdb}, gormConfig(opts)); err != nil {
		return nil, nil, errors.Join(wrap("open database "+path, err), wdb.Close())
	}
	if err := wdb.Ping(); err != nil {
		return writer, nil, wrap("open database "+path, err)
	}
	rdb, err := poolSQLite(dsn + "&_pragma=query_only(1)&_pragma=cache_size(-2000)")
	if err != nil {
		return writer, nil, wrap("open database "+path, err)
	}
	rdb.SetMaxOpenConns(8)
	rdb.SetMaxIdleConns(3)
	if reader, err = gorm.Open(sqliteDialector{db: rdb}, gormConfig(opts)); err != nil {
		return writer, nil, errors.Join(wrap("open database "+path, err), rdb.Close())
	}
	return writer, reader, nil
}

// poolSQLite returns connections that keep their statements. None is opened before the first is used.
func poolSQLite(dsn string) (*sql.DB, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(keeper{c}), nil
}

// fileURI is a path as SQLite's driver takes it.
func fileURI(path string) string {
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}

func checkSQLite(context.Context, *gorm.DB) (int, error) { return fhir.MaxBytes, nil }

func kindSQLite(err error) (syncerr.Kind, string) {
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case 13: // SQLITE_FULL
			return syncerr.StorageFull, "The disk is full; free some space, everything goes on by itself"
		case 5, 6, 10, 14: // BUSY, LOCKED, IOERR, CANTOPEN
			return syncerr.Unavailable, "The database file cannot be reached now; check the disk"
		case 8: // READONLY
			return syncerr.Unavailable, "The database file is read-only; check the disk and the file's owner"
		case 11, 26: // CORRUPT, NOTADB
			return syncerr.Internal, "The database file is damaged; restore a backup with `tributary doctor` at hand"
		}
	}
	if strings.Contains(err.Error(), "disk is full") {
		return syncerr.StorageFull, "The disk is full; free some space, everything goes on by itself"
	}
	return syncerr.Internal, ""
}

// sqliteDialector is what GORM has to know of SQLite for the table that it maps. The schema is the migrations' and not GORM's, so
// that column types and the migrator are not asked for.
type sqliteDialector struct{ db *sql.DB }

// Name is the dialect's name.
func (sqliteDialector) Name() string { return "sqlite" }

// Initialize gives GORM the connections and the clauses that SQLite's statements have.
func (d sqliteDialector) Initialize(g *gorm.DB) error {
	g.ConnPool = d.db
	callbacks.RegisterDefaultCallbacks(g, &callbacks.Config{
		CreateClauses: []string{"INSERT", "VALUES", "ON CONFLICT"},
		UpdateClauses: []string{"UPDATE", "SET", "WHERE"},
		DeleteClauses: []string{"DELETE", "FROM", "WHERE"},
	})
	return nil
}

// Migrator is nil: goose migrates.
func (sqliteDialector) Migrator(*gorm.DB) gorm.Migrator { return nil }

// DataTypeOf is asked by a migrator only.
func (sqliteDialector) DataTypeOf(f *schema.Field) string { return string(f.DataType) }

// DefaultValueOf stands in a multi-row INSERT for a value that the database gives.
func (sqliteDialector) DefaultValueOf(*schema.Field) clause.Expression {
	return clause.Expr{SQL: "NULL"}
}

// BindVarTo writes the place of an argument.
func (sqliteDialector) BindVarTo(w clause.Writer, _ *gorm.Statement, _ any) { _ = w.WriteByte('?') }

// QuoteTo writes an identifier, each part of a qualified one by itself.
func (sqliteDialector) QuoteTo(w clause.Writer, name string) {
	parts := strings.Split(name, ".")
	for i, p := range parts {
		parts[i] = `"` + strings.ReplaceAll(strings.Trim(p, "`"), `"`, `""`) + `"`
	}
	_, _ = w.WriteString(strings.Join(parts, "."))
}

// Explain writes a statement with its arguments, for a log of GORM's that this program has not.
func (sqliteDialector) Explain(text string, args ...any) string {
	return logger.ExplainSQL(text, nil, `'`, args...)
}
