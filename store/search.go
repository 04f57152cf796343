package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/search"
)

const (
	// maxPageBytes bounds the contents of a page of results; what does not fit comes on the next page.
	maxPageBytes = 32 << 20
	// maxCounted is up to where a total is counted that nobody asked to be accurate: counting a million rows takes seconds.
	maxCounted = 10_000
)

// SearchResult is one page of a search.
type SearchResult struct {
	Copies  []Copy
	Total   int64  // how many there are on all pages
	Counted bool   // Total was counted
	Next    string // the value of _page for the next page; empty on the last
}

// Search returns a page of the resources that q finds; it is what q.Match answers for each. The total is counted on the first
// page up to maxCounted, and in any case where q asks for it to be accurate.
func (s *Store) Search(ctx context.Context, q search.Query) (SearchResult, error) {
	var out SearchResult
	err := s.Read(ctx, func(r *Reader) error {
		var err error
		if out, err = r.search(q); err != nil || q.Total == search.TotalNone && !q.TotalOnly {
			return err
		}
		if q.Page != (search.Page{}) && q.Total != search.TotalAccurate {
			return nil
		}
		out.Total, out.Counted, err = r.countFound(q)
		return err
	})
	return out, err
}

// Find returns the keys of at most limit resources that match q, by id. It sees what this transaction has written before, but
// for what the same writer has not flushed yet.
func (q *query) Find(sq search.Query, limit int) ([]fhir.Key, error) {
	where, args := conditions(sq)
	var out []fhir.Key
	err := q.each("SELECT r.id FROM resource r "+where+" ORDER BY r.id LIMIT ?", append(args, limit), func(rows *sql.Rows) error {
		k := fhir.Key{Type: sq.Type}
		err := rows.Scan(&k.ID)
		out = append(out, k)
		return err
	})
	return out, err
}

// errPageFull ends the reading of a page that has enough bytes.
var errPageFull = errors.New("the page is full")

func (q *query) search(sq search.Query) (SearchResult, error) {
	var out SearchResult
	if sq.TotalOnly {
		return out, nil
	}
	where, args := conditions(sq)
	behind, more := place(sq)
	where, args = where+behind, append(args, more...)
	size := 0
	err := q.copyRows("resource r JOIN change_log l ON l.seq = r.seq", where+" ORDER BY "+order(sq.Sort)+" LIMIT ?", append(args, sq.Count+1),
		func(c Copy) error {
			if n := len(out.Copies); n == sq.Count || n > 0 && size+len(c.Body) > maxPageBytes {
				last := out.Copies[n-1]
				out.Next = sq.Next(last.Key.ID, last.Committed)
				return errPageFull
			}
			size += len(c.Body)
			out.Copies = append(out.Copies, c)
			return nil
		})
	if errors.Is(err, errPageFull) {
		err = nil
	}
	return out, err
}

func (q *query) countFound(sq search.Query) (n int64, counted bool, err error) {
	where, args := conditions(sq)
	stmt := "SELECT COUNT(*) FROM resource r " + where
	all := sq.Total == search.TotalAccurate || sq.TotalOnly
	if !all {
		stmt = "SELECT COUNT(*) FROM (SELECT 1 FROM resource r " + where + " LIMIT ?) t"
		args = append(args, maxCounted+1)
	}
	_, err = q.one(stmt, args, &n)
	if !all && n > maxCounted {
		return 0, false, err
	}
	return n, true, err
}

func order(s search.Sort) string {
	switch s {
	case search.SortLastUpdated:
		return "r.committed, r.id"
	case search.SortLastUpdatedDesc:
		return "r.committed DESC, r.id"
	default:
		return "r.id"
	}
}

// place returns the condition that a row stands behind the last one of the page before.
func place(sq search.Query) (string, []any) {
	p := sq.Page
	if p == (search.Page{}) {
		return "", nil
	}
	// The first comparison of the times is the one that an index serves. Where a term names few resources, the + keeps SQLite
	// from walking along all times instead (https://sqlite.org/queryplanner-ng.html, unary +).
	by := "r.committed"
	if slices.ContainsFunc(sq.Terms, func(t search.Term) bool { return t.Name != search.LastUpdated }) {
		by = "+r.committed"
	}
	switch sq.Sort {
	case search.SortLastUpdated:
		return " AND " + by + " >= ? AND (r.committed > ? OR r.id > ?)", []any{p.Millis, p.Millis, p.ID}
	case search.SortLastUpdatedDesc:
		return " AND " + by + " <= ? AND (r.committed < ? OR r.id > ?)", []any{p.Millis, p.Millis, p.ID}
	default:
		return " AND r.id > ?", []any{p.ID}
	}
}

// conditions states the terms of a search in SQL; each alternative as search.Query.Match compares it.
func conditions(sq search.Query) (string, []any) {
	b := &sqlText{}
	b.add("WHERE r.type = ? AND r.deleted = 0", sq.Type)
	for _, t := range sq.Terms {
		b.add(" AND ")
		switch t.Name {
		case search.ID:
			b.add("r.id IN ")
			b.list(t.Any, func(a search.Alternative) string { return a.Value })
		case search.LastUpdated:
			b.anyOf(len(t.Any), func(i int) { b.time(t.Any[i]) })
		default:
			b.add("r.id IN (SELECT i.id FROM resource_index i WHERE i.type = ? AND i.name = ? AND ", sq.Type, t.Name)
			b.index(t.Any)
			b.add(")")
		}
	}
	return b.String(), b.args
}

// sqlText is a part of a statement with its arguments.
type sqlText struct {
	strings.Builder
	args []any
}

func (b *sqlText) add(text string, args ...any) {
	b.WriteString(text)
	b.args = append(b.args, args...)
}

func (b *sqlText) list(alts []search.Alternative, of func(search.Alternative) string) {
	b.add("(")
	for i, a := range alts {
		if i > 0 {
			b.add(", ")
		}
		b.add("?", of(a))
	}
	b.add(")")
}

// anyOf joins n conditions by OR as a balanced tree: a long chain is deeper than SQLite allows (its limit is 1000).
func (b *sqlText) anyOf(n int, one func(i int)) {
	var from func(lo, hi int)
	from = func(lo, hi int) {
		b.add("(")
		if hi-lo == 1 {
			one(lo)
		} else {
			mid := (lo + hi) / 2
			from(lo, mid)
			b.add(" OR ")
			from(mid, hi)
		}
		b.add(")")
	}
	from(0, n)
}

func (b *sqlText) time(a search.Alternative) {
	if a.Not {
		b.add("NOT (")
	}
	b.add("1 = 1")
	if a.From != math.MinInt64 {
		b.add(" AND r.committed >= ?", a.From)
	}
	if a.To != math.MaxInt64 {
		b.add(" AND r.committed < ?", a.To)
	}
	if a.Not {
		b.add(")")
	}
}

// index states alternatives on an index row. Values without a system go into one list, which an index serves best.
func (b *sqlText) index(alts []search.Alternative) {
	var values, rest []search.Alternative
	for _, a := range alts {
		if a.HasValue && !a.HasSystem {
			values = append(values, a)
		} else {
			rest = append(rest, a)
		}
	}
	b.anyOf(len(rest)+min(1, len(values)), func(i int) {
		if i == len(rest) {
			b.add("i.value IN ")
			b.list(values, func(a search.Alternative) string { return a.Value })
			return
		}
		b.add("1 = 1")
		if rest[i].HasValue {
			b.add(" AND i.value = ?", rest[i].Value)
		}
		if rest[i].HasSystem {
			b.add(" AND i.space = ?", rest[i].System)
		}
	})
}
