// Package testdb gives a test its own empty database: a file for SQLite, a new schema on the private MariaDB that `make test`
// starts for MySQL. It must not know any table of ours, and it must never let a test pass without a database: what is
// missing fails the test, because a skipped database test hides breakage.
package testdb

import (
	"context"
	"crypto/rand"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// EnvMySQL names the environment variable with the server to use: a DSN of go-sql-driver/mysql without a database name, such as
// root@unix(/run/test/sock)/, whose user may create databases.
const EnvMySQL = "TRIBUTARY_TEST_MYSQL"

// deadline bounds each statement that creates or drops a database.
const deadline = 30 * time.Second

// lockWait, in seconds, is how long the drop at the end waits for a transaction that the test left open.
const lockWait = "10"

// Each runs a test once on an empty SQLite database and once on an empty MySQL database, as the subtests "sqlite" and "mysql".
// driver is the value of store.driver in the configuration, dsn that of store.dsn. The databases are removed at the end.
func Each(t *testing.T, run func(t *testing.T, driver, dsn string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { run(t, "sqlite", SQLite(t)) })
	t.Run("mysql", func(t *testing.T) { run(t, "mysql", MySQL(t)) })
}

// SQLite returns the path of a database file that does not exist yet, alone in a folder which is removed at the end.
func SQLite(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "tributary.db")
}

// MySQL returns the DSN of a new, empty database on the server that EnvMySQL names, with binary collation as the store needs
// it. The database is dropped at the end; a test that still holds a transaction open then fails. A missing or dead server fails
// the test at once.
func MySQL(t testing.TB) string {
	t.Helper()
	prefix := os.Getenv(EnvMySQL)
	if prefix == "" {
		t.Fatalf("%s is not set: run make test, which starts a private MariaDB (or, in your shell: eval \"$(scripts/mariadb.sh start)\")", EnvMySQL)
	}
	cfg, err := mysql.ParseDSN(prefix)
	if err != nil {
		t.Fatalf("read %s: %v", EnvMySQL, err)
	}
	server := cfg.Clone()
	if server.Params == nil {
		server.Params = map[string]string{}
	}
	server.Params["lock_wait_timeout"] = lockWait

	name := "tributary_" + strings.ToLower(rand.Text()[:16])
	if err := execute(server, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"); err != nil {
		t.Fatalf("create a database on the server of %s: %v", EnvMySQL, err)
	}
	t.Cleanup(func() {
		if err := execute(server, "DROP DATABASE "+name); err != nil {
			t.Errorf("drop database %s: %v (does the test leave a transaction open?)", name, err)
		}
	})
	cfg.DBName = name
	return cfg.FormatDSN()
}

// execute runs one statement on a connection of its own, so that no pool outlives the test.
func execute(cfg *mysql.Config, statement string) error {
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	_, err = db.ExecContext(ctx, statement)
	return err
}
