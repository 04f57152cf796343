package simnet

import (
	"context"
	"fmt"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// kindVersion names a write: a replica counts its versions for each type.
type kindVersion struct {
	kind string
	ver  version.Version
}

// collect keeps every version that a log has, also for when the log is thrown away. A version that stands for two writes, because a
// machine was put back and nobody had noticed, tells nothing.
func (n *Net) collect(views []view) {
	for _, v := range views {
		n.note(v.rows)
	}
}

func (n *Net) note(rows []store.Row) {
	for _, row := range rows {
		n.mint(row.Event)
	}
}

func (n *Net) mint(ev feed.Event) {
	at := kindVersion{ev.Key.Type, ev.Stamp.Version}
	if was, ok := n.minted[at]; ok && (was.Key != ev.Key || was.Stamp.Hash != ev.Stamp.Hash) {
		n.twice[at] = true
	}
	n.minted[at] = ev
}

// noteBefore keeps what stands in the log of a machine that may bear versions which another life gave to other writes: a peer that finds that
// out lets it write them again under other names, and from then on nothing here tells that they were given twice.
func (x *Node) noteBefore(ctx context.Context) error {
	if !x.copied && x.restored == 0 {
		return nil
	}
	rows, err := x.rows(ctx)
	x.net.note(rows)
	return err
}

// checkClaims: a node whose knowledge contains a version of a key that has no exception there has a copy of the key that has seen it
// (core-review rule 6): what claims too much is never asked for again. A key with an exception is compared by its copy's vector.
func (n *Net) checkClaims(ctx context.Context, views []view) []error {
	n.collect(views)
	var wrong []error
	for i, x := range n.nodes {
		known, err := x.knowledge(ctx)
		if err != nil {
			return append(wrong, err)
		}
		for at, ev := range n.minted {
			if n.twice[at] || known.lacks[ev.Key] || x.collected(ev.Key) || !known.vectors[at.kind].Contains(at.ver) {
				continue
			}
			if c, ok := views[i].copies[ev.Key]; !ok && n.collected(ev.Key) {
				continue // it never had what others deleted and forgot
			} else if ok && c.Stamp.Deleted && n.collected(ev.Key) && n.deletedLater(ev) {
				continue // it was removed by a full comparison, which tells that others had deleted it and not what they had seen
			} else if n.estranged && n.collected(ev.Key) && n.deletedLater(ev) {
				continue // nobody hears of what was deleted and collected before they knew each other again
			} else if !ok || !c.Stamp.Vector.Contains(at.ver) {
				wrong = append(wrong, fmt.Errorf("%s knows %s %s without an exception, and its copy has seen {%s} (core-review rule 6)", x.name, ev.Key, at.ver, c.Stamp.Vector))
			}
		}
	}
	return wrong
}

// checkKnowledge: nodes that exchange everything of a type end with the same knowledge of it.
func (n *Net) checkKnowledge(ctx context.Context) []error {
	var wrong []error
	for _, t := range n.opts.Types {
		if !n.shared(t) {
			continue
		}
		first, err := n.nodes[0].knowledge(ctx)
		if err != nil {
			return append(wrong, err)
		}
		for _, x := range n.nodes[1:] {
			known, err := x.knowledge(ctx)
			if err != nil {
				return append(wrong, err)
			}
			if a, b := first.vectors[t], known.vectors[t]; !a.Equal(b) {
				wrong = append(wrong, fmt.Errorf("of %s %s knows {%s}, %s knows {%s}", t, n.nodes[0].name, a, x.name, b))
			}
		}
	}
	return wrong
}

// knowledge is what a node says that it knows: a vector for each type, and the keys that have exceptions.
type knowledge struct {
	vectors map[string]version.Vector
	lacks   map[fhir.Key]bool
}

func (x *Node) knowledge(ctx context.Context) (knowledge, error) {
	out := knowledge{vectors: map[string]version.Vector{}, lacks: map[fhir.Key]bool{}}
	err := x.live.Engine().Store().Read(ctx, func(r *store.Reader) error {
		known, err := r.Knowledge(nil)
		for _, k := range known {
			out.vectors[k.Type] = k.Vector
			for _, l := range k.Lacks {
				out.lacks[fhir.Key{Type: k.Type, ID: l.ID}] = true
			}
		}
		return err
	})
	return out, err
}

// allViews reads all nodes.
func (n *Net) allViews(ctx context.Context) ([]view, error) {
	views := make([]view, len(n.nodes))
	for i, x := range n.nodes {
		var err error
		if views[i], err = x.view(ctx); err != nil {
			return nil, err
		}
	}
	return views, nil
}

// deletedLater reports whether somebody deleted a key who had seen a write of it.
func (n *Net) deletedLater(ev feed.Event) bool {
	for _, o := range n.minted {
		if o.Key == ev.Key && o.Stamp.Deleted && o.Stamp.Vector.Contains(ev.Stamp.Version) {
			return true
		}
	}
	return false
}
