package api_test

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tributary-sync/tributary/feed"
)

func TestCreateReadUpdateDelete(t *testing.T) {
	for _, base := range []string{"/fhir/R4", "/ws/fhir2/R4"} {
		t.Run(base, func(t *testing.T) {
			w := newWorld(t)
			made := w.do("POST", base+"/Patient", patient("mine", "A")).want(201)
			m := regexp.MustCompile(`^http://localhost:8080` + base + `/Patient/([0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})/_history/(.+)$`).
				FindStringSubmatch(made.header.Get("Location"))
			if m == nil || m[2] != made.version() {
				t.Fatalf("Location %q, ETag %q", made.header.Get("Location"), made.header.Get("ETag"))
			}
			url := base + "/Patient/" + m[1]
			read := w.do("GET", url, "").want(200).contains(`"versionId":"` + made.version() + `"`).contains(`"id":"` + m[1] + `"`)
			if string(read.body) != string(made.body) || read.header.Get("Last-Modified") == "" || read.version() != made.version() {
				t.Errorf("read differs from what create showed")
			}
			w.do("GET", url, "", header("If-None-Match", read.header.Get("ETag"))).want(304)
			head := w.do("HEAD", url, "").want(200)
			if len(head.body) != 0 || head.header.Get("ETag") != read.header.Get("ETag") {
				t.Errorf("HEAD: %d bytes, ETag %q", len(head.body), head.header.Get("ETag"))
			}

			body := patient(m[1], "B")
			up := w.do("PUT", url, body, header("If-Match", made.header.Get("ETag"))).want(200).contains(`"family":"B"`)
			if again := w.do("PUT", url, body).want(200); again.version() != up.version() {
				t.Errorf("the same content made another version: %s, %s", up.version(), again.version())
			}
			w.do("GET", url+"/_history/"+made.version(), "").want(200).contains(`"family":"A"`)
			w.do("GET", url+"/_history/9-"+strings.Repeat("0", 8)+"-0000-4000-8000-000000000000", "").want(404).issue("not-found")
			w.do("GET", url+"/_history/1", "").want(404).issue("not-found")

			w.do("DELETE", url, "", header("If-Match", made.header.Get("ETag"))).want(412).issue("conflict", "If-Match")
			del := w.do("DELETE", url, "").want(204)
			gone := w.do("GET", url, "").want(410).issue("deleted")
			if gone.version() == "" || gone.version() != del.version() || gone.version() == up.version() {
				t.Errorf("410 has version %q, DELETE %q", gone.version(), del.version())
			}
			w.do("GET", url+"/_history/"+del.version(), "").want(410)
			w.do("DELETE", url, "").want(204)
			w.do("DELETE", base+"/Patient/never", "", header("Prefer", "return=OperationOutcome")).want(200).contains(`"informational"`)
			w.do("PUT", url, body).want(201)
		})
	}
}

func TestUpdateAsCreateAndConditions(t *testing.T) {
	w := newWorld(t)
	first := w.do("PUT", "/fhir/R4/Patient/p1", patient("p1", "A"), header("If-None-Match", "*")).want(201)
	w.do("PUT", "/fhir/R4/Patient/p1", patient("p1", "B"), header("If-None-Match", "*")).want(412).issue("conflict", "If-None-Match")
	w.do("PUT", "/fhir/R4/Patient/p1", patient("p1", "B"), header("If-None-Match", `W/"1"`)).want(400).issue("invalid", "If-None-Match")
	w.do("PUT", "/fhir/R4/Patient/p1", patient("p1", "B"), header("If-Match", "five")).want(400).issue("invalid", "If-Match")
	w.do("PUT", "/fhir/R4/Patient/p2", patient("p2", "B"), header("If-Match", first.header.Get("ETag"))).want(412).issue("conflict", "does not exist")
	w.do("PUT", "/fhir/R4/Patient/p1", patient("p1", "B"), header("If-Match", `W/"7-00000000-0000-4000-8000-000000000000"`)).want(412).issue("conflict", first.version())
	w.do("GET", "/fhir/R4/Patient/p1", "").want(200).contains(`"family":"A"`)

	w.do("PUT", "/fhir/R4/Patient/p1", patient("p1", "C"), header("If-Match", "*")).want(200).contains(`"family":"C"`)
	w.do("PATCH", "/fhir/R4/Patient/p1", `[{"op":"add","path":"/active","value":true}]`, jsonPatch, header("If-Match", "*")).want(200)
	w.do("PUT", "/fhir/R4/Patient/p2", patient("p2", "C"), header("If-Match", "*")).want(412).issue("conflict", "does not")
	w.do("DELETE", "/fhir/R4/Patient/p1", "", header("If-Match", "*")).want(204)
	w.do("PUT", "/fhir/R4/Patient/p1", patient("p1", "D"), header("If-Match", "*")).want(412).issue("conflict", "does not")
}

