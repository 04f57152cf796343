package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// serviced runs a command with a systemd of the test's own.
func (m machine) serviced(t *testing.T, with machinery, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	a := m.app(strings.NewReader(""), &out, &errs)
	a.service = with
	code := a.run(t.Context(), append(args, "--config", filepath.Join(m.dir, "tributary.yaml")))
	return result{out.String(), errs.String(), code}
}

func TestService(t *testing.T) {
	m := newMachine(t, "clinic-a", "")
	var ran []string
	with := machinery{units: t.TempDir(), live: t.TempDir(), root: true}
	answer := "UnitFileState=enabled\nActiveState=active\nSubState=running\nActiveEnterTimestamp=Sat 2026-11-21\nMainPID=42\n"
	with.run = func(_ context.Context, name string, args ...string) (string, error) {
		ran = append(ran, name+" "+strings.Join(args, " "))
		return answer, nil
	}
	if r := m.serviced(t, with, "service", "status"); r.code != 1 || !strings.Contains(r.err, "service install") {
		t.Errorf("status of none: %d %s", r.code, r.err)
	}
	if r := m.serviced(t, with, "service", "install", "--user", "root"); r.code != 0 {
		t.Fatalf("install: %d\n%s%s", r.code, r.out, r.err)
	}
	done := strings.Join(ran, "\n")
	for _, want := range []string{"chown -R root: " + filepath.Join(m.dir, "data"), "systemctl daemon-reload\nsystemctl enable tributary.service\nsystemctl restart tributary.service"} {
		if !strings.Contains(done, want) {
			t.Errorf("it did not run %q:\n%s", want, done)
		}
	}
	path := filepath.Join(with.units, "tributary.service")
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if dry := m.serviced(t, with, "service", "install", "--user", "root", "--dry-run"); dry.out != string(written) {
		t.Errorf("--dry-run prints\n%s\nand the unit is\n%s", dry.out, written)
	}
	if r := m.serviced(t, with, "service", "status"); r.code != 0 || !strings.Contains(r.out, "active (running)") || !strings.Contains(r.out, "Process 42") {
		t.Errorf("status: %d\n%s%s", r.code, r.out, r.err)
	}
	answer = "UnitFileState=enabled\nActiveState=failed\nSubState=failed\nMainPID=0\n"
	if r := m.serviced(t, with, "service", "status"); r.code != 3 || !strings.Contains(r.out, "failed (failed)") {
		t.Errorf("status: %d\n%s%s", r.code, r.out, r.err)
	}
	if r := m.serviced(t, with, "service", "uninstall"); r.code != 0 {
		t.Errorf("uninstall: %d\n%s%s", r.code, r.out, r.err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the unit is still there")
	}

	with.root = false
	if r := m.serviced(t, with, "service", "install"); r.code != 1 || !strings.Contains(r.err, "sudo") {
		t.Errorf("without root: %d %s", r.code, r.err)
	}
	with.live = filepath.Join(with.live, "none")
	if r := m.serviced(t, with, "service", "install"); r.code != 1 || !strings.Contains(r.err, "not run by systemd") {
		t.Errorf("without systemd: %d %s", r.code, r.err)
	}
}

// The unit is one that systemd takes, and keeps the node in its own folders.
func TestUnit(t *testing.T) {
	m := newMachine(t, "clinic-a", "")
	out := m.must(t, "service", "install", "--user", "root", "--dry-run")
	for _, want := range []string{
		"ExecStart=/", " serve --config " + filepath.Join(m.dir, "tributary.yaml"), "ProtectSystem=strict", "ReadWritePaths=" + filepath.Join(m.dir, "data") + " " + m.dir, "NoNewPrivileges=yes", "User=root",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the unit lacks %q:\n%s", want, out)
		}
	}
	if analyze, err := exec.LookPath("systemd-analyze"); err == nil {
		said, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", m.write(t, "tributary.service", out)).CombinedOutput()
		if err != nil || bytes.Contains(said, []byte("tributary.service:")) {
			t.Errorf("systemd-analyze verify: %v\n%s", err, said)
		}
	}
	m.env = []string{"TRIBUTARY_NODE__DATA_DIR=/var/lib/tributary"}
	m.refused(t, 2, []string{"which others use", "/var/lib/tributary/data"}, "service", "install", "--dry-run")
	m.env = []string{"TRIBUTARY_NODE__LISTEN=:80"}
	if out := m.must(t, "service", "install", "--dry-run"); !strings.Contains(out, "AmbientCapabilities=CAP_NET_BIND_SERVICE") {
		t.Errorf("it may not listen on port 80:\n%s", out)
	}
}
