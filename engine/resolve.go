package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// Choice is one of the two copies of a conflict.
type Choice string

// The choices.
const (
	KeepLocal    Choice = "local"
	KeepIncoming Choice = "incoming"
)

// Resolution is a person's decision about an open conflict or a hold: one of Choice, Document, Rule, and Fields with Values.
type Resolution struct {
	Choice   Choice            `json:"choice,omitempty"`
	Document json.RawMessage   `json:"document,omitempty"` // the resource as it is to be
	Fields   map[string]Choice `json:"fields,omitempty"`   // by the path of a difference; all others as a merge has them
	// Values are elements as they are to be, by the path of a difference, where neither copy has them right.
	Values map[string]json.RawMessage `json:"values,omitempty"`
	Rule   reconcile.Policy           `json:"rule,omitempty"`
	Held   bool                       `json:"held,omitempty"`   // for a Rule: the copies that are held, too
	Basis  string                     `json:"basis,omitempty"`  // store.Conflict.Basis of what was looked at; a Document needs it
	Remark string                     `json:"remark,omitempty"` // why
	DryRun bool                       `json:"dryRun,omitempty"` // for a Rule: write nothing
}

// Resolved is what became of a conflict.
type Resolved struct {
	Conflict store.Conflict
	Left     string // why a rule left it open
}

// Resolve writes a person's decision about an open conflict, named by its UUID or its Type/id, or about a copy that is held, named by its
// Type/id: a new version that has seen both copies, which travels like any other and ends the conflict everywhere. Both copies stay readable.
// It returns a NotFound error where nothing waits under that name, a Conflict error where the copies are others than those that the
// decision is about, an Invalid error for a document that cannot be this resource and for fields that do not settle it.
func (e *Engine) Resolve(ctx context.Context, name string, r Resolution, actor string) (Resolved, error) {
	if err := r.valid(); err != nil {
		return Resolved{}, err
	}
	var out Resolved
	err := e.store.Write(ctx, func(tx *store.Tx) error {
		row, err := waitingFor(tx, name)
		if err != nil {
			return err
		}
		a := acceptance{e: e, tx: tx, link: Link{Child: "person"}, run: &audit.Run{}}
		out, err = a.resolve(row, r, actor)
		return err
	})
	return out, err
}

func (r Resolution) valid() error {
	ways := 0
	for _, is := range []bool{r.Choice != "", r.Document != nil, len(r.Fields)+len(r.Values) > 0, r.Rule != ""} {
		if is {
			ways++
		}
	}
	switch {
	case ways != 1:
		return syncerr.New(syncerr.Usage, "resolve conflict", "say one of: local, incoming, a document, fields, a rule")
	case r.Choice != "" && r.Choice != KeepLocal && r.Choice != KeepIncoming:
		return syncerr.New(syncerr.Usage, "resolve conflict", "%.40q is neither local nor incoming", r.Choice)
	case (r.Document != nil || len(r.Values) > 0) && r.Basis == "":
		return syncerr.New(syncerr.Usage, "resolve conflict", "a document, and a value of one's own, need the basis on which they were made").
			WithHint("`tributary conflict show` prints it; it says that nobody changed the record meanwhile")
	case r.Rule != "":
		if _, err := reconcile.ParsePolicy(string(r.Rule)); err != nil || r.Rule == reconcile.Defer {
			return syncerr.New(syncerr.Usage, "resolve conflict", "%.60q is no rule that decides anything", r.Rule).
				WithHint("Rules are merge, source-wins, destination-wins, replica-priority and last-writer-wins; merge may have another behind a comma")
		}
	}
	for path, c := range r.Fields {
		if c != KeepLocal && c != KeepIncoming {
			return syncerr.New(syncerr.Usage, "resolve conflict", "%.100s: %.40q is neither local nor incoming", path, c)
		}
	}
	return nil
}

// Waiting returns the open conflict or the hold of that name as it stands now: with the copy that is current here.
func (e *Engine) Waiting(ctx context.Context, name string) (out store.Conflict, err error) {
	err = e.store.Read(ctx, func(r *store.Reader) error {
		out, err = waitingFor(r, name)
		return err
	})
	return out, err
}

// finder is what reads conflicts, in a transaction or outside.
type finder interface {
	ConflictNamed(uuid string) (store.Conflict, bool, error)
	OpenConflict(k fhir.Key) (store.Conflict, bool, error)
	HeldOf(k fhir.Key) ([]store.Held, error)
	Get(k fhir.Key) (store.Copy, bool, error)
	historian
}

