package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"math/bits"
	"strings"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

// Digest answers what this node has, for a comparison with another (feed.DigestQuery): current copies and tombstones, in one pass in
// the order of their keys, on one snapshot. It returns an Invalid error for a question beyond its bounds.
func (s *Store) Digest(ctx context.Context, q feed.DigestQuery) ([]feed.Part, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	var out []feed.Part
	err := s.Read(ctx, func(r *Reader) error {
		switch {
		case len(q.IDs) > 0:
			part, err := r.digestIDs(q)
			out = []feed.Part{part}
			return err
		case q.Type == "":
			var err error
			out, err = r.digestTypes(q.Types)
			return err
		}
		for _, one := range q.Ranges {
			parts, err := r.digestRange(q, one)
			if err != nil {
				return err
			}
			out = append(out, parts...)
		}
		return nil
	})
	return out, err
}

// digestIDs lists the copies that there are of some ids.
func (q *query) digestIDs(ask feed.DigestQuery) (feed.Part, error) {
	part := feed.Part{Type: ask.Type, Listed: true}
	keys := make([]fhir.Key, len(ask.IDs))
	for i, id := range ask.IDs {
		keys[i] = fhir.Key{Type: ask.Type, ID: id}
	}
	err := q.currents(keys, func(k fhir.Key, c Current) {
		part.Count++
		part.Copies = append(part.Copies, feed.Copy{
			ID: k.ID, Version: c.Stamp.Version, Deleted: c.Stamp.Deleted, Hash: c.Stamp.Hash, Vector: c.Stamp.Vector, Seq: c.Seq,
		})
	})
	return part, err
}

// digestTypes digests whole types, those that are named or all; a type without a copy is not in the answer.
func (q *query) digestTypes(types []string) ([]feed.Part, error) {
	where, args := "", []any(nil)
	if types != nil {
		if len(types) == 0 {
			return nil, nil
		}
		where = " WHERE type IN (?" + strings.Repeat(", ?", len(types)-1) + ")"
		for _, t := range types {
			args = append(args, t)
		}
	}
	var out []feed.Part
	var sum summer
	err := q.digestRows(where, args, func(row *digestRow) error {
		if len(out) == 0 || out[len(out)-1].Type != string(row.typ) {
			sum.endOf(out)
			out = append(out, feed.Part{Type: string(row.typ)})
		}
		out[len(out)-1].Count++
		sum.add(row)
		return nil
	})
	sum.endOf(out)
	return out, err
}

// minPart is how many copies a part has at least where a range has more: fewer are not worth a digest of their own.
const minPart = 16

