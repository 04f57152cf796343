package control

import (
	"context"
	"strings"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// Resolution is a person's decision about a conflict.
type Resolution = engine.Resolution

// Choice is one of the two copies, "local" or "incoming".
type Choice = engine.Choice

// Merged is the winner of a conflict whose copies were put together.
const Merged = engine.Merged

// ShownConflict is a conflict with what a person needs to decide about it.
type ShownConflict struct {
	Conflict
	Basis       string              `json:"basis,omitempty"`      // names the copies that were shown; for a Resolution
	LocalBy     string              `json:"localBy,omitempty"`    // the node that wrote the local copy, empty where its name is not known
	IncomingBy  string              `json:"incomingBy,omitempty"` // the node that wrote the other one
	Differences []ElementDifference `json:"differences"`
}

// ElementDifference is an element in which the two copies of a conflict differ; the values are JSON, empty where the element is absent.
type ElementDifference struct {
	Path     string `json:"path"`
	Words    string `json:"words"`
	Ancestor string `json:"ancestor,omitempty"`
	Local    string `json:"local,omitempty"`
	Incoming string `json:"incoming,omitempty"`
	Takes    string `json:"takes,omitempty"`    // which copy a merge takes by itself, "local" or "incoming"; empty where both sides changed it
	Clash    bool   `json:"clash,omitempty"`    // both sides changed it
	Critical bool   `json:"critical,omitempty"` // no rule decides it
}

// Ruled is what a rule made, or would make, of an open conflict.
type Ruled struct {
	UUID   string   `json:"uuid"`
	Key    fhir.Key `json:"resource"`
	Winner string   `json:"winner,omitempty"` // local, incoming or merged; empty where it was left open
	Left   string   `json:"left,omitempty"`   // why
}

// Conflicts returns conflicts without their contents, newest first. Of status held are the copies that wait because the parent has not
// decided; they are in no other list.
func (c *Control) Conflicts(ctx context.Context, q ConflictQuery) ([]Conflict, error) {
	switch q.Status {
	case "", store.ConflictOpen, store.ConflictDecided, store.ConflictHeld:
	default:
		return nil, syncerr.New(syncerr.Usage, "list conflicts", "%.40q is none of %s, %s and %s", q.Status, store.ConflictOpen, store.ConflictDecided, store.ConflictHeld)
	}
	var out []Conflict
	var err error
	if q.Status == store.ConflictHeld {
		out, err = c.held(ctx, q)
	} else {
		out, err = c.eng.Store().Conflicts(ctx, store.ConflictFilter{Status: q.Status, Key: q.Key, Limit: bounded(q.Limit)})
	}
	for i := range out {
		out[i].LocalContent, out[i].IncomingContent, out[i].AncestorContent = nil, nil, nil
	}
	return orEmpty(out), err
}

func (c *Control) held(ctx context.Context, q ConflictQuery) ([]Conflict, error) {
	rows, err := c.eng.Store().Held(ctx, maxList)
	if err != nil {
		return nil, err
	}
	var out []Conflict
	for _, h := range rows {
		if (q.Key == (fhir.Key{}) || h.Key == q.Key) && len(out) < bounded(q.Limit) {
			out = append(out, engine.HeldConflict(h))
		}
	}
	return out, nil
}

// Conflict returns one conflict with the contents of both copies and of their ancestor, named by its UUID or, where it waits for a
// decision, by Type/id. The local copy of one that waits is the one that stands now. It returns a NotFound error where there is none.
func (c *Control) Conflict(ctx context.Context, name string) (ShownConflict, error) {
	if name == "" {
		return ShownConflict{}, syncerr.New(syncerr.Usage, "show conflict", "no conflict is named").WithHint("`tributary conflict list` shows them")
	}
	row, err := c.eng.Waiting(ctx, name)
	if syncerr.KindOf(err) == syncerr.NotFound {
		var rows []Conflict
		if rows, err = c.eng.Store().Conflicts(ctx, store.ConflictFilter{UUID: name, Limit: 1}); err == nil && len(rows) == 0 {
			err = syncerr.New(syncerr.NotFound, "show conflict", "there is no conflict %.120q", name).WithHint("`tributary conflict list` shows them")
		}
		if err == nil {
			row = rows[0]
		}
	}
	if err != nil {
		return ShownConflict{}, err
	}
	names, err := c.Names(ctx, row.Local.Author, row.Incoming.Author)
	if err != nil {
		return ShownConflict{}, err
	}
	out := ShownConflict{Conflict: row, LocalBy: names[row.Local.Author], IncomingBy: names[row.Incoming.Author], Differences: []ElementDifference{}}
	if row.Status != store.ConflictDecided {
		out.Basis = row.Basis()
	}
	if row.LocalContent == nil || row.IncomingContent == nil {
		return out, nil
	}
	for _, d := range reconcile.Differences(row.AncestorContent, row.LocalContent, row.IncomingContent) {
		takes := ""
		switch {
		case d.Clash:
		case strings.HasSuffix(d.Words, "on the right"): // the one side that changed it
			takes = string(engine.KeepIncoming)
		default:
			takes = string(engine.KeepLocal)
		}
		out.Differences = append(out.Differences, ElementDifference{
			Takes: takes, Path: d.Path, Words: d.Words, Ancestor: string(d.Ancestor), Local: string(d.Left), Incoming: string(d.Right), Clash: d.Clash, Critical: d.Critical,
		})
	}
	return out, nil
}

// ResolveConflict writes a person's decision about a conflict, named as for Conflict, and returns the conflict as it is then. The errors
// are those of engine.Resolve.
func (c *Control) ResolveConflict(ctx context.Context, name string, r Resolution) (ShownConflict, error) {
	if name == "" {
		return ShownConflict{}, syncerr.New(syncerr.Usage, "resolve conflict", "no conflict is named").WithHint("`tributary conflict list` shows them")
	}
	done, err := c.eng.Resolve(ctx, name, r, c.actor)
	if err != nil {
		return ShownConflict{}, err
	}
	c.recount()
	if done.Left != "" || r.DryRun {
		return ShownConflict{Conflict: done.Conflict, Differences: []ElementDifference{}}, nil
	}
	return c.Conflict(ctx, done.Conflict.UUID)
}

// ResolveByRule decides the open conflicts of a type, or all where it is empty, by the rule of r, or says what that would do.
func (c *Control) ResolveByRule(ctx context.Context, resourceType string, r Resolution) ([]Ruled, error) {
	if resourceType != "" && !fhir.IsKind(resourceType) {
		return nil, syncerr.New(syncerr.Usage, "resolve conflicts", "%.60q is not a resource type of FHIR R4", resourceType)
	}
	done, err := c.eng.ResolveByRule(ctx, resourceType, r, c.actor)
	c.recount()
	out := make([]Ruled, len(done))
	for i, d := range done {
		out[i] = Ruled{UUID: d.Conflict.UUID, Key: d.Conflict.Key, Winner: d.Conflict.Winner, Left: d.Left}
	}
	return out, err
}
