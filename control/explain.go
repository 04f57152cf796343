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
	if out.Parked, err = c.Parked(ctx, ParkedQuery{State: ParkedAll, Key: key, Limit: explainRows}); err != nil {
		return out, err
	}
	currents, err := st.Currents(ctx, []fhir.Key{key})
	if err != nil {
		return out, err
	}
	if out.AtParent, err = c.atParent(ctx, out, currents[key]); err != nil {
		return out, err
	}
	met, err := c.metParent(ctx)
	if err != nil {
		return out, err
	}
	if out.Current != nil {
		if out.Reached, err = c.reached(ctx, key, currents[key], met.Epoch); err != nil {
			return out, err
		}
	}
	out.History, out.Audit, out.Held = orEmpty(out.History), orEmpty(out.Audit), orEmpty(out.Held)
	if out.absent, err = c.absent(ctx, out); err != nil {
		return out, err
	}
	if out.names, err = c.namesOf(ctx, out.Current); err != nil {
		return out, err
	}
	out.Readers = orEmpty(c.readers(out, children))
	out.Story = out.story(c.now())
	for _, at := range out.Reached {
		if at.Level > 1 { // of the parent more is known
			out.Story = append(out.Story, at.sentence(key.Type))
		}
	}
	out.Summary = texts(out.Story)
	return out, nil
}

// namesOf returns the names of the nodes that a stamp names, their replicas where they have none.
func (c *Control) namesOf(ctx context.Context, s *version.Stamp) (map[string]string, error) {
	if s == nil {
		return nil, nil
	}
	out := map[string]string{string(s.Author): string(s.Author), string(s.Version.Replica): string(s.Version.Replica)}
	known, err := c.Names(ctx, s.Author, s.Version.Replica)
	for replica, name := range known {
		out[string(replica)] = name
	}
	return out, err
}

func history(r *store.Reader, key fhir.Key, children []store.Participant) ([]HistoryRow, error) {
	copies, err := r.History(key, 0, explainRows)
	if err != nil {
		return nil, err
	}
	var authors []version.Replica
	for _, v := range copies {
		authors = append(authors, v.Stamp.Author, v.Stamp.Version.Replica)
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
			Seq: v.Seq, Version: v.Stamp.Version, Action: v.Action, Committed: v.Committed, Author: v.Stamp.Author, By: by, Authored: v.Stamp.Authored,
		}
		out[i].From, out[i].Source = source(row.Source, children)
		if v.Stamp.Origin != v.Stamp.Version { // a decision has the origin of the copy that won (DESIGN.md 4.2)
			if out[i].Decided = names[v.Stamp.Version.Replica]; out[i].Decided == "" {
				out[i].Decided = string(v.Stamp.Version.Replica)
			}
		}
	}
	return out, nil
}

// source turns what a log row notes of its source (engine.Link: child:ID, server:name, parent:epoch, or nothing) into one of the From
// constants and words.
func source(noted string, children []store.Participant) (from, words string) {
	if server, ok := strings.CutPrefix(noted, "server:"); ok {
		return FromOther, server
	}
	if strings.HasPrefix(noted, "stick:") {
		return FromStick, "a stick"
	}
	id, isChild := strings.CutPrefix(noted, "child:")
	switch {
	case noted == "":
		return FromHere, "this node"
	case !isChild:
		return FromParent, "parent"
	}
	for _, p := range children {
		if p.ID == id {
			return FromOther, p.Name
		}
	}
	return FromRemoved, "a child that was removed"
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
	if !c.config().Pushes(e.Key.Type) {
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
