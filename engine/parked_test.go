package engine_test

import (
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/version"
)

// What the parent's copy was parked for is over when that copy, or one that has seen it, was taken. A copy from elsewhere does not
// make it disappear.
func TestEngineParkedStaysUntilSeen(t *testing.T) {
	hub, top, north := newSite(t, "hub", engine.Config{}), newSite(t, "top", engine.Config{}), newSite(t, "north", engine.Config{})
	bad := top.write("p", "T1")
	bad.Content = []byte("{")
	wantResult(t, hub.take(arbiter(), bad)[0], feed.Refused)

	wantResult(t, hub.take(child("north"), north.write("p", "N"))[0], feed.Applied)
	if p := hub.parked(); len(p) != 1 || p[0].Stamp.Version != bad.Stamp.Version {
		t.Fatalf("the parent's copy is forgotten: %+v", p)
	}
	wantResult(t, hub.take(arbiter(), top.write("p", "T2"))[0], feed.Decided)
	if p := hub.parked(); len(p) != 0 {
		t.Errorf("a later version passes it: %+v", p)
	}

	// Also where the later version is held: it has seen the parked one.
	low := newSite(t, "low", engine.Config{})
	low.write("q", "L")
	worse := top.write("q", "T1")
	worse.Content = []byte("{")
	wantResult(t, low.take(follower(), worse)[0], feed.Refused)
	wantResult(t, low.take(follower(), top.write("q", "T2"))[0], feed.Held)
	if p := low.parked(); len(p) != 0 {
		t.Errorf("%+v", p)
	}
}

// A refused own copy stays listed when the parent takes a held copy of the same key.
func TestEngineParkedPushStaysUntilSeen(t *testing.T) {
	low, third := newSite(t, "low", engine.Config{}), newSite(t, "third", engine.Config{})
	own, rival := low.write("p", "L"), third.write("p", "X")
	low.take(follower(), rival)
	refused := receipt(own, feed.Refused, version.Stamp{})
	refused.Reason = "no"
	low.confirm([]feed.Event{own}, refused)
	low.confirm([]feed.Event{low.held()[0].Event()}, receipt(rival, feed.Applied, rival.Stamp))
	if p := low.parked(); len(p) != 1 || p[0].Stamp.Version != own.Stamp.Version {
		t.Fatalf("the own copy was refused, and nobody sees it: %+v", p)
	}
	next := low.write("p", "L2")
	low.confirm([]feed.Event{next}, receipt(next, feed.Applied, next.Stamp))
	if p := low.parked(); len(p) != 0 {
		t.Errorf("%+v", p)
	}
}

// What is above the database's own limit cannot be kept in it either: it is parked without its content, and the batch goes on.
func TestEngineParkedWithoutWhatTheDatabaseCannotHold(t *testing.T) {
	hub, top := newSite(t, "hub", engine.Config{}), newSite(t, "top", engine.Config{})
	big := top.write("big", "B")
	big.Content = []byte(strings.Replace(string(big.Content), `"B"`, `"`+strings.Repeat("x", hub.Store().Limit())+`"`, 1))
	rs := hub.take(arbiter(), big, top.write("small", "S"))
	wantResult(t, rs[0], feed.Refused)
	wantResult(t, rs[1], feed.Applied)
	if p := hub.parked(); len(p) != 1 || p[0].Content != nil || p[0].Kind != "too-large" {
		t.Errorf("%d parked", len(p))
	}
}

// Two copies that have seen each other and differ cannot both be whole; what comes without its content never stands over another.
func TestEngineAcceptNeverStandsWithoutItsContent(t *testing.T) {
	hub, north := newSite(t, "hub", engine.Config{}), newSite(t, "north", engine.Config{})
	x := north.write("p", "N")
	mine := hub.write("p", "H")
	hub.take(child("north"), seen(mine, x.Stamp.Version)) // the own version comes back with a vector that has seen more
	x = seen(x, mine.Stamp.Version)
	x.Content = nil
	r := hub.take(child("north"), x)[0]
	if c := hub.event("p"); c.Stamp.Hash != mine.Stamp.Hash || hub.family("p") != "H" {
		t.Errorf("%s: the content %q stands under the stamp of another", r.Result, hub.family("p"))
	}
	wantResult(t, r, feed.Refused)
	if refs, err := hub.Lacking(hub.ctx, []feed.Event{x}); err != nil || len(refs) != 1 {
		t.Errorf("%v %v", refs, err)
	}
}
