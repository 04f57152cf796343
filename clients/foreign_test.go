package clients_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/emrtest"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
)

// follower reads a feed as whoever stores its place does, and keeps what it last heard of each document.
type follower struct {
	t     *testing.T
	feed  feedreader.Foreign
	place string
	heard map[fhir.Key]feedreader.Item
	pages int
	items int
}

// follow reads until there is no more.
func (f *follower) follow() error {
	f.t.Helper()
	f.pages, f.items = 0, 0
	for more := true; more; {
		var page []feedreader.Item
		var err error
		var next string
		next, more, err = f.feed.Changes(f.t.Context(), f.place, func(it feedreader.Item) error {
			page = append(page, it)
			return nil
		})
		if err != nil {
			if next != f.place || more {
				f.t.Errorf("after %v it goes on at %q", err, next)
			}
			return err // what was read of the page is forgotten
		}
		if len(next) > 1500 {
			f.t.Fatalf("the place is too long: %s", next)
		}
		f.place = next
		f.pages++
		f.items += len(page)
		for _, it := range page {
			f.heard[it.Key] = it
		}
		if f.pages > 500 {
			f.t.Fatal("it comes to no end")
		}
	}
	return nil
}

// caughtUp checks that the follower has what the server has; deletions only where the feed tells them.
func (f *follower) caughtUp(s *emrtest.FHIRServer, keys []fhir.Key, deletions bool) {
	f.t.Helper()
	for _, k := range keys {
		body, live := s.Get(k)
		it, heard := f.heard[k]
		switch {
		case live && (!heard || it.Deleted || string(it.Content) != string(body) || it.Modified.IsZero() || it.Tag == ""):
			f.t.Fatalf("%s is %s, heard %t: %+v", k, body, heard, it)
		case !live && deletions && (!it.Deleted || it.Tag == ""):
			f.t.Fatalf("%s is deleted, heard %t: %+v", k, heard, it)
		}
	}
}

type feedCase struct {
	name    string
	history bool
	set     func(*emrtest.FHIRServer)
	types   []string
}

func feedCases() []feedCase {
	return []feedCase{
		{"history", true, nil, nil},
		{"history, small pages", true, func(s *emrtest.FHIRServer) { s.Page = 7 }, nil},
		{"history, one type", true, func(s *emrtest.FHIRServer) { s.Page = 7 }, []string{"Observation"}},
		{"history, the wrong way round", true, func(s *emrtest.FHIRServer) { s.Page, s.OldestFirst = 7, true }, nil},
		{"latest", false, func(s *emrtest.FHIRServer) { s.NoHistory = true }, nil},
		{"latest, small pages", false, func(s *emrtest.FHIRServer) { s.Page = 3 }, nil},
		{"latest, one type", false, func(s *emrtest.FHIRServer) { s.Page = 3 }, []string{"Observation"}},
		{"latest, unsorted", false, func(s *emrtest.FHIRServer) { s.Page, s.Unsorted = 3, true }, nil},
		{"latest, one moment", false, func(s *emrtest.FHIRServer) {
			s.Page, s.Clock = 3, func() time.Time { return time.UnixMilli(1_700_000_000_000) }
		}, nil},
	}
}

func (c feedCase) open(t *testing.T, overlap time.Duration) (*emrtest.FHIRServer, *clients.FHIR, *follower) {
	s, f := newFHIRServer(t, c.set)
	var feed feedreader.Foreign = clients.NewLatest(f, c.types, overlap)
	if c.history {
		feed = clients.NewHistory(f, c.types, overlap)
	}
	return s, f, &follower{t: t, feed: feed, heard: map[fhir.Key]feedreader.Item{}}
}

