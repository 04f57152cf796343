package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// statuses returns the first three letters of each entry's status.
func (b bundle) statuses() string {
	var out []string
	for _, e := range b.Entry {
		out = append(out, e.Response.Status[:3])
	}
	return strings.Join(out, " ")
}

// Conditions and patches are the same in a batch and in a transaction.
func TestBundleWithConditions(t *testing.T) {
	for _, kind := range []string{"batch", "transaction"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			w.do("PUT", "/fhir/R4/Patient/a", patient("a", "A")).want(201)
			w.do("PUT", "/fhir/R4/Patient/b", patient("b", "A")).want(201)
			c := w.do("PUT", "/fhir/R4/Patient/c", patient("c", "A")).want(201)
			d := w.do("PUT", "/fhir/R4/Patient/d", patient("d", "A")).want(201)
			w.do("PUT", "/fhir/R4/Observation/o", `{"resourceType":"Observation","id":"o","status":"final","valueQuantity":{"value":1.00}}`).want(201)
			w.do("PUT", "/fhir/R4/Patient/e", patient("e", "A")).want(201)
			b := w.do("POST", "/fhir/R4", sent(kind,
				item("", "PUT", "Patient?identifier=urn:s|a", idless("a", patient("a", "B"))),
				item("", "PUT", "Patient?identifier=urn:s|new", idless("new", patient("new", "B"))),
				item("", "DELETE", "Patient?identifier=urn:s|b", ""),
				item("", "DELETE", "Patient?identifier=urn:s|nobody", ""),
				item("", "PATCH", "Patient/c", binary(`[{"op":"replace","path":"/name/0/family","value":"B"}]`), fmt.Sprintf(`,"ifMatch":%q`, c.header.Get("ETag"))),
				item("", "PATCH", "Patient?identifier=urn:s|d", binary(`[{"op":"add","path":"/active","value":true}]`), fmt.Sprintf(`,"ifMatch":%q`, d.header.Get("ETag"))),
				item("", "PATCH", "Observation/o", fhirPatch("replace", "Observation.status", `{"name":"value","valueCode":"amended"}`)),
				item("", "PUT", "Patient?identifier=urn:s|f", patient("f", "B"), `,"ifNoneMatch":"*"`),
				item("", "POST", "Patient", patient("x", "B"), `,"ifNoneExist":"identifier=urn:s|e"`),
				item("", "GET", "Patient/_history?_count=1", ""),
				item("", "GET", "_history", ""),
				item("", "HEAD", "Patient/a", ""),
				item("", "GET", "Patient/e", "", `,"ifModifiedSince":"2999-01-01T00:00:00Z"`),
			)).bundle(kind + "-response")
			if got := b.statuses(); got != "200 201 204 204 200 200 200 201 200 200 200 200 304" {
				t.Fatalf("got %s\n%+v", got, b.Entry)
			}
			for i, e := range b.Entry {
				if at, want := e.Response.Location, map[int]string{0: "Patient/a", 1: "Patient/", 4: "Patient/c", 5: "Patient/d", 6: "Observation/o", 7: "Patient/f", 8: "Patient/e"}[i]; !strings.HasPrefix(at, want) || (at == "") != (want == "") {
					t.Errorf("entry %d: location %q", i, at)
				}
				if e.Resource != nil != (i == 9 || i == 10) {
					t.Errorf("entry %d shows %s", i, e.Resource)
				}
			}
			var of bundle
			if err := json.Unmarshal(b.Entry[9].Resource, &of); err != nil || len(of.Entry) != 1 || of.Type != "history" || !strings.Contains(of.link("next"), "/fhir/R4/Patient/_history?") {
				t.Errorf("%v %s", err, b.Entry[9].Resource)
			}
			w.do("GET", "/fhir/R4/Patient/a", "").want(200).contains(`"family":"B"`)
			w.do("GET", "/fhir/R4/Patient/b", "").want(410)
			w.do("GET", "/fhir/R4/Patient/c", "").want(200).contains(`"family":"B"`)
			w.do("GET", "/fhir/R4/Patient/d", "").want(200).contains(`"active":true`)
			w.do("GET", "/fhir/R4/Observation/o", "").want(200).contains(`"amended"`).contains(`1.00`)
			w.do("GET", "/fhir/R4/Patient?identifier=urn:s|new", "").want(200).contains(`"total":1`)
		})
	}
}

