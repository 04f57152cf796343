package store

import (
	"context"
	"database/sql/driver"
	"math"
	"path/filepath"
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
		g.leave(len(g.join(0, 0)))
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
				if n := len(g.join(0, 0)); n != tt.first {
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
				if left := len(g.join(0, 0)); left != tt.come-tt.joined {
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

func TestGroupAfterAClockWentBack(t *testing.T) {
	g := &commits{}
	g.measure(time.Millisecond, -time.Hour)
	if g.measure(time.Millisecond, 2*time.Millisecond); g.flush != 2*time.Millisecond {
		t.Errorf("a flush takes %v", g.flush)
	}
}

// A store measures its disk and its statements, and neither is what it waited for others.
func TestGroupIsMeasured(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		const flush, statement = 400 * time.Millisecond, time.Millisecond
		begun := false
		hook := func(point string) error {
			switch {
			case !begun:
			case point == "commit":
				<-time.After(flush)
			case point != "committed":
				<-time.After(statement)
			}
			return nil
		}
		st, err := Create(context.Background(), Options{DSN: filepath.Join(dir, "n.db"), Volatile: true, Hook: hook}, "n", 10)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		}()
		begun = true
		write := func() time.Duration {
			begin := time.Now()
			if err := st.Write(context.Background(), func(tx *Tx) error { return tx.SetState("a", time.Now().String()) }); err != nil {
				t.Fatal(err)
			}
			return time.Since(begin)
		}
		alone := write()
		st.group.work, st.group.flush = 0, 0 // as if that were the first
		write()
		if g := &st.group; g.flush != flush || g.work < statement || g.work > 10*statement {
			t.Fatalf("flush %v, statements %v", g.flush, g.work)
		}
		work := st.group.work
		st.group.crowd = 4
		if waited := write() - alone; waited < flush/patience-10*statement || waited > flush/patience {
			t.Errorf("waited %v for others, want about %v", waited, flush/patience)
		}
		if st.group.work != work {
			t.Errorf("the statements take %v, with what was waited %v", work, st.group.work)
		}
	})
}

func TestArguments(t *testing.T) {
	c := &keptConn{}
	for _, tt := range []struct{ in, want any }{{3, int64(3)}, {int32(-3), int64(-3)}, {uint64(math.MaxInt64), int64(math.MaxInt64)}, {"s", "s"}, {nil, nil}, {int64(7), int64(7)}} {
		v := driver.NamedValue{Value: tt.in}
		if err := c.CheckNamedValue(&v); err != nil || v.Value != tt.want {
			t.Errorf("%T %v becomes %T %v, %v", tt.in, tt.in, v.Value, v.Value, err)
		}
	}
	for _, other := range []any{uint64(math.MaxInt64 + 1), true, 1.5, time.Time{}} {
		v := driver.NamedValue{Value: other}
		if err := c.CheckNamedValue(&v); err != driver.ErrSkip || v.Value != other {
			t.Errorf("%T %v becomes %v, %v", other, other, v.Value, err)
		}
	}
}
