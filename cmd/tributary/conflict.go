package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
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
			waiting := q
			waiting.Status = control.ConflictHeld
			conflicts, err := l.Conflicts(ctx, waiting)
			if err != nil {
				return err
			}
			more, err := l.Conflicts(ctx, q)
			if err != nil {
				return err
			}
			conflicts = append(conflicts, more...)
			if a.json {
				return a.printJSON(conflicts)
			}
			a.table(conflictHeader(), a.conflictRows(conflicts), "There is no conflict.")
			return nil
		}),
	})
	list.Flags().BoolVar(&open, "open", false, "only those that wait, for a person or for the parent")
	list.Flags().StringVar(&resource, "resource", "", "only those of this resource, as Type/id")
	list.Flags().IntVar(&q.Limit, "limit", 100, "at most so many")

	show := a.listing(&cobra.Command{
		Use: "show {UUID | Type/id}", Short: "Show a conflict: the common ancestor, both copies, where they differ and why", Args: takes(1, 1, "the UUID or Type/id that `tributary conflict list` shows"),
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

	c.AddCommand(list, show, a.resolveCommand())
	return c
}

// resolving is what the flags of `conflict resolve` say.
type resolving struct {
	r          control.Resolution
	file       string
	takes      []string
	sets       []string
	rule, kind string
}

func (a *app) resolveCommand() *cobra.Command {
	var f resolving
	resolve := a.listing(&cobra.Command{
		Use:   "resolve {UUID | Type/id} [local|incoming] | resolve --rule RULE",
		Short: "Decide a conflict: one copy, a merged file, field by field, or all open ones by a rule",
		Long: `Decide a conflict. What is decided travels to the other nodes like any change and ends the conflict there; both copies stay readable.

  tributary conflict resolve UUID local                       this node's copy stands
  tributary conflict resolve UUID incoming                    the other copy stands
  tributary conflict resolve UUID --file it.json --basis B    this is the record (B: what "conflict show" printed)
  tributary conflict resolve UUID --take Patient.gender=local field by field; what only one side changed is taken from that side
  tributary conflict resolve --rule merge --type Patient      all open ones, by a rule; --dry-run only says what it would do

A copy that is held here because the parent has not decided is named by its Type/id.`,
		Args: takes(0, 2, "the UUID that `tributary conflict list` shows, and local or incoming"),
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			if f.rule != "" {
				return a.resolveByRule(ctx, l, args, f)
			}
			conflict, err := l.ResolveConflict(ctx, args[0], f.r)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(conflict)
			}
			a.say("The %s copy of %s stands, as version %s. It travels to the other nodes like any change.", conflict.Winner, conflict.Key, conflict.Decided)
			return nil
		}),
	})
	decide := resolve.RunE
	resolve.RunE = func(c *cobra.Command, args []string) error {
		if f.rule == "" {
			if err := f.read(c.InOrStdin(), args); err != nil { // before anything is asked of a node
				return err
			}
		}
		return decide(c, args)
	}
	resolve.Flags().StringVar(&f.file, "file", "", "the record as it is to be, as JSON; - for standard input")
	resolve.Flags().StringVar(&f.r.Basis, "basis", "", "refuse if the copies are others than those that 'tributary conflict show' printed this `CODE` for")
	resolve.Flags().StringArrayVar(&f.takes, "take", nil, "`PATH`=local or PATH=incoming, for each path that 'tributary conflict show' lists as a clash")
	resolve.Flags().StringArrayVar(&f.sets, "set", nil, "PATH=JSON, for an element that neither copy has right; needs --basis")
	resolve.Flags().BoolVar(&f.r.Held, "held", false, "with --rule: the copies that are held here for the parent, too")
	resolve.Flags().StringVar(&f.r.Remark, "why", "", "the reason, for the audit; no patient data")
	resolve.Flags().StringVar(&f.rule, "rule", "", "decide all open conflicts by this rule: "+policyNames())
	resolve.Flags().StringVar(&f.kind, "type", "", "with --rule: only of this resource type")
	resolve.Flags().BoolVar(&f.r.DryRun, "dry-run", false, "with --rule: say what it would do, and do nothing")
	return resolve
}

