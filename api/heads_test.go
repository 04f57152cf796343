package api_test

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/api"
	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// What a child remembers of this node's log is believed only where this node signed it, and gives the node a new identity only where the log
// lacks it; until that is done nothing is exchanged.
func TestRememberedHeads(t *testing.T) {
	type found struct {
		epoch  string
		agreed uint64
	}
	var calls []found
	var fails error
	var ctl *control.Control
	w := newWorld(t, func(d *api.Deps) {
		ctl, d.Secret = d.Control, []byte("a secret of this node")
		d.Restored = func(_ context.Context, _, epoch string, agreed uint64) error {
			calls = append(calls, found{epoch, agreed})
			return fails
		}
	})
	c, err := ctl.AddChild(t.Context(), "clinic-a", "")
	if err != nil {
		t.Fatal(err)
	}
	child := func(saw string) *clients.Node {
		self := clients.Self{Node: "clinic-a", Replica: func() string { return "11111111-1111-4111-8111-111111111111" }, PublicKey: "k", Saw: saw}
		return clients.NewNode("http://parent", func() (string, error) { return c.Credential, nil }, self, wire{w})
	}
	read := func(n *clients.Node) (events int, err error) {
		_, err = n.Read(t.Context(), feed.Request{Limit: 10}, func(l feed.Line) error {
			if l.Event != nil {
				events++
			}
			return nil
		})
		return events, err
	}
	w.do(http.MethodPut, "/fhir/R4/Patient/p1", `{"resourceType":"Patient","id":"p1"}`)
	first := child("")
	if n, err := read(first); err != nil || n != 1 || first.Saw() == "" {
		t.Fatalf("%d events, the head %q: %v", n, first.Saw(), err)
	}
	genuine := first.Saw()
	// Another life of the node goes on from a copy of its database, as one does that is lost when the machine is put back.
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := w.st.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), store.Options{DSN: copied, Volatile: true, Clock: ticking()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	lost := &world{t: t, st: st}
	secret := func(d *api.Deps) { d.Secret = []byte("a secret of this node") }
	lost.serve(engine.New(st, engine.Config{}), secret)
	heads := func(w *world, credential, id string) string {
		t.Helper()
		w.do(http.MethodPut, "/fhir/R4/Patient/"+id, `{"resourceType":"Patient","id":"`+id+`"}`)
		self := clients.Self{Node: "clinic-a", Replica: func() string { return "11111111-1111-4111-8111-111111111111" }, PublicKey: "k"}
		n := clients.NewNode("http://parent", func() (string, error) { return credential, nil }, self, wire{w})
		if _, err := read(n); err != nil {
			t.Fatal(err)
		}
		return n.Saw()
	}
	later := heads(lost, c.Credential, "p2")
	if err := st.Reincarnate(t.Context(), func(*store.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	renewed := heads(lost, c.Credential, "p3")
	w.do(http.MethodPut, "/fhir/R4/Patient/p4", `{"resourceType":"Patient","id":"p4"}`) // at the same place as p2
	if _, err := read(child(genuine)); err != nil {                                     // so far both agree
		t.Fatal(err)
	}
	var others *control.Control
	other := newWorld(t, func(d *api.Deps) { others, d.Secret = d.Control, []byte("a secret of this node") })
	oc, err := others.AddChild(t.Context(), "clinic-a", "")
	if err != nil {
		t.Fatal(err)
	}
	sibling := heads(other, oc.Credential, "p5")
	forged := later[:len(later)-1] + "x"
	for _, c := range []struct {
		name, saw string
		fails     error
		kind      syncerr.Kind // of the error
		found     bool
	}{
		{name: "as it is", saw: genuine},
		{name: "forged", saw: forged},
		{name: "nonsense", saw: strings.Repeat(":", 300)},
		{name: "without a tag", saw: genuine[:strings.LastIndexByte(genuine, ':')]},
		{name: "of a log that was lost before this one began", saw: sibling},
		{name: "of a later life", saw: later, kind: syncerr.EpochChanged, found: true},
		{name: "of a later log of it", saw: renewed, kind: syncerr.EpochChanged, found: true},
		{name: "of a later life, and the disk is full", saw: later, fails: syncerr.New(syncerr.StorageFull, "write", "the disk is full"), kind: syncerr.StorageFull, found: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls, fails = nil, c.fails
			n := child(c.saw)
			events, err := read(n)
			if (err != nil) != (c.kind != 0) || err != nil && syncerr.KindOf(err) != c.kind && !errors.Is(err, c.fails) {
				t.Errorf("got %v", err)
			}
			if c.found && (events > 0 || len(calls) != 1 || calls[0].agreed != 1) || !c.found && (events != 2 || len(calls) > 0) {
				t.Errorf("%d events, %+v", events, calls)
			}
		})
	}
	if err := w.st.Reincarnate(t.Context(), func(*store.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	calls = nil
	if n, err := read(child(genuine)); err != nil || n != 2 || len(calls) > 0 {
		t.Errorf("of the log before: %d events, %+v, %v", n, calls, err)
	}
	if n, err := w.st.Agreed(t.Context(), "clinic-a"); err != nil || n != 0 {
		t.Errorf("agreed up to %d of another log, %v", n, err)
	}
}
