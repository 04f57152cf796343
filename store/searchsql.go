package store

import (
	"math"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/search"
)

// The statements of a search leave the databases no choice of plan: which table is read first, and by which index, stands in them.
// A term is either what drives a statement, by finding the numbers of resources in the index, or is asked of each resource that
// something else found, by its number. Both are one seek in an index.

// sqlText is a part of a statement with its arguments.
type sqlText struct {
	strings.Builder
	args         []any
	mysql        bool
	resourceType string // that is looked for
}

func (b *sqlText) add(text string, args ...any) {
	b.WriteString(text)
	b.args = append(b.args, args...)
}

// then is a join whose right side is read after the left one (https://sqlite.org/lang_select.html CROSS JOIN; MySQL STRAIGHT_JOIN).
func (b *sqlText) then() string {
	if b.mysql {
		return " STRAIGHT_JOIN "
	}
	return " CROSS JOIN "
}

// by names the index by which a table has to be read.
func (b *sqlText) by(table, index string) string {
	switch {
	case b.mysql:
		return " FORCE INDEX (" + index + ")"
	case index == primary:
		return " INDEXED BY sqlite_autoindex_" + table + "_1"
	default:
		return " INDEXED BY " + index
	}
}

// Names of indexes.
const (
	primary = "PRIMARY"
	byValue = "resource_index_value"
)

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

func (b *sqlText) params(alias string, ids []int32) {
	if len(ids) == 1 {
		b.add(alias+".param = ?", ids[0])
		return
	}
	b.add(alias + ".param IN (?" + strings.Repeat(", ?", len(ids)-1) + ")")
	for _, id := range ids {
		b.args = append(b.args, id)
	}
}

// value states a condition on the value and the space of an index row, with AND before it.
func (b *sqlText) value(alias string, c search.Cond) {
	switch c.Op {
	case search.OpEqual:
		b.add(" AND "+alias+".value = ?", c.From)
	case search.OpContains:
		b.add(" AND INSTR("+alias+".value, ?) > 0", c.From)
	case search.OpRange:
		b.add(" AND "+alias+".value >= ?", c.From)
		if c.To != "" {
			b.add(" AND "+alias+".value < ?", c.To)
		}
	}
	b.space(alias, c)
}

func (b *sqlText) space(alias string, c search.Cond) {
	switch {
	case c.Low == c.High:
		b.add(" AND "+alias+".space = ?", c.Low)
	case !c.AnySpace():
		b.add(" AND "+alias+".space BETWEEN ? AND ?", c.Low, c.High)
	}
}

// found is a condition on index rows that is found in one range of the index, or in one for each of some equal values.
type found struct {
	params []int32
	cond   search.Cond   // where it is a range
	equal  []search.Cond // where it is equality: alternatives
}

// parts puts conditions together that are found together.
func parts(conds []search.Cond) []found {
	var out []found
	for _, c := range conds {
		c, _ := c.Indexed()
		if c.Op == search.OpEqual {
			at := -1
			for i, p := range out {
				if p.equal != nil && slices.Equal(p.params, c.Params) {
					at = i
				}
			}
			if at < 0 {
				out, at = append(out, found{params: c.Params}), len(out)
			}
			out[at].equal = append(out[at].equal, c)
			continue
		}
		for _, id := range c.Params { // a range has to begin with one number
			out = append(out, found{params: []int32{id}, cond: c})
		}
	}
	return out
}

// rows states that an index row is among the found.
func (b *sqlText) rows(alias string, p found) {
	b.params(alias, p.params)
	if p.equal == nil {
		b.value(alias, p.cond)
		return
	}
	if len(p.equal) == 1 {
		b.value(alias, p.equal[0])
		return
	}
	b.add(" AND " + alias + ".value IN (")
	spaces := false
	for i, c := range p.equal {
		if i > 0 {
			b.add(", ")
		}
		b.add("?", c.From)
		spaces = spaces || !c.AnySpace()
	}
	b.add(")")
	if spaces {
		b.add(" AND ")
		b.anyOf(len(p.equal), func(i int) {
			b.add(alias+".value = ?", p.equal[i].From)
			b.space(alias, p.equal[i])
		})
	}
}

// drives reports whether the term can find resources: a negation can only be asked of each.
func drives(t search.Term) bool {
	switch t.Kind {
	case search.TermIndex:
		return !t.Not
	case search.TermLink:
		for _, l := range t.Links {
			if l.Where.Kind == search.TermLastUpdated || !drives(l.Where) {
				return false
			}
		}
		return true
	}
	return false
}

