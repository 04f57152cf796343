package store

import (
	"cmp"
	"database/sql"
	"slices"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Place is how far a catch-up has come in its list. The list is that of the copies as they stood when the log was at Head: what changes
// later stands behind Head in the log, from where the reader goes on. It needs no memory at the lister.
type Place struct {
	Head    uint64
	Type    string
	Part    part
	Replica version.Replica
	Tick    uint64
	ID      string
}

// part is a part of the list of one type, in their order.
type part int

const (
	excepted part = iota // keys that are compared by their copy's vector, where the knowledge contains the copy, by id
	versions             // copies whose version is not known, by replica, tick and id
	vectors              // copies whose version is known and whose vector has seen more, by replica, tick and id
)

// String returns "head/type/part/replica/tick/id".
func (p Place) String() string {
	return strings.Join([]string{strconv.FormatUint(p.Head, 10), p.Type, strconv.Itoa(int(p.Part)), string(p.Replica), strconv.FormatUint(p.Tick, 10), p.ID}, "/")
}

// ParsePlace reads what String writes; it returns an Invalid error for anything else.
func ParsePlace(s string) (Place, error) {
	f := strings.Split(s, "/")
	bad := syncerr.New(syncerr.Invalid, "catch up", "%.100q is no place in a list", s)
	if len(f) != 6 || f[1] != "" && !fhir.IsKind(f[1]) || f[3] != "" && !version.Replica(f[3]).Valid() || !isID(f[5]) {
		return Place{}, bad
	}
	head, err1 := strconv.ParseUint(f[0], 10, 63)
	n, err2 := strconv.ParseUint(f[2], 10, 2)
	tick, err3 := strconv.ParseUint(f[4], 10, 63)
	if err1 != nil || err2 != nil || err3 != nil || n > uint64(vectors) {
		return Place{}, bad
	}
	p := Place{Head: head, Type: f[1], Part: part(n), Replica: version.Replica(f[3]), Tick: tick, ID: f[5]}
	if p.String() != s {
		return Place{}, bad
	}
	return p, nil
}

// Follows returns an Invalid error where a place cannot come after another one in a list: it is of another list, or stands before it there. The same
// place may come again.
func (p Place) Follows(before Place) error {
	if p.Head != before.Head {
		return syncerr.New(syncerr.Invalid, "catch up", "the list that was of change %d is of change %d", before.Head, p.Head)
	}
	// A type begins with its excepted keys, which have no replica in their places.
	back := cmp.Or(strings.Compare(p.Type, before.Type), cmp.Compare(min(p.Part, versions), min(before.Part, versions)),
		strings.Compare(string(p.Replica), string(before.Replica)), cmp.Compare(p.Part, before.Part), cmp.Compare(p.Tick, before.Tick), strings.Compare(p.ID, before.ID))
	if back < 0 {
		return syncerr.New(syncerr.Invalid, "catch up", "the list goes back from %s to %s", before, p)
	}
	return nil
}

// isID reports whether a place may name an id: none, or one that a key may have.
func isID(id string) bool { return id == "" || fhir.Key{Type: "Basic", ID: id}.Validate() == nil }

// Missing gives the current copies that a knowledge does not contain to row, with their contents and from a place on, until limit rows or
// replicas were looked at. A copy is contained where its whole vector is; one of an excepted key where the asker's copy has seen its version. types
// selects resource types, nil for all. It returns the place to go on from, and whether the list is at its end.
func (r *Reader) Missing(k feed.Knowledge, types []string, at Place, limit int, row func(Row, Place) error) (Place, bool, error) {
	wanted := fhir.Selection(types)
	for {
		if at.Type == "" || !wanted(at.Type) {
			next, ok, err := r.nextText("resource", "type", at.Type)
			if err != nil || !ok {
				return at, !ok, err
			}
			at = Place{Head: at.Head, Type: next}
			continue
		}
		l := lister{r: r, known: k[at.Type], at: at, left: limit, row: row}
		done, err := l.list()
		at, limit = l.at, l.left
		if err != nil || !done {
			return at, false, err
		}
		next, ok, err := r.nextText("resource", "type", at.Type)
		if err != nil || !ok {
			return at, !ok, err
		}
		at = Place{Head: at.Head, Type: next}
	}
}

// nextText returns the smallest value of a column above after.
func (q *query) nextText(table, column, after string, where ...any) (string, bool, error) {
	cond, args := "", []any{after}
	if len(where) > 0 {
		cond, args = " AND type = ?", append(args, where...)
	}
	var v sql.NullString
	_, err := q.one("SELECT MIN("+column+") FROM "+table+" WHERE "+column+" > ?"+cond, args, &v)
	return v.String, v.Valid, err
}

// lister goes through the list of one type.
type lister struct {
	r     *Reader
	known feed.Known
	at    Place
	left  int
	row   func(Row, Place) error
	own   map[string]version.Vector // of excepted keys, what the asker's copy has seen
	ids   []string                  // of excepted keys, in order
}

// list reports whether the type is done; else left is used up. Each replica counts as a row: a nation has ten thousand of them, and of most
// everything is known.
func (l *lister) list() (bool, error) {
	l.sort()
	if l.at.Part == excepted {
		if done, err := l.excepted(); err != nil || !done {
			return false, err
		}
		l.at = Place{Head: l.at.Head, Type: l.at.Type, Part: versions}
	}
	for {
		if l.at.Replica == "" {
			next, ok, err := l.nextReplica()
			if err != nil || !ok {
				return !ok, err
			}
			l.at = Place{Head: l.at.Head, Type: l.at.Type, Part: versions, Replica: next, Tick: l.known.Vector.Tick(next)}
		}
		if l.at.Part == versions {
			if done, err := l.some("WHERE r.type = ? AND r.replica = ? AND r.tick >= ? AND (r.tick > ? OR r.id > ?) AND l.seq = r.seq AND r.seq <= ? ORDER BY r.tick, r.id LIMIT ?",
				[]any{l.at.Type, string(l.at.Replica), l.at.Tick, l.at.Tick, l.after(), l.at.Head}, l.version); err != nil || !done {
				return false, err
			}
			l.at = Place{Head: l.at.Head, Type: l.at.Type, Part: vectors, Replica: l.at.Replica, Tick: l.known.Vector.Tick(l.at.Replica)}
		}
		if done, err := l.vectors(); err != nil || !done {
			return false, err
		}
		next, ok, err := l.nextReplica()
		if err != nil || !ok {
			return !ok, err
		}
		l.at = Place{Head: l.at.Head, Type: l.at.Type, Part: versions, Replica: next, Tick: l.known.Vector.Tick(next)}
		l.left--
	}
}

// sort puts the excepted keys in order.
func (l *lister) sort() {
	l.own = make(map[string]version.Vector, len(l.known.Lacks))
	for _, x := range l.known.Lacks {
		if _, ok := l.own[x.ID]; !ok {
			l.own[x.ID], l.ids = x.Seen, append(l.ids, x.ID)
		}
	}
	slices.Sort(l.ids) // whoever told them may have told them in another order
}

// nextReplica returns the next replica that a version or vector of the type names.
func (l *lister) nextReplica() (version.Replica, bool, error) {
	a, aok, err := l.r.nextText("resource", "replica", string(l.at.Replica), l.at.Type)
	if err != nil {
		return "", false, err
	}
	b, bok, err := l.r.nextText("resource_seen", "replica", string(l.at.Replica), l.at.Type)
	if bok && (!aok || b < a) {
		a, aok = b, true
	}
	return version.Replica(a), aok, err
}

// some reads rows behind the place, as many as are left, and reports whether there are no more.
func (l *lister) some(where string, args []any, take func(Row) error) (bool, error) {
	n, looked := l.left, 0
	if n <= 0 {
		return false, nil
	}
	err := l.r.query.rows("", where, append(args, n), true, func(e Row) error {
		looked++
		return take(e)
	})
	l.left -= looked
	return looked < n, err
}

func (l *lister) give(e Row) error {
	e.At, e.InUnit = e.Seq, e.Unit
	e.Seq, e.Unit, e.UnitSize = 0, "", 0
	return l.row(e, l.at)
}

func (l *lister) version(e Row) error {
	l.at.Tick, l.at.ID = e.Stamp.Version.Tick, e.Key.ID
	if l.has(e) {
		return nil
	}
	return l.give(e)
}

// has reports whether the asker's copy of an excepted key has seen all that this copy has.
func (l *lister) has(e Row) bool {
	seen, ok := l.own[e.Key.ID]
	return ok && seen.ContainsAll(e.Stamp.Vector)
}

// excepted compares the excepted keys by what the asker's copies have seen, where the other parts would pass them over. It leaves to these
// what they list: an exception that comes to be when its key's place here was passed must not take the key out of the list.
func (l *lister) excepted() (bool, error) {
	for _, id := range l.ids {
		if id <= l.at.ID {
			continue
		}
		if l.left <= 0 {
			return false, nil
		}
		l.at.ID = id
		l.left--
		row, ok, err := l.r.Event(feed.Ref{Key: fhir.Key{Type: l.at.Type, ID: id}})
		if err != nil {
			return false, err
		}
		if !ok || row.Seq > l.at.Head || l.has(row) || !l.known.Vector.ContainsAll(row.Stamp.Vector) {
			continue
		}
		if err := l.give(row); err != nil {
			return false, err
		}
	}
	return true, nil
}

// vectors lists copies whose version is known, but not all that they have seen: the knowledge that the asker takes over at the end
// contains it, so its copies have to.
func (l *lister) vectors() (bool, error) {
	type place struct {
		tick uint64
		id   string
	}
	if l.left <= 0 {
		return false, nil
	}
	var found []place
	n := l.left
	err := l.r.each("SELECT tick, id FROM resource_seen WHERE type = ? AND replica = ? AND tick >= ? AND (tick > ? OR id > ?) ORDER BY tick, id LIMIT ?",
		[]any{l.at.Type, string(l.at.Replica), l.at.Tick, l.at.Tick, l.after(), n}, func(rows *sql.Rows) error {
			var p place
			err := rows.Scan(&p.tick, &p.id)
			found = append(found, p)
			return err
		})
	if err != nil {
		return false, err
	}
	for _, p := range found {
		l.at.Tick, l.at.ID = p.tick, p.id
		l.left--
		row, ok, err := l.r.Event(feed.Ref{Key: fhir.Key{Type: l.at.Type, ID: p.id}})
		if err != nil {
			return false, err
		}
		if !ok || row.Seq > l.at.Head || l.has(row) || l.elsewhere(row.Stamp) {
			continue
		}
		if err := l.give(row); err != nil {
			return false, err
		}
	}
	return len(found) < n, nil
}

// after is the id behind which the entries of the place's tick begin: all those of the tick that is known are passed.
func (l *lister) after() string {
	if l.at.ID == "" {
		return "~" // above every id that FHIR allows
	}
	return l.at.ID
}

// elsewhere reports whether a copy stands in the list at another place: by its version, or by a smaller replica of its vector.
func (l *lister) elsewhere(s version.Stamp) bool {
	if !l.known.Vector.Contains(s.Version) {
		return true
	}
	for _, v := range s.Vector {
		if v.Replica < l.at.Replica && v.Replica != s.Version.Replica && !l.known.Vector.Contains(v) {
			return true
		}
	}
	return false
}
