package push_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/push"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

const (
	epoch1 = "99999999-0000-4000-8000-000000000001"
	epoch2 = "99999999-0000-4000-8000-000000000002"
)

// world is a child and a parent that is a real engine behind a client without a network.
type world struct {
	t      *testing.T
	ctx    context.Context
	now    time.Time
	eng    *engine.Engine
	top    *engine.Engine
	peer   feed.Peer
	told   int      // the limit that the parent told first; 0 for that of peer
	asked  int      // how often the parent was asked anew
	refuse string   // id that the parent refuses for good
	sent   []string // each exchange: ids in order, with +unit size
	names  []feed.Name
	err    error
	during func() // what goes on at the child meanwhile; nil for nothing
	p      *push.Pusher
}

func newWorld(t *testing.T, cfg push.Config) *world {
	t.Helper()
	w := &world{t: t, ctx: context.Background(), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), peer: feed.Peer{Protocol: 1, Node: "top", Epoch: epoch1}}
	clock := func() time.Time { w.now = w.now.Add(time.Millisecond); return w.now }
	open := func(name string) *engine.Engine {
		st, err := store.Create(w.ctx, store.Options{DSN: filepath.Join(t.TempDir(), "n.db"), Volatile: true, Clock: clock}, name, 10)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		})
		return engine.New(st, engine.Config{})
	}
	w.eng, w.top = open("low"), open("top")
	cfg.ParentURL, cfg.Clock = "http://top", clock
	w.p = push.New(w.eng, push.Parent{
		Manager: resourcemanager.New(func(string) string { return "node" }, map[string]resourcemanager.Client{"node": w}),
		Hello: func(context.Context) (feed.Peer, error) {
			p := w.peer
			if w.told > 0 {
				p.Limit = w.told
			}
			return p, w.err
		},
		Ask: func(context.Context) (feed.Peer, error) {
			w.asked++
			return w.peer, w.err
		},
		Traffic: func() (int64, int64) { return int64(10 * len(w.sent)), int64(100 * len(w.sent)) },
	}, cfg)
	return w
}

func (w *world) Fetch(context.Context, []feed.Ref) ([]feed.Event, error) {
	return nil, errors.New("a push fetches nothing")
}

func (w *world) Send(ctx context.Context, s resourcemanager.Shipment) (resourcemanager.Sent, error) {
	var ids []string
	events := slices.Clone(s.Events)
	for i, ev := range events {
		id := ev.Key.ID
		if ev.Unit != "" {
			id += fmt.Sprintf("+%d", ev.UnitSize)
		}
		ids = append(ids, id)
		if ev.Key.ID == w.refuse {
			events[i].Content = []byte("{")
		}
	}
	w.sent, w.names = append(w.sent, strings.Join(ids, " ")), append(w.names, s.Names...)
	if w.during != nil {
		w.during()
	}
	rs, err := w.top.Accept(ctx, engine.Batch{Link: engine.Link{Child: "c1", Peer: "low"}, Events: events, Names: s.Names, Known: s.Known})
	return resourcemanager.Sent{Receipts: rs, Status: 200}, err
}

func (w *world) write(ids ...string) {
	w.t.Helper()
	var writes []engine.Write
	for _, id := range ids {
		id, text, _ := strings.Cut(id, "=")
		kind := "Basic"
		if strings.HasPrefix(id, "g") {
			kind = "Group"
		}
		r, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":%q,"id":%q,"language":"x%s"}`, kind, id, text), 0)
		if err != nil {
			w.t.Fatal(err)
		}
		writes = append(writes, engine.Write{Op: engine.Update, Key: r.Key, Body: r})
	}
	if _, err := w.eng.Author(w.ctx, "t", writes); err != nil {
		w.t.Fatal(err)
	}
}

