package control

import (
	"context"

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
