package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/syncerr"
)

// exitAttention is the exit code of a command that did its work and leaves something parked, refused or in conflict
// (DESIGN.md section 9).
const exitAttention = 3

// app is what all commands share.
type app struct {
	in      io.Reader
	out     io.Writer
	errors  io.Writer
	env     []string // as os.Environ
	clock   func() time.Time
	version string

	service machinery // for tests; what systemd is worked with

	configPath string // --config
	json       bool   // --json
	csv        bool   // --csv

	screen io.Writer // what out stands for while a picture is drawn; nil else
}

// quietly ends a command with an exit code; what there is to say was printed as its result.
type quietly struct{ code int }

// Error is never shown.
func (q quietly) Error() string { return fmt.Sprintf("exit code %d", q.code) }

// run carries out a command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var q quietly
	switch {
	case err == nil:
		return 0
	case errors.As(err, &q):
		return q.code
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(a.errors, "tributary: stopped")
		return 1
	}
	for _, line := range sentences(err) {
		fmt.Fprintln(a.errors, "tributary: "+line)
	}
	return syncerr.KindOf(err).ExitCode()
}

// sentences returns one line for each error that was joined.
func sentences(err error) []string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out, texts []string
		for _, e := range joined.Unwrap() {
			out, texts = append(out, sentences(e)...), append(texts, e.Error())
		}
		if err.Error() == strings.Join(texts, "\n") {
			return out
		}
	}
	return []string{strings.Join(strings.Fields(err.Error()), " ")}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:     "tributary",
		Example: "  tributary demo\n  tributary init --name clinic-a",
		Short:   "A FHIR node that syncs with its parent and its children",
		Long: "Tributary keeps the FHIR records of a health facility and syncs them with the node above it and the nodes below it.\n" +
			"`tributary demo` shows it; `tributary init` makes a node.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	group(root)
	root.SetOut(a.out)
	root.SetErr(a.errors)
	root.SetIn(a.in)
	root.PersistentFlags().StringVar(&a.configPath, "config", "", "the configuration file (default: $TRIBUTARY_CONFIG, ./tributary.yaml, /etc/tributary/tributary.yaml)")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return syncerr.New(syncerr.Usage, c.CommandPath(), "%w", err).WithHint("`%s --help` shows what it takes", c.CommandPath())
	})
	root.AddCommand(
		a.initCommand(), a.serveCommand(), a.demoCommand(), a.loadCommand(), a.statusCommand(), a.networkCommand(), a.syncCommand(), a.backupCommand(), a.restoreCommand(), a.serviceCommand(), a.auditCommand(),
		a.chartsCommand(), a.conflictCommand(), a.parkedCommand(), a.childCommand(), a.deviceCommand(), a.carryCommand(), a.explainCommand(), a.verifyCommand(), a.doctorCommand(),
		a.supportCommand(), a.engineCommand(), a.configCommand(), a.manCommand(), a.versionCommand(),
	)
	root.InitDefaultCompletionCmd()
	a.finish(root)
	return root
}

// group makes a command that only holds others: alone it shows its help, with a word it does not know it says so.
func group(c *cobra.Command) *cobra.Command {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		e := syncerr.New(syncerr.Usage, c.CommandPath(), "there is no command %.40q", args[0])
		if c.SuggestionsMinimumDistance <= 0 {
			c.SuggestionsMinimumDistance = 2
		}
		if like := c.SuggestionsFor(args[0]); len(like) > 0 {
			return e.WithHint("Did you mean `%s %s`?", c.CommandPath(), like[0])
		}
		return e.WithHint("`%s --help` shows them", c.CommandPath())
	}
	return c
}

// takes checks the number of arguments and says what is expected; most < 0 is any number.
func takes(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		if most == 0 {
			return syncerr.New(syncerr.Usage, c.CommandPath(), "it takes no argument, %.60q was given", args[0]).WithHint("`%s --help` shows what it takes", c.CommandPath())
		}
		return syncerr.New(syncerr.Usage, c.CommandPath(), "it takes %s", what).WithHint("`%s --help` shows an example", c.CommandPath())
	}
}

// typed makes an error that the node answered to what was typed one of usage: over HTTP both are "invalid".
func typed(err error) error {
	if syncerr.KindOf(err) != syncerr.Invalid {
		return err
	}
	return &syncerr.Error{Kind: syncerr.Usage, Err: err}
}

// oneOf checks a word that was typed.
func oneOf(c, word string, words ...string) error {
	if slices.Contains(words, word) {
		return nil
	}
	return syncerr.New(syncerr.Usage, c, "%.40q is none of %s", word, strings.Join(words, ", ")).WithHint("`tributary %s --help` shows an example", c)
}

// listing gives a command the flags --json and --csv.
func (a *app) listing(c *cobra.Command) *cobra.Command {
	c.Flags().BoolVar(&a.json, "json", false, "print the values as JSON, as /control/v1 has them")
	c.Flags().BoolVar(&a.csv, "csv", false, "print the values as comma-separated lines for a spreadsheet (RFC 4180)")
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if a.csv && c.Flags().Changed("json") {
			return syncerr.New(syncerr.Usage, c.CommandPath(), "--json and --csv are both given").WithHint("Choose one")
		}
		a.json = a.json || a.csv
		return run(c, args)
	}
	return c
}

// note says something beside the result: it must not mix with what a script reads.
func (a *app) note(format string, args ...any) { fmt.Fprintf(a.errors, format+"\n", args...) }

func (a *app) configuration() (config.Config, error) { return config.Load(a.configPath, a.env) }
