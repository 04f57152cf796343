package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

// The states of a conflict.
const (
	ConflictDecided = "decided" // a policy or a person chose
	ConflictOpen    = "open"    // it waits for a person
	ConflictHeld    = "held"    // it waits for the parent, or for a person: a hold, which is no row of its own
)

// Conflict is two copies neither of which had seen the other. Both stay readable.
type Conflict struct {
	UUID            string          `json:"uuid"`
	Key             fhir.Key        `json:"resource"`
	Status          string          `json:"status"`
	Rule            string          `json:"rule"`
	Winner          string          `json:"winner,omitempty"` // local, incoming, or empty while open
	Flagged         bool            `json:"flagged,omitempty"`
	Peer            string          `json:"peer"`
	Opened          int64           `json:"opened"`
	Closed          int64           `json:"closed,omitempty"`
	Decided         version.Version `json:"decidedVersion,omitzero"`
	Local           version.Stamp   `json:"local"`
	LocalContent    json.RawMessage `json:"localContent,omitempty"`
	Incoming        version.Stamp   `json:"incoming"`
	IncomingContent json.RawMessage `json:"incomingContent,omitempty"`
	Kind            string          `json:"kind,omitempty"`
	Ancestor        version.Version `json:"ancestorVersion,omitzero"`
	AncestorContent json.RawMessage `json:"ancestorContent,omitempty"` // nil where history has it no more, or there was none
	Reason          string          `json:"reason,omitempty"`          // why it was decided as it was, or waits
	Actor           string          `json:"resolvedBy,omitempty"`      // who resolved it
	Remark          string          `json:"remark,omitempty"`          // why, as that person said
}

// Basis names the two copies as they stand: what somebody decides on another basis is about copies that have moved on.
func (c Conflict) Basis() string {
	sum := sha256.Sum256([]byte(c.Local.Version.String() + " " + c.Incoming.Version.String()))
	return hex.EncodeToString(sum[:6])
}

// The kinds of a conflict.
const (
	KindEdit     = "edit"     // two changes of one copy
	KindDeletion = "deletion" // one side deleted what the other changed
	KindIdentity = "identity" // two nodes made a resource of that key each: perhaps two patients
)

const conflictColumns = "uuid, type, id, status, rule, winner, flagged, peer, opened, closed, decided_version, local_stamp, local_content, incoming_stamp, incoming_content"

// PutConflict writes a conflict and returns its UUID. An open one takes the place of an open one of the same key: there is one
// open row a key.
func (tx *Tx) PutConflict(c Conflict) (string, error) {
	local, err := json.Marshal(c.Local)
	if err != nil {
		return "", err
	}
	incoming, err := json.Marshal(c.Incoming)
	if err != nil {
		return "", err
	}
	if c.UUID == "" {
		c.UUID = tx.rowUUID()
		if c.Status == ConflictOpen {
			tx.t.anyOpen = true
			var open, since string
			ok, err := tx.one("SELECT uuid, opened FROM sync_conflict WHERE type = ? AND id = ? AND status = 'open'", []any{c.Key.Type, c.Key.ID}, &open, &since)
			if err != nil {
				return "", err
			}
			if ok {
				c.UUID, c.Opened = open, parseTime(since)
			}
		}
	}
	if c.Opened == 0 {
		c.Opened = tx.Now()
	}
	var closed any
	if c.Status != ConflictOpen {
		closed = timeText(tx.Now())
	}
	if err := tx.exec("REPLACE INTO conflict_detail (uuid, kind, ancestor_version, ancestor_content, reason, actor, remark) VALUES (?, ?, ?, ?, ?, ?, ?)",
		c.UUID, c.Kind, versionText(c.Ancestor), blobOf(c.AncestorContent), clip(c.Reason, 4000), clip(c.Actor, 100), clip(c.Remark, 4000)); err != nil {
		return "", err
	}
	return c.UUID, tx.exec("REPLACE INTO sync_conflict ("+conflictColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", c.UUID, c.Key.Type, c.Key.ID,
		c.Status, c.Rule, c.Winner, boolInt(c.Flagged), clip(c.Peer, 100), timeText(c.Opened), closed, c.Decided.String(), string(local), blobOf(c.LocalContent),
		string(incoming), blobOf(c.IncomingContent))
}

func versionText(v version.Version) string {
	if v.IsZero() {
		return ""
	}
	return v.String()
}

