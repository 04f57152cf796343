package pull

import (
	"cmp"
	"context"
	"slices"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
)

// Refetch asks the parent for the copies of differences that this node lacks and gives them to the engine as a pass does: it alone
// decides what becomes of each. run is the record of the verification. The errors are those of Pass; what came before one stands.
func (p *Puller) Refetch(ctx context.Context, run *engine.Pass, differences []Difference) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	peer, err := p.parent.Hello(ctx)
	if err != nil {
		return err
	}
	var wanted []Difference
	for _, d := range differences {
		if d.Fetch && d.There != nil {
			wanted = append(wanted, d)
		}
	}
	// In the order in which the parent took them, so that what refers to something comes behind it.
	slices.SortStableFunc(wanted, func(a, b Difference) int { return cmp.Compare(a.There.Seq, b.There.Seq) })
	s := &pass{Puller: p, Pass: run, pos: store.Position{Cursor: feed.Cursor{Epoch: peer.Epoch}}}
	for some := range slices.Chunk(wanted, fetchAtOnce) {
		if err := s.refetch(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

const fetchAtOnce = 50

func (s *pass) refetch(ctx context.Context, some []Difference) error {
	refs, at := make([]feed.Ref, len(some)), map[fhir.Key]int{}
	for i, d := range some {
		refs[i], at[d.Key] = feed.Ref{Key: d.Key, Version: d.There.Version}, i
	}
	if err := s.Open(ctx); err != nil {
		return err
	}
	events, err := s.parent.Manager.Fetch(ctx, refs)
	if err != nil {
		return err
	}
	events = slices.DeleteFunc(events, func(ev feed.Event) bool {
		_, asked := at[ev.Key]
		return !asked
	})
	for i := range events {
		events[i].Unit, events[i].UnitSize = "", 0 // the rest of its transaction is not with it
	}
	slices.SortStableFunc(events, func(a, b feed.Event) int { return cmp.Compare(at[a.Key], at[b.Key]) })
	if len(events) == 0 {
		return nil
	}
	_, err = s.eng.Accept(ctx, engine.Batch{Link: s.link(), Events: events, Run: s.Counts()})
	return err
}
