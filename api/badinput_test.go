package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/engine"
)

func TestBadInput(t *testing.T) {
	w := newWorld(t)
	w.serve(engine.New(w.st, engine.Config{Limit: 4096}))
	big := `{"resourceType":"Patient","id":"p","x":"` + strings.Repeat("x", 5000) + `"}`
	deep := `{"resourceType":"Patient","id":"p","x":` + strings.Repeat(`[`, 250) + strings.Repeat(`]`, 250) + `}`
	for _, tt := range []struct {
		name, method, url, body string
		change                  func(*http.Request)
		status                  int
		code, saying            string
	}{
		{"not JSON", "PUT", "/Patient/p", `<Patient/>`, nil, 400, "invalid", "JSON"},
		{"cut JSON", "PUT", "/Patient/p", `{"resourceType":"Pat`, nil, 400, "invalid", "JSON"},
		{"empty", "PUT", "/Patient/p", "", header("Content-Type", "application/json"), 400, "invalid", "empty"},
		{"more behind it", "PUT", "/Patient/p", patient("p", "A") + "{}", nil, 400, "invalid", "more"},
		{"an array", "PUT", "/Patient/p", `[]`, nil, 400, "invalid", "an array"},
		{"not a resource", "PUT", "/Patient/p", `{"id":"p"}`, nil, 400, "invalid", "resourceType"},
		{"unknown type in the body", "PUT", "/Patient/p", `{"resourceType":"Unicorn","id":"p"}`, nil, 400, "invalid", "Unicorn"},
		{"wrong type for the URL", "PUT", "/Observation/p", patient("p", "A"), nil, 400, "invalid", "Observation"},
		{"wrong type for the URL of a create", "POST", "/Observation", patient("p", "A"), nil, 400, "invalid", "Observation"},
		{"wrong id for the URL", "PUT", "/Patient/q", patient("p", "A"), nil, 400, "invalid", "q"},
		{"no id", "PUT", "/Patient/q", `{"resourceType":"Patient"}`, nil, 400, "invalid", "id"},
		{"bad id in the URL", "PUT", "/Patient/a_b", patient("p", "A"), nil, 400, "invalid", "a_b"},
		{"bad id in the URL of a read", "GET", "/Patient/a_b", "", nil, 400, "invalid", "a_b"},
		{"long id", "GET", "/Patient/" + strings.Repeat("a", 65), "", nil, 400, "invalid", "FHIR id"},
		{"bad id in the body", "PUT", "/Patient/p", `{"resourceType":"Patient","id":"a b"}`, nil, 400, "invalid", "a b"},
		{"id is a number", "PUT", "/Patient/1", `{"resourceType":"Patient","id":1}`, nil, 400, "invalid", "id: must be a string"},
		{"duplicate keys", "PUT", "/Patient/p", `{"resourceType":"Patient","id":"p","active":true,"active":false}`, nil, 400, "invalid", "active"},
		{"duplicate keys below", "PUT", "/Patient/p", `{"resourceType":"Patient","id":"p","x":{"y":[{"z":1,"z":2}]}}`, nil, 400, "invalid", "/x/y/0"},
		{"invalid UTF-8", "PUT", "/Patient/p", "{\"resourceType\":\"Patient\",\"id\":\"p\",\"x\":\"\xff\"}", nil, 400, "invalid", "UTF-8"},
		{"lone surrogate", "PUT", "/Patient/p", `{"resourceType":"Patient","id":"p","x":"\ud800"}`, nil, 400, "invalid", "surrogate"},
		{"over the limit", "PUT", "/Patient/p", big, nil, 413, "too-long", "4096"},
		{"far over the limit", "PUT", "/Patient/p", strings.Repeat(big, 4), nil, 413, "too-long", "16384"},
		{"over the limit without a length", "PUT", "/Patient/p", big, func(r *http.Request) { r.ContentLength = -1 }, 413, "too-long", "4096"},
		{"a Bundle over the limit", "POST", "", sent("batch", strings.Repeat(`{},`, 6000)+`{}`), nil, 413, "too-long", "16384"},
		{"a resource of a Bundle over the limit", "POST", "", sent("transaction", item("", "PUT", "Patient/p", big)), nil, 413, "too-long", "entry[0]"},
		{"nested too deep", "PUT", "/Patient/p", deep, nil, 400, "invalid", "200"},
		{"wrong content type", "PUT", "/Patient/p", patient("p", "A"), header("Content-Type", "text/plain"), 415, "not-supported", "text/plain"},
		{"XML", "PUT", "/Patient/p", `<Patient/>`, header("Content-Type", "application/fhir+xml"), 415, "not-supported", "xml"},
		{"no content type", "PUT", "/Patient/p", patient("p", "A"), func(r *http.Request) { r.Header.Del("Content-Type") }, 415, "not-supported", "Content-Type"},
		{"another charset", "PUT", "/Patient/p", patient("p", "A"), header("Content-Type", "application/json; charset=latin1"), 415, "not-supported", "latin1"},
		{"compressed", "PUT", "/Patient/p", patient("p", "A"), header("Content-Encoding", "gzip"), 415, "not-supported", "gzip"},
		{"unknown type", "PUT", "/Unicorn/p", `{"resourceType":"Unicorn","id":"p"}`, nil, 404, "not-found", "Unicorn"},
		{"unknown type of a search", "GET", "/Unicorn", "", nil, 404, "not-found", "Unicorn"},
		{"a search that is malformed", "GET", "/Patient?identifier=%zz", "", nil, 400, "invalid", "query"},
		{"no Bundle", "POST", "", patient("p", "A"), nil, 400, "invalid", "not Bundle"},
		{"a Bundle that is not executed", "POST", "", sent("collection"), nil, 400, "invalid", "collection"},
		{"a Bundle that is not JSON", "POST", "", `{"resourceType":"Bundle","type":"batch","entry":5}`, nil, 400, "invalid", "/entry"},
		{"a Bundle with duplicate keys", "POST", "", sent("batch", `{"resource":{"id":"1","id":"2"}}`), nil, 400, "invalid", "/entry/0/resource"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			change := tt.change
			if change == nil {
				change = func(*http.Request) {}
			}
			a := w.do(tt.method, "/fhir/R4"+tt.url, tt.body, change)
			a.t = t
			a.want(tt.status).issue(tt.code, tt.saying)
		})
	}
	w.do("PUT", "/fhir/R4/Basic/p", `{"resourceType":"Basic",`+strings.Repeat(" ", 5000)+`"id":"q"}`).want(400).issue("invalid", "q")
	if rows := w.logged(); len(rows) != 0 {
		t.Errorf("%d changes were written", len(rows))
	}
	w.do("PUT", "/fhir/R4/Basic/p", `{"resourceType":"Basic",`+strings.Repeat(" ", 5000)+`"id":"p"}`).want(201)
}
