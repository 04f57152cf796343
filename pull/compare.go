package pull

import (
	"context"
	"maps"
	"slices"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

// compare makes the full comparison of the types in which one side has forgotten what the other never learnt: deletions may have passed
// unseen, and no list of what is there tells of them (DESIGN.md 4.3, forgetting; MS10 of reference/seed-protocols.md). It comes before a
// catch-up, so that neither side's knowledge has grown by it.
func (s *pass) compare(ctx context.Context) error {
	if s.parent.Knowledge == nil || s.parent.Digest == nil {
		return nil
	}
	st := s.eng.Store()
	own, err := st.Knowledge(ctx, s.cfg.Types)
	if err != nil {
		return err
	}
	parts, err := s.parent.Knowledge(ctx, s.cfg.Types)
	if err != nil {
		return err
	}
	// A claim on changes that this node never made would remove what it made instead of them.
	if ahead, err := st.CheckKnown(ctx, parts); ahead {
		return s.parent.Restored(ctx, err)
	} else if err != nil {
		return err
	}
	here, there := feed.KnowledgeOf(own), feed.KnowledgeOf(parts)
	for _, t := range typesIn(here, there) {
		h, p := here[t], there[t]
		if !h.Vector.ContainsAll(p.Forgotten) {
			if err := s.unlisted(ctx, t, p, false); err != nil {
				return err
			}
		}
		if s.cfg.Follows(t) && !p.Vector.ContainsAll(h.Forgotten) {
			if err := s.unlisted(ctx, t, h, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// typesIn returns the types of which either side knows something.
func typesIn(here, there feed.Knowledge) []string {
	out := slices.AppendSeq(slices.Collect(maps.Keys(here)), maps.Keys(there))
	slices.Sort(out)
	return slices.Compact(out)
}

// unlisted finds the copies of a type that only one side has and the other one, the lister, had: those of this node, or, with theirs,
// those of the parent.
func (s *pass) unlisted(ctx context.Context, t string, lister feed.Known, theirs bool) error {
	known, err := lister.Knowledge()
	if err != nil {
		return err
	}
	is := func(o string) bool { return o == t }
	none := func(string) bool { return false }
	v := Verify{Own: s.eng.Store(), Parent: s.parent.Digest, Epoch: s.pos.Epoch, Types: []string{t}, Pulls: none, Pushes: is}
	if theirs {
		v.Pulls, v.Pushes, v.Known = is, none, known.Contains // what was never here is no deletion of this node's
	}
	found, err := v.Compare(ctx)
	if err != nil {
		return err
	}
	var list []engine.Unlisted
	for _, d := range found.Differences {
		u, c := engine.Unlisted{Key: d.Key, There: theirs}, d.Here
		if theirs {
			c = d.There
		}
		if c == nil || c.Deleted || d.Here != nil && d.There != nil {
			continue
		}
		u.Stamp = version.Stamp{Version: c.Version, Vector: c.Vector}
		created := c.Version
		if !theirs {
			cur, err := s.eng.Store().Currents(ctx, []fhir.Key{d.Key})
			if err != nil {
				return err
			}
			created = cur[d.Key].Created
		}
		if u.Fate = version.Unlisted(known, d.Key.ID, c.Version, created); u.Fate != version.FateKeep {
			list = append(list, u)
		}
	}
	for part := range slices.Chunk(list, s.cfg.Batch) {
		if err := s.Open(ctx); err != nil {
			return err
		}
		n, err := s.eng.Unlist(ctx, s.link(), part)
		if err != nil {
			return err
		}
		s.Run.Read, s.Run.Applied = s.Run.Read+int64(n), s.Run.Applied+int64(n)
	}
	return nil
}
