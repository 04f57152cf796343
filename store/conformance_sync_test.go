package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

const minute = int64(time.Minute / time.Millisecond)

func TestConformancePositions(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		p, err := w.Position(t.Context(), "district", "pull")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "a reader that never read", p, store.Position{})
		want := store.Position{Cursor: feed.Cursor{Epoch: "e1", Seq: 5}, Scope: "Patient,Encounter", Backlog: 12}
		for range 2 { // the second takes the place of the first
			want.Seq++
			w.do(func(tx *store.Tx) error { return tx.SetPosition("district", "pull", want) })
		}
		w.do(func(tx *store.Tx) error { return tx.SetPosition("district", "push", store.Position{}) })
		p, err = w.Position(t.Context(), "district", "pull")
		if err != nil {
			t.Fatal(err)
		}
		want.Updated = w.millis.Load()
		same(t, "position", p, want)
	})
}

func TestConformanceRuns(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		start := w.millis.Load()
		run := func(n int, direction string) audit.Run {
			return audit.Run{ID: fmt.Sprintf("run-%d", n), Direction: direction, Peer: "district", Started: start + int64(n)*minute, Outcome: "running"}
		}
		open := func(r audit.Run) { w.do(func(tx *store.Tx) error { return tx.OpenRun(r) }) }
		one, two, three := run(1, "pull"), run(2, "push"), run(3, "pull")
		open(one)
		open(two)
		two.Read, two.Applied, two.Skipped, two.Held, two.Parked, two.BytesIn, two.BytesOut = 1, 2, 3, 4, 5, 6, 7
		w.do(func(tx *store.Tx) error { return tx.SaveRun(two) })
		open(three) // one was left open by a crash; two goes the other way
		one.Outcome, one.Finished = "interrupted", three.Started
		check := func(what, direction string, limit int, want ...audit.Run) {
			t.Helper()
			got, err := w.Runs(t.Context(), direction, limit)
			if err != nil {
				t.Fatal(err)
			}
			same(t, what, got, want)
		}
		check("after a crash", "", 10, three, two, one)
		three.Outcome, three.Finished, three.Error = "failed", three.Started+5, "nobody answers"
		w.do(func(tx *store.Tx) error { return tx.SaveRun(three) })
		w.millis.Add(10 * minute)
		w.do(func(tx *store.Tx) error { return tx.CloseOrphans() })
		two.Outcome, two.Finished = "interrupted", w.millis.Load()
		check("after a restart", "", 10, three, two, one)
		check("pulls", "pull", 10, three, one)
		check("the newest", "", 1, three)
	})
}

