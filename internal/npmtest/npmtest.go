// Package npmtest runs the scripts of a test beside the npm packages that they import. It installs nothing, because tests ask no
// registry: scripts/setup-test.sh does, by the lock file that stands with the scripts.
package npmtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Command returns the command that runs a script of testdata with Node.js, in a folder of its own with all scripts of testdata and the
// packages of .cache/npm-NAME, where NAME is that of the folder of the test. It is killed after limit, if it has not ended by then, and when
// the test is over. Packages that are missing, or that are not those of testdata/package-lock.json, fail the test.
func Command(t testing.TB, limit time.Duration, script string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "node", append([]string{script}, args...)...)
	cmd.Dir = folder(t)
	return cmd
}

func folder(t testing.TB) string {
	t.Helper()
	here, err := os.Getwd()
	must(t, err)
	name := filepath.Base(here)
	cache := filepath.Join(here, "..", "..", ".cache", "npm-"+name)
	lock, err := os.ReadFile(filepath.Join("testdata", "package-lock.json"))
	must(t, err)
	if have, err := os.ReadFile(filepath.Join(cache, "package-lock.json")); err != nil || string(have) != string(lock) {
		t.Fatalf("the npm packages of internal/%s are not installed, or older than their lock file: run scripts/setup-test.sh", name)
	}
	files, err := filepath.Glob(filepath.Join("testdata", "*.mjs"))
	must(t, err)
	dir := t.TempDir()
	for _, f := range files {
		b, err := os.ReadFile(f)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, filepath.Base(f)), b, 0o600))
	}
	must(t, os.Symlink(filepath.Join(cache, "node_modules"), filepath.Join(dir, "node_modules")))
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
