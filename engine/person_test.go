package engine_test

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

func deferring() engine.Config {
	return engine.Config{Policies: reconcile.Policies{Default: reconcile.Defer}}
}

func (s *site) resolve(uuid string, choice engine.Choice, actor string) error {
	_, err := s.Resolve(s.ctx, uuid, engine.Resolution{Choice: choice}, actor)
	return err
}

// queued counts the goroutines that wait for their turn in the store.
func queued() (n int) {
	stacks := make([]byte, 4<<20)
	for _, g := range strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		lines := strings.SplitN(g, "\n", 3)
		if len(lines) == 3 && strings.Contains(lines[0], "[chan receive") && strings.Contains(lines[1], "store.(*Store).write(") {
			n++
		}
	}
	return n
}

// inOrder runs calls at the same time in one commit, the writes of one after those of the one before.
func (s *site) inOrder(calls ...func()) {
	s.t.Helper()
	inside, open := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Store().Write(s.ctx, func(*store.Tx) error {
			close(inside)
			<-open
			return nil
		}); err != nil {
			s.t.Error(err)
		}
	})
	<-inside
	for i, call := range calls {
		wg.Go(call)
		for s.t.Context().Err() == nil && queued() < i+1 {
			runtime.Gosched()
		}
	}
	close(open)
	wg.Wait()
}

// A decision is about the copies that stand when it is written: what came while it waited is not overwritten by what it replaced.
func TestEngineResolveSeesTheNewestCopies(t *testing.T) {
	hub, north := newSite(t, "hub", deferring()), newSite(t, "north", engine.Config{})
	hub.write("p", "H")
	wantResult(t, hub.take(child("north"), north.write("p", "N1"))[0], feed.Deferred)
	id, newer := hub.conflicts(store.ConflictOpen)[0].UUID, north.write("p", "N2")
	resolve := func() {
		if err := hub.resolve(id, engine.KeepIncoming, "ann"); err != nil {
			t.Error(err)
		}
	}
	accept := func() {
		rs, err := hub.Accept(hub.ctx, engine.Batch{Link: child("north"), Events: []feed.Event{newer}})
		if err != nil || rs[0].Result != feed.Deferred {
			t.Errorf("%+v %v", rs, err)
		}
	}
	hub.inOrder(accept, resolve)
	if s := hub.event("p").Stamp; hub.family("p") != "N2" || !s.Vector.Contains(newer.Stamp.Version) {
		t.Errorf("%s under %v", hub.family("p"), s)
	}
	if c := hub.conflicts(""); len(c) != 1 || c[0].Status != store.ConflictDecided || c[0].Incoming.Version != newer.Stamp.Version {
		t.Errorf("%+v", c)
	}
}

// Of two people who decide at the same time one is told that it was decided.
func TestEngineResolveOnce(t *testing.T) {
	hub, north := newSite(t, "hub", deferring()), newSite(t, "north", engine.Config{})
	hub.write("p", "H")
	hub.take(child("north"), north.write("p", "N"))
	id := hub.conflicts(store.ConflictOpen)[0].UUID
	var first, second error
	hub.inOrder(
		func() { first = hub.resolve(id, engine.KeepLocal, "ann") },
		func() { second = hub.resolve(id, engine.KeepIncoming, "bob") },
	)
	if first != nil {
		t.Error(first)
	}
	wantKind(t, second, syncerr.NotFound)
	if hub.family("p") != "H" || len(hub.log()) != 2 {
		t.Errorf("%s, %d rows", hub.family("p"), len(hub.log()))
	}
}

// Where the policy leaves a hold to a person, the passes after the one that asked do not ask again.
func TestEngineDecideHoldsAsksOnce(t *testing.T) {
	top, low := newSite(t, "top", engine.Config{}), newSite(t, "low", deferring())
	low.write("p", "own")
	low.take(follower(), top.write("p", "T"))
	audits := func() int {
		recs, err := low.Store().AuditRecords(low.ctx, audit.Query{Outcome: audit.Deferred})
		if err != nil {
			t.Fatal(err)
		}
		return len(recs)
	}
	for range 3 {
		if err := low.DecideHolds(low.ctx, arbiter()); err != nil {
			t.Fatal(err)
		}
	}
	open := low.conflicts(store.ConflictOpen)
	if len(open) != 1 || audits() != 1 {
		t.Fatalf("%d open conflicts, %d audit rows", len(open), audits())
	}
	if err := low.resolve(open[0].UUID, engine.KeepIncoming, "ann"); err != nil {
		t.Fatal(err)
	}
	if err := low.DecideHolds(low.ctx, arbiter()); err != nil || len(low.held()) != 0 || low.family("p") != "T" || len(low.conflicts(store.ConflictOpen)) != 0 {
		t.Errorf("%v, %d held, %s", err, len(low.held()), low.family("p"))
	}
}

// A policy that goes by names never decides without them because a read failed.
func TestEngineNamesThatCannotBeReadStopTheDecision(t *testing.T) {
	priority := reconcile.Policies{Default: reconcile.ReplicaPriority, Priority: map[string]int{"north": 1, "hub": 5}}
	hub, north := newSite(t, "hub", engine.Config{Policies: priority}), newSite(t, "north", engine.Config{})
	names := []feed.Name{{Replica: north.replica(), Node: "north"}}
	if _, err := hub.Accept(hub.ctx, engine.Batch{Link: child("north"), Events: []feed.Event{north.write("other", "N")}, Names: names}); err != nil {
		t.Fatal(err)
	}
	ev := north.write("p", "N")
	hub.write("p", "H")
	reads := 0
	hub.hook = func(point string) error {
		if strings.HasPrefix(point, "SELECT name FROM replica") {
			if reads++; reads == 2 {
				return errors.New("the disk hiccups")
			}
		}
		return nil
	}
	wantResult(t, hub.take(child("north"), ev)[0], feed.Decided)
	if reads < 3 || hub.family("p") != "N" {
		t.Errorf("decided for %s after %d reads", hub.family("p"), reads)
	}
}
