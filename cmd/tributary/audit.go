package main

import (
	"context"
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

func (a *app) auditCommand() *cobra.Command {
	var q audit.Query
	var since string
	var passes bool
	c := a.listing(&cobra.Command{
		Use: "audit", Short: "Show what was done, by whom, and how it went", Args: takes(0, 0, ""),
		Example: "  tributary audit --failed --since 24h\n  tributary audit --type Patient --id 42\n  tributary audit --passes --limit 10",
		RunE: a.operator(func(ctx context.Context, l link, _ []string) error {
			if passes {
				if q.Failures || since != "" || q.Type != "" || q.ID != "" || q.Run != "" || q.Peer != "" {
					return syncerr.New(syncerr.Usage, "audit", "--passes goes with --limit and --json alone")
				}
				return a.passes(ctx, l, q.Limit)
			}
			if q.Type != "" && !fhir.IsKind(q.Type) {
				return syncerr.New(syncerr.Usage, "audit", "%.40q is not a resource type of FHIR R4", q.Type)
			}
			if name, stamp, ok := cutLast(q.Run, "@"); ok {
				q.Run = sdata.RunID(name, stamp)
			}
			var err error
			if q.From, err = a.since(since); err != nil {
				return err
			}
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
	f.BoolVar(&q.Failures, "failed", false, "only what failed, was refused, parked or deferred")
	f.StringVar(&q.Type, "type", "", "only this resource type")
	f.StringVar(&q.ID, "id", "", "only the resource with this id")
	f.StringVar(&q.Run, "run", "", "only this pass; an SData run as its id, or as runName@runStamp")
	f.BoolVar(&passes, "passes", false, "the passes instead, with their counts and the bytes that they moved; of the other flags only --limit goes with it")
	f.StringVar(&q.Peer, "peer", "", "only exchanges with this node")
	f.IntVar(&q.Limit, "limit", 50, "at most so many, the newest")
	f.StringVar(&since, "since", "", "not older than this: 30m, 24h, 7d, or a date such as 2026-01-31")
	return c
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

// since reads a duration back from now, or a date in the local zone, as milliseconds since 1970 UTC.
func (a *app) since(text string) (int64, error) {
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
		return 0, syncerr.New(syncerr.Usage, "audit", "--since %.40q is neither a time nor how long ago", text).WithHint("Write 30m, 24h, 7d or 2026-01-31")
	}
	return a.clock().Add(-d.Std()).UnixMilli(), nil
}

func auditHeader() table.Row {
	return table.Row{"Time", "Operation", "Outcome", "Resource", "Action", "With", "Details"}
}

func (a *app) auditRows(records []audit.Record) []table.Row {
	rows := make([]table.Row, len(records))
	for i, r := range records {
		rows[i] = table.Row{a.when(r.Time), r.Operation, r.Outcome, dash(r.Key.String()), dash(r.Action), dash(r.Peer), short(r.Details, 80)}
	}
	return rows
}
