package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
)

// exampleWorld is a district between a nation and a clinic, with everything that the examples speak of.
type exampleWorld struct {
	machine
	dir, conflict string
	parked        control.Parked
	nation        machine
	clinic        machine           // it does not run
	others        *strings.Replacer // what stands in the examples for an address, a file or a key
}

func newExampleWorld(t *testing.T) *exampleWorld {
	t.Helper()
	nation := newMachine(t, "nation", "")
	nation.serve(t)
	w := &exampleWorld{nation: nation, machine: newMachine(t, "district", nation.url()), dir: t.TempDir()}
	file := filepath.Join(w.machine.dir, "tributary.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	emr := refusing(t, http.StatusUnprocessableEntity, "{}")
	w.write(t, "tributary.yaml", strings.Replace(string(text), "#types: {AllergyIntolerance: defer}", "types: {Patient: defer}", 1)+
		"\nservers:\n  emr: {url: "+emr.URL+"/fhir, push: [{type: Patient}]}\n")
	w.write(t, "data/parent.token", nation.must(t, "child", "add", "district"))
	w.serve(t)
	w.clinic = newMachine(t, "clinic-a", w.url())
	w.clinic.write(t, "data/parent.token", w.must(t, "child", "add", "clinic-a"))
	w.put(t, "Patient/42", `{"resourceType":"Patient","id":"42"}`)
	w.clinic.must(t, "sync")
	w.clinic.must(t, "load", w.clinic.write(t, "x.json", `{"resourceType":"Patient","id":"42","gender":"male"}`))
	w.put(t, "Patient/42", `{"resourceType":"Patient","id":"42","gender":"female"}`)
	w.clinic.do(t, "sync")
	var open []control.Conflict
	if w.value(t, &open, "conflict", "list", "--open"); len(open) != 1 {
		t.Fatalf("got %+v", open)
	}
	w.conflict = open[0].UUID
	w.must(t, "device", "add", "phone-7", "Patient")
	stick, backup := filepath.Join(w.clinic.dir, "media/stick"), filepath.Join(w.clinic.dir, "media/backup/clinic-a.db")
	for _, file := range []string{filepath.Join(stick, "x"), backup, filepath.Join(w.dir, "tmp/x"), filepath.Join(w.dir, "media/backup/x")} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.clinic.must(t, "carry", "introduce", stick)
	w.must(t, "carry", "introduce", stick)
	var met struct {
		Introduced []struct{ Fingerprint string }
	}
	if w.clinic.value(t, &met, "carry", "introduce", stick); len(met.Introduced) != 1 {
		t.Fatalf("got %+v", met)
	}
	w.must(t, "carry", "out", stick)
	w.clinic.must(t, "backup", backup)
	w.others = strings.NewReplacer("https://a.example", w.url(), "https://b.example", nation.url(), "https://hq.example", nation.url(),
		"a.token", filepath.Join(w.machine.dir, "data/admin.token"), "b.token", filepath.Join(nation.dir, "data/admin.token"), "SHA256:4n7Q...", met.Introduced[0].Fingerprint)
	eventually(t, "what the server refuses is parked", func() bool {
		var parked []control.Parked
		w.value(t, &parked, "parked", "list")
		if len(parked) > 0 {
			w.parked = parked[0]
		}
		return len(parked) > 0
	})
	return w
}

var (
	anyUUID  = regexp.MustCompile(`UUID|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}`)
	anyCause = regexp.MustCompile(`--cause [0-9a-f]+`)
	anyWords = regexp.MustCompile(`'[^']*'|\S+`)
)

// words parts a command as a shell does, as far as the examples go: quotes, a file for what is printed, no pipes. Paths are those of the test.
func (w *exampleWorld) words(command string) (m machine, args []string, into string) {
	command, _, _ = strings.Cut(strings.TrimPrefix(command, "sudo "), " | ")
	command, into, _ = strings.Cut(command, " > ")
	id := w.conflict
	if strings.Contains(command, " parked ") {
		id = w.parked.UUID
	}
	m, dir := w.machine, w.dir
	if strings.Contains(command, " carry ") || strings.Contains(command, " restore ") {
		m, dir = w.clinic, w.clinic.dir
	}
	command = anyCause.ReplaceAllString(anyUUID.ReplaceAllString(command, id), "--cause "+w.parked.Cause)
	for _, word := range anyWords.FindAllString(command, -1)[1:] {
		word = strings.Trim(word, "'")
		switch {
		case strings.HasPrefix(word, "/etc/tributary"):
			word = filepath.Join(m.dir, "tributary.yaml")
		case strings.HasPrefix(word, "/"):
			word = filepath.Join(dir, word)
		default:
			word = w.others.Replace(word)
		}
		args = append(args, word)
	}
	return m, args, into
}

// examplesOf returns the lines of the examples of a command, and of those below it by their path.
func examplesOf(c *cobra.Command, into map[string][]string) map[string][]string {
	into[c.CommandPath()] = nil
	for line := range strings.Lines(strings.ReplaceAll(c.Example, "\\\n", "")) {
		into[c.CommandPath()] = append(into[c.CommandPath()], strings.TrimSpace(line))
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			examplesOf(sub, into)
		}
	}
	return into
}

