package store

import (
	"testing"
	"testing/synctest"
	"time"
)

// queue is a queue of writers after transactions of so many writers, each of which took so long.
func queue(crowd int, work, flush time.Duration) *commits {
	g := &commits{}
	for range 100 {
		g.measure(work, flush)
	}
	for range crowd {
		g.enter(&write{done: make(chan bool, 1)})
	}
	if crowd > 0 {
		g.leave(len(g.take(0)))
		g.waiting, g.busy, g.crowd = nil, true, crowd
	}
	return g
}

// come lets writers come, each so long after the one before.
func come(g *commits, n int, each time.Duration) {
	for range n {
		<-time.After(each)
		g.enter(&write{done: make(chan bool, 1)})
	}
}

func TestGroupSize(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name        string
		work, flush time.Duration
		crowd, wait int
		first, join int // of those who wait: how many begin, and how many join when one has begun
	}{
		{"not measured yet: all share one flush", 0, 0, 0, 20, 20, 20},
		{"a slow disk: all share one flush", ms, 2 * ms, 20, 20, 20, 20},
		{"a slow disk, up to a bound", ms, 9 * ms, 200, 100, 64, 63},
		{"a fast disk: half of those who write", ms, 2*ms - 1, 20, 20, 10, 9},
		{"a fast disk: the greater half", ms, ms, 7, 7, 4, 3},
		{"a fast disk: fewer than the half", ms, ms, 16, 3, 3, 3},
		{"a fast disk, up to the bound", ms, ms, 200, 200, 64, 63},
		{"a fast disk, whoever is the first", ms, ms, 0, 5, 1, 0},
		{"a clock that went back", ms, -time.Hour, 4, 4, 2, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := queue(tt.crowd, tt.work, tt.flush)
				come(g, tt.wait, 0)
				if n := len(g.take(0)); n != tt.first {
					t.Errorf("%d begin, want %d", n, tt.first)
				}
				g = queue(tt.crowd, tt.work, tt.flush)
				come(g, tt.wait, 0)
				begin := time.Now()
				if n := len(g.join(1, 0)); n != tt.join {
					t.Errorf("%d join, want %d", n, tt.join)
				}
				if waited := time.Since(begin); waited != 0 {
					t.Errorf("waited %v though somebody was there", waited)
				}
			})
		})
	}
}

func TestGroupWaitsForTheMissing(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name         string
		flush, since time.Duration
		crowd, has   int
		come         int
		each         time.Duration
		joined       int
		waited       time.Duration
	}{
		{"until all have come", 100 * ms, 0, 4, 1, 3, 5 * ms, 3, 15 * ms},
		{"for a quarter of a flush", 100 * ms, 0, 5, 1, 3, 10 * ms, 2, 25 * ms},
		{"less what it has taken already", 100 * ms, 10 * ms, 4, 1, 0, 0, 0, 15 * ms},
		{"not when that has passed", 100 * ms, 25 * ms, 4, 1, 0, 0, 0, 0},
		{"not alone", 100 * ms, 0, 1, 1, 0, 0, 0, 0},
		{"not for those who never wrote", 100 * ms, 0, 0, 1, 0, 0, 0, 0},
		{"not when all are in it", 100 * ms, 0, 4, 4, 0, 0, 0, 0},
		{"not over the bound", 100 * ms, 0, 200, 64, 0, 0, 0, 0},
		{"not on a fast disk", ms, 0, 4, 1, 0, 0, 0, 0},
		{"not for years because of a clock", 1e6 * time.Hour, 0, 4, 1, 0, 0, 0, longestFlush / patience},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := queue(tt.crowd, ms, tt.flush)
				go come(g, tt.come, tt.each)
				begin := time.Now()
				n := len(g.join(tt.has, tt.since))
				if waited := time.Since(begin); n != tt.joined || waited != tt.waited {
					t.Errorf("%d joined after %v, want %d after %v", n, waited, tt.joined, tt.waited)
				}
				<-time.After(time.Second) // of the bubble
				if left := len(g.take(0)); left != tt.come-tt.joined {
					t.Errorf("%d wait still, want %d", left, tt.come-tt.joined)
				}
			})
		})
	}
}

// Those who stop writing are forgotten soon, so that nobody waits for them.
func TestGroupForgetsItsCrowd(t *testing.T) {
	g := queue(16, time.Millisecond, time.Second)
	commits := 0
	for ; g.crowd > 1; commits++ {
		g.leave(1)
	}
	if commits == 0 || commits > 20 {
		t.Errorf("a crowd of 16 is forgotten after %d commits of one writer", commits)
	}
	g.leave(0)
	if g.leave(9); g.crowd != 9 {
		t.Errorf("a crowd of 9 counts as %d", g.crowd)
	}
}
