package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/web"
)

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// passes is a node's loops as control sees them.
type passes struct{ links []control.LinkState }

func (p *passes) Sync(context.Context, string) ([]audit.Run, error) { return nil, nil }
func (p *passes) LinkState() []control.LinkState                    { return p.links }

// world is a node with a dashboard, and its parent.
type world struct {
	t        *testing.T
	clock    *clock
	passes   *passes
	ctl      *control.Control
	eng      *engine.Engine
	district *engine.Engine
	handler  http.Handler
	web      *web.Web
}

func open(t *testing.T, c *clock, name string) *engine.Engine {
	t.Helper()
	st, err := store.Create(context.Background(), store.Options{Driver: "sqlite", DSN: testdb.SQLite(t), Clock: c.Now, Volatile: true}, name, 10)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return engine.New(st, engine.Config{Policies: reconcile.Policies{Default: reconcile.LastWriterWins, Types: map[string]reconcile.Policy{"AllergyIntolerance": reconcile.Defer}}})
}

func newWorld(t *testing.T, name, parentURL string) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{at: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}, passes: &passes{}}
	cfg := config.Default()
	cfg.Node.Name, cfg.Node.URL, cfg.Parent.URL = "clinic", "http://clinic.example:8080", parentURL
	cfg.Servers = map[string]config.Server{"emr": {
		OpenMRS: "http://emr.example/openmrs", Pull: []config.TypeRule{{Type: "Patient", Client: config.ClientREST}}, Push: []config.TypeRule{{Type: "Location"}},
	}}
	cfg.Push.Types = []config.TypeRule{{Type: "*"}, {Type: "Media", Client: config.ClientREST}}
	w.eng, w.district = open(t, w.clock, name), open(t, w.clock, "district-hospital")
	w.ctl = control.New(w.eng, cfg, w.passes, control.Deps{Clock: w.clock.Now, Version: "0.1.0", PublicKey: "ed25519 AAAA", StartedAt: w.clock.Now()})
	mux := http.NewServeMux()
	w.web = web.New(w.ctl, nil)
	w.web.Register(mux, func(h http.Handler) http.Handler { return h })
	w.handler = mux
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) get(path string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.do(httptest.NewRequest(http.MethodGet, path, nil))
}

func (w *world) do(r *http.Request) *httptest.ResponseRecorder {
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	return out
}

// page returns the body of a page that must be there.
func (w *world) page(path string) string {
	w.t.Helper()
	out := w.get(path)
	if out.Code != http.StatusOK {
		w.t.Fatalf("%s: status %d\n%s", path, out.Code, out.Body)
	}
	return out.Body.String()
}

// edit writes a resource at a node and returns the change as it stands in the node's feed.
func (w *world) edit(e *engine.Engine, body string) feed.Event {
	w.t.Helper()
	ctx := context.Background()
	r, err := fhir.Parse([]byte(body), 0)
	w.must(err)
	out, err := e.Author(ctx, "local", []engine.Write{{Op: engine.Update, Key: r.Key, Body: r}})
	w.must(err)
	var found feed.Event
	w.must(e.Store().Read(ctx, func(rd *store.Reader) error {
		row, _, err := rd.Event(feed.Ref{Key: out[0].Key, Version: out[0].Stamp.Version})
		found = row.Event
		return err
	}))
	return found
}

// pull lets the node take changes from its parent.
func (w *world) pull(follows bool, run *audit.Run, events ...feed.Event) {
	w.t.Helper()
	id := w.district.Store().Identity()
	b := engine.Batch{
		Link:   engine.Link{Peer: "https://district.example", Epoch: id.Epoch, Follows: func(string) bool { return follows }},
		Events: events, Names: []feed.Name{{Replica: id.Replica, Node: id.Name}}, Run: run,
	}
	_, err := w.eng.Accept(context.Background(), b)
	w.must(err)
}

func (w *world) run(direction, outcome, problem string, during func(*audit.Run)) {
	w.t.Helper()
	ctx := context.Background()
	r := audit.Run{ID: w.eng.Store().NewUUID(), Direction: direction, Peer: "https://district.example", Started: w.ctl.Now()}
	w.must(w.eng.OpenRun(ctx, r))
	if during != nil {
		during(&r)
	}
	w.clock.Add(3 * time.Second)
	r.Finished, r.Outcome, r.Error, r.BytesIn = w.ctl.Now(), outcome, problem, 48_231
	w.must(w.eng.CloseRun(ctx, r))
}

func (w *world) write(fn func(*store.Tx) error) {
	w.t.Helper()
	w.must(w.eng.Store().Write(context.Background(), fn))
}

