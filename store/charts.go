package store

import (
	"context"
	"slices"
	"strconv"
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
			"SELECT seq, committed FROM change_log ORDER BY seq DESC LIMIT 1", func(text string) int64 {
				ms, _ := strconv.ParseInt(text, 10, 64)
				return ms
			})
		if err != nil {
			return err
		}
		ids, err := r.places(times, "SELECT sync_audit_message_id, timestamp FROM sync_audit_message WHERE sync_audit_message_id >= ? ORDER BY sync_audit_message_id LIMIT 1",
			"SELECT sync_audit_message_id, timestamp FROM sync_audit_message ORDER BY sync_audit_message_id DESC LIMIT 1", parseTime)
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
// reads the number and the time of the first row from a number on, final those of the last row; moment reads that time. Half of the steps
// guess from the times at both ends: what happens at a steady pace is found in a few.
func (r *Reader) places(times []int64, next, final string, moment func(string) int64) ([]int64, error) {
	out := make([]int64, len(times))
	var low, last int64
	var lowText, lastText string
	ok, err := r.one(next, []any{0}, &low, &lowText)
	if err != nil || !ok {
		return out, err
	}
	if _, err := r.one(final, nil, &last, &lastText); err != nil {
		return nil, err
	}
	lowAt := moment(lowText)
	for i, at := range times {
		// What stands before low is older than at, what stands at high or behind it is not.
		high, highAt := last+1, moment(lastText)+1
		for step := 0; low < high; step++ {
			mid := low + (high-low)/2
			if step%2 == 0 && lowAt < at && at < highAt {
				mid = min(high-1, low+int64(float64(high-low)*float64(at-lowAt)/float64(highAt-lowAt)))
			}
			var number int64
			var text string
			ok, err := r.one(next, []any{mid}, &number, &text)
			if err != nil {
				return nil, err
			}
			if when := moment(text); !ok || when >= at {
				high, highAt = mid, max(when, at)
			} else {
				low, lowAt = number+1, when
			}
		}
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
	for i := range out {
		x := &out[i]
		if _, err := r.one("SELECT COALESCE(SUM(bytes_in), 0), COALESCE(SUM(bytes_out), 0), COALESCE(SUM(outcome = 'done'), 0), "+
			"COALESCE(SUM(outcome IN ('failed', 'interrupted')), 0) FROM sync_run WHERE started >= ? AND started < ?",
			[]any{timeText(times[i]), timeText(times[i+1])}, &x.BytesIn, &x.BytesOut, &x.Passes, &x.Broken); err != nil {
			return err
		}
	}
	return nil
}
