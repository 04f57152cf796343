package store_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

func upTo(n uint64) func(string) uint64 { return func(string) uint64 { return n } }

// everybody has acknowledged all there is.
func everybody() store.Acknowledged {
	return store.Acknowledged{Upper: math.MaxInt64, Seq: upTo(math.MaxInt64)}
}

// collect sweeps from the start, in steps of limit rows.
func (w *world) collect(before int64, ack store.Acknowledged, limit int) (all store.Collected) {
	w.t.Helper()
	w.do(func(tx *store.Tx) error {
		tx.SweepAgain()
		return nil
	})
	for more := true; more; {
		w.do(func(tx *store.Tx) error {
			c, err := tx.Collect(before, ack, limit)
			more = c.More
			all.Rows, all.Tombstones = all.Rows+c.Rows, all.Tombstones+c.Tombstones
			return err
		})
	}
	return all
}

// rows are the sequences that stand in the log of keys that are there.
func (w *world) rows() (out []uint64) {
	for _, r := range w.log() {
		out = append(out, r.Seq)
	}
	return out
}

func (w *world) floor() uint64 {
	w.t.Helper()
	n, err := w.Floor(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// The log of the tests: 1 a, 2 b, 3 a again, 4 b deleted, 5 c, 6 a's vector alone, 7 Basic/d, 8 Basic/d deleted; a minute apart.
func newLog(t *testing.T, driver, dsn string) (w *world, start int64) {
	w = newWorld(t, driver, dsn)
	start = w.millis.Load()
	put := func(k fhir.Key, body string) {
		w.put(k, body)
		w.millis.Add(minute)
	}
	put(key("Patient", "a"), "a1")
	put(key("Patient", "b"), "b1")
	put(key("Patient", "a"), "a2")
	put(key("Patient", "b"), "")
	put(key("Patient", "c"), "c1")
	w.do(func(tx *store.Tx) error {
		cur, _, err := tx.Current(key("Patient", "a"))
		if err != nil {
			return err
		}
		s := cur.Stamp.Seeing(version.Vector{{Replica: far, Tick: 9}})
		_, err = tx.Put(store.Change{Key: key("Patient", "a"), Action: feed.Updated, Stamp: s})
		return err
	})
	w.millis.Add(minute)
	put(key("Basic", "d"), "d1")
	put(key("Basic", "d"), "")
	return w, start
}

func TestConformanceCollect(t *testing.T) {
	all := everybody()
	never := int64(math.MaxInt64)
	not := func(k fhir.Key) func(*store.Tx) error { // a version of another node that nobody can get here
		return func(tx *store.Tx) error { return tx.Except(k, version.Version{Replica: far, Tick: 77}) }
	}
	b, d := key("Patient", "b"), key("Basic", "d")
	for _, c := range []struct {
		name   string
		before func(start int64) int64 // nil for the end of time
		ack    store.Acknowledged
		setup  func(*store.Tx) error
		want   []uint64
		gone   int // tombstones
		floor  uint64
	}{
		{name: "everything that may", ack: all, want: []uint64{3, 5, 6}, gone: 2, floor: 8},
		{name: "nothing is old enough", before: func(s int64) int64 { return s }, ack: all, want: []uint64{1, 2, 3, 4, 5, 6, 7, 8}},
		{name: "as old as the third", before: func(s int64) int64 { return s + 3*minute }, ack: all, want: []uint64{2, 3, 4, 5, 6, 7, 8}, floor: 1},
		{name: "a tombstone on the second", before: func(s int64) int64 { return s + 3*minute + 1 }, ack: all, want: []uint64{3, 5, 6, 7, 8}, gone: 1, floor: 4},
		{name: "a reader stands below", ack: store.Acknowledged{Upper: 4, Seq: upTo(4)}, want: []uint64{3, 5, 6, 7, 8}, gone: 1, floor: 4},
		{name: "a reader stands on the row before", ack: store.Acknowledged{Upper: 3, Seq: upTo(3)}, want: []uint64{2, 3, 4, 5, 6, 7, 8}, floor: 1},
		{name: "nobody reads the type", ack: store.Acknowledged{Upper: 8, Seq: func(t string) uint64 {
			if t == "Basic" {
				return 8
			}
			return 0
		}}, want: []uint64{1, 2, 3, 4, 5, 6}, gone: 1, floor: 8},
		{name: "the parent lacks what was not pushed", ack: store.Acknowledged{Upper: 8, Seq: upTo(8), Parent: "p", Pushed: upTo(3)}, want: []uint64{2, 3, 4, 5, 6, 7, 8}, floor: 1},
		{
			name: "the parent sent it itself", ack: store.Acknowledged{Upper: 8, Seq: upTo(8), Parent: "p", Pushed: upTo(0)},
			setup: func(tx *store.Tx) error { return tx.MarkDelivered(d, "p") }, want: []uint64{1, 2, 3, 4, 5, 6}, gone: 1, floor: 8,
		},
		{
			name: "another parent sent it", ack: store.Acknowledged{Upper: 8, Seq: upTo(8), Parent: "p", Pushed: upTo(0)},
			setup: func(tx *store.Tx) error { return tx.MarkDelivered(d, "q") }, want: []uint64{1, 2, 3, 4, 5, 6, 7, 8},
		},
		{name: "excepted", ack: all, setup: not(b), want: []uint64{2, 3, 4, 5, 6}, gone: 1, floor: 8},
		{name: "held", ack: all, setup: func(tx *store.Tx) error {
			return tx.Hold(store.Held{Key: b, Peer: "district", Action: feed.Updated, Stamp: stampBy(version.Version{Replica: far, Tick: 1})})
		}, want: []uint64{2, 3, 4, 5, 6}, gone: 1, floor: 8},
		{name: "parked", ack: all, setup: func(tx *store.Tx) error {
			return tx.Park(store.Parked{Direction: "pull", Peer: "district", Key: d, Stamp: stampBy(version.Version{Replica: far, Tick: 1})})
		}, want: []uint64{3, 5, 6, 7, 8}, gone: 1, floor: 4},
		{name: "in an open conflict", ack: all, setup: func(tx *store.Tx) error {
			_, err := tx.PutConflict(store.Conflict{Key: d, Status: store.ConflictOpen, Local: stampBy(version.Version{Replica: far, Tick: 1})})
			return err
		}, want: []uint64{3, 5, 6, 7, 8}, gone: 1, floor: 4},
		{name: "in a decided conflict", ack: all, setup: func(tx *store.Tx) error {
			_, err := tx.PutConflict(store.Conflict{Key: d, Status: store.ConflictDecided, Local: stampBy(version.Version{Replica: far, Tick: 1})})
			return err
		}, want: []uint64{3, 5, 6}, gone: 2, floor: 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			testdb.Each(t, func(t *testing.T, driver, dsn string) {
				if driver == "mysql" && c.name != "everything that may" && c.name != "in a decided conflict" {
					return // the same statements as of the others
				}
				w, start := newLog(t, driver, dsn)
				if c.setup != nil {
					w.do(c.setup)
				}
				before := never
				if c.before != nil {
					before = c.before(start)
				}
				got := w.collect(before, c.ack, 3)
				if rows := w.rows(); !slices.Equal(rows, c.want) || got.Rows != 8-len(c.want) || got.Tombstones != c.gone || w.floor() != c.floor {
					t.Errorf("left %d with %+v gone and the floor at %d, want %d, %d tombstones and %d", rows, got, w.floor(), c.want, c.gone, c.floor)
				}
				if again := w.collect(before, c.ack, 100); again.Rows+again.Tombstones > 0 {
					t.Errorf("a second sweep took %+v", again)
				}
				if a, x := w.get(key("Patient", "a")), w.get(key("Patient", "c")); string(a.Body) != "a2" || string(x.Body) != "c1" {
					t.Errorf("the current contents are %q and %q", a.Body, x.Body)
				}
			})
		})
	}
}

// What a tombstone had seen is forgotten with it, and an old copy of the key that comes again is known to have been deleted.
func TestConformanceForgotten(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		own := w.Identity().Replica
		k := key("Patient", "b")
		w.put(key("Patient", "a"), "stays")
		w.put(k, "b")
		w.do(func(tx *store.Tx) error {
			s := stampBy(version.Version{Replica: far, Tick: 4}, version.Version{Replica: own, Tick: 2}, version.Version{Replica: further, Tick: 8})
			s.Deleted, s.Hash = true, version.Hash{}
			if _, err := tx.Put(store.Change{Key: k, Action: feed.Deleted, Stamp: s}); err != nil {
				return err
			}
			s.Version.Tick, s.Origin.Tick = 5, 5
			s.Vector = s.Vector.With(s.Version).With(version.Version{Replica: further, Tick: 9}) // of which is not known yet whether it may still come
			if _, err := tx.Put(store.Change{Key: key("Patient", "c"), Action: feed.Deleted, Stamp: s}); err != nil {
				return err
			}
			return tx.Learn([]feed.Known{{Type: "Patient", Vector: version.Vector{{Replica: far, Tick: 6}, {Replica: further, Tick: 8}}}}, true)
		})
		forgot := func(k fhir.Key, v version.Version) (is bool) {
			w.do(func(tx *store.Tx) (err error) {
				is, err = tx.Forgot(k, v)
				return err
			})
			return is
		}
		if forgot(k, version.Version{Replica: far, Tick: 4}) {
			t.Error("forgotten before anything was collected")
		}
		w.collect(math.MaxInt64, everybody(), 100)
		known, err := w.Knowledge(t.Context(), nil)
		if err != nil || len(known) != 1 {
			t.Fatalf("%+v, %v", known, err)
		}
		want := version.Vector(nil).With(version.Version{Replica: own, Tick: 2}).With(version.Version{Replica: far, Tick: 4}).With(version.Version{Replica: further, Tick: 8})
		same(t, "forgotten", known[0].Forgotten, want)
		same(t, "known as before", known[0].Vector, version.Vector(nil).With(version.Version{Replica: own, Tick: 2}).With(version.Version{Replica: far, Tick: 6}).
			With(version.Version{Replica: further, Tick: 8}))
		if _, ok, err := w.Get(t.Context(), k); ok || err != nil {
			t.Errorf("the tombstone is still there: %v", err)
		}
		if c, ok, err := w.Get(t.Context(), key("Patient", "c")); !ok || err != nil || !c.Stamp.Deleted {
			t.Errorf("a tombstone went that has seen what is not known: %v", err)
		}
		w.look(func(r *store.Reader) error {
			_, done, err := r.Missing(nil, nil, store.Place{Head: 4}, 100, func(row store.Row, _ store.Place) error {
				if row.Key == k {
					t.Errorf("%s is listed", row.Key)
				}
				return nil
			})
			if !done {
				t.Error("the list is not at its end")
			}
			return err
		})
		w.do(func(tx *store.Tx) error {
			return tx.Except(key("Patient", "x"), version.Version{Replica: far, Tick: 2})
		})
		for _, c := range []struct {
			what string
			k    fhir.Key
			v    version.Version
			want bool
		}{
			{"the deleted one", k, version.Version{Replica: own, Tick: 2}, true},
			{"its deletion", k, version.Version{Replica: far, Tick: 4}, true},
			{"a later one that is known", k, version.Version{Replica: far, Tick: 5}, false},
			{"a later one", k, version.Version{Replica: far, Tick: 7}, false},
			{"what the deletion had seen", k, version.Version{Replica: further, Tick: 8}, true},
			{"excepted", key("Patient", "x"), version.Version{Replica: far, Tick: 2}, false},
			{"another type", key("Basic", "b"), version.Version{Replica: far, Tick: 4}, false},
		} {
			if got := forgot(c.k, c.v); got != c.want {
				t.Errorf("%s: forgotten is %v", c.what, got)
			}
		}
		again := w.put(k, "b again")
		if c := w.get(k); string(c.Body) != "b again" || c.Stamp.Version != again.Version || c.Seq != 5 {
			t.Errorf("the key comes again: %+v", c)
		}
	})
}

