package store

import (
	"context"
	"errors"
)

// List returns the live copies of a type by id, count at most and fewer where they are large, from the start-th on (from 0); whether there
// are more behind them; and how many there are where counted is asked for. It is for readers that page by number: what is written
// meanwhile moves the pages.
func (s *Store) List(ctx context.Context, resourceType string, start, count int, counted bool) (out []Copy, more bool, total int64, err error) {
	err = s.Read(ctx, func(r *Reader) error {
		size := 0
		err := r.copyRows("resource r JOIN change_log l ON l.seq = r.seq", "WHERE r.type = ? AND r.deleted = 0 ORDER BY r.id LIMIT ? OFFSET ?",
			[]any{resourceType, count + 1, start}, func(c Copy) error {
				if n := len(out); n == count || n > 0 && size+len(c.Body) > maxPageBytes {
					more = true
					return errPageFull
				}
				size += len(c.Body)
				out = append(out, c)
				return nil
			})
		if err != nil && !errors.Is(err, errPageFull) || !counted {
			return notFull(err)
		}
		_, err = r.one("SELECT COUNT(*) FROM resource r WHERE r.type = ? AND r.deleted = 0", []any{resourceType}, &total)
		return err
	})
	return out, more, total, err
}

// notFull leaves out the error by which the reading of a page ends.
func notFull(err error) error {
	if errors.Is(err, errPageFull) {
		return nil
	}
	return err
}
