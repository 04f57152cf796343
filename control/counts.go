package control

import (
	"context"
	"time"
)

// countsFor is how long counts of resources stand at least, and countsShare how many times as long as counting them took:
// counting a million rows takes longer than a page may, and must not keep a small machine busy.
const (
	countsFor   = 5 * time.Second
	countsShare = 20
)

// countsCache holds the newest counts.
type countsCache struct {
	counts   Counts
	at       time.Time
	took     time.Duration
	known    bool
	counting chan struct{} // closed when the count that runs has ended; nil where none runs
	loop     bool          // Run counts, so that nobody has to wait
	wanted   chan struct{} // tells Run that old counts were handed out
}

// Run counts resources again when counts that are no longer fresh were asked for, until ctx ends; it returns nil then. node
// runs it; without it the one who asks counts, and waits for it.
func (c *Control) Run(ctx context.Context) error {
	s := c.shared
	s.mu.Lock()
	s.counts.loop = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.counts.loop = false
		s.mu.Unlock()
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.counts.wanted:
			// An error shows to whoever asks when nothing is known; here the next question tries again.
			_, _, _ = s.count(ctx)
		}
	}
}

// Counts returns what the node holds and when it was counted, in milliseconds since 1970 UTC. Only the first caller, and the
// first after a change made through Control, waits for the counting; others get counts that are a few seconds old.
func (c *Control) Counts(ctx context.Context) (Counts, int64, error) {
	s := c.shared
	s.mu.Lock()
	known, busy, loop := s.counts.known, s.counts.counting, s.counts.loop
	out, at := s.counts.counts, s.counts.at
	age := s.deps.Clock().Sub(at)
	fresh := known && age >= 0 && age < max(countsFor, countsShare*s.counts.took)
	s.mu.Unlock()
	switch {
	case fresh, known && busy != nil:
		return out, at.UnixMilli(), nil
	case known && loop:
		select {
		case s.counts.wanted <- struct{}{}:
		default:
		}
		return out, at.UnixMilli(), nil
	case busy != nil:
		select {
		case <-busy:
			return c.Counts(ctx)
		case <-ctx.Done():
			return Counts{}, 0, ctx.Err()
		}
	}
	return s.count(ctx)
}

func (s *shared) count(ctx context.Context) (Counts, int64, error) {
	done := make(chan struct{})
	s.mu.Lock()
	s.counts.counting = done
	s.mu.Unlock()
	start := s.deps.Clock()
	counts, err := s.eng.Store().Counts(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts.counting == done {
		s.counts.counting = nil
	}
	close(done)
	if err != nil {
		return Counts{}, 0, err
	}
	s.counts.counts, s.counts.at, s.counts.known = counts, start, true
	s.counts.took = max(0, s.deps.Clock().Sub(start))
	return counts, start.UnixMilli(), nil
}

// recount makes the next question wait for new counts: somebody has just changed what they say.
func (s *shared) recount() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.known = false
}
