package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/control"
)

// The marks of the people in these tests. No other word has a part of them.
func marks() []string {
	return []string{"Zyxwani", "Quorrab", "NID-77-4242", "1949-03-17", "zyx-person-4242", "Vortigerns Lane"}
}

// unpack returns the files of a bundle.
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(h.Name, "tributary-support/")] = string(text)
	}
}

// clean fails where a mark, or one of the secrets, stands in a text in any form in which it could be read again.
func clean(t *testing.T, where, text string, secrets ...string) {
	t.Helper()
	folded := strings.ToLower(text)
	for _, mark := range append(marks(), secrets...) {
		for form, word := range map[string]string{
			"as it is": mark, "in a URL": url.QueryEscape(mark), "in a path": url.PathEscape(mark), "in hexadecimal": hex.EncodeToString([]byte(mark)),
			"in base64": base64.RawStdEncoding.EncodeToString([]byte(mark))[:len(mark)], "in JSON": strings.Trim(fmt.Sprintf("%q", mark), `"`),
		} {
			if i := strings.Index(folded, strings.ToLower(word)); i >= 0 {
				t.Errorf("%s tells %q %s:\n...%s...", where, mark, form, text[max(0, i-200):min(len(text), i+200)])
				break
			}
		}
	}
}

// planted is a network in which the marks stand in every corner: a parent and an EMR that answer with them, a clinic in conflict with its district, parked
// and held copies, device criteria, settings, merge files, reasons.
type planted struct {
	district, clinic machine
	secrets          []string
}

// refusing is a FHIR server that says what it can, and answers everything else with a status.
func refusing(t *testing.T, status int, said string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		if strings.HasSuffix(r.URL.Path, "/metadata") {
			fmt.Fprint(w, `{"resourceType":"CapabilityStatement","status":"active","date":"2026-01-01","kind":"instance","fhirVersion":"4.0.1","format":["json"],"rest":[{"mode":"server","resource":[{"type":"Patient","interaction":[{"code":"read"},{"code":"update"},{"code":"create"},{"code":"delete"}],"updateCreate":true}]}]}`)
			return
		}
		w.WriteHeader(status)
		fmt.Fprint(w, said)
	}))
	t.Cleanup(s.Close)
	return s
}

