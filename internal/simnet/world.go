package simnet

import (
	"context"

	"github.com/tributary-sync/tributary/config"
)

// flow says which way a type goes between a node and its parent.
type flow int

// The flows.
const (
	down flow = 1 << iota // from the parent
	up                    // to the parent
	none flow = 0
	both      = down | up
)

// small is the limit of a node that refuses what is larger than most, and large the length of text that makes a resource so.
const (
	small = 300
	large = 400
)

// rules returns the types that go one way, for the configuration.
func (x *Node) rules(way flow) ([]config.TypeRule, bool) {
	all := true
	var out []config.TypeRule
	for _, t := range x.net.opts.Types {
		if x.flows[t]&way != 0 {
			out = append(out, config.TypeRule{Type: t})
		} else {
			all = false
		}
	}
	if all {
		return []config.TypeRule{{Type: config.AllTypes}}, true
	}
	return out, len(out) > 0
}

// reaches reports whether what is written of a type at the node comes to o.
func (x *Node) reaches(o *Node, resourceType string) bool {
	if x.net.opts.sticks {
		return true
	}
	for a := x; ; a = a.parent {
		if a.above(o) {
			for ; o != a; o = o.parent {
				if o.flows[resourceType]&down == 0 {
					return false
				}
			}
			return true
		}
		if a.parent == nil || a.flows[resourceType]&up == 0 {
			return false
		}
	}
}

// shared reports whether a type goes both ways everywhere.
func (n *Net) shared(resourceType string) bool {
	for _, x := range n.nodes {
		if x.parent != nil && x.flows[resourceType] != both {
			return false
		}
	}
	return true
}

// plain reports whether nothing ever changed about who syncs what with whom.
func (n *Net) plain() bool {
	if n.opts.sticks && len(n.nodes) > 2 {
		return false // several nodes decide, as where nodes move
	}
	return n.restored == 0 && !n.opts.Moves && !n.opts.OneWay && !n.opts.Filters
}

// change does something to a node that its operator may do, or its disk.
func (x *Node) change(ctx context.Context) error {
	if ok, err := x.ready(ctx); err != nil || !ok || x.busy > 0 {
		return err
	}
	n := x.net
	var can []func(context.Context) error
	if n.opts.Restores {
		can = append(can, x.backUpOrRestore, x.backUpOrRestore)
	}
	if n.opts.Moves {
		can = append(can, x.move)
	}
	if n.opts.Filters {
		can = append(can, x.filter)
	}
	if n.opts.Poison {
		can = append(can, x.bound)
	}
	if n.opts.Full {
		can = append(can, x.fill)
	}
	if n.opts.Forget {
		can = append(can, x.tidy, x.tidy)
	}
	if n.opts.Clones {
		can = append(can, x.copyMachine, x.copyMachine)
	}
	if len(can) == 0 {
		return nil
	}
	return can[n.rand.IntN(len(can))](ctx)
}

// move hangs the node below another parent.
func (x *Node) move(ctx context.Context) error {
	n := x.net
	to := n.nodes[n.rand.IntN(len(n.nodes))]
	if x.twin != nil || x.doubtful || to.twin != nil {
		return nil // see Options.Clones
	}
	if x.parent == nil || to == x.parent || x.above(to) || to.level()+x.height() > maxLevels {
		return nil
	}
	if ok, err := to.ready(ctx); err != nil || !ok {
		return err
	}
	n.logf("%s moves from %s to %s", x.name, x.parent.name, to.name)
	return x.restart(ctx, func() error {
		x.parent = to
		to.fuse, to.full = 0, 0
		return x.enrol(ctx)
	})
}

// filter changes which way a type goes, with a start of the node or without one.
func (x *Node) filter(ctx context.Context) error {
	n := x.net
	if x.parent == nil {
		return nil
	}
	t := n.opts.Types[n.rand.IntN(len(n.opts.Types))]
	way := flow(n.rand.IntN(4))
	n.logf("%s: %s goes %s", x.name, t, way)
	if !n.opts.Live || n.live.IntN(4) == 0 {
		return x.restart(ctx, func() error { x.flows[t] = way; return nil })
	}
	x.flows[t] = way // the file is written first: a process that stops now comes up with it
	return x.reconfigure(ctx)
}

// reconfigure makes the running node synchronise what its configuration says. It may crash in that.
func (x *Node) reconfigure(ctx context.Context) error {
	apply, err := x.live.Prepare(x.config().Sync())
	if err != nil {
		return err
	}
	if x.net.opts.Faults && !x.net.healing && x.net.live.IntN(4) == 0 {
		x.fuse = 1 + x.net.live.IntN(12)
	}
	x.busy++
	err = apply(ctx)
	x.busy--
	x.fuse = 0
	x.net.logf("%s synchronises something else without a start: %v", x.name, err)
	if x.crashed {
		return nil
	}
	return x.unlessFull(err) // the next pass, or the next start, releases what waits
}

// String returns the way in a word.
func (f flow) String() string { return [...]string{"no way", "down", "up", "both ways"}[f] }

// bound changes whether the node refuses large resources.
func (x *Node) bound(ctx context.Context) error {
	x.net.logf("%s: the limit of %d changes", x.name, x.limit)
	return x.restart(ctx, func() error { x.limit = small - x.limit; return nil })
}

// fill makes the disk full for some statements.
func (x *Node) fill(context.Context) error {
	x.full = 1 + x.luck.IntN(60)
	x.net.logf("%s: the disk is full for %d statements", x.name, x.full)
	return nil
}

// mend ends all that is wrong with a node. Half of the trees whose types change their ways end with all types going both ways.
func (x *Node) mend(ctx context.Context) error {
	x.full, x.fuse = 0, 0
	if _, err := x.ready(ctx); err != nil {
		return err
	}
	whole := x.net.opts.Filters && x.net.opts.Seed%2 == 0
	if x.limit == 0 && !whole {
		return nil
	}
	return x.restart(ctx, func() error {
		x.limit = 0
		if whole {
			for t := range x.flows {
				x.flows[t] = both
			}
		}
		return nil
	})
}