func patient(id, family string) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":%q,"name":[{"family":%q,"given":["Chikondi"]}],"birthDate":"1991-04-02"}`, id, family)
}

func allergy(id, substance string) string {
	return fmt.Sprintf(`{"resourceType":"AllergyIntolerance","id":%q,"patient":{"reference":"Patient/p-1"},"code":{"text":%q},"criticality":"high"}`, id, substance)
}

// busy fills a node as a clinic looks after some weeks: records, a parent, two children, a conflict that waits, one that was
// decided, a change that was set aside and a copy that waits for the parent. It returns the UUID of the open conflict.
func busy(t *testing.T, name string) (*world, string) {
	t.Helper()
	w := newWorld(t, name, "https://district.example")
	ctx := context.Background()
	for _, x := range []struct {
		kind string
		n    int
	}{{"Observation", 46}, {"Encounter", 17}, {"Condition", 9}, {"MedicationRequest", 7}, {"Immunization", 6}, {"Practitioner", 3}} {
		for i := range x.n {
			w.edit(w.eng, fmt.Sprintf(`{"resourceType":%q,"id":"r-%d","note":[{"text":"n"}]}`, x.kind, i))
		}
	}
	for i := range 12 {
		w.edit(w.eng, patient(fmt.Sprintf("p-%d", i), "Banda"))
	}
	w.clock.Add(26 * time.Hour)
	id := w.district.Store().Identity()
	for _, child := range []string{"outpost-lake", "outpost-hill", "outpost-new"} {
		_, err := w.ctl.AddChild(ctx, child, "")
		w.must(err)
	}
	w.run(control.Pull, "done", "", func(r *audit.Run) {
		w.pull(false, r, w.edit(w.district, patient("d-1", "Phiri")), w.edit(w.district, patient("d-2", "Tembo")), w.edit(w.district, patient("p-3", "Mwale")))
	})
	w.edit(w.eng, allergy("0b7c4e9a-41d2-4c55-9a3e-6f0d2a7b8c91", "Penicillin"))
	w.clock.Add(20 * time.Minute)
	w.pull(false, nil, w.edit(w.district, allergy("0b7c4e9a-41d2-4c55-9a3e-6f0d2a7b8c91", "Peanuts")))
	bad := w.edit(w.district, patient("d-9", "Zulu"))
	bad.Content = []byte(strings.Replace(string(bad.Content), "Zulu", "Sulu", 1))
	w.pull(false, nil, bad)
	w.edit(w.eng, patient("p-5", "Banda-Moyo"))
	w.pull(true, nil, w.edit(w.district, patient("p-5", "Moyo")))
	w.must(w.eng.Note(ctx, audit.Record{Operation: audit.Refuse, Outcome: audit.Refused, HTTPStatus: 401, Details: "the credential is not known here"}))
	w.clock.Add(3 * time.Minute)
	w.run(control.Push, "done", "", nil)
	w.clock.Add(2 * time.Minute)
	w.write(func(tx *store.Tx) error {
		own := tx.Identity().Epoch
		if err := tx.SaveParticipant(store.Participant{ID: "parent", Kind: store.KindParent, Name: id.Name, Replica: id.Replica, Epoch: id.Epoch, Created: tx.Now(), LastSeen: tx.Now()}); err != nil {
			return err
		}
		if err := tx.SetPosition("parent", control.Push, store.Position{Cursor: feed.Cursor{Epoch: own, Seq: 98}}); err != nil {
			return err
		}
		return tx.SetPosition("parent", control.Pull, store.Position{Cursor: feed.Cursor{Epoch: id.Epoch, Seq: 9}})
	})
	w.run(control.Pull, "done", "", nil)
	for i, child := range []string{"outpost-lake", "outpost-hill"} {
		p, _, err := w.eng.Store().ParticipantBy(ctx, store.KindChild, child, "")
		w.must(err)
		p.LastSeen, p.Seq = w.ctl.Now()-int64(i)*4*3_600_000-40_000, uint64(107-i*31)
		w.write(func(tx *store.Tx) error { return tx.SaveParticipant(p) })
	}
	w.clock.Add(40 * time.Second)
	w.passes.links = []control.LinkState{{Direction: control.Pull, Enabled: true, Running: true}, {Direction: control.Push, Enabled: true}}
	list, err := w.ctl.Conflicts(ctx, control.ConflictQuery{Status: control.ConflictOpen})
	w.must(err)
	if len(list) != 1 {
		t.Fatalf("got open conflicts %+v", list)
	}
	return w, list[0].UUID
}
