package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

func (a *app) restoreCommand() *cobra.Command {
	check := false
	c := a.listing(&cobra.Command{
		Use: "restore FILE", Short: "Go back to a copy of the database that `tributary backup` wrote", Args: takes(1, 1, "the file that `tributary backup` wrote"),
		Long: "Restore reads the copy whole, checks that it is a database of this node, keeps the present database beside its place, and puts the copy there. The node must\n" +
			"be stopped. At its next start the node finds itself restored: it goes on under a new replica and gets back from its parent and children what the\n" +
			"copy lacks. Changes that had reached nobody else since the backup are only in the database that was kept.\n\n" +
			"With MySQL or MariaDB it says what to do with the server's own tools.",
		Example: "  tributary restore /media/backup/clinic-a.db --check\n  tributary restore /media/backup/clinic-a.db",
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := a.configuration()
			if err != nil {
				return err
			}
			if cfg.Store.Driver == config.DriverMySQL {
				return byHand(cfg, args[0])
			}
			return a.restore(c.Context(), cfg, args[0], check)
		},
	})
	c.Flags().BoolVar(&check, "check", false, "only read the copy and say what is in it")
	return c
}

type restored struct {
	store.Backed
	Backup   string `json:"backup"`
	Database string `json:"database"`
	Kept     string `json:"kept,omitempty"` // where the database is that was there before
}

func (a *app) restore(ctx context.Context, cfg config.Config, file string, check bool) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return syncerr.Wrap(syncerr.Usage, "restore", err)
	}
	b, err := store.CheckBackup(ctx, file)
	if err != nil {
		return err
	}
	if b.Node != cfg.Node.Name {
		return syncerr.New(syncerr.Usage, "restore", "%s is a copy of node %q, and the configuration is that of %q; nothing was changed", file, b.Node, cfg.Node.Name).
			WithHint("Use the backup of this node; for a new machine in the place of %s, set node.name to %s first", b.Node, b.Node)
	}
	out := restored{Backed: b, Backup: file, Database: cfg.Store.DSN}
	if !check {
		if answers(ctx, dialAddress(cfg.Node.Listen)) || store.InUse(ctx, cfg.Store.DSN) {
			return syncerr.New(syncerr.Conflict, "restore", "the node runs; nothing was changed").
				WithHint("Stop it (`systemctl stop tributary`, or Ctrl-C where it was started by hand), then run this again")
		}
		out.Kept = cfg.Store.DSN + ".before-restore-" + a.clock().UTC().Format("20060102T150405Z")
		if err := store.PutBack(ctx, file, cfg.Store.DSN, out.Kept); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(out)
	}
	a.say("%s is whole: node %s, %s, %s in its log, the last of %s.", file, b.Node, counted(b.Live, "resource", "resources"), counted(b.Changes, "change", "changes"), a.when(b.Newest))
	if check {
		a.say("Nothing was changed. Without --check it takes the place of %s.", cfg.Store.DSN)
		return nil
	}
	a.say("It is in its place now. The database that was there is kept as %s; remove it when all is well.\n\nNext:", out.Kept)
	a.say("  1. tributary serve              the node notices that it was restored, and gets back what the copy lacks")
	a.say("  2. tributary status, doctor     say how that goes on")
	a.say("  3. tributary verify             shows whether this node and its parent agree again")
	return nil
}

// byHand says how a database on a server is put back.
func byHand(cfg config.Config, file string) error {
	return syncerr.New(syncerr.Unsupported, "restore", "this node's data is in MySQL or MariaDB, which has tools of its own; nothing was changed").
		WithHint("1. Stop the node. 2. Keep what is there: mariadb-dump --single-transaction DATABASE > before.sql. "+
			"3. Put the copy back into an empty database: mariadb -e 'DROP DATABASE DATABASE; CREATE DATABASE DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_bin', then mariadb DATABASE < %s. "+
			"4. Leave %s as it is: by it the node notices. 5. Start the node, look at `tributary doctor` and `tributary verify`", file, cfg.NoncePath())
}
