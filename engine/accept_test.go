package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

const (
	replicaX    = "eeeeeeee-0000-4000-8000-000000000001"
	parentEpoch = "99999999-0000-4000-8000-000000000001"
)

func ver(r version.Replica, tick uint64) version.Version {
	return version.Version{Replica: r, Tick: tick}
}

func child(name string) engine.Link { return engine.Link{Child: "id-of-" + name, Peer: name} }

// arbiter is a link to a parent to which nothing is pushed: this node decides.
func arbiter() engine.Link { return engine.Link{Peer: "parent", Epoch: parentEpoch} }

// event returns the current copy of a patient as a push sends it.
func (s *site) event(id string) feed.Event {
	s.t.Helper()
	c := s.copyOf(id)
	return feed.Event{Seq: c.Seq, Key: c.Key, Action: c.Action, Stamp: c.Stamp, Content: c.Body, Size: len(c.Body)}
}

// write edits and returns the event.
func (s *site) write(id, family string) feed.Event {
	s.t.Helper()
	s.edit(put(s.t, id, family))
	return s.event(id)
}

// take accepts events and checks that the receipts are theirs, with the stamp of the copy that stands afterwards.
func (s *site) take(link engine.Link, events ...feed.Event) []feed.Receipt {
	s.t.Helper()
	out, err := s.Accept(s.ctx, engine.Batch{Link: link, Events: events})
	if err != nil || len(out) != len(events) {
		s.t.Fatalf("%d receipts for %d events, %v", len(out), len(events), err)
	}
	last := map[fhir.Key]int{}
	for i, r := range out {
		if r.Key != events[i].Key || r.Version != events[i].Stamp.Version {
			s.t.Fatalf("receipt %d is for %s %s", i, r.Key, r.Version)
		}
		last[r.Key] = i
	}
	for k, i := range last {
		c, _, err := s.Store().Get(s.ctx, k)
		if err != nil || fmt.Sprint(c.Stamp) != fmt.Sprint(out[i].Stamp) {
			s.t.Errorf("the receipt says %v, the copy is %v, %v", out[i].Stamp, c.Stamp, err)
		}
	}
	return out
}

func wantResult(t *testing.T, r feed.Receipt, want feed.Result) {
	t.Helper()
	if r.Result != want {
		t.Fatalf("%s is %s (%s), want %s", r.Key, r.Result, r.Reason, want)
	}
}

