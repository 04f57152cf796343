package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
)

func key(text string) fhir.Key {
	k, err := fhir.ParseKey(text)
	if err != nil {
		panic(err)
	}
	return k
}

func sent(kind string, entries ...string) string {
	return fmt.Sprintf(`{"resourceType":"Bundle","type":%q,"entry":[%s]}`, kind, strings.Join(entries, ","))
}

func item(fullURL, method, url, resource string, more ...string) string {
	out := "{"
	if fullURL != "" {
		out += fmt.Sprintf(`"fullUrl":%q,`, fullURL)
	}
	if resource != "" {
		out += `"resource":` + resource + ","
	}
	return out + fmt.Sprintf(`"request":{"method":%q,"url":%q%s}}`, method, url, strings.Join(more, ""))
}

func observation(subject string) string {
	return fmt.Sprintf(`{"resourceType":"Observation","status":"final","subject":{"reference":%q}}`, subject)
}

// logged returns the rows of the change log.
func (w *world) logged() []store.Row {
	w.t.Helper()
	var rows []store.Row
	err := w.st.Read(w.t.Context(), func(r *store.Reader) error {
		_, _, _, err := r.Changes(0, nil, 10_000, func(row store.Row) error {
			rows = append(rows, row)
			return nil
		})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}

func TestTransactionResolvesLinks(t *testing.T) {
	const uuid = "urn:uuid:27de96c6-6910-4f0f-8f10-00ce6090f447"
	for _, tt := range []struct{ name, fullURL, reference, tail string }{
		{"uuid", uuid, uuid, ""},
		{"uuid in capitals", strings.ToUpper(uuid), uuid, ""},
		{"oid", "urn:oid:1.2.3", "urn:oid:1.2.3", ""},
		{"absolute", "http://elsewhere.example/r4/Patient/77", "http://elsewhere.example/r4/Patient/77", ""},
		{"relative to an absolute one", "http://elsewhere.example/r4/Patient/77", "Patient/77", ""},
		{"relative", "Patient/77", "Patient/77", ""},
		{"with a fragment", uuid, uuid + "#part", "#part"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			b := w.do("POST", "/fhir/R4", sent("transaction",
				item("urn:uuid:00000000-0000-4000-8000-000000000001", "POST", "Observation", observation(tt.reference)),
				item(tt.fullURL, "POST", "Patient", patient("77", "A")),
			)).bundle("transaction-response")
			if len(b.Entry) != 2 || b.Entry[0].Response.Status != "201 Created" || !strings.HasPrefix(b.Entry[0].Response.Location, "Observation/") {
				t.Fatalf("%+v", b.Entry)
			}
			for i, e := range b.Entry {
				if e.Response.Etag == "" || e.Response.LastModified == "" || e.Resource != nil {
					t.Errorf("entry %d: %+v", i, e)
				}
			}
			want, _, _ := strings.Cut(b.Entry[1].Response.Location, "/_history/")
			w.do("GET", "/fhir/R4/"+b.Entry[0].Response.Location, "").want(200).contains(`"subject":{"reference":"` + want + tt.tail + `"}`)
			rows := w.logged()
			if len(rows) != 2 || rows[0].Unit == "" || rows[0].Unit != rows[1].Unit || rows[0].UnitSize != 2 {
				t.Errorf("they do not travel as a unit: %+v", rows)
			}
		})
	}
}

func TestTransactionIsAtomic(t *testing.T) {
	w := newWorld(t)
	tag := w.do("PUT", "/fhir/R4/Patient/old", patient("old", "A")).want(201).header.Get("ETag")
	w.do("PUT", "/fhir/R4/Patient/old", patient("old", "B")).want(200)
	before := len(w.logged())
	good := item("", "PUT", "Patient/new", patient("new", "A"))
	for _, tt := range []struct {
		name, bad    string
		status       int
		code, saying string
	}{
		{"stale If-Match", item("", "PUT", "Patient/old", patient("old", "C"), fmt.Sprintf(`,"ifMatch":%q`, tag)), 412, "conflict", "Patient/old"},
		{"stale If-Match of a delete", item("", "DELETE", "Patient/old", "", fmt.Sprintf(`,"ifMatch":%q`, tag)), 412, "conflict", "Patient/old"},
		{"twice", item("", "PUT", "Patient/new", patient("new", "B")), 400, "invalid", "entry[1]"},
		{"no request", `{"resource":` + patient("x", "A") + `}`, 400, "invalid", "entry[1]"},
		{"no resource", item("", "POST", "Patient", ""), 400, "invalid", "entry[1] POST Patient"},
		{"not a resource", item("", "POST", "Patient", `{"id":"1"}`), 400, "invalid", "entry[1] POST Patient"},
		{"a number", item("", "POST", "Patient", `5`), 400, "invalid", "entry[1]"},
		{"another type", item("", "POST", "Observation", patient("x", "A")), 400, "invalid", "entry[1]"},
		{"another id", item("", "PUT", "Patient/y", patient("x", "A")), 400, "invalid", "entry[1]"},
		{"unknown type", item("", "POST", "Nothing", patient("x", "A")), 404, "not-found", "Nothing"},
		{"no url", item("", "GET", "", ""), 400, "invalid", "entry[1]"},
		{"unknown method", item("", "TRACE", "Patient/old", patient("old", "A")), 400, "invalid", "TRACE"},
		{"a patch that is none", item("", "PATCH", "Patient/old", patient("old", "A")), 400, "invalid", "entry[1] PATCH Patient"},
		{"a patch that does not apply", item("", "PATCH", "Patient/old", binary(`[{"op":"remove","path":"/gender"}]`)), 422, "processing", "entry[1] PATCH Patient: operation[0] remove"},
		{"a patch of another version", item("", "PATCH", "Patient/old", binary(`[]`), `,"ifMatch":"W/\"9-x\""`), 412, "conflict", "entry[1]"},
		{"a patch of nothing", item("", "PATCH", "Patient/nobody", binary(`[]`)), 404, "not-found", "Patient/nobody"},
		{"a patch of what nothing matches", item("", "PATCH", "Patient?identifier=nobody", binary(`[]`)), 404, "not-found", "entry[1]"},
		{"a patch in another language", item("", "PATCH", "Patient/old", `{"resourceType":"Binary","contentType":"text/plain","data":""}`), 415, "not-supported", "text/plain"},
		{"a patch that is not base64", item("", "PATCH", "Patient/old", `{"resourceType":"Binary","contentType":"application/json-patch+json","data":"%"}`), 400, "invalid", "base64"},
		{"a conditional update of an id that is taken", item("", "PUT", "Patient?identifier=x", patient("old", "A")), 409, "conflict", "Patient/old"},
		{"a conditional update of another id", item("", "PUT", "Patient?_id=old", patient("other", "A")), 400, "invalid", "entry[1]"},
		{"a conditional update without a condition", item("", "PUT", "Patient?_format=json", patient("old", "A")), 400, "invalid", "entry[1]"},
		{"a conditional delete without a condition", item("", "DELETE", "Patient", ""), 400, "invalid", "entry[1]"},
		{"a conditional delete by an unknown parameter", item("", "DELETE", "Patient?colour=blue", ""), 400, "invalid", "colour"},
		{"one resource by id and condition", item("", "PUT", "Patient/old", patient("old", "D")) + "," + item("", "PATCH", "Patient?_id=old", binary(`[]`)), 400, "invalid", "stands in entry[1] already"},
		{"reference to nobody", item("", "POST", "Observation", observation("Patient?identifier=nobody")), 412, "conflict", "entry[1]"},
		{"reference by an unknown parameter", item("", "POST", "Observation", observation("Patient?colour=red")), 400, "invalid", "entry[1]"},
		{"one fullUrl twice", item("urn:uuid:1", "POST", "Patient", patient("x", "A")) + "," + item("urn:uuid:1", "POST", "Patient", patient("y", "A")), 400, "invalid", "fullUrl"},
		{"nested too deep", item("", "POST", "Basic", `{"resourceType":"Basic","x":`+strings.Repeat("[", 300)+strings.Repeat("]", 300)+`}`), 400, "invalid", "entry[1]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.do("POST", "/fhir/R4", sent("transaction", good, tt.bad)).want(tt.status).issue(tt.code, tt.saying)
			w.do("GET", "/fhir/R4/Patient/new", "").want(404)
			if n := len(w.logged()); n != before {
				t.Errorf("%d rows were written", n-before)
			}
		})
	}
}

