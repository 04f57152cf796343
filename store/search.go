package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/syncerr"
)

const (
	// maxPageBytes bounds the contents of a page of results; what does not fit comes on the next page.
	maxPageBytes = 32 << 20
	// maxCounted is up to where a total is counted that nobody asked for, and maxEstimated where an estimate was: counting a million
	// rows takes seconds.
	maxCounted   = 1000
	maxEstimated = 10_000
	// maxIncluded bounds the resources that come with a page beside those found.
	maxIncluded = 2000
	// searchTime is how long a search may take. What takes longer would take longer again.
	searchTime = 10 * time.Second
)

// errPageFull ends the reading of a page that has enough bytes.
var errPageFull = errors.New("the page is full")

// SearchResult is one page of a search.
type SearchResult struct {
	Copies   []Copy
	Total    int64  // how many there are on all pages
	Counted  bool   // Total was counted
	Next     string // the value of _page for the next page; empty on the last
	Included []Copy // what _include and _revinclude brought; none of it is in Copies
	More     bool   // there was more to include than a page may have
}

// Search returns a page of the resources that q finds; it is what q.Match answers for each. The total is counted on the first
// page up to maxCounted, to maxEstimated where an estimate is asked for, unless that takes a look at each of many resources; and in
// any case where q asks for it to be accurate. It returns an Unprocessable error where it took longer than searchTime.
func (s *Store) Search(ctx context.Context, q search.Query) (SearchResult, error) {
	var out SearchResult
	limited, cancel := context.WithTimeout(ctx, s.limits.time)
	defer cancel()
	err := s.Read(limited, func(r *Reader) error {
		w := r.searcher(q)
		var err error
		if out, err = w.page(); err != nil {
			return err
		}
		if err = w.include(&out); err != nil || q.Total == search.TotalNone && !q.TotalOnly {
			return err
		}
		if q.Page != (search.Page{}) && q.Total != search.TotalAccurate {
			return nil
		}
		out.Total, out.Counted, err = w.count()
		return err
	})
	return out, s.limits.inTime(ctx, limited, err, "Narrow it, as by patient, identifier, code or date, and ask for no _total")
}

// inTime makes of an error the Unprocessable one that says how long a search may take, where that is why it ended.
func (l searchLimits) inTime(ctx, limited context.Context, err error, hint string) error {
	if err == nil || limited.Err() == nil || ctx.Err() != nil {
		return err
	}
	return syncerr.New(syncerr.Unprocessable, "search", "it took longer than %s", l.time).WithHint("%s", hint)
}

// Find returns the keys of at most limit resources that match q, by id. It sees what this transaction has written before, but
// for what the same writer has not flushed yet. It returns an Unprocessable error where it took longer than searchTime.
func (q *query) Find(sq search.Query, limit int) ([]fhir.Key, error) {
	sq.Sort, sq.Page, sq.Count = search.Sort{By: search.SortID}, search.Page{}, limit
	limited, cancel := context.WithTimeout(q.ctx, q.limits.time)
	defer cancel()
	in := *q
	in.ctx = limited
	hits, err := in.searcher(sq).hits(search.Page{}, limit)
	var out []fhir.Key
	for _, h := range hits {
		out = append(out, fhir.Key{Type: sq.Type, ID: h.id})
	}
	return out, q.limits.inTime(q.ctx, limited, err, "Narrow the condition, as by identifier")
}

func (q *query) searcher(sq search.Query) *searcher { return &searcher{query: q, q: sq, driver: -1} }

// hit is a resource found, with what its place in the order is made of.
type hit struct {
	num       int64
	id        string
	committed int64
	key       string
	none      bool
	by        order
}

func (h hit) page() search.Page {
	return search.Page{ID: h.id, Millis: h.committed, Num: h.num, Key: h.key, None: h.none, By: string(h.by)}
}

// page reads a page and finds out where the next begins.
func (w *searcher) page() (SearchResult, error) {
	var out SearchResult
	if w.q.TotalOnly {
		return out, nil
	}
	hits, err := w.hits(w.q.Page, w.q.Count+1)
	if err != nil {
		return out, err
	}
	more := len(hits) > w.q.Count
	hits = hits[:min(len(hits), w.q.Count)]
	keys := make([]fhir.Key, len(hits))
	for i, h := range hits {
		keys[i] = fhir.Key{Type: w.q.Type, ID: h.id}
	}
	if out.Copies, err = w.copies(keys, maxPageBytes); err != nil {
		return out, err
	}
	if n := len(out.Copies); n < len(hits) || more {
		out.Next = w.q.Next(hits[n-1].page())
	}
	return out, nil
}