// finds writes statements that select the resources for which a term holds, joined by union: column is what they select of the
// alias that it is given.
func (b *sqlText) finds(t search.Term, column func(alias string) string, union string) {
	first := true
	begin := func() {
		if !first {
			b.add(union)
		}
		first = false
		b.add("SELECT ")
	}
	if t.Kind == search.TermIndex {
		for _, p := range parts(t.Conds) {
			begin()
			b.add(column("i") + " FROM resource_index i" + b.by("resource_index", byValue) + " WHERE ")
			b.rows("i", p)
		}
		return
	}
	for _, l := range t.Links {
		if l.Where.Kind == search.TermID {
			begin()
			b.link(l, column, func() {
				b.add("resource p" + b.by("resource", primary))
			}, func() {
				b.add("p.type = ? AND p.deleted = 0 AND p.id IN ", l.Type)
				b.list(l.Where.IDs)
			})
			continue
		}
		for _, one := range parts(l.Where.Conds) {
			begin()
			b.link(l, column, func() {
				b.add("resource_index i" + b.by("resource_index", byValue) + b.then() + "resource p" + b.by("resource", "resource_num") + " ON p.num = i.num")
			}, func() { b.rows("i", one) })
		}
	}
}

// link goes from the other resources p of a link, which from and where select, to those that are looked for.
func (b *sqlText) link(l search.Link, column func(string) string, from, where func()) {
	if l.Reverse {
		b.add(column("r") + " FROM ")
		from()
		b.add(b.then() + "resource_index f" + b.by("resource_index", primary) + " ON f.num = p.num AND ")
		b.params("f", l.Params)
		b.add(" AND f.space = ?"+b.then()+"resource r"+b.by("resource", primary)+" ON r.type = ? AND r.id = f.value WHERE ", search.TypeSpace(b.resourceType), b.resourceType)
		where()
		return
	}
	b.add(column("f") + " FROM ")
	from()
	b.add(b.then() + "resource_index f" + b.by("resource_index", byValue) + " ON f.value = p.id AND ")
	b.params("f", l.Params)
	b.add(" AND f.space = ? WHERE ", search.TypeSpace(l.Type))
	where()
}

// holds states that a term holds for the resource r (an alias); each of the resources that it asks about gets an alias of its own.
func (b *sqlText) holds(t search.Term, r string) {
	if t.Not {
		b.add("NOT ")
	}
	switch t.Kind {
	case search.TermID:
		b.add(r + ".id IN ")
		b.list(t.IDs)
	case search.TermLastUpdated:
		b.anyOf(len(t.Spans), func(i int) { b.span(r, t.Spans[i]) })
	case search.TermIndex:
		// A scalar subquery and no EXISTS, which the databases may turn round into a read of all that holds.
		b.add("((SELECT 1 FROM resource_index e" + b.by("resource_index", primary) + " WHERE e.num = " + r + ".num AND ")
		b.anyCond("e", t.Conds)
		b.add(" LIMIT 1) IS NOT NULL)")
	case search.TermLink:
		b.anyOf(len(t.Links), func(i int) { b.linked(t.Links[i], r) })
	}
}

func (b *sqlText) linked(l search.Link, r string) {
	if l.Reverse {
		b.add("(SELECT 1 FROM resource_index f" + b.by("resource_index", byValue) + b.then() + "resource p" + b.by("resource", "resource_num") + " ON p.num = f.num WHERE ")
		b.params("f", l.Params)
		b.add(" AND f.value = "+r+".id AND f.space = ? AND ", search.TypeSpace(b.resourceType))
	} else {
		b.add("(SELECT 1 FROM resource_index f"+b.by("resource_index", primary)+b.then()+"resource p"+b.by("resource", primary)+
			" ON p.type = ? AND p.id = f.value AND p.deleted = 0 WHERE f.num = "+r+".num AND ", l.Type)
		b.params("f", l.Params)
		b.add(" AND f.space = ? AND ", search.TypeSpace(l.Type))
	}
	b.holds(l.Where, "p")
	b.add(" LIMIT 1) IS NOT NULL")
}

// anyCond states that an index row holds one of some conditions. The rows are those of one resource: a seek by its number and the
// elements, and each condition is looked at.
func (b *sqlText) anyCond(alias string, conds []search.Cond) {
	var ids []int32
	for _, c := range conds {
		ids = append(ids, c.Params...)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	b.params(alias, ids)
	b.add(" AND ")
	b.anyOf(len(conds), func(i int) {
		c, _ := conds[i].Indexed()
		if slices.Equal(c.Params, ids) {
			b.add("1 = 1")
		} else {
			b.params(alias, c.Params)
		}
		b.value(alias, c)
	})
}

func (b *sqlText) list(texts []string) {
	b.add("(?" + strings.Repeat(", ?", len(texts)-1) + ")")
	for _, t := range texts {
		b.args = append(b.args, t)
	}
}

func (b *sqlText) span(r string, s search.Span) {
	if s.Not {
		b.add("NOT ")
	}
	b.add("(1 = 1")
	if s.From != math.MinInt64 {
		b.add(" AND "+r+".committed >= ?", s.From)
	}
	if s.To != math.MaxInt64 {
		b.add(" AND "+r+".committed < ?", s.To)
	}
	b.add(")")
}
