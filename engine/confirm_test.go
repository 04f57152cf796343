package engine_test

import (
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

func (s *site) delivered(id string) string {
	s.t.Helper()
	return s.copyOf(id).Delivered
}

func (s *site) confirm(events []feed.Event, receipts ...feed.Receipt) {
	s.t.Helper()
	if err := s.Confirm(s.ctx, engine.Delivery{Link: follower(), Events: events, Receipts: receipts}); err != nil {
		s.t.Fatal(err)
	}
}

func receipt(ev feed.Event, result feed.Result, stamp version.Stamp) feed.Receipt {
	return feed.Receipt{Key: ev.Key, Version: ev.Stamp.Version, Result: result, Stamp: stamp}
}

// The mark by which a push skips a key stands only while the parent has the version and all that the copy has seen.
func TestEngineConfirmDelivered(t *testing.T) {
	top, mid, low := newSite(t, "top", engine.Config{}), newSite(t, "mid", engine.Config{}), newSite(t, "low", engine.Config{})
	ev := mid.write("p", "A")
	if mid.delivered("p") != "" {
		t.Fatal("an own edit is marked")
	}
	wantResult(t, mid.push(top, ev)[0], feed.Applied)
	if mid.delivered("p") != parentEpoch || len(mid.log()) != 1 {
		t.Errorf("mark %q, %d rows", mid.delivered("p"), len(mid.log()))
	}
	// From elsewhere comes the same version having seen more: that must go up.
	grown := seen(ev, ver(replicaX, 1))
	wantResult(t, mid.take(child("low"), grown)[0], feed.Same)
	if mid.delivered("p") != "" || len(mid.log()) != 2 {
		t.Errorf("the vector grew from elsewhere: mark %q", mid.delivered("p"))
	}
	wantResult(t, mid.push(top, mid.event("p"))[0], feed.Same)
	if mid.delivered("p") != parentEpoch || top.event("p").Stamp.Vector.Tick(replicaX) != 1 {
		t.Errorf("mark %q, top %v", mid.delivered("p"), top.event("p").Stamp)
	}
	// The next edit is unmarked, wherever it was made.
	low.take(follower(), mid.event("p"))
	mid.take(child("low"), low.write("p", "B"))
	if mid.delivered("p") != "" {
		t.Error("an edit of a child is marked")
	}
	// What the parent sends is marked; where the own vector has seen more than it, it is not.
	wantResult(t, mid.take(follower(), top.write("q", "T"))[0], feed.Applied)
	if mid.delivered("q") != parentEpoch {
		t.Error("what came from the parent is not marked")
	}
	mid.take(child("low"), seen(top.event("q"), ver(replicaX, 3)))
	wantResult(t, mid.take(follower(), top.write("q", "T2"))[0], feed.Applied)
	if mid.delivered("q") != "" {
		t.Error("the parent has not seen what this vector has, and a push would skip it")
	}
	wantResult(t, mid.take(follower(), seen(top.event("q"), ver(replicaX, 3)))[0], feed.Same)
	if mid.delivered("q") != parentEpoch {
		t.Error("the parent has all of it now")
	}
}

func TestEngineConfirmUnites(t *testing.T) {
	s := newSite(t, "low", engine.Config{})
	ev := s.write("p", "A")
	other, x := ver(replicaX, 9), ver(replicaX, 5)
	same := ev.Stamp.Seeing(version.Vector{x})
	equal := same
	equal.Version = other
	equal.Vector = equal.Vector.With(other)
	different := equal
	different.Hash[0]++
	different.Vector = different.Vector.With(ver(replicaX, 11))
	for _, c := range []struct {
		name  string
		stamp version.Stamp
		name2 version.Version // under which the copy stands afterwards
		tick  uint64          // of the other replica
		mark  string
		rows  int
	}{
		{"no stamp", version.Stamp{}, ev.Stamp.Version, 0, "", 1},
		{"same version", same, ev.Stamp.Version, 5, parentEpoch, 2},
		{"again", same, ev.Stamp.Version, 5, parentEpoch, 2},
		{"same version, behind", ev.Stamp, ev.Stamp.Version, 5, parentEpoch, 2},
		{"other content", different, ev.Stamp.Version, 5, parentEpoch, 2},
		{"same content under a name that came later", equal, other, 9, parentEpoch, 3},
		{"the former name", same, other, 9, parentEpoch, 3},
	} {
		s.confirm([]feed.Event{ev}, receipt(ev, feed.Applied, c.stamp))
		got := s.copyOf("p")
		if got.Stamp.Version != c.name2 || got.Stamp.Vector.Tick(replicaX) != c.tick || got.Delivered != c.mark || len(s.log()) != c.rows || string(got.Body) != string(ev.Content) {
			t.Errorf("%s: %v, mark %q, %d rows", c.name, got.Stamp, got.Delivered, len(s.log()))
		}
	}
	// A hold ends when the united vector contains it.
	rival := newSite(t, "top", engine.Config{}).write("p", "R")
	wantResult(t, s.take(follower(), rival)[0], feed.Held)
	s.confirm([]feed.Event{ev}, receipt(ev, feed.Decided, ev.Stamp.Seeing(rival.Stamp.Vector)))
	if h := s.held(); len(h) != 0 {
		t.Errorf("%+v", h)
	}
	// A stamp that no node can have made is not united, and nothing of the batch is written.
	bad := ev.Stamp
	bad.Vector = nil
	wantKind(t, s.Confirm(s.ctx, engine.Delivery{Link: follower(), Events: []feed.Event{ev}, Receipts: []feed.Receipt{receipt(ev, feed.Applied, bad)}}), syncerr.Invalid)
}

func TestEngineConfirmRefusal(t *testing.T) {
	s, top := newSite(t, "low", engine.Config{}), newSite(t, "top", engine.Config{})
	a, b := s.write("p", "A"), s.write("q", "A")
	s.take(follower(), top.write("p", "T"))
	run := audit.Run{ID: "r1", Direction: "push", Outcome: "running", Started: 1}
	if err := s.OpenRun(s.ctx, run); err != nil {
		t.Fatal(err)
	}
	refused, fine := receipt(a, feed.Refused, version.Stamp{}), receipt(b, feed.Applied, b.Stamp)
	refused.Reason = "the parent's database does not take it"
	pos := store.Position{Cursor: feed.Cursor{Epoch: s.Store().Identity().Epoch, Seq: 2}, Scope: "s"}
	d := engine.Delivery{Link: follower(), Events: []feed.Event{a, b}, Receipts: []feed.Receipt{refused, fine}, Position: &pos, Run: &run, HTTPStatus: 200}

	later := d
	later.Receipts = []feed.Receipt{refused, fine}
	later.Receipts[0].Retry = true
	swapped := d
	swapped.Receipts = []feed.Receipt{fine, refused}
	short := d
	short.Receipts = d.Receipts[:1]
	otherVersion := d
	otherVersion.Receipts = []feed.Receipt{refused, fine}
	otherVersion.Receipts[1].Version.Tick++
	before, err := s.Store().AuditRecords(s.ctx, audit.Query{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		d    engine.Delivery
		kind syncerr.Kind
	}{
		{"retry later", later, syncerr.Transient},
		{"swapped", swapped, syncerr.Invalid},
		{"short", short, syncerr.Transient},
		{"another version", otherVersion, syncerr.Invalid},
	} {
		wantKind(t, s.Confirm(s.ctx, c.d), c.kind)
		got, err := s.Store().Position(s.ctx, "parent", "push")
		after, aerr := s.Store().AuditRecords(s.ctx, audit.Query{})
		if err != nil || aerr != nil || !got.IsZero() || len(after) != len(before) || len(s.parked()) != 0 || s.delivered("q") != "" || run.Read != 0 {
			t.Errorf("%s left something: %v %v", c.name, got, err)
		}
	}

	for attempt := 1; attempt <= 2; attempt++ {
		if err := s.Confirm(s.ctx, d); err != nil {
			t.Fatal(err)
		}
		p := s.parked()
		if len(p) != 1 || p[0].Direction != "push" || p[0].Key != a.Key || p[0].Reason != refused.Reason || p[0].Attempts != attempt || p[0].Cursor.Seq != a.Seq {
			t.Fatalf("%+v", p)
		}
	}
	if h := s.held(); len(h) != 1 || h[0].Refusal != refused.Reason {
		t.Errorf("the hold does not say what the parent said: %+v", h)
	}
	runs, err := s.Store().Runs(s.ctx, "push", 1)
	if err != nil || runs[0].Read != 4 || runs[0].Parked != 2 || runs[0].Applied != 2 || run.Read != 4 {
		t.Errorf("%+v %v", runs, err)
	}
	if got, err := s.Store().Position(s.ctx, "parent", "push"); err != nil || got.Cursor != pos.Cursor || s.delivered("q") != parentEpoch || s.delivered("p") != "" {
		t.Errorf("%v %v", got, err)
	}
	recs, err := s.Store().AuditRecords(s.ctx, audit.Query{Outcome: audit.Parked})
	if err != nil || len(recs) != 2 || recs[0].Operation != audit.Push || recs[0].Details != refused.Reason {
		t.Errorf("%+v %v", recs, err)
	}
	s.confirm([]feed.Event{a}, receipt(a, feed.Applied, a.Stamp))
	if p := s.parked(); len(p) != 0 {
		t.Errorf("taken and still parked: %+v", p)
	}
}

// A confirmation that stops anywhere leaves nothing of itself.
func TestEngineConfirmAllOrNothing(t *testing.T) {
	s := newSite(t, "low", engine.Config{})
	a, b := s.write("p", "A"), s.write("q", "A")
	ra, rb := receipt(a, feed.Refused, version.Stamp{}), receipt(b, feed.Applied, b.Stamp.Seeing(version.Vector{ver(replicaX, 1)}))
	pos := store.Position{Cursor: feed.Cursor{Epoch: s.Store().Identity().Epoch, Seq: 2}, Scope: "s"}
	d := engine.Delivery{Link: follower(), Events: []feed.Event{a, b}, Receipts: []feed.Receipt{ra, rb}, Position: &pos}
	points := 0
	for at := 1; ; at++ {
		n, last := 0, ""
		s.hook = func(point string) error {
			if n++; n >= at {
				last = point
				return errPower
			}
			return nil
		}
		err := s.Confirm(s.ctx, d)
		s.hook = nil
		if last == "committed" || err == nil {
			break
		}
		points++
		got, perr := s.Store().Position(s.ctx, "parent", "push")
		if perr != nil || !got.IsZero() || len(s.parked()) != 0 || len(s.log()) != 2 {
			t.Fatalf("stopped at %s: %v %v, %d rows", last, got, perr, len(s.log()))
		}
	}
	if points < 5 || len(s.parked()) != 1 || len(s.log()) != 3 {
		t.Errorf("%d points, %d parked, %d rows", points, len(s.parked()), len(s.log()))
	}
}
