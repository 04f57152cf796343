package push

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
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
	for _, k := range keys {
		still, err := s.heldOf(ctx, k)
		if err != nil {
			return err
		}
		if len(still) == 0 {
			delete(s.told, k)
			continue
		}
		what, err := s.whatIsHeld(ctx, s.peer.Epoch, still)
		if err != nil {
			return err
		}
		s.told[k] = s.told[k].next(what, s.cfg.Clock())
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

// dueHolds returns the held keys of which the parent with that log is to be told now, the longest held first.
func (p *Pusher) dueHolds(ctx context.Context, epoch string) ([]fhir.Key, error) {
	held, err := p.eng.Store().Held(ctx, 0)
	if err != nil {
		return nil, err
	}
	of := map[fhir.Key][]store.Held{}
	var keys []fhir.Key
	for _, h := range held {
		if !p.pushes(h.Key.Type) {
			continue
		}
		if of[h.Key] == nil {
			keys = append(keys, h.Key)
		}
		of[h.Key] = append(of[h.Key], h)
	}
	for k := range p.told {
		if of[k] == nil {
			delete(p.told, k)
		}
	}
	var due []fhir.Key
	for _, k := range keys {
		what, err := p.whatIsHeld(ctx, epoch, of[k])
		if err != nil {
			return nil, err
		}
		if p.told[k].due(what, p.cfg.Clock()) {
			due = append(due, k)
		}
	}
	return due, nil
}

// whatIsHeld tells apart what the parent with that log can be told of a held key: the own copy and the held ones, and all that they have seen.
func (p *Pusher) whatIsHeld(ctx context.Context, epoch string, held []store.Held) (string, error) {
	var b strings.Builder
	own, _, err := p.current(ctx, held[0].Key)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "%s own %s %s", epoch, own.Stamp.Version, own.Stamp.Vector)
	for _, h := range held {
		fmt.Fprintf(&b, " held %s %s", h.Stamp.Version, h.Stamp.Vector)
	}
	return b.String(), nil
}
