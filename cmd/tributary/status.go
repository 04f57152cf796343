package main

import (
	"context"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/control"
)

func (a *app) statusCommand() *cobra.Command {
	return a.listing(&cobra.Command{
		Use: "status", Short: "Show how the node stands", Args: takes(0, 0, ""),
		RunE: a.operator(func(ctx context.Context, l link, _ []string) error {
			s, err := l.Status(ctx)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(s)
			}
			a.printStatus(s)
			return nil
		}),
	})
}

func (a *app) printStatus(s control.Status) {
	a.say("Node %s at %s (version %s, %s)", s.Node.Name, s.Node.URL, s.Node.Version, strings.TrimSpace(s.Node.Driver+" "+s.Node.Database))
	a.say("%s, %s deleted; %s in the log", counted(s.Counts.Total, "resource", "resources"), number(s.Counts.Deleted), counted(s.Counts.Changes, "change", "changes"))
	a.say("%s parked, %s held for the parent's decision, %s open of %s", number(s.Counts.Parked), number(s.Counts.Held), number(s.Counts.Open),
		counted(s.Counts.Conflicts, "conflict", "conflicts"))
	a.say("Knows %s", known(s.Knowledge))
	a.say("")
	if s.Parent == nil {
		a.say("Parent: none; this node is the top of its tree.")
	} else {
		a.printParent(*s.Parent)
		for _, r := range s.Reach {
			for _, line := range r.Said {
				a.say("  %s", line.Text)
			}
		}
	}
	for _, v := range s.Servers {
		a.say("")
		a.say("Server %s at %s", v.Name, v.URL)
		a.directions(directionOf("captured", v.Capture), directionOf("given", v.Deliver))
	}
	a.say("")
	rows := make([]table.Row, len(s.Children))
	for i, c := range s.Children {
		rows[i] = table.Row{c.Name, a.ago(c.LastSeen), number(c.Lag)}
	}
	a.table(table.Row{"Child", "Last seen", "Changes to read"}, rows, "Children: none. `tributary child add NAME` admits one.")
	if len(s.Attention) > 0 {
		a.say("")
		for _, line := range s.Attention {
			a.say("%s %s", a.colour(yellow, "!"), line)
		}
	}
}

// known sums up what a node knows: `tributary status --json` has it by type.
func known(all []control.Known) string {
	types, exceptions, forgotten := int64(len(all)), int64(0), int64(0)
	changes := uint64(0)
	for _, k := range all {
		changes += k.Changes
		exceptions += int64(k.Exceptions)
		forgotten += int64(min(1, k.Forgotten))
	}
	out := counted(changes, "change", "changes") + " of " + counted(types, "type", "types")
	if exceptions > 0 {
		out += ", but for " + counted(exceptions, "version", "versions") + " that it could not take"
	}
	if forgotten > 0 {
		out += "; old deletions of " + counted(forgotten, "type", "types") + " are forgotten"
	}
	return out
}

func (a *app) printParent(p control.Parent) {
	name := p.URL
	if p.Name != "" {
		name = p.Name + " at " + p.URL
	}
	a.say("Parent: %s, last seen %s", name, a.ago(p.LastSeen))
	if p.LastError != "" {
		a.say("  last error: %s", p.LastError)
	}
	a.directions(directionOf("pull", p.Pull), directionOf("push", p.Push))
}

type namedDirection struct {
	name string
	control.Direction
}

func directionOf(name string, d control.Direction) namedDirection { return namedDirection{name, d} }

// directions prints how directions of a link stand, and what went wrong last in each.
func (a *app) directions(all ...namedDirection) {
	rows := make([]table.Row, len(all))
	for i, d := range all {
		state := "waits for news"
		switch {
		case !d.Enabled:
			state = "off"
		case d.CatchUp && d.LastError == "":
			state = "catching up"
		case d.Running:
			state = "running"
		case d.LastError != "" && d.NextAttempt > 0:
			state = "tries again at " + a.when(d.NextAttempt)
		case d.NextAttempt > 0:
			state = "next at " + a.when(d.NextAttempt)
		}
		if d.Server != "" && d.LastError != "" {
			a.say("  last error: %s", d.LastError)
		}
		rows[i] = table.Row{d.name, state, a.ago(d.LastSuccess), number(d.Backlog)}
	}
	a.table(table.Row{"Direction", "State", "Last went well", "Changes that wait"}, rows, "")
}
