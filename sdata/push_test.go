package sdata_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/sdata"
)

// ways sends requests to hosts by their names.
type ways map[string]http.RoundTripper

func (w ways) RoundTrip(r *http.Request) (*http.Response, error) {
	rt, ok := w[r.URL.Host]
	if !ok {
		return nil, fmt.Errorf("no way to %s", r.URL.Host)
	}
	return rt.RoundTrip(r)
}

func targets(urls ...string) func(*config.Config) {
	return func(cfg *config.Config) {
		lastWriter(cfg)
		cfg.SData = map[string]config.SDataTarget{}
		for i, u := range urls {
			cfg.SData[fmt.Sprint("t", i)] = config.SDataTarget{URL: u, Types: []config.TypeRule{{Type: "*"}}}
		}
	}
}

func (h *host) sync(t *testing.T) (applied int64) {
	t.Helper()
	runs, err := h.Control().Sync(t.Context(), "push")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		applied += r.Applied
	}
	return applied
}

// TestPushAtOnce: a commit goes to a plain peer as it was written; what it lost it gets by a catch-up.
func TestPushAtOnce(t *testing.T) {
	p := newPlain(t, endpoint(1))
	w := ways{"n1.example": kindPath{p}}
	h := newHostVia(t, "node", w, targets(strings.TrimSuffix(p.url, "/patients")))
	h.write("Patient", uuid1, "one")
	h.sync(t) // the first pass of a process is a catch-up
	if len(p.rows) != 1 {
		t.Fatalf("the peer has %v", p.rows)
	}
	p.posts = nil
	h.write("Patient", uuid1, "two")
	h.write("Patient", uuid1, "three")
	h.write("Patient", uuid2, "four")
	if n := h.sync(t); n != 3 {
		t.Errorf("%d changes went, want each of the three", n)
	}
	if want := []string{"POST $syncTarget"}; !slices.Equal(p.posts, want) {
		t.Errorf("requests %v, want %v", p.posts, want)
	}
	if !strings.Contains(p.rows[uuid1].payload, "three") || p.rows[uuid1].tick != 3 || !strings.Contains(p.rows[uuid2].payload, "four") {
		t.Errorf("the peer has %+v", p.rows)
	}
	// The peer loses what it was given last: the next push leaves a gap, and the catch-up after the 400 heals it.
	me := "urn:uuid:" + string(h.Engine().Store().Identity().Replica)
	p.digest[me]--
	delete(p.rows, uuid2)
	p.posts = nil
	h.write("Patient", uuid1, "five")
	h.sync(t)
	if !strings.Contains(p.rows[uuid2].payload, "four") || !strings.Contains(p.rows[uuid1].payload, "five") {
		t.Errorf("the peer has %+v", p.rows)
	}
	if p.posts[0] != "POST $syncTarget" || p.posts[1] != "GET $syncDigest" {
		t.Errorf("requests %v", p.posts)
	}
	p.posts = nil
	if h.sync(t); len(p.posts) != 0 {
		t.Errorf("nothing is new, and these requests were made: %v", p.posts)
	}
	// A peer that is away keeps nothing from being written, and nothing is lost.
	h.write("Patient", uuid1, "six")
	p.fail = 1
	if _, err := h.Sync(t.Context(), "push"); err == nil {
		t.Error("the push to a peer that is away went well")
	}
	p.fail = 0
	if h.sync(t); !strings.Contains(p.rows[uuid1].payload, "six") {
		t.Errorf("the peer has %+v", p.rows)
	}
}

// TestPlainPeerPushes: the other way round, a plain peer pushes to a node.
func TestPlainPeerPushes(t *testing.T) {
	h := newHost(t, "node", nil)
	p := newPlain(t, endpoint(1))
	p.put(uuid1, document(uuid1, "one"))
	h.apply(200, p.immediate(uuid1))
	p.put(uuid1, document(uuid1, "two")) // this push is lost
	p.put(uuid2, document(uuid2, "three"))
	h.apply(400, p.immediate(uuid2))
	if h.has("Patient", uuid2) != "" {
		t.Error("a page with a gap was taken")
	}
	h.pass(t, p.client(), h.client())
	p.put(uuid1, document(uuid1, "four"))
	h.apply(200, p.immediate(uuid1))
	if h.has("Patient", uuid1) != "four" || h.has("Patient", uuid2) != "three" {
		t.Errorf("%q and %q", h.has("Patient", uuid1), h.has("Patient", uuid2))
	}
}

