package store

import (
	"maps"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/version"
)

// pending is what writers left in memory, to be written in few statements.
type pending struct {
	log     [][]any
	audits  []pendingAudit
	touched map[fhir.Key]*touch
	order   []fhir.Key
	raised  map[string]bool  // counters
	minted  map[minting]bool // ticks
	made    map[minting]made // when the first of them were given
}

// touch is what writers did to a key: the resource row is written once, at the end.
type touch struct {
	existed bool
	reindex bool
	values  []search.Value
	seen    version.Vector // what the vector that stood before contained of other replicas than its version's
}

// mostPending bounds the rows of the log that wait in memory.
const mostPending = 1000

// open precedes each statement of a writer that changes rows: where others share the transaction, their rows are written, and a savepoint is set to
// which this writer's can be undone. Most writers leave all that they change in memory and need none.
func (tx *Tx) open() error {
	t := tx.t
	if err := t.flush(); err != nil {
		return err
	}
	if !t.shared || t.saved {
		return nil
	}
	if t.broken = t.exec("SAVEPOINT w"); t.broken != nil {
		return t.broken
	}
	t.saved = true
	return nil
}

// exec runs one statement of this writer that changes rows.
func (tx *Tx) exec(q string, args ...any) error {
	if err := tx.open(); err != nil {
		return err
	}
	return tx.t.exec(q, args...)
}

func (tx *Tx) insert(head string, columns int, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	if err := tx.open(); err != nil {
		return err
	}
	return tx.t.insert(head, "", columns, rows)
}

// join makes what the writer left in memory the transaction's.
func (tx *Tx) join() error {
	t := tx.t
	p := &t.pending
	p.log, p.audits = append(p.log, tx.log...), append(p.audits, tx.audits...)
	for _, k := range tx.order {
		w, was := tx.touched[k], p.touched[k]
		if was == nil {
			put(&p.touched, k, w)
			p.order = append(p.order, k)
			continue
		}
		if w.reindex {
			was.reindex, was.values = true, w.values
		}
	}
	maps.Copy(t.current, tx.current)
	for name, v := range tx.counters {
		t.counters[name] = v
		put(&p.raised, name, true)
	}
	for m, v := range tx.ticks {
		t.ticks[m] = v
		put(&p.minted, m, true)
	}
	for m, first := range tx.made {
		if _, ok := p.made[m]; !ok {
			put(&p.made, m, first)
		}
	}
	if tx.identity != nil {
		t.identity = tx.identity
	}
	if len(p.log) < mostPending {
		return nil
	}
	return t.flush()
}

// flush writes what waits in memory: log, resources, index, audit, counters. Where it fails the transaction cannot go on.
func (t *transaction) flush() error {
	if t.broken != nil {
		return t.broken
	}
	p := t.pending
	if len(p.log)+len(p.audits)+len(p.raised)+len(p.minted) == 0 {
		return nil
	}
	t.pending = pending{}
	t.broken = t.writeOut(p)
	return t.broken
}

func (t *transaction) writeOut(p pending) error {
	if err := t.insert("INSERT INTO change_log ("+logColumns+")", "", 21, p.log); err != nil {
		return err
	}
	t.wrote = t.wrote || len(p.log) > 0
	rows := make([][]any, 0, len(p.order))
	var index, seen [][]any
	there, err := t.indexed(&p)
	if err != nil {
		return err
	}
	for _, k := range p.order {
		w, c := p.touched[k], t.current[k]
		s := c.Stamp
		rows = append(rows, []any{
			k.Type, k.ID, string(s.Version.Replica), s.Version.Tick, s.Vector.String(), string(s.Author),
			s.Authored, s.Origin.String(), boolInt(s.Deleted), hashBytes(s), c.Committed, c.Seq, c.ContentSeq, c.Delivered, c.Created.String(), c.Num,
		})
		if seen, err = t.reseen(k, w.seen, others(s), seen); err != nil {
			return err
		}
		if !w.reindex {
			continue
		}
		if index, err = t.reindexed(c.Num, there[c.Num], w.values, index); err != nil {
			return err
		}
	}
	if err := t.insert("INSERT INTO resource ("+resourceColumns+")", t.store.dialect.update("type, id", resourceChanges), 16, rows); err != nil {
		return err
	}
	if err := t.insert(t.store.dialect.ignore+" INTO resource_index (num, param, value, space)", "", 4, index); err != nil {
		return err
	}
	if err := t.insert(t.store.dialect.ignore+" INTO resource_seen (type, replica, tick, id)", "", 4, seen); err != nil {
		return err
	}
	if err := t.writeAudits(&p); err != nil {
		return err
	}
	return t.writeCounters(p)
}