func TestConformanceAudit(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		start := w.millis.Load()
		full := audit.Record{
			Time: start, Operation: audit.Pull, Outcome: audit.Applied, Action: "UPDATED", Key: key("Patient", "a"), Version: version.Version{Replica: far, Tick: 4},
			Peer: "district", Run: "r1", URL: "u", ParentURL: "p", LocalURL: "l", LinkType: "fhir", Creator: "north", Conflict: "c1", Next: "n1", HTTPStatus: 200,
			Bytes: 12, Duration: 34, Details: "žluť",
		}
		var uuids []string
		w.do(func(tx *store.Tx) error {
			uuids = append(uuids, tx.Audit(full))
			for i, r := range []audit.Record{
				{Operation: audit.Push, Outcome: audit.Refused, Key: key("Patient", "A"), Peer: "district", Run: "r2"},
				{Operation: audit.Local, Outcome: audit.Applied, Key: key("Encounter", "a")},
				{Operation: audit.Receive, Outcome: audit.Parked, Key: key("Encounter", "b"), Peer: "north"},
				{Operation: audit.Admin, Outcome: audit.Done},
			} {
				r.Time = start + int64(i+1)*minute
				uuids = append(uuids, tx.Audit(r))
			}
			return nil
		})
		tests := []struct {
			name string
			q    audit.Query
			want string // the records, by the order of their writing
		}{
			{"all, newest first", audit.Query{}, "43210"},
			{"operation", audit.Query{Operation: audit.Local}, "2"},
			{"outcome", audit.Query{Outcome: audit.Applied}, "20"},
			{"failures", audit.Query{Failures: true}, "31"},
			{"type", audit.Query{Type: "Encounter"}, "32"},
			{"id, by case", audit.Query{Type: "Patient", ID: "A"}, "1"},
			{"run", audit.Query{Run: "r1"}, "0"},
			{"peer", audit.Query{Peer: "district"}, "10"},
			{"from, inclusive", audit.Query{From: start + 3*minute}, "43"},
			{"to, exclusive", audit.Query{To: start + 3*minute}, "210"},
			{"several", audit.Query{Peer: "district", Failures: true, From: start, To: start + 2*minute}, "1"},
			{"limit", audit.Query{Limit: 2}, "43"},
			{"nothing", audit.Query{Peer: "DISTRICT"}, ""},
		}
		for _, tt := range tests {
			got := ""
			records, err := w.AuditRecords(t.Context(), tt.q)
			for _, r := range records {
				for i, u := range uuids {
					if u == r.UUID {
						got += fmt.Sprint(i)
					}
				}
			}
			if err != nil || got != tt.want {
				t.Errorf("%s: got %s, %v, want %s", tt.name, got, err, tt.want)
			}
		}
		all, err := w.AuditRecords(t.Context(), audit.Query{})
		if err != nil {
			t.Fatal(err)
		}
		full.ID, full.UUID, full.Success = all[4].ID, uuids[0], true
		same(t, "a full record", all[4], full)
		if all[0].Creator != "clinic" || all[1].Success {
			t.Errorf("made by %q, parked is a success %v", all[0].Creator, all[1].Success)
		}
		page, err := w.AuditRecords(t.Context(), audit.Query{Before: all[1].ID, Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "next page", page, all[2:4])
		for i, want := range []int{2, 1, 0} {
			w.do(func(tx *store.Tx) error {
				n, err := tx.PruneAudit(start+3*minute, 2)
				if n != want {
					t.Errorf("prune %d deleted %d, want %d", i, n, want)
				}
				return err
			})
		}
		left, err := w.AuditRecords(t.Context(), audit.Query{})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "left after pruning", left, all[:2])
	})
}

