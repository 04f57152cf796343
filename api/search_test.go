package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/api"
)

// clinicWorld has a few patients with what belongs to them.
func clinicWorld(t testing.TB, change ...func(*api.Deps)) *world {
	t.Helper()
	w := newWorld(t, change...)
	put := func(body string) {
		t.Helper()
		var r struct{ ResourceType, ID string }
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			t.Fatal(err)
		}
		w.do("PUT", "/fhir/R4/"+r.ResourceType+"/"+r.ID, body).want(201)
	}
	put(`{"resourceType":"Organization","id":"org","name":"Clinic North"}`)
	put(`{"resourceType":"Practitioner","id":"doc","name":[{"family":"Weber"}]}`)
	for i, name := range []string{"Anna", "Bert", "Cäcilia"} {
		put(fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","meta":{"tag":[{"code":"t"}]},"identifier":[{"system":"urn:s","value":"%d"}],"name":[{"family":"Müller","given":["%s"]}],"gender":"female",`+
			`"birthDate":"198%d-01-02","managingOrganization":{"reference":"Organization/org"}}`, i, i, name, i))
		put(fmt.Sprintf(`{"resourceType":"Encounter","id":"e%d","status":"finished","subject":{"reference":"Patient/p%d"},"period":{"start":"2024-0%d-01"}}`, i, i, i+1))
		for n := range 3 {
			put(fmt.Sprintf(`{"resourceType":"Observation","id":"o%d%d","status":"final","subject":{"reference":"Patient/p%d"},"encounter":{"reference":"Encounter/e%d"},"performer":[{"reference":"Practitioner/doc"}],`+
				`"code":{"coding":[{"system":"http://loinc.org","code":"c%d"}]},"valueQuantity":{"value":%d,"unit":"kg"},"effectiveDateTime":"2024-0%d-0%d"}`, i, n, i, i, n, 60+n, i+1, n+1))
		}
	}
	put(`{"resourceType":"AllergyIntolerance","id":"a0","patient":{"reference":"Patient/p1"},"asserter":{"reference":"Patient/p0"}}`)
	return w
}

// ids returns the ids of the entries of a mode, in their order.
func (b bundle) ids(mode string) (out []string) {
	for _, e := range b.Entry {
		if e.Search.Mode == mode {
			out = append(out, e.FullURL[strings.LastIndexByte(e.FullURL, '/')+1:])
		}
	}
	return out
}

func TestSearchForms(t *testing.T) {
	w := clinicWorld(t)
	for _, c := range []struct{ query, match, include string }{
		{"Patient?name=caci", "p2", ""},
		{"Patient?name=muller&_sort=name", "p0 p1 p2", ""},
		{"Patient?family=M%C3%BCLLER&_sort=-name", "p2 p1 p0", ""},
		{"Patient?birthdate=ge1981&_sort=-_lastUpdated", "p2 p1", ""},
		{"Patient?_has:Observation:patient:value-quantity=61&_sort=_id", "p0 p1 p2", ""},
		{"Patient?_has:Encounter:patient:date=sa2024-02-28", "p2", ""},
		{"Patient?identifier=urn:s%7C&_sort=_id&_count=2", "p0 p1", ""},
		{"Patient?_id=p1&_include=Patient:organization", "p1", "org"},
		{"Patient?_id=p1&_revinclude=Encounter:patient", "p1", "e1"},
		{"Patient?_id=p1&_revinclude=Observation:subject:Patient&_include=Patient:organization", "p1", "o10 o11 o12 org"},
		{"Observation?_id=o00&_include=*", "o00", "doc e0 p0"},
		{"Observation?_id=o00&_include=Observation:subject&_include:iterate=Patient:organization", "o00", "org p0"},
		{"Observation?_id=o00&_include=Observation:subject:Group", "o00", ""},
		{"Observation?patient.identifier=urn:s%7C1&_sort=-date&_count=2", "o12 o11", ""},
		{"Observation?code=http://loinc.org%7Cc1&patient=p2", "o21", ""},
		{"Observation?patient=Patient/p2&date=ge2024-03-02&_sort=date", "o21 o22", ""},
		{"Observation?patient:missing=true", "", ""},
		{"Observation?code:not=c0,c1&_sort=_id", "o02 o12 o22", ""},
	} {
		b := w.do("GET", "/fhir/R4/"+c.query, "", header("Prefer", "handling=strict")).bundle("searchset")
		included := b.ids("include")
		slices.Sort(included)
		if got := strings.Join(b.ids("match"), " "); got != c.match || strings.Join(included, " ") != c.include {
			t.Errorf("%s: got %s with %v, want %s with %s", c.query, got, included, c.match, c.include)
		}
	}
}