func (t *transaction) writeCounters(p pending) error {
	var counters, ticks, known [][]any
	if len(p.minted) > 0 {
		revision, err := t.counter(counterRevision)
		if err != nil {
			return err
		}
		revision++
		for _, name := range []string{counterRevision, counterUp} {
			t.counters[name] = revision
			put(&p.raised, name, true)
		}
		for _, m := range slices.SortedFunc(maps.Keys(p.minted), minting.compare) {
			ticks = append(ticks, []any{string(m.replica), m.resourceType, t.ticks[m]})
			known = append(known, []any{m.resourceType, string(m.replica), t.ticks[m], revision, revision}) // whoever makes a change knows it
		}
	}
	if err := t.insert(t.store.dialect.ignore+" INTO tick_time (replica, type, tick, at)", "", 4, t.times(p)); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(p.raised)) {
		counters = append(counters, []any{name, t.counters[name]})
	}
	if err := t.insert("INSERT INTO tick (replica, type, value)", t.store.dialect.update("replica, type", "value"), 3, ticks); err != nil {
		return err
	}
	if err := t.insert("INSERT INTO knowledge (type, replica, tick, revision, up)", t.store.dialect.update("type, replica", "tick, revision, up"), 5, known); err != nil {
		return err
	}
	return t.insert("INSERT INTO counter (name, value)", t.store.dialect.update("name", "value"), 2, counters)
}

// timeEvery is how far apart the noted times of ticks are, in milliseconds.
const timeEvery = 60_000

// times returns the rows that say when ticks were given. Where a transaction is undone its times are noted by none: what stands is early, not late.
func (t *transaction) times(p pending) [][]any {
	var out [][]any
	noted := t.store.timed
	for _, m := range slices.SortedFunc(maps.Keys(p.made), minting.compare) {
		first := p.made[m]
		if last, ok := noted[m]; ok && first.at >= last && first.at-last < timeEvery {
			continue
		}
		noted[m] = first.at
		out = append(out, []any{string(m.replica), m.resourceType, first.tick, first.at})
	}
	return out
}

const logColumns = "seq, type, id, ordinal, action, replica, tick, vector, author, authored, origin, deleted, hash, committed, unit, unit_size, source, content_seq, size, enc, content"

// resourceChanges are the columns of a resource row that may change. An update leaves the indexes of the others alone.
const resourceChanges = "replica, tick, vector, author, authored, origin, deleted, hash, committed, seq, content_seq, delivered, created"

const resourceColumns = "type, id, " + resourceChanges + ", num"

// others returns what a copy has seen of other replicas than that of its version.
func others(s version.Stamp) version.Vector {
	if len(s.Vector) <= 1 {
		return nil
	}
	out := make(version.Vector, 0, len(s.Vector)-1)
	for _, v := range s.Vector {
		if v.Replica != s.Version.Replica {
			out = append(out, v)
		}
	}
	return out
}

// reseen brings resource_seen of a key from what it was to what it is, and adds the rows to be written.
func (t *transaction) reseen(k fhir.Key, was, is version.Vector, rows [][]any) ([][]any, error) {
	if is.Equal(was) {
		return rows, nil
	}
	for _, v := range was {
		if is.Tick(v.Replica) == v.Tick {
			continue
		}
		if err := t.exec("DELETE FROM resource_seen WHERE type = ? AND replica = ? AND tick = ? AND id = ?", k.Type, string(v.Replica), v.Tick, k.ID); err != nil {
			return nil, err
		}
	}
	for _, v := range is {
		if was.Tick(v.Replica) != v.Tick {
			rows = append(rows, []any{k.Type, string(v.Replica), v.Tick, k.ID})
		}
	}
	return rows, nil
}

// insert runs a multi-row INSERT in chunks of few sizes, so that few statements have to be prepared. tail follows the values.
func (t *transaction) insert(head, tail string, columns int, rows [][]any) error {
	args := make([]any, 0, min(len(rows), t.store.dialect.rows[0])*columns)
	for _, size := range t.store.dialect.rows {
		for ; len(rows) >= size; rows = rows[size:] {
			args = args[:0]
			for _, r := range rows[:size] {
				if len(r) != columns {
					panic("bug: a row has the wrong number of columns: " + head)
				}
				args = append(args, r...)
			}
			if err := t.exec(t.store.insertion(head, tail, columns, size), args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// insertion returns the text of an INSERT of many rows. It is made once; one write transaction at a time asks for it.
func (s *Store) insertion(head, tail string, columns, rows int) string {
	k := insertKey{head, rows}
	q, ok := s.insertions[k]
	if !ok {
		one := "(?" + strings.Repeat(", ?", columns-1) + ")"
		q = head + " VALUES " + one + strings.Repeat(", "+one, rows-1) + tail
		s.insertions[k] = q
	}
	return q
}

type insertKey struct {
	head string
	rows int
}
