package main

import (
	"context"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/control"
)

func (a *app) chartsCommand() *cobra.Command {
	month := false
	c := a.listing(&cobra.Command{
		Use: "charts", Short: "Show what happened over the last day or month, in numbers", Args: takes(0, 0, ""),
		Long: "Charts shows for each hour of the last day, or each day of the last month, how many changes this node logged, about how many of them came from " +
			"elsewhere and how old half of those were at most when they arrived, what its passes moved, and what failed; the newest first. Hours and days are those of this machine.",
		Example: "  tributary charts\n  tributary charts --month --csv\n  tributary charts --json",
		RunE: a.operator(func(ctx context.Context, l link, _ []string) error {
			w, err := l.Charts(ctx)
			if err != nil {
				return err
			}
			if a.json && !a.csv {
				return a.printJSON(w)
			}
			list, form := w.Day, "2006-01-02 15:04"
			if month {
				list, form = w.Month, time.DateOnly
			}
			if a.csv {
				return a.printCSV(list)
			}
			a.printCharts(list, form)
			return nil
		}),
	})
	c.Flags().BoolVar(&month, "month", false, "show the days of the last month")
	return c
}

func (a *app) printCharts(list []control.Interval, form string) {
	var rows []table.Row
	for _, x := range slices.Backward(list) {
		rows = append(rows, table.Row{
			time.UnixMilli(x.From).Format(form), number(x.Changes), number(x.Arrived), lasting(x.Lag), bytesText(x.BytesIn), bytesText(x.BytesOut), number(x.Passes),
			number(x.Broken), number(x.Failures),
		})
	}
	a.table(table.Row{"From", "Changes", "From elsewhere", "Their age", "Received", "Sent", "Passes", "Broken passes", "Failures"}, rows, "")
}
