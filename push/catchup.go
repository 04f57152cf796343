package push

import (
	"context"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// fit begins a catch-up where the cursor does not fit: another parent or another log of it, other types, or a new log here.
func (s *pass) fit(scope, epoch string) {
	if s.pos.Scope == scope && s.pos.Epoch == epoch {
		return
	}
	s.pos = store.Position{Scope: scope, Cursor: feed.Cursor{Epoch: epoch}, Resume: store.CatchUp}
	if s.parent.Knowledge == nil {
		s.pos.Resume = "" // what it has is not known: the log is offered from its start
	}
}

// catchUp sends every current copy that the parent's knowledge does not contain, whoever wrote it, and then stands at the position of the
// own log at which the list was frozen (DESIGN.md 4.3, new parent or new epoch). Held copies are sent by every pass.
func (s *pass) catchUp(ctx context.Context) error {
	if s.pos.Resume == "" {
		return nil
	}
	parts, err := s.parent.Knowledge(ctx, s.cfg.Types)
	if err != nil {
		return err
	}
	st := s.eng.Store()
	if ahead, err := st.CheckKnown(ctx, parts); err != nil {
		if ahead {
			return s.parent.Restored(ctx, err)
		}
		return err
	}
	known := feed.KnowledgeOf(parts)
	var at store.Place
	if s.pos.Resume == store.CatchUp {
		head, err := st.Head(ctx)
		if err != nil {
			return err
		}
		at.Head = head.Seq
	} else if at, err = store.ParsePlace(s.pos.Resume); err != nil {
		return err
	}
	for done := false; !done; {
		var events []feed.Event
		err := st.Read(ctx, func(r *store.Reader) error {
			events = events[:0]
			bytes := 0
			var err error
			at, done, err = r.Missing(known, s.cfg.Types, at, s.cfg.Batch, func(row store.Row, _ store.Place) error {
				events, bytes = append(events, row.Event), bytes+len(row.Content)
				return nil
			})
			return err
		})
		if err != nil {
			return err
		}
		next := store.Position{Scope: s.pos.Scope, Cursor: s.pos.Cursor, Resume: at.String(), Backlog: s.pos.Backlog}
		if done {
			next.Cursor.Seq, next.Resume = at.Head, ""
		}
		if err := s.sendParts(ctx, events, &next); err != nil {
			return err
		}
	}
	return nil
}

// maxSent bounds what is sent at once in bytes of content; one resource above that goes alone.
const maxSent = 4 << 20

// sendParts sends copies in parts bounded by bytes; the position, where there is one, counts with the last of them.
func (s *pass) sendParts(ctx context.Context, events []feed.Event, next *store.Position) error {
	for {
		n, bytes := 0, 0
		for n < len(events) && (n == 0 || bytes+len(events[n].Content) <= maxSent) {
			bytes += len(events[n].Content)
			n++
		}
		names, err := s.names(ctx, events[:n])
		if err != nil {
			return err
		}
		last, pos := n == len(events), next
		if !last {
			pos = nil
		}
		if err := s.send(ctx, resourcemanager.Shipment{Events: events[:n], Names: names}, pos); err != nil || last {
			return err
		}
		events = events[n:]
	}
}

// excepting adds to what is told the versions that the parent did not get although this node knows them: they were refused.
func (s *pass) excepting(ctx context.Context, known []feed.Known) ([]feed.Known, error) {
	if len(known) == 0 {
		return nil, nil
	}
	refused, err := s.eng.Store().Parked(ctx, store.ParkedFilter{Direction: "push", Peer: "parent", Limit: 1 << 30})
	if err != nil {
		return nil, err
	}
	for _, p := range refused {
		known = except(known, p.Key, p.Stamp)
	}
	return known, nil
}

// except adds an exception where the knowledge tells of the key's type.
func except(known []feed.Known, k fhir.Key, s version.Stamp) []feed.Known {
	for i := range known {
		if known[i].Type != k.Type {
			continue
		}
		for _, v := range s.Vector.With(s.Version) { // what it had seen did not come there either, unless by another copy
			known[i] = known[i].Except(k.ID, v)
		}
	}
	return known
}
