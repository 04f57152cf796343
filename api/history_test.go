package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// told writes the entries of a history as "method url status", and checks what each of them must have.
func (b bundle) told(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, e := range b.Entry {
		out = append(out, e.Request.Method+" "+e.Request.URL+" "+e.Response.Status[:3])
		deleted := e.Request.Method == "DELETE"
		if e.Response.Etag == "" || e.Response.LastModified == "" || !strings.HasSuffix(e.FullURL, e.Request.URL) || deleted != (e.Resource == nil) {
			t.Errorf("%+v", e)
		}
		version := strings.TrimSuffix(strings.TrimPrefix(e.Response.Etag, `W/"`), `"`)
		if !deleted && !strings.Contains(string(e.Resource), `"versionId":"`+version+`"`) {
			t.Errorf("%s is shown as version %s", e.Resource, version)
		}
	}
	return out
}

func TestHistoryOfTypesAndSystem(t *testing.T) {
	w := newWorld(t)
	for _, base := range []string{"/fhir/R4/_history", "/fhir/R4/Patient/_history"} {
		if b := w.do("GET", base, "").bundle("history"); len(b.Entry) != 0 || *b.Total != 0 {
			t.Errorf("%s of an empty node: %+v", base, b)
		}
	}
	w.do("PUT", "/fhir/R4/Patient/p", patient("p", "A")).want(201)
	w.do("PUT", "/fhir/R4/Observation/o", `{"resourceType":"Observation","id":"o"}`).want(201)
	second := w.do("PUT", "/fhir/R4/Patient/p", patient("p", "B")).want(200)
	w.do("PUT", "/fhir/R4/Patient/q", patient("q", "A")).want(201)
	w.do("DELETE", "/fhir/R4/Patient/p", "").want(204)
	read := w.do("GET", "/fhir/R4/Patient/p/_history/"+second.version(), "").want(200)
	since := strings.Split(strings.Split(string(read.body), `"lastUpdated":"`)[1], `"`)[0]

	everything := []string{"DELETE Patient/p 204", "PUT Patient/q 201", "PUT Patient/p 200", "PUT Observation/o 201", "PUT Patient/p 201"}
	patients := []string{everything[0], everything[1], everything[2], everything[4]}
	for _, tt := range []struct {
		path string
		want []string
	}{
		{"/_history", everything},
		{"/_history?_since=" + since, everything[:3]},
		{"/_history?_at=" + since, []string{everything[2], everything[3]}},
		{"/Patient/_history?_at=" + since, []string{everything[2]}},
		{"/_history?_at=2027", everything},
		{"/_history?_at=2026-12", nil},
		{"/_history?_at=2028-01-01", []string{everything[1], everything[3]}},
		{"/_history?_at=2028-01-01T00:00Z&_since=" + since, []string{everything[1]}},
		{"/Patient/p/_history?_at=" + since, []string{everything[2]}},
		{"/Patient/_history", patients},
		{"/Patient/_history?_since=" + since, patients[:3]},
		{"/Observation/_history", everything[3:4]},
		{"/Encounter/_history", nil},
		{"/Patient/p/_history", []string{everything[0], everything[2], everything[4]}},
	} {
		b := w.do("GET", "/ws/fhir2/R4"+tt.path, "").bundle("history")
		if got := b.told(t); fmt.Sprint(got) != fmt.Sprint(tt.want) || *b.Total != int64(len(tt.want)) {
			t.Errorf("%s: got %v of %d", tt.path, got, *b.Total)
		}
		if !strings.HasSuffix(b.link("self"), strings.ReplaceAll(tt.path, ":", "%3A")) || b.link("next") != "" {
			t.Errorf("%s: %+v", tt.path, b.Link)
		}
	}
	for path, word := range map[string]string{
		"/_history?_count=x": "_count", "/Patient/_history?_since=yesterday": "_since", "/_history?_page=7": "_page", "/_history?_at=yesterday": "_at",
		"/_history?_page=0-0": "_page", "/_history?%zz": "query",
	} {
		w.do("GET", "/fhir/R4"+path, "").want(400).issue("invalid", word)
	}
	w.do("GET", "/fhir/R4/Unicorn/_history", "").want(404).issue("not-found", "Unicorn")
}

// Turning the pages gives each version once, also where others write meanwhile.
func TestPagesOfHistories(t *testing.T) {
	for _, scope := range []string{"", "/Patient", "/Patient/p"} {
		w := newWorld(t)
		write := func(n int) {
			w.do("PUT", "/fhir/R4/Patient/p", patient("p", fmt.Sprint("F", n)))
			w.do("PUT", "/fhir/R4/Patient/q", patient("q", fmt.Sprint("F", n)))
			w.do("PUT", "/fhir/R4/Observation/o", fmt.Sprintf(`{"resourceType":"Observation","id":"o","issued":"%d"}`, 2000+n))
		}
		for n := range 5 {
			write(n)
		}
		whole := w.do("GET", "/fhir/R4"+scope+"/_history", "").bundle("history")
		var got []entry
		var asOf []string // of each link to a next page
		next := "/fhir/R4" + scope + "/_history?_count=2&_pretty=true"
		for n := 0; next != ""; n++ {
			b := w.do("GET", strings.TrimPrefix(next, "http://localhost:8080"), "").bundle("history")
			got = append(got, b.Entry...)
			next = b.link("next")
			if at := strings.LastIndex(next, "-"); next != "" {
				asOf = append(asOf, next[at:])
			}
			if strings.Contains(b.link("self"), "_page") == (n == 0) || next != "" && !strings.Contains(next, "_pretty=true") {
				t.Errorf("page %d: %+v", n, b.Link)
			}
			write(100 + n)
		}
		if len(got) != len(whole.Entry) {
			t.Fatalf("%q: %d versions in pages, %d at once", scope, len(got), len(whole.Entry))
		}
		if n := len(slices.Compact(asOf)); n != 1 {
			t.Errorf("%q: the pages are parts of %d lists", scope, n)
		}
		for i := range got {
			if got[i].Response.Etag != whole.Entry[i].Response.Etag || got[i].FullURL != whole.Entry[i].FullURL {
				t.Errorf("%q: version %d is %s %s, want %s %s", scope, i, got[i].FullURL, got[i].Response.Etag, whole.Entry[i].FullURL, whole.Entry[i].Response.Etag)
			}
		}
	}
}
