package node

import (
	"context"
	"io"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/support"
)

// support returns what makes a support bundle of this node; recent has the last lines of its log.
func (n *Node) support(recent *support.Log) func(context.Context, *control.Control, func() ([]byte, error)) ([]control.File, error) {
	return func(ctx context.Context, c *control.Control, metrics func() ([]byte, error)) ([]control.File, error) {
		return support.Bundle(ctx, support.Source{
			Config: c.Config(), Version: n.deps.Version, Control: c, Log: recent, Running: true, Metrics: metrics,
			Random: func(b []byte) error {
				_, err := io.ReadFull(n.deps.Rand, b)
				return err
			},
		})
	}
}
