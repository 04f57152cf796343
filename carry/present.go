package carry

import (
	"bytes"
	"context"
	"slices"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

// present names the copies of each type in which this node has forgotten what the reader never learnt: deletions may have passed the reader, and
// nothing that a bundle brings tells of them (DESIGN.md 4.3, forgetting). It comes after known was read, so that no copy is missing that known
// contains. It reports whether there was room for all of them.
func (w *writer) present(ctx context.Context, known []feed.Known) (bool, error) {
	for _, k := range known {
		if !w.sends(k.Type) || w.known[k.Type].Vector.ContainsAll(k.Forgotten) {
			continue
		}
		var in feed.Range
		for more := true; more; {
			copies, goesOn, err := w.eng.Store().Copies(ctx, k.Type, in, rowsAtOnce)
			if err != nil {
				return false, err
			}
			for _, c := range copies {
				if w.plain.Len() >= w.target() {
					if err := w.flush(Present); err != nil || w.full {
						return false, err
					}
				}
				if err := w.encoder().Ref(feed.Ref{Key: fhir.Key{Type: k.Type, ID: c.ID}, Version: c.Version}); err != nil {
					return false, err
				}
				w.lines++
			}
			if more = goesOn; more {
				in.From = feed.Behind(copies[len(copies)-1].ID)
			}
		}
		w.m.Lists = append(w.m.Lists, k.Type)
	}
	if err := w.flush(Present); err != nil {
		return false, err
	}
	return true, nil
}

// list is what the writer named of a type.
type list struct {
	ids   map[string]bool
	known version.Knowledge
}

// compare removes what the writer had and has no more, where it names all that it has and has forgotten what this node never learnt. What
// it never had stays, and so does what was changed here since; that is told (version.Unlisted; MS10 of reference/seed-protocols.md).
func (t *taker) compare(ctx context.Context) error {
	own, err := t.eng.Store().Knowledge(ctx, t.m.Lists)
	if err != nil {
		return err
	}
	here, lists := feed.KnowledgeOf(own), map[string]list{}
	for _, k := range t.learn() {
		if slices.Contains(t.m.Lists, k.Type) && !here[k.Type].Vector.ContainsAll(k.Forgotten) {
			l := list{ids: map[string]bool{}}
			if l.known, err = k.Knowledge(); err != nil {
				return t.refuse(ctx, t.side.Link.Peer, err)
			}
			lists[k.Type] = l
		}
	}
	if len(lists) == 0 {
		return nil
	}
	for i, p := range t.m.Parts {
		if p.Kind != Present {
			continue
		}
		text, err := t.read(ctx, i, p)
		if err != nil {
			return err
		}
		refs, err := feed.ReadRefs(bytes.NewReader(text), maxPlain, p.Lines)
		if err != nil {
			return t.refuse(ctx, t.side.Link.Peer, err)
		}
		for _, r := range refs {
			if l, ok := lists[r.Key.Type]; ok {
				l.ids[r.Key.ID] = true
			}
		}
	}
	for _, resourceType := range t.m.Lists {
		if l, ok := lists[resourceType]; ok {
			n, err := t.eng.CompareRange(ctx, t.link(), resourceType, l.known, feed.Range{}, func(id string) bool { return l.ids[id] })
			if err != nil {
				return err
			}
			t.Run.Read, t.Run.Applied = t.Run.Read+int64(n), t.Run.Applied+int64(n)
		}
	}
	return nil
}
