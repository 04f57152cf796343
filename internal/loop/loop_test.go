package loop_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-sync/tributary/internal/loop"
)

// running is a loop in a bubble of synctest, whose clock stands still until everything waits.
type running struct {
	*loop.Loop
	mu     sync.Mutex      // guards starts, err and news
	starts []time.Duration // of each pass, since the beginning
	err    error           // what the next passes return
	news   chan struct{}
	ended  chan error
	cancel context.CancelFunc
}

func run(t *testing.T, cfg loop.Config, withNews bool) *running {
	t.Helper()
	r := &running{news: make(chan struct{}), ended: make(chan error, 1)}
	begin := time.Now()
	cfg.Log, cfg.Now = slog.New(slog.DiscardHandler), time.Now
	if cfg.Pass == nil {
		cfg.Pass = func(context.Context) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.starts = append(r.starts, time.Since(begin))
			return r.err
		}
	}
	if withNews {
		cfg.News = func() <-chan struct{} {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.news
		}
	}
	r.Loop = loop.New(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	r.cancel = cancel
	go func() { r.ended <- r.Run(ctx) }()
	synctest.Wait()
	return r
}

// advance lets the bubble's clock go on.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	synctest.Wait()
	select {
	case err := <-r.ended:
		if err != nil || r.State().Running {
			t.Errorf("it ended with %v, %+v", err, r.State())
		}
	default:
		t.Error("it does not end with its context")
	}
}

func (r *running) tellNews() {
	r.mu.Lock()
	close(r.news)
	r.news = make(chan struct{})
	r.mu.Unlock()
	synctest.Wait()
}

// fail makes the next passes return err.
func (r *running) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// passes returns when each pass began.
func (r *running) passes() []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.starts)
}

func TestLoopBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, loop.Config{}, false)
		r.fail(errors.New("the link is down"))
		advance(20 * time.Millisecond)
		first := len(r.passes())
		advance(2 * time.Hour)
		s := r.State()
		if s.Failures < 20 || s.Err == nil || s.Running || s.Next.Before(time.Now()) || s.Next.After(time.Now().Add(8*time.Minute)) {
			t.Errorf("%+v", s)
		}
		nominal, different, starts := time.Second, false, r.passes()
		for i := first; i < len(starts); i++ {
			wait := starts[i] - starts[i-1]
			if wait < nominal/2 || wait > nominal*3/2+time.Millisecond {
				t.Errorf("wait %d is %v, want about %v", i, wait, nominal)
			}
			different = different || (wait-nominal).Abs() > nominal/100
			nominal = min(2*nominal, 5*time.Minute)
		}
		if nominal != 5*time.Minute || !different {
			t.Errorf("%d waits up to %v, jitter %v", len(starts), nominal, different)
		}
		// One that goes well begins the waits anew.
		r.fail(nil)
		r.Poke()
		synctest.Wait()
		if s = r.State(); s.Failures != 0 || s.Err != nil || !s.Next.IsZero() || !s.Success.Equal(time.Now()) {
			t.Errorf("%+v", s)
		}
		r.fail(errors.New("again"))
		n := len(r.passes())
		advance(20 * time.Millisecond)
		if s = r.State(); len(r.passes()) != n+1 || s.Failures != 1 || s.Next.After(time.Now().Add(1600*time.Millisecond)) {
			t.Errorf("%d passes, %+v", len(r.passes())-n, s)
		}
		r.stop(t)
	})
}

func TestLoopPokeAndNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, loop.Config{}, true)
		want := func(n int, what string) {
			t.Helper()
			if len(r.passes()) != n {
				t.Fatalf("%s: %d passes, want %d", what, len(r.passes()), n)
			}
		}
		want(1, "start")
		advance(59 * time.Second)
		want(1, "no news")
		r.tellNews()
		want(2, "news")
		r.Poke()
		synctest.Wait()
		want(3, "poke")
		advance(59 * time.Second)
		want(3, "nothing")
		advance(2 * time.Second)
		want(4, "what is due by the clock is looked at once a minute")
		// After a failure only a poke or the time wakes it.
		r.fail(errors.New("down"))
		r.tellNews()
		want(5, "news that fails")
		r.tellNews()
		want(5, "news does not make a link whole")
		r.Poke()
		synctest.Wait()
		want(6, "poke in a wait after a failure")
		r.stop(t)
	})
}

func TestLoopEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, loop.Config{Every: time.Hour}, true)
		advance(30 * time.Minute)
		r.tellNews()
		if len(r.passes()) != 1 {
			t.Errorf("news woke a loop that has its times: %v", r.passes())
		}
		advance(3*time.Hour + time.Minute)
		if s := r.passes(); len(s) != 4 || s[3] != 3*time.Hour {
			t.Errorf("%v", s)
		}
		r.fail(errors.New("down"))
		r.Poke()
		synctest.Wait()
		advance(2 * time.Second)
		if len(r.passes()) < 6 {
			t.Errorf("a failure waits for the next hour: %v", r.passes())
		}
		r.stop(t)
	})
}

// A pass that waits for news itself runs again at once, but a peer that answers at once does not make the loop spin.
func TestLoopDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, loop.Config{}, false)
		advance(time.Second)
		if n := len(r.passes()); n < 50 || n > 101 {
			t.Errorf("%d passes in a second", n)
		}
		r.stop(t)
	})
}

// A pass that stands in an exchange ends with the context, and a poke that came meanwhile is not lost.
func TestLoopCancelInAPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, release := 0, make(chan struct{})
		r := run(t, loop.Config{Every: time.Hour, Pass: func(ctx context.Context) error {
			n++
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}, false)
		if !r.State().Running {
			t.Error("it does not say that it runs")
		}
		r.Poke()
		r.Poke()
		release <- struct{}{}
		synctest.Wait()
		if n != 2 || !r.State().Running {
			t.Errorf("%d passes", n)
		}
		r.stop(t)
		if s := r.State(); n != 2 || s.Failures != 0 {
			t.Errorf("%d passes, %+v", n, s)
		}
	})
}

// What is asked seldom while it answers is not asked more often while it does not.
func TestLoopLongestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, loop.Config{Every: time.Hour, Wait: time.Hour}, false)
		r.fail(errors.New("away"))
		r.Poke()
		advance(48 * time.Hour)
		n := len(r.passes())
		advance(10 * time.Hour)
		if more := len(r.passes()) - n; more < 5 || more > 21 {
			t.Errorf("%d passes in 10 hours", more)
		}
		r.stop(t)
	})
}
