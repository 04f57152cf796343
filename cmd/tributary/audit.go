package main

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/sdata"
	"github.com/tributary-sync/tributary/syncerr"
)

// auditFlags are what is asked of the audit.
type auditFlags struct {
	q                            audit.Query
	direction, outcome, resource string
	from, since, to              string
	passes, lines                bool
	row                          int64
}

func (a *app) auditCommand() *cobra.Command {
	var o auditFlags
	c := a.listing(&cobra.Command{
		Use: "audit", Short: "Show what was done, by whom, and how it went", Args: takes(0, 0, ""),
		Long: `Audit shows the rows of the audit that all filters select, the newest first. With --csv and --ndjson it gives all of them, however many,
unless --limit says otherwise; what a caller named stands in the table so that a spreadsheet does not calculate it.`,
		Example: "  tributary audit --failed --since 24h\n  tributary audit --resource Patient/42\n  tributary audit --direction pull --outcome held --from 2026-01-01 --to 2026-02-01 --csv\n" +
			"  tributary audit --passes --limit 10",
		RunE: a.operator(func(ctx context.Context, l link, _ []string) error {
			if o.passes {
				if o != (auditFlags{passes: true, q: audit.Query{Limit: o.q.Limit}}) {
					return syncerr.New(syncerr.Usage, "audit", "--passes goes with --limit, --json and --csv alone")
				}
				return a.passes(ctx, l, cmp.Or(o.q.Limit, 50))
			}
			if o.row > 0 {
				return a.auditRow(ctx, l, o.row)
			}
			q, err := a.auditQuery(o)
			switch {
			case err != nil:
				return err
			case a.csv:
				return a.export(ctx, l, q, audit.CSV)
			case o.lines:
				return a.export(ctx, l, q, audit.NDJSON)
			}
			q.Limit = cmp.Or(q.Limit, 50)
			records, err := l.Audit(ctx, q)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(records)
			}
			a.table(auditHeader(), a.auditRows(records), "There is no such record.")
			return nil
		}),
	})
	f := c.Flags()
	f.BoolVar(&o.q.Failures, "failed", false, "only what failed, was refused, parked or deferred")
	f.StringVar(&o.direction, "direction", "", "only "+strings.Join(directions(), ", "))
	f.StringVar(&o.outcome, "outcome", "", "only "+strings.Join(outcomes(), ", "))
	f.StringVar(&o.q.Type, "type", "", "only this resource type")
	f.StringVar(&o.q.ID, "id", "", "only the resource with this id")
	f.StringVar(&o.resource, "resource", "", "only this resource, as Type/id")
	f.StringVar(&o.q.Run, "run", "", "only this pass; an SData run as its id, or as runName@runStamp")
	f.BoolVar(&o.passes, "passes", false, "the passes instead, with their counts and the bytes that they moved; of the other flags only --limit goes with it")
	f.StringVar(&o.q.Peer, "peer", "", "only exchanges with this node")
	f.StringVar(&o.since, "since", "", "not older than this: 30m, 24h, 7d, or a date such as 2026-01-31")
	f.StringVar(&o.from, "from", "", "the same as --since")
	f.StringVar(&o.to, "to", "", "older than this")
	f.Int64Var(&o.row, "row", 0, "one row by its number, with its cause and what to do")
	f.Int64Var(&o.q.Before, "before", 0, "older than the row with this number: the next page")
	f.IntVar(&o.q.Limit, "limit", 0, "at most so many, the newest (50 on a screen, all with --csv and --ndjson)")
	f.BoolVar(&o.lines, "ndjson", false, "all rows as JSON, one a line")
	c.MarkFlagsMutuallyExclusive("csv", "ndjson", "json")
	c.MarkFlagsMutuallyExclusive("since", "from")
	c.MarkFlagsMutuallyExclusive("resource", "type")
	c.MarkFlagsMutuallyExclusive("resource", "id")
	return c
}

func directions() (out []string) {
	for _, o := range audit.Operations() {
		out = append(out, strings.ToLower(string(o)))
	}
	return out
}

func outcomes() (out []string) {
	for _, o := range audit.Outcomes() {
		out = append(out, string(o))
	}
	return out
}