func (s *site) conflicts(status string) []store.Conflict {
	s.t.Helper()
	out, err := s.Store().Conflicts(s.ctx, store.ConflictFilter{Status: status})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *site) parked() []store.Parked {
	s.t.Helper()
	out, err := s.Store().Parked(s.ctx, store.ParkedFilter{})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// seen returns the event with a vector that has also seen v.
func seen(ev feed.Event, v version.Version) feed.Event {
	ev.Stamp = ev.Stamp.Seeing(version.Vector{v})
	return ev
}

func TestEngineAcceptFollowing(t *testing.T) {
	hub, north := newSite(t, "hub", engine.Config{}), newSite(t, "north", engine.Config{})
	n1 := north.write("p", "A")
	wantResult(t, hub.take(child("north"), n1)[0], feed.Applied)
	row := hub.log()[0]
	if hub.family("p") != "A" || row.Source != "child:id-of-north" || row.Action != feed.Created || row.Stamp.Version != n1.Stamp.Version {
		t.Errorf("%+v", row)
	}
	wantResult(t, hub.take(child("north"), n1)[0], feed.Same)
	n2 := north.write("p", "B")
	wantResult(t, hub.take(child("north"), n2)[0], feed.Applied)
	wantResult(t, hub.take(child("north"), n1)[0], feed.Superseded)
	if n := len(hub.log()); n != 2 {
		t.Errorf("%d rows: what brings nothing writes nothing", n)
	}
	// A vector that grew must travel, so each of the next three writes a row though no content changes.
	for i, c := range []struct {
		ev   feed.Event
		want feed.Result
	}{
		{seen(n2, ver(replicaX, 1)), feed.Same},
		{seen(n1, ver(replicaX, 2)), feed.Superseded},
		{seen(n1, ver(replicaX, 1)), feed.Superseded}, // an older one brings nothing
	} {
		wantResult(t, hub.take(child("north"), c.ev)[0], c.want)
		rows := hub.log()
		if want := 3 + min(i, 1); len(rows) != want {
			t.Fatalf("step %d: %d rows", i, len(rows))
		}
		last := rows[len(rows)-1]
		if last.Source != "" || last.Stamp.Version != n2.Stamp.Version || string(last.Content) != string(n2.Content) || last.Stamp.Vector.Tick(replicaX) != uint64(1+min(i, 1)) {
			t.Errorf("step %d: %+v", i, last)
		}
	}
	// A successor keeps what only the local vector had seen.
	wantResult(t, hub.take(child("north"), north.write("p", "C"))[0], feed.Applied)
	if c := hub.copyOf("p"); c.Stamp.Vector.Tick(replicaX) != 2 || hub.family("p") != "C" {
		t.Errorf("%v", c.Stamp)
	}
	north.edit(remove("p"))
	wantResult(t, hub.take(child("north"), north.event("p"))[0], feed.Applied)
	if hub.family("p") != "(deleted)" {
		t.Error("the deletion was not applied")
	}
}

func TestEngineAcceptEqual(t *testing.T) {
	hub, north := newSite(t, "hub", engine.Config{}), newSite(t, "north", engine.Config{})
	hub.write("p", "A")
	low := north.write("p", "A")
	north.write("q", "0")
	high := north.write("q", "A")
	mine := hub.write("q", "A")
	if low.Stamp.Version.Compare(hub.event("p").Stamp.Version) > 0 { // equal ticks: the replica id decides
		wantResult(t, hub.take(child("north"), low)[0], feed.EqualCopy)
		if hub.event("p").Stamp.Version != low.Stamp.Version {
			t.Error("the higher version does not stand")
		}
	} else {
		before := hub.event("p").Stamp.Version
		wantResult(t, hub.take(child("north"), low)[0], feed.EqualCopy)
		if hub.event("p").Stamp.Version != before {
			t.Error("the higher version does not stand")
		}
	}
	want := mine.Stamp.Version
	if high.Stamp.Version.Compare(want) > 0 {
		want = high.Stamp.Version
	}
	wantResult(t, hub.take(child("north"), high)[0], feed.EqualCopy)
	got := hub.event("q").Stamp
	if got.Version != want || !got.Vector.Contains(high.Stamp.Version) || !got.Vector.Contains(mine.Stamp.Version) || len(hub.conflicts("")) != 0 {
		t.Errorf("%v, want %v", got, want)
	}
	if n := len(hub.log()); n != 4 {
		t.Errorf("%d rows: both vectors grew", n)
	}
	hub.write("d", "A")
	hub.edit(remove("d"))
	north.write("d", "B")
	north.edit(remove("d"))
	wantResult(t, hub.take(child("north"), north.event("d"))[0], feed.EqualCopy)
	if hub.family("d") != "(deleted)" {
		t.Error("two deletions are not equal")
	}
}

// Whoever wrote the content that a decision kept may change it further without a conflict (core-review rule 3).
func TestEngineAcceptOrigin(t *testing.T) {
	hub, north := newSite(t, "hub", engine.Config{}), newSite(t, "north", engine.Config{})
	hub.decidedFor(north)
	before := hub.event("p").Stamp
	next := north.write("p", "N2")
	wantResult(t, hub.take(child("north"), next)[0], feed.Decided)
	c := hub.copyOf("p")
	if hub.family("p") != "N2" || c.Stamp.Version.Replica != hub.replica() || c.Stamp.Version == before.Version || c.Stamp.Origin != next.Stamp.Origin ||
		!c.Stamp.Vector.Equal(before.Vector.Union(next.Stamp.Vector).With(c.Stamp.Version)) {
		t.Errorf("%v", c.Stamp)
	}
	north.edit(remove("p"))
	wantResult(t, hub.take(child("north"), north.event("p"))[0], feed.Decided)
	if hub.family("p") != "(deleted)" {
		t.Error("a deletion by the author of the content was taken for a conflict")
	}
	// The other way: a third node's decision that kept what the local content was made from.
	n1 := north.write("o", "N1")
	hub.take(child("north"), n1)
	mine := hub.write("o", "H2")
	third := n1
	third.Stamp.Version = ver(replicaX, 7)
	third.Stamp.Vector = third.Stamp.Vector.With(third.Stamp.Version)
	wantResult(t, hub.take(child("north"), third)[0], feed.Decided)
	c = hub.copyOf("o")
	if hub.family("o") != "H2" || c.Stamp.Origin != mine.Stamp.Version || c.Stamp.Version == mine.Stamp.Version || !c.Stamp.Vector.Contains(third.Stamp.Version) {
		t.Errorf("%v", c.Stamp)
	}
	if n := len(hub.conflicts("")); n != 1 {
		t.Errorf("%d conflicts, want only the first", n)
	}
}

// decidedFor leads to a conflict about p that the copy of north wins, being authored later.
func (s *site) decidedFor(north *site) {
	s.t.Helper()
	s.write("p", "H1")
	ev := north.write("p", "N1")
	ev.Stamp.Authored += 1_000_000
	wantResult(s.t, s.take(child("north"), ev)[0], feed.Decided)
	if s.family("p") != "N1" {
		s.t.Fatal("the later one did not win")
	}
}

func TestEngineAcceptPolicies(t *testing.T) {
	type side struct {
		authored int64
		deleted  bool
	}
	for _, c := range []struct {
		name            string
		policies        reconcile.Policies
		local, incoming side
		wins, flagged   bool
		rule            reconcile.Policy
	}{
		{"default, later", reconcile.Policies{}, side{1, false}, side{2, false}, true, false, reconcile.LastWriterWins},
		{"default, earlier", reconcile.Policies{}, side{2, false}, side{1, false}, false, false, reconcile.LastWriterWins},
		{"source", reconcile.Policies{Default: reconcile.SourceWins}, side{2, false}, side{1, false}, true, false, reconcile.SourceWins},
		{"destination", reconcile.Policies{Default: reconcile.DestinationWins}, side{1, false}, side{2, false}, false, false, reconcile.DestinationWins},
		{
			"of the type",
			reconcile.Policies{Default: reconcile.SourceWins, Types: map[string]reconcile.Policy{"Patient": reconcile.DestinationWins}},
			side{1, false},
			side{2, false},
			false, false, reconcile.DestinationWins,
		},
		{
			"priority",
			reconcile.Policies{Default: reconcile.ReplicaPriority, Priority: map[string]int{"north": 1, "south": 2}},
			side{2, false},
			side{1, false},
			true, false, reconcile.ReplicaPriority,
		},
		{
			"priority of the local one",
			reconcile.Policies{Default: reconcile.ReplicaPriority, Priority: map[string]int{"north": 2, "south": 1}},
			side{1, false},
			side{2, false},
			false, false, reconcile.ReplicaPriority,
		},
		{"no priority", reconcile.Policies{Default: reconcile.ReplicaPriority}, side{1, false}, side{2, false}, true, false, reconcile.ReplicaPriority},
		{"edit against deletion", reconcile.Policies{}, side{2, true}, side{1, false}, true, true, reconcile.LastWriterWins},
		{"deletion against edit", reconcile.Policies{Default: reconcile.SourceWins}, side{1, false}, side{2, true}, false, true, reconcile.SourceWins},
		{"deletions win", reconcile.Policies{DeletesWin: true}, side{2, false}, side{1, true}, true, false, reconcile.LastWriterWins},
		{"deletions win, local", reconcile.Policies{DeletesWin: true}, side{1, true}, side{2, false}, false, false, reconcile.LastWriterWins},
	} {
		t.Run(c.name, func(t *testing.T) {
			hub := newSite(t, "hub", engine.Config{Policies: c.policies})
			sites := []*site{newSite(t, "south", engine.Config{}), newSite(t, "north", engine.Config{})}
			events := make([]feed.Event, 2)
			for i, sd := range []side{c.local, c.incoming} {
				events[i] = sites[i].write("p", sites[i].Store().Identity().Name)
				if sd.deleted {
					sites[i].edit(remove("p"))
					events[i] = sites[i].event("p")
				}
				events[i].Stamp.Authored = sd.authored
			}
			hub.take(child("south"), events[0])
			names := []feed.Name{{Replica: sites[0].replica(), Node: "south"}, {Replica: sites[1].replica(), Node: "north"}}
			rs, err := hub.Accept(hub.ctx, engine.Batch{Link: child("north"), Events: events[1:], Names: names})
			if err != nil {
				t.Fatal(err)
			}
			wantResult(t, rs[0], feed.Decided)
			winner, who := events[0], "local"
			if c.wins {
				winner, who = events[1], "incoming"
			}
			got, w := hub.copyOf("p"), winner.Stamp
			union := events[0].Stamp.Vector.Union(events[1].Stamp.Vector).With(ver(hub.replica(), 1))
			if s := got.Stamp; s.Version != ver(hub.replica(), 1) || !s.Vector.Equal(union) || s.Author != w.Author || s.Authored != w.Authored ||
				s.Origin != w.Origin || !s.SameContent(w) || string(got.Body) != string(winner.Content) {
				t.Errorf("decided %v %s, the winner was %v", s, got.Body, w)
			}
			rows := hub.conflicts("")
			if len(rows) != 1 {
				t.Fatalf("%d conflict rows", len(rows))
			}
			row := rows[0]
			if row.Winner != who || row.Flagged != c.flagged || row.Rule != string(c.rule) || row.Status != store.ConflictDecided || row.Decided != got.Stamp.Version ||
				row.Peer != "north" || row.Local.Version != events[0].Stamp.Version || row.Incoming.Version != events[1].Stamp.Version ||
				string(row.LocalContent) != string(events[0].Content) || string(row.IncomingContent) != string(events[1].Content) {
				t.Errorf("%+v", row)
			}
			recs, err := hub.Store().AuditRecords(hub.ctx, audit.Query{Outcome: audit.Decided})
			if err != nil || len(recs) != 1 || recs[0].Conflict != row.UUID || recs[0].Operation != audit.Receive {
				t.Errorf("audit: %+v %v", recs, err)
			}
		})
	}
}

func TestEngineAcceptDefer(t *testing.T) {
	for _, choice := range []engine.Choice{engine.KeepLocal, engine.KeepIncoming} {
		hub := newSite(t, "hub", engine.Config{Policies: reconcile.Policies{Default: reconcile.Defer}})
		north, south := newSite(t, "north", engine.Config{}), newSite(t, "south", engine.Config{})
		mine := hub.write("p", "H")
		wantResult(t, hub.take(child("north"), north.write("p", "N1"))[0], feed.Deferred)
		first := hub.conflicts(store.ConflictOpen)
		rival := south.write("p", "S")
		wantResult(t, hub.take(child("south"), rival)[0], feed.Refused)
		if open := hub.conflicts(""); len(open) != 1 || open[0].Incoming.Version != first[0].Incoming.Version {
			t.Fatalf("a rival took the place of what it has not seen: %+v", open)
		}
		n2 := north.write("p", "N2")
		wantResult(t, hub.take(child("north"), n2)[0], feed.Deferred)
		open := hub.conflicts("")
		if len(first) != 1 || len(open) != 1 || open[0].UUID != first[0].UUID || open[0].Opened != first[0].Opened || open[0].Incoming.Version != n2.Stamp.Version ||
			string(open[0].IncomingContent) != string(n2.Content) || string(open[0].LocalContent) != string(mine.Content) || len(hub.log()) != 1 {
			t.Fatalf("%+v", open)
		}
		wantKind(t, hub.resolve(open[0].UUID, "neither", "ann"), syncerr.Usage)
		wantKind(t, hub.resolve("no-such", choice, "ann"), syncerr.NotFound)
		edited := hub.write("p", "H2") // the decision is about what stands when it is made
		if err := hub.resolve(open[0].UUID, choice, "ann"); err != nil {
			t.Fatal(err)
		}
		want, winner := "H2", edited.Stamp
		if choice == engine.KeepIncoming {
			want, winner = "N2", n2.Stamp
		}
		got, row := hub.copyOf("p").Stamp, hub.conflicts("")[0]
		if hub.family("p") != want || got.Origin != winner.Origin || got.Author != winner.Author || got.Authored != winner.Authored ||
			!got.Vector.Equal(edited.Stamp.Vector.Union(n2.Stamp.Vector).With(got.Version)) || got.Version == winner.Version {
			t.Errorf("%s: %s %v", choice, hub.family("p"), got)
		}
		if row.Status != store.ConflictDecided || row.Winner != string(choice) || row.Decided != got.Version || !strings.Contains(string(row.LocalContent), "H2") {
			t.Errorf("%s: %+v", choice, row)
		}
		wantKind(t, hub.resolve(open[0].UUID, choice, "ann"), syncerr.NotFound)
		wantResult(t, hub.take(child("north"), n2)[0], feed.Superseded)
		// The rival comes again and has its turn; a version from elsewhere that has seen both ends it.
		wantResult(t, hub.take(child("south"), rival)[0], feed.Deferred)
		if open = hub.conflicts(store.ConflictOpen); len(open) != 1 || open[0].UUID == row.UUID {
			t.Fatalf("%+v", open)
		}
		south.take(child("hub"), hub.event("p"))
		wantResult(t, hub.take(child("south"), south.write("p", "Z"))[0], feed.Applied)
		if open = hub.conflicts(store.ConflictOpen); len(open) != 0 {
			t.Errorf("still open: %+v", open)
		}
	}
}

func TestEngineAcceptRefusals(t *testing.T) {
	north := newSite(t, "north", engine.Config{})
	good := north.write("good", "A")
	change := func(f func(*feed.Event)) feed.Event {
		ev := north.write("bad", "A")
		f(&ev)
		return ev
	}
	for _, c := range []struct {
		name, reason string
		ev           feed.Event
		retry        bool
	}{
		{"stamp", "vector", change(func(e *feed.Event) { e.Stamp.Vector = nil }), false},
		{"no version", "version", change(func(e *feed.Event) { e.Stamp = version.Stamp{} }), false},
		{"key", "id", change(func(e *feed.Event) { e.Key.ID = "a b" }), false},
		{"hash", "hash", change(func(e *feed.Event) { e.Stamp.Hash[0]++ }), false},
		{"content of another", "Patient/good", change(func(e *feed.Event) { e.Content = good.Content }), false},
		{"not JSON", "", change(func(e *feed.Event) { e.Content = []byte("{") }), false},
		{"too large", "", north.write("bad", strings.Repeat("x", 400)), false},
		{"without content", "without its content", change(func(e *feed.Event) { e.Content = nil }), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, link := range []engine.Link{child("north"), arbiter()} {
				hub := newSite(t, "hub", engine.Config{Limit: 300})
				rs := hub.takeBad(link, c.ev, good)
				wantResult(t, rs[0], feed.Refused)
				wantResult(t, rs[1], feed.Applied)
				if !strings.Contains(rs[0].Reason, c.reason) || rs[0].Reason == "" || rs[0].Retry != c.retry || len(hub.log()) != 1 {
					t.Errorf("%+v", rs[0])
				}
				parked := hub.parked()
				if link.Child != "" {
					if len(parked) != 0 {
						t.Errorf("what the child keeps is parked here too: %+v", parked)
					}
					continue
				}
				if len(parked) != 1 || parked[0].Direction != "pull" || parked[0].Reason != rs[0].Reason || parked[0].Cursor.Epoch != parentEpoch ||
					parked[0].Cursor.Seq != c.ev.Seq || string(parked[0].Content) != string(c.ev.Content) {
					t.Errorf("%+v", parked)
				}
			}
		})
	}
	// A tombstone has no content: what came along is not kept where a person or the API would read it.
	hub := newSite(t, "hub", engine.Config{})
	hub.write("bad", "H")
	north.edit(remove("bad"))
	gone := north.event("bad")
	gone.Content = []byte("<html>")
	wantResult(t, hub.take(child("north"), gone)[0], feed.Decided)
	if c := hub.conflicts(""); len(c) != 1 || c[0].IncomingContent != nil {
		t.Errorf("content under a deletion: %s", c[0].IncomingContent)
	}
}

