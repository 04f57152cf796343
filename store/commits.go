package store

import (
	"context"
	"runtime"
	"time"

	"gorm.io/gorm"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

type write struct {
	ctx  context.Context
	keys []fhir.Key
	fn   func(*Tx) error
	err  error
	done chan bool // false: it is done, err says how; true: lead the next group
}

// Write runs fn in a write transaction and commits it, possibly together with other writers. If fn returns an error nothing
// that it did stays. fn may run more than once, when the database asks for the transaction to be repeated or when a writer of
// the same group makes the whole transaction fail; it must start afresh each time.
func (s *Store) Write(ctx context.Context, fn func(*Tx) error) error {
	return s.write(&write{ctx: ctx, fn: fn, done: make(chan bool, 1)})
}

// WriteOf is Write for a writer that says beforehand of which keys it will ask for the current copies: those of all writers of a group are read
// together.
func (s *Store) WriteOf(ctx context.Context, keys []fhir.Key, fn func(*Tx) error) error {
	return s.write(&write{ctx: ctx, keys: keys, fn: fn, done: make(chan bool, 1)})
}

func (s *Store) write(w *write) error {
	if !s.group.enter(w) && !<-w.done {
		return w.err
	}
	group := &group{writers: s.group.join(0, 0)}
	whole := false
	defer func() { s.release(group, w, whole) }() // also when a writer panics: those who wait must not wait for ever
	s.commit(group)
	whole = true
	return w.err
}

// group are the writers of one transaction. Others join it while it is at work.
type group struct{ writers []*write }

// release tells the others of a group that they are done and lets the next group begin.
func (s *Store) release(group *group, leader *write, whole bool) {
	for _, other := range group.writers {
		if other == leader {
			continue
		}
		if !whole {
			other.err = syncerr.New(syncerr.Transient, "write", "another writer of the same commit failed").WithHint("Try again")
		}
		other.done <- false
	}
	if next := s.group.leave(len(group.writers)); next != nil {
		next.done <- true
		// Whoever was woken last runs next: the leader, for whom the disk waits. This goroutine has but a client of its own to answer.
		runtime.Gosched()
	}
}

// commit runs the group in one transaction. Where that fails as a whole, each of its writers is tried alone, so that one
// item which the database will not take harms nobody else.
func (s *Store) commit(g *group) {
	wrote, err := s.transact(g, true)
	if err != nil {
		for _, w := range g.writers {
			if len(g.writers) == 1 {
				w.err = err
				continue
			}
			one, err := s.transact(&group{writers: []*write{w}}, false)
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

// transact runs the writers one after the other in one transaction, and where it is open those who come meanwhile. A writer's own error is left in its
// err and undoes only that writer; the returned error means that nothing of the group stays.
func (s *Store) transact(g *group, open bool) (wrote bool, err error) {
	for attempt := 0; ; attempt++ {
		wrote, err = s.once(g, open)
		if err == nil || attempt >= 5 || !s.dialect.retry(err) {
			return wrote, s.dialect.wrap("write", err)
		}
	}
}

func (s *Store) once(g *group, open bool) (wrote bool, err error) {
	ctx, cancel := s.dialect.bounded(context.WithoutCancel(g.writers[0].ctx))
	defer cancel()
	t := &transaction{store: s, query: s.within(ctx)}
	t.before = t.point
	t.g = s.writer.WithContext(ctx).Begin()
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
	began, work := s.opts.Clock(), time.Duration(0)
	for ran := 0; ran < len(g.writers); {
		round := s.opts.Clock()
		t.shared = len(g.writers) > 1
		if err := t.runAll(g.writers[ran:]); err != nil {
			return false, err
		}
		ran = len(g.writers)
		if ran == 1 && g.writers[0].err != nil {
			t.rollback()
			return false, nil
		}
		if err := t.flush(); err != nil {
			return false, err
		}
		now := s.opts.Clock()
		work += now.Sub(round)
		if open {
			g.writers = append(g.writers, s.group.join(ran, now.Sub(began))...)
		}
	}
	ready := s.opts.Clock()
	if err := t.point("commit"); err != nil {
		return false, err
	}
	if err := t.g.Commit().Error; err != nil {
		return false, err
	}
	s.group.measure(work, s.opts.Clock().Sub(ready))
	t.keep()
	t.keepClasses()
	if err := t.point("committed"); err != nil {
		for _, w := range g.writers {
			w.err = err
		}
	}
	return t.wrote, nil
}

// runAll calls writers in their order. The returned error means that the transaction cannot go on.
func (t *transaction) runAll(writers []*write) error {
	var keys []fhir.Key
	for _, w := range writers {
		keys = append(keys, w.keys...)
	}
	if err := t.load(keys); err != nil {
		return err
	}
	for _, w := range writers {
		w.err = nil
		if w.err = w.ctx.Err(); w.err != nil {
			continue
		}
		if err := t.run(w); err != nil {
			return err
		}
	}
	return nil
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
