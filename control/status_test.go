package control_test

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
)

func status(t *testing.T, w *world) control.Status {
	t.Helper()
	s, err := w.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back control.Status
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	if again, err := json.Marshal(back); err != nil || string(again) != string(b) || !reflect.DeepEqual(back.Counts, s.Counts) {
		t.Errorf("JSON does not bring the same status back:\n%s", b)
	}
	return s
}

func TestStatusOfANodeThatStandsAlone(t *testing.T) {
	w := newWorld(t, "")
	edit(t, w.eng, "1", "Banda")
	w.clock.Add(90 * time.Second)
	s := status(t, w)
	n := s.Node
	if n.Name != "clinic-a" || n.Version != "1.2.3" || n.Schema < 1 || n.Driver != "sqlite" || !strings.HasPrefix(n.Database, "SQLite 3") {
		t.Errorf("got node %+v", n)
	}
	if n.Uptime != 90_000 || n.URL != "http://127.0.0.1:8080" || !strings.HasPrefix(n.Fingerprint, "SHA256:") || len(n.Fingerprint) != 50 {
		t.Errorf("got node %+v", n)
	}
	if s.Parent != nil || len(s.Children) != 0 || len(s.Attention) != 0 {
		t.Errorf("got parent %v, children %v, attention %v", s.Parent, s.Children, s.Attention)
	}
	if s.Counts.Total != 1 || s.Counts.Resources["Patient"] != 1 || s.Counts.Changes != 1 {
		t.Errorf("got counts %+v", s.Counts)
	}
}

func TestStatusOfTheLinkToTheParent(t *testing.T) {
	w := newWorld(t, "https://district.example")
	w.passes.links = []control.LinkState{{Direction: control.Pull, Enabled: true}, {Direction: control.Push, Enabled: true}}
	parent := open(t, w.clock, "district", reconcile.Defer)
	for _, id := range []string{"1", "2", "3"} {
		edit(t, w.eng, id, "Banda")
	}
	if s := status(t, w); s.Parent.LastSeen != 0 || s.Parent.Reachable || s.Parent.Push.Backlog != 3 || s.Parent.Name != "" {
		t.Fatalf("a parent that was never met: %+v", s.Parent)
	}

	w.meet(parent)
	w.write(func(tx *store.Tx) error {
		own := tx.Identity().Epoch
		if err := tx.SetPosition("parent", control.Push, store.Position{Cursor: feed.Cursor{Epoch: own, Seq: 2}}); err != nil {
			return err
		}
		at := feed.Cursor{Epoch: parent.Store().Identity().Epoch, Seq: 7}
		return tx.SetPosition("parent", control.Pull, store.Position{Cursor: at, Backlog: 40})
	})
	w.run(control.Pull, "1", "done", "")
	pulled := w.Now()
	w.run(control.Push, "2", "done", "")
	s := status(t, w)
	p := s.Parent
	if p.Name != "district" || p.Replica != replicaOf(parent) || !p.Reachable || p.LastError != "" {
		t.Errorf("got parent %+v", p)
	}
	if p.Pull.Backlog != 40 || p.Pull.Cursor.Seq != 7 || p.Push.Backlog != 1 || p.Pull.LastSuccess != pulled || p.Pull.Last.ID != "1" {
		t.Errorf("got pull %+v, push %+v", p.Pull, p.Push)
	}

	// Twenty failures later it is still known when a pass last went well, and the newest attempt says that nobody answers.
	for range 20 {
		w.clock.Add(time.Minute)
		w.run(control.Pull, w.eng.Store().NewUUID(), "failed", "no route to host")
	}
	w.passes.links[0].LastError = "no route to host"
	p = status(t, w).Parent
	if p.Reachable || p.LastError != "no route to host" || p.Pull.LastSuccess != pulled || p.Pull.Last.Outcome != "failed" {
		t.Errorf("got parent %+v", p)
	}
	if s := status(t, w); len(s.Attention) != 1 || !strings.Contains(s.Attention[0], "no route to host") {
		t.Errorf("got attention %q", s.Attention)
	}

	// A push that goes through shows that the parent is there again.
	w.run(control.Push, "3", "done", "")
	if p := status(t, w).Parent; !p.Reachable || p.LastError != "" {
		t.Errorf("got parent %+v", p)
	}
}

