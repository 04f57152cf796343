// Package peertest holds the node against what others wrote: three FHIR clients of npm work on it, and a foreign FHIR R4 server
// gets the same requests. scripts/setup-test.sh installs the npm packages under .cache/npm-peertest.
package peertest_test

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/node"
)

// startNode runs a new node on a free port of loopback and returns the address of its FHIR API.
func startNode(t *testing.T) string {
	t.Helper()
	ctx := context.Background()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	dir := t.TempDir()
	cfg.Node.Name, cfg.Node.DataDir, cfg.Node.Listen = "peertest", dir, l.Addr().String()
	deps := node.Deps{Volatile: true} // what a power cut leaves is tested elsewhere
	cfg.Node.URL, cfg.Store.DSN = "http://"+cfg.Node.Listen, filepath.Join(dir, "tributary.db")
	if err := node.Init(ctx, cfg, deps); err != nil {
		t.Fatal(err)
	}
	n, err := node.New(ctx, cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	run, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- n.Run(run, l) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, n.Close()); err != nil {
			t.Error(err)
		}
	})
	return cfg.Node.URL + "/fhir/R4"
}

// scripts returns a folder with the scripts of testdata beside the npm packages that they import.
func scripts(t *testing.T) string {
	t.Helper()
	installed, err := filepath.Abs("../../.cache/npm-peertest/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	lock, err := os.ReadFile("testdata/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(filepath.Join(installed, "..", "package-lock.json"))
	if err != nil || string(have) != string(lock) {
		t.Fatal("the npm packages of internal/peertest are not installed, or older than their lock file: run scripts/setup-test.sh")
	}
	dir := t.TempDir()
	files, err := filepath.Glob("testdata/*.mjs")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in testdata: %v", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(f)), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(installed, filepath.Join(dir, "node_modules")); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	return dir
}

// nodeJS returns the command that runs a script; it is ended when the test is over, or after ten minutes.
func nodeJS(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "node", append([]string{script}, args...)...)
	cmd.Dir = scripts(t)
	return cmd
}

// The npm clients do on a node what applications do, and find what they expect.
func TestClients(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"fhir-kit-client.mjs", "fhirclient.mjs", "medplum-client.mjs"} {
		t.Run(strings.TrimSuffix(script, ".mjs"), func(t *testing.T) {
			out, err := nodeJS(t, script, startNode(t)).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "all steps passed") {
				t.Errorf("%s: %v\n%s", script, err, out)
			}
		})
	}
}

// startMedplum runs the foreign server and returns its address, without the path of its FHIR API.
func startMedplum(t *testing.T) string {
	t.Helper()
	cmd := nodeJS(t, "medplum-server.mjs")
	cmd.Stderr = os.Stderr
	stop, err := cmd.StdinPipe() // the server ends with it, also when this test is killed
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	port, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		t.Fatalf("the Medplum server said %q: %v", line, err)
	}
	return "http://127.0.0.1:" + port
}