func TestConformanceParked(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		start := w.millis.Load()
		p := store.Parked{
			Direction: "pull", Peer: "district", Key: key("Patient", "a"), Cursor: feed.Cursor{Epoch: "e", Seq: 9}, Unit: "u", UnitSize: 2,
			Action: feed.Updated, Stamp: stampBy(version.Version{Replica: far, Tick: 3}), Content: []byte("content"), Reason: "it is bad", Kind: "invalid",
		}
		park := func(p store.Parked) store.Parked {
			t.Helper()
			w.do(func(tx *store.Tx) error { return tx.Park(p) })
			got, err := w.Parked(t.Context(), store.ParkedFilter{Key: p.Key})
			if err != nil || len(got) != 1 {
				t.Fatalf("%d rows of %s, %v", len(got), p.Key, err)
			}
			return got[0]
		}
		wait := minute
		for attempt := 1; attempt <= 14; attempt++ {
			got := park(p)
			want := p
			want.UUID, want.Attempts, want.ParkedAt, want.NextRetry = got.UUID, attempt, start, w.millis.Load()+wait
			same(t, fmt.Sprint("attempt ", attempt), got, want)
			same(t, "its event", got.Event(), p.Event())
			wait = min(2*wait, 24*60*minute)
			w.millis.Add(minute)
		}
		p.Stamp = stampBy(version.Version{Replica: far, Tick: 4}, version.Version{Replica: far, Tick: 3})
		p.Content, p.NextRetry = nil, start+77*minute
		if got := park(p); got.Attempts != 1 || got.Stamp.Version.Tick != 4 || got.ParkedAt != w.millis.Load() || got.NextRetry != p.NextRetry || got.Content != nil {
			t.Errorf("a later version: %+v", got)
		}
		other := p
		other.Key, other.NextRetry = key("Patient", "A"), start+200*minute
		second := park(other)
		due := func(by int64) (n int) {
			got, err := w.Parked(t.Context(), store.ParkedFilter{DueBy: by, Direction: "pull", Peer: "district"})
			if err != nil {
				t.Fatal(err)
			}
			return len(got)
		}
		if a, b, c := due(start+77*minute-1), due(start+77*minute), due(start+200*minute); a != 0 || b != 1 || c != 2 {
			t.Errorf("%d, %d, %d are due", a, b, c)
		}
		w.do(func(tx *store.Tx) error { return tx.RetryNow(second) })
		if n := due(w.millis.Load()); n != 1 {
			t.Errorf("%d are due after one was asked for", n)
		}
		w.do(func(tx *store.Tx) error { return tx.GiveUp(second, "nurse", "made twice") })
		if n, m := due(w.millis.Load()), due(start+900*minute); n != 0 || m != 1 {
			t.Errorf("%d are due now and %d ever, after one was given up", n, m)
		}
		other.NextRetry = 0
		again := park(other) // it was tried all the same, and refused: it stays given up
		if g := again.GivenUp; again.UUID != second.UUID || again.Attempts != 2 || g == nil || *g != (store.GivenUp{By: "nurse", At: w.millis.Load(), Why: "made twice"}) {
			t.Errorf("the same version again: %+v %+v", again, g)
		}
		later := other
		later.Stamp = stampBy(version.Version{Replica: far, Tick: 5}, version.Version{Replica: far, Tick: 4})
		if fresh := park(later); fresh.GivenUp != nil || fresh.UUID == second.UUID || fresh.Attempts != 1 {
			t.Errorf("a later version of what was given up: %+v", fresh)
		}
		third := park(later)
		w.do(func(tx *store.Tx) error { return tx.GiveUp(third, "nurse", "again") })
		w.do(func(tx *store.Tx) error { return tx.TakeUp(third) })
		for _, f := range []store.ParkedFilter{{Waiting: true}, {}} {
			if got, err := w.Parked(t.Context(), f); err != nil || len(got) != 2 {
				t.Errorf("%+v after it was taken up: %d, %v", f, len(got), err)
			}
		}
		w.do(func(tx *store.Tx) error {
			if was, err := tx.Unpark("district", "pull", p.Key, version.Vector{{Replica: far, Tick: 3}, {Replica: further, Tick: 9}}); was || err != nil {
				t.Errorf("unpark by what has not seen it: %v, %v", was, err)
			}
			for i, want := range []bool{true, false} {
				if was, err := tx.Unpark("district", "pull", p.Key, p.Stamp.Vector); was != want || err != nil {
					t.Errorf("unpark %d: %v, %v", i, was, err)
				}
			}
			return nil
		})
		if n := due(0); n != 1 {
			t.Errorf("%d stay parked", n)
		}
	})
}

