package push_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/push"
)

// A parent that holds back what refers to nothing takes copies that refer to each other when they are sent again, together; what waits for
// something that never comes stays parked alone.
func TestPushRetriesACircle(t *testing.T) {
	w := newWorld(t, push.Config{Batch: 1})
	w.top = engine.New(w.top.Store(), engine.Config{References: engine.References{Hold: true}})
	refer := func(id, to string) {
		t.Helper()
		r, err := fhir.Parse([]byte(`{"resourceType":"Basic","id":"`+id+`","subject":{"reference":"Basic/`+to+`"}}`), 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.eng.Author(w.ctx, "t", []engine.Write{{Op: engine.Update, Key: r.Key, Body: r}}); err != nil {
			t.Fatal(err)
		}
	}
	refer("a", "b")
	refer("lost", "nowhere")
	_, sent := w.pass()
	if got := strings.Join(sent, ", "); got != "a, lost" || len(w.parked()) != 2 {
		t.Fatalf("sent %q, %d parked", got, len(w.parked()))
	}
	w.now = w.now.Add(30 * time.Second) // the second half of the circle is not due when the first is
	refer("b", "a")
	w.want("not due yet", "b")
	w.now = w.now.Add(31 * time.Second)
	w.want("due", "a b", "lost")
	if p := w.parked(); len(p) != 1 || p[0].Key.ID != "lost" || !strings.Contains(p[0].Reason, "Basic/nowhere") {
		t.Errorf("%+v", p)
	}
	for _, id := range []string{"a", "b"} {
		if _, ok, err := w.top.Store().Get(w.ctx, fhir.Key{Type: "Basic", ID: id}); !ok || err != nil {
			t.Errorf("the parent lacks %s: %v", id, err)
		}
	}
}

// What is sent again together stands in the order of the log, also where the copy that refers to the other one was changed since.
func TestPushRetriesInOrder(t *testing.T) {
	w := newWorld(t, push.Config{Batch: 1})
	w.top = engine.New(w.top.Store(), engine.Config{References: engine.References{Hold: true}})
	refer := func(id, to, language string) {
		t.Helper()
		r, err := fhir.Parse([]byte(`{"resourceType":"Basic","id":"`+id+`","language":"`+language+`","subject":{"reference":"Basic/`+to+`"}}`), 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.eng.Author(w.ctx, "t", []engine.Write{{Op: engine.Update, Key: r.Key, Body: r}}); err != nil {
			t.Fatal(err)
		}
	}
	refer("a", "b", "en")
	w.want("it refers to nothing", "a")
	refer("b", "a", "en")
	w.want("that is not there", "b")
	refer("a", "b", "fr")
	w.now = w.now.Add(2 * time.Minute)
	_, sent := w.pass()
	if got := strings.Join(sent, ", "); !strings.HasPrefix(got, "b a") {
		t.Errorf("sent %q", got)
	}
	if p := w.parked(); len(p) != 0 {
		t.Errorf("%+v", p)
	}
}
