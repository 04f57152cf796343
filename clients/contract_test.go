package clients_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/api"
	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// This file is the contract of a resourcemanager.Client: what every one of them does, whatever it speaks, against a real node. What moves
// single documents has its own part, in contract_remote_test.go. A new client is a row of clientsToNodes or contractRemotes.

// maxDoc is the largest document in bytes that the servers of the contract take, and that clients with a limit read.
const maxDoc = 4000

// operatorToken is the credential of an application at a node of the contract.
const operatorToken = "the-operators-token"

// faults stands before a server: next answers in its place, as often as it says.
type faults struct {
	server http.Handler
	next   atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool]
	hours  atomic.Int64
	taken  atomic.Int64 // the bytes that a client has read of the longest answer
}

// RoundTrip makes a client's exchanges, and counts what it reads itself: a socket takes megabytes of an answer that nobody reads.
func (f *faults) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		res.Body = &counted{ReadCloser: res.Body, most: &f.taken}
	}
	return res, err
}

type counted struct {
	io.ReadCloser
	n    int64
	most *atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.n += int64(n)
	c.most.Store(max(c.most.Load(), c.n))
	return n, err
}

// now is the clients' clock: it goes on by an hour when the server is well again, so that pauses that it asked for are over.
func (f *faults) now() time.Time {
	return time.UnixMilli(1_800_000_000_000).Add(time.Duration(f.hours.Load()) * time.Hour)
}

func (f *faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if do := f.next.Load(); do != nil && (*do)(w, r) {
		return
	}
	f.server.ServeHTTP(w, r)
}

func (f *faults) set(do func(w http.ResponseWriter, r *http.Request) bool) { f.next.Store(&do) }

func (f *faults) heal() {
	f.next.Store(nil)
	f.hours.Add(2)
}

// fault is what goes wrong between a client and its server, and what the client has to make of it.
type fault struct {
	name  string
	do    func(w http.ResponseWriter, r *http.Request)
	kinds []syncerr.Kind
	says  string // in the error, one of these
}

func page(status int, contentType, body string, headers ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// cut ends the connection in the middle of an answer that had promised more.
func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "1000")
	w.WriteHeader(http.StatusOK)
	fmt.Fprint(w, `{"uuid":"cu`)
	panic(http.ErrAbortHandler)
}

// endless answers more than any document has.
func endless(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Tributary-Protocol", fmt.Sprint(feed.Protocol))
	fmt.Fprint(w, `{"a":"`)
	for range 20_000 { // 80 MB
		if _, err := fmt.Fprint(w, strings.Repeat("x", 4096)); err != nil {
			return
		}
	}
}

const html = "<!doctype html><html><title>Log in to the hotspot</title></html>"

// faultsOfExchanges are those that say nothing about a document: nothing is to be taken for done, nothing for absent.
func faultsOfExchanges() []fault {
	denied, transient := []syncerr.Kind{syncerr.Denied}, []syncerr.Kind{syncerr.Transient}
	// A client says that this is not the server that it was told of by one of these; none of them is tried again as if the link had failed.
	wrong := []syncerr.Kind{syncerr.Invalid, syncerr.Unsupported}
	outcome := `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"security","diagnostics":"the reason"}]}`
	return []fault{
		{"401", page(401, "application/fhir+json", outcome, "WWW-Authenticate", "Bearer"), denied, "the reason"},
		{"403", page(403, "application/fhir+json", outcome), denied, "the reason"},
		{"401 of a web server", page(401, "text/html", html), denied, "401"},
		{"429", page(429, "application/json", `{}`, "Retry-After", "7"), transient, "429|left alone"},
		{"503", page(503, "text/html", html, "Retry-After", "120"), transient, "503|left alone"},
		{"502 of a proxy", page(502, "text/html", html), transient, "502"},
		{"500 of a web server", page(500, "text/html", html), append(transient, wrong...), "500"},
		{"cut in the middle", cut, transient, ""},
		{"no answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, transient, ""},
		{"page instead of JSON", page(200, "text/html", html), wrong, ""},
		{"page not found", page(404, "text/html", html), wrong, ""},
		{"redirect to a log-in", page(302, "text/html", html, "Location", "https://login.example/"), wrong, "login.example"},
		{"huge", endless, []syncerr.Kind{syncerr.TooLarge, syncerr.Invalid, syncerr.Unsupported, syncerr.Transient}, ""},
	}
}

// mostTaken is what a client may read of an answer: the longest entry of a bundle, and what a reader fetches ahead of it.
const mostTaken = 2*fhir.MaxBytes + 1<<20

// before answers every request with the fault.
func (f fault) before(w http.ResponseWriter, r *http.Request) bool {
	f.do(w, r)
	return true
}

// check holds an error against a fault.
func (f fault) check(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("it passes for an answer")
	}
	good := false
	for _, k := range f.kinds {
		good = good || syncerr.KindOf(err) == k
	}
	if !good {
		t.Errorf("%v: it is %s, want one of %v", err, syncerr.KindOf(err), f.kinds)
	}
	said := false
	for says := range strings.SplitSeq(f.says, "|") {
		said = said || strings.Contains(err.Error(), says)
	}
	if !said {
		t.Errorf("%q does not say %q", err, f.says)
	}
	if strings.Contains(err.Error(), operatorToken) {
		t.Errorf("%q has the credential", err)
	}
	if !good || f.kinds[0] != syncerr.Transient && syncerr.HintOf(err) == "" && f.name != "huge" {
		t.Errorf("%q does not say what to do", err)
	}
}

