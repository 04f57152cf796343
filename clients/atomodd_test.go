package clients_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/internal/emrtest"
	"github.com/tributary-sync/tributary/syncerr"
)

const atomOpen = `<feed xmlns="http://www.w3.org/2005/Atom">`

func numberedEntry(n int) string {
	return strings.Replace(entryWith("UPDATED", fmt.Sprintf(`{"rest":"/ws/rest/v1/obs/%d"}`, n)), "tag:x", fmt.Sprint("tag:", n), 1)
}

// A caller that lost its place is given everything again, though the feed says that nothing is new, or is in the middle of its pages.
func TestAtomOlderPlace(t *testing.T) {
	f := &emrtest.AtomFeed{ETags: true}
	want := publish(f, 1, 13)
	r := newAtom(t, f, "patient")
	r.want(want...)
	r.place = ""
	r.want(want...)
	r.place, r.keys = "", nil
	for range 2 {
		if more, err := r.page(); !more || err != nil {
			t.Fatal(more, err)
		}
	}
	r.place = `{"history":5}` // of another kind of feed
	r.want(want...)
	r.want()
}

// How often a feed whose pages name only the one before is asked.
func TestAtomPlainRequests(t *testing.T) {
	f := &emrtest.AtomFeed{Plain: true}
	r := newAtom(t, f, "patient")
	r.want(publish(f, 1, 13)...)
	asked(t, f, "patient/recent", "patient/1", "patient/2", "patient/1", "patient/2", "patient/recent")
}

// Where old pages are kept no more, the oldest that is there is the beginning; a cut at that moment does no harm.
func TestAtomOldPagesGone(t *testing.T) {
	for n := range 24 {
		kept, cut := 1+2*(n%3), 2+n/3
		f := &emrtest.AtomFeed{Plain: kept < 5}
		want := publish(f, 1, 23)[(kept-1)*5:]
		calls := 0
		f.Before = func(w http.ResponseWriter, q *http.Request) bool {
			var n int
			_, _ = fmt.Sscanf(q.URL.Path[strings.LastIndex(q.URL.Path, "/"):], "/%d", &n)
			calls++
			switch {
			case n > 0 && n < kept:
				w.WriteHeader(http.StatusGone)
			case calls == cut:
				w.WriteHeader(http.StatusBadGateway)
			default:
				return false
			}
			return true
		}
		r := newAtom(t, f, "patient")
		got, err := r.round()
		if err != nil {
			if syncerr.KindOf(err) != syncerr.Transient {
				t.Fatal(err)
			}
			var rest []string
			rest, err = r.round()
			got = append(got, rest...)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("from page %d, cut at %d: %v\n got %q\nwant %q", kept, cut, err, got, want)
		}
	}
}

// Once a circle is repaired, the feed goes on.
func TestAtomRepaired(t *testing.T) {
	pages := map[string]string{
		"":  `<link rel="prev-archive" href="?p=b"/>` + numberedEntry(3),
		"b": `<link rel="prev-archive" href="?p=a"/><link rel="next-archive" href="?p=a"/>` + numberedEntry(2),
		"a": `<link rel="next-archive" href="?p=b"/>` + numberedEntry(1),
	}
	r := newAtom(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.WriteString(w, atomOpen+pages[q.URL.Query().Get("p")]+`</feed>`)
	}), atomBase+"patient/feed")
	if got, err := r.round(); syncerr.KindOf(err) != syncerr.Invalid || !slices.Equal(got, []string{"Observation/1"}) {
		t.Fatalf("got %q, %v", got, err)
	}
	pages["b"] = strings.Replace(pages["b"], "next-archive", "other", 1)
	r.want("Observation/2", "Observation/3")
	r.want()
}

// Pages that never lead to the newest one are given up.
func TestAtomNeverThere(t *testing.T) {
	n := 0
	r := newAtom(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.RawQuery != "" {
			_, _ = io.WriteString(w, atomOpen+numberedEntry(n)+`</feed>`)
			return
		}
		n++
		_, _ = fmt.Fprintf(w, `%s<link rel="prev-archive" href="?p=%d"/></feed>`, atomOpen, n)
	}), atomBase+"patient/feed")
	if _, err := r.round(); syncerr.KindOf(err) != syncerr.Invalid || !strings.Contains(err.Error(), "do not lead") {
		t.Error(err)
	}
	if n > 50 {
		t.Errorf("asked %d times", n)
	}
}

// Pages whose numbers lead up where they should lead down are found at once.
func TestAtomNumbersUp(t *testing.T) {
	n := 0
	r := newAtom(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n++
		_, _ = io.WriteString(w, atomOpen+`<link rel="via" href="3"/><link rel="prev-archive" href="4"/></feed>`)
	}), "patient")
	if _, err := r.round(); syncerr.KindOf(err) != syncerr.Invalid || !strings.Contains(err.Error(), "circle") || n != 1 {
		t.Errorf("%d requests, %v", n, err)
	}
}

// Forty feeds with long addresses of pages have a place all the same, and are not read again.
func TestAtomLongPlace(t *testing.T) {
	long := strings.Repeat("p", 55)
	var feeds, want []string
	for n := range 40 {
		feeds = append(feeds, fmt.Sprintf("%sc%d/feed", atomBase, n))
		want = append(want, fmt.Sprint("Observation/", n))
	}
	r := newAtom(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		var n int
		_, _ = fmt.Sscanf(q.URL.Path, "/openmrs/ws/atomfeed/c%d/feed", &n)
		_, _ = fmt.Fprintf(w, `%s<link rel="via" href="?p=%s"/>%s</feed>`, atomOpen, long, numberedEntry(n))
	}), feeds...)
	r.want(want...)
	r.want()
}

// Links are asked for as they were written, at the server that was set.
func TestAtomLinksAsWritten(t *testing.T) {
	var asked []string
	r := newAtom(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		asked = append(asked, q.Host+q.URL.RequestURI())
		if len(asked) == 1 {
			_, _ = io.WriteString(w, atomOpen+`<link rel="prev-archive" href="https://EMR.example/a%2Fb%20c//x?p=%2F&amp;q=1#y"/></feed>`)
			return
		}
		_, _ = io.WriteString(w, atomOpen+`</feed>`)
	}), atomBase+"patient/feed?k=v")
	if _, err := r.round(); err != nil {
		t.Fatal(err)
	}
	want := []string{"emr.example/openmrs/ws/atomfeed/patient/feed?k=v", "emr.example/a%2Fb%20c//x?p=%2F&q=1"}
	if len(asked) < 2 || !slices.Equal(asked[:2], want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}
