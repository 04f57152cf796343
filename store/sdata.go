package store

import (
	"context"
	"database/sql"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Delta is what the source of an SData pass lists of a type: the current copies that a target does not know.
type Delta struct {
	Type  string
	Known feed.Known // what the target knows
	// Upto withholds versions above it and lists nothing but versions: for a target that knows neither exceptions nor vectors, whose knowledge
	// rises with every entry. Nil lists all, what was seen before what was written, so that the target's knowledge may rise with what
	// was written.
	Upto version.Vector
}

// Delta gives the copies of a list to row, by replica and tick, with their contents and from a place on, until limit rows or replicas were
// looked at; the list begins at Place{Head, Type}. It returns the place to go on from, and whether the list is at its end.
func (r *Reader) Delta(d Delta, at Place, limit int, row func(Row) error) (Place, bool, error) {
	l := &lister{r: r, known: d.Known, at: at, left: limit, row: func(e Row, _ Place) error { return row(e) }}
	l.sort()
	if l.at.Part == excepted {
		if d.Upto == nil {
			if done, err := l.excepted(); err != nil || !done {
				return l.at, false, err
			}
			l.at = Place{Head: at.Head, Type: d.Type, Part: vectors}
		} else {
			l.at = Place{Head: at.Head, Type: d.Type, Part: versions}
		}
	}
	if l.at.Part == vectors {
		if done, err := l.through(l.vectors); err != nil || !done {
			return l.at, false, err
		}
		l.at = Place{Head: at.Head, Type: d.Type, Part: versions}
	}
	done, err := l.through(func() (bool, error) {
		upto := uint64(version.MaxTick)
		if d.Upto != nil {
			upto = d.Upto.Tick(l.at.Replica)
		}
		return l.some("WHERE r.type = ? AND r.replica = ? AND r.tick >= ? AND (r.tick > ? OR r.id > ?) AND r.tick <= ? AND l.seq = r.seq AND r.seq <= ? "+
			"ORDER BY r.tick, r.id LIMIT ?",
			[]any{d.Type, string(l.at.Replica), l.at.Tick, l.at.Tick, l.after(), upto, l.at.Head}, l.version)
	})
	return l.at, done, err
}

// through goes through one part of a list, replica by replica.
func (l *lister) through(part func() (bool, error)) (bool, error) {
	for {
		if l.at.Replica != "" {
			if done, err := part(); err != nil || !done {
				return false, err
			}
			l.left--
		}
		next, ok, err := l.nextReplica()
		if err != nil || !ok {
			return !ok, err
		}
		l.at = Place{Head: l.at.Head, Type: l.at.Type, Part: l.at.Part, Replica: next, Tick: l.known.Vector.Tick(next)}
	}
}

// Written gives the rows of the log behind a sequence as they were written, at most limit of them, with their contents. It returns the
// sequence of the last.
func (s *Store) Written(ctx context.Context, after uint64, limit int, row func(Row) error) (upTo uint64, err error) {
	upTo = after
	err = s.Read(ctx, func(r *Reader) error {
		return r.query.rows("", "WHERE l.seq > ? ORDER BY l.seq LIMIT ?", []any{after, limit}, true, func(e Row) error {
			upTo = e.Seq
			return row(e)
		})
	})
	return upTo, err
}

// Newest returns when the newest change of a replica to a type was committed here, in milliseconds since 1970 UTC; 0 where none is current.
func (q *query) Newest(resourceType string, replica version.Replica) (int64, error) {
	var at int64
	_, err := q.one("SELECT committed FROM resource WHERE type = ? AND replica = ? ORDER BY tick DESC LIMIT 1", []any{resourceType, string(replica)}, &at)
	return at, err
}

// HeldTypes returns the types of which there is or was a resource.
func (s *Store) HeldTypes(ctx context.Context) ([]string, error) {
	var out []string
	err := s.Read(ctx, func(r *Reader) error {
		for at := ""; ; {
			next, ok, err := r.nextText("resource", "type", at)
			if err != nil || !ok {
				return err
			}
			out, at = append(out, next), next
		}
	})
	return out, err
}

// Endpoints returns the addresses of SData endpoints that are no nodes, by the replica under which their changes stand.
func (q *query) Endpoints() (map[version.Replica]string, error) {
	out := map[version.Replica]string{}
	err := q.each("SELECT replica, url FROM sdata_endpoint", nil, func(rows *sql.Rows) error {
		var r, url string
		err := rows.Scan(&r, &url)
		out[version.Replica(r)] = url
		return err
	})
	return out, err
}

// NameEndpoint stores the address of an SData endpoint that is no node; policies know it by that name.
func (tx *Tx) NameEndpoint(r version.Replica, url string) error {
	if err := tx.exec("REPLACE INTO sdata_endpoint (replica, url) VALUES (?, ?)", string(r), url); err != nil {
		return err
	}
	return tx.NameReplica(r, clip(url, 100))
}

// SDataJob is an asynchronous operation of SData. Status is that of the HTTP answer once it is finished, 0 before. Created is in milliseconds since
// 1970 UTC.
type SDataJob struct {
	ID, Kind, Type    string
	RunName, RunStamp string
	Created           int64
	Deleted           bool
	Status            int
	Body              []byte
}

// PutSDataJob stores a job. A job of that id that exists is left as it is, and false returned.
func (tx *Tx) PutSDataJob(j SDataJob) (bool, error) {
	if _, ok, err := tx.SDataJob(j.ID); err != nil || ok {
		return false, err
	}
	return true, tx.exec("INSERT INTO sdata_job (id, kind, type, run_name, run_stamp, created, deleted, status, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		j.ID, j.Kind, j.Type, clip(j.RunName, 200), clip(j.RunStamp, 100), timeText(j.Created), boolInt(j.Deleted), j.Status, j.Body)
}

// FinishSDataJob stores what came of a job that is there and has no status yet: Deleted, Status and Body.
func (tx *Tx) FinishSDataJob(j SDataJob) error {
	return tx.exec("UPDATE sdata_job SET deleted = ?, status = ?, body = ? WHERE id = ? AND status = 0", boolInt(j.Deleted), j.Status, j.Body, j.ID)
}

// SDataJob returns a job; false where there never was one of that id, or it was long ago.
func (q *query) SDataJob(id string) (SDataJob, bool, error) {
	j := SDataJob{ID: id}
	var created string
	var deleted int
	ok, err := q.one("SELECT kind, type, run_name, run_stamp, created, deleted, status, body FROM sdata_job WHERE id = ?", []any{id},
		&j.Kind, &j.Type, &j.RunName, &j.RunStamp, &created, &deleted, &j.Status, &j.Body)
	j.Created, j.Deleted = parseTime(created), deleted != 0
	return j, ok, err
}

// DropSDataJob deletes what a job holds; its id stays for PruneSDataJobs. It returns a NotFound error where there is none, Gone where it
// was deleted before.
func (tx *Tx) DropSDataJob(id string) error {
	j, ok, err := tx.SDataJob(id)
	switch {
	case err != nil:
		return err
	case !ok:
		return syncerr.New(syncerr.NotFound, "delete operation", "there is no operation %.64q", id)
	case j.Deleted:
		return syncerr.New(syncerr.Gone, "delete operation", "operation %s was deleted", id)
	}
	return tx.exec("UPDATE sdata_job SET deleted = 1, body = ? WHERE id = ?", []byte{}, id)
}

// PruneSDataJobs forgets jobs that were made before a time, in milliseconds since 1970 UTC.
func (tx *Tx) PruneSDataJobs(before int64) error {
	return tx.exec("DELETE FROM sdata_job WHERE created < ?", timeText(before))
}

// FindID returns an id of a type that a test accepts, "" where none is. It looks at all of them.
func (s *Store) FindID(ctx context.Context, resourceType string, test func(id string) bool) (string, error) {
	d := s.direct(ctx)
	found := ""
	err := d.each("SELECT id FROM resource WHERE type = ?", []any{resourceType}, func(rows *sql.Rows) error {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		if found == "" && test(id) {
			found = id
		}
		return nil
	})
	return found, s.dialect.wrap("read ids", err)
}
