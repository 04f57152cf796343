package main

import (
	"cmp"
	"context"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/control"
)

func (a *app) parkedCommand() *cobra.Command {
	c := group(&cobra.Command{Use: "parked", Short: "Show or retry changes that could not be taken or delivered"})
	var q control.ParkedQuery
	list := a.listing(&cobra.Command{
		Use: "list", Short: "List parked changes, the longest waiting first", Args: takes(0, 0, ""),
		RunE: a.operator(func(ctx context.Context, l link, _ []string) error {
			if err := oneOf("parked list", cmp.Or(q.Direction, control.Pull), control.Pull, control.Push, "receive"); err != nil {
				return err
			}
			parked, err := l.Parked(ctx, q)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(parked)
			}
			a.table(parkedHeader(), a.parkedRows(parked), "Nothing is parked.")
			return nil
		}),
	})
	list.Flags().StringVar(&q.Direction, "direction", "", "only pull, push or receive")
	list.Flags().IntVar(&q.Limit, "limit", 100, "at most so many")
	retry := a.listing(&cobra.Command{
		Use: "retry [UUID]", Short: "Try a parked change again now, or all of them", Args: takes(0, 1, "the UUID that `tributary parked list` shows, or nothing for all"),
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			uuid := ""
			if len(args) > 0 {
				uuid = args[0]
			}
			n, err := l.RetryParked(ctx, uuid)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]int{"retried": n})
			}
			a.say("%s due now; the next pass tries again.", counted(n, "parked change is", "parked changes are"))
			return nil
		}),
	})
	c.AddCommand(list, retry)
	return c
}

func parkedHeader() table.Row {
	return table.Row{"UUID", "Direction", "With", "Resource", "Since", "Tries", "Next", "Reason"}
}

func (a *app) parkedRows(parked []control.Parked) []table.Row {
	rows := make([]table.Row, len(parked))
	for i, p := range parked {
		rows[i] = table.Row{p.UUID, p.Direction, dash(p.Peer), p.Key, a.when(p.ParkedAt), p.Attempts, a.when(p.NextRetry), short(p.Reason, 80)}
	}
	return rows
}
