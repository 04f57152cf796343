package main

import (
	"context"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/control"
)

func (a *app) syncCommand() *cobra.Command {
	return a.listing(&cobra.Command{
		Use: "sync [pull|push|both]", Short: "Sync with the parent now", Args: takes(0, 1, "pull, push or both, or nothing for both"),
		Long: "Sync runs a pull and a push pass at once and waits for them. Exit code 3 says that it is done and something is parked or waits for a decision.",
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			direction := control.Both
			if len(args) > 0 {
				direction = args[0]
			}
			if err := oneOf("sync", direction, control.Pull, control.Push, control.Both); err != nil {
				return err
			}
			runs, err := l.Sync(ctx, direction)
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(runs)
			} else {
				a.table(runHeader(), a.runRows(runs), "Nothing was to be done: nothing waits in either direction, or both are off.")
			}
			if err != nil {
				return err
			}
			s, err := l.Status(ctx)
			if err != nil {
				return err
			}
			if s.Counts.Parked > 0 || s.Counts.Open > 0 || s.Counts.Held > 0 {
				if !a.json {
					a.say("%s parked, %s open here and %s for the parent's decision; `tributary parked list`, `tributary conflict list` and `tributary status` show more.",
						counted(s.Counts.Parked, "change is", "changes are"), counted(s.Counts.Open, "conflict is", "conflicts are"),
						counted(s.Counts.Held, "copy waits", "copies wait"))
				}
				return quietly{exitAttention}
			}
			return nil
		}),
	})
}

func runHeader() table.Row {
	return table.Row{"Pass", "With", "Began", "Outcome", "Read", "Applied", "Skipped", "Held", "Parked", "In", "Out", "Error"}
}

func (a *app) runRows(runs []audit.Run) []table.Row {
	rows := make([]table.Row, len(runs))
	for i, r := range runs {
		rows[i] = table.Row{
			r.Direction, dash(r.Peer), a.when(r.Started), r.Outcome, number(r.Read), number(r.Applied), number(r.Skipped), number(r.Held),
			number(r.Parked), bytesText(r.BytesIn), bytesText(r.BytesOut), short(r.Error, 60),
		}
	}
	return rows
}
