package store

import (
	"context"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/tributary-sync/tributary/syncerr"
)

// commits coalesces writers into group commits: the first waiting writer commits for those behind it, so that many small
// writes share one flush to disk. It needs no goroutine of its own.
type commits struct {
	mu      sync.Mutex
	busy    bool
	waiting []*write
}

// maxGroup bounds how many writers share a transaction, and so how long the last one waits.
const maxGroup = 64

type write struct {
	ctx  context.Context
	fn   func(*Tx) error
	err  error
	done chan bool // false: it is done, err says how; true: lead the next group
}

// Write runs fn in a write transaction and commits it, possibly together with other writers. If fn returns an error nothing
// that it did stays. fn may run more than once, when the database asks for the transaction to be repeated or when a writer of
// the same group makes the whole transaction fail; it must start afresh each time.
func (s *Store) Write(ctx context.Context, fn func(*Tx) error) error {
	w := &write{ctx: ctx, fn: fn, done: make(chan bool, 1)}
	g := &s.group
	g.mu.Lock()
	g.waiting = append(g.waiting, w)
	lead := !g.busy
	g.busy = true
	g.mu.Unlock()
	if !lead && !<-w.done {
		return w.err
	}
	g.mu.Lock()
	n := min(len(g.waiting), maxGroup)
	group := append([]*write(nil), g.waiting[:n]...)
	g.waiting = append(g.waiting[:0], g.waiting[n:]...)
	g.mu.Unlock()

	whole := false
	defer func() { s.release(group, w, whole) }() // also when a writer panics: those who wait must not wait for ever
	s.commit(group)
	whole = true
	return w.err
}

// release lets the next group begin and tells the others of this one that they are done.
func (s *Store) release(group []*write, leader *write, whole bool) {
	g := &s.group
	g.mu.Lock()
	if len(g.waiting) > 0 {
		g.waiting[0].done <- true
	} else {
		g.busy = false
	}
	g.mu.Unlock()
	for _, other := range group {
		if other == leader {
			continue
		}
		if !whole {
			other.err = syncerr.New(syncerr.Transient, "write", "another writer of the same commit failed").WithHint("Try again")
		}
		other.done <- false
	}
}

// commit runs the group in one transaction. Where that fails as a whole, each of its writers is tried alone, so that one
// item which the database will not take harms nobody else.
func (s *Store) commit(group []*write) {
	wrote, err := s.transact(group)
	if err != nil {
		for _, w := range group {
			if len(group) == 1 {
				w.err = err
				continue
			}
			one, err := s.transact([]*write{w})
			wrote = wrote || one
			if err != nil {
				w.err = err
			}
		}
	}
	if wrote {
		s.announce()
	}
}

// transact runs the writers one after the other in one transaction. A writer's own error is left in its err and undoes only
// that writer; the returned error means that nothing of the group stays.
func (s *Store) transact(group []*write) (wrote bool, err error) {
	for attempt := 0; ; attempt++ {
		wrote, err = s.once(group)
		if err == nil || attempt >= 5 || !s.dialect.retry(err) {
			return wrote, s.dialect.wrap("write", err)
		}
	}
}

func (s *Store) once(group []*write) (wrote bool, err error) {
	ctx := context.WithoutCancel(group[0].ctx)
	cctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	t := &transaction{store: s, shared: len(group) > 1, query: s.within(cctx)}
	t.before = t.point
	t.g = s.writer.WithContext(cctx).Begin()
	if t.g.Error != nil {
		return false, t.g.Error
	}
	defer func() {
		if p := recover(); p != nil {
			t.rollback()
			panic(p)
		}
		if err != nil {
			t.rollback()
		}
	}()
	if err := t.start(); err != nil {
		return false, err
	}
	for _, w := range group {
		w.err = nil
		if w.err = w.ctx.Err(); w.err != nil {
			continue
		}
		if err := t.run(w); err != nil {
			return false, err
		}
	}
	if len(group) == 1 && group[0].err != nil {
		t.rollback()
		return false, nil
	}
	if err := t.flush(); err != nil {
		return false, err
	}
	if err := t.point("commit"); err != nil {
		return false, err
	}
	if err := t.g.Commit().Error; err != nil {
		return false, err
	}
	t.keep()
	t.keepClasses()
	if err := t.point("committed"); err != nil {
		for _, w := range group {
			w.err = err
		}
	}
	return t.wrote, nil
}

// run calls one writer. Its own failure undoes what it did alone: what it left in memory is dropped, its statements are undone to its savepoint. The
// returned error means that the transaction cannot go on.
func (t *transaction) run(w *write) error {
	t.saved = false
	tx := &Tx{t: t, query: t.query}
	tx.before = tx.look
	err := w.fn(tx)
	if t.broken != nil {
		return t.broken
	}
	if err == nil {
		if t.saved {
			if err := t.exec("RELEASE SAVEPOINT w"); err != nil {
				return err
			}
		}
		return tx.join()
	}
	if t.store.dialect.retry(err) {
		return err // the database may have undone the whole transaction
	}
	w.err = t.store.dialect.wrap("write", err)
	if !t.saved {
		return nil
	}
	t.forget()
	return t.exec("ROLLBACK TO SAVEPOINT w")
}

// look precedes each query of a writer: what those before it left in memory is written, so that it can be seen.
func (tx *Tx) look(q string) error {
	if err := tx.t.flush(); err != nil {
		return err
	}
	return tx.t.point(q)
}

func (t *transaction) rollback() {
	if err := t.g.Rollback().Error; err != nil && err != gorm.ErrInvalidTransaction {
		t.store.opts.Log.Debug("roll back", "error", err)
	}
}
