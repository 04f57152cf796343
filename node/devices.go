package node

import (
	"context"
	"net/http"

	"github.com/tributary-sync/tributary/api"
	"github.com/tributary-sync/tributary/device"
)

// registerDevices mounts the sessions of devices under the rules of the API: who may call, what is audited, counted and logged.
func (n *Node) registerDevices(mux *http.ServeMux) {
	device.New(device.Deps{
		Store: n.store, URL: n.cfg.BaseURL(),
		Caller: func(ctx context.Context) device.Registration {
			c := api.CallerOf(ctx)
			return device.Registration{ID: c.ID, Name: c.Name}
		},
		Guard: func(h device.Handler, e device.ErrorWriter) http.Handler { return n.api.Guard(h, api.ForDevices, e) },
	}).Register(mux)
}
