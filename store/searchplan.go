package store

import (
	"database/sql"
	"time"

	"github.com/tributary-sync/tributary/search"
)

// fewRows is how many rows of the index a term may have for its resources to be collected and then put in order; of more, the order is
// walked along, and the terms are asked of each resource.
const fewRows = 1000

// searchLimits are fewRows and searchTime, but for tests.
type searchLimits struct {
	few  int
	time time.Duration
}

// searcher answers one query.
type searcher struct {
	*query
	q       search.Query
	planned bool
	driver  int  // the term that finds the resources; -1: none, the order is walked along
	stream  bool // the driver's rows are more than a few, and stand in the order of their numbers
}

func (w *searcher) text() *sqlText { return &sqlText{mysql: w.mysql, resourceType: w.q.Type} }

// plan chooses what drives the search: the term that has the fewest rows in the index, if they are few.
func (w *searcher) plan() error {
	if w.planned {
		return nil
	}
	w.planned = true
	least := w.limits.few
	for i, t := range w.q.Terms {
		if t.Kind == search.TermID && !t.Not {
			w.driver = i
			return nil // a seek for each id
		}
		if !drives(t) {
			continue
		}
		n, err := w.probe(t, least)
		if err != nil {
			return err
		}
		if n < least {
			w.driver, least = i, n
		}
	}
	if w.driver >= 0 || w.q.Sort.By != search.SortUnset {
		return nil
	}
	// The rows of one value stand by the numbers of their resources.
	for i, t := range w.q.Terms {
		if t.Kind == search.TermIndex && !t.Not && len(t.Conds) == 1 && t.Conds[0].Op == search.OpEqual && len(t.Conds[0].Params) == 1 {
			w.driver, w.stream = i, true
			return nil
		}
	}
	return nil
}

// probe counts the rows of a term in the index, up to a limit.
func (w *searcher) probe(t search.Term, limit int) (int, error) {
	b := w.text()
	b.add("SELECT COUNT(*) FROM (")
	b.finds(t, func(string) string { return "1 AS one" }, " UNION ALL ")
	b.add(" LIMIT ?) t", limit)
	n := 0
	_, err := w.one(b.String(), b.args, &n)
	return n, err
}

// cheap reports whether all terms can be judged along one index.
func (w *searcher) cheap() bool {
	for _, t := range w.q.Terms {
		if t.Kind != search.TermLastUpdated {
			return false
		}
	}
	return true
}

// order is what a result stands in the order of, as Page.By says it.
type order string

const (
	byNum       order = "n"
	byID        order = "i"
	byCommitted order = "u"
	byKey       order = "k"
)

// order returns the order of the page. That of the server is by number where the index finds, else by id or, where only the time of
// last update selects, by that. A page goes on in the order of the page before.
func (w *searcher) order(after search.Page) order {
	switch w.q.Sort.By {
	case search.SortID:
		return byID
	case search.SortLastUpdated:
		return byCommitted
	case search.SortDate, search.SortName:
		return byKey
	}
	switch o := order(after.By); {
	case o == byNum && w.driver < 0: // what was few is not few any more
		for i, t := range w.q.Terms {
			if drives(t) {
				w.driver = i
				return byNum
			}
		}
	case o == byNum || o == byID || o == byCommitted:
		return o
	}
	switch {
	case w.driver >= 0:
		return byNum
	case w.cheap() && len(w.q.Terms) > 0:
		return byCommitted
	default:
		return byID
	}
}

// from writes FROM and WHERE for the resources r that match, read along an order where nothing drives.
func (w *searcher) from(b *sqlText, o order, none bool) {
	const bare = "resource r"
	rest := func(skip int) {
		b.add("r.type = ? AND r.deleted = 0", w.q.Type)
		for i, t := range w.q.Terms {
			if i != skip {
				b.add(" AND ")
				b.holds(t, "r")
			}
		}
	}
	byNumber := b.then() + bare + b.by("resource", "resource_num")
	switch {
	case w.driver >= 0 && w.q.Terms[w.driver].Kind == search.TermID:
		b.add(" FROM " + bare + b.by("resource", primary) + " WHERE ")
		rest(-1)
	case w.driver >= 0 && w.stream && o == byNum:
		b.add(" FROM resource_index i" + b.by("resource_index", byValue) + byNumber + " ON r.num = i.num WHERE ")
		b.rows("i", parts(w.q.Terms[w.driver].Conds)[0])
		b.add(" AND ")
		rest(w.driver)
	case w.driver >= 0:
		b.add(" FROM (")
		b.finds(w.q.Terms[w.driver], func(alias string) string { return alias + ".num AS num" }, " UNION ")
		b.add(") d" + byNumber + " ON r.num = d.num WHERE ")
		rest(w.driver)
	case o == byKey && !none:
		b.add(" FROM resource_index s" + b.by("resource_index", byValue) + byNumber + " ON r.num = s.num WHERE ")
		w.first(b)
		b.add(" AND ")
		rest(-1)
	case o == byCommitted:
		b.add(" FROM " + bare + b.by("resource", "resource_committed") + " WHERE ")
		rest(-1)
	default:
		b.add(" FROM " + bare + b.by("resource", primary) + " WHERE ")
		rest(-1)
	}
}

