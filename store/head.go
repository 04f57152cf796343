package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// LogHead is a position in a node's log with a check of what stands there and before it. Who remembers it can tell later whether the
// log still has the past that it had (DESIGN.md 4.3, restore and clone).
type LogHead struct {
	feed.Cursor
	Check  string // hexadecimal digits: the first half of the row, the second of it and those before it
	Before string // the beginnings of the epochs that the log had before, separated by dots; empty where that is not said
}

// String returns "epoch:sequence:check", and behind another colon the epochs before where they are said.
func (h LogHead) String() string {
	if h.IsZero() {
		return ""
	}
	text := h.Cursor.String() + ":" + h.Check
	if h.Before != "" {
		text += ":" + h.Before
	}
	return text
}

// Follows reports whether a head says that its log was a later one than that of an epoch.
func (h LogHead) Follows(epoch string) bool {
	return slices.Contains(strings.Split(h.Before, "."), beginning(epoch))
}

const (
	beginningDigits = 8
	maxBefore       = 16 // epochs in a head
)

func beginning(epoch string) string { return epoch[:min(beginningDigits, len(epoch))] }

// Telling returns the head of the log as a peer is to remember it, the zero head of an empty log.
func (r *Reader) Telling() (LogHead, error) {
	seq, err := r.Head()
	if err != nil || seq == 0 {
		return LogHead{}, err
	}
	h, _, err := r.LogHead(r.Identity().Epoch, seq)
	if err != nil {
		return h, err
	}
	past, err := r.PastEpochs(maxBefore)
	for i := range past {
		past[i] = beginning(past[i])
	}
	h.Before = strings.Join(past, ".")
	return h, err
}

// Differs reports whether two heads are of logs that differ: at one sequence their checks are not the same, and neither covers rows that were
// collected. floor is up to where rows were collected when either was made.
func (h LogHead) Differs(o LogHead, floor uint64) bool {
	return h.Cursor == o.Cursor && h.Check != o.Check && (floor == 0 || h.Seq >= floor+checkRows)
}

// ParseLogHead reads what String writes; it returns an Invalid error for anything else.
func ParseLogHead(s string) (LogHead, error) {
	if s == "" {
		return LogHead{}, nil
	}
	var before string
	if parts := strings.SplitN(s, ":", 4); len(parts) == 4 {
		s, before = strings.Join(parts[:3], ":"), parts[3]
	}
	if len(before) > maxBefore*(beginningDigits+1) {
		return LogHead{}, syncerr.New(syncerr.Invalid, "read log head", "it names more than %d epochs", maxBefore)
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 || len(s)-i-1 != checkDigits {
		return LogHead{}, syncerr.New(syncerr.Invalid, "read log head", "%.100q is not epoch:sequence:check", s)
	}
	if _, err := hex.DecodeString(s[i+1:]); err != nil {
		return LogHead{}, syncerr.New(syncerr.Invalid, "read log head", "%.100q is not epoch:sequence:check", s)
	}
	c, err := feed.ParseCursor(s[:i])
	return LogHead{Cursor: c, Check: s[i+1:], Before: before}, err
}

const (
	checkDigits = 32
	checkRows   = 16 // rows that a check covers: two pasts that differ differ in one of the last of them
)

// LogHead returns the check at a sequence, over that row and those before it; false where the log has no such row.
func (q *query) LogHead(epoch string, seq uint64) (LogHead, bool, error) {
	var row [sha256.Size]byte
	sum := sha256.New()
	found := false
	err := q.each("SELECT seq, type, id, replica, tick, authored, deleted, hash FROM change_log WHERE seq <= ? ORDER BY seq DESC LIMIT ?", []any{seq, checkRows},
		func(rows *sql.Rows) error {
			var at, tick uint64
			var typ, id, replica string
			var authored int64 // of two lives that wrote the same at the same place
			var deleted int
			var hash []byte
			if err := rows.Scan(&at, &typ, &id, &replica, &tick, &authored, &deleted, &hash); err != nil {
				return err
			}
			line := fmt.Appendf(nil, "%d %s/%s %d-%s %d %d %x\n", at, typ, id, tick, replica, authored, deleted, hash)
			if at == seq {
				found, row = true, sha256.Sum256(line)
			}
			_, err := sum.Write(line)
			return err
		})
	h := LogHead{Cursor: feed.Cursor{Epoch: epoch, Seq: seq}, Check: hex.EncodeToString(row[:])[:checkDigits/2] + hex.EncodeToString(sum.Sum(nil))[:checkDigits/2]}
	return h, found, err
}

// Has reports whether the log still has the past that a head was made of. A head of an epoch that this log had before its present
// one is had; one of an epoch that it never had is of a later life of this database.
func (r *Reader) Has(h LogHead) (bool, error) {
	if h.IsZero() || h.Seq == 0 {
		return true, nil
	}
	if h.Epoch != r.Identity().Epoch {
		var past string
		return r.one("SELECT value FROM node_state WHERE name = ?", []any{pastEpoch(h.Epoch)}, &past)
	}
	floor, err := r.Floor()
	if err != nil {
		return false, err
	}
	now, found, err := r.LogHead(h.Epoch, h.Seq)
	if err != nil || floor == 0 || h.Seq >= floor+checkRows {
		return found && now.Check == h.Check, err
	}
	if found { // rows before it that the check covered were collected: it stands for itself
		return now.Check[:checkDigits/2] == h.Check[:checkDigits/2], nil
	}
	// The row of the head itself was collected, and it is believed: a row goes only when every registered participant has acknowledged it to this
	// database, and whoever did has shown in the same exchange what it remembered of the log before. What remains is a participant that was not
	// registered then and is the only one who met another life: nothing is left here that could tell that life's row from the one that went.
	head, err := r.Head()
	return h.Seq <= head, err
}

// Remember keeps a child's log head, in the transaction of what was taken from it.
func (tx *Tx) Remember(child string, h LogHead) error {
	if h.IsZero() {
		return nil
	}
	return tx.SetState(headOf(child), h.String())
}

// Agree notes that a child remembers this node's log as it is up to a sequence; 0 for a child that says nothing.
func (tx *Tx) Agree(child string, seq uint64) error {
	if seq == 0 {
		return nil
	}
	return tx.SetState(agreedWith(child), feed.Cursor{Epoch: tx.Identity().Epoch, Seq: seq}.String())
}

// Agreed returns up to which sequence of this node's log a child was last seen to remember it as it is, 0 where that is not known.
func (s *Store) Agreed(ctx context.Context, child string) (uint64, error) {
	text, err := s.State(ctx, agreedWith(child))
	if err != nil || text == "" {
		return 0, err
	}
	c, err := feed.ParseCursor(text)
	if c.Epoch != s.Identity().Epoch {
		return 0, err
	}
	return c.Seq, err
}

// AgreedMost returns up to which sequence of this node's log any child was seen to remember it as it is, 0 where that is not known.
func (r *Reader) AgreedMost() (uint64, error) {
	var most uint64
	prefix := agreedWith("")
	err := r.each("SELECT value FROM node_state WHERE name > ? AND name < ?", []any{prefix, prefix + "~"}, func(rows *sql.Rows) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		c, err := feed.ParseCursor(text)
		if c.Epoch == r.Identity().Epoch {
			most = max(most, c.Seq)
		}
		return err
	})
	return most, err
}

