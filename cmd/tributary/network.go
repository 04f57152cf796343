package main

import (
	"context"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/control"
)

func (a *app) networkCommand() *cobra.Command {
	return a.listing(&cobra.Command{
		Use: "network", Short: "Show the whole tree below the node", Args: takes(0, 0, ""),
		Long: "Network shows every node below this one, at any depth, the ones with the most trouble first. What a node says of itself comes up inside " +
			"the exchanges that it makes anyway.",
		Example: "  tributary network\n  tributary network --json",
		RunE: a.operator(func(ctx context.Context, l link, _ []string) error {
			w, err := l.Network(ctx)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(w)
			}
			a.printNetwork(w)
			return nil
		}),
	})
}

func (a *app) printNetwork(w control.Network) {
	var rows []table.Row
	var walk func(n control.NetworkNode, lead, below string)
	walk = func(n control.NetworkNode, lead, below string) {
		seen := a.ago(n.LastContact)
		if lead == "" {
			seen = "this node"
		}
		free, skew := "-", "-"
		if n.DiskFree != nil {
			free = bytesText(int64(*n.DiskFree))
		}
		if n.ClockSkew != nil {
			skew = lasting(*n.ClockSkew)
		}
		rows = append(rows, table.Row{
			lead + n.Name, seen, number(n.BacklogUp), number(n.BacklogDown), lasting(max(n.Lag, n.LagDown)), number(n.Parked), number(n.Conflicts), skew, free,
			dash(n.Version), n.Words(w.Time),
		})
		for i, k := range n.Children {
			if i == len(n.Children)-1 {
				walk(k, below+"└ ", below+"  ")
			} else {
				walk(k, below+"├ ", below+"│ ")
			}
		}
	}
	walk(w.Self, "", "")
	a.table(table.Row{"Node", "Last contact", "Up", "Down", "Lag", "Parked", "Conflicts", "Clock", "Disk free", "Version", "Trouble"}, rows, "")
	if w.Nodes == 0 {
		a.say("There is no node below this one. `tributary child add NAME` admits one.")
		return
	}
	a.say("%s below this one, %s silent.", counted(w.Nodes, "node", "nodes"), number(len(w.Silent)))
}

// lasting shows a span of milliseconds in a cell.
func lasting(ms int64) string {
	if ms > -1000 && ms < 1000 {
		return "0"
	}
	return control.SpanOf(ms)
}
