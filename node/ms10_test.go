package node_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// calendar is the clock of some nodes.
type calendar struct{ now time.Time }

func (c *calendar) deps() node.Deps { return node.Deps{Clock: func() time.Time { return c.now }} }

// still is a node that does only what it is told: nothing of it runs by itself.
type still struct {
	*node.Node
	t   *testing.T
	cfg config.Config
	cal *calendar
	srv *httptest.Server
}

func newStill(t *testing.T, cal *calendar, name string, parent *still, change ...func(*config.Config)) *still {
	t.Helper()
	dir := t.TempDir()
	cfg := config.Default()
	cfg.Conflicts.Default = reconcile.LastWriterWins // these tests write whole documents
	cfg.Node.Name, cfg.Node.DataDir, cfg.Store.DSN = name, dir, filepath.Join(dir, "tributary.db")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Node.Listen, cfg.Node.URL = l.Addr().String(), "http://"+l.Addr().String()
	s := &still{t: t, cfg: cfg, cal: cal}
	if parent != nil {
		s.admittedBy(parent)
	}
	for _, c := range change {
		c(&s.cfg)
	}
	if err := node.Init(t.Context(), s.cfg, cal.deps()); err != nil {
		t.Fatal(err)
	}
	s.srv = &httptest.Server{Listener: l, Config: &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.Handler().ServeHTTP(w, r) }),
		ReadHeaderTimeout: time.Minute,
	}}
	s.open()
	s.srv.Start()
	t.Cleanup(func() {
		s.srv.Close()
		s.close()
	})
	return s
}

func (s *still) admittedBy(parent *still) {
	s.t.Helper()
	c, err := parent.Control().AddChild(context.Background(), s.cfg.Node.Name, "")
	if err != nil {
		s.t.Fatal(err)
	}
	s.cfg.Parent.URL, s.cfg.Parent.Credential = parent.cfg.Node.URL, c.Credential
}

func (s *still) open() {
	s.t.Helper()
	n, err := node.New(context.Background(), s.cfg, s.cal.deps())
	if err != nil {
		s.t.Fatal(err)
	}
	s.Node = n
}

func (s *still) close() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Error(err)
	}
}

// put writes a Patient; without a text it deletes it.
func (s *still) put(id, text string) {
	s.t.Helper()
	w := engine.Write{Op: engine.Delete, Key: fhir.Key{Type: "Patient", ID: id}}
	if text != "" {
		r, err := fhir.Parse([]byte(`{"resourceType":"Patient","id":"`+id+`","text":{"status":"generated","div":"`+text+`"}}`), 0)
		if err != nil {
			s.t.Fatal(err)
		}
		w = engine.Write{Op: engine.Update, Key: r.Key, Body: r}
	}
	if _, err := s.Engine().Author(context.Background(), "test", []engine.Write{w}); err != nil {
		s.t.Fatal(err)
	}
}

// exchange runs passes of nodes, one after the other; a minute passes before each.
func exchange(t *testing.T, nodes ...*still) {
	t.Helper()
	for _, s := range nodes {
		s.cal.now = s.cal.now.Add(time.Minute)
		if _, err := s.Sync(context.Background(), "both"); err != nil {
			t.Fatalf("%s: %v", s.cfg.Node.Name, err)
		}
	}
}

// copyOf returns a Patient as it stands; false where there is nothing, not even a tombstone.
func (s *still) copyOf(id string) (store.Copy, bool) {
	s.t.Helper()
	c, ok, err := s.Engine().Store().Get(context.Background(), fhir.Key{Type: "Patient", ID: id})
	if err != nil {
		s.t.Fatal(err)
	}
	return c, ok
}

// want checks what stands of Patients: a text in each, "" for none that lives.
func (s *still) want(what string, patients map[string]string) {
	s.t.Helper()
	for id, text := range patients {
		c, ok := s.copyOf(id)
		if live := ok && !c.Stamp.Deleted; live != (text != "") || !strings.Contains(string(c.Body), text) {
			s.t.Errorf("%s: at %s %s is %q (live %v), want %q", what, s.cfg.Node.Name, id, c.Body, live, text)
		}
	}
}

