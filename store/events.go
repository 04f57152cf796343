package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Row is a change as the log holds it, read for a feed.
type Row struct {
	feed.Event
	Source    string // participant that delivered it
	Latest    bool   // it is the current copy of its key
	Delivered string // of the current copy
	// At and InUnit are, of a row that a list gives without them, its sequence and its unit (Reader.Missing).
	At     uint64
	InUnit string
}

// Head returns the position of the newest change.
func (q *query) Head() (uint64, error) {
	var n uint64
	_, err := q.one("SELECT value FROM counter WHERE name = 'sequence'", nil, &n)
	return n, err
}

// Head returns the position of the newest change of this node's log.
func (s *Store) Head(ctx context.Context) (feed.Cursor, error) {
	q := s.direct(ctx)
	n, err := q.Head()
	return feed.Cursor{Epoch: s.Identity().Epoch, Seq: n}, s.dialect.wrap("read head", err)
}

// Committed returns when the newest change of this node's log was committed, in milliseconds since 1970 UTC; 0 where there is none. No later change has
// an earlier time.
func (s *Store) Committed(ctx context.Context) (int64, error) {
	q := s.direct(ctx)
	var at int64
	_, err := q.one("SELECT value FROM counter WHERE name = ?", []any{counterCommitted}, &at)
	return at, s.dialect.wrap("read head", err)
}

const rowColumns = "l.seq, l.type, l.id, l.ordinal, l.action, l.committed, l.unit, l.unit_size, l.source, l.size, " +
	"r.seq, r.delivered"

