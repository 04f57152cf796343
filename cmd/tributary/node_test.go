package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/cmd/tributary/load"
	"github.com/tributary-sync/tributary/control"
)

func samplesDir(t *testing.T, folder string) string {
	t.Helper()
	dir := os.Getenv("SAMPLES_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "fhir-samples")
	}
	dir, err := filepath.Abs(filepath.Join(dir, folder))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("the sample data are missing (set SAMPLES_DIR): %v", err)
	}
	return dir
}

// Every command works whether the node runs or not, with the same answers.
func TestLoadAndLook(t *testing.T) {
	m := newMachine(t, "a", "")
	file := m.write(t, "in/p.ndjson", patients(300)+`{"resourceType":"Patient","id":"no id"}`+"\n")
	look := func(t *testing.T) {
		var s control.Status
		m.value(t, &s, "status")
		if s.Node.Name != "a" || s.Counts.Resources["Patient"] != 300 {
			t.Errorf("got status %+v", s)
		}
		var c control.Charts
		m.value(t, &c, "charts")
		if len(c.Day) != 24 || len(c.Month) != 30 || c.Month[28].Changes+c.Month[29].Changes != 300 {
			t.Errorf("got charts %+v", c)
		}
		var e control.Explanation
		m.value(t, &e, "explain", "Patient/p7")
		if !e.Exists || len(e.History) != 1 || len(e.Audit) == 0 {
			t.Errorf("got explanation %+v", e)
		}
		var records []audit.Record
		m.value(t, &records, "audit", "--type", "Patient", "--id", "p7", "--since", "1h")
		if len(records) != 1 || records[0].Key.String() != "Patient/p7" {
			t.Errorf("got audit %+v", records)
		}
		for _, c := range []string{"status", "explain Patient/p7", "audit --failed", "audit --passes", "conflict list --open", "parked list", "child list", "doctor", "config print", "version", "charts", "charts --month"} {
			if out := m.must(t, strings.Fields(c)...); strings.TrimSpace(out) == "" {
				t.Errorf("%s printed nothing", c)
			}
		}
		for _, c := range []string{"conflict list", "parked list", "child list", "audit --failed", "audit --passes"} {
			var list []any
			if m.value(t, &list, strings.Fields(c)...); list == nil {
				t.Errorf("%s --json printed null", c)
			}
		}
	}
	again := func(t *testing.T, loaded, unchanged int) {
		r := m.do(t, "load", file)
		if r.code != 3 || !strings.Contains(r.out, "p.ndjson, line 301") || !strings.Contains(r.out, "is not a FHIR id") {
			t.Errorf("load: got exit code %d, want 3 and the line that was refused:\n%s%s", r.code, r.out, r.err)
		}
		j := m.do(t, "load", filepath.Join(m.dir, "in"), "--dry-run", "--json")
		if j.code != 3 || !strings.Contains(j.out, `"refused": 1`) {
			t.Errorf("load --dry-run --json: got exit code %d:\n%s%s", j.code, j.out, j.err)
		}
		fields := strings.Fields(strings.NewReplacer("│", " ").Replace(lineWith(r.out, "all")))
		if want := []string{"all", number(loaded), number(unchanged), "1"}; strings.Join(fields, " ") != strings.Join(want, " ") {
			t.Errorf("got %v, want %v", fields, want)
		}
	}
	t.Run("first", func(t *testing.T) { again(t, 300, 0) })
	t.Run("stopped", look)
	t.Run("again", func(t *testing.T) { again(t, 0, 300) })
	stop := m.serve(t)
	t.Run("running", look)
	t.Run("again, running", func(t *testing.T) { again(t, 0, 300) })
	res, err := http.Get(m.url() + "/fhir/R4/Patient/p7")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("got %s", res.Status)
	}
	stop()
	t.Run("stopped again", look)
}

func lineWith(text, word string) string {
	for _, line := range strings.Split(text, "\n") {
		if strings.Contains(line, word+" ") {
			return line
		}
	}
	return ""
}

