package clients_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
)

// plain is a server of fixed texts by path, with validators.
type plain struct {
	pages    map[string]string
	etags    map[string]string
	modified string
	fault    func(w http.ResponseWriter, r *http.Request) bool
	asked    []string // path, and what was answered
}

func (p *plain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := http.StatusOK
	defer func() { p.asked = append(p.asked, fmt.Sprint(r.URL.RequestURI(), " ", status)) }()
	if p.fault != nil && p.fault(w, r) {
		status = 0
		return
	}
	text, ok := p.pages[r.URL.RequestURI()]
	if !ok {
		status = http.StatusNotFound
		w.WriteHeader(status)
		return
	}
	etag := p.etags[r.URL.RequestURI()]
	if etag != "" {
		w.Header().Set("ETag", etag)
	} else if p.modified != "" {
		w.Header().Set("Last-Modified", p.modified)
	}
	if etag != "" && r.Header.Get("If-None-Match") == etag || etag == "" && p.modified != "" && r.Header.Get("If-Modified-Since") == p.modified {
		status = http.StatusNotModified
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(text))
}

func (p *plain) requests() string {
	out := strings.Join(p.asked, ", ")
	p.asked = nil
	return out
}

const place = `{"resourceType":"Location","id":"{code}","name":"{name}"}`