// An archive page that lacks rows is gone; the newest is given with what is left of it, for it is where a reader begins.
func TestConformancePagesBelowTheFloor(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w, _ := newLog(t, driver, dsn) // pages of 4
		ack := store.Acknowledged{Upper: 3, Seq: upTo(3)}
		w.collect(math.MaxInt64, ack, 100)
		page := func(typ string, n int) (string, error) {
			var got []uint64
			err := w.Read(t.Context(), func(r *store.Reader) error {
				p, err := r.AtomPage(typ, n)
				for _, row := range p.Rows {
					got = append(got, row.Seq)
				}
				return err
			})
			return fmt.Sprint(got), err
		}
		check := func(typ string, n int, want string) {
			t.Helper()
			got, err := page(typ, n)
			if want == "gone" {
				wantKind(t, fmt.Sprint(typ, " ", n), err, syncerr.Gone, "newest page")
			} else if err != nil || got != want {
				t.Errorf("page %d of %q: %s, %v, want %s", n, typ, got, err, want)
			}
		}
		check("", 1, "gone") // row 1 is
		check("", 2, "[5 6 7 8]")
		check("Patient", 1, "gone")
		check("Patient", 2, "[5 6]")
		check("Basic", 1, "[7 8]")
		w.collect(math.MaxInt64, everybody(), 100)
		check("", 0, "[5 6]")
		check("", 2, "[5 6]")
		check("Basic", 0, "[]")
		check("Patient", 0, "[5 6]")
	})
}

