package store_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
)

// contiguous checks that sequence, ordinals and ticks are what invariant 5 asks for: given in commit order, from 1, no holes.
func contiguous(t *testing.T, rows []store.Row, want int) {
	t.Helper()
	if len(rows) != want {
		t.Errorf("%d rows in the log, want %d", len(rows), want)
	}
	ordinals, ticks := map[string]uint64{}, map[string]uint64{}
	committed := int64(0)
	for i, r := range rows {
		ordinals[r.Key.Type]++
		ticks[r.Key.Type]++
		if r.Seq != uint64(i+1) || r.Ordinal != ordinals[r.Key.Type] || r.Stamp.Version.Tick != ticks[r.Key.Type] || r.Committed < committed {
			t.Fatalf("row %d: sequence %d, ordinal %d, tick %d, committed %d after %d", i+1, r.Seq, r.Ordinal, r.Stamp.Version.Tick, r.Committed, committed)
		}
		committed = r.Committed
	}
}

var errAbandoned = errors.New("abandoned")

// writeAll lets 16 writers author n changes each through the handles; every fifth transaction is abandoned after its put.
func (w *world) writeAll(handles []*store.Store, n int) (kept int) {
	var wg sync.WaitGroup
	var stay atomic.Int64
	for i := range 16 {
		st := handles[i%len(handles)]
		wg.Go(func() {
			for j := range n {
				abandon := (i+j)%5 == 0
				err := st.Write(w.t.Context(), func(tx *store.Tx) error {
					k := key([]string{"Patient", "Encounter"}[j%2], fmt.Sprintf("w%d-%d", i, j))
					if _, err := author(st, tx, k, []byte(`{"w":1}`), ""); err != nil {
						return err
					}
					tx.Audit(audit.Record{Operation: audit.Local, Outcome: audit.Applied, Key: k})
					if abandon {
						return errAbandoned
					}
					return nil
				})
				switch {
				case abandon && !errors.Is(err, errAbandoned):
					w.t.Errorf("abandoned write: %v", err)
				case !abandon && err != nil:
					w.t.Error(err)
				case !abandon:
					stay.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return int(stay.Load())
}

// follow reads behind a cursor until stop is closed and the log is read out; it fails at a hole or at an event twice.
func (w *world) follow(st *store.Store, stop <-chan struct{}) (seen int) {
	var after uint64
	for last := false; ; {
		select {
		case <-stop:
			last = true
		default:
		}
		err := st.Read(w.t.Context(), func(r *store.Reader) error {
			next := after
			upTo, _, passed, err := r.Changes(after, nil, 7, func(row store.Row) error {
				if row.Seq != next+1 {
					w.t.Errorf("event %d after %d", row.Seq, next)
				}
				next = row.Seq
				seen++
				return nil
			})
			if err == nil && (upTo != next || passed != 0) {
				w.t.Errorf("read up to %d, but the last event was %d; passed %d", upTo, next, passed)
			}
			if last && upTo > after {
				last = false
			}
			after = upTo
			return err
		})
		if err != nil {
			w.t.Error(err)
			return seen
		}
		if last {
			return seen
		}
	}
}

func TestCommitsAreContiguousForEveryReader(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		handles := []*store.Store{w.Store}
		if driver == "mysql" { // SQLite has one process, MySQL may have several
			handles = append(handles, w.again(), w.again(), w.again())
		}
		stop, seen := make(chan struct{}), make(chan int, 2)
		for _, st := range []*store.Store{handles[0], handles[len(handles)-1]} {
			go func() { seen <- w.follow(st, stop) }()
		}
		kept := w.writeAll(handles, 15)
		close(stop)
		for range 2 {
			if n := <-seen; n != kept {
				t.Errorf("a reader saw %d events, want %d", n, kept)
			}
		}
		contiguous(t, w.log(), kept)
		records, err := w.AuditRecords(t.Context(), audit.Query{Limit: 1000})
		if err != nil || len(records) != kept {
			t.Errorf("%d audit records for %d changes, %v", len(records), kept, err)
		}
	})
}

// queued counts the goroutines that wait for their turn in Write.
func queued() (n int) {
	stacks := make([]byte, 4<<20)
	for _, g := range strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		lines := strings.SplitN(g, "\n", 3)
		if len(lines) == 3 && strings.Contains(lines[0], "[chan receive") && strings.Contains(lines[1], "store.(*Store).write(") {
			n++
		}
	}
	return n
}

// crowd blocks a writer inside its transaction until others wait behind it, which then run fn; it returns their errors.
func crowd(t *testing.T, st *store.Store, others int, fn func(i int, tx *store.Tx) error) []error {
	t.Helper()
	errs, err := crowdBehind(t, st, func(*store.Tx) error { return nil }, others, fn)
	if err != nil {
		t.Error(err)
	}
	return errs
}

// crowdBehind does so behind a writer that runs front, whose error is returned too.
func crowdBehind(t *testing.T, st *store.Store, front func(*store.Tx) error, others int, fn func(i int, tx *store.Tx) error) (errs []error, before error) {
	t.Helper()
	inside, open := make(chan struct{}), make(chan struct{})
	errs = make([]error, others)
	var once sync.Once
	var wg sync.WaitGroup
	wg.Go(func() {
		before = st.Write(t.Context(), func(tx *store.Tx) error {
			once.Do(func() {
				close(inside)
				<-open
			})
			return front(tx)
		})
	})
	<-inside
	for i := range others {
		wg.Go(func() {
			errs[i] = st.Write(t.Context(), func(tx *store.Tx) error { return fn(i, tx) })
		})
	}
	for t.Context().Err() == nil && queued() < others {
		runtime.Gosched()
	}
	close(open)
	wg.Wait()
	return errs, before
}

// hooked opens a second handle whose hook is called at every point.
func (w *world) hooked(hook func(point string) error) *store.Store {
	w.t.Helper()
	opts := w.options()
	opts.Hook = hook
	st, err := store.Open(w.t.Context(), opts)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { closed(w.t, st) })
	return st
}

// counting opens the store of the world once more and counts its commits.
func (w *world) counting(commits *int) *store.Store {
	w.t.Helper()
	return w.hooked(func(point string) error {
		if point == "commit" {
			*commits++
		}
		return nil
	})
}

func TestCommitsCoalesce(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		const writers = 100 // more than one group takes
		w := newWorld(t, driver, dsn)
		commits := 0
		st := w.counting(&commits)
		news := st.News()
		for _, err := range crowd(t, st, writers, func(i int, tx *store.Tx) error {
			_, err := author(st, tx, key("Patient", fmt.Sprint(i)), []byte("{}"), "")
			return err
		}) {
			if err != nil {
				t.Error(err)
			}
		}
		if commits != 2 { // those who join the one in front, and the rest
			t.Errorf("%d commits for %d waiting writers", commits, writers)
		}
		select {
		case <-news:
		default:
			t.Error("no news of a hundred changes")
		}
		contiguous(t, w.log(), writers)
	})
}

