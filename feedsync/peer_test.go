package feedsync_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feedsync"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
)

// peer is an endpoint that knows nothing but FeedSync: it publishes its items and merges those of others.
type peer struct {
	t     *testing.T
	items map[string]feedsync.Item
	now   int64
}

func (p *peer) RoundTrip(*http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	_, _ = w.Write(feedsync.Write(feedsync.Feed{ID: "urn:peer", Items: slices.Collect(maps.Values(p.items))}))
	return w.Result(), nil
}

func (p *peer) edit(key, text string) {
	p.now += 1000
	x := p.items[key]
	x.ID, x.Content, x.Deleted = key, body(key, text), text == ""
	if x.Deleted {
		x.Content = nil
	}
	p.items[key] = x.Update("peer", p.now)
}

func body(key, text string) []byte {
	typ, id, _ := strings.Cut(key, "/")
	return fmt.Appendf(nil, `{"resourceType":%q,"id":%q,"text":{"status":"generated","div":%q}}`, typ, id, text)
}

// read merges the feed of a node, all of its pages.
func (p *peer) read(n *node.Node) feedsync.Feed {
	p.t.Helper()
	return p.readFrom(n, "http://node.example/ws/feedsync/patient")
}

// readFrom merges the feed at an address and returns its last page.
func (p *peer) readFrom(n *node.Node, at string) (f feedsync.Feed) {
	p.t.Helper()
	for at != "" {
		r := httptest.NewRequestWithContext(p.t.Context(), http.MethodGet, at, nil)
		r.Header.Set("Authorization", "Bearer "+n.AdminToken())
		w := httptest.NewRecorder()
		n.Handler().ServeHTTP(w, r)
		b, err := io.ReadAll(w.Result().Body)
		if err != nil || w.Code != http.StatusOK {
			p.t.Fatalf("%s: %d %s", at, w.Code, b)
		}
		if f, err = feedsync.Read(b); err != nil {
			p.t.Fatal(err)
		}
		for _, x := range f.Items {
			if mine, ok := p.items[x.ID]; ok {
				p.items[x.ID] = feedsync.Merge(&mine, x)
			} else {
				p.items[x.ID] = x
			}
		}
		at = f.Next
	}
	return f
}

func (p *peer) has(key string) string {
	x, ok := p.items[key]
	switch {
	case !ok:
		return ""
	case x.Deleted:
		return "gone"
	}
	return div(x.Content)
}

func div(b []byte) string {
	_, rest, _ := strings.Cut(string(b), `"div":"`)
	text, _, _ := strings.Cut(rest, `"`)
	return text
}

type clinic struct {
	*node.Node
	t *testing.T
}

