package node

import (
	"context"
	"errors"
	"sync"
)

// turn lets passes run side by side, and something else alone between them. The zero turn is ready; a nil one lets everything through.
type turn struct {
	mu       sync.Mutex
	moved    sync.Cond // what runs has ended, or a change has
	running  map[*entry]bool
	changing bool
}

type entry struct{ stop context.CancelCauseFunc }

var errChanged = errors.New("what is synchronised has changed")

// enter waits until nothing changes and returns the context of what begins now: it ends with the cause errChanged where something is to change. leave
// is called when it has ended.
func (t *turn) enter(ctx context.Context) (in context.Context, leave func()) {
	if t == nil {
		return ctx, func() {}
	}
	in, stop := context.WithCancelCause(ctx)
	e := &entry{stop: stop}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begin()
	for t.changing {
		t.moved.Wait()
	}
	t.running[e] = true
	return in, func() {
		stop(nil)
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.running, e)
		t.moved.Broadcast()
	}
}

// alone ends what runs, waits until it has ended, and does something before anything runs again.
func (t *turn) alone(do func()) {
	t.mu.Lock()
	t.begin()
	for t.changing {
		t.moved.Wait()
	}
	t.changing = true
	for e := range t.running {
		e.stop(errChanged)
	}
	for len(t.running) > 0 {
		t.moved.Wait()
	}
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.changing = false
		t.moved.Broadcast()
	}()
	do()
}

func (t *turn) begin() {
	if t.running == nil {
		t.running, t.moved.L = map[*entry]bool{}, &t.mu
	}
}
