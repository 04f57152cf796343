package push

import (
	"cmp"
	"context"
	"slices"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
)

// Resend sends the current copies of keys to the parent, whatever the cursor says, and commits its receipts: the parent decides what
// becomes of each. Keys of types that are not pushed and keys without a copy are passed over. run is the record that it counts in,
// as of a verification. The errors are those of Pass; what was confirmed before one stands.
func (p *Pusher) Resend(ctx context.Context, run *engine.Pass, keys []fhir.Key) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &pass{Pusher: p, Pass: run}
	var err error
	if s.peer, err = p.parent.Hello(ctx); err != nil {
		return err
	}
	for some := range slices.Chunk(keys, resendAtOnce) {
		var events []feed.Event
		for _, k := range some {
			if !s.pushes(k.Type) {
				continue
			}
			ev, ok, err := s.current(ctx, k)
			if err != nil {
				return err
			}
			if ok {
				events = append(events, ev)
			}
		}
		if len(events) == 0 {
			continue
		}
		slices.SortFunc(events, func(a, b feed.Event) int { return cmp.Compare(a.Seq, b.Seq) }) // as a feed has them
		if err := s.sendNamed(ctx, events); err != nil {
			return err
		}
	}
	return nil
}

const resendAtOnce = 50
