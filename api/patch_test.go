package api_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tributary-sync/tributary/engine"
)

var jsonPatch = header("Content-Type", "application/json-patch+json")

// fhirPatch is a FHIRPath Patch of one operation; more are further parts as JSON.
func fhirPatch(kind, path string, more ...string) string {
	parts := append([]string{fmt.Sprintf(`{"name":"type","valueCode":%q}`, kind), fmt.Sprintf(`{"name":"path","valueString":%q}`, path)}, more...)
	return `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[` + strings.Join(parts, ",") + `]}]}`
}

// binary holds a JSON Patch as an entry of a Bundle does.
func binary(patch string) string {
	return fmt.Sprintf(`{"resourceType":"Binary","contentType":"application/json-patch+json","data":%q}`, base64.StdEncoding.EncodeToString([]byte(patch)))
}

// What a patch does not touch stays as it was sent: the order of members, number literals, escapes.
func TestPatchKeepsBytes(t *testing.T) {
	w := newWorld(t)
	const obs = `{"resourceType":"Observation","id":"o","status":"final","valueQuantity":{"value":1.00,"unit":"kg"},"note":[{"text":"\u00e9\/"}],"code":{"text":"c"}}`
	made := w.do("PUT", "/fhir/R4/Observation/o", obs).want(201)
	a := w.do("PATCH", "/fhir/R4/Observation/o", `[{"op":"test","path":"/meta/versionId","value":"`+made.version()+`"},{"op":"replace","path":"/status","value":"amended"}]`, jsonPatch).want(200)
	rows := w.logged()
	if got, want := string(rows[len(rows)-1].Content), strings.Replace(obs, "final", "amended", 1); got != want {
		t.Errorf("stored %s\nwant   %s", got, want)
	}
	if a.version() == made.version() || !strings.HasSuffix(a.header.Get("Location"), "Observation/o/_history/"+a.version()) {
		t.Errorf("%v", a.header)
	}
	a.contains(`"amended"`).contains(`1.00`)
	w.do("PATCH", "/ws/fhir2/R4/Observation/o", fhirPatch("replace", "Observation.value.unit", `{"name":"value","valueString":"g"}`)).want(200).contains(`{"value":1.00,"unit":"g"}`)
	rows = w.logged()
	if got, want := string(rows[len(rows)-1].Content), strings.Replace(strings.Replace(obs, "final", "amended", 1), `"kg"`, `"g"`, 1); got != want {
		t.Errorf("stored %s\nwant   %s", got, want)
	}
	// A patch that changes nothing makes no version.
	before := w.do("GET", "/fhir/R4/Observation/o", "").version()
	if got := w.do("PATCH", "/fhir/R4/Observation/o", `[]`, jsonPatch).want(200).version(); got != before {
		t.Errorf("version %s, want %s", got, before)
	}
}

func TestPatchPrefers(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "/fhir/R4/Patient/p", patient("p", "A")).want(201)
	patch := func(family, prefer string) answer {
		return w.do("PATCH", "/fhir/R4/Patient/p", `[{"op":"replace","path":"/name/0/family","value":"`+family+`"}]`, jsonPatch, header("Prefer", "return="+prefer)).want(200)
	}
	if a := patch("B", "minimal"); len(a.body) != 0 || a.version() == "" {
		t.Errorf("%s", a.body)
	}
	patch("C", "representation").contains(`"C"`)
	patch("D", "OperationOutcome").contains(`"OperationOutcome"`)
}

