package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

var errPower = errors.New("the power went")

// Wherever a batch stops, its events, its counts and its cursor stay together.
func TestEngineAcceptAllOrNothing(t *testing.T) {
	north := newSite(t, "north", engine.Config{})
	var events []feed.Event
	for i := range 4 {
		events = append(events, north.write(fmt.Sprintf("p%d", i), "N"))
	}
	events = append(events, north.unitOf(put(t, "u1", "A"), put(t, "u2", "A"))...)
	pos := store.Position{Cursor: feed.Cursor{Epoch: parentEpoch, Seq: 6}, Scope: "*"}
	for _, c := range []struct {
		name string
		err  error
		ends bool // everything after the point fails too, as after a crash
	}{
		{"crash", errPower, true},
		{"away", syncerr.New(syncerr.Transient, "test", "the database is away"), false},
		{"one statement", errPower, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			points := 0
			for at, more := 1, true; more; at++ {
				hub := newSite(t, "hub", engine.Config{})
				hub.write("p0", "H")
				run := audit.Run{ID: "r1", Direction: "pull", Outcome: "running", Started: 1}
				if err := hub.OpenRun(hub.ctx, run); err != nil {
					t.Fatal(err)
				}
				n, last := 0, ""
				hub.hook = func(point string) error {
					if n++; n == at {
						last = point
					}
					if n == at || n > at && c.ends {
						return c.err
					}
					return nil
				}
				_, err := hub.Accept(hub.ctx, engine.Batch{Link: arbiter(), Events: events, Position: &pos, Run: &run})
				hub.hook = nil
				more = last != ""
				if more {
					points++
				}
				got, perr := hub.Store().Position(hub.ctx, "parent", "pull")
				runs, rerr := hub.Store().Runs(hub.ctx, "pull", 1)
				if perr != nil || rerr != nil || len(runs) != 1 {
					t.Fatal(perr, rerr)
				}
				rows := len(hub.log())
				done := rows == 7 && got.Cursor == pos.Cursor && got.Scope == "*" && runs[0].Read == 6 && runs[0].Applied == 6 && len(hub.conflicts("")) == 1
				none := rows == 1 && got.IsZero() && runs[0].Read == 0 && len(hub.conflicts("")) == 0
				committed := last == "committed"
				switch {
				case !more || !c.ends && c.err == errPower && !committed:
					if err != nil || !done || run.Read != 6 {
						t.Fatalf("point %d %q: %v, %d rows, cursor %v, run %+v", at, last, err, rows, got.Cursor, runs[0])
					}
				case committed && (c.ends || c.err != errPower):
					if err == nil || !done {
						t.Fatalf("after the commit: %v, %d rows, cursor %v", err, rows, got.Cursor)
					}
				case !committed:
					if err == nil || !none || run.Read != 0 {
						t.Fatalf("point %d %q: %v, %d rows, cursor %v, run %+v", at, last, err, rows, got.Cursor, run)
					}
				}
			}
			if points < 8 {
				t.Errorf("only %d points were tried", points)
			}
		})
	}
}

// What the database does not take is refused alone, and everything else of its batch is taken.
func TestEngineAcceptOneBadForTheDatabase(t *testing.T) {
	for _, link := range []engine.Link{child("north"), arbiter()} {
		hub, north := newSite(t, "hub", engine.Config{}), newSite(t, "north", engine.Config{})
		hub.write("rival", "H")
		unit := north.unitOf(put(t, "u", "N"), put(t, "rival", "N"))
		events := []feed.Event{north.write("a", "N"), unit[0], unit[1], north.write("b", "N")}
		hub.hook = func(point string) error {
			if strings.HasPrefix(point, "REPLACE INTO sync_conflict") {
				return errors.New("value out of range")
			}
			return nil
		}
		pos := store.Position{Cursor: feed.Cursor{Epoch: parentEpoch, Seq: 4}, Scope: "*"}
		run := audit.Run{ID: "r1", Direction: "pull", Outcome: "running", Started: 1}
		if err := hub.OpenRun(hub.ctx, run); err != nil {
			t.Fatal(err)
		}
		b := engine.Batch{Link: link, Events: events, Run: &run}
		if link.Child == "" {
			b.Position = &pos
		}
		rs, err := hub.Accept(hub.ctx, b)
		if err != nil || len(rs) != 4 {
			t.Fatalf("%v %v", rs, err)
		}
		for i, want := range []feed.Result{feed.Applied, feed.Refused, feed.Refused, feed.Applied} {
			wantResult(t, rs[i], want)
		}
		if hub.family("rival") != "H" || len(hub.log()) != 3 || run.Read != 4 || run.Applied != 2 || run.Parked != 2 || !strings.Contains(rs[2].Reason, "out of range") {
			t.Errorf("%d rows, %+v, %s", len(hub.log()), run, rs[2].Reason)
		}
		if link.Child != "" {
			continue
		}
		if p := hub.parked(); len(p) != 2 || p[0].Unit != unit[0].Unit {
			t.Errorf("%+v", p)
		}
		if got, err := hub.Store().Position(hub.ctx, "parent", "pull"); err != nil || got.Cursor != pos.Cursor {
			t.Errorf("%v %v", got, err)
		}
	}
}