// ofDemo reports whether an example is run by TestDemo.
func ofDemo(line string) bool { return strings.HasPrefix(line, "tributary demo") }

// Every command has an example in its --help, and every example works.
func TestExamples(t *testing.T) {
	w := newExampleWorld(t)
	if err := os.Mkdir(filepath.Join(w.dir, "export"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"export/p.ndjson": patients(2), "Patient.ndjson": patients(2), "Observation.ndjson": `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"}}` + "\n",
	} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	systemd := machinery{units: t.TempDir(), live: t.TempDir(), root: true, run: func(context.Context, string, ...string) (string, error) {
		return "ActiveState=active\nSubState=running\n", nil
	}}
	var last []string // what takes away what other examples need
	all := examplesOf(w.app(strings.NewReader(""), io.Discard, io.Discard).root(), map[string][]string{})
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if len(all[path]) == 0 {
			t.Errorf("%s --help has no example", path)
		}
		for _, line := range all[path] {
			for _, command := range strings.Split(line, " && ") {
				switch {
				case !strings.HasPrefix(strings.TrimPrefix(command, "sudo "), "tributary"):
					t.Errorf("%s: the example %q is no command", path, line)
				case strings.Contains(command, "remove") || strings.Contains(command, "uninstall") || strings.Contains(command, "resolve") || strings.Contains(command, "forget"):
					last = append(last, command)
				case !ofDemo(command):
					w.example(t, systemd, command)
				}
			}
		}
	}
	for _, command := range last {
		w.example(t, systemd, command)
	}
}

