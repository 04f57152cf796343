package store

import (
	"database/sql"
	"slices"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

// Lacking is how many current copies of a type a knowledge does not contain by their version, and some of them from all over.
type Lacking struct {
	Type    string
	Copies  int64
	Deleted int64 // of Copies
	Sample  []Row // with contents, in the order in which Missing lists them
}

// spots is at how many places of a type copies are taken as a sample.
const spots = 4

// Lacking counts what Missing would list of types, nil for all, and samples it: reading all of it would take as long as sending it. Copies
// that Missing lists for what they have seen alone, and those of excepted keys, are not counted: they are few. sample bounds the copies
// sampled of a type.
func (r *Reader) Lacking(k feed.Knowledge, types []string, sample int) ([]Lacking, error) {
	wanted := fhir.Selection(types)
	var out []Lacking
	for at := ""; ; {
		next, ok, err := r.nextText("resource", "type", at)
		if err != nil || !ok {
			return out, err
		}
		if at = next; !wanted(at) {
			continue
		}
		l, err := r.lackingOf(at, k[at].Vector, sample)
		if err != nil {
			return out, err
		}
		if l.Copies > 0 {
			out = append(out, l)
		}
	}
}

// stretch is what a replica wrote of a type behind what is known of it.
type stretch struct {
	replica     version.Replica
	first, last uint64
	copies      int64
}

func (r *Reader) lackingOf(resourceType string, known version.Vector, sample int) (Lacking, error) {
	out := Lacking{Type: resourceType}
	var all []stretch
	for at := ""; ; {
		next, ok, err := r.nextText("resource", "replica", at, resourceType)
		if err != nil {
			return out, err
		}
		if !ok {
			break
		}
		at = next
		s, deleted, err := r.stretch(resourceType, version.Replica(at), known.Tick(version.Replica(at)))
		if err != nil {
			return out, err
		}
		if s.copies > 0 {
			all = append(all, s)
		}
		out.Copies, out.Deleted = out.Copies+s.copies, out.Deleted+deleted
	}
	var err error
	out.Sample, err = r.sample(resourceType, all, out.Copies, sample)
	return out, err
}

func (r *Reader) stretch(resourceType string, replica version.Replica, known uint64) (stretch, int64, error) {
	s := stretch{replica: replica}
	var first, last sql.NullInt64
	var deleted int64
	_, err := r.one("SELECT COUNT(*), COALESCE(SUM(deleted), 0), MIN(tick), MAX(tick) FROM resource WHERE type = ? AND replica = ? AND tick > ?",
		[]any{resourceType, string(replica), known}, &s.copies, &deleted, &first, &last)
	s.first, s.last = uint64(first.Int64), uint64(last.Int64)
	return s, deleted, err
}

// sample reads copies at places that are spread evenly over all of them, which stand as they were written: what was written in one year may be larger
// than what was in another.
func (r *Reader) sample(resourceType string, all []stretch, copies int64, most int) ([]Row, error) {
	var out []Row
	taken := map[fhir.Key]bool{}
	for spot := range int64(spots) {
		before, target := int64(0), copies*spot/spots
		i := slices.IndexFunc(all, func(s stretch) bool {
			if target < before+s.copies {
				return true
			}
			before += s.copies
			return false
		})
		for left := most / spots; left > 0 && i >= 0 && i < len(all); i++ {
			s := all[i]
			from := s.first + uint64(float64(s.last-s.first)*float64(max(0, target-before))/float64(s.copies))
			before = target // the next replica is read from its beginning
			err := r.query.rows("", "WHERE r.type = ? AND r.replica = ? AND r.tick >= ? AND l.seq = r.seq ORDER BY r.tick, r.id LIMIT ?",
				[]any{resourceType, string(s.replica), from, left}, true, func(e Row) error {
					left--
					if e.Seq, e.Unit, e.UnitSize = 0, "", 0; !taken[e.Key] {
						taken[e.Key], out = true, append(out, e)
					}
					return nil
				})
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// Unsent counts the current copies of types behind a place of this node's log that a peer has not delivered itself, in the log of that epoch: those that
// wait to be sent to it.
func (r *Reader) Unsent(types []string, after uint64, epoch string) (map[string]int64, error) {
	wanted, out := fhir.Selection(types), map[string]int64{}
	err := r.each("SELECT l.type, COUNT(*) FROM change_log l JOIN resource r ON r.type = l.type AND r.id = l.id AND r.seq = l.seq "+
		"WHERE l.seq > ? AND r.delivered <> ? GROUP BY l.type", []any{after, epoch}, func(rows *sql.Rows) error {
		var t string
		var n int64
		if err := rows.Scan(&t, &n); err != nil {
			return err
		}
		if wanted(t) {
			out[t] = n
		}
		return nil
	})
	return out, err
}
