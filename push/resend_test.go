package push_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/push"
)

// What is named is sent once more as it is now, in the order of the log and outside of its transaction, whatever the cursor says; what
// is not pushed or not there is passed over. It is counted in the run that it is given.
func TestResend(t *testing.T) {
	w := newWorld(t, push.Config{Types: []string{"Basic"}})
	w.write("c", "b")
	w.write("a")
	w.write("b=2")
	w.write("g1")
	w.pass()
	before := w.position()
	var keys []fhir.Key
	for _, id := range []string{"a", "b", "c", "none"} {
		keys = append(keys, fhir.Key{Type: "Basic", ID: id})
	}
	keys = append(keys, fhir.Key{Type: "Group", ID: "g1"})
	w.sent = nil
	run := w.eng.Begin("verify", "http://top", func() time.Time { return w.now }, func() (int64, int64) { return 0, 0 })
	if err := w.p.Resend(w.ctx, run, keys); err != nil {
		t.Fatal(err)
	}
	if want := []string{"c a b"}; !slices.Equal(w.sent, want) {
		t.Errorf("sent %q, want %q", w.sent, want)
	}
	if after := w.position(); after != before {
		t.Errorf("the cursor went from %+v to %+v", before, after)
	}
	done, err := run.Close(w.ctx, nil)
	if err != nil || done.Direction != "verify" || done.Read+done.Applied+done.Skipped == 0 {
		t.Errorf("the run: %+v, %v", done, err)
	}
}
