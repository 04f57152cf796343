package store

import (
	"context"
	"database/sql"
)

// Counts is what a node holds, for status and dashboard.
type Counts struct {
	Resources map[string]int64 `json:"resources"` // live copies by type
	Total     int64            `json:"total"`
	Deleted   int64            `json:"deleted"`
	Changes   int64            `json:"changes"` // position of the newest change
	Parked    int64            `json:"parked"`
	GivenUp   int64            `json:"givenUp"` // parked as well, but not tried any more: a person gave them up
	Held      int64            `json:"held"`
	Open      int64            `json:"openConflicts"`
	Conflicts int64            `json:"conflicts"`
}

// Counts returns what the node holds.
func (s *Store) Counts(ctx context.Context) (Counts, error) {
	c := Counts{Resources: map[string]int64{}}
	err := s.Read(ctx, func(r *Reader) error {
		err := r.each("SELECT type, deleted, COUNT(*) FROM resource GROUP BY type, deleted", nil, func(rows *sql.Rows) error {
			var t string
			var deleted int
			var n int64
			if err := rows.Scan(&t, &deleted, &n); err != nil {
				return err
			}
			if deleted != 0 {
				c.Deleted += n
				return nil
			}
			c.Resources[t] = n
			c.Total += n
			return nil
		})
		if err != nil {
			return err
		}
		head, err := r.Head()
		if err != nil {
			return err
		}
		c.Changes = int64(head)
		for _, q := range []struct {
			into *int64
			stmt string
		}{
			{&c.Parked, "SELECT COUNT(*) - (SELECT COUNT(*) FROM sync_given_up) FROM sync_parked"},
			{&c.GivenUp, "SELECT COUNT(*) FROM sync_given_up"},
			{&c.Held, "SELECT COUNT(*) FROM sync_held"},
			{&c.Open, "SELECT COUNT(*) FROM sync_conflict WHERE status = 'open'"},
			{&c.Conflicts, "SELECT COUNT(*) FROM sync_conflict"},
		} {
			if _, err := r.one(q.stmt, nil, q.into); err != nil {
				return err
			}
		}
		return nil
	})
	return c, err
}