// Near the floor a head is checked by its row alone: rows before it that it covered were collected, which everybody had acknowledged, and where
// its own row was nothing is left to check. Further on, and beyond the end of the log, it is checked as ever.
func TestConformanceHeadsNearTheFloor(t *testing.T) {
	const rows = 60
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		w.do(func(tx *store.Tx) error {
			for i := range rows {
				if _, err := author(w.Store, tx, key("Patient", fmt.Sprint("k", i/2)), []byte("x"), ""); err != nil {
					return err
				}
			}
			return nil
		})
		heads := map[uint64]store.LogHead{}
		w.look(func(r *store.Reader) error {
			for seq := uint64(1); seq <= rows; seq++ {
				h, found, err := r.LogHead(w.Identity().Epoch, seq)
				if err != nil || !found {
					t.Fatalf("head %d: %v, %v", seq, found, err)
				}
				heads[seq] = h
			}
			return nil
		})
		w.collect(math.MaxInt64, store.Acknowledged{Upper: 20, Seq: upTo(20)}, 100)
		floor := w.floor()
		if floor != 19 {
			t.Fatalf("the floor is %d", floor)
		}
		has := func(h store.LogHead) (is bool) {
			w.look(func(r *store.Reader) (err error) {
				is, err = r.Has(h)
				return err
			})
			return is
		}
		for seq, h := range heads {
			if !has(h) {
				t.Errorf("its own head %d is not had", seq)
			}
			row := h.Check[:16]
			h.Check = "00000000000000000000000000000000"
			if gone := seq <= floor && seq%2 == 1; has(h) != gone {
				t.Errorf("another row at %d: had is %v, its row was collected %v", seq, has(h), gone)
			}
			h.Check = row + h.Check[16:]
			if near := seq < floor+16; has(h) != near {
				t.Errorf("another past of the row at %d: had is %v, near the floor %v", seq, has(h), near)
			}
		}
		if h := heads[5]; has(store.LogHead{Cursor: feed.Cursor{Epoch: h.Epoch, Seq: rows + 1}, Check: h.Check}) {
			t.Error("a head beyond the end of the log is had")
		}
	})
}

