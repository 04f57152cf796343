package node_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
)

// running is a node on a real socket.
type running struct {
	*node.Node
	cfg  config.Config
	stop func()
}

func start(t *testing.T, name string, parent *running, deps node.Deps, change func(*config.Config)) *running {
	t.Helper()
	ctx := context.Background()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Conflicts.Default = reconcile.LastWriterWins // these tests write whole documents
	dir := t.TempDir()
	cfg.Node.Name, cfg.Node.DataDir, cfg.Node.Listen = name, dir, l.Addr().String()
	cfg.Node.URL, cfg.Store.DSN = "http://"+cfg.Node.Listen, filepath.Join(dir, "tributary.db")
	if parent != nil {
		c, err := parent.Control().AddChild(ctx, name, "")
		if err != nil {
			t.Fatal(err)
		}
		cfg.Parent.URL, cfg.Parent.Credential = parent.cfg.Node.URL, c.Credential
	}
	if change != nil {
		change(&cfg)
	}
	if err := node.Init(ctx, cfg, deps); err != nil {
		t.Fatal(err)
	}
	return serve(t, cfg, deps, l)
}

// serve runs a node whose database is there already.
func serve(t *testing.T, cfg config.Config, deps node.Deps, l net.Listener) *running {
	t.Helper()
	ctx := context.Background()
	n, err := node.New(ctx, cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	run, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- n.Run(run, l) }()
	r := &running{Node: n, cfg: cfg}
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func (r *running) write(t *testing.T, typ, id, text string) {
	t.Helper()
	res, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":%q,"id":%q,"text":{"status":"generated","div":%q}}`, typ, id, text), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Engine().Author(context.Background(), "test", []engine.Write{{Op: engine.Update, Key: res.Key, Body: res}}); err != nil {
		t.Fatal(err)
	}
}

func (r *running) await(t *testing.T, typ, id string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); ; <-tick.C {
		_, ok, err := r.Engine().Store().Get(context.Background(), fhir.Key{Type: typ, ID: id})
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s/%s did not come to %s", typ, id, r.cfg.Node.Name)
		}
	}
}

// A change goes up two levels and down to a sibling, at once; and a stopped node leaves no goroutine behind.
func TestThreeLevels(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	nation := start(t, "nation", nil, node.Deps{}, nil)
	district := start(t, "district", nation, node.Deps{}, nil)
	a := start(t, "clinic-a", district, node.Deps{}, nil)
	b := start(t, "clinic-b", district, node.Deps{}, nil)
	a.write(t, "Patient", "p1", "from clinic a")
	nation.await(t, "Patient", "p1")
	b.await(t, "Patient", "p1")
	nation.write(t, "Patient", "p2", "from the nation")
	a.await(t, "Patient", "p2")
	for _, r := range []*running{b, a, district, nation} {
		r.stop()
	}
}

// A type that is switched off stays where it is, in either direction.
func TestTypesAreSwitched(t *testing.T) {
	off := false
	parent := start(t, "parent", nil, node.Deps{}, nil)
	child := start(t, "child", parent, node.Deps{}, func(c *config.Config) {
		c.Pull.Types = []config.TypeRule{{Type: "Patient"}}
		c.Push.Types = []config.TypeRule{{Type: config.AllTypes}, {Type: "Basic", Enabled: &off}}
	})
	parent.write(t, "Observation", "unwanted", "x")
	parent.write(t, "Patient", "wanted", "x")
	child.write(t, "Basic", "kept", "x")
	child.write(t, "Observation", "sent", "x")
	child.await(t, "Patient", "wanted")
	parent.await(t, "Observation", "sent")
	for r, k := range map[*running]fhir.Key{child: {Type: "Observation", ID: "unwanted"}, parent: {Type: "Basic", ID: "kept"}} {
		if _, ok, err := r.Engine().Store().Get(context.Background(), k); ok || err != nil {
			t.Errorf("%s has %s: %v", r.cfg.Node.Name, k, err)
		}
	}
}

// own is a client that an implementer injects.
type own struct {
	mu   sync.Mutex
	sent []fhir.Key
}

func (o *own) Fetch(context.Context, []feed.Ref) ([]feed.Event, error) { return nil, nil }

func (o *own) Send(_ context.Context, s resourcemanager.Shipment) (resourcemanager.Sent, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out resourcemanager.Sent
	for _, e := range s.Events {
		o.sent = append(o.sent, e.Key)
		out.Receipts = append(out.Receipts, feed.Receipt{Key: e.Key, Version: e.Stamp.Version, Result: feed.Applied, Stamp: e.Stamp})
	}
	return out, nil
}

// The resource manager gives a type to the client that the configuration names; a name without a client is refused at start.
func TestInjectedClient(t *testing.T) {
	parent := start(t, "parent", nil, node.Deps{}, nil)
	mine := &own{}
	route := func(c *config.Config) {
		c.Push.Types = []config.TypeRule{{Type: config.AllTypes}, {Type: "Basic", Client: config.ClientREST}}
	}
	child := start(t, "child", parent, node.Deps{Clients: map[string]resourcemanager.Client{"rest": mine}}, route)
	child.write(t, "Basic", "by-rest", "x")
	child.write(t, "Patient", "by-node", "x")
	parent.await(t, "Patient", "by-node")
	mine.mu.Lock()
	defer mine.mu.Unlock()
	if len(mine.sent) != 1 || mine.sent[0].ID != "by-rest" {
		t.Errorf("the injected client got %v", mine.sent)
	}
	cfg := child.cfg
	cfg.Node.DataDir = t.TempDir()
	cfg.Store.DSN = filepath.Join(cfg.Node.DataDir, "n.db")
	cfg.Push.Types = []config.TypeRule{{Type: "Basic", Client: "pigeon"}}
	if err := node.Init(context.Background(), cfg, node.Deps{}); err != nil {
		t.Fatal(err)
	}
	if _, err := node.New(context.Background(), cfg, node.Deps{}); syncerr.KindOf(err) != syncerr.Usage {
		t.Errorf("a client that does not exist: got %v", err)
	}
}

// A parent that is no node, and one that does not know the credential, are said in one sentence each, and the child goes on.
func TestWrongParents(t *testing.T) {
	parent := start(t, "parent", nil, node.Deps{}, nil)
	web := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = web.Serve(l) }()
	t.Cleanup(func() { _ = web.Close() })
	for _, c := range []struct {
		name, url, credential string
		want                  syncerr.Kind
	}{
		{"no node", "http://" + l.Addr().String(), "x", syncerr.Unsupported},
		{"wrong credential", parent.cfg.Node.URL, "wrong", syncerr.Denied},
		{"nobody there", "http://127.0.0.1:1", "x", syncerr.Transient},
	} {
		t.Run(c.name, func(t *testing.T) {
			child := start(t, "child", nil, node.Deps{}, func(cfg *config.Config) { cfg.Parent.URL, cfg.Parent.Credential = c.url, c.credential })
			_, err := child.Sync(context.Background(), "pull")
			if syncerr.KindOf(err) != c.want || syncerr.HintOf(err) == "" {
				t.Errorf("got %v (%s), want %s with a hint", err, syncerr.KindOf(err), c.want)
			}
			child.write(t, "Basic", "still-works", "x")
		})
	}
}
