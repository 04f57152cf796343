package pull_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/pull"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

const (
	replica = "11111111-1111-4111-8111-111111111111"
	epoch   = "22222222-2222-4222-8222-222222222222"
)

// parent answers as a test tells it.
type parent struct {
	page  func(w http.ResponseWriter, r *http.Request)
	fetch func(w http.ResponseWriter, r *http.Request)
}

func (p *parent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Tributary-Protocol", "1")
	switch r.URL.Path {
	case "/sync/node":
		_ = json.NewEncoder(w).Encode(feed.Peer{Protocol: 1, Node: "parent", Replica: replica, Epoch: epoch})
	case "/sync/fetch":
		p.fetch(w, r)
	default:
		p.page(w, r)
	}
}

type world struct {
	t   *testing.T
	st  *store.Store
	p   *pull.Puller
	now time.Time
}

func newWorld(t *testing.T, p *parent) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	st, err := store.Create(context.Background(), store.Options{DSN: filepath.Join(t.TempDir(), "n.db"), Volatile: true, Clock: clock}, "child", 10)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(p)
	t.Cleanup(func() {
		srv.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	c := clients.NewNode(srv.URL, func() (string, error) { return "x", nil }, clients.Self{Node: "child", Replica: func() string { return "r" }}, srv.Client().Transport)
	m := resourcemanager.New(func(string) string { return "node" }, map[string]resourcemanager.Client{"node": c})
	w.st = st
	w.p = pull.New(engine.New(st, engine.Config{}), pull.Parent{Source: c, Manager: m, Hello: c.Hello, Traffic: c.Traffic},
		pull.Config{ParentURL: srv.URL, Clock: clock, Inline: 100})
	return w
}

func (w *world) position() store.Position {
	w.t.Helper()
	p, err := w.st.Position(context.Background(), "parent", "pull")
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// line is an event as the parent sends it.
func line(seq uint64, id, text string) string {
	r, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":"Basic","id":%q,"code":{"text":%q}}`, id, text), 0)
	if err != nil {
		panic(err)
	}
	v := version.Version{Replica: replica, Tick: seq}
	e := feed.Event{
		Seq: seq, Key: r.Key, Action: feed.Created, Committed: 1, Content: r.Body,
		Stamp: version.Stamp{Version: v, Vector: version.Vector{v}, Author: replica, Authored: 1, Origin: v, Hash: r.Hash()},
	}
	var b strings.Builder
	if err := feed.NewEncoder(&b).Event(e); err != nil {
		panic(err)
	}
	return b.String()
}

func end(seq int) string { return fmt.Sprintf("{\"end\":{\"cursor\":\"%s:%d\"}}\n", epoch, seq) }

// A page that is not what a node sends is refused: the cursor stands behind what came whole before it, and the audit says so.
func TestHostilePages(t *testing.T) {
	for _, c := range []struct {
		name, body string
		kind       syncerr.Kind
		seq        uint64 // where the cursor stands afterwards
	}{
		{"truncated in a line", line(1, "a", "x") + line(2, "b", "x")[:40], syncerr.Transient, 1},
		{"without its last line", line(1, "a", "x"), syncerr.Transient, 1},
		{"not JSON", "<html>", syncerr.Invalid, 0},
		{"malformed after an event", line(1, "a", "x") + "{\"seq\":\n" + end(2), syncerr.Invalid, 0},
		{"out of order", line(2, "a", "x") + line(1, "b", "x") + end(2), syncerr.Invalid, 0},
		{"the same event twice", line(1, "a", "x") + line(1, "a", "x") + end(1), syncerr.Invalid, 0},
		{"ends behind its own events", line(5, "a", "x") + end(3), syncerr.Invalid, 0},
		{"ends in another log", line(1, "a", "x") + strings.ReplaceAll(end(1), epoch, replica), syncerr.Invalid, 0},
		{"says that it failed", line(1, "a", "x") + `{"error":{"kind":"transient","text":"the database is away"}}` + "\n", syncerr.Transient, 1},
		{"a line without an end", strings.Repeat(" ", 30<<20), syncerr.TooLarge, 0},
		{"doubled names", `{"seq":1,"seq":1,"key":"Basic/a"}` + "\n" + end(1), syncerr.Invalid, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &parent{page: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(c.body)) }}
			w := newWorld(t, p)
			run, err := w.p.Pass(context.Background(), 0)
			if syncerr.KindOf(err) != c.kind {
				t.Errorf("got %v (%s), want %s", err, syncerr.KindOf(err), c.kind)
			}
			if got := w.position().Seq; got != c.seq {
				t.Errorf("the cursor stands at %d, want %d", got, c.seq)
			}
			if run.Outcome != "failed" {
				t.Errorf("the run is %q", run.Outcome)
			}
			rows, err := w.st.AuditRecords(context.Background(), audit.Query{Outcome: audit.Failed})
			if err != nil || len(rows) != 1 || rows[0].Details == "" {
				t.Errorf("audit: %v %v", rows, err)
			}
		})
	}
}

