package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/syncerr"
)

func (a *app) doctorCommand() *cobra.Command {
	full := false
	c := a.listing(&cobra.Command{
		Use: "doctor", Short: "Look for what is wrong and say what to do", Args: takes(0, 0, ""),
		Long: "Doctor looks at the configuration, the keys, the disk, the ways to the peers (names, proxy, certificates), the database, the clock, the links and what waits,\n" +
			"and says of each finding what to do. It works while the node runs, while it is stopped, and where its configuration or database is broken.\n" +
			"With --full it reads the whole database and holds every content against its hash; that may take minutes.\n\n" +
			"Exit codes: 0 nothing failed (there may be warnings), 1 a check failed, 2 the configuration is wrong.",
		Example: "  tributary doctor\n  tributary doctor --full --json",
		RunE: func(c *cobra.Command, _ []string) error {
			checks, code, err := a.doctor(c.Context(), full)
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(checks)
			} else {
				a.printChecks(checks)
			}
			if err == nil && code == 0 && control.Worst(checks) == control.Fail {
				code = 1
			}
			if err == nil && code != 0 {
				return quietly{code}
			}
			return err
		},
	})
	c.Flags().BoolVar(&full, "full", false, "read the whole database: its structure, its indexes, and each content against its hash")
	return c
}

// doctor asks the node, and looks from outside where it cannot be asked. code is the exit code that the way there gives, 0 for that of the checks.
func (a *app) doctor(ctx context.Context, full bool) (checks []control.Check, code int, err error) {
	cfg, broken := a.configuration()
	if broken != nil && cfg.Node.Name == "" && syncerr.KindOf(broken) == syncerr.Usage && cfg.Parent.URL == "" {
		if _, ok := broken.(interface{ Unwrap() []error }); !ok {
			return nil, 0, broken // there is no configuration to look at
		}
	}
	if broken != nil {
		state := control.Check{Name: "node", Level: control.Warn, Detail: "it does not run", Hint: "Correct the configuration, then start it with `tributary serve`"}
		if _, _, err := net.SplitHostPort(cfg.Node.Listen); err == nil && answers(ctx, dialAddress(cfg.Node.Listen)) {
			state.Detail = "something answers at " + cfg.Node.Listen + ": it runs with an earlier configuration, and would not start with this one"
		}
		return append([]control.Check{state}, control.Broken(ctx, cfg, broken, node.Reach, a.clock().UnixMilli())...), syncerr.Usage.ExitCode(), nil
	}
	l, err := a.connect(ctx, cfg)
	if err != nil {
		if ctx.Err() != nil {
			return nil, 0, err
		}
		state := control.Failed("node", fmt.Errorf("it cannot be asked: %w", err))
		return append([]control.Check{state}, control.Environment(ctx, cfg, node.Reach, a.clock().UnixMilli())...), 0, nil
	}
	defer func() { err = errors.Join(err, l.close()) }()
	checks, err = l.Doctor(ctx, full)
	state := control.Check{Name: "node", Level: control.OK, Detail: "runs and answers at " + l.base}
	if !l.running {
		state = control.Check{Name: "node", Level: control.Warn, Detail: "does not run: nothing is synchronised and no application can save", Hint: "Start it with `tributary serve`, or see `tributary service status`"}
	}
	return append([]control.Check{state}, checks...), 0, err
}

func (a *app) printChecks(checks []control.Check) {
	bad := 0
	for _, c := range checks {
		mark := "ok  "
		switch c.Level {
		case control.Warn:
			mark = a.colour(yellow, "warn")
			bad++
		case control.Fail:
			mark = a.colour(red, "FAIL")
			bad++
		}
		a.say("%s  %s: %s", mark, c.Name, c.Detail)
		if c.Hint != "" {
			a.say("      -> %s", c.Hint)
		}
	}
	if bad == 0 {
		a.say("All is well.")
	}
}
