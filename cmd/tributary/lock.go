package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/syncerr"
)

// lockWait is how long a command waits for another process that has the node open: one that starts, or another command.
const lockWait = 15 * time.Second

// lock keeps other processes of this machine from opening the node's database while this one has it open: a node has one identity, and two
// processes that found a restored database at once would each give it one. Until then it asks running, every tenth of a second, whether the
// node answers by now, and returns nil, nil where it does. It returns a Conflict where another process keeps the node open for lockWait without
// answering. Where no file can be made (a full or read-only disk) nothing is locked: that must keep nobody from looking.
func lock(ctx context.Context, cfg config.Config, running func() bool) (release func() error, err error) {
	path := lockPath(cfg)
	file := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDONLY), flock.SetPermissions(0o644))
	wait, end := time.NewTicker(lockWait/150), time.NewTimer(lockWait)
	defer wait.Stop()
	defer end.Stop()
	for {
		ok, err := file.TryLock()
		switch {
		case err != nil:
			return func() error { return nil }, nil
		case ok:
			return file.Close, nil
		case running():
			return nil, nil
		}
		select {
		case <-wait.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-end.C:
			return nil, syncerr.New(syncerr.Conflict, "open the node", "another process has %s open, and does not answer at %s", cfg.Node.DataDir, cfg.Node.Listen).
				WithHint("Wait until it has ended, or stop it; a node that listens at another address than node.listen says was started with another configuration")
		}
	}
}

// lockPath returns the file by which processes of one machine keep out of each other's way: beside the data folder, where the nonce is.
func lockPath(cfg config.Config) string {
	dir := filepath.Clean(cfg.Node.DataDir)
	return filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".lock")
}