// The last ticks that were pushed stay known when the rows that bore them are collected: vectors would be cut too low after a restore, and
// every copy that was written before it would be rival to its own successors.
func TestConformanceLastTicksAfterCollection(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w, _ := newLog(t, driver, dsn)
		own := w.Identity().Replica
		last := func(upTo uint64) (out map[string]uint64) {
			w.look(func(r *store.Reader) error {
				var err error
				out, err = r.LastTicks(own, upTo)
				return err
			})
			return out
		}
		before := last(8)
		same(t, "before", fmt.Sprint(before, last(5), last(2)), "map[Basic:2 Patient:5] map[Patient:5] map[Patient:2]")
		w.collect(int64(math.MaxInt64), everybody(), 100)
		same(t, "everything was pushed", last(8), before)
		same(t, "of a later push", last(5), before)
		w.put(key("Patient", "e"), "e1")
		w.put(key("Patient", "e"), "e2")
		same(t, "what was not pushed does not count", last(8), before)
		w.do(func(tx *store.Tx) error {
			return tx.Relabel(9, key("Patient", "e"), stampBy(version.Version{Replica: far, Tick: 1}))
		})
		w.collect(int64(math.MaxInt64), everybody(), 100)
		w.look(func(r *store.Reader) error {
			got, err := r.LastTicks(far, 100)
			same(t, "another's ticks are not noted", len(got), 0)
			return err
		})
	})
}

// What is kept for a reader is what goes as soon as nobody waits for him any more.
func TestConformanceKept(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		some := 0
		for upTo := range uint64(9) { // of a log of 8 rows
			for _, scope := range []string{"*", "Patient", ""} {
				for _, after := range []int64{3*minute + 1, 100 * minute} {
					if some++; driver == "sqlite" {
						dsn = testdb.SQLite(t)
					}
					w, start := newLog(t, driver, dsn)
					p := store.Participant{Scope: scope, Seq: upTo}
					var kept, since int64
					w.look(func(r *store.Reader) error {
						var err error
						kept, since, err = r.Kept(p.Reads, upTo, start+after)
						return err
					})
					w.collect(start+after, store.Acknowledged{Upper: upTo, Seq: func(typ string) uint64 {
						if !p.Reads(typ) {
							return 0
						}
						return upTo
					}}, 100)
					gone := w.collect(start+after, everybody(), 100)
					what := fmt.Sprintf("read %q up to %d, older than %d", scope, upTo, after/minute)
					same(t, what, kept, int64(gone.Rows))
					if unread := upTo < 8 || scope != "*"; unread != (since != 0) {
						t.Errorf("%s: unread since %d", what, since)
					}
					if driver != "sqlite" {
						return // one is enough to see that the statement runs; the rest is the same arithmetic
					}
				}
			}
		}
		if some != 54 {
			t.Errorf("%d cases", some)
		}
	})
}