func (w *exampleWorld) example(t *testing.T, systemd machinery, line string) {
	t.Helper()
	if strings.Contains(line, " parked give-up ") { // what is tried again meanwhile gets another row
		eventually(t, strings.TrimSpace(line), func() bool {
			var parked []control.Parked
			if w.value(t, &parked, "parked", "list"); len(parked) > 0 {
				w.parked = parked[0]
			}
			_, args, _ := w.words(line)
			return w.do(t, args...).code == 0
		})
		return
	}
	m, args, into := w.words(line)
	var out, errs bytes.Buffer
	a := m.app(strings.NewReader(""), &out, &errs)
	a.service = systemd
	a.env = append(a.env, "TRIBUTARY_CONFIG="+filepath.Join(m.dir, "tributary.yaml"))
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	switch args[0] {
	case "serve": // it runs already: that is what it says
		if code := a.run(ctx, args); code != 1 || !strings.Contains(errs.String(), "runs already") {
			t.Errorf("%s: exit code %d\n%s%s", line, code, out.String(), errs.String())
		}
		return
	case "init":
		args = append(args, "--dir", filepath.Join(t.TempDir(), "new"))
	case "child", "device":
		if args[1] == "add" { // another name than those that the other examples need
			args[2] += "-" + time.Now().Format("150405.000000000")
		}
	}
	if strings.Contains(line, "--watch") {
		cancelled, stop := context.WithCancel(ctx)
		defer stop()
		a.out, ctx = &stopping{Buffer: &out, stop: stop}, cancelled
	}
	before, err := os.Getwd()
	if err == nil {
		err = os.Chdir(w.dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	code := a.run(ctx, args)
	if err := os.Chdir(before); err != nil {
		t.Fatal(err)
	}
	if code != 0 && code != exitAttention || out.Len() == 0 {
		t.Errorf("%s: exit code %d\n%s%s", strings.TrimSpace(line), code, out.String(), errs.String())
	}
	if into != "" && strings.HasPrefix(into, "/") && !strings.Contains(out.String(), "tributary") {
		t.Errorf("%s: it printed\n%s", line, out.String())
	}
}

// stopping ends a command when it has printed a text.
type stopping struct {
	*bytes.Buffer
	at   string
	stop func()
}

func (s *stopping) Write(p []byte) (int, error) {
	if strings.Contains(string(p), s.at) {
		s.stop()
	}
	return s.Buffer.Write(p)
}

// Words that a shell offers behind the tabulator key come from the node that runs.
func TestCompletion(t *testing.T) {
	w := newExampleWorld(t)
	for line, want := range map[string]string{
		"child remove ":                        "clinic-a",
		"device remove ":                       "phone-7",
		"conflict show ":                       w.conflict,
		"conflict resolve " + w.conflict + " ": "incoming",
		"sync pu":                              "push",
		"conf":                                 "conflict",
	} {
		args := append([]string{"__complete"}, strings.Split(line, " ")...)
		if out := w.must(t, args...); !strings.Contains(out, want) {
			t.Errorf("%s<tab>: got %q, want %q", line, out, want)
		}
	}
	if out := w.clinic.must(t, "__complete", "child", "remove", ""); strings.Contains(out, "district") { // it does not run, and is not opened
		t.Errorf("got %q", out)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := w.must(t, "completion", shell); !strings.Contains(out, "__complete") {
			t.Errorf("%s: got %.200q", shell, out)
		}
	}
}

func TestCSV(t *testing.T) {
	w := newExampleWorld(t)
	w.put(t, "Patient/43", `{"resourceType":"Patient","id":"43"}`)
	for _, c := range []string{
		"sync", "audit", "audit --passes", "audit --row 1", "conflict list", "conflict show " + w.conflict, "parked list", "child list", "device list", "network", "doctor",
		"carry list", "status", "verify", "explain Patient/42", "charts", "charts --month", "config sync", "config print", "version",
		"engine --source " + w.url() + " --target " + w.nation.url(),
	} {
		r := w.do(t, append(strings.Fields(c), "--csv")...)
		header, rest, _ := strings.Cut(r.out, "\n")
		for n := 44; c == "sync" && rest == "" && n < 144; n++ { // the node's own push was faster
			w.put(t, fmt.Sprint("Patient/", n), fmt.Sprintf(`{"resourceType":"Patient","id":"%d"}`, n))
			r = w.do(t, "sync", "--csv")
			header, rest, _ = strings.Cut(r.out, "\n")
		}
		if r.code != 0 && r.code != exitAttention || strings.Contains(header, " ") || header == "" || strings.Contains(r.out, "│") {
			t.Errorf("%s --csv: exit code %d\n%s%s", c, r.code, r.out, r.err)
		}
		if rest == "" && c != "verify" { // nothing differs
			t.Errorf("%s --csv prints nothing but %s", c, header)
		}
		for row := range strings.Lines(rest) {
			if strings.Count(row, ",") < strings.Count(header, ",") && !strings.Contains(rest, `"`) {
				t.Errorf("%s --csv: %q has fewer cells than %q", c, row, header)
			}
		}
	}
	if out := w.must(t, "conflict", "list", "--csv"); !strings.HasPrefix(out, "uuid,resource,status,") || !strings.Contains(out, w.conflict+",Patient/42,open,") {
		t.Errorf("got\n%s", out)
	}
	for c, want := range map[string]string{
		"status": "\nnode.name,district\n", "explain Patient/42": "\nhistory.0.version,", "charts": "\nfrom,changes,", "config sync": "type,pulled,pushed,", "conflict show " + w.conflict: "\nuuid," + w.conflict + "\n",
	} {
		if r := w.do(t, append(strings.Fields(c), "--csv")...); !strings.Contains("\n"+r.out, want) {
			t.Errorf("%s --csv: no %q in\n%s", c, want, r.out)
		}
	}
	w.refused(t, 2, []string{"--json and --csv"}, "child", "list", "--json", "--csv")
	var out strings.Builder
	found := control.Verification{Differences: []control.Difference{{Key: fhir.Key{Type: "Patient", ID: "1"}, Finding: "missing here", Why: []string{"=a", "b"}}}}
	if err := (&app{out: &out, csv: true}).printJSON(found); err != nil || !strings.HasSuffix(out.String(), "\nPatient/1,missing here,\"[\"\"=a\"\",\"\"b\"\"]\",,,false\n") {
		t.Errorf("got %v\n%s", err, out.String())
	}
	out.Reset()
	if err := (&app{out: &out, csv: true}).printJSON(map[string]any{"why": "=1", "lag": -1}); err != nil || out.String() != "field,value\nlag,-1\nwhy,'=1\n" {
		t.Errorf("got %v\n%s", err, out.String())
	}
	if got := inert("=1+1"); got != "'=1+1" {
		t.Errorf("a spreadsheet would compute %q", got)
	}
}
