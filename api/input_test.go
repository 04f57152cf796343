package api_test

import (
	"net/http"
	"testing"
)

// Whatever is sent as a Bundle, a resource or a search: the server answers, with success or with what is wrong, and never with
// an error of its own.
func TestNoInputIsTheServersFault(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{
		sent("transaction", item("urn:uuid:a", "POST", "Patient", patient("p", "A")), item("", "POST", "Observation", observation("urn:uuid:a#x"))),
		sent("transaction", item("", "POST", "Observation", observation("Patient?identifier=urn:s|p"), `,"ifNoneExist":"identifier=x"`)),
		sent("batch", item("Patient/1", "GET", "Patient?_count=1&_page=x", ""), item("", "GET", "Patient/p/_history/1", ""), item("", "DELETE", "/Patient/p", "")),
		patient("p", "A"), `{"resourceType":"Bundle","type":"batch","entry":[null,{}]}`, `{`, "identifier=a|b,c&_lastUpdated=ge2020&patient=p", "",
		"\x00\xff%", `W/"1-00000000-0000-4000-8000-000000000000"`,
	} {
		for _, a := range []answer{
			w.do("POST", "/fhir/R4", body), w.do("POST", "/fhir/R4/Patient", body), w.do("PUT", "/fhir/R4/Patient/p", body),
			w.do("POST", "/fhir/R4/Patient/_search", body, header("Content-Type", "application/x-www-form-urlencoded")),
			w.do("GET", "/fhir/R4/Patient", "", func(r *http.Request) { r.URL.RawQuery = body }),
			w.do("POST", "/fhir/R4/Patient", patient("p", "A"), header("If-None-Exist", body)),
			w.do("GET", "/fhir/R4/Patient/p/_history", "", func(r *http.Request) { r.URL.RawQuery = body }),
			w.do("PUT", "/fhir/R4/Patient/p", patient("p", "A"), header("If-Match", body), header("Accept", body), header("Prefer", body)),
		} {
			if a.status >= 500 {
				t.Errorf("%q: %s: %d %s", body, a.call, a.status, a.body)
			}
		}
	}
}
