package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/control"
)

// Doctor says something about a node in any state, with what to do about what is wrong.
func TestDoctor(t *testing.T) {
	found := func(t *testing.T, m machine, code int, args ...string) map[string]control.Check {
		t.Helper()
		r := m.do(t, append([]string{"doctor", "--json"}, args...)...)
		if r.code != code || r.err != "" {
			t.Errorf("got exit code %d, want %d:\n%s%s", r.code, code, r.out, r.err)
		}
		var checks []control.Check
		decode(t, r.out, &checks)
		out := map[string]control.Check{}
		for _, c := range checks {
			if c.Level == control.Fail && c.Hint == "" {
				t.Errorf("it is not said what to do: %+v", c)
			}
			out[c.Name] = c
		}
		return out
	}
	want := func(t *testing.T, c control.Check, level control.Level, detail, hint string) {
		t.Helper()
		if c.Level != level || !strings.Contains(c.Detail, detail) || !strings.Contains(c.Hint, hint) {
			t.Errorf("got %+v, want %s, %q, %q", c, level, detail, hint)
		}
	}
	m := newMachine(t, "a", "")
	m.must(t, "load", m.write(t, "p.ndjson", patients(3)))
	t.Run("stopped", func(t *testing.T) {
		got := found(t, m, 0)
		want(t, got["node"], control.Warn, "does not run", "tributary serve")
		want(t, got["integrity"], control.OK, "--full", "")
	})
	t.Run("running", func(t *testing.T) {
		stop := m.serve(t)
		defer stop()
		got := found(t, m, 0, "--full")
		want(t, got["node"], control.OK, m.url(), "")
		want(t, got["integrity"], control.OK, "3 copies have the content that was written", "")
		for _, name := range []string{"configuration", "keys", "disk", "database", "schema", "epoch"} {
			if c := got[name]; c.Level != control.OK && name != "disk" {
				t.Errorf("%s: got %+v", name, c)
			}
		}
		text, err := os.ReadFile(filepath.Join(m.dir, "tributary.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		m.write(t, "tributary.yaml", string(text)+"\nfeeds: {page_size: 5}\n")
		defer m.write(t, "tributary.yaml", string(text))
		got = found(t, m, 2)
		want(t, got["node"], control.Warn, "earlier configuration", "")
		want(t, got["configuration"], control.Fail, "feeds", "")
		want(t, got["keys"], control.OK, "are there", "")
	})
	t.Run("two mistakes", func(t *testing.T) {
		m.env = []string{"TRIBUTARY_PULL__PAGE=-1", "TRIBUTARY_LOG__LEVEL=loud"}
		r := m.do(t, "doctor")
		if r.code != 2 || strings.Count(r.out, "FAIL  configuration") != 2 || strings.Contains(r.out, "\x1b[") {
			t.Errorf("got exit code %d\n%s%s", r.code, r.out, r.err)
		}
	})
	m.env = nil
	t.Run("keys that others can read", func(t *testing.T) {
		if err := os.Chmod(filepath.Join(m.dir, "data", "admin.token"), 0o644); err != nil {
			t.Fatal(err)
		}
		want(t, found(t, m, 0)["keys"], control.Warn, "can read", "chmod 600")
	})
	t.Run("damaged database", func(t *testing.T) {
		m.write(t, "data/tributary.db", strings.Repeat("no database ", 1000))
		got := found(t, m, 1)
		want(t, got["node"], control.Fail, "cannot be asked", "restore a backup")
		want(t, got["configuration"], control.OK, "", "")
	})
	t.Run("no database", func(t *testing.T) {
		if err := os.RemoveAll(filepath.Join(m.dir, "data")); err != nil {
			t.Fatal(err)
		}
		got := found(t, m, 1)
		want(t, got["node"], control.Fail, "there is no", "mounted")
		want(t, got["keys"], control.Fail, "there is no", "mounted")
	})
	m = machine{dir: t.TempDir()}
	m.refused(t, 2, []string{"there is no tributary.yaml"}, "doctor")
}