func TestPrefer(t *testing.T) {
	w := newWorld(t)
	min := w.do("POST", "/fhir/R4/Patient", patient("x", "A"), header("Prefer", "return=minimal")).want(201)
	if len(min.body) != 0 || min.header.Get("ETag") == "" || min.header.Get("Location") == "" {
		t.Errorf("minimal: %d bytes, %v", len(min.body), min.header)
	}
	w.do("PUT", "/fhir/R4/Patient/a", patient("a", "A"), header("Prefer", "respond-async, return=OperationOutcome")).want(201).contains(`"OperationOutcome"`)
	w.do("PUT", "/fhir/R4/Patient/b", patient("b", "A"), header("Prefer", "return=representation")).want(201).contains(`"family":"A"`)
}

// Of many writers that stand on one version exactly one succeeds.
func TestIfMatchRace(t *testing.T) {
	w := newWorld(t)
	tag := w.do("PUT", "/fhir/R4/Patient/p", patient("p", "start")).want(201).header.Get("ETag")
	var won, lost atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			a := w.do("PUT", "/fhir/R4/Patient/p", patient("p", strings.Repeat("x", i+1)), header("If-Match", tag))
			switch a.status {
			case 200:
				won.Add(1)
			case 412:
				lost.Add(1)
			default:
				t.Errorf("got %d", a.status)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 15 {
		t.Errorf("%d succeeded and %d were refused", won.Load(), lost.Load())
	}
}

func TestHistoryPages(t *testing.T) {
	w := newWorld(t)
	var want []string
	for _, family := range []string{"A", "B", "C"} {
		want = append([]string{w.do("PUT", "/fhir/R4/Patient/p", patient("p", family)).version()}, want...)
	}
	want = append([]string{w.do("DELETE", "/fhir/R4/Patient/p", "").version()}, want...)
	want = append([]string{w.do("PUT", "/fhir/R4/Patient/p", patient("p", "D")).version()}, want...)
	var got []string
	for url, pages := "/fhir/R4/Patient/p/_history?_count=2", 0; url != ""; pages++ {
		if pages > 5 {
			t.Fatal("the pages do not end")
		}
		b := w.do("GET", url, "").bundle("history")
		if len(b.Entry) > 2 || b.link("self") == "" {
			t.Errorf("page %d: %d entries, self %q", pages, len(b.Entry), b.link("self"))
		}
		for _, e := range b.Entry {
			got = append(got, strings.Trim(strings.TrimPrefix(e.Response.Etag, "W/"), `"`))
			deleted := e.Request.Method == "DELETE"
			if deleted != (e.Resource == nil) || e.Request.URL != "Patient/p" || e.FullURL != "http://localhost:8080/fhir/R4/Patient/p" {
				t.Errorf("entry %+v", e)
			}
		}
		url = strings.TrimPrefix(b.link("next"), "http://localhost:8080")
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %v, want %v", got, want)
	}
	all := w.do("GET", "/fhir/R4/Patient/p/_history", "").bundle("history")
	if all.Total == nil || *all.Total != 5 || all.Entry[0].Response.Status != "201 Created" || all.Entry[1].Response.Status != "204 No Content" ||
		all.Entry[2].Response.Status != "200 OK" {
		t.Errorf("total %v, %+v", all.Total, all.Entry)
	}
	if later := w.do("GET", "/fhir/R4/Patient/p/_history?_since=2999-01-01T00:00:00Z", "").bundle("history"); len(later.Entry) != 0 {
		t.Errorf("%d versions from the future", len(later.Entry))
	}
	w.do("GET", "/fhir/R4/Patient/q/_history", "").want(404).issue("not-found")
	w.do("GET", "/fhir/R4/Patient/p/_history?_count=x", "").want(400).issue("invalid", "_count")
	w.do("GET", "/fhir/R4/Patient/p/_history?_page=x", "").want(400).issue("invalid", "_page")
	w.do("GET", "/fhir/R4/Patient/p/_history?_since=yesterday", "").want(400).issue("invalid", "_since")
}

func TestSearchPages(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"c", "a", "e", "b", "d"} {
		w.do("PUT", "/fhir/R4/Patient/"+id, patient(id, "A")).want(201)
	}
	w.do("DELETE", "/fhir/R4/Patient/e", "").want(204)
	walk := func(url string) string {
		t.Helper()
		got := ""
		for pages := 0; url != ""; pages++ {
			if pages > 5 {
				t.Fatal("the pages do not end")
			}
			b := w.do("GET", url, "").bundle("searchset")
			if pages == 0 && (b.Total == nil || *b.Total != 4) || b.link("self") == "" {
				t.Errorf("%s: total %v, links %v", url, b.Total, b.Link)
			}
			for _, e := range b.Entry {
				got += e.FullURL[len(e.FullURL)-1:]
				if e.Search.Mode != "match" || len(e.Resource) == 0 {
					t.Errorf("entry %+v", e)
				}
			}
			url = strings.TrimPrefix(b.link("next"), "http://localhost:8080")
		}
		return got
	}
	for query, want := range map[string]string{
		"": "abcd", "?_count=1": "abcd", "?_count=3": "abcd", "?_count=4": "abcd", "?_count=2&_sort=_lastUpdated": "cabd", "?_count=3&_sort=-_lastUpdated": "dbac",
	} {
		if got := walk("/fhir/R4/Patient" + query); got != want {
			t.Errorf("%q: got %s, want %s", query, got, want)
		}
	}
	if b := w.do("GET", "/fhir/R4/Patient?identifier=urn:s|b", "").bundle("searchset"); len(b.Entry) != 1 || *b.Total != 1 {
		t.Errorf("%+v", b)
	}
	if b := w.do("GET", "/fhir/R4/Patient?_summary=count", "").bundle("searchset"); len(b.Entry) != 0 || *b.Total != 4 {
		t.Errorf("%+v", b)
	}
	form := header("Content-Type", "application/x-www-form-urlencoded")
	if b := w.do("POST", "/fhir/R4/Patient/_search?_count=1", "identifier=a,b", form).bundle("searchset"); len(b.Entry) != 1 || *b.Total != 2 || b.link("next") == "" {
		t.Errorf("%+v", b)
	}
	w.do("POST", "/fhir/R4/Patient/_search", "{}").want(415).issue("not-supported")
	w.do("POST", "/fhir/R4/Patient/_search", "a=%", form).want(400).issue("invalid")
	if b := w.do("GET", "/fhir/R4/Patient?birthdate=&_id=a&_id=", "").bundle("searchset"); len(b.Entry) != 1 || strings.Contains(b.link("self"), "birthdate") {
		t.Errorf("empty parameters: %+v", b)
	}
	w.do("GET", "/fhir/R4/Patient?_id=a,", "").want(400).issue("invalid", "empty")
	w.do("DELETE", "/fhir/R4/Patient?identifier=", "").want(400).issue("invalid", "empty")
	w.do("GET", "/fhir/R4/Patient?colour=red", "").bundle("searchset")
	w.do("GET", "/fhir/R4/Patient?colour=red", "", header("Prefer", "handling=strict")).want(400).issue("invalid", "colour")
	w.do("GET", "/fhir/R4/Patient?_lastUpdated=soon", "").want(400).issue("invalid", "_lastUpdated")
	w.do("GET", "/fhir/R4/Patient?_format=xml", "").want(406).issue("not-supported")
	if b := w.do("GET", "/fhir/R4/Patient?_lastUpdated=ge2999", "").bundle("searchset"); len(b.Entry) != 0 || *b.Total != 0 {
		t.Errorf("%+v", b)
	}
}