// In a batch each condition that cannot be met is told in its place; a transaction fails as a whole.
func TestBundleWithConditionsThatFail(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "/fhir/R4/Patient/a", patient("a", "A")).want(201)
	w.do("PUT", "/fhir/R4/Patient/twin", twin("twin", "a")).want(201)
	entries := []string{
		item("", "PUT", "Patient?identifier=urn:s|a", idless("a", patient("a", "B"))),
		item("", "DELETE", "Patient?identifier=urn:s|a", ""),
		item("", "PATCH", "Patient?identifier=urn:s|a", binary(`[]`)),
		item("", "PUT", "Patient?_id=a", patient("b", "B")),
		item("", "DELETE", "Patient?_id=a", "", `,"ifMatch":"W/\"9-x\""`),
		item("", "PATCH", "Patient/a", binary(`[{"op":"test","path":"/id","value":"b"}]`)),
		item("", "PATCH", "Patient/nobody", binary(`[]`)),
		item("", "PATCH", "Patient?_id=nobody", binary(`[]`)),
	}
	const want = "412 412 412 400 412 422 404 404"
	b := w.do("POST", "/fhir/R4", sent("batch", entries...)).bundle("batch-response")
	if got := b.statuses(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for i, status := range strings.Fields(want) {
		if !strings.Contains(string(b.Entry[i].Response.Outcome), fmt.Sprintf("entry[%d]", i)) {
			t.Errorf("entry %d: %s", i, b.Entry[i].Response.Outcome)
		}
		a := w.do("POST", "/fhir/R4", sent("transaction", item("", "PUT", "Patient/new", patient("new", "A")), entries[i]))
		if fmt.Sprint(a.status) != status {
			t.Errorf("a transaction with entry %d: %d, want %s: %s", i, a.status, status, a.body)
		}
	}
	if n := len(w.logged()); n != 2 {
		t.Errorf("%d changes, want 2", n)
	}
}

// Links lead to what a condition creates, and a patch may name an entry by its fullUrl.
func TestTransactionLinksConditions(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "/fhir/R4/Observation/old", `{"resourceType":"Observation","id":"old","status":"final"}`).want(201)
	const uuid = "urn:uuid:27de96c6-6910-4f0f-8f10-00ce6090f447"
	b := w.do("POST", "/fhir/R4", sent("transaction",
		item("", "POST", "Observation", observation(uuid)),
		item(uuid, "PUT", "Patient?identifier=urn:s|x", idless("x", patient("x", "A"))),
		item("", "PATCH", "Observation/old", binary(`[{"op":"add","path":"/subject","value":{"reference":"`+uuid+`"}}]`)),
	)).bundle("transaction-response")
	to := strings.Join(strings.Split(b.Entry[1].Response.Location, "/")[:2], "/")
	w.do("GET", "/fhir/R4/"+b.Entry[0].Response.Location, "").want(200).contains(`"reference":"` + to + `"`)
	w.do("GET", "/fhir/R4/Observation/old", "").want(200).contains(`"reference":"` + to + `"`)

	w.do("POST", "/fhir/R4", sent("transaction",
		item("", "PUT", "Patient?identifier=urn:s|y", idless("y", patient("y", "A"))),
		item("", "PUT", "Patient?identifier=urn:s|y", idless("y", patient("y", "B"))),
	)).want(400).issue("invalid", "entry[1]", "same condition")
}

// Patches in transactions that come at once are all applied.
func TestTransactionsThatPatchAtOnce(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "/fhir/R4/Patient/p", `{"resourceType":"Patient","id":"p","name":[]}`).want(201)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			a := w.do("POST", "/fhir/R4", sent("transaction", item("", "PATCH", "Patient/p", binary(fmt.Sprintf(`[{"op":"add","path":"/name/-","value":{"family":"F%d"}}]`, i)))))
			if a.status != 200 {
				t.Errorf("%d: %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	a := w.do("GET", "/fhir/R4/Patient/p", "").want(200)
	for i := range 20 {
		a.contains(fmt.Sprintf(`{"family":"F%d"}`, i))
	}
}