// Of writers that share a transaction, one that fails undoes itself alone: with an error of its own after it wrote, or with a
// statement that the database refuses.
func TestCommitsUndoOnlyTheFailedWriter(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		commits := 0
		st := w.counting(&commits)
		errs := crowd(t, st, 30, func(i int, tx *store.Tx) error {
			k := key("Patient", fmt.Sprint(i))
			if _, err := author(st, tx, k, []byte("{}"), ""); err != nil {
				return err
			}
			if err := tx.SetState(fmt.Sprint("seen", i), "yes"); err != nil {
				return err
			}
			if _, err := author(st, tx, key("Patient", "shared"), []byte(fmt.Sprint(i)), ""); err != nil {
				return err
			}
			switch i % 3 {
			case 1:
				return errAbandoned
			case 2:
				return tx.AddChild(store.Participant{ID: fmt.Sprint(i), Name: "north"}) // the first alone may have the name
			}
			return nil
		})
		children := 0
		for i, err := range errs {
			_, there, gerr := w.Get(t.Context(), key("Patient", fmt.Sprint(i)))
			state, serr := w.State(t.Context(), fmt.Sprint("seen", i))
			if gerr != nil || serr != nil {
				t.Fatal(gerr, serr)
			}
			if there != (err == nil) || (state == "yes") != (err == nil) {
				t.Errorf("writer %d: error %v, its copy is there %v, its state %q", i, err, there, state)
			}
			if (i%3 == 0 && err != nil) || (i%3 == 1 && !errors.Is(err, errAbandoned)) {
				t.Errorf("writer %d: %v", i, err)
			}
			if i%3 == 2 && err == nil {
				children++
			}
		}
		if children != 1 || commits != 1 {
			t.Errorf("%d children of one name, %d commits", children, commits)
		}
		contiguous(t, w.log(), 2*11)
	})
}

