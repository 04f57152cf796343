package store_test

import (
	"database/sql"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// update writes the dump of the newest schema. A dump of a schema that was released never changes again.
var update = flag.Bool("update", false, "write the dump of the newest schema into testdata/schema")

// raw opens a database without any of our code.
func raw(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// execute runs one statement on MySQL.
func execute(t *testing.T, dsn, statement string) {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func TestMigrateRefusesANewerSchema(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		if n := w.Schema(t.Context()); n < 1 {
			t.Fatalf("schema %d", n)
		}
		if _, err := raw(t, driver, dsn).Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9000, 1)"); err != nil {
			t.Fatal(err)
		}
		_, err := store.Open(t.Context(), w.options())
		wantKind(t, "open", err, syncerr.Usage, "Upgrade this program")
		if !strings.Contains(err.Error(), "version 9000") {
			t.Errorf("it says %q", err)
		}
		_, err = store.Create(t.Context(), w.options(), "clinic", 10)
		wantKind(t, "create", err, syncerr.Usage, "Upgrade this program")
	})
}

// The rows in each dump.
var (
	dumpLocal    = stampBy(version.Version{Replica: far, Tick: 3}, version.Version{Replica: further, Tick: 1})
	dumpIncoming = stampBy(version.Version{Replica: further, Tick: 2})
)

const (
	dumpBody = `{"resourceType":"Patient","id":"p1","name":[{"family":"O'Žofie \\ \"日本\""}]}`
	dumpUUID = "00000000-0000-4000-8000-0000000000cc"
)

func dumpLong() string { return strings.Repeat(dumpBody, 20) } // long enough to be stored compressed

// fillDump writes a few rows of each kind.
func (w *world) fillDump() {
	w.put(key("Patient", "p1"), dumpBody)
	w.put(key("Patient", "p1"), dumpLong())
	w.put(key("Patient", "P1"), dumpBody)
	w.put(key("Patient", "P1"), "")
	w.do(func(tx *store.Tx) error {
		if _, err := tx.Put(store.Change{Key: key("Encounter", "e1"), Action: feed.Created, Stamp: dumpLocal, Content: w.Pack([]byte(dumpBody), search.Values(key("Encounter", "e1"), []byte(`{"identifier":[{"system":"urn:s","value":"v"}]}`))), Source: "north"}); err != nil {
			return err
		}
		tx.Audit(audit.Record{Operation: audit.Receive, Outcome: audit.Applied, Key: key("Encounter", "e1"), Version: dumpLocal.Version, Peer: "north", Details: "it's\nfine"})
		if err := tx.SetPosition("district", "pull", store.Position{Cursor: feed.Cursor{Epoch: dumpUUID, Seq: 12}, Scope: "Patient"}); err != nil {
			return err
		}
		if err := tx.Park(store.Parked{Direction: "pull", Peer: "district", Key: key("Patient", "bad"), Stamp: dumpIncoming, Content: []byte{0, 1, 0xff}, Reason: "bad"}); err != nil {
			return err
		}
		if err := tx.Hold(store.Held{Key: key("Patient", "p1"), Peer: "district", Action: feed.Updated, Stamp: dumpIncoming, Content: []byte(dumpBody)}); err != nil {
			return err
		}
		if err := tx.OpenRun(audit.Run{ID: dumpUUID, Direction: "pull", Peer: "district", Started: tx.Now()}); err != nil {
			return err
		}
		if err := tx.AddChild(store.Participant{ID: "c1", Name: "north", Credential: "hash"}); err != nil {
			return err
		}
		_, err := tx.PutConflict(store.Conflict{
			UUID: dumpUUID, Key: key("Patient", "p1"), Status: store.ConflictOpen, Rule: "manual", Peer: "north",
			Local: dumpLocal, LocalContent: []byte(dumpBody), Incoming: dumpIncoming, IncomingContent: []byte(`{"i":1}`),
		})
		return err
	})
}

// TestMigrateFromEveryReleasedSchema restores the dump of each schema that there was into an empty database and opens it with this
// program: the rows are all there, and the node goes on.
func TestMigrateFromEveryReleasedSchema(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		if *update {
			other := dsn + ".source"
			if driver == "mysql" {
				other = testdb.MySQL(t)
			}
			w := newWorld(t, driver, other)
			w.fillDump()
			name := fmt.Sprintf("../testdata/schema/%s-%d.sql", driver, w.Schema(t.Context()))
			if err := os.WriteFile(name, []byte(dump(t, driver, raw(t, driver, other))), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		dumps, err := filepath.Glob("../testdata/schema/" + driver + "-*.sql")
		if err != nil || len(dumps) == 0 {
			t.Fatalf("no dumps: %v", err)
		}
		for i, name := range dumps {
			t.Run(filepath.Base(name), func(t *testing.T) {
				to := fmt.Sprint(dsn, i)
				if driver == "mysql" {
					to = testdb.MySQL(t)
				}
				restore(t, raw(t, driver, to), name)
				w := &world{t: t, driver: driver, dsn: to}
				w.millis.Store(1_800_000_000_000)
				w.Store = w.again()
				w.checkDump()
			})
		}
	})
}

