package api

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// What comes from outside is read or refused; it never brings the program down, and what was read holds what the rest of the
// package relies on.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		`{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:a","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient","ifNoneExist":"a=b"}}]}`,
		`{"resourceType":"Bundle","type":"batch","entry":[null,{},{"request":{"method":"GET","url":"/Patient/p/_history/1?_count=1"}},{"request":{"method":"DELETE","url":"Patient/p"}}]}`,
		`{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient","id":"p"},"request":{"method":"PUT","url":"Patient/p","ifMatch":"W/\"1\""}}]}`,
		`{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W10="},"request":{"method":"PATCH","url":"Patient?_id=p"}},{"request":{"method":"HEAD","url":"_history","ifModifiedSince":"2024-01-01T00:00:00Z"}}]}`,
		`_count=5&_since=2024-01-01T00:00:00Z&_page=7-12`, `Patient?identifier=urn:s|1,2&_lastUpdated=ge2020`, `W/"1-x"`, `return=minimal; handling=strict`, `{`, ``,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		expected := func(err error) {
			if err != nil && syncerr.KindOf(err) == syncerr.Internal {
				t.Errorf("%v blames the server", err)
			}
		}
		_, raw, err := readBundle([]byte(text))
		expected(err)
		for i, b := range raw {
			e, err := readEntry(i, b, 1<<16)
			expected(err)
			if err != nil {
				continue
			}
			single := e.key.ID != ""
			writes := e.method == http.MethodPut || e.method == http.MethodPost
			typed := fhir.IsType(e.key.Type) || e.key.Type == "" && e.history
			if !typed || single && e.key.Validate() != nil || writes && e.resource.Key.Type != e.key.Type || single && e.method == http.MethodPost ||
				!single && e.method != http.MethodPost && !e.reads() && e.criteria == "" || e.history && !e.reads() {
				t.Errorf("entry %+v was let through", e)
			}
		}
		if q, err := readCriteria("Patient", text); err == nil && len(q.Terms) == 0 {
			t.Error("a condition without terms finds everything")
		} else {
			expected(err)
		}
		if v, err := readTag(text); err == nil && strings.ContainsAny(v, `" ,`) {
			t.Errorf("%q is no version", v)
		} else {
			expected(err)
		}
		if q, err := url.ParseQuery(text); err == nil {
			h, err := readHistory(q)
			expected(err)
			if err == nil && (h.Count < 1 || h.Count > 1000) {
				t.Errorf("a page of %d", h.Count)
			}
		}
		preference(http.Header{"Prefer": {text}}, "return")
		expected(acceptsJSON(&http.Request{URL: &url.URL{RawQuery: text}, Header: http.Header{"Accept": {text}}}))
		if matches(text, `"x"`) && !strings.ContainsAny(text, "x*") {
			t.Errorf("%q names x", text)
		}
	})
}
