// Package loop owns the timing of a pass: when it runs, how long it waits after a failure, and that it never stops trying. It
// knows nothing of what a pass does.
package loop

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/tributary-sync/tributary/syncerr"
)

// Config says when a pass runs.
type Config struct {
	Name  string
	Pass  func(ctx context.Context) error
	News  func() <-chan struct{} // closed when there is something to do; nil where the pass itself waits for news
	Every time.Duration          // 0: at once when there is news
	Wait  time.Duration          // the longest wait after failures; 0 is five minutes
	Log   *slog.Logger
	Now   func() time.Time
}

// The waits after a failure: from one second to five minutes or Config.Wait, doubled each time, half of it random.
const (
	firstWait = time.Second
	maxWait   = 5 * time.Minute
	floor     = 10 * time.Millisecond
)

// State is what an operator sees of a loop.
type State struct {
	Running  bool
	Failures int       // in a row
	Err      error     // of the last pass
	Success  time.Time // end of the last pass that went well
	Next     time.Time // when it is tried again after a failure; zero otherwise
}

// Loop runs a pass again and again.
type Loop struct {
	cfg   Config
	poke  chan struct{}
	mu    sync.Mutex
	state State
}

// New returns a loop that is not running yet.
func New(cfg Config) *Loop { return &Loop{cfg: cfg, poke: make(chan struct{}, 1)} }

// Poke makes the next pass start now, also in the middle of a wait after a failure.
func (l *Loop) Poke() {
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// State returns how the loop is doing.
func (l *Loop) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// Run passes until ctx ends; it then returns nil. A failure is logged once, waited out with jitter, and tried again for ever.
func (l *Loop) Run(ctx context.Context) error {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier, b.RandomizationFactor = firstWait, cmp.Or(l.cfg.Wait, maxWait), 2, 0.5
	b.Reset()
	for ctx.Err() == nil {
		var news <-chan struct{}
		if l.cfg.News != nil && l.cfg.Every == 0 {
			news = l.cfg.News() // taken before the pass, so that nothing falls between
		}
		l.set(func(s *State) { s.Running, s.Next = true, time.Time{} })
		err := l.cfg.Pass(ctx)
		if ctx.Err() != nil {
			break
		}
		wait := l.cfg.Every
		if err != nil {
			wait = b.NextBackOff()
			news = nil // news does not make a broken link whole
			l.cfg.Log.Warn("pass failed", "loop", l.cfg.Name, "kind", syncerr.KindOf(err).String(), "error", err, "again_in", wait.Round(time.Second).String())
		} else {
			b.Reset()
		}
		l.set(func(s *State) {
			s.Running, s.Err = false, err
			if err != nil {
				s.Failures++
				s.Next = l.cfg.Now().Add(wait)
			} else {
				s.Failures, s.Success = 0, l.cfg.Now()
			}
		})
		l.wait(ctx, wait, news, err == nil)
	}
	l.set(func(s *State) { s.Running = false })
	return nil
}

// wait returns when it is time for the next pass.
func (l *Loop) wait(ctx context.Context, d time.Duration, news <-chan struct{}, ok bool) {
	var timer <-chan time.Time
	switch {
	case d > 0:
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	case news == nil && ok:
		d = floor // the pass itself waits for news; a peer that answers at once must not make this loop spin
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	}
	if news != nil && d == 0 {
		// What is due by the clock (a retry of something parked) is looked at without news, too.
		t := time.NewTimer(time.Minute)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-timer:
	case <-news:
	case <-l.poke:
	}
}

func (l *Loop) set(change func(*State)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.state)
}