func (q *query) rows(join, where string, args []any, content bool, row func(Row) error) error {
	cols, from := rowColumns+", "+stampOf("l"), " FROM change_log l JOIN resource r ON r.type = l.type AND r.id = l.id "
	if content {
		cols += ", c.size, c.enc, c.content"
		from += "LEFT JOIN change_log c ON c.seq = l.content_seq "
	}
	return q.each("SELECT "+cols+from+join+where, args, func(rows *sql.Rows) error {
		var e Row
		var s rawStamp
		var action string
		var latest uint64
		var size, enc sql.NullInt64
		var blob []byte
		into := append([]any{&e.Seq, &e.Key.Type, &e.Key.ID, &e.Ordinal, &action, &e.Committed, &e.Unit, &e.UnitSize, &e.Source, &e.Size, &latest, &e.Delivered}, s.into()...)
		if content {
			into = append(into, &size, &enc, &blob)
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		e.Action, e.Latest = feed.Action(action), latest == e.Seq
		var err error
		if e.Stamp, err = s.stamp(); err != nil {
			return err
		}
		if enc.Valid && !e.Stamp.Deleted {
			e.Size = int(size.Int64)
			if blob != nil {
				if e.Content, err = q.unpack(int(enc.Int64), blob); err != nil {
					return err
				}
			}
		}
		return row(e)
	})
}

// Changes gives the rows behind sequence after to row, in commit order and with their contents, until about limit rows were
// looked at: rows outside units are coalesced, only the current copy of a key is given; rows of a unit are given as they were
// written, and a unit is never split. types selects resource types, nil for all. It returns the sequence up to which it
// looked, whether there is more, and how many rows it passed because a later row of their key follows.
func (r *Reader) Changes(after uint64, types []string, limit int, row func(Row) error) (upTo uint64, more bool, passed int, err error) {
	head, err := r.Head()
	if err != nil || after >= head {
		return max(after, head), false, 0, err
	}
	upTo, err = r.window(after, head, limit)
	if err != nil {
		return after, false, 0, err
	}
	where, args := "WHERE l.seq > ? AND l.seq <= ? ", []any{after, upTo}
	if types != nil {
		cond, more := ofTypes("l.type", types)
		where, args = where+"AND "+cond+" ", append(args, more...)
	}
	err = r.query.rows("", where+"ORDER BY l.seq", args, true, func(e Row) error {
		if e.Unit == "" && !e.Latest {
			passed++
			return nil
		}
		return row(e)
	})
	return upTo, upTo < head, passed, err
}

// ofTypes returns the condition that a column has one of the types of a list (fhir.Selected). Types of FHIR begin with a capital, and
// capitals come before all other letters in the collation of the column: so what is not less than "a" is a REST type.
func ofTypes(column string, types []string) (string, []any) {
	named, rest, without := fhir.SplitSelection(types)
	in := func(list []string, args []any) (string, []any) {
		for _, t := range list {
			args = append(args, t)
		}
		return "(''" + strings.Repeat(", ?", len(list)) + ")", args
	}
	marks, args := in(named, nil)
	if !rest {
		return column + " IN " + marks, args
	}
	out, args := in(without, args)
	return "(" + column + " IN " + marks + " OR " + column + " >= 'a' AND " + column + " NOT IN " + out + ")", args
}

// window returns the last sequence of a page of limit rows, moved to the end of the unit that it falls into. Rows of a unit
// stand together in the log because one transaction writes them.
func (r *Reader) window(after, head uint64, limit int) (uint64, error) {
	upTo := min(head, after+uint64(limit))
	if upTo == head {
		return head, nil
	}
	var unit string
	if ok, err := r.one("SELECT unit FROM change_log WHERE seq = ?", []any{upTo}, &unit); err != nil || !ok || unit == "" {
		return upTo, err
	}
	var end uint64
	const chunk = 1000
	for end = upTo; end < head; {
		stop := false
		err := r.each("SELECT seq, unit FROM change_log WHERE seq > ? ORDER BY seq LIMIT ?", []any{end, chunk}, func(rows *sql.Rows) error {
			var seq uint64
			var u string
			if err := rows.Scan(&seq, &u); err != nil {
				return err
			}
			if !stop && u == unit {
				end = seq
			} else {
				stop = true
			}
			return nil
		})
		if err != nil || stop {
			return end, err
		}
	}
	return end, nil
}

// Unit returns the rows of a transaction as they were written, in their order.
func (r *Reader) Unit(unit string, near uint64) ([]Row, error) {
	var out []Row
	err := r.query.rows("", "WHERE l.unit = ? AND l.seq BETWEEN ? AND ? ORDER BY l.seq", []any{unit, near - min(near, 20_000), near + 20_000}, true,
		func(e Row) error {
			out = append(out, e)
			return nil
		})
	return out, err
}

// Event returns the newest logged row of a key with its content.
func (q *query) Event(ref feed.Ref) (Row, bool, error) {
	var out Row
	found := false
	err := q.rows("", "WHERE l.seq = r.seq AND l.type = ? AND l.id = ?", []any{ref.Key.Type, ref.Key.ID}, true, func(e Row) error {
		out, found = e, true
		return nil
	})
	if err != nil || !found || ref.Version.IsZero() || out.Stamp.Version == ref.Version {
		return out, found, err
	}
	err = q.rows("", "WHERE l.type = ? AND l.id = ? AND l.replica = ? AND l.tick = ? ORDER BY l.seq DESC LIMIT 1",
		[]any{ref.Key.Type, ref.Key.ID, string(ref.Version.Replica), ref.Version.Tick}, true, func(e Row) error {
			if e.Content != nil || e.Stamp.Deleted {
				out = e
			}
			return nil
		})
	return out, found, err
}

// Page is one page of the Atom feed of a category.
type Page struct {
	Number int
	Last   int // number of the newest page, 0 where there are no events at all
	Rows   []Row
}

// AtomPage returns page number of a category, which is a resource type or "" for all; number 0 is the newest page. Pages are
// numbered from 1 by the count of events, so an event never changes its page. It returns a NotFound error for a page that is
// not there yet, and a Gone error for one of which rows were collected; the newest one is given with what is left of it.
func (r *Reader) AtomPage(resourceType string, number int) (Page, error) {
	name := counterSequence
	if resourceType != "" {
		name = counterOrdinal + resourceType
	}
	var count uint64
	if _, err := r.one("SELECT value FROM counter WHERE name = ?", []any{name}, &count); err != nil {
		return Page{}, err
	}
	size := uint64(r.Identity().PageSize)
	p := Page{Number: number, Last: int((count + size - 1) / size)}
	if number == 0 {
		p.Number = p.Last
	}
	if p.Number == 0 {
		return p, nil
	}
	if p.Number < 0 || p.Number > p.Last {
		return p, syncerr.New(syncerr.NotFound, "read feed page", "page %d does not exist, the newest is %d", number, p.Last)
	}
	from, to := uint64(p.Number-1)*size, uint64(p.Number)*size
	floor := counterFloor
	if resourceType != "" {
		floor += "/" + resourceType
	}
	var gone uint64
	if _, err := r.one("SELECT value FROM counter WHERE name = ?", []any{floor}, &gone); err != nil {
		return p, err
	}
	if from < gone && p.Number < p.Last {
		return p, syncerr.New(syncerr.Gone, "read feed page", "page %d is below what this node keeps of its log", number).
			WithHint("Read the current state by FHIR search, then go on from the newest page")
	}
	where, args := "WHERE l.seq > ? AND l.seq <= ? ORDER BY l.seq", []any{from, to}
	if resourceType != "" {
		where, args = "WHERE l.type = ? AND l.ordinal > ? AND l.ordinal <= ? ORDER BY l.ordinal", []any{resourceType, from, to}
	}
	err := r.query.rows("", where, args, false, func(e Row) error {
		if resourceType == "" {
			e.Ordinal = e.Seq
		}
		p.Rows = append(p.Rows, e)
		return nil
	})
	return p, err
}

// Names returns the node names of replicas, in the order of their ids; those that are not known are left out.
func (q *query) Names(replicas []version.Replica) ([]feed.Name, error) {
	slices.Sort(replicas)
	var out []feed.Name
	for _, r := range slices.Compact(replicas) {
		n := feed.Name{Replica: r}
		ok, err := q.one("SELECT name FROM replica WHERE id = ?", []any{string(r)}, &n.Node)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, n)
		}
	}
	return out, nil
}

