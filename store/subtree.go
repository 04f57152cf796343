package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Below is a node below this one, as a child reported it. Times are milliseconds since 1970 UTC by this node's clock.
type Below struct {
	Child    string // the participant through whom it came
	ID       string // that of the participant itself for the child
	Parent   string // the ID of the node above it, empty for a child
	Contact  int64  // when the node above it last heard it
	Reported int64  // when it last said how it stands; 0 where it never did
	Started  int64
	Gone     bool
	Stand    feed.Stand
	Touched  uint64
	Revision uint64 // when more than its contact last changed
}

// What is remembered of what children report.
const (
	mostBelow = 20_000                // nodes below one child
	goneFor   = 90 * 24 * 3600 * 1000 // how long it is remembered that a node went, in milliseconds
)

const belowColumns = "child, id, parent, report, contact, reported, gone, revision, touched"

type reportText struct {
	feed.Stand
	Started int64 `json:"started,omitempty"`
}

func (q *query) below(where string, args ...any) ([]Below, error) {
	var out []Below
	err := q.each("SELECT "+belowColumns+" FROM subtree "+where, args, func(rows *sql.Rows) error {
		var b Below
		var text string
		var gone int
		if err := rows.Scan(&b.Child, &b.ID, &b.Parent, &text, &b.Contact, &b.Reported, &gone, &b.Revision, &b.Touched); err != nil {
			return err
		}
		b.Gone = gone != 0
		var r reportText
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return syncerr.Wrap(syncerr.Internal, "read the nodes below", err)
		}
		b.Stand, b.Started = r.Stand, r.Started
		out = append(out, b)
		return nil
	})
	return out, err
}

// Below returns the nodes below this one, as they were reported.
func (s *Store) Below(ctx context.Context) ([]Below, error) {
	d := s.direct(ctx)
	out, err := d.below("WHERE gone = 0 ORDER BY child, id")
	return out, s.dialect.wrap("read the nodes below", err)
}

// BelowSince returns nodes of which anything changed after a revision, in the order of the changes, about limit of them and never part of those
// that changed together.
func (s *Store) BelowSince(ctx context.Context, revision uint64, limit int) ([]Below, error) {
	d := s.direct(ctx)
	out, err := d.below("WHERE touched > ? ORDER BY touched, id LIMIT ?", revision, limit+600)
	for n := limit; n < len(out); n++ {
		if out[n].Touched != out[n-1].Touched {
			out = out[:n]
		}
	}
	return out, s.dialect.wrap("read the nodes below", err)
}

// BelowFrom returns the nodes with IDs behind one, in their order, at most limit of them, and the revision as it is now.
func (s *Store) BelowFrom(ctx context.Context, id string, limit int) (out []Below, now uint64, err error) {
	err = s.Read(ctx, func(r *Reader) error {
		if out, err = r.below("WHERE gone = 0 AND id > ? ORDER BY id LIMIT ?", id, limit); err != nil {
			return err
		}
		_, err = r.one("SELECT value FROM counter WHERE name = ?", []any{counterRevision}, &now)
		return err
	})
	return out, now, err
}

// TakeReports stores what a child reports of itself and of the nodes below it. Only the child's own rows are touched by it.
func (tx *Tx) TakeReports(child string, m feed.Reports) error {
	revision, err := tx.revised(false)
	if err != nil {
		return err
	}
	if m.Whole {
		if err := tx.missing(child, m, revision); err != nil {
			return err
		}
	}
	for _, n := range m.Nodes {
		if err := tx.takeReport(child, n, revision); err != nil {
			return err
		}
	}
	return nil
}