func policyNames() string {
	var names []string
	for _, p := range reconcile.PolicyNames() {
		if p != reconcile.Defer {
			names = append(names, string(p))
		}
	}
	return strings.Join(names, ", ")
}

// read makes a resolution of the arguments.
func (f *resolving) read(in io.Reader, args []string) error {
	usage := func(format string, args ...any) error {
		return syncerr.New(syncerr.Usage, "conflict resolve", format, args...).WithHint("`tributary conflict resolve --help` shows the ways")
	}
	switch {
	case len(args) == 0:
		return usage("no conflict is named")
	case f.r.DryRun || f.kind != "" || f.r.Held:
		return usage("--dry-run, --held and --type go with --rule")
	case len(args) == 2:
		f.r.Choice = control.Choice(args[1])
		if err := oneOf("conflict resolve", args[1], "local", "incoming"); err != nil {
			return err
		}
	}
	if f.file != "" {
		if f.r.Basis == "" {
			return usage("a file needs --basis, which `tributary conflict show` prints: it says that nobody changed the record meanwhile")
		}
		body, err := readDocument(in, f.file)
		if err != nil {
			return err
		}
		f.r.Document = body
	}
	for _, t := range f.takes {
		path, side, ok := strings.Cut(t, "=")
		if !ok {
			return usage("%.100q is not PATH=local or PATH=incoming", t)
		}
		if f.r.Fields == nil {
			f.r.Fields = map[string]control.Choice{}
		}
		f.r.Fields[path] = control.Choice(side)
	}
	for _, t := range f.sets {
		path, value, ok := strings.Cut(t, "=")
		if !ok || !json.Valid([]byte(value)) {
			return usage("%.100q is not PATH=JSON: a text stands in quotation marks", t)
		}
		if f.r.Values == nil {
			f.r.Values = map[string]json.RawMessage{}
		}
		f.r.Values[path] = json.RawMessage(value)
	}
	if len(args) == 1 && f.file == "" && len(f.takes)+len(f.sets) == 0 {
		return usage("it is not said what shall stand: local, incoming, --take or --file")
	}
	return nil
}

// readDocument reads a file of JSON, or in where path is "-".
func readDocument(in io.Reader, path string) (json.RawMessage, error) {
	read := func() ([]byte, error) { return os.ReadFile(path) }
	if path == "-" {
		read = func() ([]byte, error) { return io.ReadAll(in) }
	}
	body, err := read()
	if err != nil {
		return nil, &syncerr.Error{Kind: syncerr.Usage, Op: "conflict resolve", Err: err}
	}
	if !json.Valid(body) {
		return nil, syncerr.New(syncerr.Invalid, "conflict resolve", "%s is not JSON", path)
	}
	return body, nil
}

func (a *app) resolveByRule(ctx context.Context, l link, args []string, f resolving) error {
	if len(args) > 0 || f.file != "" || len(f.takes)+len(f.sets) > 0 || f.r.Basis != "" {
		return syncerr.New(syncerr.Usage, "conflict resolve", "--rule is about all open conflicts, and goes with --type, --held, --why and --dry-run alone")
	}
	f.r.Rule = reconcile.Policy(f.rule)
	done, err := l.ResolveByRule(ctx, f.kind, f.r)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(done)
	}
	rows, open := make([]table.Row, len(done)), 0
	for i, d := range done {
		rows[i] = table.Row{d.UUID, d.Key, dash(d.Winner), dash(d.Left)}
		if d.Winner == "" {
			open++
		}
	}
	a.table(table.Row{"UUID", "Resource", "Stands", "Left open because"}, rows, "There is no open conflict.")
	verb := "decided"
	if f.r.DryRun {
		verb = "would be decided"
	}
	if len(done) > 0 {
		a.say("%d %s by %s, %d left open.", len(done)-open, verb, f.rule, open)
	}
	return nil
}

func conflictHeader() table.Row {
	return table.Row{"UUID", "Resource", "Kind", "Status", "Rule", "Winner", "With", "Since"}
}

