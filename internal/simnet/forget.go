package simnet

import (
	"context"
	"slices"
	"time"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
)

// keepFor is how long a node of a run that forgets keeps what everybody has acknowledged.
const keepFor = 20 * time.Minute

// tidy lets a node do what it does every hour. What goes from its log is kept here, for the checks.
func (x *Node) tidy(ctx context.Context) error {
	v, err := x.view(ctx)
	if err != nil {
		return err
	}
	if err := x.unlessFull(x.live.Upkeep(ctx)); err != nil {
		return err
	}
	after, err := x.rows(ctx)
	if err != nil {
		return err
	}
	before := len(x.gone)
	left := map[uint64]bool{}
	for _, r := range after {
		left[r.Seq] = true
	}
	x.gone = x.gone[:0]
	for _, r := range v.rows {
		if !left[r.Seq] {
			x.gone = append(x.gone, r)
		}
	}
	x.net.logf("%s tidies up: %d rows went", x.name, len(x.gone)-before)
	return nil
}

// rows returns the log of a node as it is.
func (x *Node) rows(ctx context.Context) ([]store.Row, error) {
	var rows []store.Row
	err := x.live.Engine().Store().Read(ctx, func(r *store.Reader) error {
		var err error
		rows, err = r.Log()
		return err
	})
	return rows, err
}

// withGone returns a log together with what was collected from it, in their order.
func (x *Node) withGone(rows []store.Row) []store.Row {
	if len(x.gone) == 0 {
		return rows
	}
	all := append(slices.Clone(x.gone), rows...)
	slices.SortFunc(all, func(a, b store.Row) int { return int(a.Seq) - int(b.Seq) })
	return all
}

// collected reports whether something of a key went from the log of a node.
func (x *Node) collected(k fhir.Key) bool {
	return slices.ContainsFunc(x.gone, func(r store.Row) bool { return r.Key == k })
}

// collected reports whether any node has collected a key.
func (n *Net) collected(k fhir.Key) bool {
	return slices.ContainsFunc(n.nodes, func(x *Node) bool { return x.collected(k) })
}

// lateAfterTidying lets requests arrive that were under way for so long that what they tell was deleted and collected meanwhile.
func (n *Net) lateAfterTidying(ctx context.Context) error {
	if !n.opts.Forget {
		n.late = nil
		return nil
	}
	for range 4 {
		n.now = n.now.Add(time.Hour)
		for _, x := range n.nodes {
			for _, d := range []string{"push", "pull"} {
				if _, err := x.pass(ctx, d); err != nil {
					return err
				}
			}
			if err := x.tidy(ctx); err != nil {
				return err
			}
		}
	}
	for len(n.late) > 0 {
		n.deliverLate(0)
	}
	return nil
}
