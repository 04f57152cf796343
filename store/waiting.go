package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"github.com/tributary-sync/tributary/fhir"
)

// EachParked gives what is parked of the link to the parent in a direction for a kind of reason, and was not given up, to fn.
func (s *Store) EachParked(ctx context.Context, direction, kind string, fn func(Parked) error) error {
	d := s.direct(ctx)
	err := d.each(parkedFrom+"WHERE peer = 'parent' AND direction = ? AND kind = ? AND given_up_at IS NULL", []any{direction, kind}, func(rows *sql.Rows) error {
		p, err := scanParked(rows)
		if err != nil {
			return err
		}
		return fn(p)
	})
	return s.dialect.wrap("read parked", err)
}

// ParkedOf returns what is parked of keys in a direction, those of one unit beside each other and in the order in which they came.
func (s *Store) ParkedOf(ctx context.Context, direction string, keys []fhir.Key) ([]Parked, error) {
	d := s.direct(ctx)
	var out []Parked
	for _, k := range keys {
		found, err := d.parked("WHERE peer = 'parent' AND direction = ? AND type = ? AND id = ?", direction, k.Type, k.ID)
		if err != nil {
			return nil, s.dialect.wrap("read parked", err)
		}
		out = append(out, found...)
	}
	slices.SortStableFunc(out, func(a, b Parked) int {
		return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Cursor.Seq, b.Cursor.Seq))
	})
	return out, nil
}