func TestSearchByPatient(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "/fhir/R4/Patient/p1", patient("p1", "A")).want(201)
	w.do("PUT", "/fhir/R4/Observation/o1", `{"resourceType":"Observation","id":"o1","subject":{"reference":"Patient/p1"}}`).want(201)
	w.do("PUT", "/fhir/R4/Observation/o2", `{"resourceType":"Observation","id":"o2","subject":{"reference":"Patient/p2"}}`).want(201)
	for query, want := range map[string]int{"patient=p1": 1, "patient=Patient/p1,Patient/p2": 2, "patient=p3": 0, "patient=p1&_id=o2": 0} {
		if b := w.do("GET", "/fhir/R4/Observation?"+query, "").bundle("searchset"); len(b.Entry) != want {
			t.Errorf("%s: %d found, want %d", query, len(b.Entry), want)
		}
	}
	w.do("PUT", "/fhir/R4/Observation/o1", `{"resourceType":"Observation","id":"o1","subject":{"reference":"Patient/p3"}}`).want(200)
	if b := w.do("GET", "/fhir/R4/Observation?patient=p3", "").bundle("searchset"); len(b.Entry) != 1 {
		t.Errorf("an updated resource is not found by its new value")
	}
}

func TestConditionalCreate(t *testing.T) {
	w := newWorld(t)
	cond := header("If-None-Exist", "identifier=urn:s|k1")
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if a := w.do("POST", "/fhir/R4/Patient", patient("k1", "A"), cond); a.status == 201 {
				made.Add(1)
			} else if a.status != 200 || a.header.Get("Location") == "" {
				t.Errorf("got %d", a.status)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("%d were made", made.Load())
	}
	w.do("POST", "/fhir/R4/Patient", patient("k1", "B")).want(201)
	w.do("POST", "/fhir/R4/Patient", patient("k1", "C"), cond).want(412).issue("multiple-matches", "2 resources")
	w.do("POST", "/fhir/R4/Patient", patient("k1", "C"), header("If-None-Exist", "colour=x")).want(400).issue("invalid", "colour")
	w.do("POST", "/fhir/R4/Patient", patient("k1", "C"), header("If-None-Exist", "_count=3")).want(400).issue("invalid")
	w.do("POST", "/fhir/R4/Patient", patient("k1", "C"), header("If-None-Exist", "")).want(400).issue("invalid", "nothing to search by")
}