// missing notes that nodes of a range went which the child does not name any more.
func (tx *Tx) missing(child string, m feed.Reports, revision uint64) error {
	named := map[string]bool{}
	for _, n := range m.Nodes {
		named[n.ID] = true
	}
	was, err := tx.below("WHERE child = ? AND gone = 0 AND id > ? AND (? = '' OR id <= ?)", child, m.From, m.To, m.To)
	if err != nil {
		return err
	}
	for _, b := range was {
		if b.ID == child || named[b.ID] {
			continue
		}
		if err := tx.leave(child, b.ID, revision); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) leave(child, id string, revision uint64) error {
	return tx.exec("UPDATE subtree SET gone = 1, reported = ?, revision = ?, touched = ? WHERE child = ? AND id = ? AND gone = 0", tx.Now(), revision, revision, child, id)
}

func (tx *Tx) takeReport(child string, n feed.Report, revision uint64) error {
	id, parent := n.ID, n.Parent
	switch {
	case id == "" || id == child:
		id, parent = child, ""
	case parent == "":
		parent = child
	}
	if n.Gone {
		return tx.leave(child, id, revision)
	}
	now := tx.Now()
	contact, was := now-n.Contact, int64(0)
	if _, err := tx.one("SELECT contact FROM subtree WHERE child = ? AND id = ?", []any{child, id}, &was); err != nil {
		return err
	}
	if was <= now {
		contact = max(contact, was) // a child that was put back does not know any more when it heard others
	}
	if n.Stand == nil {
		return tx.exec("UPDATE subtree SET contact = ?, touched = ? WHERE child = ? AND id = ? AND gone = 0", contact, revision, child, id)
	}
	var count int
	if _, err := tx.one("SELECT COUNT(*) FROM subtree WHERE child = ? AND id <> ?", []any{child, id}, &count); err != nil || count >= mostBelow {
		return err
	}
	s := *n.Stand
	r := reportText{Stand: s, Started: now - s.Uptime}
	reported := now - s.Age
	r.Age, r.Uptime = 0, 0
	text, err := json.Marshal(r)
	if err != nil {
		return syncerr.Wrap(syncerr.Internal, "store a report", err)
	}
	if err := tx.Ask(child, s.Replicas); err != nil {
		return err
	}
	return tx.exec("REPLACE INTO subtree (child, id, parent, name, replica, report, contact, reported, gone, revision, touched) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)",
		child, id, parent, s.Name, string(s.Replicas[0]), string(text), contact, reported, revision, revision)
}

// Contacted notes that a child was heard, where that is later by a step, in milliseconds, than was noted before: then it is told upward.
func (tx *Tx) Contacted(child string, step int64) error {
	var n int
	now := tx.Now()
	if ok, err := tx.one("SELECT 1 FROM subtree WHERE child = ? AND id = ? AND gone = 0 AND (contact < ? OR contact > ?)", []any{child, child, now - step, now}, &n); err != nil || !ok {
		return err
	}
	revision, err := tx.revised(false)
	if err != nil {
		return err
	}
	return tx.exec("UPDATE subtree SET contact = ?, touched = ? WHERE child = ? AND id = ?", now, revision, child, child)
}

// departs notes that a child was removed, and with it the nodes below it.
func (tx *Tx) departs(child string) error {
	if err := tx.exec("DELETE FROM reach_asked WHERE child = ?", child); err != nil {
		return err
	}
	revision, err := tx.revised(false)
	if err != nil {
		return err
	}
	return tx.exec("UPDATE subtree SET gone = 1, reported = ?, revision = ?, touched = ? WHERE child = ? AND gone = 0", tx.Now(), revision, revision, child)
}

// PruneBelow forgets nodes that went long ago.
func (tx *Tx) PruneBelow() error {
	return tx.exec("DELETE FROM subtree WHERE gone = 1 AND reported < ?", tx.Now()-goneFor)
}

// Needing is how many things wait here: changes that could not be taken over, copies held for the parent's decision, open conflicts.
func (s *Store) Needing(ctx context.Context) (parked, held, conflicts int64, err error) {
	d := s.direct(ctx)
	for _, q := range []struct {
		into  *int64
		table string
	}{{&parked, "sync_parked"}, {&held, "sync_held"}, {&conflicts, "sync_conflict WHERE status = 'open'"}} {
		if _, err := d.one("SELECT COUNT(*) FROM "+q.table, nil, q.into); err != nil {
			return 0, 0, 0, s.dialect.wrap("count what waits", err)
		}
	}
	return parked, held, conflicts, nil
}

// Replicas returns the replicas under which changes are made here: the present one first, then those that it was, and those of servers beside it.
func (q *query) Replicas(now version.Replica) ([]version.Replica, error) {
	out := []version.Replica{now}
	err := q.each("SELECT DISTINCT replica FROM tick WHERE value > 0 AND replica <> ? ORDER BY replica", []any{string(now)}, func(rows *sql.Rows) error {
		var r string
		err := rows.Scan(&r)
		out = append(out, version.Replica(r))
		return err
	})
	return out, err
}

// CommittedAfter returns when the first change behind a sequence was committed, in milliseconds since 1970 UTC; 0 where there is none.
func (q *query) CommittedAfter(seq uint64) (int64, error) {
	var at int64
	_, err := q.one("SELECT committed FROM change_log WHERE seq > ? ORDER BY seq LIMIT 1", []any{seq}, &at)
	return at, err
}
