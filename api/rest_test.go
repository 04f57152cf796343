package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/api"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
)

const (
	programID = "64f950e6-1b07-4ac0-8e7e-f3e148f3463f"
	// What FHIR has a meaning for has none here, and no byte of it may change.
	programDoc = `{"uuid":"` + programID + `","name":"H\u0049V \/ é","id":7,"meta":{"versionId":"x"},"resourceType":"Patient","weight":1.00}`
)

var asJSON = header("Content-Type", "application/json")

// restError checks that the body is an error as OpenMRS writes it, whose message has the words.
func (a answer) restError(words ...string) answer {
	a.t.Helper()
	var e struct {
		Error struct{ Message, Code string }
	}
	if err := json.Unmarshal(a.body, &e); err != nil || e.Error.Message == "" || e.Error.Code == "" {
		a.t.Fatalf("%s: no error in the form of OpenMRS: %v: %.300s", a.call, err, a.body)
	}
	for _, word := range words {
		if !strings.Contains(e.Error.Message, word) {
			a.t.Errorf("%s: %q does not say %q", a.call, e.Error.Message, word)
		}
	}
	if got := a.header.Get("Content-Type"); got != "application/json; charset=utf-8" {
		a.t.Errorf("%s: Content-Type %q", a.call, got)
	}
	return a
}

func (a answer) body1(want string) answer {
	a.t.Helper()
	if string(a.body) != want {
		a.t.Fatalf("%s: got %s, want %s", a.call, a.body, want)
	}
	return a
}

func TestRESTLifeOfADocument(t *testing.T) {
	for _, base := range []string{"/rest/v1", "/ws/rest/v1"} {
		t.Run(base, func(t *testing.T) {
			w := newWorld(t)
			at := base + "/program/" + programID
			w.do("GET", at, "").want(404).restError(programID, "does not exist")
			w.do("POST", at, programDoc, asJSON).want(404).restError()
			made := w.do("POST", base+"/program", strings.ReplaceAll(programDoc, `,"`, " ,\n\t\""), asJSON).want(201).body1(programDoc)
			if got := made.header.Get("Location"); got != "http://localhost:8080"+at {
				t.Errorf("Location %q", got)
			}
			first := made.header.Get("ETag")
			if !strings.HasPrefix(first, `W/"1-`) || made.header.Get("Last-Modified") == "" {
				t.Errorf("ETag %q, Last-Modified %q", first, made.header.Get("Last-Modified"))
			}
			w.do("POST", base+"/program", programDoc, asJSON).want(409).restError("exists already")
			read := w.do("GET", at, "").want(200).body1(programDoc)
			if read.header.Get("ETag") != first || read.header.Get("Content-Type") != "application/json; charset=utf-8" {
				t.Errorf("read: %v", read.header)
			}
			w.do("GET", at, "", header("If-None-Match", first)).want(304).body1("")
			w.do("GET", at+"?v=full", "").want(200).body1(programDoc)

			version := strings.Trim(strings.TrimPrefix(first, "W/"), `"`)
			w.do("GET", at+"/_history/"+version, "").want(200).body1(programDoc)
			w.do("GET", at+"/_history/x", "").want(404).restError("no version")

			// An update has what is to change and nothing else; what is not in it keeps its bytes.
			second := w.do("POST", at, `{"name":"TB","outcomes":[ 1.0 ]}`, asJSON).want(200).
				body1(strings.Replace(strings.TrimSuffix(programDoc, "}"), `"H\u0049V \/ é"`, `"TB"`, 1) + `,"outcomes":[1.0]}`)
			if tag := second.header.Get("ETag"); tag == first || tag == "" {
				t.Errorf("ETag %q after an update", tag)
			}
			if again := w.do("POST", at, `{"name":"TB"}`, asJSON).want(200); again.header.Get("ETag") != second.header.Get("ETag") {
				t.Error("an update that changes nothing made a version")
			}
			w.do("POST", at, `{"name":"x"}`, asJSON, header("If-Match", first)).want(412).restError("If-Match")
			w.do("PUT", at, `{"uuid":"`+programID+`"}`, asJSON, header("If-Match", first)).want(412).restError("If-Match")
			w.do("DELETE", at, "", header("If-Match", first)).want(412).restError("If-Match")
			w.do("POST", at, `{"name":"x"}`, asJSON, header("If-Match", second.header.Get("ETag"))).want(200)
			third := w.do("PUT", at, `{"name":"whole","retired":false}`, asJSON).want(200).body1(`{"uuid":"` + programID + `","name":"whole","retired":false}`)

			w.do("DELETE", at+"?purge=true", "").want(400).restError("purge")
			w.do("GET", at, "").want(200)
			gone := w.do("DELETE", at+"?reason=double", "").want(204).body1("")
			if tag := gone.header.Get("ETag"); tag == "" || tag == third.header.Get("ETag") {
				t.Errorf("a delete answers ETag %q", tag)
			}
			if got := w.do("GET", at, "").want(410).restError("was deleted").header.Get("ETag"); got != gone.header.Get("ETag") {
				t.Errorf("410 with ETag %q, want %q", got, gone.header.Get("ETag"))
			}
			w.do("DELETE", at, "").want(204)
			w.do("GET", at+"/_history/"+version, "").want(200).body1(programDoc)
			w.do("GET", at+"/_history/"+strings.Trim(strings.TrimPrefix(gone.header.Get("ETag"), "W/"), `"`), "").want(410).restError("was deleted")
			w.do("POST", at, `{"name":"x"}`, asJSON).want(410).restError()

			w.do("POST", at, `{"deleted":"false"}`, asJSON).want(201).body1(`{"uuid":"` + programID + `","name":"whole","retired":false}`)
			w.do("POST", at, `{"deleted":"false"}`, asJSON).want(200).body1(`{"uuid":"` + programID + `","name":"whole","retired":false}`)
			w.do("DELETE", at, "").want(204)
			w.do("PUT", at, `{"name":"anew"}`, asJSON).want(201)
		})
	}
}

