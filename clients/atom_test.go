package clients_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/internal/emrtest"
	"github.com/tributary-sync/tributary/syncerr"
)

// handled carries requests to a handler without a network.
type handled struct{ http.Handler }

func (h handled) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:1"
	h.ServeHTTP(w, in)
	return w.Result(), nil
}

// reading is a reader of feeds with what it took.
type reading struct {
	*clients.Atom
	t     *testing.T
	place string
	keys  []string
}

const atomBase = "http://emr.example/openmrs/ws/atomfeed/"

func newAtom(t *testing.T, h http.Handler, categories ...string) *reading {
	for i, c := range categories {
		if categories[i] = c; !strings.Contains(c, "://") {
			categories[i] = atomBase + c + "/recent"
		}
	}
	return &reading{Atom: clients.NewAtom(categories, secret(""), handled{h}, time.Now), t: t}
}

// page reads one page and keeps the place, unless there is an error.
func (r *reading) page() (more bool, err error) {
	next, more, err := r.Changes(r.t.Context(), r.place, func(it feedreader.Item) error {
		r.keys = append(r.keys, it.Key.String())
		return nil
	})
	if len(next) > 1500 {
		r.t.Errorf("a place of %d bytes", len(next))
	}
	if err == nil {
		r.place = next
	} else if next != r.place {
		r.t.Errorf("the place moved on with an error: %s -> %s", r.place, next)
	}
	return more, err
}

// round reads until there is nothing more and returns what came.
func (r *reading) round() ([]string, error) {
	r.keys = nil
	for range 500 {
		if more, err := r.page(); err != nil || !more {
			return r.keys, err
		}
	}
	r.t.Fatal("a round without end")
	return nil, nil
}

func (r *reading) want(want ...string) {
	r.t.Helper()
	got, err := r.round()
	if err != nil || !slices.Equal(got, want) {
		r.t.Fatalf("got %q, %v\nwant %q", got, err, want)
	}
}

func uuidOf(n int) string { return fmt.Sprintf("5946f880-b197-400b-9caa-%012d", n) }

// publish adds updates of the patients from to to, and returns their keys.
func publish(f *emrtest.AtomFeed, from, to int) (keys []string) {
	for n := from; n <= to; n++ {
		f.Publish("patient", "UPDATED", "patient/"+uuidOf(n), "Patient/"+uuidOf(n))
		keys = append(keys, "Patient/"+uuidOf(n))
	}
	return keys
}

