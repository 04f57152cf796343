package control

import (
	"context"
	"strings"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// explainRows bounds each list of an Explanation.
const explainRows = 50

// Explain returns everything that the node knows of one resource but its content. A resource that it never had is explained
// too: that there is nothing, and what is parked of it. It returns an Invalid error for what is no key.
func (c *Control) Explain(ctx context.Context, key fhir.Key) (Explanation, error) {
	if err := key.Validate(); err != nil {
		return Explanation{}, err
	}
	st := c.eng.Store()
	out := Explanation{Key: key}
	children, err := st.Participants(ctx, store.KindChild)
	if err != nil {
		return out, err
	}
	err = st.Read(ctx, func(r *store.Reader) error {
		current, found, err := r.Get(key)
		if err != nil {
			return err
		}
		if out.Held, err = r.HeldOf(key); err != nil {
			return err
		}
		if !found {
			return nil
		}
		out.Current, out.Seq, out.Committed, out.Exists = &current.Stamp, current.Seq, current.Committed, !current.Stamp.Deleted
		out.History, err = history(r, key, children)
		return err
	})
	if err != nil {
		return out, err
	}
	if out.Audit, err = c.Audit(ctx, audit.Query{Type: key.Type, ID: key.ID, Limit: explainRows}); err != nil {
		return out, err
	}
	if out.Conflicts, err = c.Conflicts(ctx, ConflictQuery{Key: key, Limit: explainRows}); err != nil {
		return out, err
	}
	if out.Parked, err = c.Parked(ctx, ParkedQuery{Key: key, Limit: explainRows}); err != nil {
		return out, err
	}
	currents, err := st.Currents(ctx, []fhir.Key{key})
	if err != nil {
		return out, err
	}
	if out.AtParent, err = c.atParent(ctx, out, currents[key]); err != nil {
		return out, err
	}
	out.History, out.Audit, out.Held = orEmpty(out.History), orEmpty(out.Audit), orEmpty(out.Held)
	out.Summary = out.summary(c.now())
	return out, nil
}

func history(r *store.Reader, key fhir.Key, children []store.Participant) ([]HistoryRow, error) {
	copies, err := r.History(key, 0, explainRows)
	if err != nil {
		return nil, err
	}
	var authors []version.Replica
	for _, v := range copies {
		authors = append(authors, v.Stamp.Author)
	}
	known, err := r.Names(authors)
	if err != nil {
		return nil, err
	}
	names := map[version.Replica]string{}
	for _, n := range known {
		names[n.Replica] = n.Node
	}
	out := make([]HistoryRow, len(copies))
	for i, v := range copies {
		row, _, err := r.Event(feed.Ref{Key: key, Version: v.Stamp.Version})
		if err != nil {
			return nil, err
		}
		by := names[v.Stamp.Author]
		if by == "" {
			by = string(v.Stamp.Author)
		}
		out[i] = HistoryRow{
			Seq: v.Seq, Version: v.Stamp.Version, Action: v.Action, Committed: v.Committed, Author: v.Stamp.Author, By: by,
			Authored: v.Stamp.Authored, Source: sourceName(row.Source, children),
		}
	}
	return out, nil
}

// sourceName turns what a log row notes of its source into words (engine.Link: child:ID, server:name, parent:epoch, or nothing).
func sourceName(source string, children []store.Participant) string {
	if server, ok := strings.CutPrefix(source, "server:"); ok {
		return server
	}
	if strings.HasPrefix(source, "stick:") {
		return "a stick"
	}
	id, isChild := strings.CutPrefix(source, "child:")
	switch {
	case source == "":
		return "this node"
	case !isChild:
		return "parent"
	}
	for _, p := range children {
		if p.ID == id {
			return p.Name
		}
	}
	return "a child that was removed"
}

func (c *Control) atParent(ctx context.Context, e Explanation, current store.Current) (string, error) {
	if c.cfg.Parent.URL == "" {
		return AtParentNone, nil
	}
	for _, p := range e.Parked {
		if p.Direction == Push {
			return AtParentParked, nil
		}
	}
	met, err := c.metParent(ctx)
	if err != nil {
		return "", err
	}
	if e.Current != nil && current.Delivered != "" && current.Delivered == met.Epoch {
		return AtParentYes, nil
	}
	if !c.cfg.Pushes(e.Key.Type) {
		return AtParentNotPushed, nil
	}
	at, err := c.eng.Store().Position(ctx, "parent", Push)
	if err != nil {
		return "", err
	}
	if e.Current != nil && at.Epoch == c.eng.Store().Identity().Epoch && at.Seq >= current.Seq {
		return AtParentOffered, nil
	}
	return AtParentWaiting, nil
}

func (e Explanation) summary(now int64) []string {
	if e.Current == nil {
		out := []string{"This node has never had a copy of " + e.Key.String() + "."}
		return append(out, e.pending()...)
	}
	var out []string
	if e.Exists {
		out = append(out, "This node has a copy of "+e.Key.String()+".")
	} else {
		out = append(out, e.Key.String()+" was deleted.")
	}
	for i, h := range e.History {
		if h.Version != e.Current.Version {
			continue
		}
		out = append(out, "The present version was written at "+h.By+" on "+UTC(h.Authored)+" ("+Ago(now, h.Authored)+").")
		if h.Source != "this node" {
			out = append(out, "It came here from "+h.from()+" on "+UTC(h.Committed)+" ("+Ago(now, h.Committed)+").")
		}
		if n := len(e.History) - i - 1; n > 0 {
			out = append(out, plural(n, "earlier version is", "earlier versions are")+" listed below.")
		}
		break
	}
	out = append(out, e.decided()...)
	out = append(out, e.pending()...)
	return append(out, e.parentWords()...)
}

func (h HistoryRow) from() string {
	if h.Source == "parent" {
		return "the parent"
	}
	return h.Source
}

func (e Explanation) parentWords() []string {
	switch e.AtParent {
	case AtParentYes:
		return []string{"The parent has this version."}
	case AtParentOffered:
		return []string{"It was sent to the parent, which has this version or one that takes it into account."}
	case AtParentWaiting:
		return []string{"The parent does not have it yet: the next push takes it there."}
	case AtParentNotPushed:
		return []string{"Records of type " + e.Key.Type + " are not sent to the parent."}
	}
	return nil
}

// decided says how the present version came of a conflict, if it did.
func (e Explanation) decided() []string {
	for _, x := range e.Conflicts {
		if x.Status != store.ConflictDecided || x.Decided != e.Current.Version {
			continue
		}
		out := "It settled a conflict"
		switch {
		case x.Actor != "":
			out += ": " + x.Actor + " decided it"
			if x.Remark != "" {
				out += ", because: " + x.Remark
			}
		case x.Winner == "merged":
			out += ": two copies, both made from version " + x.Ancestor.String() + ", were put together by the rule " + x.Rule
		default:
			out += " by the rule " + x.Rule
		}
		if x.Reason != "" {
			out += " (" + x.Reason + ")"
		}
		return []string{out + ". Both copies: conflict " + x.UUID + "."}
	}
	return nil
}

// pending says what is not settled.
func (e Explanation) pending() []string {
	var out []string
	for _, x := range e.Conflicts {
		if x.Status == store.ConflictOpen {
			s := "A conflict waits for a person to decide which of two copies is right."
			if x.Reason != "" {
				s += " The reason: " + x.Reason + "."
			}
			out = append(out, s)
		}
	}
	for _, p := range e.Parked {
		where := "could not be taken over here"
		if p.Direction == Push {
			where = "was refused by the parent"
		}
		out = append(out, "A change "+where+" after "+plural(p.Attempts, "attempt", "attempts")+": "+p.Reason)
	}
	for _, h := range e.Held {
		s := "A newer copy from the parent waits here until the parent has decided between it and this node's own."
		if h.Refusal != "" {
			s += " The parent refused this node's copy: " + h.Refusal
		}
		out = append(out, s)
	}
	return out
}