func agreedWith(child string) string { return "agreed/" + child }

// PastEpochs returns the epochs of logs that this one followed, or that were lost before it, at most limit of them: the last noted ones.
func (r *Reader) PastEpochs(limit int) ([]string, error) {
	var out []string
	prefix := pastEpoch("")
	err := r.each("SELECT name FROM node_state WHERE name > ? AND name < ? ORDER BY value DESC, name LIMIT ?", []any{prefix, prefix + "~", limit}, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		out = append(out, strings.TrimPrefix(name, prefix))
		return err
	})
	return out, err
}

func pastEpoch(epoch string) string { return "epoch/" + epoch }

func headOf(child string) string { return "head/" + child }

func departed(name string) string { return "departed/" + name }

// Remembered returns the log head of a child that was remembered last, the zero head where there is none. A child that was removed and
// added again under its name, with one of the replicas that it had, is the same one: what it sent before must not be forgotten with its
// credential.
func (q *query) Remembered(child, name string, replica version.Replica) (LogHead, error) {
	text, err := q.State(headOf(child))
	if err != nil {
		return LogHead{}, err
	}
	if text == "" {
		before, err := q.State(departed(name))
		if err != nil {
			return LogHead{}, err
		}
		if words := strings.Fields(before); len(words) > 1 && slices.Contains(words[1:], string(replica)) {
			text = words[0]
		}
	}
	return ParseLogHead(text)
}

// depart keeps the log head of a child that is removed, with the replicas that its node had.
func (tx *Tx) depart(name string) error {
	var id, replica string
	ok, err := tx.one("SELECT id, replica FROM participant WHERE kind = ? AND name = ?", []any{KindChild, name}, &id, &replica)
	if err != nil || !ok {
		return err
	}
	head, err := tx.State(headOf(id))
	if err != nil || head == "" {
		return err
	}
	words := []string{head, replica}
	err = tx.each("SELECT id FROM replica WHERE name = (SELECT name FROM replica WHERE id = ?) AND id <> ? ORDER BY id", []any{replica, replica}, func(rows *sql.Rows) error {
		var other string
		err := rows.Scan(&other)
		words = append(words, other)
		return err
	})
	if err != nil {
		return err
	}
	return tx.SetState(departed(name), strings.Join(words, " "))
}

// LastTicks returns, by resource type, the last tick of an own replica that is certain to have been given once: the highest in the log up
// to a sequence, or of what was collected. A row is only collected once the parent has it, and whoever met the parent since its database
// was put back knows of that: so a collected row was given before, and with it all ticks below its own.
func (q *query) LastTicks(replica version.Replica, upTo uint64) (map[string]uint64, error) {
	out := map[string]uint64{}
	prefix := collectedTick(string(replica), "")
	note := func(rows *sql.Rows) error {
		var t string
		var n uint64
		if err := rows.Scan(&t, &n); err != nil {
			return err
		}
		t = strings.TrimPrefix(t, prefix)
		out[t] = max(out[t], n)
		return nil
	}
	if err := q.each("SELECT type, MAX(tick) FROM change_log WHERE replica = ? AND seq <= ? GROUP BY type", []any{string(replica), upTo}, note); err != nil {
		return nil, err
	}
	return out, q.each("SELECT name, value FROM counter WHERE name > ? AND name < ?", []any{prefix, prefix + "~"}, note)
}
