package push

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
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
	for keys := range slices.Chunk(due, s.cfg.Batch) {
		if err := s.tell(ctx, keys); err != nil {
			return err
		}
	}
	return nil
}

// tell sends the own copies of held keys and then the copies that are still held.
func (s *pass) tell(ctx context.Context, keys []fhir.Key) error {
	var own, held []feed.Event
	for _, k := range keys {
		ev, ok, err := s.current(ctx, k)
		if err != nil {
			return err
		}
		if ok {
			own = append(own, ev)
		}
	}
	slices.SortFunc(own, func(a, b feed.Event) int { return cmp.Compare(a.Seq, b.Seq) })
	if err := s.sendParts(ctx, own, nil); err != nil {
		return err
	}
	for _, k := range keys {
		still, err := s.heldOf(ctx, k)
		if err != nil {
			return err
		}
		for _, h := range still {
			held = append(held, h.Event())
		}
	}
	if err := s.sendParts(ctx, held, nil); err != nil {
		return err
	}
	states, err := s.eng.Store().HeldStates(ctx)
	if err != nil {
		return err
	}
	for _, h := range states {
		if slices.Contains(keys, h.Key) {
			s.told[h.Key] = s.told[h.Key].next(s.peer.Epoch+" "+h.State, s.cfg.Clock())
		}
	}
	return nil
}

func (p *Pusher) heldOf(ctx context.Context, k fhir.Key) (held []store.Held, err error) {
	err = p.eng.Store().Read(ctx, func(r *store.Reader) error {
		held, err = r.HeldOf(k)
		return err
	})
	return held, err
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
