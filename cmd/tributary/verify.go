package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/feed"
)

func (a *app) verifyCommand() *cobra.Command {
	repair := false
	c := a.listing(&cobra.Command{
		Use: "verify", Short: "Compare the node with its parent", Args: takes(0, 0, ""),
		Long: "Verify compares this node with its parent by digests, so that little goes over the link, and lists what differs and why. " +
			"With --repair it fetches what is missing or older here and sends what is missing or older at the parent; " +
			"nothing is removed or overwritten that a sync would not. Exit code 3 says that differences remain.",
		RunE: a.operator(func(ctx context.Context, l link, _ []string) error {
			v, err := a.verify(ctx, l, repair)
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(v)
			} else {
				a.showVerification(v, repair)
			}
			if err == nil && !v.Equal {
				err = quietly{exitAttention}
			}
			return err
		}),
	})
	c.Flags().BoolVar(&repair, "repair", false, "fetch and send what one side has not seen")
	return c
}

// watchEvery is how often a verification is asked how far it has come.
const watchEvery = 200 * time.Millisecond

// verify runs a verification and shows its progress to who watches.
func (a *app) verify(ctx context.Context, l link, repair bool) (control.Verification, error) {
	if !terminal(a.errors) {
		return l.Verify(ctx, repair)
	}
	watched, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	b := a.newBars(a.errors, "resources", "compared")
	watching.Go(func() {
		t := time.NewTicker(watchEvery)
		defer t.Stop()
		for {
			select {
			case <-watched.Done():
				return
			case <-t.C:
			}
			// What cannot be asked now is asked again; the verification itself says what is wrong.
			if s, err := l.Verifying(watched); err == nil && s.Running && s.Total > 0 {
				b.set(0, s.Done, s.Total)
			}
		}
	})
	v, err := l.Verify(ctx, repair)
	stop()
	watching.Wait()
	if err == nil {
		here := int64(0)
		for _, t := range v.Types {
			here += t.Here
		}
		b.set(0, here, here)
	}
	b.stop()
	return v, err
}

func (a *app) showVerification(v control.Verification, repair bool) {
	rows := make([]table.Row, 0, len(v.Types))
	for _, t := range v.Types {
		state := "differs"
		switch {
		case t.Equal:
			state = "equal"
		case !differs(v.Differences, t.Type) && !v.More:
			state = "all there that should be"
		}
		rows = append(rows, table.Row{t.Type, goes(t), number(t.Here), number(t.There), state})
	}
	a.table(table.Row{"Type", "Synced", "Here", "At the parent", ""}, rows, "Neither side has anything of the types that are synced.")
	if len(v.Differences) > 0 {
		rows = rows[:0]
		for _, d := range v.Differences {
			why := strings.Join(d.Why, "; ")
			if d.Repaired {
				why = "repaired"
			}
			rows = append(rows, table.Row{d.Key, d.Finding, copyText(d.Here), copyText(d.There), dash(short(why, 100))})
		}
		a.table(table.Row{"Resource", "Finding", "Here", "At the parent", "Why"}, rows, "")
	}
	if v.Repaired > 0 {
		a.say("%s repaired.", counted(v.Repaired, "difference was", "differences were"))
	}
	switch {
	case v.Equal:
		a.say("Node and parent agree (%s over the link, %.1f s).", bytesText(v.BytesIn+v.BytesOut), float64(v.Duration)/1000)
	case v.More:
		a.say("More than the %s that are listed differ.", number(len(v.Differences)))
	default:
		a.say("%s (%s over the link, %.1f s).", counted(v.Remaining, "difference remains", "differences remain"), bytesText(v.BytesIn+v.BytesOut), float64(v.Duration)/1000)
	}
	if !v.Equal && !repair {
		a.say("`tributary verify --repair` sends and fetches them; what is on its way a sync brings by itself.")
	}
}

func differs(all []control.Difference, resourceType string) bool {
	for _, d := range all {
		if d.Key.Type == resourceType && !d.Repaired {
			return true
		}
	}
	return false
}

func goes(t control.VerifiedType) string {
	switch {
	case t.Pulled && t.Pushed:
		return "both ways"
	case t.Pulled:
		return "pulled"
	}
	return "pushed"
}

func copyText(c *feed.Copy) string {
	switch {
	case c == nil:
		return "-"
	case c.Deleted:
		return c.Version.String() + " (deleted)"
	}
	return c.Version.String()
}