func plant(t *testing.T) planted {
	t.Helper()
	said := `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"processing","diagnostics":"Zyxwani Quorrab (NID-77-4242) of Vortigerns Lane exists already as zyx-person-4242"}]}`
	answers := func(status int) *httptest.Server { return refusing(t, status, said) }
	parent, emr := answers(http.StatusInternalServerError), answers(http.StatusUnprocessableEntity)
	district := newMachine(t, "district", parent.URL)
	district.write(t, "data/parent.token", "trib_SecretOfTheParent\n")
	district.write(t, "data/emr.login", "nurse:SecretOfTheEMR\n")
	district.env = []string{"TRIBUTARY_CONFLICTS__DEFAULT=defer", "TRIBUTARY_LOG__LEVEL=debug"}
	text, err := os.ReadFile(filepath.Join(district.dir, "tributary.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	district.write(t, "tributary.yaml", string(text)+fmt.Sprintf(`
servers:
  emr: {url: %[1]s/fhir, credential_file: data/emr.login, push: [{type: Patient}]}
  registry:
    changes: list
    feed: ["%[1]s/of/Zyxwani/Vortigerns%%20Lane/people.json"]
    list: {items: people, resource: '{"resourceType":"Location","id":"{id}","name":"not Zyxwani Quorrab"}'}
    pull: [{type: Location}]
`, emr.URL))
	district.serve(t)
	clinic := newMachine(t, "clinic", district.url())
	credential := district.must(t, "child", "add", "clinic")
	clinic.write(t, "data/parent.token", credential)
	out := district.must(t, "device", "add", "phone", "Patient?name=Zyxwani", "Observation?subject=Patient/zyx-person-4242")

	person := func(gender string) string {
		return `{"resourceType":"Patient","id":"zyx-person-4242","gender":"` + gender + `","birthDate":"1949-03-17","name":[{"use":"official","family":"Quorrab","given":["Zyxwani"]}],` +
			`"identifier":[{"system":"urn:nid","value":"NID-77-4242"}],"address":[{"line":["Vortigerns Lane 3"]}]}`
	}
	district.put(t, "Patient/zyx-person-4242", person("unknown"))
	clinic.must(t, "sync")
	clinic.must(t, "load", clinic.write(t, "x.json", person("male")))
	district.put(t, "Patient/zyx-person-4242", person("female"))
	clinic.do(t, "sync")
	var open []control.Conflict
	district.value(t, &open, "conflict", "list", "--open")
	if len(open) != 1 {
		t.Fatalf("got %d open conflicts", len(open))
	}
	var shown control.ShownConflict
	district.value(t, &shown, "conflict", "show", open[0].UUID)
	district.must(t, "conflict", "resolve", open[0].UUID, "--file", district.write(t, "merged.json", person("other")), "--basis", shown.Basis, "--why", "the mother of Zyxwani Quorrab said so")
	clinic.do(t, "sync")
	clinic.must(t, "load", clinic.write(t, "x.json", person("male")))
	district.put(t, "Patient/zyx-person-4242", person("female"))
	clinic.do(t, "sync") // open again, and held at the clinic

	for _, call := range []struct{ method, path, body string }{
		{"POST", "/rest/v1/quorrabprogram", `{"uuid":"11111111-1111-4111-8111-111111111111","name":"Zyxwani"}`},
		{"POST", "/rest/v1/program/zyx-person-4242", `{"name":"Zyxwani"}`},
		{"GET", "/fhir/R4/Patient?name=Zyxwani&identifier=NID-77-4242", ""},
		{"GET", "/fhir/R4/Patient?nonsense=Zyxwani", ""},
		{"GET", "/fhir/R4/Zyxwani/zyx-person-4242", ""},
		{"GET", "/Zyxwani/zyx-person-4242", ""},
		{"PUT", "/fhir/R4/Patient/zyx-person-4242", `{"resourceType":"Patient","id":"Quorrab"}`},
		{"POST", "/fhir/R4", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient?family=Quorrab"}},{"request":{"method":"DELETE","url":"Zyxwani/1"}}]}`},
		{"ZYXWANI", "/fhir/R4/Patient", ""},
		{"GET", "/control/v1/explain/Patient/zyx-person-4242", ""},
		{"GET", "/resource/Patient/zyx-person-4242", ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), call.method, district.url()+call.path, strings.NewReader(call.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, district.url()+"/fhir/R4/Patient/zyx-person-4242", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer SecretOfAStranger")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	district.do(t, "sync")
	eventually(t, "what the EMR refused is parked", func() bool {
		var parked []control.Parked
		district.value(t, &parked, "parked", "list")
		return len(parked) > 0 && strings.Contains(parked[0].Reason, "Zyxwani")
	})

	p := planted{district: district, clinic: clinic, secrets: []string{"SecretOfTheParent", "SecretOfTheEMR", "SecretOfAStranger", strings.TrimSpace(credential), strings.TrimSpace(out)}}
	for _, m := range []machine{district, clinic} {
		for _, file := range []string{"data/admin.token", "data/node.key"} {
			secret, err := os.ReadFile(filepath.Join(m.dir, file))
			if err != nil {
				t.Fatal(err)
			}
			p.secrets = append(p.secrets, strings.TrimSpace(string(secret)))
		}
	}
	return p
}

// The bundle, the log and the metrics of a node tell nothing of the people in it, whatever stands in which corner.
func TestNothingOfAPatientLeaves(t *testing.T) {
	p := plant(t)
	path := filepath.Join(t.TempDir(), "b.tar.gz")
	p.district.must(t, "support-bundle", path)
	p.district.refused(t, 1, []string{"already"}, "support-bundle", path)
	files := unpack(t, path)
	for _, want := range []struct{ file, part string }{
		{"README.txt", "no patient data"},
		{"version.json", `"driver": "sqlite"`},
		{"settings.json", `"default": "defer"`},
		{"settings.json", `"emr"`},
		{"status.json", `"clinic"`},
		{"status.json", `"cause": "500`},
		{"doctor.json", `"name": "database"`},
		{"runs.json", `"outcome": "failed"`},
		{"audit.json", `"outcome": "parked"`},
		{"audit.json", `"action": "RESOLVE"`},
		{"waiting.json", `"what": "open"`},
		{"waiting.json", `"what": "decided"`},
		{"waiting.json", `"what": "parked"`},
		{"waiting.json", `"kind": "invalid"`},
		{"database.json", `"change_log"`},
		{"schema.sql", "CREATE TABLE"},
		{"metrics.txt", "tributary_parked"},
		{"log.txt", `pass failed loop="push"`},
		{"log.txt", `request method="GET"`},
		{"goroutines.txt", "tributary/node"},
	} {
		if !strings.Contains(files[want.file], want.part) {
			t.Errorf("%s of the bundle lacks %q:\n%.3000s", want.file, want.part, files[want.file])
		}
	}
	for name, text := range files {
		clean(t, name+" of the bundle", text, p.secrets...)
	}
	if got := strings.TrimSpace(files["missing.txt"]); got != "" {
		t.Errorf("missing: %s", got)
	}
	clean(t, "the log", p.district.log.String(), p.secrets...)
	if !strings.Contains(p.district.log.String(), "pass failed") {
		t.Error("the log does not say that passes failed")
	}
	res, err := http.Get(p.district.url() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	metrics, err := io.ReadAll(res.Body)
	if err != nil || !bytes.Contains(metrics, []byte("tributary_parked")) {
		t.Fatalf("no metrics (%v): %s", err, metrics)
	}
	clean(t, "/metrics", string(metrics), p.secrets...)

	// The clinic does not run, and has a held copy.
	path = filepath.Join(t.TempDir(), "c.tar.gz")
	p.clinic.must(t, "support-bundle", path)
	files = unpack(t, path)
	for name, text := range files {
		clean(t, name+" of the clinic's bundle", text, p.secrets...)
	}
	if !strings.Contains(files["waiting.json"], `"what": "held"`) || files["goroutines.txt"] != "" {
		t.Errorf("the clinic's bundle has %s", files["waiting.json"])
	}
}

// The same resource has the same token throughout a bundle, and another one in the next.
func TestTokens(t *testing.T) {
	m := newMachine(t, "a", "")
	m.must(t, "load", m.write(t, "p.ndjson", patients(1)))
	ids := map[string]bool{}
	for i := range 2 {
		path := filepath.Join(t.TempDir(), fmt.Sprint(i))
		m.must(t, "support-bundle", path)
		var rows []struct{ Type, ID string }
		if err := json.Unmarshal([]byte(unpack(t, path)["audit.json"]), &rows); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.Type == "Patient" {
				ids[r.ID] = true
			}
		}
	}
	if len(ids) != 2 {
		t.Errorf("got %v, want one token in each of two bundles", ids)
	}
}

// Where configuration or database are broken the bundle still says what can be said.
func TestSupportOfWhatIsBroken(t *testing.T) {
	t.Run("configuration", func(t *testing.T) {
		m := newMachine(t, "a", "")
		m.write(t, "tributary.yaml", "node: {name: a}\nZyxwani: {Quorrab: 1}\npull: {types: [{type: Zyxwani}]}\n")
		path := filepath.Join(m.dir, "b.tar.gz")
		m.must(t, "support-bundle", path)
		files := unpack(t, path)
		if !strings.Contains(files["missing.txt"], "node: usage") {
			t.Errorf("missing.txt: %s", files["missing.txt"])
		}
		for name, text := range files {
			clean(t, name, text)
		}
	})
	t.Run("database", func(t *testing.T) {
		m := newMachine(t, "a", "")
		m.write(t, "data/tributary.db", "Zyxwani Quorrab "+strings.Repeat("no database ", 1000))
		path := filepath.Join(m.dir, "b.tar.gz")
		m.must(t, "support-bundle", path)
		files := unpack(t, path)
		if !strings.Contains(files["missing.txt"], "database damaged") {
			t.Errorf("missing.txt: %s", files["missing.txt"])
		}
		for name, text := range files {
			clean(t, name, text)
		}
	})
}
