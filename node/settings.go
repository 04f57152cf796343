package node

import (
	"context"
	"errors"

	"github.com/tributary-sync/tributary/api"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/syncerr"
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
			err = errors.Join(n.release(ctx), l.sends(ctx))
		})
		l.pull.loop.Poke()
		l.push.loop.Poke()
		return err
	}, nil
}

// Estimate says how much a catch-up would move (control.Live).
func (n *Node) Estimate(ctx context.Context, direction string, types []string) (list []feed.Estimate, sure bool, err error) {
	if n.link == nil {
		return nil, false, syncerr.New(syncerr.Usage, "estimate", "this node has no parent")
	}
	l := n.link
	asked := func(ask func() error) error {
		for again := false; ; again = true {
			_, err := l.hello(ctx) // the first thing of all: it may tell this node that it is not what it was
			if err == nil {
				err = ask()
			}
			if again || syncerr.KindOf(err) != syncerr.EpochChanged {
				return err
			}
		}
	}
	if direction == control.Pull {
		known, err := n.store.Knowledge(ctx, types)
		if err != nil {
			return nil, false, err
		}
		err = asked(func() (err error) { list, err = l.client.Estimate(ctx, known, types); return err })
		return list, true, err
	}
	var has []feed.Known
	sure = asked(func() (err error) { has, err = l.client.Knowledge(ctx, types); return err }) == nil // else everything that is here is counted
	list, err = api.Estimate(context.WithoutCancel(ctx), n.store, n.deps.Pool, feed.KnowledgeOf(has), types, true)
	return list, sure, err
}