// auditQuery makes a query of the flags.
func (a *app) auditQuery(o auditFlags) (audit.Query, error) {
	q := o.q
	q.Operation, q.Outcome = audit.Operation(strings.ToUpper(o.direction)), audit.Outcome(o.outcome)
	if o.direction != "" {
		if err := oneOf("audit", o.direction, directions()...); err != nil {
			return q, err
		}
	}
	if o.outcome != "" {
		if err := oneOf("audit", o.outcome, outcomes()...); err != nil {
			return q, err
		}
	}
	if o.resource != "" {
		key, err := fhir.ParseKey(o.resource)
		if err != nil {
			return q, &syncerr.Error{Kind: syncerr.Usage, Op: "audit", Err: err, Hint: "Name one resource, such as Patient/42"}
		}
		q.Type, q.ID = key.Type, key.ID
	}
	if q.Type != "" && !fhir.IsKind(q.Type) {
		return q, syncerr.New(syncerr.Usage, "audit", "%.40q is not a resource type of FHIR R4", q.Type)
	}
	if name, stamp, ok := cutLast(q.Run, "@"); ok {
		q.Run = sdata.RunID(name, stamp)
	}
	var err error
	if q.From, err = a.moment("--since", o.since+o.from); err == nil {
		q.To, err = a.moment("--to", o.to)
	}
	return q, err
}

// auditRow prints one row with what a person wants to know of it.
func (a *app) auditRow(ctx context.Context, l link, id int64) error {
	r, err := l.ShowAudit(ctx, id)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(r)
	}
	a.table(auditHeader(), a.auditRows([]audit.Record{r.Record}), "")
	a.say("Why: %s\nWhat to do: %s", r.Cause.Text, r.Do.Text)
	if r.Details != "" {
		a.say("The program noted: %s", r.Details)
	}
	if r.Parked != nil {
		a.say("It is parked as %s.", r.Parked.UUID)
	}
	if r.Run != "" {
		a.say("Its pass: `tributary audit --run %s`.", r.Run)
	}
	return nil
}

// export prints all records that q selects.
func (a *app) export(ctx context.Context, l link, q audit.Query, format string) error {
	write, end := audit.Export(a.out, format)
	return errors.Join(l.EachAudit(ctx, q, write), end())
}

// passes lists runs, the newest first.
func (a *app) passes(ctx context.Context, l link, limit int) error {
	runs, err := l.Runs(ctx, "", limit)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(runs)
	}
	rows := make([]table.Row, len(runs))
	for i, r := range runs {
		rows[i] = table.Row{
			a.when(r.Started), r.Direction, r.Peer, r.Outcome, number(r.Read), number(r.Applied), number(r.Held), number(r.Parked),
			number(r.BytesIn), number(r.BytesOut), r.ID, short(r.Error, 60),
		}
	}
	a.table(table.Row{"Started", "Pass", "With", "Outcome", "Changes", "Applied", "Held", "Parked", "Bytes in", "Bytes out", "Run", "Error"}, rows, "There was no pass yet.")
	return nil
}

// cutLast parts a text at the last place of a separator.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// moment reads a duration back from now, or a date in the local zone, as milliseconds since 1970 UTC.
func (a *app) moment(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, a.clock().Location()); err == nil {
			return t.UnixMilli(), nil
		}
	}
	var d config.Duration
	if err := d.UnmarshalText([]byte(text)); err != nil || d.Std() <= 0 {
		return 0, syncerr.New(syncerr.Usage, "audit", "%s %.40q is neither a time nor how long ago", flag, text).WithHint("Write 30m, 24h, 7d or 2026-01-31")
	}
	return a.clock().Add(-d.Std()).UnixMilli(), nil
}

func auditHeader() table.Row {
	return table.Row{"Row", "Time", "Operation", "Outcome", "Resource", "Action", "With", "Details"}
}

func (a *app) auditRows(records []audit.Record) []table.Row {
	rows := make([]table.Row, len(records))
	for i, r := range records {
		rows[i] = table.Row{r.ID, a.when(r.Time), r.Operation, r.Outcome, dash(r.Key.String()), dash(r.Action), dash(r.Peer), short(r.Details, 80)}
	}
	return rows
}
