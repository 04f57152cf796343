package web

import (
	"strings"
	"testing"

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
