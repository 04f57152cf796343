package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/syncerr"
)

func TestLock(t *testing.T) {
	cfg := config.Default()
	cfg.Node.DataDir = t.TempDir() + "/data"
	release, err := lock(t.Context(), cfg, func() bool { return true })
	if err != nil || release == nil {
		t.Fatalf("nobody holds it, and it is not given: %v", err)
	}
	if other, err := lock(t.Context(), cfg, func() bool { return true }); other != nil || err != nil {
		t.Errorf("given twice, or not told that the node answers: %v", err)
	}
	asked := 0
	next, err := lock(t.Context(), cfg, func() bool { // whoever has it ends while it is waited for
		if asked++; asked == 2 {
			err = release()
		}
		return false
	})
	if err != nil || next == nil || asked != 2 {
		t.Fatalf("waited %d times, %v", asked, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := lock(ctx, cfg, func() bool { cancel(); return false }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the command was stopped", err)
	}
	if err := next(); err != nil {
		t.Error(err)
	}
}

// While another process has the node open a command waits: two that found a restored database at once would each give it an identity.
func TestCommandWaitsForTheLock(t *testing.T) {
	m := newMachine(t, "a", "")
	cfg := config.Default()
	cfg.Node.DataDir = filepath.Join(m.dir, "data")
	release, err := lock(t.Context(), cfg, func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if out, err := command(ctx, m, "status").CombinedOutput(); err == nil {
		t.Errorf("it did not wait:\n%s", out)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
	m.must(t, "status")
}

func TestServeTwice(t *testing.T) {
	m := newMachine(t, "a", "")
	m.serve(t)
	if r := m.do(t, "serve"); r.code != syncerr.Conflict.ExitCode() || !strings.Contains(r.err, "runs already") {
		t.Errorf("got %+v", r)
	}
}