func asked(t *testing.T, f *emrtest.AtomFeed, want ...string) {
	t.Helper()
	if got := f.Calls(); !slices.Equal(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

// The samples of both forms of OpenMRS.
func TestAtomSamples(t *testing.T) {
	file := func(name string) []byte {
		b, err := os.ReadFile("testdata/atom/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	pages := map[string][]byte{
		"/openmrs/ws/atomfeed/patient/recent": file("recent.xml"), "/openmrs/ws/atomfeed/patient/1": file("page1.xml"),
		"/openmrs/ws/atomfeed/patient/2": file("recent.xml"), "/openmrs/ws/atomfeed/encounter/recent": file("bahmni.xml"),
		"/openmrs/ws/atomfeed/cohort/recent": file("empty.xml"),
	}
	srv := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept"); !strings.HasPrefix(got, "application/atom+xml") || len(r.Header["Accept"]) != 1 {
			t.Errorf("it accepts %q", r.Header["Accept"])
		}
		if pages[r.URL.Path] == nil {
			http.Error(w, "no page "+r.URL.Path, http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(pages[r.URL.Path])
	})
	const p = "Patient/5946f880-b197-400b-9caa-a3c66157"
	r := newAtom(t, srv, "cohort", "patient", "encounter")
	r.want(p+"0001", p+"0002", p+"0001", p+"0004", p+"0005", p+"0007", "Encounter/5946f880-b197-400b-9caa-a3c661570001", p+"0003")
	if got := r.Skipped(); !reflect.DeepEqual(got, map[string]int64{"encounter": 1}) {
		t.Errorf("skipped %v", got)
	}
	r.want()
	if in, out := r.Traffic(); in < 5000 || out != 0 {
		t.Errorf("traffic %d, %d", in, out)
	}
}

// What links name, in every form that is known of them.
func TestAtomKeys(t *testing.T) {
	const id, parent = "5946f880-b197-400b-9caa-a3c661570007", "11111111-b197-400b-9caa-a3c661570007"
	tests := []struct{ content, want string }{
		{`{"rest":"/ws/rest/v1/patient/` + id + `?v=full","fhir":"/ws/fhir/Patient/` + id + `"}`, "Patient/" + id},
		{`{"fhir":"/ws/fhir2/R4/Observation/` + id + `","rest":"/ws/rest/v1/obs/` + id + `"}`, "Observation/" + id},
		{`{"rest":"/ws/rest/v1/visit/` + id + `?v=full"}`, "Encounter/" + id},
		{`{"rest":"/ws/rest/v1/visit/` + id + `?v=full","fhir":"/ws/fhir/Encounter/` + id + `"}`, "Encounter/" + id},
		{`{"rest":"/ws/rest/v1/cohort/` + id + `"}`, "Group/" + id},
		{`{"rest":"/ws/rest/v1/obs/` + id + `"}`, "Observation/" + id},
		{`{"rest":"/ws/rest/v1/test_order/` + id + `","fhir":"/ws/fhir/ProcedureRequest/` + id + `"}`, "ServiceRequest/" + id},
		{`{"rest":"/ws/rest/v1/drug_order/` + id + `"}`, "MedicationRequest/" + id},
		{`{"rest":"/ws/rest/v1/allergy/` + id + `"}`, "AllergyIntolerance/" + id},
		{`{"rest":"/ws/rest/v1/patient/` + parent + `/allergy/` + id + `"}`, "AllergyIntolerance/" + id},
		{`{"rest":"/ws/rest/v1/condition/` + id + `"}`, "Condition/" + id},
		{`{"rest":"/ws/rest/v1/provider/` + id + `","fhir":"/ws/fhir/Provider/` + id + `"}`, "provider/" + id},
		{`{"rest":"/ws/rest/v1/programenrollment/` + id + `","fhir":"/ws/fhir/Programenrollment/` + id + `"}`, "programenrollment/" + id},
		{`{"rest":"/ws/rest/v1/visittype/` + id + `?v=full"}`, "visittype/" + id},
		{`{"rest":"/ws/rest/v1/patient/` + parent + `/identifier/` + id + `?v=full"}`, "Patient/" + parent},
		{`{"rest":"/ws/rest/v1/person/` + parent + `/name/` + id + `?v=full"}`, "Person/" + parent + " Patient/" + parent},
		{`{"rest":"/ws/rest/v1/person/` + id + `?v=full"}`, "Person/" + id},
		{`{"rest":"/ws/rest/v1/concept/` + parent + `/mapping/` + id + `"}`, "concept/" + parent},
		{`/openmrs/ws/rest/v1/patient/` + id + `?v=full`, "Patient/" + id},
		{"\n  https://other.example/openmrs/ws/fhir2/R4/Patient/" + id + "\n", "Patient/" + id},
		{`/openmrs/ws/rest/v1/bahmnicore/bahmniencounter/` + id + `?includeAll=true`, "Encounter/" + id},
		{`/openmrs/ws/rest/v1/programenrollment/` + id + `?v=full`, "programenrollment/" + id},
		{`{"rest":"/ws/rest/sync2/messages/` + id + `"}`, ""},
		{`{"rest":"/ws/rest/v1/patient/a b"}`, ""},
		{`{"rest":"/ws/rest/v1/patient/.."}`, ""},
		{`{"rest":"/ws/rest/v1/patient"}`, ""},
		{`{"rest":"/ws/rest/v1/Weird_Thing/` + id + `"}`, ""},
		{`{"fhir":"/ws/fhir/Order/` + id + `"}`, ""},
		{`{"fhir":7}`, ""},
		{`just words`, ""},
		{``, ""},
	}
	for _, c := range tests {
		t.Run(c.content, func(t *testing.T) {
			r := newAtom(t, onePage(entryWith("UPDATED", c.content)), "patient")
			got, err := r.round()
			if err != nil || strings.Join(got, " ") != c.want {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
			if n := r.Skipped()["patient"]; (n == 1) != (c.want == "") {
				t.Errorf("%d skipped", n)
			}
		})
	}
}

func entryWith(action, content string) string {
	return `<entry><title>x</title><category term="patient"/><category term="` + action + `"/><id>tag:x</id><updated>2023-11-14T22:13:27Z</updated>` +
		`<content type="application/vnd.atomfeed+xml"><![CDATA[` + content + `]]></content></entry>`
}

func onePage(entries string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `<feed xmlns="http://www.w3.org/2005/Atom">`+entries+`</feed>`)
	})
}

