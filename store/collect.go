package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

// The counters of collection: up to where the log was looked through, and the highest sequence that was taken out of it; the same for
// the ordinals of each type.
const (
	counterSwept = "swept"
	counterFloor = "floor"
)

// collectedTick names the counter of the highest tick that one of this database's own replicas, the present one or an earlier, gave to a
// row of a type that was taken out of the log.
func collectedTick(replica, resourceType string) string {
	return "collected/" + replica + "/" + resourceType
}

// Acknowledged says up to where a log has reached everybody whom it concerns, by resource type.
type Acknowledged struct {
	Upper uint64                           // nothing above it has
	Seq   func(resourceType string) uint64 // up to there every registered reader has the type
	// Parent is the epoch of the parent's log, empty without a parent; Pushed is up to where a type went to it by a push.
	Parent string
	Pushed func(resourceType string) uint64
}

// has reports whether everybody has a row: its readers by their cursors, the parent by a push or because it sent the copy itself.
func (a Acknowledged) has(resourceType string, seq uint64, delivered string) bool {
	if seq > a.Seq(resourceType) {
		return false
	}
	return a.Parent == "" || delivered == a.Parent || seq <= a.Pushed(resourceType)
}

// Collected counts what a sweep took out.
type Collected struct {
	Rows, Tombstones int
	More             bool // the sweep goes on
}

// Collect goes through at most limit rows of the log behind where it stopped last: of a key whose row was committed before a moment
// (milliseconds since 1970 UTC) and is acknowledged, the rows before it go, and with a tombstone the key itself, which is remembered as
// forgotten. Keys that are held, parked, in conflict or excepted stay, and tombstones that have seen what is not known (DESIGN.md 4.3, forgetting). The current copy and its content
// always stay.
func (tx *Tx) Collect(before int64, ack Acknowledged, limit int) (Collected, error) {
	var out Collected
	swept, err := tx.counter(counterSwept)
	if err != nil {
		return out, err
	}
	type candidate struct {
		key            fhir.Key
		seq, current   uint64
		deleted        bool
		delivered, vec string
	}
	var found []candidate
	young := false
	err = tx.each("SELECT l.seq, l.type, l.id, l.committed, r.seq, r.deleted, r.delivered, r.vector FROM change_log l JOIN resource r ON r.type = l.type AND r.id = l.id "+
		"WHERE l.seq > ? AND l.seq <= ? ORDER BY l.seq LIMIT ?", []any{swept, ack.Upper, limit}, func(rows *sql.Rows) error {
		var c candidate
		var committed int64
		if err := rows.Scan(&c.seq, &c.key.Type, &c.key.ID, &committed, &c.current, &c.deleted, &c.delivered, &c.vec); err != nil {
			return err
		}
		if young = young || committed >= before; young {
			return nil // the sweep ends here
		}
		found = append(found, c)
		return nil
	})
	if err != nil {
		return out, err
	}
	out.More = len(found) == limit
	for _, c := range found {
		swept = c.seq
		if !ack.has(c.key.Type, c.seq, c.delivered) {
			continue
		}
		keep, err := tx.Pinned(c.key)
		if err != nil {
			return out, err
		}
		gone := c.deleted && c.current == c.seq
		if gone && !keep {
			known, err := tx.knows(c.key.Type, c.vec)
			if err != nil {
				return out, err
			}
			keep = !known
		}
		if keep {
			continue
		}
		upTo := c.seq
		if gone {
			upTo++
		}
		n, err := tx.dropRows(c.key, upTo)
		if err != nil {
			return out, err
		}
		if out.Rows += n; gone {
			out.Tombstones++
			if err := tx.dropKey(c.key, c.vec); err != nil {
				return out, err
			}
		}
	}
	tx.raise(counterSwept, swept)
	return out, nil
}

