package browsertest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/reconcile"
)

// clock is the machine's clock, set back: a network gets a past of weeks in seconds.
type clock struct{ behind atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Now().Add(-time.Duration(c.behind.Load())) }
func (c *clock) pass(d time.Duration)    { c.behind.Add(-int64(d)) }
func (c *clock) setBack(d time.Duration) { c.behind.Store(int64(d)) }
func (c *clock) arrive()                 { c.behind.Store(0) }

// cable carries a node's requests to its parent until it is cut, as the one of `tributary demo` does.
type cable struct {
	next   http.RoundTripper
	cut    atomic.Bool
	flying atomic.Int64 // requests that the parent has not answered yet
}

var errCut = errors.New("connect: network is unreachable")

func (c *cable) RoundTrip(r *http.Request) (*http.Response, error) {
	c.flying.Add(1)
	defer c.flying.Add(-1)
	if c.cut.Load() {
		return nil, errCut
	}
	res, err := c.next.RoundTrip(r)
	if err == nil && c.cut.Load() {
		_ = res.Body.Close()
		return nil, errCut
	}
	return res, err
}

// running is a node that runs in this process, on a port of loopback.
type running struct {
	*node.Node
	t     *testing.T
	name  string
	url   string
	cable *cable
}

// network is a tree of nodes that have one clock.
type network struct {
	t     *testing.T
	clock *clock
	nodes map[string]*running
}

func newNetwork(t *testing.T) *network {
	return &network{t: t, clock: &clock{}, nodes: map[string]*running{}}
}

// add runs a new node below parent ("" for none).
func (w *network) add(name, parent string, change func(*config.Config)) *running {
	w.t.Helper()
	ctx := context.Background()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	cfg, dir := config.Default(), w.t.TempDir()
	cfg.Node.Name, cfg.Node.DataDir, cfg.Node.Listen = name, dir, l.Addr().String()
	cfg.Node.URL, cfg.Store.DSN = "http://"+cfg.Node.Listen, filepath.Join(dir, "tributary.db")
	cfg.Conflicts.Default = reconcile.Merging + "," + reconcile.LastWriterWins
	cfg.Conflicts.Types = map[string]reconcile.Policy{"AllergyIntolerance": reconcile.Defer}
	if parent != "" {
		c, err := w.nodes[parent].Control().AddChild(ctx, name, "")
		w.must(err)
		cfg.Parent.URL, cfg.Parent.CredentialFile = w.nodes[parent].url, filepath.Join(dir, "parent.token")
		w.must(os.WriteFile(cfg.Parent.CredentialFile, []byte(c.Credential+"\n"), 0o600))
	}
	if change != nil {
		change(&cfg)
	}
	r := &running{t: w.t, name: name, url: cfg.Node.URL, cable: &cable{next: &http.Transport{DisableCompression: true}}}
	deps := node.Deps{
		Clock: w.clock.Now, Rand: &numbers{r: rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%-32.32s", name))))}, Transport: r.cable, Version: "1.0.0", File: w.file(cfg),
		Volatile: true, // what a power cut leaves is tested elsewhere
	}
	w.must(node.Init(ctx, cfg, deps))
	r.Node, err = node.New(ctx, cfg, deps)
	w.must(err)
	run, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- r.Run(run, l) }()
	w.t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, r.Close()); err != nil {
			w.t.Errorf("%s: %v", name, err)
		}
	})
	w.nodes[name] = r
	return r
}

// file writes a configuration as its owner would have it, so that the page of the settings can change it.
func (w *network) file(cfg config.Config) *config.File {
	w.t.Helper()
	path := filepath.Join(cfg.Node.DataDir, "tributary.yaml")
	var text bytes.Buffer
	w.must(cfg.Print(&text))
	w.must(os.WriteFile(path, text.Bytes(), 0o600))
	f, err := config.Open(path, nil)
	w.must(err)
	return f
}

// numbers are random numbers that are the same in each run.
type numbers struct {
	mu sync.Mutex
	r  io.Reader
}

func (n *numbers) Read(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.r.Read(p)
}

func (w *network) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// until waits for a condition and fails the test where it does not come true within three minutes, which a busy machine may need for what takes a second.
func (w *network) until(what string, done func() bool) {
	w.t.Helper()
	end := time.NewTimer(3 * time.Minute)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-end.C:
			w.t.Fatalf("within three minutes it did not come true that %s", what)
		}
	}
}

// exchange calls a node as an application does and returns the status and the answer.
func (r *running) exchange(method, path string, body any) (int, []byte) {
	r.t.Helper()
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			r.t.Fatal(err)
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, r.url+path, content)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, answer
}

// record is a resource as an application builds it.
type record map[string]any

// put writes a resource at its type and id.
func (r *running) put(res record) {
	r.t.Helper()
	if status, answer := r.exchange(http.MethodPut, fmt.Sprintf("/fhir/R4/%s/%s", res["resourceType"], res["id"]), res); status/100 != 2 {
		r.t.Fatalf("%s refuses %s/%s: %d %s", r.name, res["resourceType"], res["id"], status, answer)
	}
}

// get reads a resource; nil where the node has none of that key.
func (r *running) get(key string) record {
	r.t.Helper()
	status, answer := r.exchange(http.MethodGet, "/fhir/R4/"+key, nil)
	if status == http.StatusNotFound {
		return nil
	}
	out := record{}
	if err := json.Unmarshal(answer, &out); err != nil || status != http.StatusOK {
		r.t.Fatalf("%s of %s: %d %s, %v", key, r.name, status, answer, err)
	}
	return out
}

// transaction writes resources in one transaction, as a record system that stores a visit does.
func (r *running) transaction(bodies [][]byte, keys []string) {
	r.t.Helper()
	entries := make([]record, len(bodies))
	for i, b := range bodies {
		entries[i] = record{"resource": json.RawMessage(b), "request": record{"method": "PUT", "url": keys[i]}}
	}
	if status, answer := r.exchange(http.MethodPost, "/fhir/R4", record{"resourceType": "Bundle", "type": "transaction", "entry": entries}); status/100 != 2 {
		r.t.Fatalf("%s refuses a transaction: %d %.500s", r.name, status, answer)
	}
}