// digestRange digests one range in at most q.Parts parts of about the same count, or lists it. How many copies there are is not
// known before: whenever there are twice too many parts, every two of them become one.
func (q *query) digestRange(ask feed.DigestQuery, in feed.Range) ([]feed.Part, error) {
	where, args := " WHERE type = ? AND id >= ?", []any{ask.Type, in.From}
	if in.To != "" {
		where, args = where+" AND id < ?", append(args, in.To)
	}
	most, per := max(ask.Parts, 1), int64(minPart)
	whole := feed.Part{Range: in, Listed: true}
	parts := []feed.Part{{Range: in}}
	sums := []summer{{}}
	err := q.digestRows(where, args, func(row *digestRow) error {
		if whole.Count++; whole.Listed && whole.Count > int64(ask.List) {
			whole.Listed, whole.Copies = false, nil
		}
		if whole.Listed {
			whole.Copies = append(whole.Copies, row.copy())
		}
		if last := len(parts) - 1; parts[last].Count >= per && most > 1 {
			if len(parts) == 2*most {
				parts, sums, per = halve(parts), halveSums(sums), 2*per
				last = len(parts) - 1
			}
			if parts[last].Count >= per {
				parts = append(parts, feed.Part{Range: feed.Range{From: string(row.id)}})
				sums = append(sums, summer{})
			}
		}
		parts[len(parts)-1].Count++
		sums[len(sums)-1].add(row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(parts) > most {
		parts, sums = halve(parts), halveSums(sums)
	}
	if whole.Listed {
		total := summer{}
		for _, s := range sums {
			total.join(s)
		}
		whole.Sum = total.sum()
		return []feed.Part{whole}, nil
	}
	for i := range parts {
		parts[i].Sum, parts[i].To = sums[i].sum(), in.To
		if i+1 < len(parts) {
			parts[i].To = parts[i+1].From
		}
	}
	return parts, nil
}

// Copies lists the copies of a range by id, at most limit of them; more says that the range goes on behind the last one.
func (s *Store) Copies(ctx context.Context, resourceType string, in feed.Range, limit int) (out []feed.Copy, more bool, err error) {
	where, args := " WHERE type = ? AND id >= ?", []any{resourceType, in.From}
	if in.To != "" {
		where, args = where+" AND id < ?", append(args, in.To)
	}
	q := s.direct(ctx)
	err = q.digestRowsTo(where, limit+1, args, func(row *digestRow) error {
		out = append(out, row.copy())
		return nil
	})
	if len(out) > limit {
		out, more = out[:limit], true
	}
	return out, more, s.dialect.wrap("list copies", err)
}

// digestRow is a row of a pass over all copies. Its texts are the driver's and valid until the next row: a pass over a million rows
// makes no garbage of its own.
type digestRow struct {
	typ, id, replica, hash sql.RawBytes
	tick                   uint64
	deleted                int
}

func (d *digestRow) copy() feed.Copy {
	c := feed.Copy{ID: string(d.id), Version: version.Version{Replica: version.Replica(d.replica), Tick: d.tick}, Deleted: d.deleted != 0}
	copy(c.Hash[:], d.hash)
	return c
}

func (q *query) digestRows(where string, args []any, row func(*digestRow) error) error {
	return q.digestRowsTo(where, 0, args, row)
}

func (q *query) digestRowsTo(where string, limit int, args []any, row func(*digestRow) error) error {
	stmt := "SELECT type, id, replica, tick, deleted, hash FROM resource" + where + " ORDER BY type, id"
	if limit > 0 {
		stmt, args = stmt+" LIMIT ?", append(args, limit)
	}
	var d digestRow
	into := []any{&d.typ, &d.id, &d.replica, &d.tick, &d.deleted, &d.hash}
	return q.each(stmt, args, func(rows *sql.Rows) error {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		return row(&d)
	})
}

// summer adds hashes of copies, 128 bits each, modulo 2 to the 128.
type summer struct {
	hi, lo uint64
	buf    []byte
}

// add adds one copy. What is hashed is its id, version, whether it is deleted, and its content's hash, each ended or of one length,
// so that no two copies are hashed as the same bytes.
func (s *summer) add(d *digestRow) {
	b := append(s.buf[:0], d.id...)
	b = append(append(b, 0), d.replica...)
	b = binary.BigEndian.AppendUint64(append(b, 0), d.tick)
	b = append(append(b, byte(d.deleted)), d.hash...)
	h := sha256.Sum256(b)
	s.buf = b
	s.join(summer{hi: binary.BigEndian.Uint64(h[:8]), lo: binary.BigEndian.Uint64(h[8:16])})
}

func (s *summer) join(o summer) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, o.lo, 0)
	s.hi, _ = bits.Add64(s.hi, o.hi, carry)
}

func (s *summer) sum() (out feed.Sum) {
	binary.BigEndian.PutUint64(out[:8], s.hi)
	binary.BigEndian.PutUint64(out[8:], s.lo)
	return out
}

// endOf writes the sum into the last part and starts anew.
func (s *summer) endOf(parts []feed.Part) {
	if len(parts) > 0 {
		parts[len(parts)-1].Sum = s.sum()
	}
	s.hi, s.lo = 0, 0
}

// halve makes one part of every two.
func halve(parts []feed.Part) []feed.Part {
	out := parts[:0]
	for i := 0; i < len(parts); i += 2 {
		p := parts[i]
		if i+1 < len(parts) {
			p.Count += parts[i+1].Count
		}
		out = append(out, p)
	}
	return out
}

func halveSums(sums []summer) []summer {
	out := sums[:0]
	for i := 0; i < len(sums); i += 2 {
		s := summer{hi: sums[i].hi, lo: sums[i].lo}
		if i+1 < len(sums) {
			s.join(sums[i+1])
		}
		out = append(out, s)
	}
	return out
}
