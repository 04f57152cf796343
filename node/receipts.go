package node

import (
	"context"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
)

// above returns the parent as the node above this one, with the types that go there under the names that this node gave.
func (l *link) above(p feed.Peer) feed.Above {
	return feed.Above{Name: p.Node, Replica: p.Replica, Epoch: p.Epoch, Types: named(l.node.config())}
}

// named returns the types whose changes keep their names on the way to the parent, nil for all: those that are pushed by the nodes' own protocol.
func named(cfg config.Config) []string {
	if !cfg.Push.Enabled {
		return []string{}
	}
	types := cfg.PushTypes()
	other := func(t string) bool { return cfg.Client(config.ToParent, t) != config.ClientNode }
	if types == nil {
		changed := false
		types = []string{fhir.AnyREST}
		for _, t := range cfg.Named(config.ToParent) {
			types = append(types, t)
			changed = changed || other(t)
		}
		if !changed && !other(config.AllTypes) {
			return nil
		}
	}
	out := []string{}
	for _, t := range types {
		switch {
		case t == fhir.AnyREST && other(config.AllTypes), fhir.IsKind(t) && other(t) && !fhir.IsREST(t):
		case fhir.IsKind(t) && other(t):
			out = append(out, fhir.Without(t))
		default:
			out = append(out, t)
		}
	}
	return out
}

// sends notes that other types are sent to the parent now, where it was met.
func (l *link) sends(ctx context.Context) error {
	l.mu.Lock()
	met := l.saved
	l.mu.Unlock()
	if met.Epoch == "" {
		return nil
	}
	return l.node.store.Write(ctx, func(tx *store.Tx) error { return tx.Below(l.above(met)) })
}

// mark returns up to where the parent told how far changes have come.
func (l *link) mark(ctx context.Context) (mark string, err error) {
	err = l.node.store.Read(ctx, func(r *store.Reader) error {
		mark, err = r.ReachedMark()
		return err
	})
	return mark, err
}

// told stores what the parent told of how far changes have come.
func (l *link) told(ctx context.Context, text []byte) error {
	m, err := feed.ParseReached(text)
	if err != nil {
		l.node.deps.Log.Warn("the parent tells what no node can mean of what has come to it", "error", err)
		return nil
	}
	return l.node.store.Write(ctx, func(tx *store.Tx) error { return tx.TakeReached(m) })
}

// orphaned drops what was told by a parent that is not this node's any more.
func (n *Node) orphaned(ctx context.Context) error {
	url := n.cfg.Parent.URL
	met, err := n.store.Participants(ctx, store.KindParent)
	if err != nil || len(met) == 0 || url != "" && met[0].URL == url {
		return err
	}
	return n.store.Write(ctx, func(tx *store.Tx) error { return tx.Below(feed.Above{}) })
}
