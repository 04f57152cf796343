package sdata

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// batch is a page that is being taken beside the request that brought it. It is a job in the store, without a status until it has ended: after the
// process died, that is found there and told.
type batch struct {
	job     store.SDataJob
	total   int
	started time.Time
	cancel  context.CancelFunc

	server  *Server // its mu guards the rest
	done    int
	err     error // why it ended without a result
	dropped bool  // its consumer does not want the result any more
}

func (b *batch) failed() bool { return b.err != nil }

// tracking tells how far it has come.
func (b *batch) tracking(now time.Time) Tracking {
	t := Tracking{Phase: "Synchronizing", PhaseDetail: b.job.Type, Elapsed: max(0, now.Sub(b.started).Seconds())}
	t.PollingMillis = int(min(max(t.Elapsed*500, 20), 1000)) // half of what it has taken, so that a short one is not waited for
	if b.total > 0 {
		t.Progress = 100 * float64(b.done) / float64(b.total)
	}
	if b.done > 0 {
		t.Remaining = t.Elapsed * float64(b.total-b.done) / float64(b.done)
	}
	return t
}

// beginBatch takes a page beside the request, under an id that its consumer gave. It reports false where nothing runs that could: it was taken
// within the request, and the result is in the store. A batch of that id that runs or has ended is left as it is.
func (s *Server) beginBatch(ctx context.Context, base, id string, p *page) error {
	j := store.SDataJob{ID: id, Kind: kindTarget, Type: p.typ, RunName: p.run.Name, RunStamp: p.run.Stamp, Created: s.cfg.Clock().UnixMilli(), Body: []byte{}}
	b := &batch{job: j, total: len(p.versions), started: s.cfg.Clock(), server: s, cancel: func() {}}
	s.mu.Lock()
	if old, ok := s.batches[id]; ok && !old.failed() {
		s.mu.Unlock()
		return s.same(old.job, true, nil, kindTarget, p.typ, p.run)
	}
	s.batches[id] = b
	s.mu.Unlock()
	if err := s.begun(ctx, j); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.batches, id)
		return err
	}
	who := s.cfg.Peer(ctx)
	work := func(ctx context.Context) {
		ctx, cancel := context.WithCancel(context.WithValue(ctx, peerKey{}, who))
		defer cancel()
		s.mu.Lock()
		b.cancel = cancel
		s.mu.Unlock()
		err := s.work(ctx, base, b, p)
		s.mu.Lock()
		defer s.mu.Unlock()
		if b.err = err; err == nil || b.dropped {
			delete(s.batches, id)
		}
	}
	if !s.cfg.Background(work) {
		work(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		return b.err
	}
	return nil
}

// peerKey is where the name of who began a batch stands in its context.
type peerKey struct{}

// work takes the page and stores what came of it. A panic becomes an error, like in a request.
func (s *Server) work(ctx context.Context, base string, b *batch, p *page) (err error) {
	defer func() {
		if why := recover(); why != nil {
			err = fmt.Errorf("panic: %v\n%s", why, debug.Stack())
			s.cfg.Log.Error("sdata", "error", err)
		}
	}()
	out, err := s.take(ctx, base, p, func(done int) {
		s.mu.Lock()
		b.done = done
		s.mu.Unlock()
	})
	s.mu.Lock()
	j := b.job
	j.Deleted, j.Status = b.dropped, http.StatusOK
	s.mu.Unlock()
	if j.Body = WriteFeed(out); j.Deleted {
		j.Body, ctx, err = []byte{}, context.WithoutCancel(ctx), nil
	}
	if err != nil {
		return err
	}
	return s.eng.Store().Write(ctx, func(tx *store.Tx) error {
		return tx.FinishSDataJob(j)
	})
}

// begun notes that a batch was asked for. One that was noted before and has not ended is begun again.
func (s *Server) begun(ctx context.Context, j store.SDataJob) error {
	return s.eng.Store().Write(ctx, func(tx *store.Tx) error {
		_, err := tx.PutSDataJob(j)
		return err
	})
}

// interrupted is what is said of a batch that was noted and neither runs nor has ended.
func interrupted(j store.SDataJob) error {
	return syncerr.New(syncerr.Transient, "take page", "operation %s did not come to its end: this node was stopped or cut off meanwhile, and part of the page may have been taken", j.ID).
		WithHint("Post the page again, under this trackingID or another one: what was taken is not taken twice")
}

// running returns the batch of an id that runs or has ended in an error.
func (s *Server) running(id string) (b *batch, t Tracking, err error, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok = s.batches[id]; ok {
		t, err = b.tracking(s.cfg.Clock()), b.err
	}
	return b, t, err, ok
}

// cancelBatch ends a batch that runs: what was taken of the page stays taken. It reports false where none runs; one that ended in an error is forgotten.
func (s *Server) cancelBatch(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.batches[id]
	if !ok {
		return false
	}
	if b.failed() {
		delete(s.batches, id)
		return false
	}
	b.dropped = true
	b.cancel()
	return true
}
