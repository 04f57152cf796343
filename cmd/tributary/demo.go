package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/syncerr"
)

type demoOptions struct {
	data  string // folder of FHIR files; empty for generated patients
	keep  string // folder for the nodes' data; empty for one that is removed at the end
	once  bool
	size  int // generated patients a clinic
	limit time.Duration
}

func (a *app) demoCommand() *cobra.Command {
	o := demoOptions{limit: 10 * time.Minute}
	c := &cobra.Command{
		Use: "demo", Short: "Show a nation, a district and two clinics syncing on this machine", Args: takes(0, 0, ""),
		Long: "Demo starts four nodes in this process on free loopback ports, loads patients at the two clinics, shows them reach the nation and the other\n" +
			"clinic, edits one record in two places while a link is down, and keeps the dashboards running until Ctrl-C.",
		RunE: func(c *cobra.Command, _ []string) error {
			if o.size < 1 || o.size > 100_000 {
				return syncerr.New(syncerr.Usage, "demo", "--size %d is not a number of patients", o.size).WithHint("Use 1 to 100000")
			}
			return a.demo(c.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.data, "data", "", "folder of FHIR files to load instead of generated patients")
	f.StringVar(&o.keep, "keep", "", "folder that keeps the four nodes' data (default: a temporary one that is removed)")
	f.BoolVar(&o.once, "once", false, "end after the tour; exit code 0 only if every node holds the same copies")
	f.IntVar(&o.size, "size", 25, "generated patients a clinic")
	return c
}

func (a *app) demo(ctx context.Context, o demoOptions) (err error) {
	if o.once {
		o.limit = 40 * time.Second
	}
	dir, remove, err := demoFolder(o.keep)
	if err != nil {
		return err
	}
	t := &tree{app: a, dir: dir, began: a.clock()}
	// The nodes outlive ctx by the moment that an orderly stop takes.
	defer func() {
		err = errors.Join(err, t.stop(), remove())
		if ctx.Err() != nil && !o.once && err == nil {
			a.say("\nAll four nodes are stopped.")
		}
	}()
	if err := t.start(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context, demoOptions) error{t.showLoad, t.showConflict, t.showResult} {
		if err := t.running(ctx, func(ctx context.Context) error { return step(ctx, o) }); err != nil {
			return err
		}
	}
	if o.once {
		return nil
	}
	t.showDashboards()
	return t.running(ctx, func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	})
}

func demoFolder(keep string) (dir string, remove func() error, err error) {
	if keep == "" {
		dir, err = os.MkdirTemp("", "tributary-demo-")
		return dir, func() error { return syncerr.Wrap(syncerr.Internal, "demo", os.RemoveAll(dir)) }, syncerr.Wrap(syncerr.StorageFull, "demo", err)
	}
	if dir, err = filepath.Abs(keep); err != nil {
		return "", nil, syncerr.Wrap(syncerr.Usage, "demo", err)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return "", nil, syncerr.New(syncerr.Usage, "demo", "the folder %s is not empty", dir).WithHint("Give --keep a new folder, or empty this one")
	}
	return dir, func() error { return nil }, nil
}
