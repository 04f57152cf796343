package control

import (
	"context"
	"time"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/store"
)

// maxReplicas is how many replicas a node names that it was: those that made changes.
const maxReplicas = 20

// Stand returns how this node stands, as its parent is told: nothing in it is of a patient. skew is how far its clock is ahead of the parent's in
// milliseconds, nil where that is not known.
func (c *Control) Stand(ctx context.Context, skew *int64) (feed.Stand, error) {
	st := c.eng.Store()
	id := st.Identity()
	out := feed.Stand{Name: id.Name, Version: c.deps.Version, Uptime: max(0, c.now()-c.deps.StartedAt.UnixMilli()), Skew: skew}
	out.Every, out.Step = c.every(), c.ContactStep()
	if d, err := c.disk(); err == nil {
		out.Disk = &d.Free
	}
	var err error
	if out.Parked, out.Held, out.Conflicts, err = st.Needing(ctx); err != nil {
		return out, err
	}
	err = st.Read(ctx, func(r *store.Reader) error {
		var err error
		out.Replicas, err = r.Replicas(id.Replica)
		return err
	})
	if err != nil {
		return out, err
	}
	out.Replicas = out.Replicas[:min(len(out.Replicas), maxReplicas)]
	if c.cfg.Parent.URL == "" {
		return out, nil
	}
	head, err := st.Head(ctx)
	if err != nil {
		return out, err
	}
	if c.config().Push.Enabled {
		at, err := st.Position(ctx, "parent", Push)
		if err != nil {
			return out, err
		}
		out.Up = head.Seq - min(head.Seq, at.Seq)
	}
	at, err := st.Position(ctx, "parent", Pull)
	if err != nil {
		return out, err
	}
	out.Down = at.Backlog
	reach, err := c.Reach(ctx)
	out.Lag = lagUp(c.now(), reach)
	return out, err
}

// Beat is how long a node that does not read from its parent may say nothing to it: then it comes without a reason, so that it does not look silent.
const Beat = 10 * time.Minute

// every returns how long it may be until this node comes to its parent again while all is well, in milliseconds; 0 where it does not come.
func (c *Control) every() int64 {
	cfg, often := c.config(), time.Duration(0)
	switch {
	case c.cfg.Parent.URL == "":
	case cfg.Pull.Enabled:
		often = max(cfg.Pull.Every.Std(), cfg.Pull.Wait.Std())
	case cfg.Push.Enabled:
		often = max(cfg.Push.Every.Std(), Beat+time.Minute) // it looks once a minute
	}
	return often.Milliseconds()
}

// ContactStep returns how much later a node below has to be heard than was told upward, to be told again, in milliseconds: a few times before it
// would count as silent, and not more often than every minute. Of nil it is the longest.
func (c *Control) ContactStep() int64 {
	if c == nil {
		return usualStep
	}
	if silent := c.SilentAfter(); silent > 0 {
		return max(60_000, min(usualStep, silent/4))
	}
	return usualStep
}

// usualStep is the longest ContactStep.
const usualStep = int64(10 * time.Minute / time.Millisecond)
