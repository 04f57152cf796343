package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

// Parked is an event that could not be applied (direction pull, receive) or delivered (push) now. Times are milliseconds since
// 1970 UTC.
type Parked struct {
	UUID      string        `json:"uuid"`
	Direction string        `json:"direction"`
	Peer      string        `json:"peer"`
	Key       fhir.Key      `json:"resource"`
	Cursor    feed.Cursor   `json:"cursor,omitzero"`
	Unit      string        `json:"unit,omitempty"`
	UnitSize  int           `json:"unitSize,omitempty"`
	Action    feed.Action   `json:"action"`
	Stamp     version.Stamp `json:"stamp"`
	Content   []byte        `json:"-"`
	Reason    string        `json:"reason"`
	Kind      string        `json:"kind"`
	Attempts  int           `json:"attempts"`
	ParkedAt  int64         `json:"parkedAt"`
	NextRetry int64         `json:"nextRetry"`
	GivenUp   *GivenUp      `json:"givenUp,omitempty"` // nil where it is tried again
}

// GivenUp says who gave up a parked change, when (milliseconds since 1970 UTC) and why.
type GivenUp struct {
	By  string `json:"by"`
	At  int64  `json:"at"`
	Why string `json:"why"`
}

// parkedFrom is sync_parked with what was given up of it.
const parkedFrom = "SELECT " + parkedColumns + ", actor, given_up_at, why FROM sync_parked LEFT JOIN sync_given_up USING (peer, direction, type, id) "

const parkedColumns = "uuid, direction, peer, type, id, epoch, seq, unit, unit_size, action, stamp, content, reason, kind, attempts, parked_at, next_retry"

// Park keeps an event with its reason. There is one row a key, peer and direction: a later version of the key takes the place
// of an earlier one, never the other way round, and the same version keeps its name, its count of attempts, and that it was given up.
func (tx *Tx) Park(p Parked) error {
	stamp, err := json.Marshal(p.Stamp)
	if err != nil {
		return err
	}
	var uuid, have, at string
	var attempts int
	ok, err := tx.one("SELECT uuid, stamp, attempts, parked_at FROM sync_parked WHERE peer = ? AND direction = ? AND type = ? AND id = ?",
		[]any{p.Peer, p.Direction, p.Key.Type, p.Key.ID}, &uuid, &have, &attempts, &at)
	if err != nil {
		return err
	}
	tx.t.anyParked = true
	p.UUID, p.Attempts, p.ParkedAt = tx.rowUUID(), 1, tx.Now()
	if ok {
		var old version.Stamp
		if err := json.Unmarshal([]byte(have), &old); err != nil {
			return err
		}
		if old.Version == p.Stamp.Version {
			p.UUID, p.Attempts, p.ParkedAt = uuid, attempts+1, parseTime(at)
		} else if !p.Stamp.Version.IsZero() && old.Vector.Contains(p.Stamp.Version) {
			return nil // an earlier one that was tried again with its transaction: the later one still waits
		} else if err := tx.takeUp(p.Peer, p.Direction, p.Key); err != nil { // another one was given up, not this
			return err
		}
		if err := tx.exec("DELETE FROM sync_parked WHERE uuid = ?", uuid); err != nil {
			return err
		}
	}
	if p.NextRetry == 0 {
		p.NextRetry = tx.Now() + retryAfter(p.Attempts)
	}
	return tx.exec("INSERT INTO sync_parked ("+parkedColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", p.UUID, p.Direction,
		p.Peer, p.Key.Type, p.Key.ID, p.Cursor.Epoch, p.Cursor.Seq, p.Unit, p.UnitSize, string(p.Action), string(stamp), p.Content, clip(p.Reason, 4000), p.Kind, p.Attempts,
		timeText(p.ParkedAt), timeText(p.NextRetry))
}

// retryAfter doubles from one minute to one day, in milliseconds.
func retryAfter(attempts int) int64 {
	const minute, day = int64(60_000), int64(24 * 60 * 60_000)
	if attempts > 11 {
		return day
	}
	return min(day, minute<<(attempts-1))
}

// Unpark removes what is parked of a key if seen contains its version: what nobody has seen stays parked, whatever else of the key
// was taken. It reports whether something was removed.
func (tx *Tx) Unpark(peer, direction string, k fhir.Key, seen version.Vector) (bool, error) {
	if !tx.t.anyParked {
		return false, nil
	}
	var text string
	if ok, err := tx.one("SELECT stamp FROM sync_parked WHERE peer = ? AND direction = ? AND type = ? AND id = ?", []any{peer, direction, k.Type, k.ID}, &text); err != nil || !ok {
		return false, err
	}
	var parked version.Stamp
	if err := json.Unmarshal([]byte(text), &parked); err != nil || !seen.Contains(parked.Version) {
		return false, err
	}
	return true, tx.unpark(peer, direction, k)
}

// RenameParked gives what waits to be delivered, and is that version of a key, another stamp: the version was written again under a new name.
func (tx *Tx) RenameParked(k fhir.Key, was version.Version, now version.Stamp) error {
	renamed, err := json.Marshal(now)
	if err != nil {
		return err
	}
	var uuids []string
	err = tx.each("SELECT uuid, stamp FROM sync_parked WHERE direction = 'push' AND type = ? AND id = ?", []any{k.Type, k.ID}, func(rows *sql.Rows) error {
		var uuid, text string
		if err := rows.Scan(&uuid, &text); err != nil {
			return err
		}
		var s version.Stamp
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			return err
		}
		if s.Version == was {
			uuids = append(uuids, uuid)
		}
		return nil
	})
	for _, uuid := range uuids {
		if err == nil {
			err = tx.exec("UPDATE sync_parked SET stamp = ? WHERE uuid = ?", string(renamed), uuid)
		}
	}
	return err
}

