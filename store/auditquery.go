package store

import (
	"cmp"
	"context"
	"database/sql"
	"math"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/audit"
)

// The bounds of one step of a look for audit rows.
const (
	auditFan   = 32   // classes that are read beside each other
	auditAhead = 64   // ids that are read of each
	auditFirst = 2000 // of the newest rows: what is common stands among them
	maxAudit   = 10_000
)

// AuditRecords returns the records that q selects, newest first: the order is that of their ids, in which they were written, whatever the clock said.
// Every filter is a choice of classes, of which those that have the newest rows are read side by side; times only bound the ids. So the cost is that
// of the rows that are returned, however rare they are among however many.
func (s *Store) AuditRecords(ctx context.Context, q audit.Query) ([]audit.Record, error) {
	limit := min(q.Limit, maxAudit)
	if limit <= 0 {
		limit = 100
	}
	var out []audit.Record
	err := s.Read(ctx, func(r *Reader) error {
		look := auditLook{query: &r.query, q: q}
		spans, err := look.spans()
		if err != nil {
			return err
		}
		for _, sp := range spans {
			if err := look.span(sp, limit); err != nil || len(look.out) >= limit {
				out = look.out
				return err
			}
		}
		out = look.out
		return nil
	})
	return out, s.dialect.wrap("read audit", err)
}

// span is a range of ids, both ends in it.
type span struct{ low, high int64 }

// auditLook is one look for audit rows.
type auditLook struct {
	*query
	q       audit.Query
	classes map[int64]bool // that q selects, where the statement does not choose them
	out     []audit.Record
}

// spans returns the ranges of ids in which rows of the asked times lie, the newest first.
func (l *auditLook) spans() ([]span, error) {
	all := span{low: 1}
	if _, err := l.one("SELECT value FROM counter WHERE name = ?", []any{counterAudit}, &all.high); err != nil {
		return nil, err
	}
	if l.q.Before > 0 {
		all.high = min(all.high, l.q.Before-1)
	}
	if l.q.From <= 0 && l.q.To <= 0 {
		return []span{all}, nil
	}
	to := l.q.To
	if to <= 0 {
		to = math.MaxInt64
	}
	var out []span
	err := l.each(auditBlocks, []any{l.q.From, to, all.high / auditBlock}, func(rows *sql.Rows) error {
		var block int64
		if err := rows.Scan(&block); err != nil {
			return err
		}
		low, high := block*auditBlock, min(block*auditBlock+auditBlock-1, all.high)
		if n := len(out); n > 0 && out[n-1].low == high+1 {
			out[n-1].low = low
		} else {
			out = append(out, span{low, high})
		}
		return nil
	})
	return out, err
}

const auditBlocks = "SELECT block FROM audit_block WHERE last_at >= ? AND first_at < ? AND block <= ? ORDER BY block DESC"

// span adds the rows of a range of ids until there are limit.
func (l *auditLook) span(sp span, limit int) error {
	switch {
	case l.q.ID != "":
		types, err := l.types()
		if err != nil || len(types) == 0 {
			return err
		}
		return l.rows(l.resourceQuery(types, sp, limit-len(l.out)))
	case !l.classed() && l.q.Run == "":
		return l.rows(l.rangeQuery(sp, limit-len(l.out)))
	}
	first := span{max(sp.low, sp.high-auditFirst), sp.high}
	if err := l.rows(l.rangeQuery(first, limit-len(l.out))); err != nil {
		return err
	}
	sp.high = first.low - 1
	for len(l.out) < limit && sp.high >= sp.low {
		ids, next, err := l.step(sp)
		if err != nil {
			return err
		}
		for part := range slices.Chunk(ids, auditAhead) {
			if err := l.rows(l.namedQuery(part, limit-len(l.out))); err != nil {
				return err
			}
			if len(l.out) >= limit {
				return nil
			}
		}
		sp.high = next
	}
	return nil
}

// namedQuery asks for the rows with some ids that q selects.
func (l *auditLook) namedQuery(ids []int64, limit int) (string, []any) {
	where, more := l.conditions()
	args := make([]any, len(ids), len(ids)+len(more)+1)
	for i, id := range ids {
		args[i] = id
	}
	return "SELECT " + auditColumns + " FROM sync_audit_message" + l.primary() + " WHERE sync_audit_message_id IN (?" + strings.Repeat(", ?", len(ids)-1) + ")" +
		where + " ORDER BY sync_audit_message_id DESC LIMIT ?", append(append(args, more...), limit)
}

// rangeQuery asks for the rows in a range that q selects, where it selects all classes.
func (l *auditLook) rangeQuery(sp span, limit int) (string, []any) {
	where, args := l.conditions()
	return "SELECT " + auditColumns + " FROM sync_audit_message" + l.primary() + " WHERE sync_audit_message_id BETWEEN ? AND ?" + where +
		" ORDER BY sync_audit_message_id DESC LIMIT ?", append(append([]any{sp.low, sp.high}, args...), limit)
}

