package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/api"
	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// wire carries a client's requests to the handler of a world.
type wire struct{ w *world }

func (c wire) RoundTrip(r *http.Request) (*http.Response, error) {
	r.RemoteAddr = "192.0.2.1:40000"
	out := httptest.NewRecorder()
	c.w.mux.ServeHTTP(out, r)
	return out.Result(), nil
}

// family is a parent with one child, of which several processes come.
type family struct {
	*world
	ctl        *control.Control
	credential string
	processes  map[string]*clients.Node
}

func newFamily(t *testing.T) *family {
	t.Helper()
	f := &family{}
	f.world = newWorld(t, func(d *api.Deps) { f.ctl = d.Control })
	f.admit()
	return f
}

func (f *family) admit() {
	f.t.Helper()
	c, err := f.ctl.AddChild(context.Background(), "clinic-a", "")
	if err != nil {
		f.t.Fatal(err)
	}
	f.credential = c.Credential
}

// process is a client as one running copy of the child has it.
func (f *family) process(instance string) *clients.Node {
	secret := f.credential
	if p := f.processes[instance+secret]; p != nil {
		return p
	}
	self := clients.Self{Node: "clinic-a", Replica: func() string { return "11111111-1111-4111-8111-111111111111" }, PublicKey: "k", Instance: instance}
	p := clients.NewNode("http://parent", func() (string, error) { return secret, nil }, self, wire{f.world})
	if f.processes == nil {
		f.processes = map[string]*clients.Node{}
	}
	f.processes[instance+secret] = p
	return p
}

// come lets the processes ask who the parent is, in that order ("A", "B" and so on, separated by blanks), and returns what the last got.
func (f *family) come(order string) error {
	var err error
	for _, instance := range strings.Fields(order) {
		_, err = f.process(instance).Ask(context.Background())
	}
	return err
}

