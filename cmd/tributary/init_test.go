package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInit(t *testing.T) {
	m := machine{dir: t.TempDir()}
	out := m.must(t, "init", "--name", "clinic-a", "--parent", "http://127.0.0.1:9", "--listen", freePort(t))
	for _, step := range []string{"1. at the parent: tributary child add clinic-a --key ", "2. tributary serve", "3. tributary doctor"} {
		if !strings.Contains(out, step) {
			t.Errorf("the next steps lack %q:\n%s", step, out)
		}
	}
	for _, secret := range []string{"admin.token", "node.key"} {
		info, err := os.Stat(filepath.Join(m.dir, "data", secret))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got mode %v, want 0600", secret, info.Mode().Perm())
		}
		text, err := os.ReadFile(filepath.Join(m.dir, "data", secret))
		if err != nil || len(text) < 40 || strings.Contains(out, strings.TrimSpace(string(text))) {
			t.Errorf("%s: %d bytes (%v), or it was printed", secret, len(text), err)
		}
	}
	before, err := os.ReadFile(filepath.Join(m.dir, "tributary.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	m.refused(t, 1, []string{"there is a tributary.yaml already", "--dir"}, "init", "--name", "other")
	if after, err := os.ReadFile(filepath.Join(m.dir, "tributary.yaml")); err != nil || string(after) != string(before) {
		t.Errorf("init changed the file that was there (%v)", err)
	}

	out = m.must(t, "init", "--name", "top", "--dir", "sub", "--listen", freePort(t))
	for _, step := range []string{"1. tributary serve --config sub/tributary.yaml", "2. open http://127.0.0.1:", "3. tributary child add NAME"} {
		if !strings.Contains(out, step) {
			t.Errorf("the next steps lack %q:\n%s", step, out)
		}
	}
	m.must(t, "status", "--config", "sub/tributary.yaml")
}

// What init cannot finish it takes back, so that it can be tried again.
func TestInitTakesBack(t *testing.T) {
	m := machine{dir: t.TempDir()}
	m.refused(t, 2, []string{"parent.url"}, "init", "--name", "a", "--parent", "not a url")
	m.must(t, "init", "--name", "a", "--listen", freePort(t))
}