// Those who come while a transaction is at work join it; what fails in it, before or after they came, fails alone. Where its first writer has failed after
// statements of its own, there is nothing to join.
func TestCommitsAreJoined(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		frontFails, lastFails  bool
		commits, rows, waiting int
	}{
		{"by all that wait", false, false, 1, 11, 10},
		{"after its first writer", true, false, 1, 10, 10},
		{"before its last writer", false, true, 1, 10, 10},
		{"up to a bound", false, false, 2, 71, 70},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testdb.Each(t, func(t *testing.T, driver, dsn string) {
				w := newWorld(t, driver, dsn)
				commits := 0
				st := w.counting(&commits)
				do := func(name string, fails bool, tx *store.Tx) error {
					if _, err := author(st, tx, key("Patient", name), []byte("{}"), ""); err != nil {
						return err
					}
					if err := tx.SetState(name, "yes"); err != nil || !fails {
						return err
					}
					return errAbandoned
				}
				errs, before := crowdBehind(t, st, func(tx *store.Tx) error { return do("front", tt.frontFails, tx) }, tt.waiting, func(i int, tx *store.Tx) error {
					return do(fmt.Sprint(i), tt.lastFails && i == 4, tx)
				})
				if errors.Is(before, errAbandoned) != tt.frontFails || !tt.frontFails && before != nil {
					t.Error(before)
				}
				for i, err := range append(errs, before) {
					name := fmt.Sprint(i)
					if i == len(errs) {
						name = "front"
					}
					state, serr := w.State(t.Context(), name)
					if serr != nil || (state == "yes") != (err == nil) || err != nil && !errors.Is(err, errAbandoned) {
						t.Errorf("writer %s: %v, its state is %q, %v", name, err, state, serr)
					}
				}
				if commits != tt.commits {
					t.Errorf("%d commits, want %d", commits, tt.commits)
				}
				contiguous(t, w.log(), tt.rows)
			})
		})
	}
}

// after says what a representative transaction leaves: all that a crash must keep together.
func (w *world) after() string {
	w.t.Helper()
	ctx := w.t.Context()
	var out string
	for _, id := range []string{"a", "b"} {
		c, ok, err := w.Get(ctx, key("Patient", id))
		if err != nil {
			w.t.Fatal(err)
		}
		out += fmt.Sprintf("%s %v %d %s %d; ", id, ok, c.Seq, c.Body, c.Stamp.Version.Tick)
	}
	records, err1 := w.AuditRecords(ctx, audit.Query{})
	p, err2 := w.Position(ctx, "district", "pull")
	head, err3 := w.Head(ctx)
	parked, err4 := w.Parked(ctx, store.ParkedFilter{})
	children, err5 := w.Participants(ctx, store.KindChild)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		w.t.Fatal(err)
	}
	return out + fmt.Sprintf("%d audits, position %d, head %d, %d rows, %d parked, %d children", len(records), p.Seq, head.Seq, len(w.log()), len(parked), len(children))
}

