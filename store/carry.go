package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// CarryPeer is a node with which sticks are exchanged. Times are milliseconds since 1970 UTC; a serial counts the bundles of a direction.
type CarryPeer struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	PublicKey  string     `json:"publicKey"` // Ed25519, base64
	Introduced int64      `json:"introduced"`
	Out        uint64     `json:"out"`             // the last bundle that was written for it
	OutAt      int64      `json:"outAt,omitempty"` // 0 where none was
	In         uint64     `json:"in"`              // the newest of its bundles that was taken to its end
	InAt       int64      `json:"inAt,omitempty"`
	Acked      uint64     `json:"acked"` // the newest bundle for it that it has taken to its end
	State      CarryState `json:"state"`
}

// CarryState is what both sides of an exchange by sticks have told, and how far this one has come.
type CarryState struct {
	Types  []string    `json:"types,omitempty"`  // resource types that go, nil for all
	Ours   bool        `json:"ours,omitempty"`   // this node said that it decides
	Theirs bool        `json:"theirs,omitempty"` // the peer said that it decides
	Said   CarrySaid   `json:"said,omitzero"`
	Place  CarryPlace  `json:"place,omitzero"` // how far this node has come in what the peer writes and has not ended
	Taking Taking      `json:"taking,omitzero"`
	Read   feed.Cursor `json:"read,omitzero"`   // up to where this node has the peer's log
	Heads  []string    `json:"heads,omitempty"` // of the peer's log, as its bundles said (LogHead.String), the newest last
	Floor  uint64      `json:"floor,omitempty"` // up to where rows of the peer's log were collected
	Wrote  []string    `json:"wrote,omitempty"` // the bundles of the present log that were written for it, as it is told of them, the newest last
	Seen   []string    `json:"seen,omitempty"`  // its own ones of which it told
}

// CarrySaid is what a peer said of itself in its newest bundle that was taken.
type CarrySaid struct {
	Serial  uint64          `json:"serial"`
	Replica version.Replica `json:"replica,omitempty"`
	Epoch   string          `json:"epoch"` // of its log
	Asks    []string        `json:"asks,omitempty"`
	Place   CarryPlace      `json:"place,omitzero"` // how far it has come in what this node writes
	Read    feed.Cursor     `json:"read,omitzero"`  // up to where it has this node's log
}

// CarryPlace is a place in what a node writes: in a list of copies, or behind a sequence of its log. The zero place is the begin of a list.
type CarryPlace struct {
	Scope  string `json:"scope,omitempty"` // the types that go; a place of another scope does not fit
	Epoch  string `json:"epoch,omitempty"`
	Resume string `json:"resume,omitempty"` // Place.String within the list, empty behind it
	Seq    uint64 `json:"seq,omitempty"`
}

// IsZero reports whether the place is the begin.
func (p CarryPlace) IsZero() bool { return p == CarryPlace{} }

// Taking is a bundle that is being taken.
type Taking struct {
	Bundle string `json:"bundle,omitempty"`
	Done   int    `json:"done,omitempty"`   // parts of it that were taken
	Covers bool   `json:"covers,omitempty"` // it goes on from where this node was
}

const carryColumns = "id, name, public_key, introduced, out_serial, out_at, in_serial, in_at, acked, state"

// CarryPeers returns the nodes with which sticks are exchanged, by name.
func (s *Store) CarryPeers(ctx context.Context) ([]CarryPeer, error) {
	d := s.direct(ctx)
	out, err := d.carryPeers("ORDER BY name")
	return out, s.dialect.wrap("read peers of sticks", err)
}

// CarryPeer returns the one with that name or public key; false where there is none.
func (s *Store) CarryPeer(ctx context.Context, name, publicKey string) (CarryPeer, bool, error) {
	d := s.direct(ctx)
	out, err := d.carryPeers("WHERE name = ? OR public_key = ? ORDER BY name LIMIT 1", name, publicKey)
	if err != nil || len(out) == 0 {
		return CarryPeer{}, false, s.dialect.wrap("read peer of sticks", err)
	}
	return out[0], true, nil
}

// CarryPeer returns the peer of an id as this transaction sees it. It returns a NotFound error where it was forgotten.
func (tx *Tx) CarryPeer(id string) (CarryPeer, error) {
	out, err := tx.carryPeers("WHERE id = ?", id)
	if err != nil {
		return CarryPeer{}, err
	}
	if len(out) == 0 {
		return CarryPeer{}, syncerr.New(syncerr.NotFound, "read peer of sticks", "it was forgotten meanwhile")
	}
	return out[0], nil
}

func (q *query) carryPeers(where string, args ...any) ([]CarryPeer, error) {
	var out []CarryPeer
	err := q.each("SELECT "+carryColumns+" FROM carry_peer "+where, args, func(rows *sql.Rows) error {
		var p CarryPeer
		var introduced, outAt, inAt, state string
		if err := rows.Scan(&p.ID, &p.Name, &p.PublicKey, &introduced, &p.Out, &outAt, &p.In, &inAt, &p.Acked, &state); err != nil {
			return err
		}
		p.Introduced, p.OutAt, p.InAt = parseTime(introduced), max(0, parseTime(outAt)), max(0, parseTime(inAt))
		out = append(out, p)
		return json.Unmarshal([]byte(state), &out[len(out)-1].State)
	})
	return out, err
}

