package main

import (
	"context"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
)

func (a *app) childCommand() *cobra.Command {
	c := group(&cobra.Command{Use: "child", Short: "Admit, list or remove the nodes below this one"})
	key := ""
	add := a.listing(&cobra.Command{
		Use: "add NAME", Short: "Admit a child and print its credential", Args: takes(1, 1, "the child's name"),
		Long:    "Add admits a node as a child and prints the credential that it needs. The credential is shown this once: only its hash is stored.",
		Example: "  tributary child add clinic-a > parent.token\n  tributary child add clinic-a --key 'BASE64 KEY THAT init PRINTED'",
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			child, err := l.AddChild(ctx, args[0], key)
			if err != nil {
				return typed(err)
			}
			if a.json {
				return a.printJSON(child)
			}
			// The credential alone goes to standard output, so that it can be written into a file.
			a.say("%s", child.Credential)
			a.note("Child %s is admitted. The line above is its credential: put it into the file that parent.credential_file names at the child "+
				"(data/parent.token). It is not shown again.", child.Name)
			return nil
		}),
	})
	add.Flags().StringVar(&key, "key", "", "the child's public key, as its `tributary init` printed it")
	list := a.listing(&cobra.Command{
		Use: "list", Short: "List the children", Args: takes(0, 0, ""),
		RunE: a.operator(func(ctx context.Context, l link, _ []string) error {
			children, err := l.Children(ctx)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(children)
			}
			rows := make([]table.Row, len(children))
			for i, c := range children {
				rows[i] = table.Row{c.Name, dash(string(c.Replica)), a.when(c.Created), a.ago(c.LastSeen), number(c.Lag)}
			}
			a.table(table.Row{"Name", "Replica", "Admitted", "Last seen", "Changes to read"}, rows, "There are no children. `tributary child add NAME` admits one.")
			for _, c := range children {
				if c.Cloned != 0 {
					a.say("! Child %s runs twice, and both copies are refused since %s. `tributary doctor` says what to do.", c.Name, a.when(c.Cloned))
				}
			}
			return nil
		}),
	})
	remove := &cobra.Command{
		Use: "remove NAME", Short: "Take a child's credential away; what it delivered stays", Args: takes(1, 1, "the child's name"),
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			if err := l.RemoveChild(ctx, args[0]); err != nil {
				return err
			}
			a.say("Child %s may no longer read from or push to this node. What it delivered stays.", args[0])
			return nil
		}),
	}
	c.AddCommand(add, list, remove)
	return c
}