// primary makes a statement read a table by its ids.
func (q *query) primary() string {
	if q.mysql {
		return " FORCE INDEX (PRIMARY)"
	}
	return " NOT INDEXED"
}

// types returns the type that q asks for, or all that there are rows of, by a seek for each.
func (l *auditLook) types() ([]any, error) {
	if l.q.Type != "" {
		return []any{l.q.Type}, nil
	}
	var out []any
	for last := ""; ; {
		if ok, err := l.one("SELECT resource_name FROM sync_audit_message WHERE resource_name > ? ORDER BY resource_name LIMIT 1", []any{last}, &last); err != nil || !ok {
			return out, err
		}
		out = append(out, last)
	}
}

// resourceQuery asks for the rows of the resources with one id.
func (l *auditLook) resourceQuery(types []any, sp span, limit int) (string, []any) {
	where, args := l.conditions()
	in := strings.Repeat(", ?", len(types)-1)
	return "SELECT " + auditColumns + " FROM sync_audit_message" + l.by("sync_audit_message_resource") + " WHERE resource_name IN (?" + in + ") AND resource_id = ? " +
		"AND sync_audit_message_id BETWEEN ? AND ?" + where + " ORDER BY sync_audit_message_id DESC LIMIT ?", append(append(append(slices.Clone(types), l.q.ID, sp.low, sp.high), args...), limit)
}

// classed reports whether the query asks for some of the classes.
func (l *auditLook) classed() bool {
	return l.q.Operation != "" || l.q.Outcome != "" || l.q.Failures || l.q.Type != "" || l.q.Peer != ""
}

// conditions are those of the single row.
func (l *auditLook) conditions() (string, []any) {
	q := l.q
	var where strings.Builder
	var args []any
	and := func(is bool, cond string, arg ...any) {
		if is {
			where.WriteString(" AND " + cond)
			args = append(args, arg...)
		}
	}
	and(q.Operation != "", "operation = ?", string(q.Operation))
	and(q.Outcome != "", "outcome = ?", string(q.Outcome))
	and(q.Failures, "success = 0")
	and(q.Type != "", "resource_name = ?", q.Type)
	and(q.Run != "", "run = ?", q.Run)
	and(q.Peer != "", "peer = ?", q.Peer)
	and(q.From > 0, "timestamp >= ?", timeText(q.From))
	and(q.To > 0, "timestamp < ?", timeText(q.To))
	return where.String(), args
}

// index names the index by which rows of a class are found, and what stands before the class in it.
func (l *auditLook) index() (by, before string, args []any) {
	if l.q.Run != "" {
		if l.mysql {
			return l.by("sync_audit_message_run"), "m.run = ? AND ", []any{l.q.Run}
		}
		return l.by("sync_audit_message_run"), "m.run = ? AND m.run <> '' AND ", []any{l.q.Run} // as its index says
	}
	return l.by("sync_audit_message_class"), "", nil
}

func (q *query) by(index string) string {
	if q.mysql {
		return " FORCE INDEX (" + index + ")"
	}
	return " INDEXED BY " + index
}

// headed is a class with its newest id in a range.
type headed struct{ class, newest int64 }

// classesQuery asks for the classes that q selects.
func (l *auditLook) classesQuery() (string, []any) {
	where, args := " WHERE 1 = 1", []any{}
	and := func(is bool, cond string, arg ...any) {
		if is {
			where += " AND " + cond
			args = append(args, arg...)
		}
	}
	and(l.q.Operation != "", "c.operation = ?", string(l.q.Operation))
	and(l.q.Outcome != "", "c.outcome = ?", string(l.q.Outcome))
	and(l.q.Failures, "c.outcome IN (?, ?, ?, ?)", string(audit.Parked), string(audit.Refused), string(audit.Failed), string(audit.Deferred))
	and(l.q.Type != "", "c.resource_name IN (?, '')", l.q.Type)
	and(l.q.Peer != "", "(c.peer = ? OR c.operation = ?)", l.q.Peer, string(audit.Refuse))
	return "SELECT c.id FROM audit_class c" + where, args
}

// newestQuery asks for the classes that q selects, each with its newest id in a range, by a seek for each.
func (l *auditLook) newestQuery(sp span) (string, []any) {
	by, before, args := l.index()
	stmt, conds := l.classesQuery()
	return strings.Replace(stmt, "c.id", "c.id, (SELECT m.sync_audit_message_id FROM sync_audit_message m"+by+" WHERE "+before+"m.class = c.id AND "+
		"m.sync_audit_message_id BETWEEN ? AND ? ORDER BY m.sync_audit_message_id DESC LIMIT 1)", 1), append(append(args, sp.low, sp.high), conds...)
}

