package sdata

import (
	"context"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// The full comparison of a resource kind (DESIGN.md 4.3, forgetting; MS10 of reference/seed-protocols.md). A source that has forgotten deletions which a
// node never learnt names, range by range, what it has before it gives its first entry. Each of these pages is complete in itself: a target removes
// what the source knew and does not name there, whatever became of other pages, and a pass that is interrupted compares anew.

// perPresent is how many resources a page names for each entry that it may have.
const perPresent = 100

// listed returns a page that names what is here from p.present on.
func (s *Server) listed(ctx context.Context, base string, j store.SDataJob, f *frozen, p place) ([]byte, error) {
	in := feed.Range{From: p.present}
	copies, more, err := s.eng.Store().Copies(ctx, j.Type, in, min(perPresent*p.count, maxPresent))
	if err != nil {
		return nil, err
	}
	out := Feed{
		ID: address(base, j), Title: j.Type + " synchronization feed", Updated: s.cfg.Clock().UnixMilli(), Mode: version.CatchUp, Digest: &f.Digest, Start: p.start,
		Present: &Present{Range: in},
	}
	for _, c := range copies {
		out.Present.IDs = append(out.Present.IDs, c.ID)
	}
	if more {
		out.Present.To = feed.Behind(copies[len(copies)-1].ID)
		out.Next = next(base, j, p, 0, "present", out.Present.To)
	} else {
		out.Next = next(base, j, p, 0, "at", store.Place{Head: f.Head, Type: j.Type}.String())
	}
	return WriteFeed(out), nil
}

// stillTold returns an error where deletions were collected since a pass began that its target has not learnt: they are not in its list any more,
// and its digest says that they are.
func (s *Server) stillTold(ctx context.Context, j store.SDataJob, f frozen) error {
	now, err := s.knownHere(ctx, j.Type)
	if err != nil || f.Forgotten.ContainsAll(now.Forgotten) || f.Target.Vector.ContainsAll(now.Forgotten) {
		return err
	}
	return syncerr.New(syncerr.Gone, "sync", "deletions were collected here since operation %s began, which its pages would pass over", j.ID).WithHint("Begin the pass again")
}

// compare removes what the source of a page had and has no more.
func (s *Server) compare(ctx context.Context, p *page, link engine.Link) error {
	have, err := s.knownHere(ctx, p.typ)
	if err != nil || p.feed.Present == nil || have.Vector.ContainsAll(p.source.Forgotten) {
		return err
	}
	source, err := p.source.Knowledge()
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, id := range p.feed.Present.IDs {
		names[id] = true
	}
	_, err = s.eng.CompareRange(ctx, link, p.typ, source, p.feed.Present.Range, func(id string) bool { return names[id] })
	return err
}

// compared returns an error where a page of a catch-up brings knowledge of deletions that were forgotten before this node learnt them, and nothing was
// compared before. The last page that names what the source has leaves behind what that has forgotten (page.learnt).
func (p *page) compared(have feed.Known) error {
	f := p.source.Forgotten
	if p.feed.Mode != version.CatchUp || p.feed.Present != nil || have.Vector.ContainsAll(f) || have.Forgotten.ContainsAll(f) {
		return nil
	}
	return syncerr.New(syncerr.Conflict, "take page", "its source has forgotten deletions that this node never learnt, and no page before it named what the source has").
		WithHint("Begin the pass again: its first pages do that. Nothing of this page was taken")
}
