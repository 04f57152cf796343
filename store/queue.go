package store

import (
	"sync"
	"time"
)

// commits coalesces writers into group commits, so that many small writes share one flush to disk: the first waiting writer commits for those
// behind it. It needs no goroutine of its own.
//
// How many share a transaction depends on what costs more. While a slow disk flushes, all the others come to wait: the next transaction takes them all, and
// waits a little for those who were just answered and are likely to come again. Where the flush costs no more than the statements, a transaction takes but
// half of those who write at once: while it is at work the other half is answered and comes again, and no processor is idle.
type commits struct {
	mu      sync.Mutex
	busy    bool
	waiting []*write

	crowd  int           // how many wrote at once lately
	work   time.Duration // what the statements of a transaction take, lately
	flush  time.Duration // what its commit takes
	enough chan struct{} // closed when so many wait as the transaction at work waits for; nil where it waits for nobody
	wanted int
}

const (
	// maxGroup bounds how many writers share a transaction, and so how long the first one waits for the last.
	maxGroup = 64
	// A mean moves by an eighth of the way to what was measured last; what is measured is bounded, because a clock may jump.
	meanOf       = 8
	longestFlush = 10 * time.Second
	// patience is the part of a flush for which a transaction waits for others. A writer alone never waits.
	patience = 4
)

// enter adds a writer to those who wait, and reports whether it is to lead the next group: nobody else writes.
func (g *commits) enter(w *write) (lead bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, w)
	if g.enough != nil && len(g.waiting) >= g.wanted {
		close(g.enough)
		g.enough = nil
	}
	lead = !g.busy
	g.busy = true
	return lead
}

// leave notes that a group of so many has ended and returns the leader of the next one, nil where nobody waits.
func (g *commits) leave(size int) *write {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.crowd = max(size+len(g.waiting), g.crowd-(g.crowd+15)/16)
	if len(g.waiting) == 0 {
		g.busy = false
		return nil
	}
	return g.waiting[0]
}

// slow reports whether the disk is what a writer waits for; it is taken for slow until it has been measured.
func (g *commits) slow() bool { return g.flush >= 2*g.work }

// join returns those of the writers who wait that have room in a transaction which has so many and began so long ago. Where nobody waits and the disk is slow it
// waits for those who are missing.
func (g *commits) join(has int, since time.Duration) []*write {
	g.mu.Lock()
	defer g.mu.Unlock()
	left := g.flush/patience - since
	if missing := min(g.crowd, maxGroup) - has; len(g.waiting) == 0 && missing > 0 && g.slow() && left > 0 {
		g.await(missing, left)
	}
	most := maxGroup
	if !g.slow() {
		most = min(most, max(1, (g.crowd+1)/2))
	}
	n := min(len(g.waiting), most-has)
	if n <= 0 {
		return nil
	}
	joined := append([]*write(nil), g.waiting[:n]...)
	g.waiting = append(g.waiting[:0], g.waiting[n:]...)
	return joined
}

// await gives up the lock until so many writers wait, or for so long.
func (g *commits) await(writers int, most time.Duration) {
	enough := make(chan struct{})
	g.enough, g.wanted = enough, writers
	g.mu.Unlock()
	end := time.NewTimer(most)
	select {
	case <-enough:
	case <-end.C:
	}
	end.Stop()
	g.mu.Lock()
	g.enough = nil
}

// measure notes what the statements and the commit of a transaction took.
func (g *commits) measure(work, flush time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.work, g.flush = mean(g.work, work), mean(g.flush, flush)
}

// mean moves a mean towards a measure, and to the first one entirely.
func mean(was, is time.Duration) time.Duration {
	is = min(max(is, 0), longestFlush)
	if was == 0 {
		return is
	}
	return was + (is-was)/meanOf
}
