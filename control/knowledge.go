package control

import (
	"context"
	"strconv"
	"time"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/store"
)

// restoredFor is how long a person is told that the database was put back, in milliseconds.
const restoredFor = 7 * 24 * int64(time.Hour/time.Millisecond)

// restored returns when the database was last found to be an older copy of itself, nil where it never was.
func (c *Control) restored(ctx context.Context) (*Restored, error) {
	st := c.eng.Store()
	at, err := st.State(ctx, engine.StateRestored)
	if err != nil || at == "" {
		return nil, err
	}
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return nil, nil // written by hand: nothing is known of it
	}
	why, err := st.State(ctx, engine.StateRestoredWhy)
	return &Restored{At: ms, Why: why}, err
}

func (r Restored) sentence() string {
	return "On " + time.UnixMilli(r.At).UTC().Format("2006-01-02 15:04") + " UTC this database was found to be an older copy of itself: " + r.Why +
		". It goes on under a new identity; what it had lost and others have comes back by itself."
}

// knowledge sums up what this node knows, by resource type.
func (c *Control) knowledge(ctx context.Context) ([]Known, error) {
	out := []Known{}
	err := c.eng.Store().Read(ctx, func(r *store.Reader) error {
		parts, _, err := r.KnowledgeSince(nil, 0, false)
		for _, p := range parts {
			k := Known{Type: p.Type, Replicas: len(p.Vector), Exceptions: len(p.Lacks), Forgotten: len(p.Forgotten)}
			for _, v := range p.Vector {
				k.Changes += v.Tick
			}
			out = append(out, k)
		}
		return err
	})
	return out, err
}
