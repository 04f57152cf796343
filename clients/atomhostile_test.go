package clients_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// Every kind of wrong answer has its own error, and none moves the place.
func TestAtomErrors(t *testing.T) {
	page := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/atom+xml") // whatever it is
			_, _ = io.WriteString(w, body)
		}
	}
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		}
	}
	const open = `<feed xmlns="http://www.w3.org/2005/Atom">`
	link := func(rel, to string) string { return open + `<link rel="` + rel + `" href="` + to + `"/></feed>` }
	tests := []struct {
		name string
		h    http.HandlerFunc
		kind syncerr.Kind
		text string
	}{
		{"log-in page", page("\n<!DOCTYPE html><html></html>"), syncerr.Invalid, "web page"},
		{"HTML by its type", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, open+"</feed>")
		}, syncerr.Invalid, "web page"},
		{"JSON", page(`{"resourceType":"Bundle"}`), syncerr.Invalid, "no XML"},
		{"nothing", page(""), syncerr.Invalid, ""},
		{"RSS", page(`<rss version="2.0"><channel/></rss>`), syncerr.Invalid, "not an Atom feed"},
		{"entities", page(`<!DOCTYPE feed [<!ENTITY a "b">]>` + open + "</feed>"), syncerr.Invalid, "refused"},
		{"not closed", page(open), syncerr.Invalid, "unexpected EOF"},
		{"too deep", page(open + strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100) + "</feed>"), syncerr.Invalid, "deeper"},
		{"too large", page(open + strings.Repeat(" ", 16<<20) + "</feed>"), syncerr.TooLarge, ""},
		{"two roots", page(open + "</feed>" + open + "</feed>"), syncerr.Invalid, "root"},
		{"not UTF-8", page(`<?xml version="1.0" encoding="UTF-16"?>` + open + "</feed>"), syncerr.Unsupported, "UTF-8"},
		{"401", status(401), syncerr.Denied, "401"},
		{"403", status(403), syncerr.Denied, "403"},
		{"404", status(404), syncerr.NotFound, "404"},
		{"429", status(429), syncerr.Transient, "429"},
		{"500", status(500), syncerr.Transient, "500"},
		{"503", status(503), syncerr.Transient, "503"},
		{"redirect", status(302, "Location", "http://elsewhere.example/"), syncerr.Invalid, "redirects"},
		{"304 to no question", status(304), syncerr.Invalid, "304"},
		{"204", status(204), syncerr.Invalid, "204"},
		{"other host", page(link("prev-archive", "http://evil.example/feed?page=1")), syncerr.Invalid, "another server, evil.example"},
		{"no host", page(link("next-archive", "mailto:x@evil.example")), syncerr.Invalid, "another server"},
		{"user in a link", page(link("prev-archive", "http://a:b@emr.example/feed?page=1")), syncerr.Invalid, "another server"},
		{"bad link", page(link("prev-archive", "http://[")), syncerr.Invalid, "cannot be read"},
		{"circle of one", page(link("prev-archive", "/feed?page=1")), syncerr.Invalid, "circle"},
		{"numbers that go up", page(`<feed xmlns="http://www.w3.org/2005/Atom"><link rel="via" href="3"/><link rel="prev-archive" href="4"/></feed>`), syncerr.Invalid, "circle"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			r := newAtom(t, c.h, "patient")
			got, err := r.round()
			if err == nil || syncerr.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.text) || len(got) != 0 {
				t.Errorf("got %q, %v (%v), want %v with %q", got, err, syncerr.KindOf(err), c.kind, c.text)
			}
			if err != nil && !strings.Contains(err.Error(), "emr.example") {
				t.Errorf("it does not say of which server: %v", err)
			}
		})
	}
	for _, bad := range [][]string{nil, {"emr.example/ws/atomfeed/patient/recent"}, {"ftp://emr.example/x"}, {"http://a:b@emr.example/x"}, {"http://["}} {
		a := clients.NewAtom(bad, secret(""), handled{page("")}, time.Now)
		if _, _, err := a.Changes(t.Context(), "", nil); syncerr.KindOf(err) != syncerr.Usage || strings.Contains(err.Error(), "a:b") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Links that lead forward in a circle are found, whatever they are called.
func TestAtomCircleForward(t *testing.T) {
	entry := func(n int) string {
		return strings.Replace(entryWith("UPDATED", `{"rest":"/ws/rest/v1/obs/`+fmt.Sprint(n)+`"}`), "tag:x", fmt.Sprint("tag:", n), 1)
	}
	pages := map[string]string{
		"":  `<link rel="prev-archive" href="?p=c"/>` + entry(9),
		"c": `<link rel="prev-archive" href="?p=b"/><link rel="next-archive" href="?p=a"/>` + entry(3),
		"b": `<link rel="prev-archive" href="?p=a"/><link rel="next-archive" href="?p=c"/>` + entry(2),
		"a": `<link rel="next-archive" href="?p=b"/>` + entry(1),
	}
	r := newAtom(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.WriteString(w, `<feed xmlns="http://www.w3.org/2005/Atom">`+pages[q.URL.Query().Get("p")]+`</feed>`)
	}), atomBase+"patient/feed")
	for range 3 {
		if got, err := r.round(); syncerr.KindOf(err) != syncerr.Invalid || !strings.Contains(err.Error(), "circle") || len(got) > 3 {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

// A server that asks to be left alone is left alone for as long.
func TestAtomRetryAfter(t *testing.T) {
	now, calls := time.Unix(1e9, 0), 0
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	a := clients.NewAtom([]string{atomBase + "a/recent", atomBase + "b/recent"}, secret("t"), handled{h}, func() time.Time { return now })
	for i, want := range []int{1, 1, 2} {
		if _, _, err := a.Changes(t.Context(), "", nil); syncerr.KindOf(err) != syncerr.Transient || calls != want {
			t.Errorf("%d: %d requests, %v", i, calls, err)
		}
		now = now.Add(31 * time.Second)
	}
}

// Credentials go along; a canceled context is told as such.
func TestAtomCredential(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if u, p, ok := q.BasicAuth(); !ok || u != "admin" || p != "x" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		onePage("").ServeHTTP(w, q)
	})
	a := clients.NewAtom([]string{atomBase + "a/recent"}, secret("admin:x"), handled{h}, time.Now)
	if _, more, err := a.Changes(t.Context(), "", nil); more || err != nil {
		t.Error(more, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a = clients.NewAtom([]string{atomBase + "a/recent"}, secret("admin:x"), http.DefaultTransport, time.Now)
	if _, _, err := a.Changes(ctx, "", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Whatever a server sends: what is taken has a key, the place stays small, and what was taken does not come again.
func FuzzAtom(f *testing.F) {
	for _, name := range []string{"recent.xml", "page1.xml", "empty.xml", "bahmni.xml"} {
		b, err := os.ReadFile("testdata/atom/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, b)
	}
	f.Add([]byte(`<feed xmlns="http://www.w3.org/2005/Atom"><link rel="prev-archive" href="?p=1"/></feed>`), []byte(`<feed xmlns="http://www.w3.org/2005/Atom"></feed>`))
	f.Fuzz(func(t *testing.T, newest, others []byte) {
		asked := 0
		a := clients.NewAtom([]string{atomBase + "patient/recent"}, secret(""), handled{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked++; asked > 1000 {
				t.Fatal("it goes on asking")
			}
			if r.URL.Host != "emr.example" {
				t.Errorf("asked %s", r.URL)
			}
			if bytes.HasSuffix([]byte(r.URL.Path), []byte("recent")) {
				_, _ = w.Write(newest)
				return
			}
			_, _ = w.Write(others)
		})}, time.Now)
		place, more, err := "", true, error(nil)
		for n := 0; more && err == nil; n++ {
			place, more, err = a.Changes(t.Context(), place, func(it feedreader.Item) error {
				if it.Key.Validate() != nil || !fhir.IsKind(it.Key.Type) {
					t.Errorf("key %s", it.Key)
				}
				return nil
			})
			if len(place) > 1500 || n > 100 {
				t.Fatalf("page %d, a place of %d bytes", n, len(place))
			}
		}
		if err != nil {
			return
		}
		again, more, err := a.Changes(t.Context(), place, func(it feedreader.Item) error {
			t.Errorf("%s again", it.Key)
			return nil
		})
		if again != place || more || err != nil {
			t.Errorf("%s, then %s, %v, %v", place, again, more, err)
		}
	})
}