// An idle link writes no runs: a pull that was answered with nothing says that the parent is there, a push that had nothing to
// send does not.
func TestStatusOfAnIdleLink(t *testing.T) {
	w := newWorld(t, "https://district.example")
	w.run(control.Push, "1", "done", "")
	w.clock.Add(48 * time.Hour)
	links := func(pull, push control.LinkState) control.Parent {
		t.Helper()
		pull.Direction, pull.Enabled, push.Direction, push.Enabled = control.Pull, true, control.Push, true
		w.passes.links = []control.LinkState{pull, push}
		return *status(t, w).Parent
	}
	p := links(control.LinkState{LastGood: w.Now() - 20_000}, control.LinkState{LastGood: w.Now() - 10_000})
	if !p.Reachable || p.Pull.LastSuccess != w.Now()-20_000 || p.Push.LastSuccess != w.Now()-10_000 || p.LastSeen != w.Now()-20_000 {
		t.Errorf("an idle link: got %+v", p)
	}
	p = links(control.LinkState{LastGood: w.Now() - 600_000, LastError: "cut"}, control.LinkState{LastGood: w.Now() - 10_000})
	if p.Reachable || p.LastError != "cut" {
		t.Errorf("a pull that fails beside an idle push: got %+v", p)
	}
	w.run(control.Push, "2", "done", "")
	if p := *status(t, w).Parent; !p.Reachable {
		t.Errorf("after a push went through: got %+v", p)
	}
	w.clock.Add(10 * time.Minute)
	if p := *status(t, w).Parent; p.Reachable || p.LastError != "cut" {
		t.Errorf("when the pull has failed since: got %+v", p)
	}
}

func TestStatusWithoutAnyGoodRunGoesByTheCursor(t *testing.T) {
	w := newWorld(t, "https://district.example")
	w.write(func(tx *store.Tx) error {
		return tx.SetPosition("parent", control.Pull, store.Position{Cursor: feed.Cursor{Epoch: tx.Identity().Epoch, Seq: 1}})
	})
	moved := w.Now()
	for range 12 {
		w.run(control.Pull, w.eng.Store().NewUUID(), "failed", "cut")
	}
	if got := status(t, w).Parent.Pull.LastSuccess; got != moved {
		t.Errorf("got %d, want %d", got, moved)
	}
}

func TestCountsAreKeptForAWhile(t *testing.T) {
	w, ctx := newWorld(t, ""), context.Background()
	total := func() int64 {
		t.Helper()
		c, at, err := w.Counts(ctx)
		if err != nil || at == 0 {
			t.Fatalf("counted at %d: %v", at, err)
		}
		return c.Total
	}
	edit(t, w.eng, "1", "A")
	if n := total(); n != 1 {
		t.Fatalf("got %d", n)
	}
	edit(t, w.eng, "2", "B")
	w.clock.Add(4 * time.Second)
	if n := total(); n != 1 {
		t.Errorf("after 4 s: got %d, want the counts before", n)
	}
	w.clock.Add(2 * time.Second)
	if n := total(); n != 2 {
		t.Errorf("after 6 s: got %d, want 2", n)
	}
	w.clock.Add(-time.Hour)
	edit(t, w.eng, "3", "C")
	if n := total(); n != 3 {
		t.Errorf("after the clock went back: got %d, want 3", n)
	}
}

// With Run, whoever asks for old counts gets them at once, and new ones soon.
func TestRunCountsSoThatNobodyWaits(t *testing.T) {
	w := newWorld(t, "")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	if _, _, err := w.Counts(ctx); err != nil {
		t.Fatal(err)
	}
	edit(t, w.eng, "1", "A")
	w.clock.Add(time.Minute)
	for deadline := time.After(time.Minute); ; {
		c, _, err := w.Counts(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if c.Total == 1 {
			break
		}
		select {
		case <-deadline:
			t.Fatal("the counts were never renewed")
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestStatusTellsOfTheClock(t *testing.T) {
	w := newWorld(t, "https://parent.example")
	for _, tt := range []struct {
		ahead  int64
		level  control.Level
		notice string
	}{
		{400, control.OK, ""},
		{-59_000, control.OK, ""},
		{300_000, control.Warn, "This machine's clock is 5 min ahead of the parent's: set it."},
		{-7_200_000, control.Fail, "This machine's clock is 2 h behind the parent's: set it."},
	} {
		c := control.New(w.eng, w.cfg, w.passes, control.Deps{Clock: w.clock.Now, Skew: func() *int64 { return &tt.ahead }})
		s, err := c.Status(t.Context())
		w.must(err)
		if s.Clock == nil || s.Clock.Ahead != tt.ahead || s.Clock.Level != tt.level || strings.Contains(strings.Join(s.Attention, "\n"), "clock") != (tt.notice != "") {
			t.Errorf("%d: got %+v, %q", tt.ahead, s.Clock, s.Attention)
		}
		if tt.notice != "" && !slices.Contains(s.Attention, tt.notice) {
			t.Errorf("%d: got %q", tt.ahead, s.Attention)
		}
	}
	c := control.New(w.eng, w.cfg, w.passes, control.Deps{Clock: w.clock.Now, Skew: func() *int64 { return nil }})
	if s, err := c.Status(t.Context()); err != nil || s.Clock != nil {
		t.Errorf("where it is not known: %+v, %v", s.Clock, err)
	}
}
