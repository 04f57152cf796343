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
}

const parkedColumns = "uuid, direction, peer, type, id, epoch, seq, unit, unit_size, action, stamp, content, reason, kind, attempts, parked_at, next_retry"

// Park keeps an event with its reason. There is one row a key, peer and direction: a later version of the key takes the place
// of an earlier one, never the other way round, and the same version keeps its count of attempts.
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
	p.Attempts, p.ParkedAt = 1, tx.Now()
	if ok {
		var old version.Stamp
		if err := json.Unmarshal([]byte(have), &old); err != nil {
			return err
		}
		if old.Version == p.Stamp.Version {
			p.Attempts, p.ParkedAt = attempts+1, parseTime(at)
		} else if !p.Stamp.Version.IsZero() && old.Vector.Contains(p.Stamp.Version) {
			return nil // an earlier one that was tried again with its transaction: the later one still waits
		}
		if err := tx.exec("DELETE FROM sync_parked WHERE uuid = ?", uuid); err != nil {
			return err
		}
	}
	if p.NextRetry == 0 {
		p.NextRetry = tx.Now() + retryAfter(p.Attempts)
	}
	return tx.exec("INSERT INTO sync_parked ("+parkedColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", tx.rowUUID(), p.Direction,
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
	return true, tx.exec("DELETE FROM sync_parked WHERE peer = ? AND direction = ? AND type = ? AND id = ?", peer, direction, k.Type, k.ID)
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
func (tx *Tx) DropParked(uuid string) error {
	return tx.exec("DELETE FROM sync_parked WHERE uuid = ?", uuid)
}

// ParkedFilter selects parked events; zero fields select everything. DueBy selects those whose next retry is not after it.
type ParkedFilter struct {
	Direction, Peer string
	Key             fhir.Key
	UUID            string
	DueBy           int64
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
	d := s.direct(ctx)
	var out []Parked
	err := d.each("SELECT "+parkedColumns+" FROM sync_parked WHERE ? IN ('', direction) AND ? IN ('', peer) AND ? IN ('', type) AND ? IN ('', id) "+
		"AND ? IN ('', uuid) AND next_retry <= ? ORDER BY parked_at, seq, uuid LIMIT ?",
		[]any{f.Direction, f.Peer, f.Key.Type, f.Key.ID, f.UUID, due, f.Limit}, func(rows *sql.Rows) error {
			p, err := scanParked(rows)
			out = append(out, p)
			return err
		})
	return out, s.dialect.wrap("read parked", err)
}

func scanParked(rows *sql.Rows) (Parked, error) {
	var p Parked
	var action, stamp, at, next string
	if err := rows.Scan(&p.UUID, &p.Direction, &p.Peer, &p.Key.Type, &p.Key.ID, &p.Cursor.Epoch, &p.Cursor.Seq, &p.Unit, &p.UnitSize, &action, &stamp,
		&p.Content, &p.Reason, &p.Kind, &p.Attempts, &at, &next); err != nil {
		return p, err
	}
	p.Action, p.ParkedAt, p.NextRetry = feed.Action(action), parseTime(at), parseTime(next)
	return p, json.Unmarshal([]byte(stamp), &p.Stamp)
}

// RetryNow makes parked events due at once; an empty UUID means all of them. It returns how many there are.
func (tx *Tx) RetryNow(uuid string) (int, error) {
	var n int
	if _, err := tx.one("SELECT COUNT(*) FROM sync_parked WHERE ? IN ('', uuid)", []any{uuid}, &n); err != nil || n == 0 {
		return 0, err
	}
	return n, tx.exec("UPDATE sync_parked SET next_retry = ? WHERE ? IN ('', uuid)", timeText(tx.Now()), uuid)
}

// Event returns the parked event as it came.
func (p Parked) Event() feed.Event {
	return feed.Event{Seq: p.Cursor.Seq, Key: p.Key, Action: p.Action, Stamp: p.Stamp, Unit: p.Unit, UnitSize: p.UnitSize, Size: len(p.Content), Content: p.Content}
}