// waitingFor finds what waits for a decision under a UUID or a Type/id.
func waitingFor(f finder, name string) (store.Conflict, error) {
	gone := syncerr.New(syncerr.NotFound, "resolve conflict", "nothing waits for a decision as %.120s", name).WithHint("`tributary conflict list --open` shows what does")
	var row store.Conflict
	var ok bool
	key, err := fhir.ParseKey(name)
	if err != nil {
		if row, ok, err = f.ConflictNamed(name); err != nil {
			return row, err
		}
		if !ok || row.Status != store.ConflictOpen {
			return row, gone
		}
		key = row.Key
	}
	if row, ok, err = f.OpenConflict(key); err != nil {
		return row, err
	}
	if !ok {
		held, err := f.HeldOf(key)
		if err != nil {
			return row, err
		}
		if len(held) == 0 {
			return row, gone
		}
		row = HeldConflict(held[len(held)-1])
	}
	cur, ok, err := f.Get(key) // it may have been edited since
	row.Local, row.LocalContent = cur.Stamp, cur.Body
	if err == nil && ok {
		err = origins(f, &row)
	}
	return row, err
}

// HeldConflict shows a hold as the conflict that it is, without the local copy.
func HeldConflict(h store.Held) store.Conflict {
	c := store.Conflict{
		Key: h.Key, Status: store.ConflictHeld, Peer: h.Peer, Opened: h.HeldAt, Incoming: h.Stamp, IncomingContent: h.Content,
		Reason: "the parent decides between it and this node's own copy; a person may do it here as well",
	}
	switch {
	case h.ByStick():
		c.Reason = "it came by a stick of " + h.Peer + ", which decides between it and this node's own copy; a person may do it here as well"
	case h.Refusal != "":
		c.Reason = "the parent refused this node's copy: " + h.Refusal
	}
	return c
}

func (a *acceptance) resolve(row store.Conflict, r Resolution, actor string) (Resolved, error) {
	op := "resolve conflict about " + row.Key.String()
	if r.Basis != "" && r.Basis != row.Basis() {
		return Resolved{}, syncerr.New(syncerr.Conflict, op, "the record was changed since: this was decided about other copies than stand now").
			WithHint("Look at it again with `tributary conflict show`, and decide about what it shows")
	}
	in := a.e.prepareOne(feed.Event{Key: row.Key, Action: actionOf(row.Incoming), Stamp: row.Incoming, Content: row.IncomingContent})
	merged, err := a.chosen(&row, r, op)
	switch {
	case err != nil:
		return Resolved{}, err
	case row.Winner == "":
		return Resolved{row, row.Reason}, nil
	case r.DryRun:
		return Resolved{Conflict: row}, nil
	case row.Winner == string(KeepIncoming) && in.refusal != nil:
		return Resolved{}, in.refusal // a copy that this node cannot take cannot win here
	case merged != nil:
		err = a.writeMerge(row.Key, row.Local.Vector.Union(row.Incoming.Vector), *merged)
	default:
		err = a.decide(in, row.Local, row.Winner == string(KeepIncoming))
	}
	if err != nil {
		return Resolved{}, err
	}
	after, _, err := a.tx.Current(row.Key)
	if err != nil {
		return Resolved{}, err
	}
	row.Status, row.Decided, row.Actor, row.Remark, row.Closed = store.ConflictDecided, after.Stamp.Version, actor, r.Remark, a.tx.Now()
	if row.UUID, err = a.tx.PutConflict(row); err != nil {
		return Resolved{}, err
	}
	details := "kept: " + row.Winner
	if r.Rule != "" {
		details += " (rule " + string(r.Rule) + ")"
	}
	if r.Remark != "" {
		details += ", because: " + r.Remark
	}
	a.tx.Audit(audit.Record{
		Operation: audit.Admin, Outcome: audit.Decided, Action: "RESOLVE", Key: row.Key, Version: after.Stamp.Version, Peer: actor, Conflict: row.UUID, Details: details,
	})
	return Resolved{Conflict: row}, nil
}

// chosen sets the winner of a conflict, and returns the content where it is neither copy.
func (a *acceptance) chosen(row *store.Conflict, r Resolution, op string) (*authoring, error) {
	var body []byte
	switch {
	case r.Choice != "":
		row.Winner = string(r.Choice)
		return nil, nil
	case r.Rule != "":
		return a.ruled(row, r.Rule)
	case r.Document != nil:
		body = r.Document
	default:
		var err error
		if body, err = fields(*row, r, op); err != nil {
			return nil, err
		}
	}
	w, err := a.e.prepareMerge(row.Key, body)
	if err == nil && (r.Document != nil || len(r.Values) > 0) {
		err = fhir.Check(w.Body) // a person typed it
	}
	if err != nil {
		bad := &syncerr.Error{Kind: syncerr.Invalid, Op: op, Err: err}
		return nil, bad.WithHint("Nothing was changed; correct the record and send it again")
	}
	row.Winner = Merged
	return &w, nil
}

