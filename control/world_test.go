package control_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
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
	"github.com/tributary-sync/tributary/version"
)

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)} }

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
type passes struct {
	asked []string
	links []control.LinkState
}

func (p *passes) Sync(_ context.Context, direction string) ([]audit.Run, error) {
	p.asked = append(p.asked, direction)
	return []audit.Run{{ID: "r-" + direction, Direction: direction, Outcome: "done"}}, nil
}

func (p *passes) LinkState() []control.LinkState { return slices.Clone(p.links) }

// world is one node under test: a clinic, with or without a parent.
type world struct {
	*control.Control
	t      *testing.T
	eng    *engine.Engine
	cfg    config.Config
	clock  *clock
	passes *passes
}

func open(t *testing.T, c *clock, name string, policy reconcile.Policy) *engine.Engine {
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
	return engine.New(st, engine.Config{Policies: reconcile.Policies{Default: policy}})
}

func newWorld(t *testing.T, parentURL string) *world {
	t.Helper()
	w := &world{t: t, clock: newClock(), passes: &passes{}, cfg: config.Default()}
	w.cfg.Node.Name, w.cfg.Parent.URL = "clinic-a", parentURL
	w.cfg.Store.DSN = testdb.SQLite(t)
	w.cfg.Parent.Credential = "secret-of-the-child"
	if parentURL == "" {
		w.cfg.Parent.Credential = ""
	}
	w.eng = open(t, w.clock, "clinic-a", reconcile.Defer)
	w.Control = control.New(w.eng, w.cfg, w.passes, control.Deps{
		Clock: w.clock.Now, Rand: rand.Reader, Version: "1.2.3", PublicKey: "ed25519 AAAA", StartedAt: w.clock.Now(),
	})
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(fn func(*store.Tx) error) {
	w.t.Helper()
	w.must(w.eng.Store().Write(context.Background(), fn))
}

func patient(t *testing.T, id, family string) fhir.Resource {
	t.Helper()
	r, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":"Patient","id":%q,"name":[{"family":%q}]}`, id, family), 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// edit writes a patient at a node and returns the change as it stands in the node's feed.
func edit(t *testing.T, e *engine.Engine, id, family string) feed.Event {
	t.Helper()
	ctx := context.Background()
	r := patient(t, id, family)
	out, err := e.Author(ctx, "test", []engine.Write{{Op: engine.Update, Key: r.Key, Body: r}})
	if err != nil {
		t.Fatal(err)
	}
	var found feed.Event
	err = e.Store().Read(ctx, func(r *store.Reader) error {
		row, _, err := r.Event(feed.Ref{Key: out[0].Key, Version: out[0].Stamp.Version})
		found = row.Event
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// pull lets the node take events from its parent; follows says that the parent decides.
func (w *world) pull(parent *engine.Engine, follows bool, events ...feed.Event) []feed.Receipt {
	w.t.Helper()
	id := parent.Store().Identity()
	out, err := w.eng.Accept(context.Background(), engine.Batch{
		Link:   engine.Link{Peer: id.Name, Epoch: id.Epoch, Follows: func(string) bool { return follows }},
		Events: events, Names: []feed.Name{{Replica: id.Replica, Node: id.Name}},
	})
	w.must(err)
	return out
}

// meet notes the parent as a node does when it has met it.
func (w *world) meet(parent *engine.Engine) {
	w.t.Helper()
	id := parent.Store().Identity()
	w.write(func(tx *store.Tx) error {
		return tx.SaveParticipant(store.Participant{
			ID: "parent", Kind: store.KindParent, Name: id.Name, Replica: id.Replica, Epoch: id.Epoch, URL: w.cfg.Parent.URL,
			Created: tx.Now(), LastSeen: tx.Now(),
		})
	})
}

func (w *world) run(direction, id, outcome, problem string) {
	w.t.Helper()
	ctx := context.Background()
	r := audit.Run{ID: id, Direction: direction, Peer: "district", Started: w.Now()}
	w.must(w.eng.OpenRun(ctx, r))
	w.clock.Add(time.Second)
	r.Finished, r.Outcome, r.Error = w.Now(), outcome, problem
	w.must(w.eng.CloseRun(ctx, r))
}

func key(id string) fhir.Key { return fhir.Key{Type: "Patient", ID: id} }

func replicaOf(e *engine.Engine) version.Replica { return e.Store().Identity().Replica }

func engineOver(st *store.Store) *engine.Engine { return engine.New(st, engine.Config{}) }
