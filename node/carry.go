package node

import (
	"context"

	"github.com/tributary-sync/tributary/carry"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// newCarrier wires the exchange by sticks.
func newCarrier(n *Node) *carry.Carrier {
	return carry.New(n.engine, carry.Config{
		Node: n.cfg.Node.Name, Key: n.keys.private, Clock: n.deps.Clock, Side: n.side, Parent: n.above, Restored: n.restoredByStick,
	})
}

// side says how this node stands to a node with which sticks are exchanged: as over the wire where it is the parent or a child, by their keys, else
// by what both said when they were introduced.
func (n *Node) side(ctx context.Context, p store.CarryPeer) (carry.Side, error) {
	if n.link != nil {
		met, err := n.store.Participants(ctx, store.KindParent)
		if err != nil {
			return carry.Side{}, err
		}
		if len(met) > 0 && met[0].PublicKey == p.PublicKey && met[0].URL == n.cfg.Parent.URL {
			url, cfg := n.cfg.Parent.URL, n.config()
			return carry.Side{
				Parent: true, Sends: cfg.PushTypes(), Wants: cfg.PullTypes(),
				Link: engine.Link{Peer: url, ParentURL: url, Follows: n.pushes, Pulls: n.pulls},
			}, nil
		}
	}
	children, err := n.store.Participants(ctx, store.KindChild)
	if err != nil {
		return carry.Side{}, err
	}
	for _, c := range children {
		if c.PublicKey == p.PublicKey {
			return carry.Side{Child: true, Link: engine.Link{Peer: c.Name, Child: c.ID}}, nil
		}
	}
	types := p.State.Types
	return carry.Side{Sends: types, Wants: types, Link: engine.Link{Peer: store.StickPeer(p.Name), Stick: p.ID}}, nil
}

// above returns the parent, which decides for this node.
func (n *Node) above(ctx context.Context) (version.Replica, string) {
	if n.link == nil {
		return "", ""
	}
	met, err := n.store.Participants(ctx, store.KindParent)
	if err != nil || len(met) == 0 {
		return "", ""
	}
	return met[0].Replica, n.cfg.Parent.URL
}

// restoredByStick is told by a stick that this database is an older copy of itself. What the parent confirms, where it can be asked, keeps its name.
func (n *Node) restoredByStick(ctx context.Context, why, epoch string, sure uint64) error {
	if err := n.foundLate(); err != nil {
		return err
	}
	confirm := func(ctx context.Context, refs []feed.Ref) ([]feed.Event, error) {
		if n.link == nil {
			return nil, nil
		}
		got, err := n.link.client.Fetch(ctx, refs)
		if err != nil {
			return nil, nil // nobody can be asked: it is written again
		}
		return got, nil
	}
	if err := n.engine.RestoredLate(ctx, why, epoch, sure, confirm); err != nil {
		return err
	}
	n.deps.Log.Warn("the database is an older copy: it goes on under a new replica", "replica", string(n.store.Identity().Replica))
	if n.link != nil {
		n.link.client.Forget()
	}
	return nil
}