// DropParked removes a parked event.
func (tx *Tx) DropParked(p Parked) error { return tx.unpark(p.Peer, p.Direction, p.Key) }

// unpark removes what is parked of a key between this node and a peer in a direction, and that it was given up.
func (tx *Tx) unpark(peer, direction string, k fhir.Key) error {
	if err := tx.takeUp(peer, direction, k); err != nil {
		return err
	}
	return tx.exec("DELETE FROM sync_parked WHERE peer = ? AND direction = ? AND type = ? AND id = ?", peer, direction, k.Type, k.ID)
}

// GiveUp marks a parked event as given up: it stays, with its exception and its content, and is not tried any more.
func (tx *Tx) GiveUp(p Parked, by, why string) error {
	return tx.exec("REPLACE INTO sync_given_up (peer, direction, type, id, actor, why, given_up_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
		p.Peer, p.Direction, p.Key.Type, p.Key.ID, clip(by, 100), clip(why, 4000), timeText(tx.Now()))
}

// TakeUp makes that a parked event is tried again, and at once.
func (tx *Tx) TakeUp(p Parked) error {
	if err := tx.takeUp(p.Peer, p.Direction, p.Key); err != nil {
		return err
	}
	return tx.RetryNow(p)
}

func (tx *Tx) takeUp(peer, direction string, k fhir.Key) error {
	return tx.exec("DELETE FROM sync_given_up WHERE peer = ? AND direction = ? AND type = ? AND id = ?", peer, direction, k.Type, k.ID)
}

// ParkedFilter selects parked events; zero fields select everything. DueBy selects those whose next retry is not after it and which were
// not given up.
type ParkedFilter struct {
	Direction, Peer string
	Key             fhir.Key
	UUID            string
	DueBy           int64
	Waiting         bool // not those that were given up
	GivenUp         bool // only those that were given up
	Limit           int
}

// Parked returns parked events, the longest waiting first.
func (s *Store) Parked(ctx context.Context, f ParkedFilter) ([]Parked, error) {
	due := "9999-12-31 23:59:59.999"
	if f.DueBy > 0 {
		due = timeText(f.DueBy)
	}
	if f.Limit <= 0 {
		f.Limit = 1000
	}
	state := ""
	switch {
	case f.GivenUp:
		state = "AND given_up_at IS NOT NULL "
	case f.Waiting || f.DueBy > 0:
		state = "AND given_up_at IS NULL "
	}
	d := s.direct(ctx)
	out, err := d.parked("WHERE ? IN ('', direction) AND ? IN ('', peer) AND ? IN ('', type) AND ? IN ('', id) AND ? IN ('', uuid) AND next_retry <= ? "+state+
		"ORDER BY parked_at, seq, uuid LIMIT ?", f.Direction, f.Peer, f.Key.Type, f.Key.ID, f.UUID, due, f.Limit)
	return out, s.dialect.wrap("read parked", err)
}

func (q *query) parked(where string, args ...any) ([]Parked, error) {
	var out []Parked
	err := q.each(parkedFrom+where, args, func(rows *sql.Rows) error {
		p, err := scanParked(rows)
		out = append(out, p)
		return err
	})
	return out, err
}

// ParkedWhole returns the parked events of some names, each with those of its transaction: they are tried together.
func (q *query) ParkedWhole(uuids []string) ([]Parked, error) {
	var out []Parked
	seen := map[string]bool{}
	for _, uuid := range uuids {
		if seen[uuid] {
			continue
		}
		found, err := q.parked("WHERE uuid = ?", uuid)
		if err == nil && len(found) > 0 && found[0].Unit != "" {
			found, err = q.parked("WHERE peer = ? AND direction = ? AND unit = ? ORDER BY seq, uuid", found[0].Peer, found[0].Direction, found[0].Unit)
		}
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			if !seen[p.UUID] {
				out = append(out, p)
			}
			seen[p.UUID] = true
		}
	}
	return out, nil
}

func scanParked(rows *sql.Rows) (Parked, error) {
	var p Parked
	var action, stamp, at, next string
	var by, given, why sql.NullString
	if err := rows.Scan(&p.UUID, &p.Direction, &p.Peer, &p.Key.Type, &p.Key.ID, &p.Cursor.Epoch, &p.Cursor.Seq, &p.Unit, &p.UnitSize, &action, &stamp,
		&p.Content, &p.Reason, &p.Kind, &p.Attempts, &at, &next, &by, &given, &why); err != nil {
		return p, err
	}
	if given.Valid {
		p.GivenUp = &GivenUp{By: by.String, At: parseTime(given.String), Why: why.String}
	}
	p.Action, p.ParkedAt, p.NextRetry = feed.Action(action), parseTime(at), parseTime(next)
	return p, json.Unmarshal([]byte(stamp), &p.Stamp)
}

// RetryNow makes a parked event due at once.
func (tx *Tx) RetryNow(p Parked) error {
	return tx.exec("UPDATE sync_parked SET next_retry = ? WHERE uuid = ?", timeText(tx.Now()), p.UUID)
}

// Event returns the parked event as it came.
func (p Parked) Event() feed.Event {
	return feed.Event{Seq: p.Cursor.Seq, Key: p.Key, Action: p.Action, Stamp: p.Stamp, Unit: p.Unit, UnitSize: p.UnitSize, Size: len(p.Content), Content: p.Content}
}
