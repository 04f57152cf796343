package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/control"
)

// exampleWorld is a district between a nation and a clinic, with everything that the examples speak of.
type exampleWorld struct {
	machine
	dir, conflict string
	parked        control.Parked
	clinic        machine
}

func newExampleWorld(t *testing.T) *exampleWorld {
	t.Helper()
	nation := newMachine(t, "nation", "")
	nation.serve(t)
	w := &exampleWorld{machine: newMachine(t, "district", nation.url()), dir: t.TempDir()}
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

// words parts a line as a shell does, as far as the examples go: quotes, a file for what is printed, no pipes. Paths are those of the test.
func (w *exampleWorld) words(line string) (args []string, into string) {
	line, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "sudo "), " | ")
	line, into, _ = strings.Cut(line, " > ")
	id := w.conflict
	if strings.Contains(line, " parked ") {
		id = w.parked.UUID
	}
	line = anyCause.ReplaceAllString(anyUUID.ReplaceAllString(line, id), "--cause "+w.parked.Cause)
	for _, word := range anyWords.FindAllString(line, -1)[1:] {
		word = strings.Trim(word, "'")
		switch {
		case strings.HasPrefix(word, "/etc/tributary"):
			word = filepath.Join(w.machine.dir, "tributary.yaml")
		case strings.HasPrefix(word, "/"):
			word = filepath.Join(w.dir, word)
		}
		args = append(args, word)
	}
	return args, into
}

// elsewhere says which examples another test runs, because they need a world of their own.
func elsewhere() map[string]string {
	return map[string]string{
		"tributary demo": "TestDemo", "tributary demo --once --size 5": "TestDemo", "tributary engine": "TestEngine", "tributary restore": "TestRestore",
		"tributary carry out": "TestCarry in internal/processtest", "tributary carry in": "TestCarry in internal/processtest", "tributary carry forget": "TestCarry in internal/processtest",
		"tributary carry introduce /media/stick --accept": "TestCarry in internal/processtest",
	}
}

// Every command has an example in its --help, and every example works.
func TestExamples(t *testing.T) {
	w := newExampleWorld(t)
	for _, folder := range []string{"media/stick", "media/backup", "tmp", "export"} {
		if err := os.MkdirAll(filepath.Join(w.dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
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
	var last []func() // what takes away what other examples need
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Example == "" {
			t.Errorf("%s --help has no example", c.CommandPath())
		}
		for line := range strings.Lines(strings.ReplaceAll(c.Example, "\\\n", "")) {
			if !strings.HasPrefix(strings.TrimPrefix(strings.TrimSpace(line), "sudo "), "tributary") {
				t.Errorf("%s: the example %q is no command", c.CommandPath(), line)
				continue
			}
			run := func() { w.example(t, systemd, line) }
			if strings.Contains(line, "remove") || strings.Contains(line, "uninstall") || strings.Contains(line, "resolve") {
				last = append(last, run)
			} else {
				run()
			}
		}
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				walk(sub)
			}
		}
	}
	root := w.app(strings.NewReader(""), io.Discard, io.Discard).root()
	walk(root)
	for _, run := range last {
		run()
	}
}

func (w *exampleWorld) example(t *testing.T, systemd machinery, line string) {
	t.Helper()
	for start := range elsewhere() {
		if strings.HasPrefix(strings.TrimSpace(line), start) {
			return
		}
	}
	if strings.Contains(line, " parked give-up ") { // what is tried again meanwhile gets another row
		eventually(t, strings.TrimSpace(line), func() bool {
			var parked []control.Parked
			if w.value(t, &parked, "parked", "list"); len(parked) > 0 {
				w.parked = parked[0]
			}
			args, _ := w.words(line)
			return w.do(t, args...).code == 0
		})
		return
	}
	args, into := w.words(line)
	var out, errs bytes.Buffer
	a := w.app(strings.NewReader(""), &out, &errs)
	a.service = systemd
	a.env = append(a.env, "TRIBUTARY_CONFIG="+filepath.Join(w.machine.dir, "tributary.yaml"))
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	switch args[0] {
	case "serve": // it runs already: that is what it says
		if code := a.run(ctx, args); code != 1 || !strings.Contains(errs.String(), "holds this port") {
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

// stopping ends a watch when it has shown its first picture.
type stopping struct {
	*bytes.Buffer
	stop func()
}

func (s *stopping) Write(p []byte) (int, error) {
	s.stop()
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
	for _, c := range []string{"audit", "audit --passes", "conflict list", "parked list", "child list", "device list", "network", "doctor", "carry list", "sync"} {
		r := w.do(t, append(strings.Fields(c), "--csv")...)
		header, rest, _ := strings.Cut(r.out, "\n")
		if r.code != 0 && r.code != exitAttention || strings.Contains(header, " ") || header == "" || strings.Contains(r.out, "│") {
			t.Errorf("%s --csv: exit code %d\n%s%s", c, r.code, r.out, r.err)
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
	w.refused(t, 2, []string{"--json and --csv"}, "child", "list", "--json", "--csv")
	if got := inert("=1+1"); got != "'=1+1" {
		t.Errorf("a spreadsheet would compute %q", got)
	}
}