// SaveCarryPeer stores a peer, a new one or one that is there; what it told of its knowledge stays.
func (tx *Tx) SaveCarryPeer(p CarryPeer) error {
	state, err := json.Marshal(p.State)
	if err != nil {
		return err
	}
	values := []any{p.Name, p.PublicKey, timeText(p.Introduced), p.Out, timeText(p.OutAt), p.In, timeText(p.InAt), p.Acked, string(state), p.ID}
	have, err := tx.carryPeers("WHERE id = ?", p.ID)
	if err != nil {
		return err
	}
	if len(have) > 0 {
		return tx.exec("UPDATE carry_peer SET name = ?, public_key = ?, introduced = ?, out_serial = ?, out_at = ?, in_serial = ?, in_at = ?, acked = ?, state = ? "+
			"WHERE id = ?", values...)
	}
	return tx.exec("INSERT INTO carry_peer (name, public_key, introduced, out_serial, out_at, in_serial, in_at, acked, state, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values...)
}

// RemoveCarryPeer forgets a peer and what it had still to be told.
func (tx *Tx) RemoveCarryPeer(id string) error {
	if err := tx.exec("DELETE FROM carry_receipt WHERE peer = ?", id); err != nil {
		return err
	}
	return tx.exec("DELETE FROM carry_peer WHERE id = ?", id)
}

// SetCarryKnown stores what a peer said that it knows, as its bundle had it.
func (tx *Tx) SetCarryKnown(id string, known []byte) error {
	return tx.exec("UPDATE carry_peer SET known = ? WHERE id = ?", known, id)
}

// CarryKnown returns what SetCarryKnown stored, nil where nothing was.
func (s *Store) CarryKnown(ctx context.Context, id string) ([]byte, error) {
	d := s.direct(ctx)
	var b []byte
	_, err := d.one("SELECT known FROM carry_peer WHERE id = ?", []any{id}, &b)
	return b, s.dialect.wrap("read what a peer knows", err)
}

// KeepCarryReceipts keeps what became of changes that a peer's stick brought, to tell it. What it had only sent again is not told again.
func (tx *Tx) KeepCarryReceipts(peer string, receipts []feed.Receipt) error {
	var rows [][]any
	for _, r := range receipts {
		if r.Result == feed.Same || r.Key.Validate() != nil || !r.Version.Replica.Valid() || r.Version.Tick == 0 || r.Version.Tick > version.MaxTick {
			continue
		}
		rows = append(rows, []any{peer, r.Key.Type, r.Key.ID, string(r.Version.Replica), r.Version.Tick, string(r.Result), clip(r.Reason, 2000), 0})
	}
	return tx.insert("REPLACE INTO carry_receipt (peer, type, id, replica, tick, result, reason, sent)", 8, rows)
}

// SendCarryReceipts notes that a bundle tells all receipts of a peer that were not told before.
func (tx *Tx) SendCarryReceipts(peer string, serial uint64) error {
	return tx.exec("UPDATE carry_receipt SET sent = ? WHERE peer = ? AND sent = 0", serial, peer)
}

// UnsendCarryReceipts notes that the receipts of a peer from a key on, in the order of CarryReceipts, are still to be told.
func (tx *Tx) UnsendCarryReceipts(peer string, from fhir.Key) error {
	return tx.exec("UPDATE carry_receipt SET sent = 0 WHERE peer = ? AND (type > ? OR type = ? AND id >= ?)", peer, from.Type, from.Type, from.ID)
}

// EndCarryReceipts drops the receipts that a peer has been told by a bundle.
func (tx *Tx) EndCarryReceipts(peer string, serial uint64) error {
	return tx.exec("DELETE FROM carry_receipt WHERE peer = ? AND sent > 0 AND sent <= ?", peer, serial)
}

// CarryReceipts gives the receipts that a bundle tells, in the order of their keys, each with the stamp of the copy that stands now.
func (r *Reader) CarryReceipts(peer string, serial uint64, take func(feed.Receipt) error) error {
	return r.each("SELECT c.type, c.id, c.replica, c.tick, c.result, c.reason, COALESCE(r.replica, ''), COALESCE(r.tick, 0), COALESCE(r.vector, ''), "+
		"COALESCE(r.author, ''), COALESCE(r.authored, 0), COALESCE(r.origin, ''), COALESCE(r.deleted, 0), r.hash FROM carry_receipt c "+
		"LEFT JOIN resource r ON r.type = c.type AND r.id = c.id WHERE c.peer = ? AND c.sent > 0 AND c.sent <= ? ORDER BY c.type, c.id, c.replica, c.tick",
		[]any{peer, serial}, func(rows *sql.Rows) error {
			var out feed.Receipt
			var replica, result string
			var s rawStamp
			if err := rows.Scan(append([]any{&out.Key.Type, &out.Key.ID, &replica, &out.Version.Tick, &result, &out.Reason}, s.into()...)...); err != nil {
				return err
			}
			out.Version.Replica, out.Result = version.Replica(replica), feed.Result(result)
			if s.replica == "" {
				return take(out) // what was refused has no copy here
			}
			var err error
			if out.Stamp, err = s.stamp(); err != nil {
				return err
			}
			return take(out)
		})
}
