package config_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/syncerr"
)

func write(t *testing.T, text string, mode os.FileMode) (string, *config.File) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tributary.yaml")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	f, err := config.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return path, f
}

func without(t *testing.T, f *config.File, resourceType string) (was, now config.Contents) {
	t.Helper()
	was, err := f.Read()
	if err != nil {
		t.Fatal(err)
	}
	to := was.Config.Sync()
	to.Pull = to.Pull.With(true, map[string]bool{resourceType: false})
	if now, err = was.With(to); err != nil {
		t.Fatal(err)
	}
	return was, now
}

// A file is replaced as a whole, through a link, with its mode, and nothing is left beside it.
func TestReplace(t *testing.T) {
	path, _ := write(t, "# mine\nnode: {name: a}\n", 0o640)
	link := filepath.Join(t.TempDir(), "link.yaml")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	f, err := config.Open(link, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Writable(); err != nil {
		t.Fatal(err)
	}
	was, now := without(t, f, "Media")
	if err := was.Replace(now); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, nil)
	if err != nil || c.Sync().Pull.Goes("Media") || !c.Sync().Pull.Goes("Patient") {
		t.Errorf("%+v, %v", c.Pull, err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(text), "# mine\nnode: {name: a}\n") {
		t.Errorf("%s, %v", text, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is no link any more: %v, %v", info, err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

// A file that may not be written, or that somebody else has just changed, stays as it is.
func TestReplaceRefuses(t *testing.T) {
	_, f := write(t, "node: {name: a}\n", 0o440)
	was, now := without(t, f, "Media")
	for what, err := range map[string]error{"replaced": was.Replace(now), "writable": f.Writable()} {
		if syncerr.KindOf(err) != syncerr.Denied || !strings.Contains(err.Error(), "read-only") || syncerr.HintOf(err) == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	path, f := write(t, "node: {name: a}\n", 0o600)
	was, now = without(t, f, "Media")
	if err := os.WriteFile(path, []byte("node: {name: b}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := was.Replace(now); syncerr.KindOf(err) != syncerr.Conflict {
		t.Errorf("%v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "node: {name: b}\n" {
		t.Errorf("%s, %v", text, err)
	}
}

// What is wrong is said at its field.
func TestWithNamesTheField(t *testing.T) {
	_, f := write(t, "node: {name: a}\n", 0o600)
	was, err := f.Read()
	if err != nil {
		t.Fatal(err)
	}
	to := was.Config.Sync()
	to.Push.Types = append(to.Push.Types, config.TypeRule{Type: "Pacient"})
	to.Conflicts.Default = "mergee"
	_, err = was.With(to)
	if err == nil || !strings.Contains(err.Error(), "push.types[1].type") || !strings.Contains(err.Error(), "Did you mean Patient?") || !strings.Contains(err.Error(), "conflicts.default") {
		t.Errorf("%v", err)
	}
}