// A transaction that stops at any of its points, the commit among them, has happened entirely or not at all.
func TestCommitsAreWholeAtEveryPoint(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		w.put(key("Patient", "a"), "old")
		before := w.after()
		whole := "a true 2 new 2; b true 3 new 3; 1 audits, position 77, head 3, 3 rows, 1 parked, 1 children"
		errCrash := errors.New("crash")
		var points []string
		stopAt := 0
		st := w.hooked(func(point string) error {
			if points = append(points, point); len(points) == stopAt {
				return errCrash
			}
			return nil
		})
		transaction := func(tx *store.Tx) error {
			for _, id := range []string{"a", "b"} {
				if _, err := author(st, tx, key("Patient", id), []byte("new"), "u"); err != nil {
					return err
				}
			}
			tx.SealUnit("u")
			tx.Audit(audit.Record{Operation: audit.Pull, Outcome: audit.Applied, Key: key("Patient", "a")})
			if err := tx.Park(store.Parked{Direction: "pull", Peer: "district", Key: key("Patient", "c"), Action: feed.Updated}); err != nil {
				return err
			}
			if err := tx.AddChild(store.Participant{ID: "c1", Name: "north"}); err != nil {
				return err
			}
			return tx.SetPosition("district", "pull", store.Position{Cursor: feed.Cursor{Epoch: "e", Seq: 77}})
		}
		for stopAt = 1; ; stopAt++ {
			points = nil
			err := st.Write(context.Background(), transaction)
			got := w.after()
			last := points[len(points)-1]
			if last == "committed" {
				if got != whole || !errors.Is(err, errCrash) {
					t.Fatalf("after the commit: %v\n got %s\nwant %s", err, got, whole)
				}
				break
			}
			if got != before || !errors.Is(err, errCrash) {
				t.Fatalf("stopped at %q: %v\n got %s\nwant %s", last, err, got, before)
			}
		}
		if stopAt < 12 || points[stopAt-2] != "commit" || !slices.Contains(points, "gorm") {
			t.Errorf("%d points, too few for this transaction: %q", stopAt, points)
		}
		contiguous(t, w.log(), 3)
	})
}

// Of writers that share a transaction, each sees what those before it left in memory, by statement as well as by memory; what one abandoned in
// memory is gone without a statement, its numbers with it.
func TestCommitsShareWhatWaitsInMemory(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		points := map[string]int{}
		st := w.hooked(func(point string) error {
			points[point]++
			return nil
		})
		shared, kept := key("Patient", "shared"), 0
		errs := crowd(t, st, 40, func(i int, tx *store.Tx) error {
			if i%4 == 3 {
				byMemory, known, err := tx.Current(shared)
				if err != nil {
					return err
				}
				byStatement, there, err := tx.Get(shared)
				if err == nil && (known != there || byMemory.Seq != byStatement.Seq || there && string(byStatement.Body) != fmt.Sprint(kept)) {
					t.Errorf("after %d writers: %v %d in memory, %v %d %s by statement", kept, known, byMemory.Seq, there, byStatement.Seq, byStatement.Body)
				}
				return err
			}
			for _, k := range []fhir.Key{shared, key("Encounter", fmt.Sprint(i))} {
				if _, err := author(st, tx, k, []byte(fmt.Sprint(kept+1)), ""); err != nil {
					return err
				}
			}
			if i%4 == 2 {
				return errAbandoned
			}
			kept++
			return nil
		})
		for i, err := range errs {
			if want := i%4 == 2; want != errors.Is(err, errAbandoned) || !want && err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		}
		if points["commit"] != 1 || points["SAVEPOINT w"] != 0 {
			t.Errorf("%d commits, %d savepoints", points["commit"], points["SAVEPOINT w"])
		}
		contiguous(t, w.log(), 2*20)
		if c := w.get(shared); string(c.Body) != "20" || c.Seq != 39 {
			t.Errorf("the shared copy is %s, sequence %d", c.Body, c.Seq)
		}
	})
}

// What a process remembers of the counters does not hold where another one wrote since, and holds nothing of a writer that was undone.
func TestCommitsSeeTheCountersOfOtherProcesses(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		one, other := w.Store, w.again()
		for i, st := range []*store.Store{one, one, other, one, one, other, other} {
			err := st.Write(t.Context(), func(tx *store.Tx) error {
				_, err := author(st, tx, key("Patient", "p"), []byte(fmt.Sprint(i)), "")
				if i == 1 {
					return cmp.Or(err, errAbandoned)
				}
				return err
			})
			if (i == 1) != errors.Is(err, errAbandoned) || i != 1 && err != nil {
				t.Fatalf("writer %d: %v", i, err)
			}
		}
		contiguous(t, w.log(), 6)
	})
}
