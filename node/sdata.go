package node

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tributary-sync/tributary/api"
	"github.com/tributary-sync/tributary/sdata"
)

// newSData wires SData synchronization.
func newSData(n *Node) *sdata.Server {
	return sdata.New(n.engine, sdata.Config{
		URL: n.cfg.BaseURL(), Priority: n.cfg.Conflicts.Priority, Clock: n.deps.Clock, Log: n.deps.Log, Background: n.beside.do, Peer: api.CallerName,
	})
}

// beside is the work that requests begin and do not wait for. It is done while Run runs, and ends with it.
type beside struct {
	mu    sync.Mutex
	ctx   context.Context
	group *errgroup.Group // nil where nothing runs
}

// open lets work begin until ctx ends.
func (b *beside) open(ctx context.Context, g *errgroup.Group) {
	b.mu.Lock()
	b.ctx, b.group = ctx, g
	b.mu.Unlock()
	g.Go(func() error {
		<-ctx.Done()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.group = nil
		return nil
	})
}

// do begins work; it reports false where nothing runs that could do it.
func (b *beside) do(work func(context.Context)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.group == nil {
		return false
	}
	ctx := b.ctx
	b.group.Go(func() error {
		work(ctx)
		return nil
	})
	return true
}
