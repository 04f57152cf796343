package pull

import (
	"context"
	"slices"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/store"
)

// fit begins a catch-up where the cursor does not fit: nothing was read yet, the parent is another one or has another log, or other types
// are wanted than were read for. Knowledge is per type, so what is here of a type is not asked for again (DESIGN.md 4.3). Where nothing is
// known here the whole log is read instead, as long as the parent keeps it whole: in the order of their writing records that belong
// together compress to two thirds of the bytes, and transactions stay whole.
func (s *pass) fit(ctx context.Context, epoch string) error {
	old, why := s.pos, ""
	switch {
	case old.Epoch == epoch && old.Scope == s.scope():
		return nil
	case old.Epoch != epoch && old.Epoch != "":
		why = "the parent's log is another one than was read up to " + old.Cursor.String()
	case old.Epoch != "":
		why = "other types are wanted than were read for"
	}
	known, err := s.eng.Store().Knowledge(ctx, s.cfg.Types)
	if err != nil {
		return err
	}
	if err := s.begin(ctx, epoch, why); err != nil {
		return err
	}
	if !slices.ContainsFunc(known, func(k feed.Known) bool { return len(k.Vector) > 0 }) {
		s.pos.Resume = ""
	}
	return nil
}

// begin begins a catch-up; why is recorded, empty where nothing was read before.
func (s *pass) begin(ctx context.Context, epoch, why string) error {
	s.pos = store.Position{Scope: s.scope(), Cursor: feed.Cursor{Epoch: epoch}, Resume: store.CatchUp}
	if s.parent.Lister == nil {
		s.pos.Resume = "" // a source that cannot list is read from its start
	}
	if why == "" {
		return nil
	}
	if err := s.Open(ctx); err != nil { // what it costs is worth a row, also where nothing is missing
		return err
	}
	return s.eng.Note(ctx, audit.Record{
		Operation: audit.Pull, Outcome: audit.Done, Action: "CATCH-UP", Peer: s.Run.Peer, ParentURL: s.cfg.ParentURL, Run: s.Run.ID,
		Details: why + "; what this node does not know is asked for",
	})
}

// anew begins a catch-up because the parent says why its log does not continue what was read of it.
func (s *pass) anew(ctx context.Context, why error) error {
	peer, err := s.parent.Hello(ctx)
	if err != nil {
		return err
	}
	return s.begin(ctx, peer.Epoch, why.Error())
}

// catchUp reads a page of the list of what this node does not know. The list is frozen at a position of the parent's log, from which the
// feed is read afterwards; that pass brings the parent's knowledge.
func (s *pass) catchUp(ctx context.Context) error {
	if s.pos.Resume == store.CatchUp {
		if err := s.compare(ctx); err != nil {
			return err
		}
	}
	known, err := s.eng.Store().Knowledge(ctx, s.cfg.Types)
	if err != nil {
		return err
	}
	req := feed.CatchUp{Knowledge: known, Types: s.cfg.Types, Limit: s.cfg.Batch * pagesAhead, Inline: s.cfg.Inline, Bare: s.cfg.Bare}
	if s.pos.Resume != store.CatchUp {
		req.Resume = s.pos.Resume
	}
	at := req.Resume
	r := feedreader.Reader{Events: s.cfg.Batch}
	_, err = r.List(ctx, s.parent.Lister, req, s.pos.Epoch, func(p feedreader.Part) error {
		if !p.Last {
			if err := inOrder(at, p.Resume); err != nil {
				return err
			}
			at = p.Resume
		}
		if len(p.Events) > 0 {
			if err := s.Open(ctx); err != nil {
				return err
			}
			if err := s.complete(ctx, p.Events); err != nil {
				return err
			}
		}
		next := store.Position{Scope: s.pos.Scope, Cursor: feed.Cursor{Epoch: s.pos.Epoch}, Resume: p.Resume}
		if p.Last {
			next.Cursor, next.Resume = p.Cursor, ""
		}
		return s.take(ctx, engine.Batch{Events: p.Events, Names: p.Names, Position: &next})
	})
	return err
}

// inOrder returns an Invalid error where a place in a list is none, or does not come after the one before, which is empty at the begin.
func inOrder(before, now string) error {
	p, err := store.ParsePlace(now)
	if err != nil || before == "" {
		return err
	}
	last, err := store.ParsePlace(before)
	if err != nil {
		return err
	}
	return p.Follows(last)
}