// Names returns the node names of replicas that are known.
func (s *Store) Names(ctx context.Context, replicas []version.Replica) ([]feed.Name, error) {
	q := s.direct(ctx)
	out, err := q.Names(replicas)
	return out, s.dialect.wrap("read names", err)
}

// NameReplica stores the node name of a replica.
func (tx *Tx) NameReplica(r version.Replica, name string) error {
	var have string
	ok, err := tx.one("SELECT name FROM replica WHERE id = ?", []any{string(r)}, &have)
	if err != nil || (ok && have == name) {
		return err
	}
	return tx.exec("REPLACE INTO replica (id, name) VALUES (?, ?)", string(r), name)
}

// OwnAbove returns the rows above a sequence that bear a version of a replica, in their order and without contents.
func (q *query) OwnAbove(replica version.Replica, seq uint64) ([]Row, error) {
	var out []Row
	err := q.rows("", "WHERE l.seq > ? AND l.replica = ? ORDER BY l.seq", []any{seq, string(replica)}, false, func(e Row) error {
		out = append(out, e)
		return nil
	})
	return out, err
}

// RowsOf returns the rows of a key, in their order and without contents.
func (q *query) RowsOf(k fhir.Key) ([]Row, error) {
	var out []Row
	err := q.rows("", "WHERE l.type = ? AND l.id = ? ORDER BY l.seq", []any{k.Type, k.ID}, false, func(e Row) error {
		out = append(out, e)
		return nil
	})
	return out, err
}

// Log returns every row of the log as it was written, with its content: for checks and tests.
func (r *Reader) Log() ([]Row, error) {
	var out []Row
	err := r.query.rows("", "ORDER BY l.seq", nil, true, func(e Row) error {
		out = append(out, e)
		return nil
	})
	return out, err
}
