package main

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	stamps "github.com/tributary-sync/tributary/version"
)

func (a *app) conflictCommand() *cobra.Command {
	c := group(&cobra.Command{Use: "conflict", Short: "Show or resolve resources that were changed in two places"})
	var q control.ConflictQuery
	var open bool
	var resource string
	list := a.listing(&cobra.Command{
		Use: "list", Short: "List conflicts, newest first", Args: takes(0, 0, ""),
		RunE: a.operator(func(ctx context.Context, l link, _ []string) error {
			if open {
				q.Status = "open"
			}
			if resource != "" {
				key, err := fhir.ParseKey(resource)
				if err != nil {
					return &syncerr.Error{Kind: syncerr.Usage, Op: "conflict list", Err: err}
				}
				q.Key = key
			}
			conflicts, err := l.Conflicts(ctx, q)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(conflicts)
			}
			a.table(conflictHeader(), a.conflictRows(conflicts), "There is no conflict.")
			return nil
		}),
	})
	list.Flags().BoolVar(&open, "open", false, "only those that wait for a person")
	list.Flags().StringVar(&resource, "resource", "", "only those of this resource, as Type/id")
	list.Flags().IntVar(&q.Limit, "limit", 100, "at most so many")

	show := a.listing(&cobra.Command{
		Use: "show UUID", Short: "Show both copies of a conflict", Args: takes(1, 1, "the UUID that `tributary conflict list` shows"),
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			conflict, err := l.Conflict(ctx, args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(conflict)
			}
			return a.printConflict(conflict)
		}),
	})

	resolve := a.listing(&cobra.Command{
		Use: "resolve UUID local|incoming", Short: "Decide which copy stands; the other is kept here and in the history",
		Args: takes(2, 2, "the UUID that `tributary conflict list` shows, and local or incoming"),
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			if err := oneOf("conflict resolve", args[1], "local", "incoming"); err != nil {
				return err
			}
			conflict, err := l.ResolveConflict(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(conflict)
			}
			a.say("The %s copy of %s stands, as version %s. It travels to the other nodes like any change.", args[1], conflict.Key, conflict.Decided)
			return nil
		}),
	})
	c.AddCommand(list, show, resolve)
	return c
}

func conflictHeader() table.Row {
	return table.Row{"UUID", "Resource", "Status", "Rule", "Winner", "With", "Since"}
}

func (a *app) conflictRows(conflicts []control.Conflict) []table.Row {
	rows := make([]table.Row, len(conflicts))
	for i, c := range conflicts {
		rows[i] = table.Row{c.UUID, c.Key, c.Status, c.Rule, dash(c.Winner), dash(c.Peer), a.when(c.Opened)}
	}
	return rows
}

func (a *app) printConflict(c control.Conflict) error {
	a.say("%s was changed in two places, neither of which had seen the other.", c.Key)
	switch {
	case c.Status == "open":
		a.say("It waits for a person since %s: `tributary conflict resolve %s local` or `incoming`.", a.when(c.Opened), c.UUID)
	case c.Winner == "local" || c.Winner == "incoming":
		a.say("The %s copy won (%s) at %s; the other is kept here.", c.Winner, c.Rule, a.when(c.Closed))
	default:
		a.say("It was settled by a later version (%s) at %s; both copies are kept here.", c.Rule, a.when(c.Closed))
	}
	if c.Flagged {
		a.say("One side deleted it while the other edited it; please look.")
	}
	for _, side := range []struct {
		name    string
		stamp   stamps.Stamp
		content json.RawMessage
	}{{"Local copy", c.Local, c.LocalContent}, {"Incoming copy, from " + dash(c.Peer), c.Incoming, c.IncomingContent}} {
		a.say("\n%s: version %s, written at %s by %s", side.name, side.stamp.Version, a.when(side.stamp.Authored), side.stamp.Author)
		if side.stamp.Deleted {
			a.say("(deleted)")
			continue
		}
		var b bytes.Buffer
		if err := json.Indent(&b, side.content, "", "  "); err != nil {
			return syncerr.Wrap(syncerr.Internal, "print conflict", err)
		}
		a.say("%s", b.String())
	}
	return nil
}
