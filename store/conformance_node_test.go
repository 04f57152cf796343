package store_test

import (
	"net"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

func TestConformanceChildren(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		try := func(fn func(*store.Tx) error) error { return w.Write(t.Context(), fn) }
		north := store.Participant{ID: "c1", Name: "north", Credential: "hash-1"}
		w.do(func(tx *store.Tx) error { return tx.AddChild(north) })
		err := try(func(tx *store.Tx) error {
			return tx.AddChild(store.Participant{ID: "c2", Name: "north", Credential: "hash-2"})
		})
		wantKind(t, "a name twice", err, syncerr.Conflict, "tributary child remove north")
		w.do(func(tx *store.Tx) error {
			return tx.AddChild(store.Participant{ID: "c3", Name: "North", Credential: "hash-3"})
		})
		w.do(func(tx *store.Tx) error {
			return tx.SaveParticipant(store.Participant{ID: "p", Kind: store.KindParent, Name: "north", URL: "https://parent"})
		})

		north.Kind, north.Created = store.KindChild, w.millis.Load()
		got, ok, err := w.ParticipantBy(t.Context(), store.KindChild, "", "hash-1")
		if err != nil || !ok {
			t.Fatalf("by credential: %v, %v", ok, err)
		}
		same(t, "a child that was never here", got, north)
		if _, ok, err := w.ParticipantBy(t.Context(), store.KindChild, "", "HASH-1"); ok || err != nil {
			t.Errorf("a credential in other letters: %v, %v", ok, err)
		}
		north.Replica, north.Epoch, north.PublicKey, north.LastSeen, north.Seq = far, "e1", "key", w.millis.Load()+minute, 12
		for range 2 { // what is stored already is no missing row
			w.do(func(tx *store.Tx) error { return tx.TouchChild(north) })
		}
		all, err := w.Participants(t.Context(), store.KindChild)
		if err != nil || len(all) != 2 || all[0].Name != "North" {
			t.Fatalf("%+v, %v", all, err)
		}
		same(t, "touched", all[1], north)

		w.do(func(tx *store.Tx) error { return tx.RemoveChild("north") })
		wantKind(t, "remove twice", try(func(tx *store.Tx) error { return tx.RemoveChild("north") }), syncerr.NotFound, "tributary child list")
		wantKind(t, "touch a removed one", try(func(tx *store.Tx) error { return tx.TouchChild(north) }), syncerr.Denied, "")
		if _, ok, err := w.ParticipantBy(t.Context(), store.KindChild, "", "hash-1"); ok || err != nil {
			t.Errorf("the credential of a removed child: %v, %v", ok, err)
		}
		if p, ok, err := w.ParticipantBy(t.Context(), store.KindParent, "north", ""); !ok || err != nil || p.URL != "https://parent" {
			t.Errorf("the parent of that name: %+v, %v, %v", p, ok, err)
		}
	})
}

func TestConformanceCounts(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		got, err := w.Counts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "of a new node", got, store.Counts{Resources: map[string]int64{}})
		w.put(key("Patient", "a"), "1")
		w.put(key("Patient", "b"), "1")
		w.put(key("Patient", "a"), "2")
		w.put(key("Encounter", "e"), "1")
		w.put(key("Encounter", "f"), "1")
		w.put(key("Encounter", "f"), "")
		stamp := stampBy(version.Version{Replica: far, Tick: 1})
		w.do(func(tx *store.Tx) error {
			for _, id := range []string{"x", "y"} {
				if err := tx.Park(store.Parked{Direction: "pull", Peer: "district", Key: key("Patient", id), Stamp: stamp}); err != nil {
					return err
				}
			}
			for _, status := range []string{store.ConflictOpen, store.ConflictDecided, store.ConflictDecided} {
				if _, err := tx.PutConflict(store.Conflict{Key: key("Patient", "a"), Status: status, Local: stamp, Incoming: stamp}); err != nil {
					return err
				}
			}
			return tx.Hold(store.Held{Key: key("Patient", "a"), Action: feed.Updated, Stamp: stamp})
		})
		if got, err = w.Counts(t.Context()); err != nil {
			t.Fatal(err)
		}
		same(t, "counts", got, store.Counts{
			Resources: map[string]int64{"Patient": 2, "Encounter": 1},
			Total:     3, Deleted: 1, Changes: 6, Parked: 2, Held: 1, Open: 1, Conflicts: 3,
		})
	})
}

