package engine_test

import (
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
)

// follower is a link to a parent that decides about every type.
func follower() engine.Link {
	return engine.Link{Peer: "parent", Epoch: parentEpoch, Follows: func(string) bool { return true }}
}

func (s *site) held() []store.Held {
	s.t.Helper()
	out, err := s.Store().Held(s.ctx, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// push carries events of s to its parent and gives s the receipts.
func (s *site) push(parent *site, events ...feed.Event) []feed.Receipt {
	s.t.Helper()
	rs := parent.take(child(s.Store().Identity().Name), events...)
	if err := s.Confirm(s.ctx, engine.Delivery{Link: follower(), Events: events, Receipts: rs}); err != nil {
		s.t.Fatal(err)
	}
	return rs
}

// drive is what a push pass does for a dirty key: the own copy, then what is still held, as it came.
func (s *site) drive(parent *site, id string) {
	s.t.Helper()
	s.push(parent, s.event(id))
	for _, h := range s.held() {
		if h.Key.ID == id {
			s.push(parent, h.Event())
		}
	}
}

// agree fails unless both have the same version of a patient, nothing is held, and neither side offers the other anything new.
func agree(t *testing.T, a, b *site, id string) {
	t.Helper()
	x, y := a.event(id).Stamp, b.event(id).Stamp
	if x.Version != y.Version || !x.Vector.Equal(y.Vector) || !x.SameContent(y) || a.family(id) != b.family(id) {
		t.Errorf("%s %v\n%s %v", a.family(id), x, b.family(id), y)
	}
	if n := len(a.held()) + len(b.held()); n != 0 {
		t.Errorf("%d holds are left", n)
	}
}

// A person who is asked about a held copy sees from what both were made, as in any conflict.
func TestEngineHoldTellsItsAncestor(t *testing.T) {
	hub, north, _ := apart(t, deferring(), gender, birth)
	wantResult(t, north.take(follower(), hub.event("p"))[0], feed.Held)
	c, err := north.Waiting(north.ctx, "Patient/p")
	if err != nil || c.Kind != store.KindEdit || !strings.Contains(string(c.AncestorContent), "male") || c.Ancestor.Replica != north.replica() {
		t.Errorf("%+v, %v", c, err)
	}
}

// An open conflict is shown as it stands between the copies of now, not as it was found.
func TestEngineConflictFollowsItsCopies(t *testing.T) {
	hub, _, ev := apart(t, deferring(), gender, birth)
	wantResult(t, hub.take(child("north"), ev)[0], feed.Deferred)
	hub.edit(engine.Write{Op: engine.Delete, Key: ev.Key})
	c, err := hub.Waiting(hub.ctx, "Patient/p")
	if err != nil || c.Kind != store.KindDeletion || !c.Local.Deleted || c.LocalContent != nil || !strings.Contains(string(c.AncestorContent), "male") {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestEngineHolds(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, top, low *site) // leads to rival copies of p
	}{
		{"equal", func(t *testing.T, top, low *site) {
			top.write("p", "A")
			low.write("p", "A")
		}},
		{"conflict", func(t *testing.T, top, low *site) {
			top.write("p", "A")
			low.write("p", "B")
		}},
		{"deletion", func(t *testing.T, top, low *site) {
			top.write("p", "A")
			low.write("p", "B")
			top.edit(remove("p"))
		}},
		{"origin", func(t *testing.T, top, low *site) {
			top.write("p", "A")
			ev := low.write("p", "B")
			ev.Stamp.Authored += 1_000_000
			top.take(child("low"), ev)
			low.write("p", "C")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			top, low := newSite(t, "top", engine.Config{}), newSite(t, "low", engine.Config{})
			c.make(t, top, low)
			before, rows, ev := low.event("p"), len(low.log()), top.event("p")
			r := low.take(follower(), ev)[0]
			wantResult(t, r, feed.Held)
			if r.Stamp.Version != before.Stamp.Version || len(low.log()) != rows || len(low.conflicts("")) != 0 {
				t.Fatalf("a follower decided: %+v", r)
			}
			h := low.held()
			if len(h) != 1 || h[0].Stamp.Version != ev.Stamp.Version || string(h[0].Content) != string(ev.Content) || h[0].Peer != "parent" || h[0].Action != ev.Action {
				t.Fatalf("%+v", h)
			}
			// It stays while the own copy is edited, and while something that has not seen it comes.
			low.edit(put(t, "p", "own"))
			wantResult(t, low.take(follower(), ev)[0], feed.Held)
			if len(low.held()) != 1 {
				t.Fatal("a hold ended although nobody had decided")
			}
			low.drive(top, "p")
			if top.event("p").Stamp.Version != low.event("p").Stamp.Version {
				low.take(follower(), top.event("p"))
			}
			agree(t, top, low, "p")
		})
	}
}

// Of the held copies of a key only those stay that are not contained in a newer one.
func TestEngineHoldsOfOneKey(t *testing.T) {
	top, low, third := newSite(t, "top", engine.Config{}), newSite(t, "low", engine.Config{}), newSite(t, "third", engine.Config{})
	low.write("p", "own")
	first, rival := top.write("p", "T1"), third.write("p", "X1")
	second := top.write("p", "T2")
	low.take(follower(), first, rival, second, first)
	h := low.held()
	if len(h) != 2 || h[0].Stamp.Version != rival.Stamp.Version || h[1].Stamp.Version != second.Stamp.Version {
		t.Fatalf("%+v", h)
	}
	// A version that has seen only one of them ends only that one.
	third.take(child("low"), low.event("p"))
	low.take(follower(), third.event("p"))
	if h = low.held(); len(h) != 1 || h[0].Stamp.Version != second.Stamp.Version {
		t.Errorf("%+v", h)
	}
}

// When a type stops being pushed the node is the arbiter for it and decides what it held; other types stay held.
func TestEngineDecideHolds(t *testing.T) {
	top, low := newSite(t, "top", engine.Config{}), newSite(t, "low", engine.Config{Policies: reconcile.Policies{Default: reconcile.SourceWins}})
	basic := func(s *site, text string) feed.Event {
		t.Helper()
		r, err := fhir.Parse([]byte(`{"resourceType":"Basic","id":"b","code":{"text":"`+text+`"}}`), 0)
		if err != nil {
			t.Fatal(err)
		}
		w := s.edit(engine.Write{Op: engine.Update, Key: r.Key, Body: r})[0]
		return feed.Event{Seq: 2, Key: r.Key, Action: feed.Created, Stamp: w.Stamp, Content: w.Body.Body}
	}
	low.write("p", "own")
	basic(low, "own")
	ev := top.write("p", "T")
	low.take(follower(), ev, basic(top, "T"))
	if err := low.DecideHolds(low.ctx, follower()); err != nil || len(low.held()) != 2 {
		t.Fatalf("decided what the parent decides: %v", err)
	}
	onlyBasic := follower()
	onlyBasic.Follows = func(resourceType string) bool { return resourceType == "Basic" }
	if err := low.DecideHolds(low.ctx, onlyBasic); err != nil {
		t.Fatal(err)
	}
	h, c := low.held(), low.conflicts("")
	if len(h) != 1 || h[0].Key.Type != "Basic" || low.family("p") != "T" || len(c) != 1 || low.event("p").Stamp.Version.Replica != low.replica() {
		t.Errorf("held %+v, conflicts %+v, %v", h, c, low.event("p").Stamp)
	}
	if err := low.DecideHolds(low.ctx, onlyBasic); err != nil || len(low.conflicts("")) != 1 {
		t.Errorf("it was decided twice: %v", err)
	}
}

// Rule 1: the decision is a new version also where the child's copy wins, so the hold ends by it.
func TestEngineRule1DecisionIsNew(t *testing.T) {
	top := newSite(t, "top", engine.Config{Policies: reconcile.Policies{Default: reconcile.SourceWins}})
	low, sibling := newSite(t, "low", engine.Config{}), newSite(t, "sibling", engine.Config{})
	b1, a1 := low.write("p", "B"), top.write("p", "A")
	wantResult(t, sibling.take(follower(), a1)[0], feed.Applied)
	wantResult(t, low.take(follower(), a1)[0], feed.Held)
	wantResult(t, low.push(top, b1)[0], feed.Decided)
	if d := top.event("p").Stamp; d.Version == b1.Stamp.Version || !d.Vector.Contains(a1.Stamp.Version) || !d.Vector.Contains(b1.Stamp.Version) {
		t.Errorf("%v", d)
	}
	stamp := top.event("p")
	stamp.Content = nil // the side whose copy won gets a stamp
	low.take(follower(), stamp)
	agree(t, top, low, "p")
	wantResult(t, sibling.take(follower(), top.event("p"))[0], feed.Applied)
	agree(t, top, sibling, "p")
}

// Rule 2: an equal content with a vector that has seen more is taken, not dropped as known; a grown vector is a row.
func TestEngineRule2VectorsGrow(t *testing.T) {
	top, low := newSite(t, "top", engine.Config{}), newSite(t, "low", engine.Config{})
	b1 := low.write("p", "B")
	a2 := b1
	a2.Stamp.Version = ver(top.replica(), 2)
	a2.Stamp.Vector = a2.Stamp.Vector.With(a2.Stamp.Version)
	wantResult(t, low.take(follower(), a2)[0], feed.Applied)
	if got := low.event("p").Stamp; got.Version != a2.Stamp.Version || len(low.log()) != 2 {
		t.Errorf("%v", got)
	}
	// Equal by chance: the arbiter keeps one, tells it, and both have the union.
	low.write("q", "same")
	x := top.write("q", "same")
	wantResult(t, low.take(follower(), x)[0], feed.Held)
	low.drive(top, "q")
	if top.event("q").Stamp.Version != low.event("q").Stamp.Version {
		low.take(follower(), top.event("q"))
	}
	agree(t, top, low, "q")
	if n := len(top.conflicts("")); n != 0 {
		t.Errorf("%d conflicts about equal content", n)
	}
}

// Rule 3: an edit that won against a deletion may be deleted by its author; twenty edits of one line are one conflict.
func TestEngineRule3Origin(t *testing.T) {
	top, low := newSite(t, "top", engine.Config{}), newSite(t, "low", engine.Config{})
	first := low.write("p", "B1")
	low.push(top, first)
	top.edit(remove("p"))
	low.push(top, low.write("p", "B2"))
	if top.family("p") != "B2" || len(top.conflicts("")) != 1 || !top.conflicts("")[0].Flagged {
		t.Fatalf("%s %+v", top.family("p"), top.conflicts(""))
	}
	low.edit(remove("p"))
	low.push(top, low.event("p"))
	if top.family("p") != "(deleted)" || len(top.conflicts("")) != 1 {
		t.Errorf("the deletion by the author was undone: %s", top.family("p"))
	}
	// A child that only pushes never learns of the decision.
	top = newSite(t, "top", engine.Config{Policies: reconcile.Policies{Default: reconcile.SourceWins}})
	top.write("q", "A")
	for i := range 20 {
		ev := low.write("q", strings.Repeat("B", i+1))
		top.take(child("low"), ev)
		if top.family("q") != strings.Repeat("B", i+1) {
			t.Fatalf("edit %d: %s", i, top.family("q"))
		}
	}
	if n := len(top.conflicts("")); n != 1 {
		t.Errorf("%d conflicts for one edit at the parent", n)
	}
	// Nor does the parent of one that only pulls, of its one edit.
	low = newSite(t, "low", engine.Config{Policies: reconcile.Policies{Default: reconcile.SourceWins}})
	low.write("r", "B")
	for i := range 20 {
		low.take(arbiter(), top.write("r", strings.Repeat("A", i+1)))
		if low.family("r") != strings.Repeat("A", i+1) {
			t.Fatalf("update %d: %s", i, low.family("r"))
		}
	}
	if n := len(low.conflicts("")); n != 1 {
		t.Errorf("%d conflicts for one edit at the child", n)
	}
}

// Rule 4: a node holds also what is rival to a copy that is not its own, and what it has pushed before.
func TestEngineRule4Holds(t *testing.T) {
	top, mid, low := newSite(t, "top", engine.Config{}), newSite(t, "mid", engine.Config{}), newSite(t, "low", engine.Config{})
	c1, a1 := low.write("p", "C"), top.write("p", "A")
	wantResult(t, mid.take(child("low"), c1)[0], feed.Applied)
	wantResult(t, mid.take(follower(), a1)[0], feed.Held)
	if mid.family("p") != "C" {
		t.Fatal("the copy of the child was lost before the top saw it")
	}
	mid.drive(top, "p")
	mid.take(follower(), top.event("p"))
	agree(t, top, mid, "p")
	if len(top.conflicts("")) != 1 {
		t.Error("the conflict was not decided at the top")
	}
	// The parent loses the copy that is held here (it was restored): the hold itself brings it back.
	old := newSite(t, "old", engine.Config{})
	low.write("r", "B")
	low.push(old, low.event("r"))
	lost := top.write("r", "A")
	wantResult(t, low.take(follower(), lost)[0], feed.Held)
	low.drive(old, "r")
	if s := old.event("r").Stamp; !s.Vector.Contains(lost.Stamp.Version) {
		t.Errorf("what the parent had lost was not offered: %v", s)
	}
	low.take(follower(), old.event("r"))
	agree(t, old, low, "r")
}

// Rule 5: a deletion of one's own that meets an older row of the parent with equal content is still pushed.
func TestEngineRule5Delivered(t *testing.T) {
	top, low := newSite(t, "top", engine.Config{}), newSite(t, "low", engine.Config{})
	top.write("p", "A")
	top.edit(remove("p"))
	low.write("p", "B")
	low.edit(remove("p"))
	own := low.event("p")
	wantResult(t, low.take(follower(), top.event("p"))[0], feed.Held)
	if c := low.copyOf("p"); c.Stamp.Version != own.Stamp.Version || c.Delivered != "" {
		t.Errorf("a push would skip it: %+v", c.Current)
	}
	low.drive(top, "p")
	low.take(follower(), top.event("p"))
	agree(t, top, low, "p")
}
