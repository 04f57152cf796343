package sdata_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	client "github.com/tributary-sync/tributary/clients/sdata"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/sdata"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// kindPath sends what is for the kind Patient to where a plain peer has its one collection.
type kindPath struct {
	*plain
}

func (k kindPath) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Path = strings.Replace(r.URL.Path, "/-/Patient/", "/-/patients/", 1)
	return k.plain.RoundTrip(r)
}

var noWait = func(context.Context, time.Duration) error { return nil }

func newClient(t *testing.T, base string, rt http.RoundTripper) *client.Client {
	t.Helper()
	n := 0
	c, err := client.New(base, client.Options{Transport: rt, Wait: noWait, NewID: func() string {
		n++
		return fmt.Sprintf("%08x-0000-4000-8000-%012x", n, time.Now().UnixNano()&0xffffffffff)
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (h *host) client() *client.Client { return newClient(h.t, h.url+"/sdata", h) }

func (p *plain) client() *client.Client {
	return newClient(p.t, strings.TrimSuffix(p.url, "/patients"), kindPath{p})
}

func runner(source, target sdata.Endpoint) sdata.Runner {
	return sdata.Runner{Source: source, Target: target, Run: sdata.Run{Name: "test", Stamp: "2024-05-01T10:00:00Z"}}
}

func (h *host) pass(t *testing.T, source, target sdata.Endpoint) sdata.Count {
	t.Helper()
	n, err := runner(source, target).Pass(t.Context(), "Patient")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// document is a patient as a plain peer keeps one: XML that it does not look into.
func document(id, text string) string {
	return fmt.Sprintf(`<thing xmlns="http://example.org/contract">{"resourceType":"Patient","id":"%s","text":{"status":"generated","div":"%s"}}</thing>`, id, text)
}

const (
	uuid1 = "11111111-1111-4111-8111-111111111111"
	uuid2 = "22222222-2222-4222-8222-222222222222"
)

// TestPlainPeer: a node and a peer that knows nothing but the specification, both ways.
func TestPlainPeer(t *testing.T) {
	h := newHost(t, "node", func(cfg *config.Config) { cfg.Conflicts.Default = "replica-priority" })
	p := newPlain(t, endpoint(1))
	for i := range 8 {
		p.put(fmt.Sprintf("%08d-1111-4111-8111-111111111111", i), document(fmt.Sprintf("%08d-1111-4111-8111-111111111111", i), "theirs"))
	}
	if n := h.pass(t, p.client(), h.client()); n.Pages != 3 || n.Entries != 8 || n.Failed != 0 {
		t.Errorf("first pass %+v", n)
	}
	h.wantTicks(map[string]uint64{"n1": 9})
	if len(p.jobs) != 0 {
		t.Errorf("%d operations were not released", len(p.jobs))
	}
	for i := range 5 {
		h.write("Patient", fmt.Sprint("mine", i), "ours") // ids that are no UUIDs
	}
	if n := h.pass(t, h.client(), p.client()); n.Entries != 5 {
		t.Errorf("back: %+v", n)
	}
	// An edit at the peer of what the node wrote, a deletion there by the UUID that the node made, and an edit at the node.
	mine0, mine1 := sdata.UUIDOf("Patient", "mine0"), sdata.UUIDOf("Patient", "mine1")
	p.put(mine0, strings.Replace(p.rows[mine0].payload, "ours", "edited", 1))
	p.drop(mine1)
	h.write("Patient", "00000003-1111-4111-8111-111111111111", "edited here")
	if n := h.pass(t, p.client(), h.client()); n.Entries != 2 || n.Failed != 0 {
		t.Errorf("edits: %+v", n)
	}
	if h.has("Patient", "mine0") != "edited" || h.has("Patient", "mine1") != "gone" {
		t.Errorf("mine0 %q, mine1 %q", h.has("Patient", "mine0"), h.has("Patient", "mine1"))
	}
	h.pass(t, h.client(), p.client())
	if r := p.rows["00000003-1111-4111-8111-111111111111"]; !strings.Contains(r.payload, "edited here") {
		t.Errorf("the peer has %+v", r)
	}
	for range 2 {
		if n := h.pass(t, p.client(), h.client()); n.Entries != 0 {
			t.Errorf("an idle round: %+v", n)
		}
		if n := h.pass(t, h.client(), p.client()); n.Entries != 0 {
			t.Errorf("an idle round back: %+v", n)
		}
	}
}

// TestPlainPeerConflict: what both changed is decided at the target, and both sides agree afterwards.
func TestPlainPeerConflict(t *testing.T) {
	h := newHost(t, "node", func(cfg *config.Config) {
		cfg.Conflicts.Default, cfg.Conflicts.Priority = "replica-priority", map[string]int{endpoint(1): 1, "node": 5}
	})
	p := newPlain(t, endpoint(1))
	p.put(uuid1, document(uuid1, "first"))
	h.pass(t, p.client(), h.client())
	p.put(uuid1, document(uuid1, "theirs"))
	h.write("Patient", uuid1, "ours")
	h.pass(t, p.client(), h.client())
	if h.has("Patient", uuid1) != "theirs" {
		t.Errorf("here is %q", h.has("Patient", uuid1))
	}
	list, err := h.Engine().Store().Conflicts(t.Context(), store.ConflictFilter{})
	if err != nil || len(list) != 1 {
		t.Errorf("both copies are kept in %v, %v", list, err)
	}
	h.pass(t, h.client(), p.client())
	if !strings.Contains(p.rows[uuid1].payload, "theirs") {
		t.Errorf("the peer has %+v", p.rows[uuid1])
	}
	if n := h.pass(t, p.client(), h.client()); n.Entries != 0 {
		t.Errorf("an idle round: %+v", n)
	}
}

func TestRunnerAsksAgainAndSkipsPolling(t *testing.T) {
	h := newHost(t, "node", nil)
	h.write("Patient", "a", "x")
	p := newPlain(t, endpoint(1))
	p.fail, p.sync = 2, true
	h.pass(t, h.client(), p.client())
	for _, r := range p.posts {
		if strings.HasPrefix(r, "DELETE") || strings.Contains(r, "('") {
			t.Errorf("SD18: an answer that came at once is neither polled nor deleted: %v", p.posts)
		}
	}
	if len(p.rows) != 1 {
		t.Error("it did not arrive")
	}
}

// TestNodes: two nodes that know nothing of each other agree after passes both ways, whatever is written meanwhile; event managers and the
// audit have the run.
func TestNodes(t *testing.T) {
	a, b, m := newHost(t, "a", lastWriter), newHost(t, "b", lastWriter), newHost(t, "m", nil)
	for i := range 250 {
		a.write("Patient", fmt.Sprint("a", i), "from a")
		b.write("Patient", fmt.Sprint("b", i), "from b")
	}
	a.write("Patient", "both", "a wrote")
	b.write("Patient", "both", "b wrote")
	events := client.Events{Client: m.client(), Address: m.url + "/sdata/$events"}
	r := runner(a.client(), b.client())
	r.Managers = []sdata.Manager{events}
	r.Progress = func(n sdata.Count) { a.write("Patient", fmt.Sprint("meanwhile", n.Pages), "x") }
	n, err := r.Pass(t.Context(), "Patient")
	if err != nil || n.Entries != 251 || n.Pages != 3 || n.Failed != 0 || n.Unreported != 0 {
		t.Fatalf("%+v, %v", n, err)
	}
	for range 2 {
		a.pass(t, b.client(), a.client())
		a.pass(t, a.client(), b.client())
	}
	a.same(b)
	if a.has("Patient", "both") != b.has("Patient", "both") || a.has("Patient", "meanwhile3") == "" {
		t.Error("they differ")
	}
	rows := m.audit(audit.Query{Run: sdata.RunID("test", "2024-05-01T10:00:00Z"), Limit: 1000})
	if len(rows) != 254 || rows[0].Action != "RESULTS" || rows[0].Operation != audit.Diagnose {
		t.Errorf("the event manager has %d rows, the newest %+v", len(rows), rows[0])
	}
	if rows := b.audit(audit.Query{Run: sdata.RunID("test", "2024-05-01T10:00:00Z"), Limit: 1000, Operation: audit.Receive}); len(rows) < 251 {
		t.Errorf("the target has %d rows of the run", len(rows))
	}
}

// same compares all copies of two nodes.
func (h *host) same(o *host) {
	h.t.Helper()
	digests := func(h *host) string {
		types, err := h.Engine().Store().HeldTypes(h.t.Context())
		if err != nil {
			h.t.Fatal(err)
		}
		var out []string
		for _, typ := range types {
			for _, id := range h.ids(typ) {
				out = append(out, typ+"/"+id+"="+h.has(typ, id))
			}
		}
		slices.Sort(out)
		return strings.Join(out, "\n")
	}
	if x, y := digests(h), digests(o); x != y {
		h.t.Errorf("the nodes differ:\n%s\n---\n%s", x, y)
	}
	x, y := h.ticks(), o.ticks()
	delete(x, "own")
	delete(y, "own")
	for e, tick := range x {
		if y[e] != 0 && y[e] != tick {
			h.t.Errorf("they know of %s up to %d and %d", e, tick, y[e])
		}
	}
}

func (h *host) ids(typ string) (out []string) {
	h.t.Helper()
	_, err := h.Engine().Store().FindID(h.t.Context(), typ, func(id string) bool {
		out = append(out, id)
		return false
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// TestRunnerKilledAnywhere ends the engine at every exchange in turn and runs another one: nothing is lost, and what was taken is not taken
// again.
func TestRunnerKilledAnywhere(t *testing.T) {
	for at := 1; ; at++ {
		a, b := newHost(t, "a", nil), newHost(t, "b", nil)
		for i := range 12 {
			a.write("Patient", fmt.Sprint("p", i), "x")
		}
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		small := func(h *host) http.RoundTripper {
			return trip(func(r *http.Request) (*http.Response, error) {
				if calls++; calls == at {
					cancel()
					return nil, context.Canceled
				}
				if strings.Contains(r.URL.Path, "$syncSource(") && !r.URL.Query().Has("count") {
					q := r.URL.Query()
					q.Set("count", "5")
					r.URL.RawQuery = q.Encode()
				}
				return h.RoundTrip(r)
			})
		}
		_, err := runner(newClient(t, a.url+"/sdata", small(a)), newClient(t, b.url+"/sdata", small(b))).Pass(ctx, "Patient")
		cancel()
		if err == nil {
			if at < 8 {
				t.Fatalf("a pass of 3 pages had %d exchanges", calls)
			}
			return
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("killed at %d: %v", at, err)
		}
		taken := len(b.ids("Patient"))
		n := b.pass(t, a.client(), b.client())
		if n.Entries != 12-taken {
			t.Errorf("killed at %d: %d were taken, the next pass brought %d", at, taken, n.Entries)
		}
		b.same(a)
	}
}

type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestRunnerHostile: answers that no peer should give end in an error that says so.
func TestRunnerHostile(t *testing.T) {
	h := newHost(t, "node", nil)
	feed := func(next string) string {
		return fmt.Sprintf(`<feed xmlns="http://www.w3.org/2005/Atom"><syncMode xmlns="http://schemas.sage.com/sdata/sync/2008/1">catchUp</syncMode><digest xmlns="http://schemas.sage.com/sdata/sync/2008/1"/><link rel="next" href="%s"/></feed>`, next)
	}
	answer := func(status int, location, body string) *http.Response {
		w := newAnswer(status, body)
		if location != "" {
			w.Header.Set("Location", location)
		}
		return w
	}
	n := 0
	for name, c := range map[string]struct {
		source trip
		kind   syncerr.Kind
		says   string
	}{
		"pages without end": {func(*http.Request) (*http.Response, error) {
			n++
			return answer(200, "", feed(fmt.Sprint("http://s.example/x?", n))), nil
		}, syncerr.Invalid, "no end"},
		"a page that names itself": {func(*http.Request) (*http.Response, error) { return answer(200, "", feed("http://s.example/x")), nil }, syncerr.Invalid, "follows again"},
		"another host": {func(*http.Request) (*http.Response, error) {
			return answer(200, "", feed("http://evil.example/x")), nil
		}, syncerr.Denied, "another host"},
		"a Location of another host":    {func(*http.Request) (*http.Response, error) { return answer(202, "http://evil.example/x", ""), nil }, syncerr.Denied, "another host"},
		"no Location":                   {func(*http.Request) (*http.Response, error) { return answer(202, "", ""), nil }, syncerr.Invalid, "address"},
		"a page to log in":              {func(*http.Request) (*http.Response, error) { return answer(200, "", "<html><body>log in"), nil }, syncerr.Invalid, "source"},
		"a redirect":                    {func(*http.Request) (*http.Response, error) { return answer(302, "http://evil.example/", ""), nil }, syncerr.Internal, "302"},
		"an error of its own":           {func(*http.Request) (*http.Response, error) { return answer(500, "", ""), nil }, syncerr.Internal, "500"},
		"no credential":                 {func(*http.Request) (*http.Response, error) { return answer(401, "", ""), nil }, syncerr.Denied, "credential"},
		"the link is away":              {func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }, syncerr.Transient, "no route"},
		"it is busy and stays so":       {func(*http.Request) (*http.Response, error) { return answer(503, "", ""), nil }, syncerr.Transient, "503"},
		"the way breaks in the middle":  {func(*http.Request) (*http.Response, error) { return answer(200, "", feed("x")[:80]), nil }, syncerr.Invalid, "EOF"},
		"it does not speak of the kind": {func(*http.Request) (*http.Response, error) { return answer(404, "", ""), nil }, syncerr.NotFound, "404"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := runner(newClient(t, "http://s.example/sdata", c.source), h.client()).Pass(t.Context(), "Patient")
			if err == nil || syncerr.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v: %v, want %v that says %q", syncerr.KindOf(err), err, c.kind, c.says)
			}
		})
	}
}
