package node

import (
	"context"

	"github.com/tributary-sync/tributary/config"
)

// config returns the configuration as it is in force.
func (n *Node) config() config.Config { return *n.current.Load() }

func (n *Node) pulls(resourceType string) bool { return n.current.Load().Pulls(resourceType) }

func (n *Node) pushes(resourceType string) bool { return n.current.Load().Pushes(resourceType) }

// Config returns the configuration as it is in force (control.Live).
func (n *Node) Config() config.Config { return n.config() }

// Prepare checks that the node has the clients to synchronise something else, which is valid (config.Contents.With), and returns what makes it do so between two passes: those that run are ended, and go
// on from their cursors by the new configuration, as after a start of the node with it (control.Live). Who changes the configuration file changes it
// before, so that a node which stops at any moment comes up with what it did or was about to do. An error of apply says what could not be released
// of what waits for a direction that is off: the new configuration is in force all the same, and the next start releases it.
func (n *Node) Prepare(to config.Sync) (apply func(context.Context) error, err error) {
	cfg := n.config().WithSync(to)
	if n.link == nil {
		return func(context.Context) error {
			n.current.Store(&cfg)
			n.engine.SetPolicies(cfg.Policies())
			return nil
		}, nil
	}
	l := n.link
	w, err := l.wire(cfg)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		var err error
		l.turn.alone(func() {
			l.way.Store(w)
			n.current.Store(&cfg)
			n.engine.SetPolicies(cfg.Policies())
			err = n.release(ctx)
		})
		l.pull.loop.Poke()
		l.push.loop.Poke()
		return err
	}, nil
}
