package registries_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/emrtest"
	"github.com/tributary-sync/tributary/node"
)

// running is a node on a real socket.
type running struct {
	*node.Node
	t    *testing.T
	name string
	url  string
}

// start runs a node of a configuration until the test ends.
func start(t *testing.T, cfg config.Config) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg.Node.DataDir, cfg.Node.Listen, cfg.Store.DSN = dir, l.Addr().String(), filepath.Join(dir, "tributary.db")
	cfg.Node.URL = "http://" + cfg.Node.Listen
	deps := node.Deps{Volatile: true}
	if err := node.Init(t.Context(), cfg, deps); err != nil {
		t.Fatal(err)
	}
	n, err := node.New(t.Context(), cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return &running{n, t, cfg.Node.Name, cfg.Node.URL}
}

// has waits until a node has a text in a resource; "" until it is gone.
func (r *running) has(key, text string) {
	r.t.Helper()
	k, err := fhir.ParseKey(key)
	if err != nil {
		r.t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); ; <-tick.C {
		c, ok, err := r.Engine().Store().Get(context.Background(), k)
		if err != nil {
			r.t.Fatal(err)
		}
		live := ok && !c.Stamp.Deleted
		if live == (text != "") && strings.Contains(string(c.Body), text) {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("%s: %s has %q, want %q", r.name, k, c.Body, text)
		}
	}
}

// page is a server of one text that may change.
type page struct {
	mu   sync.Mutex
	text string
	hits int
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hits++
	etag := fmt.Sprintf(`"%x"`, len(p.text))
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write([]byte(p.text))
}

func (p *page) set(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = text
}

// The configuration beside this test reads four kinds of registries, and their changes reach every clinic.
func TestRegistries(t *testing.T) {
	facilities, terminology := &emrtest.FHIRServer{NoHistory: true, Clock: time.Now}, &emrtest.FHIRServer{Clock: time.Now}
	ministry, alerts := &page{}, &page{}
	environ := []string{}
	for name, h := range map[string]http.Handler{"facilities": facilities, "terminology": terminology, "ministry": ministry, "alerts": alerts} {
		web := httptest.NewServer(h)
		defer web.Close()
		setting := "TRIBUTARY_SERVERS__" + name + "__URL=" + web.URL + "/fhir"
		if _, plain := h.(*page); plain {
			setting = "TRIBUTARY_SERVERS__" + name + "__FEED=[" + web.URL + "/list]"
		}
		environ = append(environ, setting)
	}
	cfg, err := config.Load("tributary.yaml", environ)
	if err != nil {
		t.Fatal(err)
	}
	put := func(s *emrtest.FHIRServer, key, name string) {
		t.Helper()
		k, err := fhir.ParseKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if name == "" {
			s.Put(k, nil)
			return
		}
		s.Put(k, fmt.Appendf(nil, `{"resourceType":%q,"id":%q,"name":%q}`, k.Type, k.ID, name))
	}
	warehouses := func(names ...string) {
		var rows []string
		for i, n := range names {
			rows = append(rows, fmt.Sprintf(`{"code":"w%d","name":%q,"open":true,"phone":700,"geo":{"lon":"36.80","lat":"-1.29"},"owner":"Ministry of Health"}`, i, n))
		}
		ministry.set(fmt.Sprintf(`{"data":{"warehouses":[%s]},"total":%d}`, strings.Join(rows, ","), len(names)))
	}
	put(facilities, "Organization/moh", "Ministry")
	put(facilities, "Location/north", "Clinic North")
	put(facilities, "Location/south", "Clinic South")
	put(terminology, "ValueSet/v", "Vaccines")
	put(terminology, "CodeSystem/c", "Codes")
	warehouses("Main depot", "Second depot")
	alerts.set(`<rss version="2.0"><channel><item><guid>a1</guid><title>Boil water</title><pubDate>Wed, 04 Mar 2026 10:30:00 GMT</pubDate></item></channel></rss>`)

	nation := start(t, cfg)
	var clinics []*running
	for _, name := range []string{"clinic-a", "clinic-b"} {
		child, err := nation.Control().AddChild(t.Context(), name, "")
		if err != nil {
			t.Fatal(err)
		}
		c := config.Default()
		c.Node.Name, c.Parent.URL, c.Parent.Credential = name, nation.url, child.Credential
		clinics = append(clinics, start(t, c))
	}
	everywhere := func(key, text string) {
		t.Helper()
		for _, c := range clinics {
			c.has(key, text)
		}
	}
	ask := func() {
		t.Helper()
		if _, err := nation.Sync(t.Context(), "pull"); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	everywhere("Location/north", "Clinic North")
	everywhere("Organization/moh", "Ministry")
	everywhere("ValueSet/v", "Vaccines")
	everywhere("CodeSystem/c", "Codes")
	everywhere("Location/warehouse-w0", `"position":{"latitude":-1.29,"longitude":36.80}`)
	everywhere("Location/warehouse-w1", "Second depot")
	everywhere("Communication/a1", "Boil water")

	put(facilities, "Location/north", "Clinic North and West")
	put(facilities, "Location/south", "")
	put(terminology, "ValueSet/v", "Vaccines of 2026")
	put(terminology, "CodeSystem/c", "")
	warehouses("Main depot, moved")
	alerts.set(`<rss version="2.0"><channel><item><guid>a2</guid><title>Water is safe again</title></item></channel></rss>`)
	ask()
	everywhere("Location/north", "and West")
	everywhere("Location/south", "")
	everywhere("ValueSet/v", "2026")
	everywhere("CodeSystem/c", "")
	everywhere("Location/warehouse-w0", "moved")
	everywhere("Location/warehouse-w1", "")
	everywhere("Communication/a2", "safe")
	everywhere("Communication/a1", "Boil water") // it only fell off the feed

	// A registry that has nothing any more is taken for a broken one.
	warehouses()
	put(facilities, "Location/north", "")
	put(facilities, "Organization/moh", "")
	_, err = nation.Sync(t.Context(), "pull")
	if err == nil || strings.Count(err.Error(), "nothing is deleted") != 2 {
		t.Error(err)
	}
	everywhere("Location/north", "and West")
	everywhere("Location/warehouse-w0", "moved")
}
