package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/control"
)

// finish gives the commands of a tree what many of them share: --watch, completion, and an example for each.
func (a *app) finish(root *cobra.Command) {
	for _, path := range []string{"status", "audit", "parked list", "conflict list", "child list", "network"} {
		a.watching(commandAt(root, path))
	}
	for path, words := range a.completions() {
		c := commandAt(root, path)
		c.ValidArgsFunction = func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return words(c.Context(), args), cobra.ShellCompDirectiveNoFileComp
		}
	}
	for path, text := range examples() {
		if c := commandAt(root, path); c.Example == "" {
			c.Example = text
		}
	}
}

// commandAt finds a command by the words behind the name of the program.
func commandAt(root *cobra.Command, path string) *cobra.Command {
	c, _, err := root.Find(strings.Fields(path))
	if err != nil || c.CommandPath() != root.Name()+" "+path {
		panic("bug: there is no command " + path)
	}
	return c
}

// examples are those of commands that have none of their own. A test runs them.
func examples() map[string]string {
	return map[string]string{
		"serve":                 "  tributary serve --config /etc/tributary/tributary.yaml",
		"demo":                  "  tributary demo --once --size 5",
		"status":                "  tributary status\n  tributary status --watch=5s",
		"sync":                  "  tributary sync\n  tributary sync pull",
		"backup":                "  tributary backup /media/backup/clinic-a.db",
		"conflict":              "  tributary conflict list --open",
		"conflict list":         "  tributary conflict list --open\n  tributary conflict list --resource Patient/42 --csv",
		"conflict show":         "  tributary conflict show Patient/42",
		"conflict resolve":      "  tributary conflict resolve --rule merge --type Patient --dry-run\n  tributary conflict resolve Patient/42 incoming --why 'asked the ward'",
		"parked":                "  tributary parked list",
		"parked list":           "  tributary parked list --direction push\n  tributary parked list --watch",
		"parked retry":          "  tributary parked retry",
		"child":                 "  tributary child add clinic-a",
		"child list":            "  tributary child list",
		"child remove":          "  tributary child remove clinic-a",
		"device":                "  tributary device list",
		"device set":            "  tributary device set phone-7 Patient Observation",
		"device list":           "  tributary device list --csv",
		"device remove":         "  tributary device remove phone-7",
		"carry":                 "  tributary carry introduce /media/stick",
		"carry in":              "  tributary carry in /media/stick",
		"carry list":            "  tributary carry list",
		"carry forget":          "  tributary carry forget district",
		"verify":                "  tributary verify\n  tributary verify --repair",
		"config":                "  tributary config print",
		"config check":          "  tributary config check --config /etc/tributary/tributary.yaml",
		"config print":          "  tributary config print",
		"version":               "  tributary version",
		"completion":            "  tributary completion bash",
		"completion bash":       "  tributary completion bash > /etc/bash_completion.d/tributary",
		"completion zsh":        "  tributary completion zsh > /usr/local/share/zsh/site-functions/_tributary",
		"completion fish":       "  tributary completion fish > /etc/fish/completions/tributary.fish",
		"completion powershell": "  tributary completion powershell > tributary.ps1",
	}
}

// completions are the words that a shell may offer behind a command, given those that are there.
func (a *app) completions() map[string]func(ctx context.Context, args []string) []string {
	first := func(words func(l link, ctx context.Context) []string) func(context.Context, []string) []string {
		return func(ctx context.Context, args []string) []string {
			if len(args) > 0 {
				return nil
			}
			return a.asked(ctx, words)
		}
	}
	conflicts := func(l link, ctx context.Context) (out []string) {
		for _, status := range []string{control.ConflictOpen, control.ConflictHeld} {
			list, err := l.Conflicts(ctx, control.ConflictQuery{Status: status, Limit: 50})
			for _, c := range list {
				if err == nil && c.UUID != "" {
					out = append(out, c.UUID+"\t"+c.Key.String())
				} else if err == nil {
					out = append(out, c.Key.String())
				}
			}
		}
		return out
	}
	children := func(l link, ctx context.Context) (out []string) {
		list, err := l.Children(ctx)
		for _, c := range list {
			if err == nil {
				out = append(out, c.Name)
			}
		}
		return out
	}
	devices := func(l link, ctx context.Context) (out []string) {
		list, err := l.Devices(ctx)
		for _, d := range list {
			if err == nil {
				out = append(out, d.Name)
			}
		}
		return out
	}
	parked := func(l link, ctx context.Context) (out []string) {
		list, err := l.Parked(ctx, control.ParkedQuery{Limit: 50})
		for _, p := range list {
			if err == nil {
				out = append(out, p.UUID+"\t"+p.Key.String())
			}
		}
		return out
	}
	return map[string]func(context.Context, []string) []string{
		"sync": func(_ context.Context, args []string) []string {
			if len(args) > 0 {
				return nil
			}
			return []string{control.Pull, control.Push, control.Both}
		},
		"conflict show": first(conflicts),
		"conflict resolve": func(ctx context.Context, args []string) []string {
			if len(args) == 1 {
				return []string{"local", "incoming"}
			}
			return first(conflicts)(ctx, args)
		},
		"parked retry": first(parked), "child remove": first(children), "device set": first(devices), "device remove": first(devices),
	}
}

// askedWithin is how long a person waits behind the tabulator key.
const askedWithin = time.Second

// asked asks a node that runs; one that does not is not opened for a completion.
func (a *app) asked(ctx context.Context, words func(l link, ctx context.Context) []string) []string {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, askedWithin)
	defer cancel()
	cfg, err := a.configuration()
	if err != nil || !answers(ctx, dialAddress(cfg.Node.Listen)) {
		return nil
	}
	l, err := a.connect(ctx, cfg)
	if err != nil {
		return nil
	}
	out := words(l, ctx)
	if l.close() != nil {
		return nil
	}
	return out
}
