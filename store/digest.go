package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"math/bits"
	"strings"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Digest answers what this node has, for a comparison with another (feed.DigestQuery): current copies and tombstones, in one pass in
// the order of their keys, on one snapshot. It returns an Invalid error for a question beyond its bounds.
func (s *Store) Digest(ctx context.Context, q feed.DigestQuery) ([]feed.Part, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	var out []feed.Part
	err := s.Read(ctx, func(snapshot *Reader) error {
		r := s.digester(snapshot.query)
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

// digester is a query with the one column that a digest is made of.
type digester struct {
	query
	line string // "Type id tick-replica deleted"
}

func (s *Store) digester(q query) digester {
	if s.dialect.name == "mysql" {
		return digester{q, "CONCAT(type, ' ', id, ' ', tick, '-', replica, ' ', deleted)"}
	}
	return digester{q, "type || ' ' || id || ' ' || tick || '-' || replica || ' ' || deleted"}
}

// digestIDs lists the copies that there are of some ids.
func (q digester) digestIDs(ask feed.DigestQuery) (feed.Part, error) {
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
func (q digester) digestTypes(types []string) ([]feed.Part, error) {
	where, args := "", []any(nil)
	if types != nil {
		if len(types) == 0 {
			return nil, nil
		}
		where, args = ofTypes("type", types)
		where = " WHERE " + where
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
func (q digester) digestRange(ask feed.DigestQuery, in feed.Range) ([]feed.Part, error) {
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
			c, err := row.copy()
			if err != nil {
				return err
			}
			whole.Copies = append(whole.Copies, c)
		}
		if last := len(parts) - 1; parts[last].Count >= per && most > 1 {
			if len(parts) == 2*most {
				parts, sums, per = halve(parts), halveSums(sums), 2*per
				last = len(parts) - 1
			}
			if parts[last].Count >= per {
				parts = append(parts, feed.Part{Range: feed.Range{From: row.id()}})
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
	err = s.digester(s.direct(ctx)).digestRowsTo(where, limit+1, args, func(row *digestRow) error {
		c, err := row.copy()
		out = append(out, c)
		return err
	})
	if len(out) > limit {
		out, more = out[:limit], true
	}
	return out, more, s.dialect.wrap("list copies", err)
}

// digestRow is a row of a pass over all copies. Its bytes are the driver's and valid until the next row: a pass over a million rows
// makes no garbage of its own.
type digestRow struct {
	line, hash sql.RawBytes // "Type id tick-replica deleted"
	typ, rest  []byte       // the line without its first field: what a digest is of
}

func (d *digestRow) split() (err error) {
	var ok bool
	if d.typ, d.rest, ok = bytes.Cut(d.line, []byte{' '}); !ok {
		return syncerr.New(syncerr.Internal, "compare", "a row of %d bytes cannot be read", len(d.line))
	}
	return nil
}

func (d *digestRow) id() string {
	id, _, _ := bytes.Cut(d.rest, []byte{' '})
	return string(id)
}

func (d *digestRow) copy() (c feed.Copy, err error) {
	f := strings.Split(string(d.rest), " ")
	if len(f) != 3 {
		return c, syncerr.New(syncerr.Internal, "compare", "a row of %d fields cannot be read", len(f))
	}
	c.ID, c.Deleted = f[0], f[2] != "0"
	c.Version, err = version.Parse(f[1])
	copy(c.Hash[:], d.hash)
	return c, err
}

func (q digester) digestRows(where string, args []any, row func(*digestRow) error) error {
	return q.digestRowsTo(where, 0, args, row)
}

func (q digester) digestRowsTo(where string, limit int, args []any, row func(*digestRow) error) error {
	// One column instead of five: what a driver does for each column takes longer than all the rest.
	stmt := "SELECT " + q.line + ", hash FROM resource" + where + " ORDER BY type, id"
	if limit > 0 {
		stmt, args = stmt+" LIMIT ?", append(args, limit)
	}
	var d digestRow
	into := []any{&d.line, &d.hash}
	return q.each(stmt, args, func(rows *sql.Rows) error {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := d.split(); err != nil {
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

// add adds one copy. What is hashed is its id, version, whether it is deleted, and its content's hash, so that no two copies are hashed
// as the same bytes: none of the first three has a blank.
func (s *summer) add(d *digestRow) {
	s.buf = append(append(append(s.buf[:0], d.rest...), ' '), d.hash...)
	h := sha256.Sum256(s.buf)
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
