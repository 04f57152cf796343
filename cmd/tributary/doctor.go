package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/control"
)

func (a *app) doctorCommand() *cobra.Command {
	return a.listing(&cobra.Command{
		Use: "doctor", Short: "Look for what is wrong and say what to do", Args: takes(0, 0, ""),
		Long: "Doctor looks at the configuration, the database, the disk, the clock and the link to the parent. Exit code 1 says that a check failed.",
		RunE: a.operator(func(ctx context.Context, l link, _ []string) error {
			checks, err := l.Doctor(ctx)
			if err != nil {
				return err
			}
			failed := false
			for _, c := range checks {
				failed = failed || c.Level == control.Fail
			}
			if a.json {
				err = a.printJSON(checks)
			} else {
				a.printChecks(checks)
			}
			if err == nil && failed {
				return quietly{1}
			}
			return err
		}),
	})
}

func (a *app) printChecks(checks []control.Check) {
	bad := 0
	for _, c := range checks {
		mark := "ok  "
		switch c.Level {
		case control.Warn:
			mark = "warn"
			bad++
		case control.Fail:
			mark = "FAIL"
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