func (w *world) checkDump() {
	t, ctx := w.t, w.t.Context()
	id := w.Identity()
	if id.Name != "clinic" || id.PageSize != 4 || !id.Replica.Valid() || !version.Replica(id.Epoch).Valid() {
		t.Errorf("identity %+v", id)
	}
	rows := w.log()
	if len(rows) != 5 || rows[4].Source != "north" {
		t.Fatalf("log: %+v", rows)
	}
	if c := w.get(key("Patient", "p1")); string(c.Body) != dumpLong() || c.Stamp.Version != (version.Version{Replica: id.Replica, Tick: 2}) {
		t.Errorf("p1: %s, %+v", c.Body, c.Stamp)
	}
	if c := w.get(key("Patient", "P1")); !c.Stamp.Deleted {
		t.Errorf("P1: %+v", c)
	}
	e := w.get(key("Encounter", "e1"))
	same(t, "stamp of e1", e.Stamp, dumpLocal)
	w.look(func(r *store.Reader) error {
		h, err := r.History(key("Patient", "P1"), 0, 10)
		if err != nil || len(h) != 2 || string(h[1].Body) != dumpBody || h[1].Action != feed.Created {
			t.Errorf("history: %+v, %v", h, err)
		}
		return nil
	})
	if found, err := w.Search(ctx, parse(t, "Encounter", "identifier=urn:s|v")); err != nil || len(found.Copies) != 1 {
		t.Errorf("search: %+v, %v", found, err)
	}
	records, err := w.AuditRecords(ctx, audit.Query{})
	if err != nil || len(records) != 1 || records[0].Version != dumpLocal.Version || records[0].Details != "it's\nfine" || records[0].Time == 0 {
		t.Errorf("audit: %+v, %v", records, err)
	}
	conflicts, err := w.Conflicts(ctx, store.ConflictFilter{UUID: dumpUUID})
	if err != nil || len(conflicts) != 1 || string(conflicts[0].LocalContent) != dumpBody {
		t.Fatalf("conflict: %+v, %v", conflicts, err)
	}
	same(t, "its stamps", []version.Stamp{conflicts[0].Local, conflicts[0].Incoming}, []version.Stamp{dumpLocal, dumpIncoming})
	parked, err := w.Parked(ctx, store.ParkedFilter{})
	if err != nil || len(parked) != 1 || string(parked[0].Content) != "\x00\x01\xff" || parked[0].Stamp.Version != dumpIncoming.Version {
		t.Errorf("parked: %+v, %v", parked, err)
	}
	held, err := w.Held(ctx, 0)
	if err != nil || len(held) != 1 || string(held[0].Content) != dumpBody {
		t.Errorf("held: %+v, %v", held, err)
	}
	if p, err := w.Position(ctx, "district", "pull"); err != nil || p.Seq != 12 || p.Epoch != dumpUUID || p.Scope != "Patient" {
		t.Errorf("position: %+v, %v", p, err)
	}
	if _, ok, err := w.ParticipantBy(ctx, store.KindChild, "north", "hash"); !ok || err != nil {
		t.Errorf("child: %v, %v", ok, err)
	}
	if runs, err := w.Runs(ctx, "pull", 5); err != nil || len(runs) != 1 || runs[0].Outcome != "running" {
		t.Errorf("runs: %+v, %v", runs, err)
	}
	if s := w.put(key("Patient", "p1"), "next"); s.Version.Tick != 5 || w.log()[5].Seq != 6 {
		t.Errorf("it does not go on: %s", s.Version)
	}
}

// restore runs a dump: statements that end with ";" at the end of a line.
func restore(t *testing.T, db *sql.DB, name string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range strings.Split(strings.TrimSpace(string(text)), ";\n") {
		if _, err := db.Exec(strings.TrimSuffix(statement, ";")); err != nil {
			t.Fatalf("%.200s: %v", statement, err)
		}
	}
}

// dump writes the schema and all rows as statements.
func dump(t *testing.T, driver string, db *sql.DB) string {
	t.Helper()
	tables := column(t, db, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'", driver == "sqlite")
	tables = append(tables, column(t, db, "SHOW TABLES", driver == "mysql")...)
	slices.Sort(tables)
	var out strings.Builder
	for _, name := range tables {
		definition := column(t, db, "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name = '"+name+"' ORDER BY type DESC, name", driver == "sqlite")
		if driver == "mysql" {
			var same, create string
			if err := db.QueryRow("SHOW CREATE TABLE "+name).Scan(&same, &create); err != nil {
				t.Fatal(err)
			}
			definition = []string{create}
		}
		for _, d := range definition {
			out.WriteString(d + ";\n")
		}
		out.WriteString(inserts(t, db, driver, name))
	}
	return out.String()
}

func column(t *testing.T, db *sql.DB, query string, wanted bool) (out []string) {
	t.Helper()
	if !wanted {
		return nil
	}
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func inserts(t *testing.T, db *sql.DB, driver, table string) string {
	t.Helper()
	rows, err := db.Query("SELECT * FROM " + table + " ORDER BY 1, 2")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = literal(v, driver, columns[i].DatabaseTypeName())
		}
		fmt.Fprintf(&out, "INSERT INTO %s VALUES (%s);\n", table, strings.Join(texts, ", "))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// literal writes a value as both databases read it back.
func literal(v any, driver, kind string) string {
	blob := strings.Contains(kind, "BLOB") || strings.Contains(kind, "BINARY")
	switch v := v.(type) {
	case nil:
		return "NULL"
	case []byte:
		if blob {
			return "x'" + hex.EncodeToString(v) + "'"
		}
		return literal(string(v), driver, kind)
	case string:
		if driver == "mysql" {
			v = strings.NewReplacer("\\", "\\\\", "\n", "\\n").Replace(v)
		}
		return "'" + strings.ReplaceAll(v, "'", "''") + "'"
	case time.Time:
		return v.UTC().Format("'2006-01-02 15:04:05'")
	default:
		return fmt.Sprint(v)
	}
}