// Of the held copies of a key those stay that no other held one has seen; only a vector that contains a hold ends it.
func TestConformanceHolds(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		k := key("Patient", "a")
		a1, a2, b1 := version.Version{Replica: far, Tick: 1}, version.Version{Replica: far, Tick: 2}, version.Version{Replica: further, Tick: 1}
		hold := func(k fhir.Key, s version.Stamp) {
			w.millis.Add(minute)
			w.do(func(tx *store.Tx) error {
				return tx.Hold(store.Held{Key: k, Peer: "district", Action: feed.Updated, Stamp: s, Content: []byte(s.Version.String())})
			})
		}
		held := func(what string, want ...version.Version) {
			t.Helper()
			var got []version.Version
			all, err := w.Held(t.Context(), 0)
			for _, h := range all {
				if got = append(got, h.Stamp.Version); string(h.Content) != h.Stamp.Version.String() || h.HeldAt == 0 || h.Event().Size != len(h.Content) {
					t.Errorf("%s: %+v", what, h)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			same(t, what, got, want)
		}
		hold(k, stampBy(a1))
		hold(k, stampBy(b1))
		held("neither has seen the other", a1, b1)
		hold(k, stampBy(a2))
		held("a newer one of one of them", b1, a2)
		hold(k, stampBy(a1))
		held("one that was overtaken comes again", b1, a2)
		hold(key("Patient", "A"), stampBy(a1))
		held("another key", b1, a2, a1)
		end := func(want int, v ...version.Version) {
			t.Helper()
			w.do(func(tx *store.Tx) error {
				if n, err := tx.EndHolds(k, v); n != want || err != nil {
					t.Errorf("ended %d, %v, want %d", n, err, want)
				}
				return nil
			})
		}
		end(0, a1)
		w.do(func(tx *store.Tx) error { return tx.NoteRefusal(k, "not now") })
		end(1, a2)
		held("after the vector with the newer", b1, a1)
		first, err := w.Held(t.Context(), 1)
		if err != nil || len(first) != 1 || first[0].Refusal != "not now" {
			t.Errorf("%+v, %v", first, err)
		}
		hold(k, stampBy(a2, b1, a1))
		held("one that has seen all", a1, a2)
	})
}

// What a held key stands at changes with its own copy and with what is held of it, and with nothing else.
func TestConformanceHeldStates(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		a, b := key("Patient", "a"), key("Patient", "b")
		own, seen := version.Version{Replica: further, Tick: 5}, version.Version{Replica: further, Tick: 7}
		a1, a2 := version.Version{Replica: far, Tick: 1}, version.Version{Replica: far, Tick: 2}
		last := map[fhir.Key]string{}
		differ := func(what string, want ...fhir.Key) {
			t.Helper()
			got, err := w.HeldStates(t.Context())
			if err != nil || len(got) != 2 || got[0].Key != b || got[1].Key != a {
				t.Fatalf("%s: %+v, %v", what, got, err)
			}
			var differs []fhir.Key
			for _, h := range got {
				if last[h.Key] != h.State {
					differs = append(differs, h.Key)
				}
				last[h.Key] = h.State
				if err := w.Read(t.Context(), func(r *store.Reader) error {
					alone, ok, err := r.HeldState(h.Key)
					if !ok || alone != h {
						t.Errorf("%s: by itself %+v %v, among all %+v", what, alone, ok, h)
					}
					return err
				}); err != nil {
					t.Fatal(err)
				}
			}
			same(t, what, differs, want)
		}
		step := func(what string, fn func(*store.Tx) error, want ...fhir.Key) {
			t.Helper()
			w.millis.Add(minute)
			w.do(fn)
			differ(what, want...)
		}
		hold := func(k fhir.Key, s version.Stamp) func(*store.Tx) error {
			return func(tx *store.Tx) error {
				return tx.Hold(store.Held{Key: k, Peer: "district", Action: feed.Updated, Stamp: s})
			}
		}
		put := func(s version.Stamp) func(*store.Tx) error {
			return func(tx *store.Tx) error {
				_, err := tx.Put(store.Change{Key: a, Action: feed.Updated, Stamp: s, Content: w.Pack([]byte(`{}`), nil)})
				return err
			}
		}
		w.do(hold(b, stampBy(a1)))
		step("the first", hold(a, stampBy(a1)), b, a)
		differ("the same again")
		step("an own copy", put(stampBy(own)), a)
		step("it has seen more", put(stampBy(own, seen)), a)
		step("the held one has seen more", hold(a, stampBy(a1, seen)), a)
		step("another one is held", hold(a, stampBy(version.Version{Replica: further, Tick: 9})), a)
		step("a refusal", func(tx *store.Tx) error { return tx.NoteRefusal(a, "not now") })
		step("a newer one of one of them", hold(a, stampBy(a2)), a)
	})
}

