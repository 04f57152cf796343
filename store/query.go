package store

import (
	"context"
	"database/sql"
	"strings"

	"gorm.io/gorm"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

// query is what a write transaction and a snapshot have in common: they can read.
type query struct {
	ctx    context.Context
	pool   gorm.ConnPool
	wrap   func(op string, err error) error
	before func(point string) error
	unpack func(enc int, blob []byte) ([]byte, error)
	mysql  bool
	limits searchLimits
}

// Reader reads one snapshot of the database: nothing that is committed meanwhile is seen.
type Reader struct {
	query
	store *Store
}

// Read runs fn on a snapshot. Readers never block writers.
func (s *Store) Read(ctx context.Context, fn func(*Reader) error) error {
	g := s.reader.WithContext(ctx).Begin(&sql.TxOptions{ReadOnly: s.dialect.name == "mysql"})
	if g.Error != nil {
		return s.dialect.wrap("read", g.Error)
	}
	defer g.Rollback()
	r := &Reader{store: s, query: s.within(ctx)}
	r.pool = g.Statement.ConnPool
	return s.dialect.wrap("read", fn(r))
}

// Copy is a version of a resource with its content, as FHIR shows it. Body is nil where the copy is deleted, or where the
// content of an old version was collected.
type Copy struct {
	Key fhir.Key
	Current
	Action feed.Action
	Body   []byte
}

// Identity returns whose data this is.
func (r *Reader) Identity() Identity { return r.store.Identity() }

const stampColumns = "%s.replica, %s.tick, %s.vector, %s.author, %s.authored, %s.origin, %s.deleted, %s.hash"

func stampOf(alias string) string { return strings.ReplaceAll(stampColumns, "%s", alias) }

// rawStamp receives stampColumns.
type rawStamp struct {
	replica, author, origin, vector string
	tick                            uint64
	authored                        int64
	deleted                         int
	hash                            []byte
}

func (s *rawStamp) into() []any {
	return []any{&s.replica, &s.tick, &s.vector, &s.author, &s.authored, &s.origin, &s.deleted, &s.hash}
}

func (s *rawStamp) stamp() (version.Stamp, error) {
	v := version.Version{Replica: version.Replica(s.replica), Tick: s.tick}
	out := version.Stamp{Version: v, Author: version.Replica(s.author), Authored: s.authored, Deleted: s.deleted != 0}
	var err error
	if out.Origin, err = version.Parse(s.origin); err != nil {
		return out, err
	}
	if out.Vector, err = version.ParseVector(s.vector); err != nil {
		return out, err
	}
	copy(out.Hash[:], s.hash)
	return out, nil
}

// currents reads the current copies of keys in chunks and gives each that exists to found.
func (q *query) currents(keys []fhir.Key, found func(fhir.Key, Current)) error {
	for len(keys) > 0 {
		n := chunk(len(keys))
		stmt := "SELECT r.type, r.id, " + stampOf("r") + ", r.committed, r.seq, r.content_seq, r.delivered, r.created, r.num FROM resource r WHERE " +
			"(r.type = ? AND r.id = ?)" + strings.Repeat(" OR (r.type = ? AND r.id = ?)", n-1)
		args := make([]any, 0, 2*n)
		for _, k := range keys[:n] {
			args = append(args, k.Type, k.ID)
		}
		err := q.each(stmt, args, func(rows *sql.Rows) error {
			var k fhir.Key
			var c Current
			var s rawStamp
			var created string
			if err := rows.Scan(append(append([]any{&k.Type, &k.ID}, s.into()...), &c.Committed, &c.Seq, &c.ContentSeq, &c.Delivered, &created, &c.Num)...); err != nil {
				return err
			}
			var err error
			if c.Created, err = version.Parse(created); err != nil {
				return err
			}
			c.Stamp, err = s.stamp()
			found(k, c)
			return err
		})
		if err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// each runs a query and calls row for each of its rows.
func (q *query) each(stmt string, args []any, row func(*sql.Rows) error) error {
	if q.before != nil {
		if err := q.before(stmt); err != nil {
			return err
		}
	}
	rows, err := q.pool.QueryContext(q.ctx, stmt, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (q *query) one(stmt string, args []any, into ...any) (bool, error) {
	found := false
	err := q.each(stmt, args, func(rows *sql.Rows) error {
		if found {
			return nil
		}
		found = true
		return rows.Scan(into...)
	})
	return found, err
}

func (q *query) copyRows(from, where string, args []any, row func(Copy) error) error {
	stmt := "SELECT r.type, r.id, " + stampOf("r") + ", r.committed, r.seq, r.content_seq, l.action, c.enc, c.content FROM " + from +
		" LEFT JOIN change_log c ON c.seq = r.content_seq " + where
	return q.each(stmt, args, func(rows *sql.Rows) error {
		var c Copy
		var s rawStamp
		var action string
		var enc sql.NullInt64
		var blob []byte
		if err := rows.Scan(append(append([]any{&c.Key.Type, &c.Key.ID}, s.into()...), &c.Committed, &c.Seq, &c.ContentSeq, &action, &enc, &blob)...); err != nil {
			return err
		}
		c.Action = feed.Action(action)
		var err error
		if c.Stamp, err = s.stamp(); err != nil {
			return err
		}
		if enc.Valid && !c.Stamp.Deleted && blob != nil {
			if c.Body, err = q.unpack(int(enc.Int64), blob); err != nil {
				return err
			}
		}
		return row(c)
	})
}

// Get returns the current copy of a key with its content; false where there never was one. A tombstone is a copy.
func (q *query) Get(k fhir.Key) (Copy, bool, error) {
	return q.first("resource r JOIN change_log l ON l.seq = r.seq", "WHERE r.type = ? AND r.id = ?", k.Type, k.ID)
}

// Version returns one version of a key, as this node last logged it.
func (q *query) Version(k fhir.Key, v version.Version) (Copy, bool, error) {
	return q.first("change_log r JOIN change_log l ON l.seq = r.seq",
		"WHERE r.type = ? AND r.id = ? AND r.replica = ? AND r.tick = ? ORDER BY r.seq DESC LIMIT 1", k.Type, k.ID, string(v.Replica), v.Tick)
}

func (q *query) first(from, where string, args ...any) (Copy, bool, error) {
	var out Copy
	found := false
	err := q.copyRows(from, where, args, func(c Copy) error {
		out, found = c, true
		return nil
	})
	return out, found, err
}

// History returns versions of a key, newest first: at most limit of those before sequence before (0 for the newest).
// Log rows that only record a grown vector show no new version and are left out.
func (q *query) History(k fhir.Key, before uint64, limit int) ([]Copy, error) {
	if before == 0 {
		before = version.MaxTick
	}
	var out []Copy
	err := q.copyRows("change_log r JOIN change_log l ON l.seq = r.seq",
		"WHERE r.type = ? AND r.id = ? AND r.seq < ? ORDER BY r.seq DESC LIMIT ?", []any{k.Type, k.ID, before, limit * 4},
		func(c Copy) error {
			if len(out) < limit && (len(out) == 0 || out[len(out)-1].Stamp.Version != c.Stamp.Version) {
				out = append(out, c)
			}
			return nil
		})
	return out, err
}

// Get returns the current copy of a key with its content; false where there never was one.
func (s *Store) Get(ctx context.Context, k fhir.Key) (Copy, bool, error) {
	q := s.direct(ctx)
	c, ok, err := q.Get(k)
	return c, ok, s.dialect.wrap("read resource", err)
}

// direct reads without a snapshot: for what one statement answers.
func (s *Store) direct(ctx context.Context) query {
	q := s.within(ctx)
	q.pool = s.reader.Statement.ConnPool
	return q
}

// within is a query that has no connection yet.
func (s *Store) within(ctx context.Context) query {
	return query{ctx: ctx, wrap: s.dialect.wrap, unpack: s.unpack, mysql: s.dialect.name == "mysql", limits: s.limits}
}

// Currents returns the current copies of keys; those that there never were are not in the map.
func (s *Store) Currents(ctx context.Context, keys []fhir.Key) (map[fhir.Key]Current, error) {
	out := make(map[fhir.Key]Current, len(keys))
	q := s.direct(ctx)
	err := q.currents(keys, func(k fhir.Key, c Current) { out[k] = c })
	return out, s.dialect.wrap("read copies", err)
}