// A feed tells of each document as it now is, from the beginning and from wherever it was; nothing is skipped when it breaks, and it comes to rest.
func TestForeignFeeds(t *testing.T) {
	for _, c := range feedCases() {
		t.Run(c.name, func(t *testing.T) {
			s, f, follower := c.open(t, 5*time.Second)
			var keys []fhir.Key
			change := func(round int) {
				for i := range 20 {
					k := fhir.Key{Type: []string{"Patient", "Observation", "Encounter"}[i%3], ID: fmt.Sprintf("d%d", i)}
					if round == 0 && fhir.Selected(c.types, k.Type) {
						keys = append(keys, k)
					}
					if (i+round)%4 != 0 || round == 0 {
						s.Put(k, document(k, fmt.Sprintf("round %d", round)))
					}
					if i%5 == round {
						s.Put(k, document(k, "again"))
					}
					if _, live := s.Get(k); live && round > 0 && i%7 == round {
						s.Put(k, nil)
					}
				}
			}
			if err := follower.follow(); err != nil || follower.items > 0 {
				t.Fatalf("an empty server: %d items, %v", follower.items, err)
			}
			for round := range 4 {
				change(round)
				if round == 2 { // every fourth request fails
					n := 0
					s.SetFault(func(*http.Request) *emrtest.Fault {
						if n++; n%4 == 0 {
							return &emrtest.Fault{Cut: 700}
						}
						return nil
					})
					fails := 0
					for err := follower.follow(); err != nil; err = follower.follow() {
						says(t, err, syncerr.Transient)
						if fails++; fails > 100 {
							t.Fatal(err)
						}
					}
					s.SetFault(nil)
				}
				if err := follower.follow(); err != nil {
					t.Fatal(err)
				}
				follower.caughtUp(s, keys, c.history)
				for k := range follower.heard {
					if !slices.Contains(keys, k) {
						t.Errorf("it tells of %s", k)
					}
				}
				if round == 3 { // another process goes on
					follower.feed = clients.NewLatest(f, c.types, 5*time.Second)
					if c.history {
						follower.feed = clients.NewHistory(f, c.types, 5*time.Second)
					}
				}
			}
			if err := follower.follow(); err != nil || follower.items > 15 && !strings.Contains(c.name, "moment") {
				t.Errorf("where nothing is new it told of %d, %v", follower.items, err)
			}
			place := follower.place
			if err := follower.follow(); err != nil || follower.place != place {
				t.Errorf("it does not rest: %s and %s, %v", place, follower.place, err)
			}
			follower.place = "the place in another kind of feed"
			if err := follower.follow(); err != nil || follower.items < len(keys)/2 {
				t.Errorf("from the beginning: %d items, %v", follower.items, err)
			}
		})
	}
}

// A history begins with the newest entry. Its place must not move on before its pages were read, what was read counts only when the place was stored, and of a document an
// older version must never follow a newer one.
func TestHistoryPages(t *testing.T) {
	s, f := newFHIRServer(t, func(s *emrtest.FHIRServer) { s.Page = 4 })
	for i := range 10 {
		for _, id := range []string{"a", "b"} {
			s.Put(patientKey(id), document(patientKey(id), fmt.Sprint(i)))
		}
	}
	feed := clients.NewHistory(f, []string{"Patient"}, time.Second)
	read := func(after string) (string, bool, []string) {
		t.Helper()
		var got []string
		next, more, err := feed.Changes(t.Context(), after, func(it feedreader.Item) error {
			got = append(got, it.Key.ID+it.Tag)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return next, more, got
	}
	one, more, got := read("")
	if fmt.Sprint(got) != "[b10 a10]" || !more {
		t.Fatalf("%v, more %t", got, more)
	}
	if _, _, got = read(one); len(got) != 0 {
		t.Errorf("older versions follow: %v", got)
	}
	if _, _, got = read(one); fmt.Sprint(got) != "[b10 a10]" {
		t.Errorf("a page whose successor was not stored: %v", got)
	}
	if _, _, got = read(""); fmt.Sprint(got) != "[b10 a10]" {
		t.Errorf("a page that was not stored is lost: %v", got)
	}
	if two, _, got := read(one); fmt.Sprint(got) != "[b10 a10]" || two == one {
		t.Errorf("from a place of a round that is no more: %v", got)
	}
	place := ""
	for more = true; more; {
		place, more, _ = read(place)
	}
	s.Put(patientKey("a"), document(patientKey("a"), "last"))
	if _, _, got = read(place); len(got) > 3 || !slices.Contains(got, "a11") {
		t.Errorf("the next round: %v", got)
	}
}

// An entry that is dated in the future hides none that follow it.
func TestForeignFeedsAndClocks(t *testing.T) {
	for _, history := range []bool{true, false} {
		at := time.Now()
		s, f := newFHIRServer(t, func(s *emrtest.FHIRServer) { s.Clock = func() time.Time { return at } })
		var feed feedreader.Foreign = clients.NewLatest(f, nil, time.Minute)
		if history {
			feed = clients.NewHistory(f, nil, time.Minute)
		}
		follower := &follower{t: t, feed: feed, heard: map[fhir.Key]feedreader.Item{}}
		keys := []fhir.Key{patientKey("future"), patientKey("now"), patientKey("late")}
		for i, when := range []time.Duration{1000 * time.Hour, 0, -30 * time.Second} {
			at = time.Now().Add(when)
			s.Put(keys[i], document(keys[i], "x"))
			if err := follower.follow(); err != nil {
				t.Fatal(err)
			}
			follower.caughtUp(s, keys[:i+1], history)
		}
	}
}

// What is amiss with a feed is said, and nothing goes to another server.
func TestForeignFeedErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   func(*emrtest.FHIRServer)
		fault emrtest.Fault
		kind  syncerr.Kind
		words []string
	}{
		{"another server", func(s *emrtest.FHIRServer) { s.Page, s.NextBase = 1, "http://elsewhere.example/fhir" }, emrtest.Fault{}, syncerr.Invalid, []string{"elsewhere.example"}},
		{"nothing to read by", func(s *emrtest.FHIRServer) { s.NoHistory, s.NoSearch = true, true }, emrtest.Fault{}, syncerr.Unsupported, nil},
		{"page", nil, emrtest.Fault{Status: 200, Type: "text/html", Body: "<html>"}, syncerr.Invalid, []string{"web page"}},
		{"refused", nil, emrtest.Fault{Status: 400, Body: `{"resourceType":"OperationOutcome","issue":[{"diagnostics":"no such parameter"}]}`}, syncerr.Invalid, []string{"no such parameter"}},
		{"another Bundle", nil, emrtest.Fault{Status: 200, Body: `{"resourceType":"Bundle","type":"batch-response"}`}, syncerr.Invalid, []string{"batch-response"}},
		{"credential", nil, emrtest.Fault{Status: 401}, syncerr.Denied, nil},
	} {
		for _, history := range []bool{true, false} {
			s, f := newFHIRServer(t, c.set)
			for _, id := range []string{"a", "b"} {
				s.Put(patientKey(id), document(patientKey(id), "x"))
			}
			if c.fault.Status != 0 {
				s.SetFault(always(c.fault))
			}
			var feed feedreader.Foreign = clients.NewLatest(f, nil, time.Minute)
			if history {
				feed = clients.NewHistory(f, nil, time.Minute)
			}
			follower := &follower{t: t, feed: feed, heard: map[fhir.Key]feedreader.Item{}}
			says(t, follower.follow(), c.kind, c.words...)
		}
	}
}

