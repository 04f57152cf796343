package push

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// A parent that waits for a person gives the same answer every time: it is asked again after a minute, and then ever less often. What it decides
// comes with the pull in any case.
const (
	firstTold = 50 * time.Second // less than the minute between two passes
	lastTold  = time.Hour
)

// told is what the parent was last told of a held key, and when.
type told struct {
	what string
	at   time.Time
	wait time.Duration
}

// due reports whether the parent is to be told this at that time. A clock that was put back delays nothing.
func (t told) due(what string, now time.Time) bool {
	return what != t.what || now.Before(t.at) || !now.Before(t.at.Add(t.wait))
}

// next is the entry for what was told now.
func (t told) next(what string, now time.Time) told {
	wait := firstTold
	if what == t.what {
		wait = min(2*t.wait, lastTold)
	}
	return told{what, now, wait}
}

// dirty sends the own copy of each held key again and, where the hold still stands after the receipt, the held copies too, as
// they came (DESIGN.md 4.2, holds). A key of which nothing has changed since it was last told waits for its time.
func (s *pass) dirty(ctx context.Context) error {
	due, err := s.dueHolds(ctx, s.peer.Epoch)
	if err != nil {
		return err
	}
	for len(due) > 0 {
		n, err := s.tell(ctx, due)
		if err != nil {
			return err
		}
		due = due[n:]
	}
	return nil
}

// tell sends the own copies of the first of some held keys, as many as go at once, and then the copies that are still held of these. It returns how
// many keys that were.
func (s *pass) tell(ctx context.Context, keys []fhir.Key) (n int, err error) {
	var own []feed.Event
	sent := map[fhir.Key]version.Version{}
	for bytes := 0; n < min(len(keys), s.cfg.Batch) && (n == 0 || bytes < maxSent); n++ {
		ev, ok, err := s.current(ctx, keys[n])
		if err != nil {
			return 0, err
		}
		if ok {
			own, bytes = append(own, ev), bytes+len(ev.Content)
			sent[keys[n]] = ev.Stamp.Version
		}
	}
	slices.SortFunc(own, func(a, b feed.Event) int { return cmp.Compare(a.Seq, b.Seq) })
	if err := s.sendParts(ctx, own, nil); err != nil {
		return 0, err
	}
	var held []feed.Event
	var states []store.HeldState
	bytes := 0
	for i, k := range keys[:n] {
		still, state, err := s.heldOf(ctx, k)
		if err != nil {
			return 0, err
		}
		for _, h := range still {
			held, bytes = append(held, h.Event()), bytes+len(h.Content)
		}
		if len(still) > 0 && state.Own == sent[k] { // else it was written anew meanwhile, and is due
			states = append(states, state)
		}
		if bytes < maxSent && i < n-1 {
			continue
		}
		if err := s.sendParts(ctx, held, nil); err != nil {
			return 0, err
		}
		for _, h := range states {
			s.told[h.Key] = s.told[h.Key].next(s.peer.Epoch+" "+h.State, s.cfg.Clock())
		}
		held, states, bytes = nil, nil, 0
	}
	return n, nil
}

// heldOf returns what is held of a key, and what stands against each other there.
func (p *Pusher) heldOf(ctx context.Context, k fhir.Key) (held []store.Held, state store.HeldState, err error) {
	err = p.eng.Store().Read(ctx, func(r *store.Reader) error {
		if held, err = r.HeldOf(k); err != nil {
			return err
		}
		state, _, err = r.HeldState(k)
		return err
	})
	return held, state, err
}

// dueHolds returns the held keys of which the parent with that log is to be told now, the one that is held longest first. It forgets what was told of
// others.
func (p *Pusher) dueHolds(ctx context.Context, epoch string) ([]fhir.Key, error) {
	held, err := p.eng.Store().HeldStates(ctx)
	if err != nil {
		return nil, err
	}
	still := make(map[fhir.Key]told, len(held))
	var due []fhir.Key
	for _, h := range held {
		if !p.pushes(h.Key.Type) {
			continue
		}
		still[h.Key] = p.told[h.Key]
		if still[h.Key].due(epoch+" "+h.State, p.cfg.Clock()) {
			due = append(due, h.Key)
		}
	}
	p.told = still
	return due, nil
}