func TestTransactionOrder(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "/fhir/R4/Patient/gone", patient("gone", "A")).want(201)
	b := w.do("POST", "/fhir/R4/", sent("transaction",
		item("", "GET", "Patient?identifier=urn:s|fresh", ""),
		item("", "GET", "Patient/gone", ""),
		item("", "PUT", "Patient/fresh", patient("fresh", "A")),
		item("", "DELETE", "Patient/gone", ""),
	)).bundle("transaction-response")
	var found bundle
	if err := json.Unmarshal(b.Entry[0].Resource, &found); err != nil || len(found.Entry) != 1 {
		t.Errorf("a read does not see the writes: %v %s", err, b.Entry[0].Resource)
	}
	var got []string
	for _, e := range b.Entry {
		got = append(got, e.Response.Status[:3])
	}
	if strings.Join(got, " ") != "200 410 201 204" {
		t.Errorf("got %v", got)
	}
	if rows := w.logged(); len(rows) != 2 || rows[0].Key != key("Patient/gone") {
		t.Errorf("deletes do not come first: %+v", rows)
	}
}

func TestTransactionConditions(t *testing.T) {
	w := newWorld(t)
	practitioner := func(n string) string {
		return `{"resourceType":"Practitioner","identifier":[{"system":"urn:npi","value":"` + n + `"}]}`
	}
	cond := func(n string) string { return `,"ifNoneExist":"identifier=urn:npi|` + n + `"` }
	load := func() bundle {
		return w.do("POST", "/fhir/R4", sent("transaction",
			item("urn:uuid:a", "POST", "Practitioner", practitioner("1"), cond("1")),
			item("urn:uuid:b", "POST", "Practitioner", practitioner("1"), cond("1")),
			item("", "PUT", "Encounter/e", `{"resourceType":"Encounter","id":"e","participant":[{"individual":{"reference":"urn:uuid:b"}},`+
				`{"individual":{"reference":"Practitioner?identifier=urn:npi|1"}},{"individual":{"reference":"Practitioner?identifier=urn:npi%7C2"}}]}`),
		)).bundle("transaction-response")
	}
	two := w.do("POST", "/fhir/R4/Practitioner", practitioner("2")).want(201)
	first, second := load(), load()
	keyOf := func(e entry) string {
		k, _, _ := strings.Cut(e.Response.Location, "/_history/")
		return k
	}
	if first.Entry[0].Response.Status != "201 Created" || first.Entry[1].Response.Status != "200 OK" || second.Entry[0].Response.Status != "200 OK" {
		t.Errorf("%+v\n%+v", first.Entry, second.Entry)
	}
	if keyOf(first.Entry[0]) != keyOf(second.Entry[0]) || keyOf(first.Entry[0]) != keyOf(first.Entry[1]) {
		t.Errorf("made again: %+v\n%+v", first.Entry, second.Entry)
	}
	ref := `{"individual":{"reference":"` + keyOf(first.Entry[0]) + `"}}`
	_, id2, _ := strings.Cut(two.header.Get("Location"), "/Practitioner/")
	id2, _, _ = strings.Cut(id2, "/")
	w.do("GET", "/fhir/R4/Encounter/e", "").want(200).contains(ref + "," + ref + `,{"individual":{"reference":"Practitioner/` + id2 + `"}}`)
	w.do("POST", "/fhir/R4/Practitioner", practitioner("2")).want(201)
	w.do("POST", "/fhir/R4", sent("transaction", item("", "POST", "Practitioner", practitioner("2"), cond("2")))).want(412).issue("multiple-matches", "entry[0]")
	w.do("POST", "/fhir/R4", sent("transaction", item("", "POST", "Observation", observation("Practitioner?identifier=urn:npi|2")))).
		want(412).issue("multiple-matches", "more than one")
}