// heads returns the classes that q selects and that have rows in a range, the one with the newest row first.
func (l *auditLook) heads(sp span) ([]headed, error) {
	var out []headed
	stmt, args := l.newestQuery(sp)
	if l.mysql {
		if err := l.readClasses(); err != nil {
			return nil, err
		}
		stmt, args = l.groupsQuery(sp)
	}
	err := l.each(stmt, args, func(rows *sql.Rows) error {
		var h headed
		var newest sql.NullInt64
		err := rows.Scan(&h.class, &newest)
		if h.newest = newest.Int64; newest.Valid && (l.classes == nil || l.classes[h.class]) {
			out = append(out, h)
		}
		return err
	})
	slices.SortFunc(out, func(a, b headed) int { return cmp.Compare(b.newest, a.newest) })
	return out, err
}

// groupsQuery asks for every class with its newest id in a range, by two seeks for each. It is for MySQL, which seeks for newestQuery's classes
// only as long as they stand in the statement: where they come of another table, it reads all rows of them that are newer than the range.
func (l *auditLook) groupsQuery(sp span) (string, []any) {
	index, where, group, args := "sync_audit_message_class", "", "", []any{}
	if l.q.Run != "" {
		index, where, group, args = "sync_audit_message_run", "run = ? AND ", "run, ", []any{l.q.Run}
	}
	return "SELECT class, MAX(sync_audit_message_id) FROM sync_audit_message FORCE INDEX FOR GROUP BY (" + index + ") WHERE " + where +
		"sync_audit_message_id BETWEEN ? AND ? GROUP BY " + group + "class", append(args, sp.low, sp.high)
}

// readClasses reads once which classes q selects.
func (l *auditLook) readClasses() error {
	if l.classes != nil {
		return nil
	}
	l.classes = map[int64]bool{}
	stmt, args := l.classesQuery()
	return l.each(stmt, args, func(rows *sql.Rows) error {
		var class int64
		err := rows.Scan(&class)
		l.classes[class] = true
		return err
	})
}

// step returns ids of rows of the asked classes, the newest first, with none between them left out, and the id at which the next step begins.
func (l *auditLook) step(sp span) (ids []int64, next int64, err error) {
	heads, err := l.heads(sp)
	if err != nil || len(heads) == 0 {
		return nil, sp.low - 1, err
	}
	whole := sp.low // from here on upwards nothing is missing
	if len(heads) > auditFan {
		whole = heads[auditFan].newest + 1
		heads = heads[:auditFan]
	}
	sp.low = max(sp.low, whole)
	stmt, args := l.idsQuery(heads, sp, auditAhead)
	count, lowest := map[int64]int{}, map[int64]int64{}
	err = l.each(stmt, args, func(rows *sql.Rows) error {
		var class, id int64
		if err := rows.Scan(&class, &id); err != nil {
			return err
		}
		ids = append(ids, id)
		if count[class]++; count[class] == 1 || id < lowest[class] {
			lowest[class] = id
		}
		return nil
	})
	for class, n := range count {
		if n == auditAhead {
			whole = max(whole, lowest[class])
		}
	}
	slices.SortFunc(ids, func(a, b int64) int { return cmp.Compare(b, a) })
	end := len(ids)
	for end > 0 && ids[end-1] < whole {
		end--
	}
	return ids[:end], whole - 1, err
}

// idsQuery asks for the newest ids, at most limit of each, of classes in a range.
func (l *auditLook) idsQuery(heads []headed, sp span, limit int) (string, []any) {
	by, before, first := l.index()
	one := "SELECT * FROM (SELECT m.class, m.sync_audit_message_id FROM sync_audit_message m" + by + " WHERE " + before +
		"m.class = ? AND m.sync_audit_message_id BETWEEN ? AND ? ORDER BY m.sync_audit_message_id DESC LIMIT ?) a"
	n := 1 // few sizes, because each is a statement that is kept
	for n < len(heads) {
		n *= 2
	}
	var args []any
	for i := range n {
		class := int64(-1) // none
		if i < len(heads) {
			class = heads[i].class
		}
		args = append(append(args, first...), class, sp.low, sp.high, limit)
	}
	return one + strings.Repeat(" UNION ALL "+one, n-1), args
}

// rows adds what a statement returns of auditColumns.
func (l *auditLook) rows(stmt string, args []any) error {
	return l.each(stmt, args, func(rows *sql.Rows) error {
		r, err := scanAudit(rows)
		l.out = append(l.out, r)
		return err
	})
}

// AuditRecord returns the record with an id; false where there is none, or none any more.
func (s *Store) AuditRecord(ctx context.Context, id int64) (audit.Record, bool, error) {
	d := s.direct(ctx)
	l := auditLook{query: &d}
	err := l.rows(l.rangeQuery(span{id, id}, 1))
	if err != nil || len(l.out) == 0 {
		return audit.Record{}, false, s.dialect.wrap("read audit", err)
	}
	return l.out[0], true, nil
}
