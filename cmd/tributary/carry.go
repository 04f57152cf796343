package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/carry"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/syncerr"
)

func (a *app) carryCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use: "carry", Short: "Exchange changes with another node by a USB stick",
		Long: "Carry keeps two nodes in step that no network joins, or only sometimes: what the other one lacks goes onto a stick, signed and encrypted\n" +
			"for that node, and comes back with its answer. First both are introduced: `tributary carry introduce DIR` here, there, and here again.",
		Example: "  tributary carry introduce /media/stick\n  tributary carry out /media/stick\n  tributary carry in /media/stick && tributary carry out /media/stick",
	})
	c.AddCommand(a.carryIntroduceCommand(), a.carryOutCommand(), a.carryInCommand(), a.carryListCommand(), a.carryForgetCommand())
	return c
}

func (a *app) carryIntroduceCommand() *cobra.Command {
	call := control.Introduce{}
	c := a.listing(&cobra.Command{
		Use: "introduce DIR", Short: "Write this node's card to a stick and take the cards that are on it", Args: takes(1, 1, "the folder of the stick"),
		Long: "Introduce writes a card with this node's key to the stick and takes over the cards of others on it. The fingerprint of each is to be compared with\n" +
			"what the other node shows, by telephone or on paper, and then given with --accept; keys that were exchanged over the network need none.\n" +
			"One of two nodes decides conflicts between them: a parent for its children, else the one that was introduced with --decides.",
		Example: "  tributary carry introduce /media/stick\n  tributary carry introduce /media/stick --accept SHA256:4n7Q...",
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			f, err := carry.OpenFolder(args[0], true)
			if err != nil {
				return err
			}
			defer f.Close()
			if call.Cards, err = f.Cards(); err != nil {
				return err
			}
			got, err := l.Introduce(ctx, call)
			if err != nil {
				return typed(err)
			}
			if err := f.PutCard(got.Card); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(got)
			}
			own, err := carry.ReadCard(got.Card)
			if err != nil {
				return err
			}
			a.say("This node's card is on the stick: %s, key %s.", own.Node, carry.Fingerprint(own.Key))
			for _, p := range got.Introduced {
				a.say("Node %s is introduced (%s). Of both, %s decides conflicts.", p.Name, p.Fingerprint, p.Decides)
			}
			for _, u := range got.Unconfirmed {
				a.say("There is a card of %s with the key %s. Compare it with what `tributary carry introduce` shows there, then run\n"+
					"  tributary carry introduce %s --accept %s", u.Node, u.Fingerprint, args[0], u.Fingerprint)
			}
			if len(got.Introduced)+len(got.Unconfirmed) == 0 {
				a.say("There is no other card on it yet: run the command at the other node, then here again.")
			}
			if len(got.Unconfirmed) > 0 {
				return quietly{exitAttention}
			}
			return nil
		}),
	})
	c.Flags().StringArrayVar(&call.Accept, "accept", nil, "the fingerprint of a card that you have compared; may be given more than once")
	c.Flags().BoolVar(&call.Decides, "decides", false, "this node decides conflicts with those that it is introduced to")
	c.Flags().StringSliceVar(&call.Types, "type", nil, "resource types that go by sticks (default: all); for a parent and its children, the configuration says it")
	return c
}

func (a *app) carryOutCommand() *cobra.Command {
	var to []string
	var space string
	c := a.listing(&cobra.Command{
		Use: "out DIR", Short: "Write to a stick what another node lacks", Args: takes(1, 1, "the folder of the stick"),
		Long: "Out writes, for each node that was introduced or for those given with --to, what that node lacks and the answers to what it sent. What does not fit\n" +
			"is in the next bundle, once that node has taken this one and answered: exit code 3 says so.",
		Example: "  tributary carry out /media/stick\n  tributary carry out /media/stick --to district",
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			var limit config.Size
			if space != "" {
				var err error
				if limit, err = config.ParseSize(space); err != nil {
					return syncerr.New(syncerr.Usage, "carry out", "--space: %w", err)
				}
			}
			known, err := l.Sticks(ctx)
			if err != nil {
				return err
			}
			peers, err := chosen(known.Peers, to)
			if err != nil {
				return err
			}
			f, err := carry.OpenFolder(args[0], true)
			if err != nil {
				return err
			}
			defer f.Close()
			var all []carry.Written
			for _, p := range peers {
				w, err := f.Out(ctx, l.sticks, known.PublicKey, carry.To{Name: p.Name, Key: p.PublicKey, Taken: p.In}, func() int64 { return freeOn(args[0]) }, int64(limit))
				if err != nil {
					return fmt.Errorf("for %s: %w", p.Name, err)
				}
				all = append(all, w)
			}
			return a.wrote(all)
		}),
	})
	c.Flags().StringArrayVar(&to, "to", nil, "only for this node; may be given more than once")
	c.Flags().StringVar(&space, "space", "", "the most that each bundle may take, as 500MB (default: what is free)")
	return c
}