func newClinic(t *testing.T, p *peer, policy reconcile.Policy) clinic {
	t.Helper()
	cfg := config.Default()
	dir := t.TempDir()
	cfg.Node.Name, cfg.Node.DataDir, cfg.Node.Listen, cfg.Node.URL = "node", dir, "127.0.0.1:0", "http://node.example"
	cfg.Store.DSN, cfg.Conflicts.Default = filepath.Join(dir, "tributary.db"), policy
	cfg.Servers = map[string]config.Server{"peer": {
		Changes: config.FromFeedSync, Feed: []string{"http://peer.example/feed"}, Pull: []config.TypeRule{{Type: "Patient"}},
	}}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	deps := node.Deps{Volatile: true, Transport: p}
	if err := node.Init(t.Context(), cfg, deps); err != nil {
		t.Fatal(err)
	}
	n, err := node.New(t.Context(), cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return clinic{n, t}
}

func (c clinic) write(key, text string) {
	c.t.Helper()
	k, err := fhir.ParseKey(key)
	if err != nil {
		c.t.Fatal(err)
	}
	w := engine.Write{Op: engine.Delete, Key: k}
	if text != "" {
		res, err := fhir.Parse(body(key, text), 0)
		if err != nil {
			c.t.Fatal(err)
		}
		w = engine.Write{Op: engine.Update, Key: k, Body: res}
	}
	if _, err := c.Engine().Author(context.Background(), "test", []engine.Write{w}); err != nil {
		c.t.Fatal(err)
	}
}

func (c clinic) read() {
	c.t.Helper()
	if _, err := c.Sync(c.t.Context(), "pull"); err != nil {
		c.t.Fatal(err)
	}
}

func (c clinic) has(key string) string {
	c.t.Helper()
	k, err := fhir.ParseKey(key)
	if err != nil {
		c.t.Fatal(err)
	}
	got, ok, err := c.Engine().Store().Get(c.t.Context(), k)
	switch {
	case err != nil:
		c.t.Fatal(err)
	case !ok:
		return ""
	case got.Stamp.Deleted:
		return "gone"
	}
	return div(got.Body)
}

func (c clinic) conflicts() int {
	c.t.Helper()
	list, err := c.Engine().Store().Conflicts(c.t.Context(), store.ConflictFilter{})
	if err != nil {
		c.t.Fatal(err)
	}
	return len(list)
}

// TestParticipant: a node and a FeedSync endpoint read each other's feeds and agree.
func TestParticipant(t *testing.T) {
	p := &peer{t: t, items: map[string]feedsync.Item{}, now: 1_700_000_000_000}
	c := newClinic(t, p, reconcile.SourceWins)
	agree := func(step string, want map[string]string, conflicts int) {
		t.Helper()
		for key, text := range want {
			if c.has(key) != text || p.has(key) != text {
				t.Errorf("%s: %s is %q at the node and %q at the peer, want %q", step, key, c.has(key), p.has(key), text)
			}
			if n := len(p.items[key].Conflicts); n != 0 {
				t.Errorf("%s: the peer has %d conflicts of %s: %s", step, n, key, show(p.items[key]))
			}
		}
		if n := c.conflicts(); n != conflicts {
			t.Errorf("%s: the node had %d conflicts, want %d", step, n, conflicts)
		}
	}
	for i := range 130 {
		c.write(fmt.Sprint("Patient/n", i), "from the node")
	}
	p.edit("Patient/a", "one")
	p.read(c.Node)
	c.read()
	p.read(c.Node)
	agree("first", map[string]string{"Patient/n0": "from the node", "Patient/n129": "from the node", "Patient/a": "one"}, 0)

	p.edit("Patient/n0", "peer") // a successor of what the node wrote
	c.write("Patient/a", "node") // and of what the peer wrote
	c.read()
	p.read(c.Node)
	agree("successors", map[string]string{"Patient/n0": "peer", "Patient/a": "node"}, 0)

	c.write("Patient/s", "node") // what the peer edits before the node has seen it there: its history says what it knew
	p.read(c.Node)
	p.edit("Patient/s", "peer")
	c.read()
	p.read(c.Node)
	agree("by history alone", map[string]string{"Patient/s": "peer"}, 0)

	p.edit("Patient/n1", "") // deletions
	c.write("Patient/n2", "")
	c.read()
	p.read(c.Node)
	agree("deletions", map[string]string{"Patient/n1": "gone", "Patient/n2": "gone"}, 0)

	p.edit("Patient/n3", "peer") // both at once
	c.write("Patient/n3", "node")
	c.read()
	p.read(c.Node)
	agree("both", map[string]string{"Patient/n3": "peer"}, 1)

	head := func() uint64 {
		h, err := c.Engine().Store().Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return h.Seq
	}
	before := head()
	for range 3 {
		c.read()
		p.read(c.Node)
	}
	if head() != before {
		t.Errorf("idle rounds wrote %d rows", head()-before)
	}
}

// TestOpenConflictIsPublished: a conflict that waits for a person stands in sx:conflicts, at the peer as well, until it is resolved.
func TestOpenConflictIsPublished(t *testing.T) {
	p := &peer{t: t, items: map[string]feedsync.Item{}, now: 1_700_000_000_000}
	c := newClinic(t, p, reconcile.Defer)
	p.edit("Patient/a", "one")
	c.read()
	p.read(c.Node)
	p.edit("Patient/a", "peer")
	c.write("Patient/a", "node")
	c.read()
	p.read(c.Node)
	x := p.items["Patient/a"]
	texts := []string{div(x.Content)}
	for _, y := range x.Conflicts {
		texts = append(texts, div(y.Content))
	}
	slices.Sort(texts)
	if !slices.Equal(texts, []string{"node", "peer"}) {
		t.Fatalf("the peer has %q: %s", texts, show(x))
	}
	open, err := c.Engine().Store().Conflicts(t.Context(), store.ConflictFilter{Status: store.ConflictOpen})
	if err != nil || len(open) != 1 {
		t.Fatalf("%d open conflicts, %v", len(open), err)
	}
	if _, err := c.Engine().Resolve(t.Context(), open[0].UUID, engine.Resolution{Choice: engine.KeepLocal}, "somebody"); err != nil {
		t.Fatal(err)
	}
	p.read(c.Node)
	if x := p.items["Patient/a"]; div(x.Content) != "node" || len(x.Conflicts) != 0 {
		t.Errorf("after the resolution the peer has %s of %s", div(x.Content), show(x))
	}
	c.read()
	if c.has("Patient/a") != "node" {
		t.Errorf("the node has %q", c.has("Patient/a"))
	}
}

// TestPeerClaimsTooMuch: histories that name changes which the node never made are not believed.
func TestPeerClaimsTooMuch(t *testing.T) {
	p := &peer{t: t, items: map[string]feedsync.Item{}, now: 1_700_000_000_000}
	c := newClinic(t, p, reconcile.DestinationWins)
	c.write("Patient/a", "node")
	x := feedsync.Item{ID: "Patient/a", Content: body("Patient/a", "peer"), Updates: 99, History: []feedsync.Update{
		{Sequence: 99, By: "peer", When: p.now}, {Sequence: 98, By: string(c.Engine().Store().Identity().Replica)},
	}}
	p.items[x.ID] = x
	c.read()
	if c.has("Patient/a") != "node" || c.conflicts() != 1 {
		t.Errorf("the node has %q, %d conflicts", c.has("Patient/a"), c.conflicts())
	}
}