// parent is a node on a socket, and this side's identity towards it.
type parent struct {
	t       *testing.T
	eng     *engine.Engine
	url     string
	faults  *faults
	child   string // the credential of this side as a child
	replica version.Replica
	tick    uint64
}

func newParent(t *testing.T) *parent {
	t.Helper()
	var millis atomic.Int64
	clock := func() time.Time { return time.UnixMilli(1_800_000_000_000 + millis.Add(1)) }
	st, err := store.Create(t.Context(), store.Options{DSN: filepath.Join(t.TempDir(), "n.db"), Volatile: true, Clock: clock}, "parent", 10)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &parent{t: t, replica: "99999999-9999-4999-8999-999999999999"}
	p.eng = engine.New(st, engine.Config{Limit: maxDoc, Policies: reconcile.Policies{Default: reconcile.DestinationWins}})
	ctl := control.New(p.eng, config.Config{}, nil, control.Deps{Rand: zeros{}})
	made, err := ctl.AddChild(t.Context(), "clinic", "")
	if err != nil {
		t.Fatal(err)
	}
	p.child = made.Credential
	mux := http.NewServeMux()
	api.New(api.Deps{Engine: p.eng, Control: ctl, Clock: clock, AdminToken: operatorToken, URL: "http://parent.example"}).Register(mux)
	p.faults = &faults{server: mux}
	srv := httptest.NewServer(p.faults)
	srv.Config.ErrorLog = nil
	t.Cleanup(srv.Close)
	p.url = srv.URL
	return p
}

// zeros is no randomness: the credential of a test need not be a secret.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// docOf is what the contract moves: of any type, with a text.
func docOf(k fhir.Key, text string) []byte {
	if fhir.IsREST(k.Type) {
		return fmt.Appendf(nil, `{"uuid":%q,"name":%q,"concept":"c"}`, k.ID, text)
	}
	return fmt.Appendf(nil, `{"resourceType":%q,"id":%q,"name":%q}`, k.Type, k.ID, text)
}

func textOf(content []byte) string { return gjson.GetBytes(content, "name").String() }

