package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

// Held is a copy set aside at a child until its parent has decided (DESIGN.md 4.2, holds).
type Held struct {
	Key     fhir.Key      `json:"resource"`
	Peer    string        `json:"peer"`
	Action  feed.Action   `json:"action"`
	Stamp   version.Stamp `json:"stamp"`
	Content []byte        `json:"-"`
	HeldAt  int64         `json:"heldAt"`
	Refusal string        `json:"refusal,omitempty"` // what the parent said when it refused the own copy
}

// StickPeer returns the name under which runs, audit and holds show a node that is met by sticks alone.
func StickPeer(name string) string { return stickPrefix + name }

const stickPrefix = "stick:"

// ByStick reports whether the copy came by a stick from a node that is neither parent nor child: that node decides.
func (h Held) ByStick() bool { return strings.HasPrefix(h.Peer, stickPrefix) }

// Event returns the held copy as it came.
func (h Held) Event() feed.Event {
	return feed.Event{Key: h.Key, Action: h.Action, Stamp: h.Stamp, Size: len(h.Content), Content: h.Content}
}

// Hold sets a copy aside. Of the held copies of a key only those stay that are not contained in a newer held one, which has then seen what they had.
func (tx *Tx) Hold(h Held) error {
	have, err := tx.HeldOf(h.Key)
	if err != nil {
		return err
	}
	for _, o := range have {
		if o.Stamp.Vector.Contains(h.Stamp.Version) {
			return tx.reheld(o, o.Stamp.Seeing(h.Stamp.Vector))
		}
		if h.Stamp.Vector.Contains(o.Stamp.Version) {
			if err := tx.exec("DELETE FROM sync_held WHERE type = ? AND id = ? AND version = ?", o.Key.Type, o.Key.ID, o.Stamp.Version.String()); err != nil {
				return err
			}
		}
	}
	stamp, err := json.Marshal(h.Stamp)
	if err != nil {
		return err
	}
	tx.t.anyHeld = true
	return tx.exec("REPLACE INTO sync_held (type, id, version, peer, action, stamp, content, held_at, refusal) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '')",
		h.Key.Type, h.Key.ID, h.Stamp.Version.String(), h.Peer, string(h.Action), string(stamp), h.Content, timeText(tx.Now()))
}

// reheld lets a held copy have seen what it had not.
func (tx *Tx) reheld(h Held, now version.Stamp) error {
	if now.Vector.Equal(h.Stamp.Vector) {
		return nil
	}
	stamp, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return tx.exec("UPDATE sync_held SET stamp = ? WHERE type = ? AND id = ? AND version = ?", string(stamp), h.Key.Type, h.Key.ID, h.Stamp.Version.String())
}

// EndHolds removes the holds of a key whose version the key's vector contains: that, and nothing else, ends a hold. It
// returns how many ended.
func (tx *Tx) EndHolds(k fhir.Key, v version.Vector) (int, error) {
	if !tx.t.anyHeld {
		return 0, nil
	}
	have, err := tx.HeldOf(k)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, h := range have {
		if v.Contains(h.Stamp.Version) {
			n++
			if err := tx.exec("DELETE FROM sync_held WHERE type = ? AND id = ? AND version = ?", k.Type, k.ID, h.Stamp.Version.String()); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// NoteRefusal stores what the parent said when it refused the own copy of a held key.
func (tx *Tx) NoteRefusal(k fhir.Key, reason string) error {
	if !tx.t.anyHeld {
		return nil
	}
	return tx.exec("UPDATE sync_held SET refusal = ? WHERE type = ? AND id = ?", clip(reason, 4000), k.Type, k.ID)
}

// HeldOf returns the holds of a key.
func (q *query) HeldOf(k fhir.Key) ([]Held, error) {
	return q.held("WHERE type = ? AND id = ? ORDER BY held_at, version", k.Type, k.ID)
}

// Held returns the holds, the oldest first; limit 0 means all.
func (s *Store) Held(ctx context.Context, limit int) ([]Held, error) {
	if limit <= 0 {
		limit = 1 << 30
	}
	d := s.direct(ctx)
	out, err := d.held("ORDER BY held_at, type, id, version LIMIT ?", limit)
	return out, s.dialect.wrap("read holds", err)
}

// HeldState is what stands against each other at a held key: State differs where the own copy or one of the held ones does, or has seen more.
type HeldState struct {
	Key   fhir.Key
	Own   version.Version // of the own copy, zero where there is none
	State string
}

// HeldStates returns the held keys, the one that is held longest first, without reading any content.
func (s *Store) HeldStates(ctx context.Context) ([]HeldState, error) {
	d := s.direct(ctx)
	out, err := d.heldStates("")
	return out, s.dialect.wrap("read holds", err)
}

// HeldState returns it of one key; false where nothing is held of it.
func (q *query) HeldState(k fhir.Key) (HeldState, bool, error) {
	out, err := q.heldStates("WHERE h.type = ? AND h.id = ? ", k.Type, k.ID)
	if err != nil || len(out) == 0 {
		return HeldState{}, false, err
	}
	return out[0], true, nil
}

func (q *query) heldStates(where string, args ...any) ([]HeldState, error) {
	var out []HeldState
	at := map[fhir.Key]int{}
	err := q.each(heldStates+where+"ORDER BY h.held_at, h.type, h.id, h.version", args, func(rows *sql.Rows) error {
		var h HeldState
		var seen, held string
		if err := rows.Scan(&h.Key.Type, &h.Key.ID, &h.Own.Replica, &h.Own.Tick, &seen, &held); err != nil {
			return err
		}
		i, ok := at[h.Key]
		if !ok {
			i = len(out)
			h.State = h.Own.String() + " " + seen
			at[h.Key], out = i, append(out, h)
		}
		out[i].State += " " + held
		return nil
	})
	return out, err
}

const heldStates = "SELECT h.type, h.id, COALESCE(r.replica, ''), COALESCE(r.tick, 0), COALESCE(r.vector, ''), h.stamp FROM sync_held h " +
	"LEFT JOIN resource r ON r.type = h.type AND r.id = h.id "

func (q *query) held(where string, args ...any) ([]Held, error) {
	var out []Held
	err := q.each("SELECT type, id, peer, action, stamp, content, held_at, refusal FROM sync_held "+where, args, func(rows *sql.Rows) error {
		var h Held
		var action, stamp, at string
		if err := rows.Scan(&h.Key.Type, &h.Key.ID, &h.Peer, &action, &stamp, &h.Content, &at, &h.Refusal); err != nil {
			return err
		}
		h.Action, h.HeldAt = feed.Action(action), parseTime(at)
		out = append(out, h)
		return json.Unmarshal([]byte(stamp), &out[len(out)-1].Stamp)
	})
	return out, err
}