func TestConformanceConflicts(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		k := key("Patient", "a")
		a1, a2, b1 := version.Version{Replica: far, Tick: 1}, version.Version{Replica: far, Tick: 2}, version.Version{Replica: further, Tick: 1}
		put := func(c store.Conflict) (uuid string) {
			w.millis.Add(minute)
			w.do(func(tx *store.Tx) (err error) {
				uuid, err = tx.PutConflict(c)
				return err
			})
			return uuid
		}
		find := func(f store.ConflictFilter, n int) []store.Conflict {
			t.Helper()
			got, err := w.Conflicts(t.Context(), f)
			if err != nil || len(got) != n {
				t.Fatalf("%+v: %d conflicts, %v, want %d", f, len(got), err, n)
			}
			return got
		}
		c := store.Conflict{
			Key: k, Status: store.ConflictOpen, Rule: "manual", Flagged: true, Peer: "north", Local: stampBy(a1), LocalContent: []byte(`{"l":1}`),
			Incoming: stampBy(b1), IncomingContent: []byte(`{"i":1}`),
		}
		first := put(c)
		c.UUID, c.Opened = first, w.millis.Load()
		same(t, "an open one", find(store.ConflictFilter{}, 1)[0], c)

		c.UUID, c.Opened, c.Local = "", 0, stampBy(a2)
		if again := put(c); again != first {
			t.Errorf("a second open row %s beside %s", again, first)
		}
		if got := find(store.ConflictFilter{Status: store.ConflictOpen}, 1)[0]; got.Opened != w.millis.Load()-minute || got.Local.Version != a2 {
			t.Errorf("opened %d with %s", got.Opened, got.Local.Version)
		}
		decided := c
		decided.Status, decided.Winner, decided.Decided, decided.LocalContent = store.ConflictDecided, "local", a1, nil
		second := put(decided)
		elsewhere := c
		elsewhere.Key = key("Patient", "A")
		third := put(elsewhere)
		if got := find(store.ConflictFilter{}, 3); got[0].UUID != third || got[1].UUID != second || got[1].Closed == 0 || got[1].LocalContent != nil {
			t.Errorf("newest first: %+v", got)
		}
		find(store.ConflictFilter{UUID: second}, 1)
		find(store.ConflictFilter{Key: k}, 2)
		find(store.ConflictFilter{Limit: 2}, 2)

		closeBy := func(s version.Stamp) { w.do(func(tx *store.Tx) error { return tx.CloseConflicts(k, s, "incoming") }) }
		closeBy(stampBy(version.Version{Replica: further, Tick: 2})) // it has not seen the local copy
		find(store.ConflictFilter{Key: k, Status: store.ConflictOpen}, 1)
		by := version.Version{Replica: further, Tick: 2}
		closeBy(stampBy(by, a2))
		find(store.ConflictFilter{Key: k, Status: store.ConflictOpen}, 0)
		if got := find(store.ConflictFilter{UUID: first}, 1)[0]; got.Winner != "incoming" || got.Decided != by || got.Closed != w.millis.Load() {
			t.Errorf("closed: %+v", got)
		}
		w.do(func(tx *store.Tx) error {
			if _, ok, err := tx.OpenConflict(elsewhere.Key); !ok || err != nil {
				t.Errorf("the other key's: %v, %v", ok, err)
			}
			closed := elsewhere
			closed.UUID, closed.Status, closed.Winner, closed.Decided, closed.Actor, closed.Remark = third, store.ConflictDecided, "local", a2, "ann", "asked the mother"
			if _, err := tx.PutConflict(closed); err != nil {
				return err
			}
			_, ok, err := tx.OpenConflict(elsewhere.Key)
			if ok {
				t.Error("it is still open")
			}
			return err
		})
		if got := find(store.ConflictFilter{UUID: third}, 1)[0]; got.Status != store.ConflictDecided || got.Winner != "local" || got.Decided != a2 || got.Actor != "ann" || got.Remark != "asked the mother" {
			t.Errorf("closed by a person: %+v", got)
		}
		if fresh := put(c); fresh == first {
			t.Error("a closed conflict was opened again")
		}
	})
}
