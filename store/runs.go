package store

import (
	"context"
	"database/sql"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
)

// OpenRun writes the row of a pass that begins. Rows of the same direction that an earlier process left open become
// "interrupted": that is how a crash shows.
func (tx *Tx) OpenRun(r audit.Run) error {
	if err := tx.exec("UPDATE sync_run SET outcome = 'interrupted', finished = ? WHERE outcome = 'running' AND direction = ?",
		timeText(r.Started), r.Direction); err != nil {
		return err
	}
	return tx.exec("INSERT INTO sync_run (id, direction, peer, started, finished, outcome, events_read, applied, skipped, held, parked, "+
		"bytes_in, bytes_out, error) VALUES (?, ?, ?, ?, NULL, 'running', 0, 0, 0, 0, 0, 0, 0, '')", r.ID, r.Direction, clip(r.Peer, 100), timeText(r.Started))
}

// CloseOrphans marks the passes that a process left open which runs no more: that is how a crash shows.
func (tx *Tx) CloseOrphans() error {
	return tx.exec("UPDATE sync_run SET outcome = 'interrupted', finished = ? WHERE outcome = 'running'", timeText(tx.Now()))
}

// SaveRun writes the counts of a pass; a Finished time closes it.
func (tx *Tx) SaveRun(r audit.Run) error {
	var finished any
	if r.Finished > 0 {
		finished = timeText(r.Finished)
	}
	return tx.exec("UPDATE sync_run SET finished = ?, outcome = ?, events_read = ?, applied = ?, skipped = ?, held = ?, parked = ?, bytes_in = ?, "+
		"bytes_out = ?, error = ? WHERE id = ?", finished, r.Outcome, r.Read, r.Applied, r.Skipped, r.Held, r.Parked, r.BytesIn, r.BytesOut, clip(r.Error, 4000), r.ID)
}

// Runs returns the newest passes of a direction ("" for both), newest first.
func (s *Store) Runs(ctx context.Context, direction string, limit int) ([]audit.Run, error) {
	d := s.direct(ctx)
	out, err := d.runs("WHERE ? IN ('', direction) ORDER BY started DESC, id DESC LIMIT ?", direction, limit)
	return out, s.dialect.wrap("read runs", err)
}

// Run returns one pass; false where there is none.
func (s *Store) Run(ctx context.Context, id string) (audit.Run, bool, error) {
	d := s.direct(ctx)
	out, err := d.runs("WHERE id = ?", id)
	if err != nil || len(out) == 0 {
		return audit.Run{}, false, s.dialect.wrap("read run", err)
	}
	return out[0], true, nil
}

func (q *query) runs(where string, args ...any) ([]audit.Run, error) {
	var out []audit.Run
	err := q.each("SELECT id, direction, peer, started, finished, outcome, events_read, applied, skipped, held, parked, bytes_in, bytes_out, error "+
		"FROM sync_run "+where, args, func(rows *sql.Rows) error {
		var r audit.Run
		var started string
		var finished sql.NullString
		if err := rows.Scan(&r.ID, &r.Direction, &r.Peer, &started, &finished, &r.Outcome, &r.Read, &r.Applied, &r.Skipped, &r.Held, &r.Parked,
			&r.BytesIn, &r.BytesOut, &r.Error); err != nil {
			return err
		}
		r.Started, r.Finished = parseTime(started), parseTime(finished.String)
		out = append(out, r)
		return nil
	})
	return out, err
}

// Position is how far a reader has come in a log. Scope is what it read for: a changed scope starts anew. Backlog is how many
// rows were left when it last read; Updated is when, in milliseconds since 1970 UTC.
type Position struct {
	feed.Cursor
	Scope   string
	Backlog uint64
	Updated int64
	// Revision is that of the peer's knowledge which was merged at the end of the last complete pass (pull), or of the own one that was
	// told then (push).
	Revision uint64
	// Resume is the place in a catch-up that is not at its end, as the lister wrote it; CatchUp at its begin. The cursor counts after it.
	Resume string
}

// CatchUp is the Resume of a catch-up that begins.
const CatchUp = "begin"

// Position returns how far a reader has come, the zero Position where it never read.
func (s *Store) Position(ctx context.Context, peer, direction string) (Position, error) {
	q := s.direct(ctx)
	p, err := q.Position(peer, direction)
	return p, s.dialect.wrap("read cursor", err)
}

// Position returns how far a reader has come, the zero Position where it never read.
func (q *query) Position(peer, direction string) (Position, error) {
	var p Position
	var updated string
	_, err := q.one("SELECT scope, epoch, seq, backlog, revision, resume, updated FROM sync_cursor WHERE peer = ? AND direction = ?", []any{peer, direction},
		&p.Scope, &p.Epoch, &p.Seq, &p.Backlog, &p.Revision, &p.Resume, &updated)
	p.Updated = parseTime(updated)
	return p, err
}

// SetPosition stores how far a reader has come, in the transaction of what it read.
func (tx *Tx) SetPosition(peer, direction string, p Position) error {
	return tx.exec("REPLACE INTO sync_cursor (peer, direction, scope, epoch, seq, backlog, revision, resume, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		peer, direction, p.Scope, p.Epoch, p.Seq, p.Backlog, p.Revision, p.Resume, timeText(tx.Now()))
}