func (a *app) conflictRows(conflicts []control.Conflict) []table.Row {
	rows := make([]table.Row, len(conflicts))
	for i, c := range conflicts {
		rows[i] = table.Row{dash(c.UUID), c.Key, dash(c.Kind), c.Status, dash(c.Rule), dash(c.Winner), dash(c.Peer), a.when(c.Opened)}
	}
	return rows
}

func (a *app) printConflict(c control.ShownConflict) error {
	if c.Kind == control.KindIdentity {
		a.say("%s was made in two places independently, perhaps for two different persons or things.", c.Key)
	} else {
		a.say("%s was changed in two places, neither of which had seen the other.", c.Key)
	}
	name := c.UUID
	switch {
	case c.Status == control.ConflictHeld:
		name = c.Key.String()
		a.say("The copy from the parent is held here since %s: %s.", a.when(c.Opened), c.Reason)
	case c.Status == control.ConflictOpen:
		a.say("It waits for a person since %s.", a.when(c.Opened))
	case c.Winner == control.Merged:
		a.say("The two copies were put together (%s) at %s; both are kept here.", resolver(c), a.when(c.Closed))
	case c.Winner == "local" || c.Winner == "incoming":
		a.say("The %s copy won (%s) at %s; the other is kept here.", c.Winner, resolver(c), a.when(c.Closed))
	default:
		a.say("It was settled by a later version (%s) at %s; both copies are kept here.", c.Rule, a.when(c.Closed))
	}
	if c.Reason != "" && c.Status != control.ConflictHeld {
		a.say("Reason: %s.", c.Reason)
	}
	if c.Remark != "" {
		a.say("%s said why: %s", c.Actor, c.Remark)
	}
	if c.Flagged {
		a.say("One side deleted it while the other edited it; please look.")
	}
	if c.Basis != "" {
		a.say("To decide: `tributary conflict resolve %s local`, or `incoming`, or --take PATH=local|incoming, or --file FILE --basis %s", name, c.Basis)
	}
	if len(c.Differences) > 0 {
		a.say("")
		rows := make([]table.Row, len(c.Differences))
		for i, d := range c.Differences {
			mark := ""
			if d.Clash {
				mark = "clash"
			}
			if d.Clash && d.Critical {
				mark = "clash, only for a person"
			}
			rows[i] = table.Row{d.Path, d.Words, mark, dash(d.Ancestor), dash(d.Local), dash(d.Incoming)}
		}
		a.table(table.Row{"Element", "What happened (left is local)", "", "Ancestor", "Local", "Incoming"}, rows, "")
	}
	if !c.Ancestor.IsZero() {
		a.say("\nCommon ancestor: version %s", c.Ancestor)
		if err := a.printContent(c.AncestorContent, "(the history does not have its content any more)"); err != nil {
			return err
		}
	}
	for _, side := range []struct {
		name    string
		stamp   stamps.Stamp
		by      string
		content json.RawMessage
	}{{"Local copy", c.Local, c.LocalBy, c.LocalContent}, {"Incoming copy, from " + dash(c.Peer), c.Incoming, c.IncomingBy, c.IncomingContent}} {
		a.say("\n%s: version %s, written at %s by %s", side.name, side.stamp.Version, a.when(side.stamp.Authored), cmp.Or(side.by, string(side.stamp.Author)))
		if side.stamp.Deleted {
			a.say("(deleted)")
			continue
		}
		if err := a.printContent(side.content, "(its content is not kept)"); err != nil {
			return err
		}
	}
	return nil
}

// resolver says who or what decided a conflict.
func resolver(c control.ShownConflict) string {
	if c.Actor != "" {
		return "by " + c.Actor
	}
	return c.Rule
}

func (a *app) printContent(content json.RawMessage, without string) error {
	if content == nil {
		a.say("%s", without)
		return nil
	}
	var b bytes.Buffer
	if err := json.Indent(&b, content, "", "  "); err != nil {
		return syncerr.Wrap(syncerr.Internal, "print conflict", err)
	}
	a.say("%s", b.String())
	return nil
}