func blobOf(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// CloseConflicts closes the open conflict of a key whose two copies v has seen, as decided by it.
func (tx *Tx) CloseConflicts(k fhir.Key, v version.Stamp, winner string) error {
	if !tx.t.anyOpen {
		return nil
	}
	open, err := tx.conflicts("WHERE type = ? AND id = ? AND status = 'open'", k.Type, k.ID)
	if err != nil {
		return err
	}
	for _, c := range open {
		if !v.Vector.Contains(c.Local.Version) || !v.Vector.Contains(c.Incoming.Version) {
			continue
		}
		if err := tx.exec("UPDATE sync_conflict SET status = 'decided', winner = ?, decided_version = ?, closed = ? WHERE uuid = ?",
			winner, v.Version.String(), timeText(tx.Now()), c.UUID); err != nil {
			return err
		}
	}
	return nil
}

// OpenConflict returns the open conflict of a key.
func (q *query) OpenConflict(k fhir.Key) (Conflict, bool, error) {
	out, err := q.conflicts("WHERE type = ? AND id = ? AND status = 'open'", k.Type, k.ID)
	if err != nil || len(out) == 0 {
		return Conflict{}, false, err
	}
	return out[0], true, nil
}

// ConflictNamed returns the conflict with a UUID.
func (q *query) ConflictNamed(uuid string) (Conflict, bool, error) {
	out, err := q.conflicts("WHERE uuid = ?", uuid)
	if err != nil || len(out) == 0 {
		return Conflict{}, false, err
	}
	return out[0], true, nil
}

// ConflictsOf returns the conflicts that there were of a key, the newest first, at most ten.
func (q *query) ConflictsOf(k fhir.Key) ([]Conflict, error) {
	return q.conflicts("WHERE type = ? AND id = ? ORDER BY opened DESC, uuid DESC LIMIT 10", k.Type, k.ID)
}

// ConflictFilter selects conflicts; zero fields select everything.
type ConflictFilter struct {
	UUID, Status string
	Key          fhir.Key
	Limit        int
}

// Conflicts returns conflicts, the newest first.
func (s *Store) Conflicts(ctx context.Context, f ConflictFilter) ([]Conflict, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	d := s.direct(ctx)
	out, err := d.conflicts("WHERE ? IN ('', uuid) AND ? IN ('', status) AND ? IN ('', type) AND ? IN ('', id) ORDER BY opened DESC, uuid DESC LIMIT ?",
		f.UUID, f.Status, f.Key.Type, f.Key.ID, f.Limit)
	return out, s.dialect.wrap("read conflicts", err)
}

func (q *query) conflicts(where string, args ...any) ([]Conflict, error) {
	var out []Conflict
	err := q.each("SELECT "+conflictColumns+", kind, ancestor_version, ancestor_content, reason, actor, remark"+
		" FROM sync_conflict LEFT JOIN conflict_detail USING (uuid) "+where, args, func(rows *sql.Rows) error {
		var c Conflict
		var flagged int
		var opened, decided, local, incoming string
		var closed sql.NullString
		var lc, ic, ac []byte
		var kind, ancestor, reason, actor, remark sql.NullString
		if err := rows.Scan(&c.UUID, &c.Key.Type, &c.Key.ID, &c.Status, &c.Rule, &c.Winner, &flagged, &c.Peer, &opened, &closed, &decided, &local, &lc, &incoming, &ic,
			&kind, &ancestor, &ac, &reason, &actor, &remark); err != nil {
			return err
		}
		c.Flagged, c.Opened, c.Closed, c.LocalContent, c.IncomingContent = flagged != 0, parseTime(opened), parseTime(closed.String), lc, ic
		c.Kind, c.AncestorContent, c.Reason, c.Actor, c.Remark = kind.String, ac, reason.String, actor.String, remark.String
		if ancestor.String != "" {
			v, err := version.Parse(ancestor.String)
			if err != nil {
				return err
			}
			c.Ancestor = v
		}
		if decided != "" {
			v, err := version.Parse(decided)
			if err != nil {
				return err
			}
			c.Decided = v
		}
		if err := json.Unmarshal([]byte(local), &c.Local); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(incoming), &c.Incoming); err != nil {
			return err
		}
		out = append(out, c)
		return nil
	})
	return out, err
}