// Only a purge is told as a deletion: all else is asked for, and the answer says whether it is there.
func TestAtomDeletions(t *testing.T) {
	whole, part := `{"rest":"/ws/rest/v1/obs/1"}`, `{"rest":"/ws/rest/v1/patient/1/identifier/2"}`
	for _, c := range []struct {
		action, content string
		deleted         bool
	}{{"DELETED", whole, true}, {"DELETED", part, false}, {"VOIDED", whole, false}, {"RETIRED", whole, false}, {"UNVOIDED", whole, false}, {"UPDATED", whole, false}, {"SOMETHING", whole, false}} {
		var got []feedreader.Item
		a := clients.NewAtom([]string{atomBase + "x/recent"}, secret(""), handled{onePage(entryWith(c.action, c.content))}, time.Now)
		_, _, err := a.Changes(t.Context(), "", func(it feedreader.Item) error { got = append(got, it); return nil })
		if err != nil || len(got) != 1 || got[0].Deleted != c.deleted || got[0].Content != nil || got[0].Tag != "" || got[0].Modified.Unix() != 1_700_000_007 {
			t.Errorf("%s %s: %+v %v", c.action, c.content, got, err)
		}
	}
}

// A feed is read once from its oldest page to its newest one, then only what is new; each page once.
func TestAtomPages(t *testing.T) {
	f := &emrtest.AtomFeed{Host: "https://behind.the.proxy/emr"}
	r := newAtom(t, f, "patient")
	r.want()
	asked(t, f, "patient/recent")
	r.want(publish(f, 1, 3)...)
	asked(t, f, "patient/recent")
	r.want()
	r.want(publish(f, 4, 5)...)
	f.Calls()
	r.want(publish(f, 6, 6)...) // on a new page
	asked(t, f, "patient/recent", "patient/1", "patient/2", "patient/recent")
	r.want(publish(f, 7, 23)...)
	asked(t, f, "patient/recent", "patient/2", "patient/3", "patient/4", "patient/5", "patient/recent")

	all := newAtom(t, f, "patient")
	all.want(publish(&emrtest.AtomFeed{}, 1, 23)...)
	asked(t, f, "patient/recent", "patient/1", "patient/2", "patient/3", "patient/4", "patient/5", "patient/recent")
	all.want()
	f.ETags = true
	all.want()
	f.Calls()
	all.want()
	asked(t, f, "patient/recent 304")
	all.want(publish(f, 24, 24)...)
	f.Calls()
	again := newAtom(t, f, "patient") // after a restart
	again.place = all.place
	again.want()
	asked(t, f, "patient/recent")
}

// New entries come while the pages are read, and nothing is told twice or left out.
func TestAtomGrows(t *testing.T) {
	for _, plain := range []bool{false, true} {
		f := &emrtest.AtomFeed{Plain: plain}
		want := publish(f, 1, 13)
		r := newAtom(t, f, "patient")
		n := 13
		f.Before = func(http.ResponseWriter, *http.Request) bool {
			if n < 60 {
				want = append(want, publish(f, n+1, n+1)...)
				n++
			}
			return false
		}
		for n < 60 {
			if _, err := r.page(); err != nil {
				t.Fatal(err)
			}
		}
		got := slices.Clone(r.keys)
		rest, err := r.round()
		if got = append(got, rest...); err != nil || !slices.Equal(got, want) {
			t.Errorf("plain %v: %v\n got %q\nwant %q", plain, err, got, want)
		}
	}
}

// Pages that name only the one before them are gone back through once, and a cut on the way does not begin it anew.
func TestAtomWithoutNextLinks(t *testing.T) {
	f := &emrtest.AtomFeed{Plain: true}
	want := publish(f, 1, 33)
	r := newAtom(t, f, "patient")
	calls := 0
	f.Before = func(w http.ResponseWriter, _ *http.Request) bool {
		if calls++; calls%4 != 0 {
			return false
		}
		w.WriteHeader(http.StatusBadGateway)
		return true
	}
	var got []string
	for n := 0; len(got) < len(want) && n < 30; n++ {
		keys, err := r.round()
		got = append(got, keys...)
		if err != nil && syncerr.KindOf(err) != syncerr.Transient {
			t.Fatal(err)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if calls > 40 {
		t.Errorf("%d requests for 7 pages", calls)
	}
	f.Before = nil
	r.want()
}

// A page that breaks off counts for nothing, and is read again.
func TestAtomCut(t *testing.T) {
	f := &emrtest.AtomFeed{}
	want := publish(f, 1, 23)
	r := newAtom(t, f, "patient")
	var broken bool
	f.Before = func(w http.ResponseWriter, q *http.Request) bool {
		if !strings.HasSuffix(q.URL.Path, "/3") || broken {
			return false
		}
		broken = true
		rec := httptest.NewRecorder()
		f.ServeHTTP(rec, q)
		w.Header().Set("Content-Length", "5000")
		_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()-200])
		return true
	}
	srv := httptest.NewServer(f)
	defer srv.Close()
	r.Atom = clients.NewAtom([]string{srv.URL + "/ws/atomfeed/patient/recent"}, secret(""), srv.Client().Transport, time.Now)
	got, err := r.round()
	if syncerr.KindOf(err) != syncerr.Transient || !slices.Equal(got, want[:10]) {
		t.Fatalf("got %q, %v", got, err)
	}
	f.Calls()
	r.want(want[10:]...)
	asked(t, f, "patient/3", "patient/4", "patient/5", "patient/recent")
}

