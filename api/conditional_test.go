package api_test

import (
	"fmt"
	"strings"
	"testing"
)

// twin is a patient with the identifier of another.
func twin(id, of string) string {
	return strings.Replace(patient(of, "T"), fmt.Sprintf(`"id":%q,`, of), fmt.Sprintf(`"id":%q,`, id), 1)
}

func idless(id, body string) string {
	return strings.Replace(body, fmt.Sprintf(`"id":%q,`, id), "", 1)
}

// The table of FHIR R4 http.html#cond-update: how many match, and which id the body has.
func TestConditionalUpdate(t *testing.T) {
	w := newWorld(t)
	const where = "/fhir/R4/Patient?identifier=urn:s|"
	a := w.do("PUT", where+"x", idless("x", patient("x", "A"))).want(201).contains(`"x"`)
	made := strings.Split(a.header.Get("Location"), "/")
	id := made[len(made)-3]
	w.do("GET", "/fhir/R4/Patient/"+id, "").want(200)

	b := w.do("PUT", where+"x", idless("x", patient("x", "B"))).want(200).contains(`"id":"` + id + `"`)
	if b.version() == a.version() {
		t.Error("no new version")
	}
	w.do("PUT", where+"x", twin(id, "x")).want(200).contains(`"family":"T"`)
	w.do("PUT", where+"x", twin("other", "x")).want(400).issue("invalid", "other")
	w.do("PUT", where+"y", patient("y", "A")).want(201)
	w.do("GET", "/fhir/R4/Patient/y", "").want(200)
	w.do("PUT", where+"nobody", patient("y", "B")).want(409).issue("conflict", "Patient/y")
	w.do("PUT", "/fhir/R4/Patient/twin", twin("twin", "x")).want(201)
	w.do("PUT", where+"x", idless("x", patient("x", "C"))).want(412).issue("multiple-matches", "2 resources")

	now := w.do("GET", "/fhir/R4/Patient/y", "").version()
	w.do("PUT", where+"y", patient("y", "C"), header("If-Match", `W/"9-x"`)).want(412).issue("conflict", now)
	w.do("PUT", where+"y", patient("y", "C"), header("If-Match", `W/"`+now+`"`)).want(200)
	w.do("PUT", where+"y", patient("y", "D"), header("If-None-Match", "*")).want(412)
	w.do("PUT", where+"nobody", idless("n", patient("n", "A")), header("If-Match", `W/"`+now+`"`)).want(412).issue("conflict", "finds nothing")
	w.do("PUT", where+"new", idless("new", patient("new", "A")), header("If-None-Match", "*")).want(201)

	w.do("PUT", "/fhir/R4/Patient", patient("y", "A")).want(400).issue("invalid", "nothing to search by")
	w.do("PUT", "/fhir/R4/Patient?identifier=%zz", patient("y", "A")).want(400).issue("invalid", "query")
	w.do("PUT", "/fhir/R4/Patient?colour=blue", patient("y", "A")).want(400).issue("invalid", "colour")
	w.do("PUT", "/fhir/R4/Unicorn?identifier=x", patient("y", "A")).want(404)
	w.do("PUT", "/fhir/R4/Observation?identifier=x", patient("y", "A")).want(400).issue("invalid", "Observation")
	w.do("PUT", where+"y", patient("y", "A"), header("Content-Type", "text/plain")).want(415)
}