// Kept counts the rows of the log that a collection with a moment would take but for a reader who has read some resource types up to a
// sequence and the others not at all: older versions, and tombstones, that were followed or written before the moment. since is when the first row
// that he has not read was committed; 0 where he has read everything. Both times are milliseconds since 1970 UTC.
func (r *Reader) Kept(reads func(resourceType string) bool, upTo uint64, before int64) (rows int64, since int64, err error) {
	var types []any
	err = r.each("SELECT DISTINCT type FROM resource", nil, func(rows *sql.Rows) error {
		var t string
		err := rows.Scan(&t)
		if err == nil && !reads(t) {
			types = append(types, t)
		}
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	unread, read, args := "seq > ?", "s.seq <= ?", []any{upTo}
	if len(types) > 0 {
		list := " (?" + strings.Repeat(", ?", len(types)-1) + ")"
		unread, read, args = "(seq > ? OR type IN"+list+")", "s.seq <= ? AND s.type NOT IN"+list, append(args, types...)
	}
	if _, err := r.one("SELECT committed FROM change_log WHERE "+unread+" ORDER BY seq LIMIT 1", args, &since); err != nil {
		return 0, 0, err
	}
	_, err = r.one("SELECT COUNT(*) FROM (SELECT type, id, MAX(seq) AS top FROM change_log WHERE "+unread+" AND committed < ? GROUP BY type, id) m "+
		"JOIN resource r ON r.type = m.type AND r.id = m.id "+
		"JOIN change_log l ON l.type = m.type AND l.id = m.id AND (l.seq < m.top OR l.seq = r.seq AND l.seq = m.top AND r.deleted <> 0) "+
		"WHERE l.seq <> r.content_seq AND NOT EXISTS (SELECT 1 FROM change_log s WHERE s.type = l.type AND s.id = l.id AND s.seq > l.seq AND "+read+")",
		slices.Concat(args, []any{before}, args), &rows)
	return rows, since, err
}

// SweepAgain lets the next collection begin at the start of the log: what could not go when it was looked at may go now.
func (tx *Tx) SweepAgain() { tx.raise(counterSwept, 0) }

// Pinned reports whether a key must stay as it is: somebody has still to decide or to take something of it.
func (tx *Tx) Pinned(k fhir.Key) (bool, error) {
	if !tx.t.anyHeld && !tx.t.anyParked && !tx.t.anyOpen && !tx.t.anyExcepted {
		return false, nil
	}
	for _, table := range []string{"sync_held WHERE", "sync_parked WHERE", "sync_conflict WHERE status = 'open' AND", "knowledge_exception WHERE"} {
		var n int
		if ok, err := tx.one("SELECT 1 FROM "+table+" type = ? AND id = ?", []any{k.Type, k.ID}, &n); err != nil || ok {
			return true, err
		}
	}
	return false, nil
}

// dropRows takes the rows of a key below a sequence out of the log, but for the one that holds the content of the current copy.
func (tx *Tx) dropRows(k fhir.Key, below uint64) (int, error) {
	var n int
	var seq, ordinal sql.NullInt64
	const rows = " FROM change_log WHERE type = ? AND id = ? AND seq < ? AND seq NOT IN (SELECT content_seq FROM resource WHERE type = ? AND id = ?)"
	args := []any{k.Type, k.ID, below, k.Type, k.ID}
	if _, err := tx.one("SELECT COUNT(*), MAX(seq), MAX(ordinal)"+rows, args, &n, &seq, &ordinal); err != nil || n == 0 {
		return 0, err
	}
	for name, at := range map[string]int64{counterFloor: seq.Int64, counterFloor + "/" + k.Type: ordinal.Int64} {
		have, err := tx.counter(name)
		if err != nil {
			return 0, err
		}
		if uint64(at) > have {
			tx.raise(name, uint64(at))
		}
	}
	if err := tx.noteTicks(k.Type, rows, args); err != nil {
		return 0, err
	}
	return n, tx.exec("DELETE"+rows, args...)
}

// noteTicks remembers the last own ticks among rows that are about to go (LastTicks).
func (tx *Tx) noteTicks(resourceType, rows string, args []any) error {
	last := map[string]uint64{}
	err := tx.each("SELECT replica, MAX(tick)"+rows+" AND replica IN (SELECT replica FROM tick) GROUP BY replica", args, func(r *sql.Rows) error {
		var replica string
		var tick uint64
		err := r.Scan(&replica, &tick)
		last[replica] = tick
		return err
	})
	if err != nil {
		return err
	}
	for replica, tick := range last {
		name := collectedTick(replica, resourceType)
		var have uint64
		if _, err := tx.one("SELECT value FROM counter WHERE name = ?", []any{name}, &have); err != nil {
			return err
		}
		if have >= tick {
			continue
		}
		if err := tx.exec("REPLACE INTO counter (name, value) VALUES (?, ?)", name, tick); err != nil {
			return err
		}
	}
	return nil
}

// knows reports whether this node's knowledge of a type contains a vector. A tombstone that has seen more stays: what of it is not known yet may
// still come, and nothing would tell that it was deleted.
func (tx *Tx) knows(resourceType, vector string) (bool, error) {
	seen, err := version.ParseVector(vector)
	if err != nil {
		return false, err
	}
	var replicas []version.Replica
	for _, v := range seen {
		replicas = append(replicas, v.Replica)
	}
	have, err := tx.entries(resourceType, replicas)
	if err != nil {
		return false, err
	}
	for _, v := range seen {
		if have[v.Replica].tick < v.Tick {
			return false, nil
		}
	}
	return true, nil
}

// dropKey takes a tombstone out and remembers that everything its vector has seen may have been forgotten.
func (tx *Tx) dropKey(k fhir.Key, vector string) error {
	seen, err := version.ParseVector(vector)
	if err != nil {
		return err
	}
	for _, v := range seen {
		if err := tx.Forget(k.Type, v); err != nil {
			return err
		}
		if err := tx.exec("DELETE FROM resource_seen WHERE type = ? AND replica = ? AND tick = ? AND id = ?", k.Type, string(v.Replica), v.Tick, k.ID); err != nil {
			return err
		}
	}
	err = tx.exec("DELETE FROM resource WHERE type = ? AND id = ?", k.Type, k.ID)
	tx.reload(k)
	return err
}

// Floor returns the highest sequence that was taken out of the log: a cursor below it cannot go on.
func (q *query) Floor() (uint64, error) {
	var n uint64
	_, err := q.one("SELECT value FROM counter WHERE name = ?", []any{counterFloor}, &n)
	return n, err
}

// Floor returns the highest sequence that was taken out of the log: a cursor below it cannot go on.
func (s *Store) Floor(ctx context.Context) (uint64, error) {
	q := s.direct(ctx)
	n, err := q.Floor()
	return n, s.dialect.wrap("read log", err)
}
