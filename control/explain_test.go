package control_test

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

func explain(t *testing.T, w *world, k fhir.Key) control.Explanation {
	t.Helper()
	e, err := w.Explain(context.Background(), k)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "Banda") || strings.Contains(string(b), "Phiri") {
		t.Errorf("an explanation holds what is written in the record: %s", b)
	}
	var back control.Explanation
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	if !reflect.DeepEqual(back.Summary, e.Summary) || !reflect.DeepEqual(back.History, e.History) || !reflect.DeepEqual(back.Current, e.Current) {
		t.Errorf("JSON does not bring the same explanation back: %s", b)
	}
	return e
}

// says checks that the summary has all of the parts, in their order.
func says(t *testing.T, e control.Explanation, parts ...string) {
	t.Helper()
	rest := strings.Join(e.Summary, "\n")
	for _, p := range parts {
		_, after, ok := strings.Cut(rest, p)
		if !ok {
			t.Errorf("the summary does not say %q:\n%s", p, strings.Join(e.Summary, "\n"))
			return
		}
		rest = after
	}
}

func TestExplainWhatWasWrittenHere(t *testing.T) {
	w := newWorld(t, "https://district.example")
	says(t, explain(t, w, key("1")), "has never had a copy of Patient/1")
	edit(t, w.eng, "1", "Banda")
	w.clock.Add(2 * time.Hour)
	edit(t, w.eng, "1", "Banda-Phiri")
	w.clock.Add(5 * time.Minute)
	e := explain(t, w, key("1"))
	says(t, e, "has a copy of Patient/1", "written at clinic-a on 2026-03-01 10:00:00 UTC (5 min ago)", "1 earlier version is", "the next push takes it there")
	if !e.Exists || e.Seq != 2 || e.Current.Version.Tick != 2 || e.AtParent != control.AtParentWaiting || len(e.Audit) != 2 {
		t.Errorf("got %+v", e)
	}
	if len(e.History) != 2 || e.History[0].Source != "this node" || e.History[0].Action != feed.Updated || e.History[1].Action != feed.Created || e.History[1].Seq != 1 {
		t.Errorf("got history %+v", e.History)
	}
	if _, err := w.Explain(context.Background(), fhir.Key{Type: "Foo", ID: "1"}); syncerr.KindOf(err) != syncerr.Invalid {
		t.Errorf("got %v for what is no key", err)
	}
	ctx := context.Background()
	if _, err := w.eng.Author(ctx, "test", []engine.Write{{Op: engine.Delete, Key: key("1")}}); err != nil {
		t.Fatal(err)
	}
	if e := explain(t, w, key("1")); e.Exists || e.History[0].Action != feed.Deleted {
		t.Errorf("after the deletion: %+v", e)
	} else {
		says(t, e, "Patient/1 was deleted")
	}
}

func TestExplainWhereTheParentStands(t *testing.T) {
	tests := []struct {
		name string
		make func(w *world, parent *engine.Engine)
		want string
		says string
	}{
		{"nothing sent yet", func(*world, *engine.Engine) {}, control.AtParentWaiting, "the next push"},
		{"pushed past it", func(w *world, _ *engine.Engine) { w.push(1) }, control.AtParentOffered, "It was sent to the parent"},
		{"pushed in an older epoch", func(w *world, parent *engine.Engine) {
			w.write(func(tx *store.Tx) error {
				return tx.SetPosition("parent", control.Push, store.Position{Cursor: feed.Cursor{Epoch: parent.Store().Identity().Epoch, Seq: 9}})
			})
		}, control.AtParentWaiting, "the next push"},
		{"the parent confirmed it", func(w *world, parent *engine.Engine) {
			w.write(func(tx *store.Tx) error { return tx.MarkDelivered(key("1"), parent.Store().Identity().Epoch) })
		}, control.AtParentYes, "The parent has this version"},
		{"the parent refused it", func(w *world, _ *engine.Engine) {
			w.push(1)
			w.write(func(tx *store.Tx) error {
				cur, _, err := tx.Current(key("1"))
				if err != nil {
					return err
				}
				return tx.Park(store.Parked{Direction: control.Push, Peer: "parent", Key: key("1"), Stamp: cur.Stamp, Reason: "too large", Kind: "invalid"})
			})
		}, control.AtParentParked, "refused by the parent after 1 attempt: too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, "https://district.example")
			parent := open(t, w.clock, "district", reconcile.Defer)
			w.meet(parent)
			edit(t, w.eng, "1", "Banda")
			tt.make(w, parent)
			e := explain(t, w, key("1"))
			if e.AtParent != tt.want {
				t.Errorf("got %s, want %s", e.AtParent, tt.want)
			}
			says(t, e, tt.says)
		})
	}
	t.Run("no parent", func(t *testing.T) {
		w := newWorld(t, "")
		edit(t, w.eng, "1", "Banda")
		if e := explain(t, w, key("1")); e.AtParent != control.AtParentNone {
			t.Errorf("got %s", e.AtParent)
		}
	})
	t.Run("a type that is not pushed", func(t *testing.T) {
		w := newWorld(t, "https://district.example")
		w.cfg.Push.Types = []config.TypeRule{{Type: "Observation"}}
		w.Control = control.New(w.eng, w.cfg, w.passes, control.Deps{Clock: w.clock.Now})
		edit(t, w.eng, "1", "Banda")
		e := explain(t, w, key("1"))
		if e.AtParent != control.AtParentNotPushed {
			t.Errorf("got %s", e.AtParent)
		}
		says(t, e, "type Patient are not sent")
	})
}