// listOf returns the list of a server, with the addresses given as paths.
func listOf(t *testing.T, s *plain, o clients.ListOptions) *clients.List {
	t.Helper()
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	for i, a := range o.Addresses {
		o.Addresses[i] = web.URL + a
	}
	if o.Template == "" {
		o.Template = place
	}
	o.Clock = time.Now
	l, err := clients.NewList(o, func() (string, error) { return "", nil }, http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// round reads a round and returns what it gave, as "Type/id content", and the next place.
func round(t *testing.T, l feedreader.Foreign, after string) (got []string, next string, err error) {
	t.Helper()
	next = after
	for more := true; more && err == nil; {
		next, more, err = l.Changes(context.Background(), next, func(it feedreader.Item) error {
			if it.Err != nil {
				got = append(got, it.Key.String()+" bad")
			} else {
				got = append(got, it.Key.String()+" "+string(it.Content))
			}
			return nil
		})
	}
	return got, next, err
}

// A list is read page by page, asked for with its validators, and said to be whole only where it is.
func TestList(t *testing.T) {
	s := &plain{pages: map[string]string{"/l": `{"data":{"rows":[{"code":"a","name":"A"},{"code":"b"}]},"count":2}`}, etags: map[string]string{"/l": `"1"`}}
	l := listOf(t, s, clients.ListOptions{Addresses: []string{"/l"}, Items: "data.rows", Total: "count"})
	got, next, err := round(t, l, "")
	if err != nil || strings.Join(got, " ") != `Location/a {"id":"a","name":"A","resourceType":"Location"} Location/b {"id":"b","resourceType":"Location"}` {
		t.Fatal(got, err)
	}
	listing, doubt := l.Listed()
	if len(listing) != 2 || doubt != nil || !listing.Has(fhir.Key{Type: "Location", ID: "b"}) || listing.Has(fhir.Key{Type: "Location", ID: "c"}) {
		t.Error(listing, doubt)
	}
	again, same, err := round(t, l, next)
	if listing, doubt = l.Listed(); err != nil || len(again) != 0 || same != next || listing != nil || doubt != nil {
		t.Error(again, same, err, listing, doubt)
	}
	if r := s.requests(); r != "/l 200, /l 304" {
		t.Error(r)
	}
	s.pages["/l"], s.etags["/l"] = `{"data":{"rows":[{"code":"a"}]},"count":2}`, `"2"`
	if got, next, err = round(t, l, next); err != nil || len(got) != 1 {
		t.Error(got, err)
	}
	if listing, doubt = l.Listed(); doubt == nil || !strings.Contains(doubt.Error(), "2 records and gave 1") {
		t.Error(listing, doubt)
	}
	if _, _, err = round(t, l, next); err != nil { // half a list is asked for again
		t.Error(err)
	}
	if r := s.requests(); r != "/l 200, /l 200" {
		t.Error(r)
	}
	copies, err := l.Read(t.Context(), []resourcemanager.Want{{Key: fhir.Key{Type: "Location", ID: "a"}}, {Key: fhir.Key{Type: "Location", ID: "b"}}})
	if err != nil || copies[0].State != resourcemanager.Present || copies[1].State != resourcemanager.Absent {
		t.Error(copies, err)
	}
	if _, err := l.Write(t.Context(), nil); syncerr.KindOf(err) != syncerr.Unsupported {
		t.Error(err)
	}

	// Other options: from the beginning.
	o := listOf(t, s, clients.ListOptions{Addresses: []string{"/l"}, Items: "data.rows"})
	if got, _, err = round(t, o, next); err != nil || len(got) != 1 {
		t.Error(got, err)
	}
}

// Of several addresses and pages the list is what all of them have together.
func TestListOfPages(t *testing.T) {
	s := &plain{pages: map[string]string{
		"/l": `{"rows":[{"code":"a"}],"next":"/l?page=2"}`, "/l?page=2": `{"rows":[{"code":"b"}]}`, "/m": `{"rows":[{"code":"c"}]}`,
	}, modified: "Wed, 04 Mar 2026 10:30:00 GMT"}
	l := listOf(t, s, clients.ListOptions{Addresses: []string{"/m", "/l"}, Items: "rows", Next: "next"})
	got, next, err := round(t, l, "")
	if listing, doubt := l.Listed(); err != nil || len(got) != 3 || len(listing) != 3 || doubt != nil {
		t.Error(got, err)
	}
	s.requests()
	if got, next, err = round(t, l, next); err != nil || len(got) != 3 { // /l has no validator of its own, so /m is read as well
		t.Error(got, err)
	}
	if listing, _ := l.Listed(); len(listing) != 3 {
		t.Error(listing)
	}
	if r := s.requests(); r != "/m 304, /l 200, /l?page=2 200, /m 200" {
		t.Error(r)
	}
	s.pages["/l?page=2"] = `{"rows":[],"next":"/l"}`
	if _, _, err = round(t, l, next); syncerr.KindOf(err) != syncerr.Invalid || !strings.Contains(err.Error(), "circle") {
		t.Error(err)
	}
	s.pages["/l?page=2"] = `{"rows":[],"next":"http://elsewhere.example/l"}`
	if _, _, err = round(t, l, next); syncerr.KindOf(err) != syncerr.Invalid || !strings.Contains(err.Error(), "elsewhere.example") {
		t.Error(err)
	}
}

// The place of many addresses stays short, as the table of cursors takes it.
func TestListOfManyAddresses(t *testing.T) {
	s := &plain{pages: map[string]string{}, etags: map[string]string{}}
	var o clients.ListOptions
	for i := range 30 {
		path := fmt.Sprint("/", i)
		s.pages[path], s.etags[path] = fmt.Sprintf(`[{"code":"c%d"}]`, i), `"`+strings.Repeat("x", 100)+`"`
		o.Addresses = append(o.Addresses, path)
	}
	l := listOf(t, s, o)
	for range 2 {
		got, next, err := round(t, l, "")
		if listing, doubt := l.Listed(); err != nil || len(got) != 30 || len(next) > 1500 || len(listing) != 30 || doubt != nil {
			t.Error(len(got), next, err)
		}
	}
}

// What is no list, half of one, or one with records that cannot be read, is said, and is no list of what there is.
func TestBadLists(t *testing.T) {
	s := &plain{pages: map[string]string{}}
	l := listOf(t, s, clients.ListOptions{Addresses: []string{"/l"}, Items: "rows"})
	for text, want := range map[string]string{
		`{"rows":[{"code":"a"},{"co`:         "no whole JSON",
		`<html>log in</html>`:                "no whole JSON",
		``:                                   "no whole JSON",
		`{"error":"busy"}`:                   "no list of records",
		`{"rows":{"code":"a"}}`:              "no list of records",
		`[{"code":"a"}]`:                     "no list of records",
		`{"rows":[{"code":"a"}]}{"rows":[]}`: "no whole JSON",
	} {
		s.pages["/l"] = text
		got, next, err := round(t, l, "x")
		if listing, _ := l.Listed(); syncerr.KindOf(err) != syncerr.Invalid || !strings.Contains(err.Error(), want) || len(got) != 0 || next != "x" || listing != nil {
			t.Errorf("%s: %v %v %s", text, got, err, next)
		}
	}
	s.pages["/l"] = `{"rows":[{"code":"a"},{"name":"no code"},7]}`
	got, _, err := round(t, l, "")
	if _, doubt := l.Listed(); err != nil || len(got) != 3 || got[1] != "Location/unreadable-record bad" || doubt == nil || !strings.Contains(doubt.Error(), "record 3") {
		t.Error(got, err, doubt)
	}
	s.pages["/l"] = `{"rows":[]}`
	_, _, err = round(t, l, "")
	if listing, doubt := l.Listed(); err != nil || listing == nil || len(listing) != 0 || doubt != nil {
		t.Error(listing, doubt, err)
	}
	for status, kind := range map[int]syncerr.Kind{500: syncerr.Transient, 503: syncerr.Transient, 404: syncerr.NotFound, 401: syncerr.Denied, 302: syncerr.Invalid, 204: syncerr.Internal} {
		s.fault = func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			return true
		}
		if _, _, err := round(t, l, ""); err == nil || kind != syncerr.Internal && syncerr.KindOf(err) != kind {
			t.Errorf("%d: %v", status, err)
		}
	}
	s.fault = func(w http.ResponseWriter, _ *http.Request) bool { // it breaks off
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"rows":[]}`))
		return true
	}
	if _, _, err := round(t, l, ""); syncerr.KindOf(err) != syncerr.Transient {
		t.Error(err)
	}
	s.fault = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	for range 3 {
		if _, _, err := round(t, l, ""); syncerr.KindOf(err) != syncerr.Transient {
			t.Error(err)
		}
	}
	if r := s.requests(); strings.Count(r, "/l 0") != 8 { // asked once to leave it alone
		t.Error(r)
	}
}

// An RSS feed is a list of its items.
func TestNews(t *testing.T) {
	s := &plain{pages: map[string]string{"/f": `<rss version="2.0"><channel><item><guid>https://x/1</guid><title>T</title></item></channel></rss>`}, etags: map[string]string{"/f": `"1"`}}
	l := listOf(t, s, clients.ListOptions{
		Addresses: []string{"/f"}, News: true, Template: `{"resourceType":"Communication","id":"{id|id}","status":"completed","payload":[{"contentString":"{title}"}]}`,
	})
	got, next, err := round(t, l, "")
	if err != nil || strings.Join(got, " ") != `Communication/8cfc4bebe4e75b651e93b8d217ec779f {"id":"8cfc4bebe4e75b651e93b8d217ec779f","payload":[{"contentString":"T"}],"resourceType":"Communication","status":"completed"}` {
		t.Error(got, err)
	}
	if got, _, err = round(t, l, next); err != nil || got != nil {
		t.Error(got, err)
	}
	s.pages["/f"], s.etags["/f"] = `<rss version="2.0"><channel><item>`, ""
	if _, _, err := round(t, l, next); syncerr.KindOf(err) != syncerr.Invalid {
		t.Error(err)
	}
}

// Requests to a server that is to be pressed little have a pause between them.
func TestPolite(t *testing.T) {
	at := time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)
	var times []time.Time
	rt := clients.Polite(roundTrip(func(*http.Request) (*http.Response, error) {
		times = append(times, at)
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	}), 20*time.Millisecond, func() time.Time { return at })
	begin := time.Now()
	for range 3 {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://x/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rt.RoundTrip(r); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(begin); took < 60*time.Millisecond { // the clock stands, so the third waits for two pauses
		t.Errorf("three requests took %s", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", "http://x/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rt.RoundTrip(r); err == nil || len(times) != 3 {
		t.Errorf("%v, %d requests", err, len(times))
	}
	if clients.Polite(http.DefaultTransport, 0, nil) != http.DefaultTransport {
		t.Error("no pause is one")
	}
}
