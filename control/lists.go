package control

import (
	"bytes"
	"context"
	"strings"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// maxList bounds the rows of a listing.
const maxList = 1000

func bounded(limit int) int {
	if limit <= 0 {
		return 100
	}
	return min(limit, maxList)
}

// Runs returns the newest passes of a kind (Pull, Push, VerifyRuns, or "" for all), newest first, 100 where limit is 0.
func (c *Control) Runs(ctx context.Context, direction string, limit int) ([]audit.Run, error) {
	switch direction {
	case "", Pull, Push, VerifyRuns:
	default:
		return nil, syncerr.New(syncerr.Usage, "list runs", "%.40q is none of %s, %s and %s", direction, Pull, Push, VerifyRuns)
	}
	out, err := c.eng.Store().Runs(ctx, direction, bounded(limit))
	return orEmpty(out), err
}

// Audit returns the records that q selects, newest first. The next page is asked for with Before set to the last ID.
func (c *Control) Audit(ctx context.Context, q audit.Query) ([]audit.Record, error) {
	out, err := c.eng.Store().AuditRecords(ctx, q)
	for i := range out {
		sound(&out[i])
	}
	return orEmpty(out), err
}

// exportPage is how many records are read at once for one who takes all.
const exportPage = 1000

// EachAudit gives the records that q selects to fn, newest first, until it returns an error: at most q.Limit, all of them where it is 0. They
// are read in pages, so that nothing is held for as long as somebody takes them.
func (c *Control) EachAudit(ctx context.Context, q audit.Query, fn func(audit.Record) error) error {
	for left := q.Limit; ; {
		q.Limit = exportPage
		if left > 0 {
			q.Limit = min(left, exportPage)
		}
		page, err := c.Audit(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range page {
			if err := fn(r); err != nil {
				return err
			}
		}
		if left -= len(page); len(page) < q.Limit || left == 0 {
			return nil
		}
		q.Before = page[len(page)-1].ID
	}
}

// AuditRecord returns the record with an id, a NotFound error where there is none.
func (c *Control) AuditRecord(ctx context.Context, id int64) (audit.Record, error) {
	r, ok, err := c.eng.Store().AuditRecord(ctx, id)
	if err == nil && !ok {
		err = syncerr.New(syncerr.NotFound, "show audit", "there is no row %d", id).WithHint("Old rows are deleted after the time that audit.retention says")
	}
	sound(&r)
	return r, err
}

// RunRecord returns one pass, a NotFound error where there is none, or none any more.
func (c *Control) RunRecord(ctx context.Context, id string) (audit.Run, error) {
	r, ok, err := c.eng.Store().Run(ctx, id)
	if err == nil && !ok {
		err = syncerr.New(syncerr.NotFound, "show run", "there is no run %.60q", id).WithHint("`tributary audit --passes` shows those that there are")
	}
	return r, err
}

// sound moves what a caller named and what is no key (a refused call for "Foo/..") to the details, because a key in JSON is
// read back as one.
func sound(r *audit.Record) {
	if r.Key == (fhir.Key{}) || r.Key.Validate() == nil {
		return
	}
	named := strings.Trim(r.Key.String(), "/")
	r.Key = fhir.Key{}
	r.Details = strings.TrimSuffix(named+": "+r.Details, ": ")
}

// Backup writes a consistent copy of the database to a new file on the node's machine while it runs. The errors are those of
// store.Backup.
func (c *Control) Backup(ctx context.Context, path string) error {
	if err := c.eng.Store().Backup(ctx, path); err != nil {
		return err
	}
	return c.eng.Note(ctx, audit.Record{Operation: audit.Admin, Outcome: audit.Done, Action: "BACKUP", Peer: c.actor, Details: "a copy of the database was written"})
}

// Held returns the copies that wait for the parent's decision, the oldest first, 100 where limit is 0.
func (c *Control) Held(ctx context.Context, limit int) ([]Held, error) {
	out, err := c.eng.Store().Held(ctx, bounded(limit))
	return orEmpty(out), err
}

// Sync runs a pass now and returns its runs once they have ended. It returns a Usage error for a direction other than Pull,
// Push and Both, and where this node has no parent, no server beside it and no SData target.
func (c *Control) Sync(ctx context.Context, direction string) ([]audit.Run, error) {
	if direction == "" {
		direction = Both
	}
	switch {
	case direction != Pull && direction != Push && direction != Both:
		return nil, syncerr.New(syncerr.Usage, "sync", "%.40q is none of %s, %s and %s", direction, Pull, Push, Both)
	case c.cfg.Parent.URL == "" && len(c.cfg.Servers) == 0 && len(c.cfg.SData) == 0:
		return nil, syncerr.New(syncerr.Usage, "sync", "this node has no parent").
			WithHint("It stands at the top: its children come to it by themselves. To sync with another node, set parent.url")
	case c.passes == nil:
		return nil, syncerr.New(syncerr.Usage, "sync", "this node does not run").WithHint("Start it with `tributary serve`")
	}
	return c.passes.Sync(ctx, direction)
}

// NoteSupport writes into the audit that somebody made a support bundle.
func (c *Control) NoteSupport(ctx context.Context) error {
	return c.eng.Note(ctx, audit.Record{Operation: audit.Admin, Outcome: audit.Done, Action: "SUPPORT", Peer: c.actor, Details: "a support bundle was made"})
}

// Config returns the configuration with secrets masked.
func (c *Control) Config() config.Config { return c.config().Redacted() }

// Sizes returns how much room the database takes. It reads no table.
func (c *Control) Sizes(ctx context.Context) (store.Sizes, error) { return c.eng.Store().Sizes(ctx) }

// Database returns how much room the database takes, and its tables. It reads every table once.
func (c *Control) Database(ctx context.Context) (store.Sizes, []store.Table, error) {
	sizes, err := c.eng.Store().Sizes(ctx)
	if err != nil {
		return sizes, nil, err
	}
	tables, err := c.eng.Store().Shape(ctx)
	return sizes, tables, err
}

// ConfigText returns the configuration as YAML with secrets masked.
func (c *Control) ConfigText(_ context.Context) (string, error) {
	var b bytes.Buffer
	err := c.config().Print(&b)
	return b.String(), err
}

// orEmpty makes JSON show [] instead of null.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// Names returns the node names of replicas; those that are not known are not in the map.
func (c *Control) Names(ctx context.Context, replicas ...version.Replica) (map[version.Replica]string, error) {
	known, err := c.eng.Store().Names(ctx, replicas)
	out := make(map[version.Replica]string, len(known))
	for _, n := range known {
		out[n.Replica] = n.Node
	}
	return out, err
}