// Histories of servers differ in what an entry has: a deletion may name its key and version only in a URL, and a version may come without its content.
func TestHistoryEntries(t *testing.T) {
	const entries = `{"resourceType":"Bundle","type":"history","total":5,"entry":[
		{"fullUrl":"urn:uuid:x","request":{"method":"DELETE","url":"Patient/a/_history/3"}},
		{"fullUrl":"http://h/fhir/Patient/b","request":{"method":"DELETE","url":""},"response":{"status":"204","etag":"W/\"7\"","lastModified":"2026-01-02T03:04:05.678+02:00"}},
		{"fullUrl":"http://h/fhir/Patient/c","request":{"method":"PUT","url":"Patient/c"},"response":{"status":"200"}},
		{"resource":{"resourceType":"Patient","id":"d","meta":{"versionId":"2","lastUpdated":"2026-01-02T03:04:05Z"}},"request":{"method":"POST","url":"Patient"}},
		{"resource":{"resourceType":"OperationOutcome","issue":[]}},
		{"resource":{"resourceType":"Patient","id":"not an id"}}]}`
	s := &emrtest.FHIRServer{}
	s.SetFault(always(emrtest.Fault{Status: 200, Body: entries}))
	srv := httptest.NewServer(s)
	defer srv.Close()
	feed := clients.NewHistory(clients.NewFHIR(srv.URL+"/fhir", secret(""), srv.Client().Transport, time.Now), []string{"Patient"}, 0)
	var got []string
	_, _, err := feed.Changes(t.Context(), "", func(it feedreader.Item) error {
		got = append(got, fmt.Sprintf("%s %s %t %t %s", it.Key, it.Tag, it.Deleted, it.Content != nil, it.Modified.Format("15:04:05.000")))
		return nil
	})
	want := []string{"Patient/a 3 true false 00:00:00.000", "Patient/b 7 true false 01:04:05.678", "Patient/c  false false 00:00:00.000", "Patient/d 2 false true 03:04:05.000"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v\nwant %q", got, err, want)
	}
}

// Both ends are ours: a node's own changes come over its histories and searches as a foreign server's do.
func TestForeignFeedsOfANode(t *testing.T) {
	p := newNodePeer(t)
	var edits []resourcemanager.Edit
	for i := range 120 {
		k := fhir.Key{Type: []string{"Patient", "Observation"}[i%2], ID: fmt.Sprintf("n%d", i)}
		edits = append(edits, resourcemanager.Edit{Key: k, Content: document(k, "x"), Create: true})
	}
	p.write(edits...)
	p.write(resourcemanager.Edit{Key: edits[7].Key})
	f := p.Remote.(*clients.FHIR)
	for _, types := range [][]string{nil, {"Patient", "Observation"}} {
		for name, feed := range map[string]feedreader.Foreign{
			"history": clients.NewHistory(f, types, time.Minute), "latest": clients.NewLatest(f, types, time.Minute),
		} {
			follower := &follower{t: t, feed: feed, heard: map[fhir.Key]feedreader.Item{}}
			if err := follower.follow(); err != nil {
				t.Fatal(err)
			}
			for i, e := range edits {
				it, heard := follower.heard[e.Key]
				now := p.get(e.Key)
				if i == 7 {
					if name == "history" && (!it.Deleted || it.Tag != now.Tag) {
						t.Errorf("%s: the deletion is %+v", name, it)
					}
					continue
				}
				if !heard || string(it.Content) != string(now.Content) || it.Tag != now.Tag || !it.Modified.Equal(now.Modified) {
					t.Fatalf("%s: heard %t: %+v, it has %+v", name, heard, it, now)
				}
			}
		}
	}
}