// takeBad is take for events whose key may be no key.
func (s *site) takeBad(link engine.Link, events ...feed.Event) []feed.Receipt {
	s.t.Helper()
	out, err := s.Accept(s.ctx, engine.Batch{Link: link, Events: events})
	if err != nil || len(out) != len(events) {
		s.t.Fatalf("%d receipts for %d events, %v", len(out), len(events), err)
	}
	return out
}

// unitOf returns the rows of the newest transaction as events.
func (s *site) unitOf(writes ...engine.Write) []feed.Event {
	s.t.Helper()
	from := len(s.log())
	s.edit(writes...)
	var out []feed.Event
	for _, r := range s.log()[from:] {
		out = append(out, r.Event)
	}
	return out
}

func TestEngineAcceptUnits(t *testing.T) {
	hub, north := newSite(t, "hub", engine.Config{}), newSite(t, "north", engine.Config{})
	unit := north.unitOf(put(t, "a", "A"), put(t, "b", "A"), put(t, "c", "A"))
	bad := append([]feed.Event(nil), unit...)
	bad[1].Content = []byte("{")
	alone := north.write("alone", "A")
	rs := hub.take(arbiter(), append(bad, alone)...)
	for _, r := range rs[:3] {
		wantResult(t, r, feed.Refused)
		if !strings.Contains(r.Reason, "member of its transaction") {
			t.Errorf("%+v", r)
		}
	}
	wantResult(t, rs[3], feed.Applied)
	parked := hub.parked()
	if len(parked) != 3 || len(hub.log()) != 1 {
		t.Fatalf("%d parked, %d rows", len(parked), len(hub.log()))
	}
	for _, p := range parked {
		if p.Unit != unit[0].Unit || p.UnitSize != 3 || p.Attempts != 1 || len(p.Content) == 0 {
			t.Errorf("%+v", p)
		}
	}
	// A later version of a member passes the unit.
	wantResult(t, hub.take(arbiter(), north.write("a", "B"))[0], feed.Applied)
	if parked = hub.parked(); len(parked) != 2 {
		t.Errorf("%+v", parked)
	}
	// The unit whole: its first member is seen already and leads to no row, so the unit has two here.
	rs = hub.take(arbiter(), unit...)
	wantResult(t, rs[0], feed.Superseded)
	wantResult(t, rs[1], feed.Applied)
	wantResult(t, rs[2], feed.Applied)
	rows := hub.log()[2:]
	if len(rows) != 2 || rows[0].Unit != unit[0].Unit || rows[1].Unit != unit[0].Unit || rows[0].UnitSize != 2 || rows[1].UnitSize != 2 || len(hub.parked()) != 0 {
		t.Errorf("%+v", rows)
	}
	// Of this one only a single row is left: that is no unit.
	two := north.unitOf(put(t, "d", "A"), put(t, "e", "A"))
	hub.take(arbiter(), north.write("d", "B"))
	hub.take(arbiter(), two...)
	if row := hub.log()[5]; row.Key.ID != "e" || row.Unit != "" || row.UnitSize != 0 {
		t.Errorf("%+v", row)
	}
	// A conflict within a unit is decided and holds nobody back; its row stays in the unit.
	hub.write("f", "H")
	from := len(hub.log())
	rs = hub.take(arbiter(), north.unitOf(put(t, "f", "N"), put(t, "g", "N"))...)
	wantResult(t, rs[0], feed.Decided)
	wantResult(t, rs[1], feed.Applied)
	for _, r := range hub.log()[from:] {
		if r.UnitSize != 2 || r.Unit == "" {
			t.Errorf("%+v", r)
		}
	}
}