// wrote says what is on a stick.
func (a *app) wrote(all []carry.Written) error {
	full := false
	for _, w := range all {
		full = full || !w.Whole
	}
	if a.json {
		if err := a.printJSON(all); err != nil {
			return err
		}
	} else {
		for _, w := range all {
			m := w.Manifest
			a.say("For %s: bundle %d with %s and %s, %s.", m.To, m.Serial, counted(m.Lines(carry.Changes), "change", "changes"),
				counted(m.Lines(carry.Receipts), "answer", "answers"), bytesText(m.Size()))
			if !w.Whole {
				a.say("  The stick is full: not everything that %s lacks is on it. The rest goes with the next bundle, once %s has taken this one and its answer has come back.", m.To, m.To)
			}
		}
		a.say("Unmount the stick before you pull it out.")
	}
	if full {
		return quietly{exitAttention}
	}
	return nil
}

// chosen returns the peers of those names, all where none is given.
func chosen(peers []control.StickPeer, names []string) ([]control.StickPeer, error) {
	if len(peers) == 0 {
		return nil, syncerr.New(syncerr.Usage, "carry out", "this node was not introduced to another one").WithHint("`tributary carry introduce DIR` begins")
	}
	if len(names) == 0 {
		return peers, nil
	}
	var out []control.StickPeer
	for _, name := range names {
		found := false
		for _, p := range peers {
			if p.Name == name {
				out, found = append(out, p), true
			}
		}
		if !found {
			return nil, syncerr.New(syncerr.Usage, "carry out", "no node %.60q was introduced", name).WithHint("`tributary carry list` shows them")
		}
	}
	return out, nil
}

// freeOn returns how many bytes are free on a stick, a negative number where that cannot be told.
func freeOn(dir string) int64 {
	n, err := carry.FreeSpace(dir)
	if err != nil {
		return -1
	}
	return int64(min(n, 1<<62))
}

func (a *app) carryInCommand() *cobra.Command {
	return a.listing(&cobra.Command{
		Use: "in DIR", Short: "Take from a stick what was written for this node", Args: takes(1, 1, "the folder of the stick"),
		Long: "In checks every bundle that is for this node, and then takes it. It may be run any number of times. Afterwards `tributary carry out` writes the answer.",
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			known, err := l.Sticks(ctx)
			if err != nil {
				return err
			}
			f, err := carry.OpenFolder(args[0], false)
			if err != nil {
				return err
			}
			defer f.Close()
			found, err := f.Bundles(known.PublicKey)
			failed := []error{err}
			all := []carry.Taken{}
			for _, b := range found {
				t, err := f.In(ctx, l.sticks, b)
				if err != nil {
					failed = append(failed, fmt.Errorf("the bundle of %s: %w", b.Manifest.Node, err))
					continue
				}
				all = append(all, t)
			}
			if err := errors.Join(failed...); err != nil {
				a.took(all, filepath.Clean(args[0]))
				return err
			}
			if a.json {
				err = a.printJSON(all)
			} else if a.took(all, filepath.Clean(args[0])); len(all) == 0 {
				a.say("There is nothing for this node on it.")
			}
			for _, t := range all {
				if err == nil && (t.Run.Parked > 0 || t.Run.Held > 0 || !t.Whole) {
					err = quietly{exitAttention}
				}
			}
			return err
		}),
	})
}

// took says what was taken from a stick.
func (a *app) took(all []carry.Taken, dir string) {
	if a.json {
		return
	}
	for _, t := range all {
		if t.Already {
			a.say("Bundle %d of %s was taken before.", t.Serial, t.Node)
			continue
		}
		r := t.Run
		a.say("Bundle %d of %s: %s read, %s applied, %s known already, %s held or for a person, %s refused.", t.Serial, t.Node, number(r.Read), number(r.Applied),
			number(r.Skipped), number(r.Held), number(r.Parked))
		switch {
		case t.Gap:
			a.say("  Another bundle belongs before this one. What it brings was taken; the next bundle of %s, written after it has your answer, brings the rest.", t.Node)
		case !t.Whole:
			a.say("  It is not all that %s has for this node: the stick was full. The rest comes after your answer.", t.Node)
		}
	}
	if len(all) > 0 {
		a.say("`tributary carry out %s` writes the answer.", dir)
	}
}

func (a *app) carryListCommand() *cobra.Command {
	return a.listing(&cobra.Command{
		Use: "list", Short: "List the nodes with which sticks are exchanged", Args: takes(0, 0, ""),
		RunE: a.operator(func(ctx context.Context, l link, _ []string) error {
			s, err := l.Sticks(ctx)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(s)
			}
			rows := make([]table.Row, len(s.Peers))
			for i, p := range s.Peers {
				rows[i] = table.Row{p.Name, p.Is, p.Decides, p.Fingerprint[:23] + "…", p.Out, a.ago(p.OutAt), p.Acked, p.In, a.ago(p.InAt)}
			}
			a.table(table.Row{"Node", "Is", "Decides", "Key", "Written", "", "It has taken", "Taken of it", ""}, rows,
				"This node was not introduced to another one. `tributary carry introduce DIR` begins.")
			return nil
		}),
	})
}

func (a *app) carryForgetCommand() *cobra.Command {
	return &cobra.Command{
		Use: "forget NAME", Short: "Take no more sticks of a node; what it delivered stays", Args: takes(1, 1, "the node's name"),
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			if err := l.ForgetPeer(ctx, args[0]); err != nil {
				return err
			}
			a.say("Sticks of %s are not taken any more. What it delivered stays.", args[0])
			return nil
		}),
	}
}