// The real records of many clinics, bundle by bundle, arrive complete.
func TestLoadSamples(t *testing.T) {
	m := newMachine(t, "a", "")
	m.serve(t)
	var r load.Report
	m.value(t, &r, "load", samplesDir(t, "synthea-2019-bundles"), samplesDir(t, "synthea-2023-ndjson"))
	if total := r.Total(); total.Loaded+total.Unchanged != 7684 || r.Unsolved != 0 {
		t.Errorf("got %+v, unresolved %v", total, r.Kept)
	}
	var s control.Status
	m.value(t, &s, "status")
	if s.Counts.Total != 7660 {
		t.Errorf("got %d resources, want 7660", s.Counts.Total)
	}
}

// A child that was admitted delivers to its parent; one without a credential, and one that was removed, does not.
func TestChild(t *testing.T) {
	nation := newMachine(t, "nation", "")
	nation.serve(t)
	clinic := newMachine(t, "clinic", nation.url())
	clinic.must(t, "load", clinic.write(t, "p.ndjson", patients(20)))
	clinic.refused(t, 1, []string{"parent.token"}, "sync")
	clinic.write(t, "data/parent.token", "trib_wrong\n")
	clinic.refused(t, 1, []string{"credential"}, "sync")

	r := nation.do(t, "child", "add", "clinic")
	credential := strings.TrimSpace(r.out)
	if r.code != 0 || strings.Contains(credential, "\n") || !strings.HasPrefix(credential, "trib_") || !strings.Contains(r.err, "parent.credential_file") {
		t.Fatalf("child add: got exit code %d:\n%s%s", r.code, r.out, r.err)
	}
	clinic.write(t, "data/parent.token", credential+"\n")
	nation.refused(t, 1, []string{"clinic"}, "child", "add", "clinic")
	nation.refused(t, 2, []string{"not a name"}, "child", "add", "a b")
	nation.refused(t, 1, []string{"no parent"}, "sync")
	clinic.refused(t, 2, []string{`"up" is none of pull, push, both`}, "sync", "up")

	clinic.must(t, "sync")
	clinic.must(t, "doctor")
	var s control.Status
	nation.value(t, &s, "status")
	if s.Counts.Resources["Patient"] != 20 || len(s.Children) != 1 || s.Children[0].LastSeen == 0 {
		t.Errorf("got %+v", s)
	}

	clinic.serve(t)
	nation.put(t, "Patient/n1", `{"resourceType":"Patient","id":"n1"}`)
	eventually(t, "what is written at the nation reaches the clinic", func() bool {
		res, err := http.Get(clinic.url() + "/fhir/R4/Patient/n1")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})

	nation.must(t, "child", "remove", "clinic")
	nation.refused(t, 1, []string{"clinic"}, "child", "remove", "clinic")
	clinic.refused(t, 1, []string{"credential"}, "sync")
}

// The tour ends by itself, within its time, and finds every node with the same copies; without --once the nodes keep running. These are the examples of demo.
func TestDemo(t *testing.T) {
	ran := 0
	for path, lines := range examplesOf((&app{}).root(), map[string][]string{}) {
		for _, line := range slices.DeleteFunc(lines, func(line string) bool { return !ofDemo(line) }) {
			ran++
			t.Run(path+": "+line, func(t *testing.T) {
				m := machine{dir: t.TempDir()}
				ctx, stop := context.WithTimeout(t.Context(), 4*deadline)
				defer stop()
				var out, errs bytes.Buffer
				a := m.app(strings.NewReader(""), &stopping{Buffer: &out, at: "Ctrl-C stops all of them", stop: stop}, &errs)
				if code := a.run(ctx, append(strings.Fields(line)[1:], "--keep", filepath.Join(m.dir, "nodes"))); code != 0 {
					t.Errorf("exit code %d:\n%s%s", code, out.String(), errs.String())
				}
				for _, want := range []string{"winner: the edit of clinic-", "loser:  the edit of clinic-", "Every node holds the same copies"} {
					if !strings.Contains(out.String(), want) {
						t.Errorf("the tour does not say %q:\n%s", want, out.String())
					}
				}
				m.must(t, "status", "--config", "nodes/clinic-a/tributary.yaml")
			})
		}
	}
	if ran < 2 {
		t.Errorf("only %d examples show the demo", ran)
	}
}
