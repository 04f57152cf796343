package engine_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
)

// The traces of the core review, rules 6, 9 and 10, as far as they can be played between engines; those that need exchanges between whole
// nodes are in node/traces_test.go, rules 1 to 5 in holds_test.go. Pages of the log at every limit are in store/conformance_feed_test.go.

// tells returns what a site knows, as it tells it at the end of a complete pass.
func (s *site) tells() []feed.Known {
	s.t.Helper()
	out, err := s.Store().Knowledge(s.ctx, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// learns ends a complete pass: nothing more to take, and the other side's knowledge.
func (s *site) learns(link engine.Link, known []feed.Known) {
	s.t.Helper()
	if _, err := s.Accept(s.ctx, engine.Batch{Link: link, Known: known}); err != nil {
		s.t.Fatal(err)
	}
}

// lists returns the keys that a catch-up here gives to somebody who knows this.
func (s *site) lists(known []feed.Known) []string {
	s.t.Helper()
	var out []string
	err := s.Store().Read(s.ctx, func(r *store.Reader) error {
		head, err := r.Head()
		at, done := store.Place{Head: head}, false
		for err == nil && !done {
			at, done, err = r.Missing(feed.KnowledgeOf(known), nil, at, 100, func(row store.Row, _ store.Place) error {
				out = append(out, row.Key.ID)
				return nil
			})
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// Rule 6, too high: "B1 is refused at A (poison); its sibling D pulls from A and learns 'B up to 1' with no exception; when D next asks by
// knowledge (new parent, truncated log) B1 is not listed."
func TestEngineRule6PoisonIsListed(t *testing.T) {
	a := newSite(t, "a", engine.Config{Limit: 300})
	b, d := newSite(t, "b", engine.Config{}), newSite(t, "d", engine.Config{})
	b1, b2 := b.write("p", strings.Repeat("B", 400)), b.write("q", "B")
	rs := a.take(child("b"), b1, b2)
	wantResult(t, rs[0], feed.Refused)
	wantResult(t, rs[1], feed.Applied)
	a.learns(child("b"), b.tells())
	if got := b.lists(a.tells()); !slices.Equal(got, []string{"p"}) {
		t.Errorf("A is to get again %v", got)
	}
	wantResult(t, d.take(follower(), a.event("q"))[0], feed.Applied)
	d.learns(follower(), a.tells())
	if got := b.lists(d.tells()); !slices.Equal(got, []string{"p"}) {
		t.Errorf("D asks B by what A told: it gets %v", got)
	}
	// "... until the key's vector contains it": a rival of B1 does not end the exception, B1 does.
	wantResult(t, d.take(follower(), a.write("p", "A"))[0], feed.Applied)
	if got := b.lists(d.tells()); !slices.Equal(got, []string{"p"}) {
		t.Errorf("with a rival copy it gets %v", got)
	}
	wantResult(t, d.take(arbiter(), b1)[0], feed.Decided)
	if got := b.lists(d.tells()); len(got) != 0 {
		t.Errorf("B1 is here now, and it gets %v", got)
	}
}

// Rule 6, too high: "Held and deferred copies likewise: the node has a fate for them, but nobody can get them from its log."
func TestEngineRule6HeldAndDeferredAreListed(t *testing.T) {
	for _, c := range []struct {
		name string
		link engine.Link
		want feed.Result
	}{{"held", follower(), feed.Held}, {"deferred", child("source"), feed.Deferred}} {
		t.Run(c.name, func(t *testing.T) {
			source, low := newSite(t, "source", engine.Config{}), newSite(t, "low", engine.Config{})
			mid := newSite(t, "mid", engine.Config{Policies: reconcile.Policies{Default: reconcile.Defer}})
			mid.write("p", "own")
			wantResult(t, mid.take(c.link, source.write("p", "S"))[0], c.want)
			mid.learns(c.link, source.tells())
			wantResult(t, low.take(follower(), mid.event("p"))[0], feed.Applied)
			low.learns(follower(), mid.tells())
			if got := source.lists(low.tells()); !slices.Equal(got, []string{"p"}) {
				t.Errorf("the child of who has set it aside is listed %v", got)
			}
		})
	}
}

// Rule 6, too low: "decisions and coalesced rows mention replicas only in their vectors; ... ends of passes raise knowledge without any
// row. nodes' knowledge differs for ever." And a reader that was told asks only for what changed since.
func TestEngineRule6KnowledgeBecomesEqual(t *testing.T) {
	a, b, c, d := newSite(t, "a", engine.Config{}), newSite(t, "b", engine.Config{}), newSite(t, "c", engine.Config{}), newSite(t, "d", engine.Config{})
	a.write("p", "A")
	wantResult(t, a.take(child("b"), b.write("p", "B"))[0], feed.Decided)
	a.learns(child("b"), b.tells())
	wantResult(t, d.take(arbiter(), a.event("p"))[0], feed.Applied) // the decision alone: B stands in its vector
	var told uint64
	pass := func() {
		t.Helper()
		var parts []feed.Known
		err := a.Store().Read(a.ctx, func(r *store.Reader) error {
			var err error
			parts, told, err = r.KnowledgeSince(nil, told, false)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		d.learns(arbiter(), parts)
		x, y := feed.KnowledgeOf(a.tells()), feed.KnowledgeOf(d.tells())
		if !x["Patient"].Vector.Equal(y["Patient"].Vector) || len(x) != len(y) || len(x["Patient"].Lacks) != len(y["Patient"].Lacks) {
			t.Errorf("A knows %+v, D %+v", x, y)
		}
	}
	pass()
	// C has what it knows from elsewhere: A gets no row with it, and still D hears of it.
	c.write("r", "C")
	rows := len(a.log())
	a.learns(child("c"), c.tells()[:1])
	if len(a.log()) != rows {
		t.Fatal("a row was written")
	}
	pass()
	// An exception that came later than the knowledge it is of.
	c.write("s", "C")
	worse := c.event("s")
	worse.Content = []byte("{")
	wantResult(t, a.take(child("c"), worse)[0], feed.Refused)
	a.learns(child("c"), c.tells())
	pass()
	if k := feed.KnowledgeOf(d.tells())["Patient"]; len(k.Lacks) != 1 || k.Vector.Tick(c.replica()) != 2 {
		t.Errorf("%+v", k)
	}
}

// Rule 9: "Holding a whole unit because one member is in conflict leaves the others held for ever": each member of a transaction gets its
// own fate, in one transaction.
func TestEngineRule9ConflictHoldsNobodyBack(t *testing.T) {
	top, low := newSite(t, "top", engine.Config{}), newSite(t, "low", engine.Config{})
	low.write("p", "own")
	rs := low.take(follower(), top.unitOf(put(t, "o", "T"), put(t, "p", "T"), put(t, "q", "T"))...)
	wantResult(t, rs[0], feed.Applied)
	wantResult(t, rs[1], feed.Held)
	wantResult(t, rs[2], feed.Applied)
	low.drive(top, "p")
	if top.event("p").Stamp.Version != low.event("p").Stamp.Version {
		low.take(follower(), top.event("p"))
	}
	for _, id := range []string{"o", "p", "q"} {
		agree(t, top, low, id)
	}
}

// Rule 9: "One refused member parks the whole unit (all members become exceptions) and it is retried as a unit; a later version of a member
// passes it." The parking and the retry are in TestEngineAcceptUnits; here is what others learn of it.
func TestEngineRule9MembersAreExceptions(t *testing.T) {
	top, low, third := newSite(t, "top", engine.Config{}), newSite(t, "low", engine.Config{}), newSite(t, "third", engine.Config{})
	unit := top.unitOf(put(t, "a", "T"), put(t, "b", "T"))
	bad := slices.Clone(unit)
	bad[1].Content = []byte("{")
	for _, r := range low.take(arbiter(), bad...) {
		wantResult(t, r, feed.Refused)
	}
	low.learns(arbiter(), top.tells())
	third.learns(arbiter(), low.tells())
	if got := top.lists(third.tells()); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("members of the transaction that nobody can get from there: %v", got)
	}
	wantResult(t, low.take(arbiter(), top.write("a", "T2"))[0], feed.Applied)
	low.learns(arbiter(), top.tells())
	if got := top.lists(low.tells()); !slices.Equal(got, []string{"b"}) {
		t.Errorf("a later version of a came: %v", got)
	}
}

// gone lets the site forget what everybody has acknowledged, and reports which of patients have nothing left of them.
func (s *site) gone(ids ...string) (out []string) {
	s.t.Helper()
	if _, err := s.Collect(s.ctx, engine.Collecting{Keep: time.Millisecond}); err != nil {
		s.t.Fatal(err)
	}
	for _, id := range ids {
		if _, ok, err := s.Store().Get(s.ctx, fhir.Key{Type: "Patient", ID: id}); err != nil {
			s.t.Fatal(err)
		} else if !ok {
			out = append(out, id)
		}
	}
	return out
}

// Rule 10: "Pinning: with frequent forced collection held for ever and diverged without it." The own tombstone of a key that is held, parked,
// in conflict or excepted stays, so that what drives the key to a decision is still there.
func TestEngineRule10Pinned(t *testing.T) {
	top := newSite(t, "top", engine.Config{})
	low := newSite(t, "low", engine.Config{Policies: reconcile.Policies{Default: reconcile.Defer, DeletesWin: true}})
	for _, id := range []string{"free", "held", "parked", "open", "excepted"} {
		low.write(id, "L")
		low.edit(remove(id))
	}
	wantResult(t, low.take(follower(), top.write("held", "T"))[0], feed.Held)
	bad := top.write("parked", "T")
	bad.Content = []byte("{")
	wantResult(t, low.take(follower(), bad)[0], feed.Refused)
	wantResult(t, low.take(child("top"), top.write("open", "T"))[0], feed.Deferred)
	low.learns(follower(), []feed.Known{feed.Known{Type: "Patient"}.Except("excepted", ver(replicaX, 1))})
	if got := low.gone("free", "held", "parked", "open", "excepted"); !slices.Equal(got, []string{"free"}) {
		t.Fatalf("collected %v", got)
	}
	low.drive(top, "held")
	if top.event("held").Stamp.Version != low.event("held").Stamp.Version {
		low.take(follower(), top.event("held"))
	}
	agree(t, top, low, "held")
}

// Rule 10: "Acknowledged by every registered participant counts per type: a row outside a participant's scope is not acknowledged by its
// cursor."
func TestEngineRule10ScopeAcknowledgesNothingElse(t *testing.T) {
	hub := newSite(t, "hub", engine.Config{})
	hub.write("p", "H")
	hub.edit(remove("p"))
	reads := func(scope string) {
		t.Helper()
		err := hub.Store().Write(hub.ctx, func(tx *store.Tx) error {
			return tx.TouchChild(store.Participant{ID: "c", Name: "clinic", Epoch: hub.Store().Identity().Epoch, Seq: 2, Scope: scope})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := hub.Store().Write(hub.ctx, func(tx *store.Tx) error {
		return tx.AddChild(store.Participant{ID: "c", Name: "clinic", Credential: "x"})
	}); err != nil {
		t.Fatal(err)
	}
	reads("Basic")
	if got := hub.gone("p"); len(got) != 0 {
		t.Fatal("its cursor is behind the deletion, but it does not read the type")
	}
	if err := hub.Store().Write(hub.ctx, func(tx *store.Tx) error { tx.SweepAgain(); return nil }); err != nil {
		t.Fatal(err)
	}
	reads("Basic,Patient")
	if got := hub.gone("p"); len(got) != 1 {
		t.Error("everybody has it, and it stays")
	}
}

// Rule 10: "an absent key whose incoming version is known, without exception, and forgotten is superseded", and late duplicates of an old
// push batch bring nothing back; "A push into a scope that the parent has not forgotten is decided by Decide".
func TestEngineRule10ForgottenIsSuperseded(t *testing.T) {
	hub, north := newSite(t, "hub", engine.Config{}), newSite(t, "north", engine.Config{})
	n1 := north.write("p", "N1")
	n2 := north.write("p", "N2")
	hub.take(child("north"), n1, n2)
	north.edit(remove("p"))
	n3 := north.event("p")
	hub.take(child("north"), n3)
	hub.learns(child("north"), north.tells())
	if got := hub.gone("p"); len(got) != 1 {
		t.Fatal("the tombstone stays")
	}
	for _, late := range []feed.Event{n1, n2, n3} {
		wantResult(t, hub.takeBad(child("north"), late)[0], feed.Superseded)
	}
	if got := hub.gone("p"); len(got) != 1 {
		t.Error("a late duplicate came back to life")
	}
	wantResult(t, hub.take(child("north"), north.write("p", "N4"))[0], feed.Applied) // it was never known here
	if hub.family("p") != "N4" {
		t.Error("a new edit of a forgotten key was lost")
	}
	other := newSite(t, "other", engine.Config{}) // has forgotten nothing
	wantResult(t, other.take(child("north"), n1)[0], feed.Applied)
}