func TestRESTMakesUUIDs(t *testing.T) {
	w := newWorld(t)
	made := w.do("POST", "/rest/v1/visittype", `{"name":"Facility"}`, asJSON).want(201)
	var doc struct{ UUID, Name string }
	if err := json.Unmarshal(made.body, &doc); err != nil || len(doc.UUID) != 36 || doc.Name != "Facility" {
		t.Fatalf("got %s, %v", made.body, err)
	}
	w.do("GET", "/rest/v1/visittype/"+doc.UUID, "").want(200).body1(string(made.body))
	if loc := made.header.Get("Location"); loc != "http://localhost:8080/rest/v1/visittype/"+doc.UUID {
		t.Errorf("Location %q", loc)
	}
}

func TestRESTRefuses(t *testing.T) {
	w := newWorld(t)
	w.serve(engine.New(w.st, engine.Config{Limit: 2000}))
	at := "/rest/v1/program/" + programID
	deep := strings.Repeat("[", fhir.MaxDepth) + strings.Repeat("]", fhir.MaxDepth)
	child := func(r *http.Request) { r.RemoteAddr, r.Host = "10.0.0.1:1", "node.example" }
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		word                     string
		change                   func(*http.Request)
	}{
		{"type of FHIR", "GET", "/rest/v1/Patient/1", "", 404, "has a FHIR form", nil},
		{"type that has a FHIR form", "POST", "/ws/rest/v1/patient", `{}`, 404, "/fhir/R4/Patient", nil},
		{"name with a line", "GET", "/rest/v1/drug_order/1", "", 404, "drug_order", nil},
		{"feed of all", "GET", "/rest/v1/all", "", 404, "all", nil},
		{"part of a document", "GET", at + "/attribute/1", "", 404, "whole", nil},
		{"nothing", "GET", "/rest/v1/", "", 404, "nothing", nil},
		{"uuid", "PUT", "/rest/v1/program/a_b", `{}`, 400, "a_b", nil},
		{"other uuid", "PUT", at, `{"uuid":"u2"}`, 400, "the body says u2", nil},
		{"other uuid in an update", "POST", at, `{"uuid":"u2"}`, 400, "the body says u2", nil},
		{"uuid that is none", "POST", "/rest/v1/program", `{"uuid":"a b"}`, 400, "uuid", nil},
		{"uuid that is no text", "POST", "/rest/v1/program", `{"uuid":5}`, 400, "uuid", nil},
		{"no JSON", "POST", "/rest/v1/program", `{"a":`, 400, "JSON", nil},
		{"no object", "POST", "/rest/v1/program", `[]`, 400, "JSON object", nil},
		{"no body", "POST", "/rest/v1/program", ``, 415, "Content-Type", nil},
		{"member twice", "POST", "/rest/v1/program", `{"a":1,"a":2}`, 400, "a", nil},
		{"deep", "POST", "/rest/v1/program", `{"a":` + deep + `}`, 400, "nested", nil},
		{"large", "POST", "/rest/v1/program", `{"a":"` + strings.Repeat("x", 2000) + `"}`, 413, "2000", nil},
		{"very large", "POST", "/rest/v1/program", `{"a":"` + strings.Repeat("x", 20000) + `"}`, 413, "larger", nil},
		{"XML", "POST", "/rest/v1/program", `<a/>`, 415, "application/xml", header("Content-Type", "application/xml")},
		{"wants XML", "GET", at, "", 406, "application/xml", header("Accept", "application/xml")},
		{"method", "PATCH", at, `{}`, 405, "PATCH", nil},
		{"method on a list", "DELETE", "/rest/v1/program", "", 405, "DELETE", nil},
		{"tag", "PUT", at, `{}`, 400, "If-Match", header("If-Match", "x")},
		{"stranger", "GET", at, "", 401, "credential", child},
		{"unknown credential", "POST", "/rest/v1/program", `{}`, 401, "not known", func(r *http.Request) {
			child(r)
			r.Header.Set("Authorization", "Bearer x")
		}},
		{"limit", "GET", "/rest/v1/program?limit=101", "", 400, "limit", nil},
		{"start", "GET", "/rest/v1/program?startIndex=-1", "", 400, "startIndex", nil},
		{"search", "GET", "/rest/v1/program?q=hiv", "", 400, "not searched", nil},
		{"delete what never was", "DELETE", at, "", 404, "does not exist", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			change := []func(*http.Request){asJSON}
			if c.body == "" {
				change = nil
			}
			if c.change != nil {
				change = append(change, c.change)
			}
			w.do(c.method, c.path, c.body, change...).want(c.status).restError(c.word)
		})
	}
	if n := w.do("GET", "/rest/v1/program?totalCount=true", "").want(200); string(n.body) != `{"results":[],"totalCount":0}` {
		t.Errorf("something was written: %s", n.body)
	}
}