// collect lets a year go by and takes out what nobody waits for.
func (s *still) collect(gone ...string) {
	s.t.Helper()
	s.cal.now = s.cal.now.Add(365 * 24 * time.Hour)
	if err := s.Upkeep(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	for _, id := range gone {
		if _, ok := s.copyOf(id); ok {
			s.t.Errorf("%s still has the tombstone of %s", s.cfg.Node.Name, id)
		}
	}
}

// MS10: a clinic that was away for longer than tombstones are kept resurrects nothing, over two hops; what it wrote meanwhile stays, also of
// a record that was deleted, and that is recorded; a key that is excepted at its parent is not removed.
func TestAwayForLongerThanTombstonesStay(t *testing.T) {
	cal := &calendar{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	nation := newStill(t, cal, "nation", nil)
	district := newStill(t, cal, "district", nation)
	clinic := newStill(t, cal, "clinic", district)
	for _, id := range []string{"stays", "deleted", "edited", "excepted"} {
		nation.put(id, "first")
	}
	clinic.put("own", "first")
	exchange(t, district, clinic, district)
	clinic.want("before", map[string]string{"stays": "first", "deleted": "first", "edited": "first", "excepted": "first", "own": "first"})

	if err := district.Control().RemoveChild(t.Context(), "clinic"); err != nil {
		t.Fatal(err)
	}
	clinic.put("edited", "by the clinic")
	clinic.put("new", "by the clinic")
	nation.put("stays", "second")
	for _, id := range []string{"deleted", "edited", "excepted", "own"} {
		nation.put(id, "")
	}
	exchange(t, district, district)
	district.collect("deleted", "edited", "excepted", "own")
	exchange(t, district)
	nation.collect("deleted", "edited", "excepted", "own")
	if err := district.Engine().Store().Write(t.Context(), func(tx *store.Tx) error {
		return tx.Except(fhir.Key{Type: "Patient", ID: "excepted"}, version.Version{Replica: "00000000-0000-4000-8000-00000000000a", Tick: 1})
	}); err != nil {
		t.Fatal(err)
	}

	clinic.close()
	clinic.admittedBy(district)
	clinic.open()
	all := map[string]string{"stays": "second", "deleted": "", "edited": "by the clinic", "own": "", "new": "by the clinic"}
	exchange(t, clinic)
	clinic.want("after one pass", all)
	clinic.want("after one pass", map[string]string{"excepted": "first"})
	exchange(t, district, clinic, district, clinic)
	for _, s := range []*still{clinic, district, nation} {
		s.want("at the end", all)
	}
	rows, err := clinic.Engine().Store().AuditRecords(t.Context(), audit.Query{Outcome: audit.Decided})
	if err != nil || len(rows) != 1 || rows[0].Key.ID != "edited" || !strings.Contains(rows[0].Details, "kept against a deletion") {
		t.Errorf("the audit of what was kept: %+v, %v", rows, err)
	}
	rows, err = clinic.Engine().Store().AuditRecords(t.Context(), audit.Query{Operation: audit.Pull, Outcome: audit.Done})
	if err != nil || len(rows) != 1 || rows[0].Action != "CATCH-UP" || !strings.Contains(rows[0].Details, "not kept any more") {
		t.Errorf("the audit of the cursor below what the log keeps: %+v, %v", rows, err)
	}
	rows, err = clinic.Engine().Store().AuditRecords(t.Context(), audit.Query{Operation: audit.Pull, Type: "Patient", ID: "deleted"})
	if err != nil || len(rows) == 0 || !strings.Contains(rows[0].Details, "full comparison") {
		t.Errorf("the audit of what was removed: %+v, %v", rows, err)
	}
}

// The other direction: what a clinic deleted and collected comes back at its parent, whose database was put back. It is deleted again.
func TestParentLostWhatWasDeletedAndCollected(t *testing.T) {
	cal := &calendar{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	district := newStill(t, cal, "district", nil)
	clinic := newStill(t, cal, "clinic", district)
	clinic.put("deleted", "first")
	clinic.put("stays", "first")
	district.put("theirs", "first")
	exchange(t, clinic, clinic)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := district.Control().Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	clinic.put("deleted", "")
	clinic.put("theirs", "")
	exchange(t, clinic, clinic)
	clinic.collect("deleted", "theirs")

	district.close()
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(district.cfg.Store.DSN + suffix); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if err := os.Rename(backup, district.cfg.Store.DSN); err != nil {
		t.Fatal(err)
	}
	district.open()
	district.put("edited", "offline")
	district.want("put back", map[string]string{"deleted": "first", "theirs": "first"})
	exchange(t, clinic, clinic)
	for _, s := range []*still{clinic, district} {
		s.want("at the end", map[string]string{"deleted": "", "theirs": "", "stays": "first", "edited": "offline"})
	}
}
