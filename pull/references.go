package pull

import (
	"context"
	"slices"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
)

// The bounds of what is fetched ahead of a batch because it is referred to.
const (
	maxDepth        = 3   // references of what is fetched are followed, too
	maxFetched      = 200 // resources
	maxFetchedBytes = 16 << 20
)

// referenced returns events with those ahead that they refer to, that never were here and that the parent has, as far as this node reads
// their types. What the parent has not either, and what is beyond the bounds, is left out: who refers to it is taken as it is.
func (s *pass) referenced(ctx context.Context, events []feed.Event) ([]feed.Event, error) {
	if !s.cfg.Fetch {
		return events, nil
	}
	var ahead []feed.Event
	asked, bytes := map[fhir.Key]bool{}, 0
	for range maxDepth {
		missing, err := s.eng.Missing(ctx, slices.Concat(ahead, events))
		if err != nil {
			return nil, err
		}
		missing = slices.DeleteFunc(missing, func(k fhir.Key) bool {
			return asked[k] || !fhir.Selected(s.cfg.Types, k.Type)
		})
		missing = missing[:min(len(missing), maxFetched-len(asked))]
		if len(missing) == 0 {
			break
		}
		for len(missing) > 0 && bytes < maxFetchedBytes {
			refs := make([]feed.Ref, min(len(missing), fetchAtOnce))
			for i := range refs {
				refs[i].Key = missing[i]
				asked[missing[i]] = true
			}
			missing = missing[len(refs):]
			got, err := s.parent.Manager.Fetch(ctx, refs)
			if err != nil {
				return nil, err
			}
			for _, ev := range got {
				if !slices.Contains(refs, feed.Ref{Key: ev.Key}) {
					continue // nobody asked for it
				}
				ev.Unit, ev.UnitSize = "", 0 // it comes without the others of its transaction
				ahead = append(ahead, ev)
				bytes += len(ev.Content)
			}
		}
	}
	ahead, err := s.eng.Ordered(ctx, ahead)
	return append(ahead, events...), err
}

// release takes the parked copies for which something has come by another way than a pull.
func (s *pass) release(ctx context.Context) error {
	keys, err := s.eng.Awaited(ctx)
	if err != nil || len(keys) == 0 {
		return err
	}
	if err := s.Open(ctx); err != nil {
		return err
	}
	return s.eng.Release(ctx, engine.Batch{Link: s.link(), Run: s.Counts()}, keys)
}
