package simnet

import (
	"context"
	"fmt"
	"slices"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// life names one life of a node: what it says counts for that life alone.
type life struct {
	replica version.Replica
	epoch   string
}

// had is what a life of a node was seen to have of the keys of its log, and of which keys something was collected there.
type had struct {
	seen map[fhir.Key]version.Vector
}

// noteLives notes what nodes have in their present lives. A copy that was put back has less than the life that it is of once had.
func (n *Net) noteLives(x *Node, v view) {
	id := x.live.Engine().Store().Identity()
	at := life{id.Replica, id.Epoch}
	h, ok := n.had[at]
	if !ok {
		h = had{seen: map[fhir.Key]version.Vector{}}
		n.had[at] = h
	}
	for k, c := range v.copies {
		h.seen[k] = h.seen[k].Union(c.Stamp.Vector)
	}
}

// checkReached: what a node says of the nodes above it is true of the life that it names (issue: receipts from the top). A version up to the
// tick that is claimed, and not named as lacking, is in what that life has or has had.
func (n *Net) checkReached(ctx context.Context, views []view) []error {
	n.collect(views)
	for i, x := range n.nodes {
		n.noteLives(x, views[i])
	}
	made := map[feed.Way][]feed.Event{}
	for at, ev := range n.minted {
		if !n.twice[at] {
			w := feed.Way{Replica: at.ver.Replica, Type: at.kind}
			made[w] = append(made[w], ev)
		}
	}
	var wrong []error
	for i, x := range n.nodes {
		var known store.Reach
		var claims []feed.Progress
		err := x.live.Engine().Store().Read(ctx, func(r *store.Reader) error {
			var err error
			if known, err = r.Reach(); err != nil {
				return err
			}
			claims, err = r.ReachedBy("")
			return err
		})
		if err != nil {
			return append(wrong, err)
		}
		for _, p := range claims {
			if p.Level > len(known.Above) {
				wrong = append(wrong, fmt.Errorf("%s says something of level %d, and knows %d above it", x.name, p.Level, len(known.Above)))
				continue
			}
			a := known.Above[p.Level-1]
			for _, ev := range made[feed.Way{Replica: p.Replica, Type: p.Type}] {
				if v := ev.Stamp.Version; v.Tick > p.Tick || n.aside(p, ev) || n.hasHad(a, views, ev) {
					continue
				}
				wrong = append(wrong, fmt.Errorf("%s says that %s (%s %s) has the changes of %s to %s up to %d without %v, and that lacks %s %s",
					x.name, a.Name, a.Replica, a.Epoch, p.Replica, p.Type, p.Tick, p.Aside, ev.Key, ev.Stamp.Version))
			}
		}
		wrong = append(wrong, n.checkSaid(ctx, x, views, i)...)
	}
	return wrong
}

// aside reports whether a claim leaves a version out: it, or a later one of its key that stands for it. A tick that two copies of a machine gave
// to two keys may be of either.
func (n *Net) aside(p feed.Progress, ev feed.Event) bool {
	return slices.ContainsFunc(p.Aside, func(tick uint64) bool {
		at := kindVersion{p.Type, version.Version{Replica: p.Replica, Tick: tick}}
		of, ok := n.minted[at]
		return ok && (n.twice[at] || of.Key == ev.Key) && tick >= ev.Stamp.Version.Tick
	})
}

// hasHad reports whether a life has or has had a version.
func (n *Net) hasHad(a feed.Above, views []view, ev feed.Event) bool {
	if n.had[life{a.Replica, a.Epoch}].seen[ev.Key].Contains(ev.Stamp.Version) {
		return true
	}
	for i, y := range n.nodes {
		if !y.own[a.Replica] {
			continue
		}
		if slices.ContainsFunc(views[i].logged[ev.Key], func(s version.Stamp) bool { return s.Vector.Contains(ev.Stamp.Version) }) {
			return true // it went from there since, and the key was written again, or that life went over into the present one between two looks
		}
		if _, ok := views[i].copies[ev.Key]; !ok && n.collected(ev.Key) {
			return true
		}
	}
	return false
}

// checkSaid: the sentence is true. What a node made before the time that it names, of what goes there, is there, but for what is set aside.
func (n *Net) checkSaid(ctx context.Context, x *Node, views []view, i int) []error {
	said, err := x.live.Control().Reach(ctx)
	if err != nil {
		return []error{err}
	}
	var wrong []error
	for _, s := range said {
		if s.Code != "all" && s.Code != "until" {
			continue
		}
		aside := map[fhir.Key]bool{}
		for _, row := range views[i].rows {
			if !x.own[row.Stamp.Version.Replica] || row.Source != "" || slices.Contains(s.Stays, row.Key.Type) || s.Code == "until" && row.Committed >= s.Until {
				continue
			}
			if n.twice[kindVersion{row.Key.Type, row.Stamp.Version}] || n.hasHad(feed.Above{Replica: s.Replica, Epoch: s.Epoch}, views, row.Event) {
				continue
			}
			if aside[row.Key] = true; uint64(len(aside)) > s.Aside {
				wrong = append(wrong, fmt.Errorf("%s says %q of %s, and that lacks %s %s of %d (%d aside)", x.name, s.Said[0].Text, s.Name, row.Key, row.Stamp.Version,
					row.Committed, s.Aside))
			}
		}
	}
	return wrong
}
