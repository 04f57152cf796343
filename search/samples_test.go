package search

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
)

// samples calls visit with every resource of the sample data: single files, lines of NDJSON, entries of bundles.
func samples(t testing.TB, visit func(file string, r fhir.Resource)) {
	t.Helper()
	dir := os.Getenv("SAMPLES_DIR")
	if dir == "" {
		dir = "../../shared/fhir-samples"
	}
	read := func(file string, body []byte) {
		r, err := fhir.Parse(body, 0)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		visit(file, r)
		if r.Key.Type != "Bundle" {
			return
		}
		var b struct {
			Entry []struct{ Resource json.RawMessage }
		}
		if err := json.Unmarshal(r.Body, &b); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, e := range b.Entry {
			if len(e.Resource) == 0 {
				continue
			}
			entry, err := fhir.Parse(e.Resource, 0)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			visit(file, entry)
		}
	}
	for _, pattern := range []string{"hl7-r4-examples/*.json", "synthea-2019-bundles/*.json", "synthea-2023-ndjson/*.ndjson"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no sample %s in %s (error %v). set SAMPLES_DIR to the folder of the sample data", pattern, dir, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(file, ".ndjson") {
				read(file, b)
				continue
			}
			lines := bufio.NewScanner(strings.NewReader(string(b)))
			lines.Buffer(nil, 16<<20)
			for lines.Scan() {
				read(file, lines.Bytes())
			}
			if lines.Err() != nil {
				t.Fatal(lines.Err())
			}
		}
	}
}

// links names where the samples speak of a patient, by what the text of R4 says and not by the table under test: the member
// names that hold the patient at the top of a resource, and the longer paths of the few types that have them.
func links(resourceType string) []string {
	switch resourceType {
	case "Appointment":
		return []string{"participant.actor"}
	case "AppointmentResponse":
		return []string{"actor"}
	case "AuditEvent":
		return []string{"agent.who", "entity.what"}
	case "Person":
		return []string{"link.target"}
	case "Provenance":
		return []string{"target"}
	case "AdverseEvent", "Group", "BiologicallyDerivedProduct", "Schedule", "ResearchStudy", "Linkage", "SupplyRequest":
		return nil // R4 gives them no search parameter patient
	default:
		return []string{"patient", "subject", "for", "beneficiary", "candidate", "individual"}
	}
}

func TestValuesOfSamples(t *testing.T) {
	identifiers, patients, resources := 0, 0, 0
	samples(t, func(file string, r fhir.Resource) {
		resources++
		rows := Values(r.Key, r.Body)
		if want := naive(t, r.Key.Type, r.Body); len(rows)+len(want) > 0 && !reflect.DeepEqual(rows, want) {
			t.Errorf("%s %s: got %+v, want %+v", file, r.Key, rows, want)
		}
		var root map[string]any
		if err := json.Unmarshal(r.Body, &root); err != nil {
			t.Fatal(err)
		}
		for _, v := range append(at(root, "identifier"), at(root, "masterIdentifier")...) {
			m, _ := v.(map[string]any)
			system, _ := m["system"].(string)
			id, _ := m["value"].(string)
			if system+id == "" {
				continue
			}
			identifiers++
			if !slices.Contains(rows, Value{Identifier, Key(system), Key(id)}) {
				t.Errorf("%s %s: identifier %s|%s is not indexed", file, r.Key, system, id)
			}
		}
		for _, path := range links(r.Key.Type) {
			for _, v := range at(root, strings.Split(path, ".")...) {
				m, _ := v.(map[string]any)
				text, _ := m["reference"].(string)
				if !strings.HasPrefix(text, "Patient/") && !strings.HasPrefix(text, "Patient?") && !strings.HasPrefix(text, "urn:") {
					continue
				}
				text, _, _ = strings.Cut(text, "/_history/")
				patients++
				if !slices.Contains(rows, Value{Patient, "", Key(text)}) {
					t.Errorf("%s %s: %s %s is not indexed", file, r.Key, path, text)
				}
				if id, ok := strings.CutPrefix(text, "Patient/"); ok {
					if !mustParse(t, r.Key.Type, "patient="+id).Match(r.Key, r.Body, 0) {
						t.Errorf("%s %s: not found by patient=%s", file, r.Key, id)
					}
				}
			}
		}
	})
	if resources < 8000 || identifiers < 1000 || patients < 5000 {
		t.Errorf("only %d resources with %d identifiers and %d references to patients were seen", resources, identifiers, patients)
	}
	t.Logf("%d resources, %d identifiers, %d references to patients", resources, identifiers, patients)
}

// BenchmarkValues reads real resources of 2 to 4 kB: the cost for each written resource.
func BenchmarkValues(b *testing.B) {
	var some []fhir.Resource
	total := 0
	samples(b, func(_ string, r fhir.Resource) {
		if n := len(r.Body); n >= 2000 && n <= 4000 && hasIdentifier(r.Key.Type) && patientPaths(r.Key.Type) != "" && len(some) < 500 {
			some = append(some, r)
			total += n
		}
	})
	b.SetBytes(int64(total / len(some)))
	b.ReportAllocs()
	b.ResetTimer()
	i := 0
	for b.Loop() {
		Values(some[i].Key, some[i].Body)
		if i++; i == len(some) {
			i = 0
		}
	}
}