// TestNodesPushToEachOther: what came from the target does not go back to it, and both agree; transactions of several types are pages of
// each type.
func TestNodesPushToEachOther(t *testing.T) {
	w := ways{}
	a := newHostVia(t, "a", w, targets("http://b.example/sdata"))
	b := newHostVia(t, "b", w, targets("http://a.example/sdata"))
	asked := 0
	count := func(h *host) trip {
		return func(r *http.Request) (*http.Response, error) {
			asked++
			return h.RoundTrip(r)
		}
	}
	w["a.example"], w["b.example"] = count(a), count(b)
	for round := range 3 {
		for i := range 4 {
			a.write("Patient", fmt.Sprint("p", i), fmt.Sprint("a", round))
			a.write("Observation", fmt.Sprint("o", i), fmt.Sprint("a", round))
			b.write("Patient", fmt.Sprint("p", i+2), fmt.Sprint("b", round))
		}
		for range 3 {
			a.sync(t)
			b.sync(t)
		}
		a.same(b)
	}
	a.write("Patient", "echo", "x")
	a.sync(t)
	pushed := asked
	if b.sync(t); asked != pushed {
		t.Errorf("what came from the target went back to it in %d requests", asked-pushed)
	}
	asked = 0
	a.sync(t)
	b.sync(t)
	if asked != 0 {
		t.Errorf("an idle round made %d requests", asked)
	}
}

// TestEventManager: diagnostics are in the audit under their run, and what failed raises an alert: a command, and a line in the log.
func TestEventManager(t *testing.T) {
	dir := t.TempDir()
	told, hook := filepath.Join(dir, "told"), filepath.Join(dir, "hook")
	if err := os.WriteFile(hook, []byte("#!/bin/sh\ncat > "+told+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	m := newHost(t, "m", func(cfg *config.Config) { cfg.Alerts.Command = hook })
	h := newHost(t, "b", nil)
	results := h.must(200, "POST", "/sdata/Patient/$syncTarget", pageOf("catchUp", []uint64{4}, "", change{node: 1, tick: 1, id: "p1", text: "x"},
		change{node: 1, tick: 2, id: "p2", text: "x", content: `{"resourceType":"Patient","id":"p2","id":"p2"}`})).body
	m.must(200, "POST", "/sdata/$events?runName=night&runStamp=7", results)
	rows := m.audit(audit.Query{Run: sdata.RunID("night", "7")})
	if len(rows) != 3 || rows[0].Outcome != audit.Failed || rows[1].Key.String() != "Patient/p2" || rows[1].HTTPStatus != 422 || rows[1].Outcome != audit.Failed ||
		!strings.Contains(rows[1].Details, "duplicate") || rows[2].Outcome != audit.Done || rows[2].Version.Tick != 1 {
		t.Errorf("the audit of the run: %+v", rows)
	}
	text, err := os.ReadFile(told)
	if err != nil || !strings.Contains(string(text), `"keys":["Patient/p2"]`) || !strings.Contains(string(text), `"runName":"night"`) {
		t.Errorf("the command was told %s, %v", text, err)
	}
	if err := os.Remove(told); err != nil {
		t.Fatal(err)
	}
	good := h.must(200, "POST", "/sdata/Patient/$syncTarget", pageOf("catchUp", []uint64{4}, more, change{node: 1, tick: 1, id: "p1", text: "x"})).body
	m.must(200, "POST", "/sdata/$events?runName=night&runStamp=8", good)
	if _, err := os.Stat(told); err == nil {
		t.Error("an alert was raised although nothing failed")
	}
	// What does not match anything is harmless: entries without an outcome, keys that are none.
	m.must(200, "POST", "/sdata/Patient/$syncResults?runName=night&runStamp=9", pageOf("catchUp", []uint64{4}, "", change{node: 1, tick: 1, id: "p1", text: "x"}))
	if rows := m.audit(audit.Query{Run: sdata.RunID("night", "9")}); len(rows) != 1 || !strings.Contains(rows[0].Details, "0 entries") {
		t.Errorf("%+v", rows)
	}
}