func TestConditionalDelete(t *testing.T) {
	w := newWorld(t)
	const where = "/fhir/R4/Patient?identifier=urn:s|"
	w.do("DELETE", where+"p", "").want(204)
	v := w.do("PUT", "/fhir/R4/Patient/p", patient("p", "A")).want(201).version()
	w.do("PUT", "/fhir/R4/Patient/q", twin("q", "p")).want(201)
	w.do("PUT", "/fhir/R4/Patient/r", twin("r", "p")).want(201)
	w.do("DELETE", where+"p", "").want(412).issue("multiple-matches", "3 resources")
	w.do("DELETE", "/fhir/R4/Patient", "").want(400).issue("invalid", "nothing to search by")
	w.do("DELETE", "/fhir/R4/Patient?_format=json", "").want(400).issue("invalid", "nothing to search by")
	w.do("DELETE", "/fhir/R4/Patient?colour=blue", "").want(400).issue("invalid", "colour")
	w.do("GET", "/fhir/R4/Patient/p", "").want(200)

	w.do("DELETE", "/fhir/R4/Patient?_id=p", "", header("If-Match", `W/"9-x"`)).want(412)
	a := w.do("DELETE", "/fhir/R4/Patient/?_id=p", "", header("If-Match", `W/"`+v+`"`)).want(204)
	if a.version() == "" || a.version() == v {
		t.Errorf("ETag %q", a.header.Get("ETag"))
	}
	w.do("GET", "/fhir/R4/Patient/p", "").want(410)
	w.do("DELETE", "/fhir/R4/Patient?_id=p", "", header("Prefer", "return=OperationOutcome")).want(200).contains("nothing matches")
	w.do("DELETE", "/fhir/R4/Patient?_id=p", "", header("If-Match", `W/"`+v+`"`)).want(412)
	w.do("DELETE", "/fhir/R4/Patient?_id=q", "", header("Prefer", "return=OperationOutcome")).want(200).contains("deleted")
}

// A read that the caller has already is answered without a body (FHIR R4 http.html#cread); every GET has its HEAD.
func TestConditionalRead(t *testing.T) {
	w := newWorld(t)
	a := w.do("PUT", "/fhir/R4/Patient/p", patient("p", "A")).want(201)
	w.do("PUT", "/fhir/R4/Patient/p", patient("p", "B")).want(200)
	now := w.do("GET", "/fhir/R4/Patient/p", "").want(200)
	tag, at := now.header.Get("ETag"), now.header.Get("Last-Modified")
	const longAgo = "Mon, 01 Jan 2001 00:00:00 GMT"
	for _, path := range []string{"/fhir/R4/Patient/p", "/fhir/R4/Patient/p/_history/" + now.version()} {
		for _, tt := range []struct {
			none, since string
			status      int
		}{
			{tag, "", 304},
			{`"a", ` + tag, "", 304},
			{"*", "", 304},
			{a.header.Get("ETag"), "", 200},
			{"", at, 304},
			{"", longAgo, 200},
			{"", "yesterday", 200},
			{tag, longAgo, 304},
			{a.header.Get("ETag"), at, 200},
		} {
			for _, method := range []string{"GET", "HEAD"} {
				got := w.do(method, path, "", header("If-None-Match", tt.none), header("If-Modified-Since", tt.since)).want(tt.status)
				if got.header.Get("ETag") != tag || tt.status == 304 && len(got.body) > 0 {
					t.Errorf("%s %+v: %v %s", method, tt, got.header, got.body)
				}
			}
		}
	}
	for _, path := range []string{
		"/metadata", "/Patient/p", "/Patient", "/Patient/p/_history", "/Patient/_history", "/_history", "/Patient/p/_history/" + now.version(),
		"/Patient/nobody",
	} {
		get, head := w.do("GET", "/fhir/R4"+path, ""), w.do("HEAD", "/fhir/R4"+path, "")
		if head.status != get.status || len(head.body) != 0 || head.header.Get("Content-Length") != get.header.Get("Content-Length") {
			t.Errorf("%s: HEAD %d with %d bytes and %v, GET %d and %v", path, head.status, len(head.body), head.header, get.status, get.header)
		}
		w.do("GET", "/fhir/R4"+path+"?_format=xml", "").want(406).issue("not-supported", "xml", "application/fhir+json")
		w.do("GET", "/fhir/R4"+path+"?_format=application/fhir%2Bjson", "").want(get.status)
	}
}