// What the caller could not take comes again, though it comes from the middle of a line of pages.
func TestAtomTakeFails(t *testing.T) {
	f := &emrtest.AtomFeed{}
	want := publish(f, 1, 13)
	r := newAtom(t, f, "patient")
	stop := errors.New("the database is full")
	var got []string
	for n := 0; n < 40 && len(got) < len(want); n++ {
		var page []string
		next, _, err := r.Changes(t.Context(), r.place, func(it feedreader.Item) error {
			if page = append(page, it.Key.String()); n%2 == 0 && len(page) == 3 {
				return stop
			}
			return nil
		})
		if err == nil {
			r.place, got = next, append(got, page...)
		} else if err != stop || next != r.place {
			t.Fatal(next, err)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// A feed that lost the entry which was taken last is read from its oldest page: after a restore, and where another server has its address.
func TestAtomReset(t *testing.T) {
	for name, reset := range map[string]func(*emrtest.AtomFeed) []string{
		"shorter":      func(f *emrtest.AtomFeed) []string { f.Name = "b"; return publish(f, 1, 3) },
		"of two pages": func(f *emrtest.AtomFeed) []string { f.Name = "b"; return publish(f, 1, 8) },
		"as long":      func(f *emrtest.AtomFeed) []string { f.Name = "b"; return publish(f, 1, 24) },
		"longer":       func(f *emrtest.AtomFeed) []string { f.Name = "b"; return publish(f, 100, 140) },
		"other size of pages": func(f *emrtest.AtomFeed) []string {
			publish(f, 1, 23)
			f.Size = 2
			return publish(f, 24, 30)
		},
	} {
		for _, plain := range []bool{false, true} {
			t.Run(fmt.Sprint(name, plain), func(t *testing.T) {
				f := &emrtest.AtomFeed{Plain: plain}
				publish(f, 1, 23)
				r := newAtom(t, f, "patient")
				if _, err := r.round(); err != nil {
					t.Fatal(err)
				}
				f.Reset()
				want := reset(f)
				r.want(want...)
				r.want()
				r.want(publish(f, 200, 202)...)
			})
		}
	}
}

// A feed that fails holds up no other one, and its error is told.
func TestAtomManyFeeds(t *testing.T) {
	f := &emrtest.AtomFeed{}
	for i, c := range []string{"patient", "visit", "obs"} {
		f.Publish(c, "CREATED", c+"/"+uuidOf(i), "")
	}
	r := newAtom(t, f, "patient", "visit", "patient", "obs")
	f.Before = func(w http.ResponseWriter, q *http.Request) bool {
		if !strings.Contains(q.URL.Path, "/visit/") {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	got, err := r.round()
	if syncerr.KindOf(err) != syncerr.Denied || !strings.Contains(err.Error(), "visit/recent") || !slices.Equal(got, []string{"Patient/" + uuidOf(0)}) {
		t.Fatalf("got %q, %v", got, err)
	}
	if got, err = r.round(); syncerr.KindOf(err) != syncerr.Denied || !slices.Equal(got, []string{"Observation/" + uuidOf(2)}) {
		t.Fatalf("got %q, %v", got, err)
	}
	f.Before = nil
	r.want("Encounter/" + uuidOf(1))
	many := make([]string, 40)
	for i := range many {
		many[i] = fmt.Sprintf("category%d", i)
		f.Publish(many[i], "CREATED", "obs/"+uuidOf(i), "")
	}
	wide := newAtom(t, f, many...)
	if got, err := wide.round(); err != nil || len(got) != 40 {
		t.Errorf("%d, %v", len(got), err)
	}
	wide.want()
}
