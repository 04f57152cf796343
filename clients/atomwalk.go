package clients

import (
	"context"
	"net/http"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/syncerr"
)

// atomPart is what is news on a page, and how it goes on behind it.
type atomPart struct {
	entries []feed.AtomEntry
	mark    atomMark
	walk    *atomWalk
	end     bool     // nothing is behind it
	tags    atomTags // at the end
}

// atomWalk goes forward through the pages behind the one that was read.
type atomWalk struct {
	entry string   // the walk goes on only behind this one
	last  string   // the page that was read
	next  string   // the page to read, "" for the newest one
	trail []string // pages behind next as they were found going back, the newest first
	seen  map[string]bool
}

// atomSearch goes back from the newest page to that of an entry, or to the oldest one. What it has seen is kept over errors.
type atomSearch struct {
	entry string
	at    string   // the page to look at
	trail []string // pages that were looked at, the newest first
	seen  map[string]bool
}

// read returns what comes behind a mark: at most one page.
func (a *Atom) read(ctx context.Context, f *atomFeed, m atomMark) (atomPart, error) {
	w := f.walk
	switch {
	case f.pages >= maxAtomPages:
		return atomPart{mark: m, walk: w, end: true}, nil
	case w == nil || w.entry != m.entry:
		return a.find(ctx, f, m, nil)
	}
	doc, _, err := a.page(ctx, f, w.next, atomTags{})
	if err != nil {
		if syncerr.KindOf(err) != syncerr.Transient {
			f.walk = nil
		}
		return atomPart{}, err
	}
	if doc.newest && doc.prev != w.last && doc.index(m.entry) < 0 {
		return a.find(ctx, f, m, doc) // pages were put in between
	}
	return doc.part(m, w)
}

// part takes the entries of a page behind a mark, all where that is on another page.
func (d *atomDoc) part(m atomMark, w *atomWalk) (atomPart, error) {
	p := atomPart{entries: d.entries[d.index(m.entry)+1:], mark: m}
	if n := len(d.entries); n > 0 {
		p.mark = atomMark{entryName(d.entries[n-1].ID), d.ref}
	}
	if d.newest {
		p.end, p.tags = true, d.tags
		p.tags.entry = p.mark.entry
		return p, nil
	}
	w.seen[d.ref] = true
	if w.seen[d.next] {
		return p, circle()
	}
	p.walk = &atomWalk{entry: p.mark.entry, last: d.ref, seen: w.seen}
	if n := len(w.trail); d.next != "" {
		p.walk.next = d.next
	} else if n > 0 {
		p.walk.next, p.walk.trail = w.trail[n-1], w.trail[:n-1]
	}
	return p, nil
}

func newWalk(trail []string) *atomWalk { return &atomWalk{trail: trail, seen: map[string]bool{}} }

// find begins at the newest page, which may be given, and looks for the page on which to go on.
func (a *Atom) find(ctx context.Context, f *atomFeed, m atomMark, newest *atomDoc) (atomPart, error) {
	if newest == nil {
		var unless atomTags
		if f.known.set && f.known.entry == m.entry {
			unless = f.known
		}
		var err error
		if newest, _, err = a.page(ctx, f, "", unless); err != nil {
			return atomPart{}, err
		}
		if newest == nil {
			return atomPart{mark: m, end: true, tags: f.known}, nil
		}
	}
	if newest.prev == "" || newest.index(m.entry) >= 0 {
		return newest.part(m, nil)
	}
	doc, err := a.likely(ctx, f, m, newest)
	if err != nil {
		return atomPart{}, err
	}
	if doc != nil {
		return doc.part(m, newWalk(nil))
	}
	return a.goBack(ctx, f, m, newest)
}

// likely returns the page on which to go on where it can be told without going back through all of them: that of the mark, or page 1 for the
// beginning. nil where it is not there, or does not lead on.
func (a *Atom) likely(ctx context.Context, f *atomFeed, m atomMark, newest *atomDoc) (*atomDoc, error) {
	ref := m.page
	if m.entry == "" {
		if _, numbered := pageNumber(newest.prev); !numbered {
			return nil, nil
		}
		ref = "1"
	}
	if ref == "" {
		return nil, nil
	}
	doc, status, err := a.page(ctx, f, ref, atomTags{})
	switch {
	case status == http.StatusNotFound || status == http.StatusGone || status == http.StatusInternalServerError:
		return nil, nil // OpenMRS answers 500 for a page that is not there
	case err != nil:
		return nil, err
	case m.entry == "" && (doc.prev != "" || doc.next == ""):
		return nil, nil
	case m.entry != "" && doc.index(m.entry) < 0:
		return nil, nil
	case doc.next == "" && doc.index(m.entry) == len(doc.entries)-1:
		return nil, nil
	}
	return doc, nil
}

// goBack follows the pages from the newest one back to that of the mark, or else to the oldest one, to begin anew there.
func (a *Atom) goBack(ctx context.Context, f *atomFeed, m atomMark, newest *atomDoc) (atomPart, error) {
	s := f.search
	if s == nil || s.entry != m.entry {
		s = &atomSearch{entry: m.entry, at: newest.prev, seen: map[string]bool{}}
		f.search = s
	}
	if f.searches++; f.searches > maxSearches {
		f.search = nil
		return atomPart{}, syncerr.New(syncerr.Invalid, "follow its pages", "the links of its pages do not lead from the oldest to the newest one").
			WithHint("The server's operator has to repair the feed")
	}
	for {
		if s.seen[s.at] || len(s.seen) >= maxAtomBack {
			f.search = nil
			return atomPart{}, circle()
		}
		doc, status, err := a.page(ctx, f, s.at, atomTags{})
		oldest := (status == http.StatusNotFound || status == http.StatusGone) && err != nil
		if n := len(s.trail); oldest && n > 0 { // what was before is not kept any more
			s.at, s.trail = s.trail[n-1], s.trail[:n-1]
			delete(s.seen, s.at)
			doc, _, err = a.page(ctx, f, s.at, atomTags{})
		} else if oldest {
			f.search = nil
			return newest.part(atomMark{}, nil)
		}
		if err != nil {
			return atomPart{}, err
		}
		if oldest || doc.prev == "" || doc.index(m.entry) >= 0 {
			f.search = nil
			return doc.part(m, newWalk(s.trail))
		}
		s.seen[s.at] = true
		s.trail, s.at = append(s.trail, s.at), doc.prev
	}
}
