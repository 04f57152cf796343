package control

import (
	"context"
	"net/http"

	"github.com/tributary-sync/tributary/control"
)

// Verify compares the node with its parent, and repairs what it can where that is wanted; only ctx bounds how long that takes.
func (c *Client) Verify(ctx context.Context, repair bool) (control.Verification, error) {
	return get[control.Verification](ctx, c, 0, http.MethodPost, "/verify", nil, map[string]bool{"repair": repair})
}

// Verifying returns how far the verification that runs has come.
func (c *Client) Verifying(ctx context.Context) (control.Verifying, error) {
	return get[control.Verifying](ctx, c, within, http.MethodGet, "/verify", nil, nil)
}