func TestConformanceNonces(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		for _, want := range [][2]string{{"", ""}, {"one", ""}, {"two", "one"}, {"three", "two"}} {
			if want[0] != "" {
				w.do(func(tx *store.Tx) error { return tx.SetNonce(want[0]) })
			}
			now, before, err := w.Nonces(t.Context())
			if err != nil || now != want[0] || before != want[1] {
				t.Errorf("%q after %q, %v, want %q", now, before, err, want)
			}
		}
	})
}

func TestConformanceMySQLThatDoesNotWork(t *testing.T) {
	dsn := testdb.MySQL(t)
	execute(t, dsn, "CREATE USER tributary_test IDENTIFIED BY 'right'")
	t.Cleanup(func() { execute(t, dsn, "DROP USER tributary_test") })
	change := func(fn func(*mysql.Config)) string {
		cfg, err := mysql.ParseDSN(dsn)
		if err != nil {
			t.Fatal(err)
		}
		fn(cfg)
		return cfg.FormatDSN()
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := silent.Addr().String()
	if err := silent.Close(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, dsn  string
		kind       syncerr.Kind
		hint, text string
	}{
		{"not a DSN", "host=localhost", syncerr.Usage, "user:password@tcp(host:3306)/database", "cannot be read"},
		{"wrong password", change(func(c *mysql.Config) { c.User, c.Passwd = "tributary_test", "secret-word" }), syncerr.Usage, "Check user, password", "open database"},
		{"a database that is not there", change(func(c *mysql.Config) { c.DBName = "tributary_nowhere" }), syncerr.Usage, "the database exists", "tributary_nowhere"},
		{"a database that is not the user's", change(func(c *mysql.Config) { c.User, c.Passwd = "tributary_test", "right" }), syncerr.Usage, "Check user, password", "open database"},
		{"nobody listens", change(func(c *mysql.Config) { c.Net, c.Addr = "tcp", nobody }), syncerr.Unavailable, "check that it runs", "open database"},
		{"no socket", change(func(c *mysql.Config) { c.Net, c.Addr = "unix", t.TempDir()+"/sock" }), syncerr.Unavailable, "check that it runs", "open database"},
		{"no such host", change(func(c *mysql.Config) { c.Net, c.Addr = "tcp", "tributary.invalid:3306" }), syncerr.Unavailable, "check that it runs", "open database"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, open := range []func() (*store.Store, error){
				func() (*store.Store, error) {
					return store.Open(t.Context(), store.Options{Driver: "mysql", DSN: tt.dsn})
				},
				func() (*store.Store, error) {
					return store.Create(t.Context(), store.Options{Driver: "mysql", DSN: tt.dsn}, "clinic", 10)
				},
			} {
				_, err := open()
				wantKind(t, tt.name, err, tt.kind, tt.hint)
				if !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "secret-word") {
					t.Errorf("it says %q", err)
				}
			}
		})
	}
}

// Under a collation that folds case two patients would be one.
func TestConformanceMySQLCollation(t *testing.T) {
	dsn := testdb.MySQL(t)
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	execute(t, dsn, "ALTER DATABASE "+cfg.DBName+" COLLATE utf8mb4_general_ci")
	_, err = store.Create(t.Context(), store.Options{Driver: "mysql", DSN: dsn}, "clinic", 10)
	wantKind(t, "a folding collation", err, syncerr.Usage, "utf8mb4_bin")
}
