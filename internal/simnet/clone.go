package simnet

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tributary-sync/tributary/syncerr"
)

// maxClones is how many machines are copied in a run.
const maxClones = 2

// copyMachine copies the whole machine of a node, and both go on; or, where its parent has found that, a person decides which.
func (x *Node) copyMachine(ctx context.Context) error {
	n := x.net
	if x.twin != nil {
		if ok, err := x.parent.ready(ctx); err != nil || !ok || x.busy+x.twin.busy > 0 {
			return err
		}
		found, err := x.found(ctx)
		if err != nil || !found {
			return err
		}
		return n.settle(ctx, x)
	}
	if x.parent == nil || x.height() > 1 || n.clones >= maxClones {
		return nil
	}
	n.clones++
	y := &Node{
		net: n, name: x.name + "'", as: x.as, twin: x, dir: x.dir + "-copy", parent: x.parent, tokens: x.tokens, flows: maps.Clone(x.flows), policies: x.policies,
		waits: x.waits, limit: x.limit, skew: x.skew, own: x.own, forgot: x.forgot, copied: true, unmet: x.unmet, gone: slices.Clone(x.gone),
		ids: source{stream(n.opts.Seed, 300+uint64(n.clones))}, luck: stream(n.opts.Seed, 400+uint64(n.clones)),
	}
	n.logf("%s is copied, and both go on", x.name)
	err := x.restart(ctx, func() error {
		if err := copyFolder(x.dir, y.dir); err != nil {
			return err
		}
		return copyFile(x.nonce(), y.nonce())
	})
	if err != nil {
		return err
	}
	x.twin, x.copied = y, true
	n.nodes = append(n.nodes, y)
	for _, o := range []*Node{x, y} { // both are in use from the first minute on
		for i := n.rand.IntN(3); i > 0 && o.live != nil; i-- {
			if err := o.unlessFull(o.edit(ctx)); err != nil {
				return err
			}
		}
		if o == x {
			if err := y.start(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// found reports whether the parent has found that a node runs twice.
func (x *Node) found(ctx context.Context) (bool, error) {
	children, err := x.parent.live.Control().Children(ctx)
	for _, c := range children {
		if c.Name == x.as && c.Cloned != 0 {
			return true, err
		}
	}
	return false, err
}

// meets reports whether a node exchanges something with its parent in every pass: one that only pushes does not where nothing is to be pushed.
func (x *Node) meets() bool {
	return slices.ContainsFunc(x.net.opts.Types, func(t string) bool { return x.flows[t]&down != 0 })
}

// settle is a person who stops one of two copies of a machine and gives the other a new credential. What only the first has is lost.
func (n *Net) settle(ctx context.Context, x *Node) error {
	y := x.twin
	if len(y.name) < len(x.name) {
		x, y = y, x
	}
	for _, o := range []*Node{x, y} {
		if _, err := o.ready(ctx); err != nil {
			return err
		}
	}
	stays, goes := x, y
	if n.rand.IntN(2) == 0 {
		stays, goes = y, x
	}
	n.logf("%s goes on, %s is stopped", stays.name, goes.name)
	now, err := goes.view(ctx)
	if err != nil {
		return err
	}
	n.nodes = slices.DeleteFunc(n.nodes, func(o *Node) bool { return o == goes })
	views, err := n.allViews(ctx)
	if err != nil {
		return err
	}
	x.restored++
	n.gone(now, views)
	if goes == x { // its place, with its name in the run; a copy of the other machine's folder is none of this one
		x.gone, x.backup = y.gone, nil
		n.nodes[slices.Index(n.nodes, y)] = x
	}
	if err := y.live.Close(); err != nil {
		return err
	}
	x.twin, y.twin = nil, nil
	x.doubtful = true // until its parent has told it what the other one sent
	x.parent.fuse, x.parent.full = 0, 0
	return x.restart(ctx, func() error {
		if goes == x {
			if err := copyFolder(y.dir, x.dir); err != nil {
				return err
			}
			if err := copyFile(y.nonce(), x.nonce()); err != nil {
				return err
			}
		}
		delete(x.tokens, x.parent.name)
		return x.enrol(ctx)
	})
}

// endClones lets the copies that still run meet their parent until it has found them: that may not take many passes.
func (n *Net) endClones(ctx context.Context) error {
	for _, x := range slices.Clone(n.nodes) {
		if x.twin == nil {
			continue
		}
		for range 3 {
			for _, o := range []*Node{x, x.twin} {
				for _, d := range []string{"push", "pull"} {
					_, err := o.sync(ctx, d)
					n.logf("%s %s: %v", o.name, d, err)
					if err != nil && syncerr.KindOf(err) != syncerr.Denied {
						return fmt.Errorf("%s %s while everything is whole: %w", o.name, d, err)
					}
				}
			}
		}
		found, err := x.found(ctx)
		if err != nil {
			return err
		}
		if !found && x.meets() && x.twin.meets() {
			return fmt.Errorf("%s runs twice, and its parent has not found that", x.name)
		}
		if err := n.settle(ctx, x); err != nil {
			return err
		}
	}
	return nil
}
