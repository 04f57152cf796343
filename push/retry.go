package push

import (
	"cmp"
	"context"
	"slices"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
)

// The bounds of what is sent again at once because it refers to each other.
const (
	maxTogether      = 100 // copies
	maxTogetherBytes = 4 << 20
)

// retryParked sends again what the parent refused and what is due: a unit as it was written, anything else as it is now. What it refers to
// and what was refused as well goes with it: a parent that holds back what refers to nothing takes those which refer to each other only
// together.
func (s *pass) retryParked(ctx context.Context) error {
	due, err := s.eng.Store().Parked(ctx, store.ParkedFilter{Direction: "push", Peer: "parent", DueBy: s.cfg.Clock().UnixMilli(), Limit: 200})
	if err != nil || len(due) == 0 {
		return err
	}
	all, err := s.eng.Store().Parked(ctx, store.ParkedFilter{Direction: "push", Peer: "parent", Waiting: true})
	if err != nil {
		return err
	}
	refused := make(map[fhir.Key]store.Parked, len(all))
	for _, p := range append(all, due...) {
		refused[p.Key] = p
	}
	for _, p := range due {
		events, err := s.together(ctx, p.Key, refused)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			continue
		}
		if err := s.sendNamed(ctx, events); err != nil {
			return err
		}
	}
	return nil
}

// together returns a refused copy with its unit, and those that it refers to. They are taken out of refused.
func (s *pass) together(ctx context.Context, k fhir.Key, refused map[fhir.Key]store.Parked) ([]feed.Event, error) {
	var out []feed.Event
	bytes := 0
	for next := []fhir.Key{k}; len(next) > 0 && len(out) < maxTogether && bytes < maxTogetherBytes; next = next[1:] {
		p, ok := refused[next[0]]
		if !ok {
			continue
		}
		events, err := s.again(ctx, p)
		if err != nil {
			return nil, err
		}
		delete(refused, p.Key)
		for _, ev := range events {
			delete(refused, ev.Key)
			bytes += len(ev.Content)
			for _, r := range fhir.References(ev.Content) {
				if to, ok := fhir.LocalKey(r.Text); ok {
					next = append(next, to)
				}
			}
		}
		out = append(out, events...)
	}
	// In the order of the log, as everything that is sent; the changes of a transaction stand together in it.
	slices.SortStableFunc(out, func(a, b feed.Event) int { return cmp.Compare(a.Seq, b.Seq) })
	return slices.CompactFunc(out, func(a, b feed.Event) bool { return a.Seq == b.Seq }), nil
}

// again returns what is sent in the place of a refused copy.
func (s *pass) again(ctx context.Context, p store.Parked) ([]feed.Event, error) {
	var events []feed.Event
	if p.Unit != "" {
		err := s.eng.Store().Read(ctx, func(r *store.Reader) error {
			rows, err := r.Unit(p.Unit, p.Cursor.Seq)
			for _, row := range rows {
				events = append(events, row.Event)
			}
			return err
		})
		if err != nil || len(events) > 0 {
			return events, err
		}
	}
	ev, ok, err := s.current(ctx, p.Key)
	if ok {
		events = append(events, ev)
	}
	return events, err
}