// keyRows states which rows of the index have the values that put a result in order.
func (w *searcher) keyRows(b *sqlText, alias string) {
	b.add(alias+".param = ?", w.q.Sort.Param)
	if w.q.Sort.Texts {
		b.add(" AND " + alias + ".space <> 0")
	}
}

// first states that the row s of the index has the value of its resource that comes first in the order.
func (w *searcher) first(b *sqlText) {
	before := "<"
	if w.q.Sort.Desc {
		before = ">"
	}
	w.keyRows(b, "s")
	b.add(" AND (SELECT 1 FROM resource_index e" + b.by("resource_index", primary) + " WHERE e.num = s.num AND ")
	w.keyRows(b, "e")
	b.add(" AND (e.value " + before + " s.value OR e.value = s.value AND e.space < s.space) LIMIT 1) IS NULL")
}

// key writes the value of the resource r that comes first in the order; NULL where it has none.
func (w *searcher) key(b *sqlText) {
	of := "MIN"
	if w.q.Sort.Desc {
		of = "MAX"
	}
	b.add("(SELECT " + of + "(k.value) FROM resource_index k" + b.by("resource_index", primary) + " WHERE k.num = r.num AND ")
	w.keyRows(b, "k")
	b.add(")")
}

// rows returns rows behind a place, in order, and how many it read: at most limit, and fewer only where there are no more.
func (w *searcher) rows(after search.Page, limit int) ([]hit, int, error) {
	o := w.order(after)
	b := w.text()
	w.statement(b, o, after)
	b.add(" LIMIT ?", limit)
	var out []hit
	read := 0
	err := w.each(b.String(), b.args, func(rows *sql.Rows) error {
		read++
		h := hit{by: o, none: o == byKey && after.None}
		var key sql.NullString
		if err := rows.Scan(&h.num, &h.id, &h.committed, &key); err != nil {
			return err
		}
		h.key = key.String
		if n := len(out); n == 0 || out[n-1].num != h.num {
			out = append(out, h)
		}
		return nil
	})
	return out, read, err
}

// statement writes the statement of a page but for its limit.
func (w *searcher) statement(b *sqlText, o order, after search.Page) {
	desc, beyond := "", ">"
	if w.q.Sort.Desc {
		desc, beyond = " DESC", "<"
	}
	first := after == search.Page{} || after == search.Page{None: true}
	const columns = "SELECT r.num, r.id, r.committed, "
	switch {
	case o == byKey && w.driver >= 0:
		b.add("SELECT x.num, x.id, x.committed, x.k FROM (" + columns)
		w.key(b)
		b.add(" AS k")
		w.from(b, o, after.None)
		b.add(") x WHERE ")
		switch {
		case after.None:
			b.add("x.k IS NULL AND x.id > ? ORDER BY x.id", after.ID)
		case first:
			b.add("x.k IS NOT NULL ORDER BY x.k" + desc + ", x.num" + desc)
		default:
			b.add("(x.k "+beyond+" ? OR x.k = ? AND x.num "+beyond+" ?) ORDER BY x.k"+desc+", x.num"+desc, after.Key, after.Key, after.Num)
		}
	case o == byKey && after.None:
		b.add(columns + "NULL")
		w.from(b, o, true)
		b.add(" AND ")
		w.key(b)
		b.add(" IS NULL AND r.id > ? ORDER BY r.id", after.ID)
	case o == byKey:
		b.add(columns + "s.value")
		w.from(b, o, false)
		if !first {
			b.add(" AND s.value "+beyond+"= ? AND (s.value "+beyond+" ? OR s.num "+beyond+" ?)", after.Key, after.Key, after.Num)
		}
		b.add(" ORDER BY s.value" + desc + ", s.num" + desc)
	default:
		b.add(columns + "''")
		w.from(b, o, false)
		switch o {
		case byNum:
			num := "r.num"
			if w.stream {
				num = "i.num"
			}
			b.add(" AND "+num+" > ? ORDER BY "+num, after.Num)
		case byID:
			if !first {
				b.add(" AND r.id "+beyond+" ?", after.ID)
			}
			b.add(" ORDER BY r.id" + desc)
		case byCommitted:
			if !first {
				b.add(" AND r.committed "+beyond+"= ? AND (r.committed "+beyond+" ? OR r.id "+beyond+" ?)", after.Millis, after.Millis, after.ID)
			}
			b.add(" ORDER BY r.committed" + desc + ", r.id" + desc)
		}
	}
}