func TestNegotiation(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "/fhir/R4/Patient/p", patient("p", "A")).want(201)
	for accept, want := range map[string]int{
		"": 200, "*/*": 200, "application/fhir+json": 200, "application/json;q=0.5, text/html": 200, "text/html, application/*;q=0.1": 200,
		"application/fhir+json; fhirVersion=4.0": 200, "application/fhir+xml": 406, "text/html": 406, "application/json;q=0": 406,
	} {
		if a := w.do("GET", "/fhir/R4/Patient/p", "", header("Accept", accept)); a.status != want {
			t.Errorf("Accept %q: got %d, want %d", accept, a.status, want)
		}
	}
	for format, want := range map[string]int{"json": 200, "application/fhir+json": 200, "application/json": 200, "xml": 406, "ttl": 406} {
		w.do("GET", "/fhir/R4/Patient/p?_format="+format, "", header("Accept", "text/html")).want(want)
	}
	w.do("GET", "/fhir/R4/Patient/p?_pretty=true", "").want(200).contains("\n\t\"resourceType\": \"Patient\"")
	w.do("DELETE", "/fhir/R4/Patient/p?_format=xml", "").want(406)
	w.do("POST", "/fhir/R4/Patient/p", "[]").want(405).issue("not-supported", "POST")
	if a := w.do("OPTIONS", "/fhir/R4/Patient", "").want(405); a.header.Get("Allow") != "GET, HEAD, POST, PUT, PATCH, DELETE" {
		t.Errorf("Allow %q", a.header.Get("Allow"))
	}
	w.do("GET", "/fhir/R4", "").want(405).issue("not-supported")
	w.do("GET", "/fhir/R4/Patient/p/everything/else", "").want(404).issue("not-found")
	w.do("GET", "/fhir/R4/patient/p", "").want(404).issue("not-found", "written Patient")
	w.do("GET", "/fhir/R4/Nothing/p", "").want(404).issue("not-found", "Nothing")
}

// A create is announced as one, and a body that is stored says nothing of version and time.
func TestWhatIsStored(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "/fhir/R4/Patient/p", `{ "resourceType" : "Patient", "meta" : {"versionId":"7","lastUpdated":"2020-01-01T00:00:00Z"}, "id" : "p" }`).want(201)
	c, ok, err := w.st.Get(t.Context(), key("Patient/p"))
	if err != nil || !ok || string(c.Body) != `{"resourceType":"Patient","id":"p"}` || c.Action != feed.Created {
		t.Errorf("%v %v %s %s", ok, err, c.Action, c.Body)
	}
	if _, err := http.ParseTime(w.do("GET", "/fhir/R4/Patient/p", "").header.Get("Last-Modified")); err != nil {
		t.Error(err)
	}
}