// copies reads the current copies of keys with their contents, in the order of the keys: as many as size bytes of content let be, at
// least one.
func (q *query) copies(keys []fhir.Key, size int) ([]Copy, error) {
	const chunk = 50
	out := make([]Copy, 0, len(keys))
	for len(keys) > 0 && size > 0 {
		n := min(len(keys), chunk)
		b := &sqlText{}
		b.add("WHERE ")
		b.anyOf(n, func(i int) { b.add("r.type = ? AND r.id = ?", keys[i].Type, keys[i].ID) })
		found := make(map[fhir.Key]Copy, n)
		err := q.copyRows("resource r JOIN change_log l ON l.seq = r.seq", b.String(), b.args, func(c Copy) error {
			found[c.Key] = c
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, k := range keys[:n] {
			c, ok := found[k]
			if !ok || c.Stamp.Deleted {
				continue
			}
			if size -= len(c.Body); size < 0 && len(out) > 0 {
				return out, nil
			}
			out = append(out, c)
		}
		keys = keys[n:]
	}
	return out, nil
}

// hits returns at most limit resources behind a place.
func (w *searcher) hits(after search.Page, limit int) ([]hit, error) {
	if err := w.plan(); err != nil {
		return nil, err
	}
	var out []hit
	for len(out) < limit {
		want := limit - len(out)
		got, read, err := w.rows(after, want)
		if err != nil {
			return nil, err
		}
		if len(got) > 0 {
			after = got[len(got)-1].page()
		}
		if got, err = w.matching(got); err != nil {
			return nil, err
		}
		out = append(out, got...)
		if read < want {
			if !w.keyed() || after.None {
				return out, nil
			}
			after = search.Page{None: true} // behind those that have a value stand those that have none
		}
	}
	return out, nil
}

// keyed reports whether the order is by a value of the index.
func (w *searcher) keyed() bool { return w.q.Sort.Param != 0 }

// matching leaves out what the index found by the beginning of a long string, and whose content says otherwise.
func (w *searcher) matching(hits []hit) ([]hit, error) {
	if !w.q.MatchKinds.Content {
		return hits, nil
	}
	var out []hit
	for _, h := range hits {
		k := fhir.Key{Type: w.q.Type, ID: h.id}
		c, ok, err := w.Get(k)
		if err != nil {
			return nil, err
		}
		if ok && w.q.MatchRelated(k, c.Body, c.Committed, func(t search.Term) bool { return !t.Not }) {
			out = append(out, h)
		}
	}
	return out, nil
}

// count counts what is found on all pages.
func (w *searcher) count() (n int64, counted bool, err error) {
	if err := w.plan(); err != nil {
		return 0, false, err
	}
	limit := maxCounted + 1
	switch {
	case w.q.Total == search.TotalAccurate || w.q.TotalOnly:
		limit = math.MaxInt32
	case w.driver < 0 && !w.cheap(), w.stream && len(w.q.Terms) > 1:
		return 0, false, nil // each of many resources would be asked
	case w.q.Total == search.TotalEstimate:
		limit = maxEstimated + 1
	}
	if !w.q.MatchKinds.Content {
		b := w.text()
		b.add("SELECT COUNT(*) FROM (SELECT DISTINCT r.num")
		w.from(b, w.order(search.Page{}), true)
		b.add(" LIMIT ?) t", limit)
		_, err = w.one(b.String(), b.args, &n)
		return n, n < int64(limit), err
	}
	after := search.Page{}
	for n < int64(limit) {
		hits, err := w.hits(after, search.MaxCount)
		if n += int64(len(hits)); err != nil || len(hits) < search.MaxCount {
			return n, true, err
		}
		after = hits[len(hits)-1].page()
	}
	return 0, false, nil
}

// include brings what _include and _revinclude ask for.
func (w *searcher) include(out *SearchResult) error {
	if len(w.q.Include) == 0 || len(out.Copies) == 0 {
		return nil
	}
	seen := map[fhir.Key]bool{}
	for _, c := range out.Copies {
		seen[c.Key] = true
	}
	size := maxPageBytes
	round := out.Copies
	// Each round looks at what the round before brought; the first at what was found.
	for depth := 0; len(round) > 0 && depth < maxRounds; depth++ {
		var keys []fhir.Key
		for _, i := range w.q.Include {
			if depth > 0 && !i.Iterate {
				continue
			}
			some, err := w.related(i, round, maxIncluded-len(out.Included)-len(keys)+1)
			if err != nil {
				return err
			}
			for _, k := range some {
				if !seen[k] {
					seen[k] = true
					keys = append(keys, k)
				}
			}
		}
		if room := maxIncluded - len(out.Included); len(keys) > room {
			keys, out.More = keys[:room], true
		}
		copies, err := w.copies(keys, size)
		if err != nil {
			return err
		}
		for _, c := range copies {
			size -= len(c.Body)
		}
		out.More = out.More || size < 0
		out.Included = append(out.Included, copies...)
		if round = copies; out.More {
			return nil
		}
	}
	return nil
}

// maxRounds is how far :iterate goes.
const maxRounds = 5

// related returns the keys that an Include asks for beside some resources, a few more than limit at most.
func (w *searcher) related(i search.Include, of []Copy, limit int) ([]fhir.Key, error) {
	var out []fhir.Key
	if !i.Reverse {
		for _, c := range of {
			if len(out) <= limit {
				out = append(out, i.References(c.Key, c.Body)...)
			}
		}
		return out, nil
	}
	byType := map[string][]string{}
	for _, c := range of {
		if i.Target == "" || c.Key.Type == i.Target {
			byType[c.Key.Type] = append(byType[c.Key.Type], c.Key.ID)
		}
	}
	for _, t := range i.Targets {
		ids := byType[t]
		if len(ids) == 0 || len(out) > limit {
			continue
		}
		b := w.text()
		b.add("SELECT r.id FROM resource_index f" + b.by("resource_index", byValue) + b.then() + "resource r" + b.by("resource", "resource_num") + " ON r.num = f.num WHERE ")
		b.params("f", i.Params)
		b.add(" AND f.value IN ")
		b.list(ids)
		b.add(" AND f.space = ? LIMIT ?", search.TypeSpace(t), limit)
		err := w.each(b.String(), b.args, func(rows *sql.Rows) error {
			k := fhir.Key{Type: i.Source}
			err := rows.Scan(&k.ID)
			out = append(out, k)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
