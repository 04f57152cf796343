package store

import (
	"context"
	"database/sql"
	"slices"
	"sort"
)

// Interval is what happened between two moments. Sizes are bytes, durations milliseconds.
type Interval struct {
	From     int64 `json:"from"`     // milliseconds since 1970 UTC; it ends where the next begins
	Changes  int64 `json:"changes"`  // rows of the log: what was written here and what was taken over
	Arrived  int64 `json:"arrived"`  // about how many of them came from elsewhere
	Lag      int64 `json:"lag"`      // how old half of those were at most when they arrived, of a sample
	Failures int64 `json:"failures"` // audit records of what did not work
	BytesIn  int64 `json:"bytesIn"`  // of the passes that this node made
	BytesOut int64 `json:"bytesOut"` // of the passes that this node made
	Passes   int64 `json:"passes"`   // that ended well
	Broken   int64 `json:"broken"`   // passes that did not
}

// sampled is how many rows of an interval tell its lag: reading all of a million would take seconds.
const sampled = 24

// Intervals returns what happened between each two neighbours of times, which rise. The log and the audit are in the order of time, so
// that their places are found by halving: the cost does not grow with their length.
func (s *Store) Intervals(ctx context.Context, times []int64) ([]Interval, error) {
	out := make([]Interval, max(0, len(times)-1))
	err := s.Read(ctx, func(r *Reader) error {
		seqs, err := r.places(times, "SELECT seq, committed FROM change_log WHERE seq >= ? ORDER BY seq LIMIT 1",
			"SELECT COALESCE(MIN(seq), 0), COALESCE(MAX(seq), 0) FROM change_log", false)
		if err != nil {
			return err
		}
		ids, err := r.places(times, "SELECT sync_audit_message_id, timestamp FROM sync_audit_message WHERE sync_audit_message_id >= ? ORDER BY sync_audit_message_id LIMIT 1",
			"SELECT COALESCE(MIN(sync_audit_message_id), 0), COALESCE(MAX(sync_audit_message_id), 0) FROM sync_audit_message", true)
		if err != nil {
			return err
		}
		for i := range out {
			x := &out[i]
			x.From, x.Changes = times[i], seqs[i+1]-seqs[i]
			if err := r.arrivals(x, seqs[i], seqs[i+1]); err != nil {
				return err
			}
			if _, err := r.one("SELECT COUNT(*) FROM sync_audit_message WHERE success = 0 AND sync_audit_message_id >= ? AND sync_audit_message_id < ?",
				[]any{ids[i], ids[i+1]}, &x.Failures); err != nil {
				return err
			}
		}
		return r.passes(out, times)
	})
	return out, s.dialect.wrap("read intervals", err)
}

// places returns for each of times the number of the first row that is not older, and one more than the last number where none is. next
// reads the number and the time of the first row from a number on, ends the first and the last number.
func (r *Reader) places(times []int64, next, ends string, textual bool) ([]int64, error) {
	var first, last int64
	if _, err := r.one(ends, nil, &first, &last); err != nil {
		return nil, err
	}
	if last == 0 {
		return make([]int64, len(times)), nil
	}
	out := make([]int64, len(times))
	low := first
	for i, at := range times {
		var failed error
		found := sort.Search(int(last+1-low), func(n int) bool {
			var number, when int64
			var text string
			var ok bool
			var err error
			if textual {
				ok, err = r.one(next, []any{low + int64(n)}, &number, &text)
				when = parseTime(text)
			} else {
				ok, err = r.one(next, []any{low + int64(n)}, &number, &when)
			}
			if err != nil {
				failed = err
			}
			return err != nil || !ok || when >= at
		})
		if failed != nil {
			return nil, failed
		}
		low += int64(found)
		out[i] = low
	}
	return out, nil
}

// arrivals samples the rows of the log from a sequence up to another.
func (r *Reader) arrivals(x *Interval, from, to int64) error {
	if from >= to {
		return nil
	}
	var lags []int64
	seen := 0
	for i := range min(sampled, to-from) {
		var authored, committed int64
		var source string
		at := from + (to-from)*i/min(sampled, to-from)
		ok, err := r.one("SELECT authored, committed, source FROM change_log WHERE seq >= ? ORDER BY seq LIMIT 1", []any{at}, &authored, &committed, &source)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if seen++; source != "" {
			lags = append(lags, max(0, committed-authored))
		}
	}
	if len(lags) == 0 {
		return nil
	}
	slices.Sort(lags)
	x.Lag = lags[len(lags)/2]
	x.Arrived = (to - from) * int64(len(lags)) / int64(seen)
	return nil
}

// passes adds what the passes of each interval moved.
func (r *Reader) passes(out []Interval, times []int64) error {
	if len(out) == 0 {
		return nil
	}
	return r.each("SELECT started, outcome, bytes_in, bytes_out FROM sync_run WHERE started >= ? AND started < ?", []any{timeText(times[0]), timeText(times[len(times)-1])},
		func(rows *sql.Rows) error {
			var started, outcome string
			var in, sent int64
			if err := rows.Scan(&started, &outcome, &in, &sent); err != nil {
				return err
			}
			i, exact := slices.BinarySearch(times, parseTime(started))
			if !exact {
				i--
			}
			if i < 0 || i >= len(out) {
				return nil
			}
			x := &out[i]
			x.BytesIn, x.BytesOut = x.BytesIn+in, x.BytesOut+sent
			switch outcome {
			case "done":
				x.Passes++
			case "failed", "interrupted":
				x.Broken++
			}
			return nil
		})
}
