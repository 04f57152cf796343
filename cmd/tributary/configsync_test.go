package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/control"
)

// What is synchronised is shown, previewed and changed, whether the node runs or not, and the file says it.
func TestConfigSync(t *testing.T) {
	parent := newMachine(t, "parent", "")
	parent.must(t, "load", parent.write(t, "p.ndjson", patients(5)))
	parent.serve(t)
	m := newMachine(t, "clinic", parent.url())
	credential := strings.TrimSpace(parent.do(t, "child", "add", "clinic").out)
	if err := os.WriteFile(filepath.Join(m.dir, "data", "parent.token"), []byte(credential+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := m.must(t, "config", "sync"); !strings.Contains(out, "all other types") || !strings.Contains(out, "merge") {
		t.Error(out)
	}
	m.must(t, "config", "sync", "--pull", "Location", "--policy", "Patient=last-writer-wins")
	file, err := os.ReadFile(filepath.Join(m.dir, "tributary.yaml"))
	if err != nil || !strings.Contains(string(file), "types: [{type: Location}]") || !strings.Contains(string(file), "types: {Patient: last-writer-wins}") {
		t.Errorf("%s, %v", file, err)
	}
	m.serve(t)
	if out := m.must(t, "config", "sync", "--pull", "+Patient", "--push=-Location", "--dry-run"); !strings.Contains(out, "pull of Patient: off -> on") ||
		!strings.Contains(out, "This would fetch 5 resources, about ") || !strings.Contains(out, "push of Location: on -> off") {
		t.Error(out)
	}
	m.must(t, "config", "sync", "--pull", "+Patient", "--policy", "Patient=", "--policy", "*=last-writer-wins")
	var s control.Settings
	m.value(t, &s, "config", "sync")
	if !s.Pull.Goes("Patient") || !s.Pull.Goes("Location") || s.Pull.Goes("Basic") || len(s.Conflicts.Types) != 0 || s.Conflicts.Default != "last-writer-wins" {
		t.Errorf("%+v", s)
	}
	var p control.SettingsPreview
	m.value(t, &p, "config", "sync", "--pull", "none", "--dry-run")
	if len(p.Changes) != 2 {
		t.Errorf("%+v", p)
	}
	m.refused(t, 2, []string{"pull.types[2].type", "Did you mean Patient?"}, "config", "sync", "--pull", "+Pacient")
	m.refused(t, 2, []string{"conflicts.default", "defer"}, "config", "sync", "--policy", "*=defr")
	if out := m.must(t, "config", "sync", "--client", "push:Patient=fhir", "--dry-run"); !strings.Contains(out, "push client of Patient: as all others -> fhir") {
		t.Error(out)
	}
	m.must(t, "config", "sync", "--client", "push:Patient=fhir")
	if out := m.must(t, "config", "sync"); !strings.Contains(out, "yes (fhir)") {
		t.Error(out)
	}
	m.refused(t, 2, []string{"push.types", "fhir, rest"}, "config", "sync", "--client", "push:Patient=soap")
	m.refused(t, 2, []string{"WAY:TYPE=CLIENT"}, "config", "sync", "--client", "Patient=fhir")
	m.refused(t, 2, []string{"TYPE=POLICY"}, "config", "sync", "--policy", "Patient")
	m.refused(t, 2, []string{"none"}, "config", "sync", "--pull", "none,Patient")
	if out := m.must(t, "audit"); !strings.Contains(out, "pull of Patient: on -> off") {
		t.Error(out)
	}
}
