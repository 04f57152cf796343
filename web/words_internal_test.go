package web

import (
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/web/messages"
)

func TestLongValuesAreCut(t *testing.T) {
	l, err := messages.Load()
	if err != nil {
		t.Fatal(err)
	}
	if c := clip(strings.Repeat("é", 5000)); len(c) > 2010 || !strings.HasSuffix(c, "é ...") {
		t.Errorf("got %d bytes", len(c))
	}
	p := page{say: l.By("en")}
	if s := p.pretty([]byte(`{"a":"` + strings.Repeat("x", 300_000) + `"}`)); len(s) > 200_100 || !strings.HasSuffix(s, "100\u00a0kB more") {
		t.Errorf("got %d bytes, ending %q", len(s), s[len(s)-30:])
	}
}

func TestSentences(t *testing.T) {
	for s, want := range map[string]string{"": "", "no route": "No route.", "Done.": "Done.", " última": "Última."} {
		if got := sentence(s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Speak makes the pages of a dashboard in other languages.
func (w *Web) Speak(l *messages.Languages) {
	s := w.speak(l)
	w.spoken = func() spoken { return s }
}

func TestLatestActivitySaysAThingOnce(t *testing.T) {
	waits := func(id int64) audit.Record {
		return audit.Record{ID: id, Key: fhir.Key{Type: "Patient", ID: "a"}, Operation: audit.Receive, Outcome: audit.Deferred, Peer: "clinic-a"}
	}
	other, elsewhere, person := waits(6), waits(5), audit.Record{ID: 2, Operation: audit.Admin, Action: "BACKUP", Outcome: audit.Done}
	other.Outcome, elsewhere.Peer = audit.Already, "clinic-b"
	again := person
	again.ID = 1
	cut := func(id int64) audit.Record {
		return audit.Record{ID: id, Operation: audit.Push, Outcome: audit.Failed, Peer: "district"}
	}
	var got []int64
	for _, r := range latest([]audit.Record{waits(9), waits(8), waits(7), other, elsewhere, waits(4), cut(3), cut(3), person, again}, 8) {
		got = append(got, r.ID)
	}
	if want := []int64{9, 6, 5, 3, 2, 1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := len(latest([]audit.Record{waits(9), other, elsewhere}, 2)); n != 2 {
		t.Errorf("%d of 2 are shown", n)
	}
}