func (f *family) status() control.Status {
	f.t.Helper()
	s, err := f.ctl.Status(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// stamp is that of a deletion that the child made.
func stamp() version.Stamp {
	v := version.Version{Replica: "11111111-1111-4111-8111-111111111111", Tick: 1}
	return version.Stamp{Version: v, Vector: version.Vector{v}, Author: v.Replica, Authored: 1, Origin: v, Deleted: true}
}

// A process that comes again twice after another one took its place lives beside it. Restarts, and a request of the old process that
// came late, are not that.
func TestCloneIsNoticed(t *testing.T) {
	for _, c := range []struct {
		name, order string
		clone       bool
	}{
		{"one process", "A A A A", false},
		{"restarts", "A A B B C D D E", false},
		{"a late request of the process before", "A B A B B", false},
		{"a late request at each of two restarts", "A B A B C B C C", false},
		{"many restarts", "A B C D E F G H I J K L M", false},
		{"two in turn", "A B A B A", true},
		{"two in turn, seen late", "A B B A A B B A", true},
		{"two in turn after restarts", "A B C D C D C", true},
		{"one that is started again and again", "A B A C A", true},
		{"three", "A B C A B C A", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFamily(t)
			err := f.come(c.order)
			if got := syncerr.KindOf(err) == syncerr.Denied; got != c.clone || !c.clone && err != nil {
				t.Errorf("refused %t, want %t: %v", got, c.clone, err)
			}
			if got := f.status().Children[0].Cloned != 0; got != c.clone {
				t.Errorf("the child is marked as cloned: %t, want %t", got, c.clone)
			}
		})
	}
}

// Both copies of a clone are refused whatever they ask, before anything is taken or given; a person is told what to do, once in the
// audit; and a child that was added again goes on.
func TestCloneIsRefusedAndTold(t *testing.T) {
	ctx := context.Background()
	f := newFamily(t)
	f.do("PUT", "/fhir/R4/Patient/theirs", patient("theirs", "x")).want(201)
	a, b := f.process("A"), f.process("B")
	for _, p := range []*clients.Node{a, b, a, b, a, b} {
		_, _ = p.Ask(ctx)
	}
	head := func() uint64 {
		h, err := f.st.Head(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return h.Seq
	}
	was := head()
	event := feed.Event{Key: fhir.Key{Type: "Patient", ID: "mine"}, Action: feed.Deleted, Stamp: stamp()}
	for _, p := range []*clients.Node{a, b, f.process("C"), f.process("")} {
		got := 0
		take := func(feed.Line) error { got++; return nil }
		for name, ask := range map[string]func() error{
			"who":       func() error { _, err := p.Ask(ctx); return err },
			"read":      func() error { _, err := p.Read(ctx, feed.Request{}, take); return err },
			"push":      func() error { _, err := p.Send(ctx, resourcemanager.Shipment{Events: []feed.Event{event}}); return err },
			"fetch":     func() error { _, err := p.Fetch(ctx, nil); return err },
			"catch up":  func() error { _, err := p.CatchUp(ctx, feed.CatchUp{}, take); return err },
			"knowledge": func() error { _, err := p.Knowledge(ctx, nil); return err },
		} {
			err := ask()
			if syncerr.KindOf(err) != syncerr.Denied || !strings.Contains(err.Error(), `"clinic-a" runs twice`) || !strings.Contains(err.Error(), "tributary init") {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if got != 0 {
			t.Errorf("%d lines of the log were given", got)
		}
	}
	if now := head(); now != was {
		t.Errorf("the log went on from %d to %d", was, now)
	}

	rows, err := f.st.AuditRecords(ctx, audit.Query{Operation: audit.Admin})
	notes := 0
	for _, r := range rows {
		if r.Action == "CLONE" && r.Peer == "clinic-a" && strings.Contains(r.Details, "tributary child remove clinic-a") {
			notes++
		}
	}
	if err != nil || notes != 1 {
		t.Errorf("%d audit rows say it, want 1; %v", notes, err)
	}
	if s := f.status(); len(s.Attention) != 1 || !strings.Contains(s.Attention[0], "Child clinic-a runs twice") {
		t.Errorf("attention %q", s.Attention)
	}
	checks, err := f.ctl.Doctor(ctx, false)
	told := false
	for _, k := range checks {
		told = told || k.Name == "child" && k.Level == control.Fail && strings.Contains(k.Hint, "tributary child add clinic-a")
	}
	if err != nil || !told {
		t.Errorf("doctor does not say it: %+v %v", checks, err)
	}

	if err := f.ctl.RemoveChild(ctx, "clinic-a"); err != nil {
		t.Fatal(err)
	}
	f.admit()
	if err := f.come("A A A"); err != nil {
		t.Errorf("the one that goes on: %v", err)
	}
	if _, err := b.Ask(ctx); syncerr.KindOf(err) != syncerr.Denied {
		t.Errorf("the other one, on the old credential: %v", err)
	}
	if s := f.status(); len(s.Attention) != 0 || s.Children[0].Cloned != 0 {
		t.Errorf("it is still told: %+v", s)
	}
}

// late delivers a question of a process, whose answer nobody hears.
func (f *family) late(instance string) error {
	r := httptest.NewRequest("GET", "/sync/node", nil)
	r.RemoteAddr = "192.0.2.1:40000"
	for k, v := range map[string]string{
		"Authorization": "Bearer " + f.credential, "Tributary-Protocol": "1", "Tributary-Node": "clinic-a", "Tributary-Key": "k",
		"Tributary-Replica": "11111111-1111-4111-8111-111111111111", "Tributary-Instance": instance,
	} {
		r.Header.Set(k, v)
	}
	out := httptest.NewRecorder()
	f.mux.ServeHTTP(out, r)
	if out.Code != http.StatusOK {
		return syncerr.New(syncerr.Denied, "late", "%d %s", out.Code, out.Body)
	}
	return nil
}

// What the network delivers late or twice of a process that is gone tells nothing of who lives: it bears a number that was there before.
func TestLateRequestsAreNoClone(t *testing.T) {
	f := newFamily(t)
	late := func() error { return f.late("A.1") }
	if err := f.come("A A"); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if err := f.come("B"); err != nil {
			t.Fatal(err)
		}
		if err := late(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.come("A B A B"); syncerr.KindOf(err) != syncerr.Denied {
		t.Errorf("two that go on are not refused: %v", err)
	}
}

// What one copy sent under the common name the other one has not seen: it is asked to ask again, and is told, before anything is taken from it.
func TestReturningProcessAsksAgain(t *testing.T) {
	ctx := context.Background()
	f := newFamily(t)
	a, b := f.process("A"), f.process("B")
	send := func(p *clients.Node, id string) error {
		event := feed.Event{Key: fhir.Key{Type: "Patient", ID: id}, Action: feed.Deleted, Stamp: stamp()}
		_, err := p.Send(ctx, resourcemanager.Shipment{Events: []feed.Event{event}})
		return err
	}
	for _, p := range []*clients.Node{a, b} {
		if _, err := p.Hello(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := send(b, "theirs"); err != nil {
		t.Fatal(err)
	}
	if err := send(a, "mine"); syncerr.KindOf(err) != syncerr.EpochChanged {
		t.Errorf("it is taken from the one that does not know: %v", err)
	}
	if err := f.late("A.99"); err != nil { // as a parent that was started anew takes it: nothing tells that it was under way for long
		t.Fatal(err)
	}
	if err := send(a, "mine"); syncerr.KindOf(err) != syncerr.EpochChanged {
		t.Errorf("it is taken from the one that heard no answer: %v", err)
	}
	if _, ok, err := f.st.Get(ctx, fhir.Key{Type: "Patient", ID: "mine"}); err != nil || ok {
		t.Errorf("the change is there: %t, %v", ok, err)
	}
	if _, err := a.Hello(ctx); err != nil {
		t.Fatal(err)
	}
	if err := send(a, "mine"); err != nil {
		t.Errorf("after it asked: %v", err)
	}
}