func TestSearchShowsElements(t *testing.T) {
	w := clinicWorld(t)
	b := w.do("GET", "/fhir/R4/Patient?_id=p1&_elements=gender,identifier", "").bundle("searchset")
	var r map[string]any
	if err := json.Unmarshal(b.Entry[0].Resource, &r); err != nil {
		t.Fatal(err)
	}
	tags, _ := r["meta"].(map[string]any)["tag"].([]any)
	if len(r) != 5 || r["gender"] != "female" || r["id"] != "p1" || len(tags) != 2 || tags[1].(map[string]any)["code"] != "SUBSETTED" || r["meta"].(map[string]any)["versionId"] == nil {
		t.Errorf("%v", r)
	}
	if b.link("self") != "http://localhost:8080/fhir/R4/Patient?_elements=gender%2Cidentifier&_id=p1" {
		t.Errorf("self is %s", b.link("self"))
	}
	o := w.do("GET", "/fhir/R4/Observation?_id=o00&_elements=value", "").bundle("searchset").Entry[0].Resource
	if !strings.Contains(string(o), `"valueQuantity"`) || strings.Contains(string(o), "effective") {
		t.Errorf("%s", o)
	}
}

// What is not known is ignored and left out of the links, or refused by name where that was asked for; what is known and wrong always is.
func TestSearchRefusals(t *testing.T) {
	w := clinicWorld(t)
	b := w.do("GET", "/fhir/R4/Patient?colour=red&name=anna&_count=1", "").bundle("searchset")
	if self := b.link("self"); strings.Contains(self, "colour") || !strings.Contains(self, "name=anna") || len(b.Entry) != 1 {
		t.Errorf("self is %s, %d entries", self, len(b.Entry))
	}
	strict := header("Prefer", "handling=strict")
	w.do("GET", "/fhir/R4/Patient?colour=red", "", strict).want(400).issue("invalid", "colour")
	for query, says := range map[string]string{
		"Patient?name:text=a": "name:text", "Patient?birthdate=tomorrow": "birthdate", "Observation?value-quantity=much": "value-quantity", "Observation?patient.colour=red": "patient.colour",
		"Observation?date=2024,": "date", "Observation?_include=Patient": "_include", "Observation?_revinclude=Encounter:patient": "_revinclude", "Patient?_sort=gender": "_sort",
		"Patient?_has:Observation:code:code=a": "_has:Observation:code:code", "Patient?_page=x": "_page", "Patient?_count=many": "_count", "Patient?_elements=%3C": "_elements",
		"Patient?identifier=" + strings.Repeat("a,", 1500) + "a": "identifier", "Patient?" + strings.Repeat("name=a&", 40): "name", "Observation?subject=%23a": "subject",
	} {
		w.do("GET", "/fhir/R4/"+query, "").want(400).issue("invalid", says)
	}
	for _, c := range []struct {
		name, contentType, body string
		status                  int
	}{
		{"JSON", "application/fhir+json", `{"name":"a"}`, 415},
		{"no type", "", "name=a", 415},
		{"multipart", "multipart/form-data; boundary=x", "--x--", 415},
		{"broken type", ";;", "name=a", 415},
		{"broken escape", "application/x-www-form-urlencoded", "name=%zz", 400},
		{"too large", "application/x-www-form-urlencoded", "name=" + strings.Repeat("a", 2<<20), 413},
		{"bad value", "application/x-www-form-urlencoded; charset=utf-8", "birthdate=x", 400},
		{"good", "application/x-www-form-urlencoded; charset=utf-8", "name=anna", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := w.do("POST", "/fhir/R4/Patient/_search?gender=female", c.body, header("Content-Type", c.contentType)).want(c.status)
			if c.status != 200 {
				a.contains("OperationOutcome")
			} else if b := a.bundle("searchset"); len(b.ids("match")) != 1 || !strings.Contains(b.link("self"), "gender=female") {
				t.Errorf("%v %v", b.ids("match"), b.Link)
			}
		})
	}
}

// HEAD answers what GET answers, but for the body.
func TestHeadWhereGet(t *testing.T) {
	w := clinicWorld(t)
	for _, path := range []string{"/Patient?name=a", "/Patient/p1", "/Patient/p1/_history", "/metadata", "/Patient/p1/$everything", "/Patient/nobody", "/Patient?birthdate=x"} {
		get, head := w.do("GET", "/fhir/R4"+path, ""), w.do("HEAD", "/fhir/R4"+path, "")
		if get.status != head.status || len(head.body) != 0 || get.header.Get("Content-Type") != head.header.Get("Content-Type") || get.header.Get("Content-Length") != head.header.Get("Content-Length") {
			t.Errorf("%s: GET %d %v, HEAD %d %v with %d bytes", path, get.status, get.header, head.status, head.header, len(head.body))
		}
	}
}

