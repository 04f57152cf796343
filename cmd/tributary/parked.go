package main

import (
	"cmp"
	"context"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/syncerr"
)

func (a *app) parkedCommand() *cobra.Command {
	c := group(&cobra.Command{Use: "parked", Short: "Show, retry or give up changes that could not be taken or delivered"})
	c.AddCommand(a.parkedList(), a.parkedRetry(), a.parkedGiveUp(), a.parkedTakeUp())
	return c
}

func (a *app) parkedList() *cobra.Command {
	var q control.ParkedQuery
	var given, all bool
	list := a.listing(&cobra.Command{
		Use: "list", Short: "List parked changes, the longest waiting first", Args: takes(0, 0, ""),
		Example: "  tributary parked list\n  tributary parked list --given-up",
		RunE: a.operator(func(ctx context.Context, l link, _ []string) error {
			if err := oneOf("parked list", cmp.Or(q.Direction, control.Pull), control.Pull, control.Push, "receive"); err != nil {
				return err
			}
			switch {
			case all:
				q.State = control.ParkedAll
			case given:
				q.State = control.ParkedGivenUp
			}
			parked, err := l.Parked(ctx, q)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(parked)
			}
			none := "Nothing is parked."
			if q.State == control.ParkedGivenUp {
				none = "Nothing was given up."
			}
			a.table(parkedHeader(), a.parkedRows(parked), none)
			return nil
		}),
	})
	list.Flags().StringVar(&q.Direction, "direction", "", "only pull, push or receive")
	list.Flags().StringVar(&q.Cause, "cause", "", "only those of this cause, as the list shows it")
	list.Flags().BoolVar(&given, "given-up", false, "only what was given up")
	list.Flags().BoolVar(&all, "all", false, "what is tried again and what was given up")
	list.Flags().IntVar(&q.Limit, "limit", 100, "at most so many")
	return list
}

func (a *app) parkedRetry() *cobra.Command {
	var which control.ParkedChoice
	retry := a.listing(&cobra.Command{
		Use: "retry [UUID]", Short: "Try a parked change again now, or all of a cause, or all of them", Args: takes(0, 1, "the UUID that `tributary parked list` shows, or nothing for all"),
		Example: "  tributary parked retry\n  tributary parked retry --cause 1f3a9c04b2",
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			named(&which, args)
			which.All = which.UUID == "" && which.Cause == ""
			n, err := l.RetryParked(ctx, which)
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
	retry.Flags().StringVar(&which.Cause, "cause", "", "all of this cause, as the list shows it")
	return retry
}

func (a *app) parkedGiveUp() *cobra.Command {
	var which control.ParkedChoice
	c := a.listing(&cobra.Command{
		Use: "give-up [UUID] --why TEXT", Short: "Do not try a parked change any more, nor the rest of its transaction", Args: takes(0, 1, "the UUID that `tributary parked list` shows"),
		Long: `Give-up ends the tries of a parked change, or of all of one cause. Nothing is lost by it: the change stays in the list
"tributary parked list --given-up" with its reason, and take-up makes that it is tried again. A later edit of the record goes its way as always.`,
		Example: "  tributary parked give-up 0190f3c2-7a51-7c3e-9d5b-1b2c3d4e5f60 --why 'the record was made twice'",
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			named(&which, args)
			if which.Why == "" {
				return syncerr.New(syncerr.Usage, "parked give-up", "--why is missing").WithHint("Say in a few words why nobody needs to try this again; it stands in the audit")
			}
			n, err := l.GiveUpParked(ctx, which)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]int{"givenUp": n})
			}
			a.say("%s given up; `tributary parked take-up` takes it back.", counted(n, "parked change is", "parked changes are"))
			return nil
		}),
	})
	c.Flags().StringVar(&which.Cause, "cause", "", "all of this cause, as the list shows it")
	c.Flags().StringVar(&which.Why, "why", "", "the reason, for the audit; no patient data")
	return c
}

func (a *app) parkedTakeUp() *cobra.Command {
	var which control.ParkedChoice
	c := a.listing(&cobra.Command{
		Use: "take-up [UUID]", Short: "Try again what was given up", Args: takes(0, 1, "the UUID that `tributary parked list --given-up` shows"),
		Example: "  tributary parked take-up 0190f3c2-7a51-7c3e-9d5b-1b2c3d4e5f60\n  tributary parked take-up --all",
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			named(&which, args)
			n, err := l.TakeUpParked(ctx, which)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]int{"takenUp": n})
			}
			a.say("%s due now; the next pass tries again.", counted(n, "change that was given up is", "changes that were given up are"))
			return nil
		}),
	})
	c.Flags().StringVar(&which.Cause, "cause", "", "all of this cause, as the list shows it")
	c.Flags().BoolVar(&which.All, "all", false, "all that was given up")
	return c
}

func named(which *control.ParkedChoice, args []string) {
	if len(args) > 0 {
		which.UUID = args[0]
	}
}

func parkedHeader() table.Row {
	return table.Row{"UUID", "Direction", "With", "Resource", "Since", "Tries", "Next", "Cause", "Reason"}
}

func (a *app) parkedRows(parked []control.Parked) []table.Row {
	rows := make([]table.Row, len(parked))
	for i, p := range parked {
		next, reason := a.when(p.NextRetry), p.Reason
		if p.GivenUp != nil {
			next, reason = "given up", "given up by "+p.GivenUp.By+": "+p.GivenUp.Why
		}
		rows[i] = table.Row{p.UUID, p.Direction, dash(p.Peer), p.Key, a.when(p.ParkedAt), p.Attempts, next, p.Cause, short(reason, 80)}
	}
	return rows
}
