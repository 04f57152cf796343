package simnet

import (
	"context"

	"github.com/tributary-sync/tributary/store"
)

// reconsider is an operator who gives up what is parked, or takes up what was given up.
func (x *Node) reconsider(ctx context.Context) error {
	if ok, err := x.ready(ctx); err != nil || !ok {
		return err
	}
	eng := x.live.Engine()
	parked, err := eng.Store().Parked(ctx, store.ParkedFilter{})
	if err != nil || len(parked) == 0 {
		return err
	}
	p := parked[x.net.operators.IntN(len(parked))]
	if p.GivenUp != nil {
		_, err = eng.TakeUp(ctx, []string{p.UUID}, "sim")
	} else {
		_, err = eng.GiveUp(ctx, []string{p.UUID}, "it is hopeless", "sim")
	}
	x.net.logf("%s gives up or takes up %s %s, given up before: %v, %v", x.name, p.Direction, p.Key, p.GivenUp != nil, err)
	return err
}

// takeUp makes that everything is tried again: what is given up waits for ever, and that is right.
func (n *Net) takeUp(ctx context.Context) error {
	for _, x := range n.nodes {
		eng := x.live.Engine()
		given, err := eng.Store().Parked(ctx, store.ParkedFilter{GivenUp: true})
		if err != nil {
			return err
		}
		for _, p := range given {
			if _, err := eng.TakeUp(ctx, []string{p.UUID}, "sim"); err != nil {
				return err
			}
		}
	}
	return nil
}
