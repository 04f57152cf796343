package testdb_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	_ "modernc.org/sqlite"

	"github.com/tributary-sync/tributary/internal/testdb"
)

func TestEachGivesAnEmptyWritableDatabase(t *testing.T) {
	var ran []string
	seen := map[string]bool{}
	for range 2 {
		testdb.Each(t, func(t *testing.T, driver, dsn string) {
			ran = append(ran, driver)
			if seen[dsn] {
				t.Errorf("%s was given twice", dsn)
			}
			seen[dsn] = true
			db := open(t, driver, dsn)
			for _, statement := range []string{
				"CREATE TABLE resource (id VARCHAR(64) PRIMARY KEY, body TEXT)",
				"INSERT INTO resource VALUES ('abc', 'ž日本😀')",
				"INSERT INTO resource VALUES ('ABC', '')", // FHIR ids differ by case
			} {
				if _, err := db.Exec(statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			var body string
			if err := db.QueryRow("SELECT body FROM resource WHERE id = 'abc'").Scan(&body); err != nil || body != "ž日本😀" {
				t.Errorf("got %q, %v, want the text as written", body, err)
			}
		})
	}
	if got, want := strings.Join(ran, " "), "sqlite mysql sqlite mysql"; got != want {
		t.Errorf("ran on %s, want %s", got, want)
	}
}

func TestDatabasesAreRemoved(t *testing.T) {
	var file, dsn string
	t.Run("use", func(t *testing.T) {
		file, dsn = testdb.SQLite(t), testdb.MySQL(t)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := os.Stat(filepath.Dir(file)); !os.IsNotExist(err) {
		t.Errorf("the folder of %s is still there: %v", file, err)
	}
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if name := cfg.DBName; !strings.HasPrefix(name, "tributary_") {
		t.Fatalf("database %q does not say whose it is", name)
	}
	gone := cfg.DBName
	cfg.DBName = ""
	var n int
	query := "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?"
	if err := open(t, "mysql", cfg.FormatDSN()).QueryRow(query, gone).Scan(&n); err != nil || n != 0 {
		t.Errorf("database %s: %d left, %v", gone, n, err)
	}
}

func TestMissingServerFails(t *testing.T) {
	tests := []struct{ name, env, want string }{
		{"not set", "", "run make test, which starts a private MariaDB"},
		{"not a DSN", "root:root", "read TRIBUTARY_TEST_MYSQL"},
		{"nobody listens", "root@unix(" + filepath.Join(t.TempDir(), "sock") + ")/", "create a database on the server of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(testdb.EnvMySQL, tt.env)
			got := fatal(t, func(tb testing.TB) { testdb.MySQL(tb) })
			if !strings.Contains(got, tt.want) {
				t.Errorf("failed with %q, want %q in it", got, tt.want)
			}
		})
	}
}

func open(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// recorder keeps what a helper fails with; panicking out of it is the only way to end the helper but not the test.
type recorder struct{ testing.TB }

type failure string

func (recorder) Fatalf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

func fatal(t *testing.T, run func(testing.TB)) (message string) {
	t.Helper()
	defer func() {
		switch r := recover().(type) {
		case failure:
			message = string(r)
		case nil:
			t.Error("it did not fail")
		default:
			panic(r)
		}
	}()
	run(recorder{t})
	return ""
}
