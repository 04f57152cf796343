package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/syncerr"
)

func (a *app) backupCommand() *cobra.Command {
	return a.listing(&cobra.Command{
		Use: "backup FILE", Short: "Write a consistent copy of the database while the node runs", Args: takes(1, 1, "a new file"),
		Long: "Backup writes a consistent copy of an SQLite database to a new file on the node's machine. To go back to it, stop the node\n" +
			"and run `tributary restore FILE`. At its next start the node notices, goes on under a new replica, and gets back from its parent and\n" +
			"children what the copy does not have. Changes that had reached nobody else are not in the copy and not with anybody.",
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			path, err := filepath.Abs(args[0])
			if err != nil {
				return syncerr.Wrap(syncerr.Usage, "back up", err)
			}
			if err := l.Backup(ctx, path); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"path": path})
			}
			a.say("The database is copied to %s.", path)
			return nil
		}),
	})
}