func parsed(t *testing.T, k fhir.Key, text string) fhir.Resource {
	t.Helper()
	r, err := fhir.ParseAs(k.Type, docOf(k, text), 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// put writes at the peer, as an application there; remove deletes.
func (p *parent) put(k fhir.Key, text string) version.Version {
	p.t.Helper()
	return p.author(engine.Write{Op: engine.Update, Key: k, Body: parsed(p.t, k, text)})
}

func (p *parent) remove(k fhir.Key) version.Version {
	p.t.Helper()
	return p.author(engine.Write{Op: engine.Delete, Key: k})
}

func (p *parent) author(w engine.Write) version.Version {
	p.t.Helper()
	out, err := p.eng.Author(context.Background(), "test", []engine.Write{w})
	if err != nil {
		p.t.Fatal(err)
	}
	return out[0].Stamp.Version
}

// has returns what the peer has: the text, or "deleted", or "nothing".
func (p *parent) has(k fhir.Key) string {
	p.t.Helper()
	c, ok, err := p.eng.Store().Get(context.Background(), k)
	switch {
	case err != nil:
		p.t.Fatal(err)
		return ""
	case !ok:
		return "nothing"
	case c.Stamp.Deleted:
		return "deleted"
	}
	return textOf(c.Body)
}

// event is a change of this side that has seen versions; an empty text deletes.
func (p *parent) event(k fhir.Key, text string, seen ...version.Version) feed.Event {
	p.t.Helper()
	p.tick++
	v := version.Version{Replica: p.replica, Tick: p.tick}
	ev := feed.Event{
		Seq: p.tick, Ordinal: p.tick, Key: k, Action: feed.Updated, Committed: 1,
		Stamp: version.Stamp{Version: v, Vector: version.Vector{v}, Author: p.replica, Authored: 1, Origin: v},
	}
	for _, s := range seen {
		ev.Stamp.Vector = ev.Stamp.Vector.With(s)
	}
	if text == "" {
		ev.Action, ev.Stamp.Deleted = feed.Deleted, true
		return ev
	}
	r := parsed(p.t, k, text)
	ev.Content, ev.Size, ev.Stamp.Hash = r.Body, len(r.Body), version.Hash(r.Hash())
	return ev
}

// clientToNode is a client as the contract makes it.
type clientToNode struct {
	name string
	kind string // the type of the documents that it moves
	make func(p *parent) resourcemanager.Client
}

func clientsToNodes() []clientToNode {
	rest := func(p *parent) resourcemanager.Client {
		opts := clients.RESTOptions{Authorize: clients.Bearer(secret(operatorToken)), Limit: maxDoc}
		return &resourcemanager.Stampless{Remote: clients.NewREST(p.url, opts, p.faults)}
	}
	node := func(p *parent) resourcemanager.Client {
		self := clients.Self{Node: "clinic", Replica: func() string { return string(p.replica) }}
		return clients.NewNode(p.url, secret(p.child), self, p.faults)
	}
	fhirs := func(p *parent) resourcemanager.Client {
		return &resourcemanager.Stampless{Remote: clients.NewFHIR(p.url+"/fhir/R4", secret(operatorToken), p.faults, p.faults.now)}
	}
	return []clientToNode{
		{"fhir with a resource", "Basic", fhirs},
		{"node with a resource", "Basic", node},
		{"node with a document", "program", node},
		{"rest with a document", "program", rest},
		{"rest with a resource", "Basic", rest},
	}
}

func forEachClient(t *testing.T, test func(t *testing.T, p *parent, c resourcemanager.Client, key func(id string) fhir.Key)) {
	for _, c := range clientsToNodes() {
		t.Run(c.name, func(t *testing.T) {
			p := newParent(t)
			test(t, p, c.make(p), func(id string) fhir.Key { return fhir.Key{Type: c.kind, ID: id} })
		})
	}
}

// sent gives changes to the peer and returns the receipts, one for each in their order.
func sent(t *testing.T, c resourcemanager.Client, events ...feed.Event) []feed.Receipt {
	t.Helper()
	out, err := c.Send(t.Context(), resourcemanager.Shipment{Events: events})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Receipts) != len(events) {
		t.Fatalf("%d receipts for %d changes", len(out.Receipts), len(events))
	}
	for i, r := range out.Receipts {
		if r.Key != events[i].Key || r.Version != events[i].Stamp.Version {
			t.Fatalf("receipt %d is of %s %s, the change was %s %s", i, r.Key, r.Version, events[i].Key, events[i].Stamp.Version)
		}
	}
	return out.Receipts
}

// taken reports whether a receipt says that the peer has the sent content now.
func taken(r feed.Receipt) bool { return r.Result == feed.Applied || r.Result == feed.Written }

func TestClientFetches(t *testing.T) {
	forEachClient(t, func(t *testing.T, p *parent, c resourcemanager.Client, key func(string) fhir.Key) {
		var refs []feed.Ref
		want := map[fhir.Key]string{}
		for i := range 20 {
			k := key(fmt.Sprintf("k%02d", i))
			want[k] = fmt.Sprintf("text %d é", i)
			refs = append(refs, feed.Ref{Key: k, Version: p.put(k, want[k])})
		}
		gone := key("gone")
		p.put(gone, "there before")
		refs = append(refs, feed.Ref{Key: gone, Version: p.remove(gone)}, feed.Ref{Key: key("never"), Version: version.Version{Replica: p.replica, Tick: 1}})
		got, err := c.Fetch(t.Context(), refs)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range got {
			if ev.Stamp.Deleted {
				continue // a node tells of deletions, too
			}
			r, err := fhir.ParseAs(ev.Key.Type, ev.Content, 0)
			if err != nil || r.Key != ev.Key || textOf(ev.Content) != want[ev.Key] || version.Hash(r.Hash()) != ev.Stamp.Hash {
				t.Errorf("%s: %s %v, %v", ev.Key, ev.Content, ev.Stamp, err)
			}
			delete(want, ev.Key)
		}
		if len(want) > 0 {
			t.Errorf("missing: %v", want)
		}
	})
}

func TestClientSends(t *testing.T) {
	forEachClient(t, func(t *testing.T, p *parent, c resourcemanager.Client, key func(string) fhir.Key) {
		fresh, known, doomed := key("fresh"), key("known"), key("doomed")
		had, dies := p.put(known, "before"), p.put(doomed, "before")
		receipts := sent(t, c, p.event(fresh, "made"), p.event(known, "changed", had), p.event(doomed, "", dies))
		for i, want := range []string{"made", "changed", "deleted"} {
			k := []fhir.Key{fresh, known, doomed}[i]
			if !taken(receipts[i]) || p.has(k) != want {
				t.Errorf("%s: %+v, the peer has %q", k, receipts[i], p.has(k))
			}
			if v := receipts[i].Stamp.Version; v.IsZero() {
				t.Errorf("%s: the receipt names no version of the peer", k)
			} else if now, _, err := p.eng.Store().Get(t.Context(), k); err != nil || now.Stamp.Version != v {
				t.Errorf("%s: the receipt says %s, the peer has %s, %v", k, v, now.Stamp.Version, err)
			}
		}
		// What was deleted comes back; what the peer has already is not news.
		back := p.event(doomed, "again", receipts[2].Stamp.Version)
		if r := sent(t, c, back); !taken(r[0]) || p.has(doomed) != "again" {
			t.Errorf("brought back: %+v, the peer has %q", r[0], p.has(doomed))
		}
		before, _, _ := p.eng.Store().Get(t.Context(), doomed)
		if r := sent(t, c, back); r[0].Result == feed.Refused || r[0].Result == feed.Deferred {
			t.Errorf("sent again: %+v", r[0])
		}
		if now, _, _ := p.eng.Store().Get(t.Context(), doomed); now.Stamp.Version != before.Stamp.Version {
			t.Errorf("what was there already became version %s", now.Stamp.Version)
		}
		if r := sent(t, c); len(r) != 0 {
			t.Errorf("nothing sent: %v", r)
		}
	})
}

// What the peer changed meanwhile is not overwritten by what had not seen it, and the sender is told.
func TestClientOnOldBase(t *testing.T) {
	forEachClient(t, func(t *testing.T, p *parent, c resourcemanager.Client, key func(string) fhir.Key) {
		k, gone, mine := key("k"), key("gone"), key("mine")
		base, other := p.put(k, "first"), p.put(gone, "first")
		p.put(k, "of the peer")
		p.put(gone, "of the peer")
		receipts := sent(t, c, p.event(k, "of this side", base), p.event(gone, "", other), p.event(mine, "mine"))
		for i, k := range []fhir.Key{k, gone} {
			if taken(receipts[i]) || receipts[i].Result == feed.Same || p.has(k) != "of the peer" {
				t.Errorf("%s: %+v, the peer has %q", k, receipts[i], p.has(k))
			}
		}
		if !taken(receipts[2]) || p.has(mine) != "mine" {
			t.Errorf("what had no rival: %+v, %q", receipts[2], p.has(mine))
		}
	})
}

// A record that the peer will not take is refused with the reason, and holds back no other.
func TestClientIsRefused(t *testing.T) {
	forEachClient(t, func(t *testing.T, p *parent, c resourcemanager.Client, key func(string) fhir.Key) {
		one, large, two := p.event(key("one"), "one"), p.event(key("large"), strings.Repeat("x", maxDoc)), p.event(key("two"), "two")
		receipts := sent(t, c, one, large, two)
		if r := receipts[1]; r.Result != feed.Refused || !strings.Contains(r.Reason, fmt.Sprint(maxDoc)) || p.has(large.Key) != "nothing" {
			t.Errorf("%+v, the peer has %.20q", r, p.has(large.Key))
		}
		if p.has(key("one")) != "one" || p.has(key("two")) != "two" || !taken(receipts[0]) || !taken(receipts[2]) {
			t.Errorf("the others: %+v %+v", receipts[0], receipts[2])
		}
	})
}

func TestClientFaults(t *testing.T) {
	forEachClient(t, func(t *testing.T, p *parent, c resourcemanager.Client, key func(string) fhir.Key) {
		k := key("k")
		refs := []feed.Ref{{Key: k, Version: p.put(k, "first")}}
		for i, f := range faultsOfExchanges() {
			t.Run(f.name, func(t *testing.T) {
				fresh := key(fmt.Sprintf("fresh%d", i))
				ev := p.event(fresh, "made")
				p.faults.set(f.before)
				got, err := c.Fetch(t.Context(), refs)
				if f.check(t, err); len(got) > 0 {
					t.Errorf("fetched %+v", got)
				}
				_, err = c.Send(t.Context(), resourcemanager.Shipment{Events: []feed.Event{ev}})
				f.check(t, err)
				p.faults.heal()
				if n := p.faults.taken.Load(); n > mostTaken {
					t.Errorf("%d bytes of an answer without an end were taken", n)
				}
				// It is over: everything goes on where it was.
				if got, err := c.Fetch(t.Context(), refs); err != nil || len(got) != 1 {
					t.Errorf("afterwards: %+v, %v", got, err)
				}
				if r := sent(t, c, ev); !taken(r[0]) || p.has(fresh) != "made" {
					t.Errorf("afterwards: %+v", r)
				}
			})
		}
	})
}

// The link breaks while changes are under way: what the peer took is taken, and sending all of it again makes it whole without a second
// version of anything.
func TestClientCutWhileSending(t *testing.T) {
	forEachClient(t, func(t *testing.T, p *parent, c resourcemanager.Client, key func(string) fhir.Key) {
		var events []feed.Event
		for i := range 5 {
			events = append(events, p.event(key(fmt.Sprint("k", i)), "made"))
		}
		writes := 0
		p.faults.set(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				return false
			}
			// One by one, the third is cut. The first batch of FHIR reads, the second one writes; a node's is one exchange.
			if writes++; writes < 3 && r.URL.Path != "/sync/changes" && (r.URL.Path != "/fhir/R4" || writes == 1) {
				return false
			}
			rec := httptest.NewRecorder()
			p.faults.server.ServeHTTP(rec, r) // it is done, and the answer is lost
			panic(http.ErrAbortHandler)
		})
		_, err := c.Send(t.Context(), resourcemanager.Shipment{Events: events})
		if syncerr.KindOf(err) != syncerr.Transient {
			t.Fatalf("%v is %s", err, syncerr.KindOf(err))
		}
		p.faults.heal()
		head, err := p.eng.Store().Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		done := head.Seq
		if done == 0 {
			t.Fatal("nothing was done before the cut: the test proves nothing")
		}
		for i, r := range sent(t, c, events...) {
			if r.Result == feed.Refused || r.Result == feed.Deferred || p.has(events[i].Key) != "made" {
				t.Errorf("%s: %+v, the peer has %q", events[i].Key, r, p.has(events[i].Key))
			}
		}
		if head, err = p.eng.Store().Head(t.Context()); err != nil || head.Seq != uint64(len(events)) {
			t.Errorf("%d rows for %d changes, %v", head.Seq, len(events), err)
		}
	})
}

// Whoever waits is let go when the context ends.
func TestClientIsCancelled(t *testing.T) {
	forEachClient(t, func(t *testing.T, p *parent, c resourcemanager.Client, key func(string) fhir.Key) {
		ctx, cancel := context.WithCancel(t.Context())
		p.faults.set(func(_ http.ResponseWriter, r *http.Request) bool {
			_, _ = io.Copy(io.Discard, r.Body) // only then is it seen that the caller has gone
			cancel()
			<-r.Context().Done()
			return true
		})
		_, err := c.Fetch(ctx, []feed.Ref{{Key: key("k"), Version: version.Version{Replica: p.replica, Tick: 1}}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("fetch: %v", err)
		}
		_, err = c.Send(ctx, resourcemanager.Shipment{Events: []feed.Event{p.event(key("k"), "x")}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("send: %v", err)
		}
	})
}