// push notes that the push has looked at everything up to seq.
func (w *world) push(seq uint64) {
	w.t.Helper()
	w.write(func(tx *store.Tx) error {
		return tx.SetPosition("parent", control.Push, store.Position{Cursor: feed.Cursor{Epoch: tx.Identity().Epoch, Seq: seq}})
	})
}

func TestExplainWhatCameFromElsewhere(t *testing.T) {
	w, ctx := newWorld(t, "https://district.example"), context.Background()
	parent := open(t, w.clock, "district", reconcile.Defer)
	w.meet(parent)
	ev := edit(t, parent, "1", "Phiri")
	w.clock.Add(time.Minute)
	w.pull(parent, true, ev)
	e := explain(t, w, key("1"))
	says(t, e, "written at district on 2026-03-01 08:00:00 UTC", "came here from the parent on 2026-03-01 08:01:00 UTC", "The parent has this version")
	if len(e.History) != 1 || e.History[0].Source != "parent" || e.History[0].By != "district" || e.History[0].Author != replicaOf(parent) {
		t.Errorf("got history %+v", e.History)
	}

	child, err := w.AddChild(ctx, "outpost", "")
	w.must(err)
	other := open(t, w.clock, "outpost", reconcile.Defer)
	_, err = w.eng.Accept(ctx, engine.Batch{Link: engine.Link{Child: child.ID, Peer: "outpost"}, Events: []feed.Event{edit(t, other, "2", "Banda")}})
	w.must(err)
	if h := explain(t, w, key("2")).History; len(h) != 1 || h[0].Source != "outpost" || h[0].By != string(replicaOf(other)) {
		t.Errorf("got history %+v", h)
	}
	w.must(w.RemoveChild(ctx, "outpost"))
	if h := explain(t, w, key("2")).History; h[0].Source != "a child that was removed" {
		t.Errorf("got history %+v", h)
	}
}

func TestExplainWhatIsNotSettled(t *testing.T) {
	w := newWorld(t, "https://district.example")
	parent := open(t, w.clock, "district", reconcile.Defer)
	edit(t, w.eng, "1", "Banda")
	if r := w.pull(parent, true, edit(t, parent, "1", "Phiri")); r[0].Result != feed.Held {
		t.Fatalf("got %+v", r)
	}
	w.write(func(tx *store.Tx) error { return tx.NoteRefusal(key("1"), "not allowed") })
	e := explain(t, w, key("1"))
	says(t, e, "waits here until the parent has decided", "refused this node's copy: not allowed")
	if len(e.Held) != 1 {
		t.Errorf("got %+v", e.Held)
	}
	held, err := w.Held(context.Background(), 0)
	w.must(err)
	if len(held) != 1 || held[0].Key != key("1") || held[0].Refusal != "not allowed" {
		t.Errorf("got %+v", held)
	}

	alone := newWorld(t, "")
	c := conflict(t, alone)
	e = explain(t, alone, key("1"))
	says(t, e, "A conflict waits for a person")
	if len(e.Conflicts) != 1 || e.Conflicts[0].UUID != c.UUID || e.Conflicts[0].LocalContent != nil {
		t.Errorf("got %+v", e.Conflicts)
	}

	bad := edit(t, parent, "9", "Phiri")
	bad.Content = []byte(`{"resourceType":"Patient","id":"9"}`)
	w.pull(parent, true, bad)
	says(t, explain(t, w, key("9")), "has never had a copy", "could not be taken over here after 1 attempt: its content")
}
