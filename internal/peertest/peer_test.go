// Package peertest holds the node against what others wrote: three FHIR clients of npm work on it, and a foreign FHIR R4 server
// gets the same requests. scripts/setup-test.sh installs the npm packages under .cache/npm-peertest.
package peertest_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/internal/npmtest"
	"github.com/tributary-sync/tributary/node"
)

// limit is how long a script may run.
const limit = 10 * time.Minute

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

// The npm clients do on a node what applications do, and find what they expect.
func TestClients(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"fhir-kit-client.mjs", "fhirclient.mjs", "medplum-client.mjs"} {
		t.Run(strings.TrimSuffix(script, ".mjs"), func(t *testing.T) {
			out, err := npmtest.Command(t, limit, script, startNode(t)).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "all steps passed") {
				t.Errorf("%s: %v\n%s", script, err, out)
			}
		})
	}
}

// startMedplum runs the foreign server and returns its address, without the path of its FHIR API.
func startMedplum(t *testing.T) string {
	t.Helper()
	cmd := npmtest.Command(t, limit, "medplum-server.mjs")
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
