package node

import (
	"context"

	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/control"
)

// Reach looks at the way to an address from this machine, for control.Environment.
func Reach(ctx context.Context, address string) control.Route {
	return control.Route(clients.Reaches(ctx, address))
}
