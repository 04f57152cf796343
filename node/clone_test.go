package node_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/syncerr"
)

// copied returns the configuration of a copy of a stopped node: everything that it has on its disk.
func copied(t *testing.T, cfg config.Config) config.Config {
	t.Helper()
	to := filepath.Join(t.TempDir(), filepath.Base(cfg.Node.DataDir))
	if err := os.CopyFS(to, os.DirFS(cfg.Node.DataDir)); err != nil {
		t.Fatal(err)
	}
	nonce := "." + filepath.Base(cfg.Node.DataDir) + ".nonce"
	b, err := os.ReadFile(filepath.Join(filepath.Dir(cfg.Node.DataDir), nonce))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(to), nonce), b, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Node.DataDir, cfg.Store.DSN = to, filepath.Join(to, filepath.Base(cfg.Store.DSN))
	return cfg
}

// A clinic's machine is copied and both go on: the parent soon refuses both, until a person has said which of them goes on. A node that
// is only started again is not refused.
func TestClonedMachine(t *testing.T) {
	ctx := context.Background()
	parent := start(t, "parent", nil, node.Deps{}, nil)
	child := start(t, "child", parent, node.Deps{}, nil)
	child.write(t, "Patient", "before", "x")
	parent.await(t, "Patient", "before")
	child.stop()
	for range 4 {
		n, err := node.New(ctx, child.cfg, node.Deps{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Sync(ctx, "both"); err != nil {
			t.Fatalf("a node that was started again: %v", err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	other := copied(t, child.cfg)
	a, b := again(t, child.cfg), again(t, other)
	var errA, errB error
	for range 4 {
		_, errA = a.Sync(ctx, "both")
		_, errB = b.Sync(ctx, "both")
	}
	for name, err := range map[string]error{"the machine": errA, "its copy": errB} {
		if syncerr.KindOf(err) != syncerr.Denied || !strings.Contains(err.Error(), `child "child" runs twice`) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	s, err := parent.Control().Status(ctx)
	if err != nil || len(s.Attention) != 1 || s.Children[0].Cloned == 0 {
		t.Errorf("the parent does not tell: %q %v", s.Attention, err)
	}
}
