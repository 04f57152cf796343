package api_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/search"
)

// Everything that this server writes itself is valid R4, says a validator that knows nothing of it.
func TestOwnDocumentsAreValid(t *testing.T) {
	w := newWorld(t)
	w.do("PUT", "/fhir/R4/Patient/p", patient("p", "A")).want(201)
	w.do("DELETE", "/fhir/R4/Patient/p", "").want(204)
	w.do("PUT", "/fhir/R4/Patient/p", patient("p", "B")).want(201)
	w.do("PUT", "/fhir/R4/Patient/q", patient("q", "A")).want(201)
	answers := []answer{
		w.do("GET", "/fhir/R4/metadata", "").want(200),
		w.do("GET", "/fhir/R4/Patient?_count=1", "").want(200),
		w.do("GET", "/fhir/R4/Patient?_id=nobody", "").want(200),
		w.do("GET", "/fhir/R4/Patient/p/_history", "").want(200),
		w.do("GET", "/fhir/R4/Patient/p/_history?_count=2", "").want(200),
		w.do("GET", "/fhir/R4/Patient/_history?_count=2", "").want(200),
		w.do("GET", "/fhir/R4/_history", "").want(200),
		w.do("POST", "/fhir/R4", sent("transaction", item("urn:uuid:6a0c9e2e-30ee-4d5c-a0b6-0b3a9d0d4b1a", "POST", "Patient", patient("x", "A")),
			item("", "DELETE", "Patient/q", ""), item("", "GET", "Patient/p", ""), item("", "GET", "Patient", ""), item("", "GET", "Patient/nobody", ""))).want(200),
		w.do("POST", "/fhir/R4", sent("batch", item("", "GET", "Patient/nobody", ""), item("", "PUT", "Patient/z", patient("z", "A")), `{}`),
			header("Prefer", "return=representation")).want(200),
		w.do("GET", "/fhir/R4/Patient/nobody", "").want(404),
		w.do("TRACE", "/fhir/R4/Patient/p", "").want(405),
		w.do("DELETE", "/fhir/R4/Patient/p", "", header("Prefer", "return=OperationOutcome")).want(200),
	}
	var in bytes.Buffer
	for _, a := range answers {
		if _, err := fhir.Parse(a.body, 0); err != nil {
			t.Errorf("%s: %v", a.call, err)
		}
		if bytes.Contains(a.body, []byte("null")) {
			t.Errorf("%s: there is a null in %s", a.call, a.body)
		}
		in.Write(a.body)
		in.WriteByte('\n')
	}
	cmd := exec.CommandContext(t.Context(), "node", "validate.mjs")
	cmd.Dir = filepath.Join("..", "internal", "samples", "validate")
	cmd.Stdin = &in
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "12 resources checked, 0 not valid") {
		t.Errorf("%v (is it installed? npm ci --prefix internal/samples/validate)\n%.4000s", err, out)
	}
}

func TestCapabilities(t *testing.T) {
	w := newWorld(t)
	type named struct{ Name, Type, Code string }
	var c struct {
		ResourceType, Status, Kind, FhirVersion, Date string
		Format, PatchFormat                           []string
		Implementation                                struct{ URL string }
		Rest                                          []struct {
			Mode        string
			Interaction []named
			Resource    []struct {
				Type, Versioning                             string
				ReadHistory, UpdateCreate, ConditionalCreate bool
				ConditionalUpdate                            bool
				ConditionalRead, ConditionalDelete           string
				Interaction, SearchParam                     []named
			}
		}
	}
	a := w.do("GET", "/ws/fhir2/R4/metadata", "").want(200)
	if err := json.Unmarshal(a.body, &c); err != nil {
		t.Fatal(err)
	}
	if c.ResourceType != "CapabilityStatement" || c.Status != "active" || c.Kind != "instance" || c.FhirVersion != "4.0.1" || c.Date == "" ||
		c.Implementation.URL != "http://node.example/fhir/R4" || len(c.Rest) != 1 || c.Rest[0].Mode != "server" || len(c.Rest[0].Interaction) != 3 || len(c.PatchFormat) != 2 {
		t.Errorf("%+v", c)
	}
	var types []string
	for _, r := range c.Rest[0].Resource {
		types = append(types, r.Type)
		var got, want []string
		for _, p := range r.SearchParam {
			got = append(got, p.Name+" "+p.Type)
		}
		for _, p := range search.Parameters(r.Type) {
			want = append(want, p.Name+" "+p.Type)
		}
		if !slices.Equal(got, want) || r.Versioning != "versioned-update" || !r.ReadHistory || !r.UpdateCreate || !r.ConditionalCreate || !r.ConditionalUpdate ||
			r.ConditionalRead != "full-support" || r.ConditionalDelete != "single" || len(r.Interaction) != 9 {
			t.Errorf("%+v", r)
		}
	}
	if !slices.Equal(types, fhir.Types()) {
		t.Errorf("%d types", len(types))
	}
}
