package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/internal/loop"
)

// direction is one of the two services of a link: its pass, its loop, and the gate that keeps an operator's pass and the
// loop's from running at once.
type direction struct {
	name   string
	server string      // empty for the parent
	turn   *turn       // nil where what goes never changes
	off    func() bool // nil where it is always on
	pass   func(ctx context.Context, wait time.Duration) (audit.Run, error)
	loop   *loop.Loop
	gate   sync.Mutex
	mu     sync.Mutex
	stop   context.CancelCauseFunc // ends the loop's pass of now
}

var errInterrupted = errors.New("an operator asked for a pass")

func newDirection(name string, pass func(context.Context, time.Duration) (audit.Run, error), wait time.Duration, cfg loop.Config) *direction {
	d := &direction{name: name, pass: pass}
	cfg.Name = name
	cfg.Pass = func(ctx context.Context) error { return d.scheduled(ctx, wait) }
	d.loop = loop.New(cfg)
	return d
}

// scheduled is the loop's pass. An operator's pass may end it; it goes on from the cursor afterwards.
func (d *direction) scheduled(ctx context.Context, wait time.Duration) error {
	d.gate.Lock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.mu.Lock()
	d.stop = cancel
	d.mu.Unlock()
	d.gate.Unlock()
	ctx, leave := d.turn.enter(ctx)
	defer leave()
	if d.off != nil && d.off() {
		<-ctx.Done() // what goes has changed, or the node stops
		return nil
	}
	_, err := d.pass(ctx, wait)
	if why := context.Cause(ctx); err != nil && (errors.Is(why, errInterrupted) || errors.Is(why, errChanged)) {
		return nil
	}
	return err
}

// now runs a pass for an operator and returns its counts. Where what goes changes meanwhile it begins anew.
func (d *direction) now(ctx context.Context) (audit.Run, error) {
	d.gate.Lock()
	defer d.gate.Unlock()
	d.mu.Lock()
	if d.stop != nil {
		d.stop(errInterrupted)
	}
	d.mu.Unlock()
	for {
		in, leave := d.turn.enter(ctx)
		run, err := d.pass(in, 0)
		changed := errors.Is(context.Cause(in), errChanged)
		leave()
		if err == nil || !changed || ctx.Err() != nil {
			return run, err
		}
	}
}

func (d *direction) state(now time.Time) control.LinkState {
	s := d.loop.State()
	out := control.LinkState{Direction: d.name, Server: d.server, Enabled: true, Running: s.Running}
	if s.Err != nil {
		out.LastError = s.Err.Error()
	}
	if !s.Success.IsZero() {
		out.LastGood = s.Success.UnixMilli()
	}
	if !s.Next.IsZero() {
		out.NextAttempt = s.Next.UnixMilli()
		out.Backoff = max(0, s.Next.Sub(now).Milliseconds())
	}
	return out
}
