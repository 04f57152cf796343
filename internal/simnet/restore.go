package simnet

import (
	"context"
	"os"
	"path/filepath"
)

// backUpOrRestore copies the node's data folder, as an operator would with a stopped machine, or puts the last copy back.
func (x *Node) backUpOrRestore(ctx context.Context) error {
	if ok, err := x.ready(ctx); err != nil || !ok || x.busy > 0 {
		return err
	}
	if err := x.live.Close(); err != nil {
		return err
	}
	to := x.dir + ".backup"
	if x.backup == "" || x.net.rand.IntN(3) == 0 {
		x.net.logf("%s is backed up", x.name)
		x.backup = to
		if err := copyFolder(x.dir, to); err != nil {
			return err
		}
	} else {
		x.net.logf("%s is restored from its backup", x.name)
		x.lost++
		if err := copyFolder(to, x.dir); err != nil {
			return err
		}
	}
	return x.start(ctx)
}

func copyFolder(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}