// A patch that does not apply is refused with the place and the reason, and nothing of it is kept.
func TestPatchRefuses(t *testing.T) {
	w := newWorld(t)
	w.serve(engine.New(w.st, engine.Config{Limit: 4096}))
	v := w.do("PUT", "/fhir/R4/Patient/p", patient("p", "A")).want(201).version()
	w.do("PUT", "/fhir/R4/Patient/gone", patient("gone", "A")).want(201)
	w.do("DELETE", "/fhir/R4/Patient/gone", "").want(204)
	written := len(w.logged())
	deep := strings.Repeat("[", 300) + strings.Repeat("]", 300)
	bomb := `[{"op":"add","path":"/x","value":["aaaaaaaa"]}` + strings.Repeat(`,{"op":"copy","from":"/x","path":"/x/-"}`, 40) + `]`
	for _, tt := range []struct {
		name, id, body string
		change         func(*http.Request)
		status         int
		code           string
		words          []string
	}{
		{"a test fails", "p", `[{"op":"add","path":"/active","value":true},{"op":"test","path":"/gender","value":"male"}]`, jsonPatch, 422, "processing", []string{"operation[1]", "test", "/gender"}},
		{"a path is not there", "p", `[{"op":"remove","path":"/telecom/0"}]`, jsonPatch, 422, "processing", []string{"operation[0]", "remove", "/telecom"}},
		{"a FHIRPath finds nothing", "p", fhirPatch("replace", "Patient.gender", `{"name":"value","valueCode":"male"}`), nil, 422, "processing", []string{"operation[0]", "replace", "Patient.gender", "nothing"}},
		{"a wrong type", "p", fhirPatch("add", "Patient", `{"name":"name","valueString":"active"}`, `{"name":"value","valueString":"x"}`), nil, 422, "processing", []string{"operation[0]", "active", "boolean"}},
		{"a malformed JSON Patch", "p", `[{"op":"jump","path":"/a"}]`, jsonPatch, 400, "invalid", []string{"operation[0]", "jump"}},
		{"no JSON", "p", `<diff/>`, jsonPatch, 400, "invalid", []string{"JSON"}},
		{"malformed Parameters", "p", `{"resourceType":"Parameters","parameter":[{"name":"operation"}]}`, nil, 400, "invalid", []string{"operation[0]", "type"}},
		{"a resource as patch", "p", patient("p", "B"), nil, 400, "invalid", []string{"Parameters"}},
		{"XML", "p", `<diff/>`, header("Content-Type", "application/xml-patch+xml"), 415, "not-supported", []string{"xml-patch", "json-patch"}},
		{"merge patch", "p", `{}`, header("Content-Type", "application/merge-patch+json"), 415, "not-supported", []string{"merge-patch"}},
		{"no content type", "p", `[]`, func(r *http.Request) { r.Header.Del("Content-Type") }, 415, "not-supported", []string{"json-patch"}},
		{"another charset", "p", `[]`, header("Content-Type", "application/json-patch+json; charset=latin1"), 415, "not-supported", []string{"latin1"}},
		{"changes the id", "p", `[{"op":"replace","path":"/id","value":"q"}]`, jsonPatch, 400, "invalid", []string{"id"}},
		{"takes the id away", "p", `[{"op":"remove","path":"/id"}]`, jsonPatch, 400, "invalid", []string{"id"}},
		{"changes the type", "p", `[{"op":"replace","path":"/resourceType","value":"Person"}]`, jsonPatch, 400, "invalid", []string{"resourceType"}},
		{"makes no resource", "p", `[{"op":"replace","path":"","value":[]}]`, jsonPatch, 422, "processing", []string{"an array"}},
		{"is deep", "p", `[{"op":"add","path":"/x","value":` + deep + `}]`, jsonPatch, 400, "invalid", []string{"200"}},
		{"a bomb of copies", "p", bomb, jsonPatch, 413, "too-long", []string{"operation[", "copy"}},
		{"makes it too large", "p", `[{"op":"add","path":"/x","value":"` + strings.Repeat("x", 5000) + `"}]`, jsonPatch, 413, "too-long", []string{"4096"}},
		{"is too large", "p", `[{"op":"add","path":"/x","value":"` + strings.Repeat("x", 20000) + `"}]`, jsonPatch, 413, "too-long", []string{"16384"}},
		{"not there", "q", `[]`, jsonPatch, 404, "not-found", []string{"Patient/q"}},
		{"deleted", "gone", `[]`, jsonPatch, 410, "deleted", []string{"deleted"}},
		{"a bad id", "a_b", `[]`, jsonPatch, 400, "invalid", []string{"a_b"}},
		{"another version", "p", `[{"op":"add","path":"/active","value":true}]`, func(r *http.Request) { jsonPatch(r); header("If-Match", `W/"1-x"`)(r) }, 412, "conflict", []string{v}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.change == nil {
				tt.change = func(*http.Request) {}
			}
			a := w.do("PATCH", "/fhir/R4/Patient/"+tt.id, tt.body, tt.change)
			a.t = t
			a.want(tt.status).issue(tt.code, tt.words...)
			if tt.status == 415 && !strings.Contains(a.header.Get("Accept-Patch"), "application/json-patch+json") {
				t.Errorf("Accept-Patch: %q", a.header.Get("Accept-Patch"))
			}
		})
	}
	if n := len(w.logged()); n != written {
		t.Errorf("%d changes, want %d", n, written)
	}
	w.do("PATCH", "/fhir/R4/Patient/p", `[{"op":"add","path":"/active","value":true}]`, jsonPatch, header("If-Match", `W/"`+v+`"`)).want(200)
}

// Patches that come at once are all applied: each stands on what the one before it wrote.
func TestPatchesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "/fhir/R4/Patient/p", `{"resourceType":"Patient","id":"p","name":[]}`).want(201)
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			a := w.do("PATCH", "/fhir/R4/Patient/p", fmt.Sprintf(`[{"op":"add","path":"/name/-","value":{"family":"F%d"}}]`, i), jsonPatch)
			if a.status != 200 {
				t.Errorf("%d: %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	a := w.do("GET", "/fhir/R4/Patient/p", "").want(200)
	for i := range 5 {
		a.contains(fmt.Sprintf(`{"family":"F%d"}`, i))
	}
}

func TestConditionalPatch(t *testing.T) {
	w := newWorld(t)
	const where = "/fhir/R4/Patient?identifier=urn:s|"
	body := `[{"op":"add","path":"/active","value":true}]`
	w.do("PATCH", where+"p", body, jsonPatch).want(404).issue("not-found", "nothing")
	w.do("PUT", "/fhir/R4/Patient/p", patient("p", "A")).want(201)
	a := w.do("PATCH", where+"p", body, jsonPatch).want(200).contains(`"active":true`)
	w.do("PATCH", where+"p", fhirPatch("delete", "Patient.active"), header("If-Match", `W/"1-x"`)).want(412)
	w.do("PATCH", where+"p", fhirPatch("delete", "Patient.active"), header("If-Match", a.header.Get("ETag"))).want(200)
	w.do("PUT", "/fhir/R4/Patient/q", strings.Replace(patient("p", "B"), `"id":"p"`, `"id":"q"`, 1)).want(201)
	w.do("PATCH", where+"p", body, jsonPatch).want(412).issue("multiple-matches", "2 resources")
	w.do("PATCH", "/fhir/R4/Patient", body, jsonPatch).want(400).issue("invalid", "nothing to search by")
	w.do("PATCH", "/fhir/R4/Patient?colour=blue", body, jsonPatch).want(400).issue("invalid", "colour")
}