// pass runs one and returns what it sent.
func (w *world) pass() (audit.Run, []string) {
	w.t.Helper()
	w.sent = nil
	run, err := w.p.Pass(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return run, w.sent
}

func (w *world) want(what string, sent ...string) audit.Run {
	w.t.Helper()
	run, got := w.pass()
	if !slices.Equal(got, sent) {
		w.t.Errorf("%s: sent %q, want %q", what, got, sent)
	}
	return run
}

func (w *world) position() store.Position {
	w.t.Helper()
	p, err := w.eng.Store().Position(w.ctx, "parent", "push")
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) parked() []store.Parked {
	w.t.Helper()
	p, err := w.eng.Store().Parked(w.ctx, store.ParkedFilter{Direction: "push"})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func TestPushOwnLog(t *testing.T) {
	w := newWorld(t, push.Config{Batch: 3})
	w.want("nothing to do")
	w.write("a=1")
	w.write("u1=1", "u2=1")
	w.write("a=2") // the earlier row of a is not sent
	w.write("u1=2")
	w.write("b")
	run := w.want("rows in order, units as they were written", "u1+2 u2+2 a", "u1 b")
	if run.Outcome != "done" || run.Read != 5 || run.Applied != 5 || run.BytesIn != 20 || run.BytesOut != 200 || run.Finished < run.Started {
		t.Errorf("%+v", run)
	}
	head, err := w.eng.Store().Head(w.ctx)
	if err != nil || w.position().Cursor != head || len(w.names) == 0 || w.names[0].Node != "low" {
		t.Errorf("%v %v %v", w.position(), w.names, err)
	}
	if run = w.want("nothing new"); run != (audit.Run{}) {
		t.Errorf("%+v", run)
	}
	w.want("idle sends nothing")
	rows, err := w.eng.Store().Runs(w.ctx, "push", 9)
	if err != nil || len(rows) != 1 || rows[0].Read != 5 || rows[0].Outcome != "done" {
		t.Errorf("%+v %v", rows, err)
	}
}

func TestPushTypes(t *testing.T) {
	w := newWorld(t, push.Config{Types: []string{"Group"}})
	w.write("a", "g1")
	w.write("b")
	w.want("only what is pushed", "g1+2")
	if head, err := w.eng.Store().Head(w.ctx); err != nil || w.position().Cursor != head {
		t.Errorf("%v %v", w.position(), err)
	}
}

// What the parent delivered is not sent back; what has seen more than the parent is.
func TestPushSkipsDelivered(t *testing.T) {
	w := newWorld(t, push.Config{})
	body := []byte(`{"resourceType":"Basic","id":"x","language":"en"}`)
	r, err := fhir.Parse(body, 0)
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.top.Author(w.ctx, "t", []engine.Write{{Op: engine.Update, Key: r.Key, Body: r}})
	if err != nil {
		t.Fatal(err)
	}
	ev := feed.Event{Seq: 1, Key: r.Key, Action: feed.Created, Stamp: out[0].Stamp, Content: out[0].Body.Body}
	take := func(link engine.Link, ev feed.Event) {
		t.Helper()
		if rs, err := w.eng.Accept(w.ctx, engine.Batch{Link: link, Events: []feed.Event{ev}}); err != nil || rs[0].Result == feed.Refused {
			t.Fatal(rs, err)
		}
	}
	take(engine.Link{Peer: "top", Epoch: epoch1}, ev)
	w.write("own")
	w.want("an echo", "own")
	ev.Stamp = ev.Stamp.Seeing(version.Vector{{Replica: epoch2, Tick: 4}})
	take(engine.Link{Child: "c9", Peer: "grandchild"}, ev)
	run := w.want("a vector that grew from below", "x")
	if run.Skipped != 1 {
		t.Errorf("%+v", run)
	}
}

func TestPushLimitRefusalAndRetry(t *testing.T) {
	w := newWorld(t, push.Config{})
	w.peer.Limit = 200
	w.write("big=" + strings.Repeat("x", 300))
	w.write("small")
	run := w.want("what is over the parent's limit is not carried", "small")
	p := w.parked()
	if run.Parked != 1 || run.Applied != 1 || len(p) != 1 || p[0].Key.ID != "big" || !strings.Contains(p[0].Reason, "200") {
		t.Fatalf("%+v %+v", run, p)
	}
	w.peer.Limit, w.refuse = 0, "u2"
	w.write("u1", "u2")
	w.want("a refused unit", "u1+2 u2+2")
	if p = w.parked(); len(p) != 3 || p[1].Unit == "" || p[1].UnitSize != 2 {
		t.Fatalf("%+v", p)
	}
	if w.position().Seq != 4 {
		t.Errorf("a refusal holds the cursor at %d", w.position().Seq)
	}
	w.refuse = ""
	w.want("not due yet")
	w.write("big=edited")
	w.now = w.now.Add(2 * time.Minute)
	w.want("due: one as it is now, a unit as it was written", "big", "u1+2 u2+2")
	if p = w.parked(); len(p) != 0 {
		t.Errorf("%+v", p)
	}
	for _, id := range []string{"big", "small", "u1", "u2"} {
		k := fhir.Key{Type: "Basic", ID: id}
		a, _, aerr := w.eng.Store().Get(w.ctx, k)
		b, ok, berr := w.top.Store().Get(w.ctx, k)
		if !ok || aerr != nil || berr != nil || a.Stamp.Version != b.Stamp.Version || string(a.Body) != string(b.Body) {
			t.Errorf("%s: %s, above %s", id, a.Body, b.Body)
		}
	}
}

// Where a resource is over the limit that the parent told when the link began, and nothing else is sent, the limit is asked again, once in a pass.
func TestPushLimitWasRaised(t *testing.T) {
	w := newWorld(t, push.Config{})
	w.told, w.peer.Limit = 200, 250
	w.write("big="+strings.Repeat("x", 300), "more=y")
	w.want("it is over both, and so its whole transaction waits")
	p := w.parked()
	if w.asked != 1 || len(p) != 2 || !strings.Contains(p[1].Reason, "Basic/big of its transaction has") {
		t.Errorf("asked %d times, %+v", w.asked, p)
	}
	w.peer.Limit = 1000
	w.now = w.now.Add(2 * time.Minute)
	w.want("due, and the limit was raised", "big+2 more+2")
	if w.asked != 2 || len(w.parked()) != 0 {
		t.Errorf("asked %d times, %+v", w.asked, w.parked())
	}
}

// Another epoch of the parent, or other types, offers everything again: what the other end has is not known.
func TestPushNewEpoch(t *testing.T) {
	w := newWorld(t, push.Config{})
	w.write("a")
	w.write("b")
	w.want("first", "a b")
	w.peer.Epoch = epoch2
	run := w.want("everything again, though nothing was written", "a b")
	if run.Skipped != 2 || !strings.HasPrefix(w.position().Scope, epoch2+"|") {
		t.Errorf("%+v %v", run, w.position())
	}
	w.want("only once")
}

// A failure leaves the cursor behind what was confirmed, and says so in the run.
func TestPushFailure(t *testing.T) {
	w := newWorld(t, push.Config{})
	w.write("a")
	w.err = errors.New("the link is down")
	run, err := w.p.Pass(w.ctx)
	if !errors.Is(err, w.err) || run.Outcome != "failed" || run.Error == "" || !w.position().IsZero() {
		t.Errorf("%+v %v", run, err)
	}
	w.err = nil
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	if _, err = w.p.Pass(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	w.want("the next pass", "a")
	rows, err := w.eng.Store().Runs(w.ctx, "push", 9)
	if err != nil || len(rows) != 2 || rows[0].Outcome != "done" || rows[1].Outcome != "failed" {
		t.Errorf("%+v %v", rows, err)
	}
}

// heldFrom sets a copy of Basic/id aside at the child, as a pull would that found the parent with something else than the child wrote.
func (w *world) heldFrom(replica version.Replica, tick uint64, id, text string) version.Version {
	w.t.Helper()
	v := version.Version{Replica: replica, Tick: tick}
	r, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":"Basic","id":%q,"language":%q}`, id, text), 0)
	if err != nil {
		w.t.Fatal(err)
	}
	ev := feed.Event{
		Seq: 1, Key: r.Key, Action: feed.Created, Content: r.Body,
		Stamp: version.Stamp{Version: v, Vector: version.Vector{v}, Author: v.Replica, Authored: 1, Origin: v, Hash: r.Hash()},
	}
	link := engine.Link{Peer: "top", Epoch: epoch1, Follows: func(string) bool { return true }}
	if rs, err := w.eng.Accept(w.ctx, engine.Batch{Link: link, Events: []feed.Event{ev}}); err != nil || rs[0].Result != feed.Held {
		w.t.Fatal(rs, err)
	}
	return v
}

func (w *world) holds() int {
	w.t.Helper()
	held, err := w.eng.Store().Held(w.ctx, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(held)
}

// A held key drives itself: the own copies go up though the cursor is past them, and the held ones as they came where that did not end it.
func TestPushDirty(t *testing.T) {
	w := newWorld(t, push.Config{})
	w.write("a=own", "b=own")
	w.want("first", "a+2 b+2")
	w.heldFrom(epoch2, 8, "b", "lost") // written at a node that the parent no longer knows of
	a := w.heldFrom(epoch2, 7, "a", "lost")
	w.want("dirty: own in the order of the log, and held", "a b", "b a")
	w.want("it is over")
	above, _, err := w.top.Store().Get(w.ctx, fhir.Key{Type: "Basic", ID: "a"})
	if err != nil || !above.Stamp.Vector.Contains(a) {
		t.Errorf("the held copy was not offered: %v %v", above.Stamp, err)
	}
	if n := w.holds(); n != 0 {
		t.Errorf("the receipts ended nothing: %d", n)
	}
}

// newUndecided is a world with a held key, Basic/a, about which the parent leaves the decision to a person.
func newUndecided(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, push.Config{})
	w.write("a=own")
	w.want("first", "a")
	w.top.SetPolicies(reconcile.Policies{Default: reconcile.Defer})
	w.heldFrom(epoch2, 7, "a", "lost")
	return w
}

// A parent that waits for a person is not told the same thing with every pass, and it is told at once what is new, or where it has another log. A
// clock that was put back delays nothing.
func TestPushHeldAgain(t *testing.T) {
	w := newUndecided(t)
	both := []string{"a", "a"}
	w.want("told", both...)
	w.want("at once")
	var told []int
	for minute := 1; minute <= 300; minute++ {
		w.now, w.sent = w.now.Add(time.Minute), nil
		if _, err := w.p.Pass(w.ctx); err != nil {
			t.Fatal(err)
		}
		if len(w.sent) > 0 {
			told = append(told, minute)
		}
	}
	if want := []int{1, 3, 7, 14, 28, 55, 109, 169, 229, 289}; !slices.Equal(told, want) {
		t.Errorf("told again after %v minutes, not %v", told, want)
	}
	w.sent = nil
	w.want("nothing is due")
	w.write("a=own again")
	w.want("an edit", both...)
	w.want("nothing is due")
	w.heldFrom(epoch2, 9, "a", "another")
	w.want("another copy is held", both...)
	w.now = w.now.AddDate(-3, 0, 0)
	w.want("a clock that was put back", both...)
	w.want("nothing is due")
	w.peer.Epoch = epoch2
	w.want("the parent has another log", both...)
	if n := w.holds(); n == 0 {
		t.Error("the hold ended, so this shows nothing")
	}
}

// What is written while the parent is told of a held key has not been told: it is due at once.
func TestPushHeldWrittenMeanwhile(t *testing.T) {
	w := newUndecided(t)
	for at := range 2 { // while the own copy goes up, and while the held one does
		w.during = func() {
			if len(w.sent) == at+1 {
				w.write(fmt.Sprintf("a=again %d", at))
			}
		}
		w.want("told, and the log", "a", "a", "a")
		w.during = nil
		w.want("what was written meanwhile", "a", "a")
		w.want("nothing is due")
		w.write(fmt.Sprintf("a=due once more %d", at))
	}
}

// Held keys with much content go up in parts, the held copies of each part after its own ones.
func TestPushHeldInParts(t *testing.T) {
	w := newWorld(t, push.Config{})
	w.top.SetPolicies(reconcile.Policies{Default: reconcile.Defer})
	text := strings.Repeat("x", 1_500_000)
	var ids []string
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		ids = append(ids, id+"="+text)
	}
	w.write(ids...)
	w.want("first", "a+5 b+5 c+5 d+5 e+5")
	for i, id := range []string{"a", "b", "c", "d", "e"} {
		w.heldFrom(epoch2, uint64(7+i), id, text)
	}
	w.want("dirty", "a b", "c", "a b", "c", "d e", "d e")
	w.want("nothing is due")
}

// Where the link breaks in the middle of much that is held, the parent is told of the rest when it is back, and not of all again.
func TestPushHeldBroken(t *testing.T) {
	w := newWorld(t, push.Config{})
	w.top.SetPolicies(reconcile.Policies{Default: reconcile.Defer})
	ids := []string{"a", "b", "c", "d", "e"}
	w.write(ids...)
	w.want("first", "a+5 b+5 c+5 d+5 e+5")
	for i, id := range ids {
		w.heldFrom(epoch2, uint64(7+i), id, strings.Repeat("x", 1_500_000))
	}
	ctx, cancel := context.WithCancel(w.ctx)
	w.sent, w.during = nil, func() {
		if len(w.sent) == 4 { // own, held a b, held c
			cancel()
		}
	}
	if _, err := w.p.Pass(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v after %q", err, w.sent)
	}
	w.during = nil
	w.want("the rest", "d e", "d e")
	w.want("nothing is due")
}