// fields merges the two copies with a person's choices.
func fields(row store.Conflict, r Resolution, op string) ([]byte, error) {
	if row.Local.Deleted || row.Incoming.Deleted {
		return nil, syncerr.New(syncerr.Invalid, op, "one side deleted it, so there are no fields to choose").WithHint("Choose local or incoming")
	}
	open := map[string]bool{}
	values := map[string][]byte{}
	for path := range r.Fields {
		open[path] = true
	}
	for path, value := range r.Values {
		v := jsontext.Value(bytes.Clone(value))
		if err := v.Compact(); err != nil || v.Kind() == 'n' {
			return nil, syncerr.New(syncerr.Invalid, op, "what %.100s is to be is not JSON", path).WithHint("Write a text in quotation marks, a number without; to remove the element, choose the copy that has none")
		}
		open[path], values[path] = true, v
	}
	body, clashes := reconcile.MergeWith(row.AncestorContent, row.LocalContent, row.IncomingContent, func(d reconcile.Difference) (reconcile.Side, []byte) {
		delete(open, d.Path)
		switch r.Fields[d.Path] {
		case KeepLocal:
			return reconcile.Left, values[d.Path]
		case KeepIncoming:
			return reconcile.Right, values[d.Path]
		}
		return reconcile.Neither, values[d.Path]
	})
	if len(open) > 0 {
		return nil, syncerr.New(syncerr.Invalid, op, "the two copies do not differ at %s", strings.Join(slices.Sorted(maps.Keys(open)), ", ")).
			WithHint("`tributary conflict show` lists where they do")
	}
	if len(clashes) > 0 {
		return nil, syncerr.New(syncerr.Invalid, op, "both sides changed %s, too", paths(clashes)).WithHint("Say of each of them which copy is right")
	}
	return body, nil
}

// ruled decides by a policy as a person asked.
func (a *acceptance) ruled(row *store.Conflict, rule reconcile.Policy) (*authoring, error) {
	p := *a.e.policies.Load()
	p.Default, p.Types = rule, nil
	var unread error
	names := named(a.tx, &unread)
	res := p.Resolve(row.Key.Type, row.Local, row.Incoming, names)
	var merged *authoring
	if res.Merge {
		merged, res = a.merged(p, row, res, names)
	}
	switch {
	case unread != nil || res.Deferred:
	case merged != nil:
		row.Winner = Merged
	case res.Incoming:
		row.Winner = string(KeepIncoming)
	default:
		row.Winner = string(KeepLocal)
	}
	return merged, unread
}

// ResolveByRule decides all open conflicts of a type, or of all where it is empty, by a rule that a person chose: r.Rule. What the rule
// leaves open stays so, with the reason. With r.DryRun it says what it would do.
func (e *Engine) ResolveByRule(ctx context.Context, resourceType string, r Resolution, actor string) ([]Resolved, error) {
	if r.Rule == "" {
		return nil, syncerr.New(syncerr.Usage, "resolve conflicts", "no rule is named")
	}
	if err := r.valid(); err != nil {
		return nil, err
	}
	open, err := e.store.Conflicts(ctx, store.ConflictFilter{Status: store.ConflictOpen, Limit: 1 << 30})
	if err != nil {
		return nil, err
	}
	var out []Resolved
	names := make([]string, 0, len(open))
	for _, c := range open {
		names = append(names, c.UUID)
	}
	if r.Held {
		held, err := e.store.Held(ctx, 0)
		if err != nil {
			return nil, err
		}
		seen := map[fhir.Key]bool{}
		for _, c := range open {
			seen[c.Key] = true // an open conflict comes before the holds of its key
		}
		for _, h := range held {
			if !seen[h.Key] {
				open, names = append(open, HeldConflict(h)), append(names, h.Key.String())
			}
			seen[h.Key] = true
		}
	}
	for i, c := range open {
		if resourceType != "" && c.Key.Type != resourceType {
			continue
		}
		one, err := e.Resolve(ctx, names[i], r, actor)
		if syncerr.KindOf(err) == syncerr.NotFound { // somebody decided it meanwhile
			continue
		}
		if err != nil {
			one = Resolved{Conflict: c, Left: err.Error()}
			if syncerr.KindOf(err).Retry() || ctx.Err() != nil {
				return out, fmt.Errorf("after %d conflicts: %w", len(out), err)
			}
		}
		one.Conflict.LocalContent, one.Conflict.IncomingContent, one.Conflict.AncestorContent = nil, nil, nil
		out = append(out, one)
	}
	return out, nil
}