func TestEverything(t *testing.T) {
	w := clinicWorld(t)
	walk := func(url string) (ids []string, pages int) {
		t.Helper()
		for ; url != ""; pages++ {
			if pages > 20 {
				t.Fatal("the pages do not end")
			}
			b := w.do("GET", url, "").bundle("searchset")
			ids = append(ids, b.ids("match")...)
			url = strings.TrimPrefix(b.link("next"), "http://localhost:8080")
		}
		return ids, pages
	}
	all := "p0 e0 o00 o01 o02 a0" // also what p0 has said of another patient
	for query, want := range map[string]string{
		"": all, "?_count=1": all, "?_count=4": all, "?_type=Observation": "o00 o01 o02", "?_type=Encounter,Patient": "p0 e0", "?_type=Medication": "", "?_since=2999-01-01T00:00:00Z": "",
		"?_since=2020-01-01T00:00:00Z&_type=AllergyIntolerance": "a0", "?colour=red": all,
	} {
		if got, _ := walk("/fhir/R4/Patient/p0/$everything" + query); strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %s", query, got, want)
		}
	}
	if _, pages := walk("/fhir/R4/Patient/p0/$everything?_count=4"); pages != 2 {
		t.Errorf("%d pages", pages)
	}
	if b := w.do("GET", "/fhir/R4/Patient/p0/$everything", "").bundle("searchset"); b.Total == nil || *b.Total != 6 {
		t.Errorf("total %v", b.Total)
	}
	parameters := `{"resourceType":"Parameters","parameter":[{"name":"_type","valueCode":"Observation"},{"name":"_count","valueInteger":2}]}`
	b := w.do("POST", "/fhir/R4/Patient/p0/$everything", parameters).bundle("searchset")
	if got := strings.Join(b.ids("match"), " "); got != "o00 o01" || !strings.Contains(b.link("next"), "_type=Observation") {
		t.Errorf("POST: %s, next %s", got, b.link("next"))
	}
	if got := w.do("POST", "/fhir/R4/Patient/p0/$everything", "").bundle("searchset").ids("match"); strings.Join(got, " ") != all {
		t.Errorf("POST without a body: %v", got)
	}
	w.do("DELETE", "/fhir/R4/Observation/o01", "").want(204)
	if got, _ := walk("/fhir/R4/Patient/p0/$everything?_type=Observation"); strings.Join(got, " ") != "o00 o02" {
		t.Errorf("after a deletion: %v", got)
	}
	w.do("GET", "/fhir/R4/Patient/nobody/$everything", "").want(404).issue("not-found", "nobody")
	w.do("GET", "/fhir/R4/Patient/p_0/$everything", "").want(400).issue("invalid")
	w.do("PUT", "/fhir/R4/Patient/p0/$everything", "{}").want(405)
	for query, says := range map[string]string{
		"_count=0": "_count", "_count=x": "_count", "_since=yesterday": "_since", "_type=Unicorn": "_type", "start=2024": "start", "_page=x": "_page", "_count=1&_count=2": "_count",
	} {
		w.do("GET", "/fhir/R4/Patient/p0/$everything?"+query, "").want(400).issue("invalid", says)
	}
	w.do("GET", "/fhir/R4/Patient/p0/$everything?colour=red", "", header("Prefer", "handling=strict")).want(400).issue("invalid", "colour")
	w.do("POST", "/fhir/R4/Patient/p0/$everything", "a=b", header("Content-Type", "application/x-www-form-urlencoded")).want(415).issue("not-supported")
	w.do("POST", "/fhir/R4/Patient/p0/$everything", `{"resourceType":"Patient"}`).want(400).issue("invalid", "Parameters")
	w.do("POST", "/fhir/R4/Patient/p0/$everything", `{"resourceType":"Parameters","parameter":[{"name":"_count"}]}`).want(400).issue("invalid", "_count")
	w.do("DELETE", "/fhir/R4/Patient/p0", "").want(http.StatusNoContent)
	w.do("GET", "/fhir/R4/Patient/p0/$everything", "").want(410)
}

// A page brings no more beside its resources than it may, and says so.
func TestSearchBoundsIncludes(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "/fhir/R4/Patient/p", patient("p", "A")).want(201)
	for batch := range 21 {
		var entries []string
		for i := range 100 {
			entries = append(entries, fmt.Sprintf(`{"request":{"method":"PUT","url":"Encounter/e%d"},"resource":{"resourceType":"Encounter","id":"e%d","subject":{"reference":"Patient/p"}}}`, batch*100+i, batch*100+i))
		}
		w.do("POST", "/fhir/R4", `{"resourceType":"Bundle","type":"batch","entry":[`+strings.Join(entries, ",")+`]}`).bundle("batch-response")
	}
	b := w.do("GET", "/fhir/R4/Patient?_id=p&_revinclude=Encounter:patient", "").bundle("searchset")
	if n := len(b.ids("include")); n != 2000 || b.Entry[len(b.Entry)-1].Search.Mode != "outcome" {
		t.Errorf("%d are included, the last is %+v", n, b.Entry[len(b.Entry)-1].Search)
	}
}
