package main

import (
	"context"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

func (a *app) explainCommand() *cobra.Command {
	return a.listing(&cobra.Command{
		Use: "explain TYPE/ID", Short: "Tell the story of one resource", Args: takes(1, 1, "one resource as Type/id"),
		Long:    "Explain shows where a resource comes from, every version that this node logged, whether the parent has it, and what is parked, held or in conflict. Of what is not here it says why, and asks the parent.",
		Example: "  tributary explain Patient/42",
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			key, err := fhir.ParseKey(args[0])
			if err != nil {
				return &syncerr.Error{Kind: syncerr.Usage, Op: "explain", Err: err, Hint: "Name one resource, such as Patient/42"}
			}
			e, err := l.Explain(ctx, key)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(e)
			}
			a.printExplanation(e)
			return nil
		}),
	})
}

func (a *app) printExplanation(e control.Explanation) {
	a.say("%s", e.Key)
	for _, line := range e.Summary {
		a.say("  %s", line)
	}
	section := func(title string, header table.Row, rows []table.Row) {
		if len(rows) > 0 {
			a.say("\n%s", title)
			a.table(header, rows, "")
		}
	}
	up := make([]table.Row, len(e.Reached))
	for i, r := range e.Reached {
		up[i] = table.Row{r.Level, r.Name, r.Code}
	}
	section("Has this version reached the nodes above?", table.Row{"Level", "Node", "Reached"}, up)
	rows := make([]table.Row, len(e.History))
	for i, h := range e.History {
		rows[i] = table.Row{h.Seq, h.Action, h.Version, dash(h.By), a.when(h.Authored), a.when(h.Committed), h.Source}
	}
	section("Versions, newest first", table.Row{"Sequence", "Action", "Version", "Written by", "Written at", "Arrived here", "From"}, rows)
	section("Conflicts", conflictHeader(), a.conflictRows(e.Conflicts))
	section("Parked", parkedHeader(), a.parkedRows(e.Parked))
	rows = make([]table.Row, len(e.Held))
	for i, h := range e.Held {
		rows[i] = table.Row{h.Stamp.Version, a.when(h.HeldAt), short(h.Refusal, 80)}
	}
	section("Held until the parent has decided", table.Row{"Version", "Since", "The parent's refusal"}, rows)
	section("Audit, newest first", auditHeader(), a.auditRows(e.Audit))
}