func TestRESTList(t *testing.T) {
	w := newWorld(t)
	var want []string
	for i := range 7 {
		doc := fmt.Sprintf(`{"uuid":"u%d","n":%d.0}`, i, i)
		want = append(want, doc)
		w.do("POST", "/rest/v1/program", doc, asJSON).want(201)
	}
	w.do("POST", "/rest/v1/visittype", `{"uuid":"other"}`, asJSON).want(201)
	w.do("DELETE", "/rest/v1/program/u3", "").want(204)
	want = append(want[:3], want[4:]...)
	w.do("GET", "/rest/v1/program", "").want(200).body1(`{"results":[` + strings.Join(want, ",") + `]}`)

	type page struct {
		Results    []json.RawMessage
		Links      []struct{ Rel, URI string }
		TotalCount *int64
	}
	var got []string
	next, back := "/ws/rest/v1/program?limit=4&totalCount=true&v=full", ""
	for pages := 0; next != ""; pages++ {
		var p page
		if err := json.Unmarshal(w.do("GET", next, "").want(200).body, &p); err != nil || p.TotalCount == nil || *p.TotalCount != 6 || pages > 2 {
			t.Fatalf("page %d: %+v, %v", pages, p, err)
		}
		for _, r := range p.Results {
			got = append(got, string(r))
		}
		next, back = "", ""
		for _, l := range p.Links {
			to, ok := strings.CutPrefix(l.URI, "http://localhost:8080")
			if !ok {
				t.Fatalf("link %q", l.URI)
			}
			switch l.Rel {
			case "next":
				next = to
			case "prev":
				back = to
			}
		}
	}
	if strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("got %v, want %v", got, want)
	}
	var p page
	if err := json.Unmarshal(w.do("GET", back, "").want(200).body, &p); err != nil || len(p.Results) != 4 || len(p.Links) != 1 || p.Links[0].Rel != "next" {
		t.Errorf("back from the last page by %q: %+v, %v", back, p, err)
	}
}

// Both feeds have REST documents, FHIR does not.
func TestRESTInFeeds(t *testing.T) {
	w := newWorld(t, func(d *api.Deps) { d.URL = "http://node.example" })
	w.do("POST", "/rest/v1/program", programDoc, asJSON).want(201)
	w.do("PUT", "/fhir/R4/Patient/p", `{"resourceType":"Patient","id":"p"}`).want(201)
	for _, c := range []struct {
		path string
		want bool
	}{{"/ws/atomfeed/program/recent", true}, {"/ws/atomfeed/PROGRAM/1", true}, {"/ws/atomfeed/all/recent", true}, {"/ws/atomfeed/patient/recent", false}} {
		body := string(w.do("GET", c.path, "").want(200).body)
		if got := strings.Contains(body, `<![CDATA[{"rest":"/ws/rest/v1/program/`+programID+`?v=full"}]]>`); got != c.want {
			t.Errorf("%s: %v\n%s", c.path, got, body)
		}
		if strings.Contains(body, "R4/program") {
			t.Errorf("%s has a FHIR link to a document that has no FHIR form", c.path)
		}
	}
	w.do("GET", "/ws/atomfeed/drug_order/recent", "").want(404)
	w.do("GET", "/fhir/R4/program/"+programID, "").want(404)
	w.do("GET", "/fhir/R4/program", "").want(404)
	w.do("GET", "/fhir/R4/program/_history", "").want(404)
	if all := w.do("GET", "/fhir/R4/_history", "").want(200); !strings.Contains(string(all.body), "Patient/p") || strings.Contains(string(all.body), programID) {
		t.Errorf("the history of all resources: %s", all.body)
	}
}