func TestBatch(t *testing.T) {
	w := newWorld(t)
	tag := w.do("PUT", "/fhir/R4/Patient/a", patient("a", "A")).want(201).header.Get("ETag")
	b := w.do("POST", "/fhir/R4", sent("batch",
		item("", "PUT", "Patient/b", patient("b", "B")),
		item("", "POST", "Patient", `{"resourceType":"Patient"}`),
		item("", "POST", "Observation", patient("x", "B")),
		item("", "GET", "Patient/a", ""),
		item("", "GET", "Patient/a", "", fmt.Sprintf(`,"ifNoneMatch":%q`, tag)),
		item("", "GET", "Patient/nobody", ""),
		item("", "GET", "Patient/a/_history", ""),
		item("", "GET", "Patient/a/_history/"+strings.Trim(tag[2:], `"`), ""),
		item("", "DELETE", "Patient/a", ""),
		`{}`,
	)).bundle("batch-response")
	var got []string
	for _, e := range b.Entry {
		got = append(got, e.Response.Status[:3])
		if failed := e.Response.Status[0] == '4'; failed != (len(e.Response.Outcome) > 0) {
			t.Errorf("%s: outcome %s", e.Response.Status, e.Response.Outcome)
		}
	}
	if want := "201 201 400 200 304 404 200 200 204 400"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if !strings.Contains(string(b.Entry[2].Response.Outcome), "entry[2]") {
		t.Errorf("%s does not say where", b.Entry[2].Response.Outcome)
	}
	if len(b.Entry[3].Resource) == 0 || b.Entry[0].Resource != nil {
		t.Error("a read shows its resource, a write does not")
	}
	full := w.do("POST", "/fhir/R4", sent("batch", item("", "PUT", "Patient/b", patient("b", "C"))), header("Prefer", "return=representation")).bundle("batch-response")
	if !strings.Contains(string(full.Entry[0].Resource), `"family":"C"`) {
		t.Errorf("%+v", full.Entry[0])
	}
}