// A bad record is parked, the others go on; it is tried again on schedule with a fresh content, and is gone once it could be taken.
func TestParkedAndRetried(t *testing.T) {
	good, bad := line(1, "good", "x"), strings.Replace(line(2, "bad", "x"), `"text":"x"`, `"text":"damaged"`, 1)
	whole := strings.Replace(line(2, "bad", "x"), `"seq":2,`, "", 1)
	sent := false
	p := &parent{
		page: func(w http.ResponseWriter, r *http.Request) {
			if !sent {
				_, _ = w.Write([]byte(good + bad))
			}
			sent = true
			_, _ = w.Write([]byte(end(2)))
		},
		fetch: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(whole + end(2))) },
	}
	w := newWorld(t, p)
	ctx := context.Background()
	run, err := w.p.Pass(ctx, 0)
	if err != nil || run.Read != 2 || run.Applied != 1 || run.Parked != 1 {
		t.Fatalf("%+v %v", run, err)
	}
	parked, err := w.st.Parked(ctx, store.ParkedFilter{})
	if err != nil || len(parked) != 1 || parked[0].Key.ID != "bad" || !strings.Contains(parked[0].Reason, "hash") {
		t.Fatalf("parked: %+v %v", parked, err)
	}
	if w.position().Seq != 2 {
		t.Errorf("a bad record holds the cursor at %d", w.position().Seq)
	}
	if run, err := w.p.Pass(ctx, 0); err != nil || run.Read != 0 {
		t.Errorf("it was tried before it was due: %+v %v", run, err)
	}
	w.now = w.now.Add(2 * time.Minute)
	if run, err := w.p.Pass(ctx, 0); err != nil || run.Applied != 1 {
		t.Errorf("the retry: %+v %v", run, err)
	}
	if parked, err = w.st.Parked(ctx, store.ParkedFilter{}); err != nil || len(parked) != 0 {
		t.Errorf("still parked: %+v %v", parked, err)
	}
}

// What the feed left out is fetched; the parent's log in a new epoch is read again from its start.
func TestFetchAndNewEpoch(t *testing.T) {
	full := line(1, "big", strings.Repeat("x", 500))
	i := strings.Index(full, `,"content":`)
	bare := full[:i] + `,"size":560}` + "\n"
	refuse := true
	p := &parent{
		page: func(w http.ResponseWriter, r *http.Request) {
			if refuse && r.URL.Query().Get("after") != epoch+":0" {
				w.WriteHeader(http.StatusConflict)
				return
			}
			_, _ = w.Write([]byte(bare + end(1)))
		},
		fetch: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.Replace(full, `"seq":1,`, "", 1) + end(1)))
		},
	}
	w := newWorld(t, p)
	ctx := context.Background()
	err := w.st.Write(ctx, func(tx *store.Tx) error {
		return tx.SetPosition("parent", "pull", store.Position{Scope: "*", Cursor: feed.Cursor{Epoch: replica, Seq: 99}})
	})
	if err != nil {
		t.Fatal(err)
	}
	run, err := w.p.Pass(ctx, 0)
	if err != nil || run.Applied != 1 {
		t.Fatalf("%+v %v", run, err)
	}
	if c, ok, err := w.st.Get(ctx, fhir.Key{Type: "Basic", ID: "big"}); err != nil || !ok || len(c.Body) < 500 {
		t.Errorf("content: %d bytes, %v %v", len(c.Body), ok, err)
	}
	if pos := w.position(); pos.Epoch != epoch || pos.Seq != 1 {
		t.Errorf("cursor: %v", pos.Cursor)
	}
	rows, err := w.st.AuditRecords(ctx, audit.Query{Operation: audit.Pull})
	if err != nil || rows[len(rows)-1].Action != "CATCH-UP" {
		t.Errorf("the catch-up is not in the audit: %v %v", rows, err)
	}
}
