package control

import (
	"context"
	"net/http"

	"github.com/tributary-sync/tributary/control"
)

// Settings returns what is synchronised between the node and its parent.
func (c *Client) Settings(ctx context.Context) (control.Settings, error) {
	return get[control.Settings](ctx, c, within, http.MethodGet, "/settings", nil, nil)
}

// PreviewSettings says what a change would do, and how much it would move; the node asks its parent for that.
func (c *Client) PreviewSettings(ctx context.Context, change control.SettingsChange) (control.SettingsPreview, error) {
	return get[control.SettingsPreview](ctx, c, checkup, http.MethodPost, "/settings/preview", nil, change)
}

// ChangeSettings makes the node synchronise something else, without a start, and returns what is synchronised then.
func (c *Client) ChangeSettings(ctx context.Context, change control.SettingsChange) (control.Settings, error) {
	return get[control.Settings](ctx, c, checkup, http.MethodPut, "/settings", nil, change)
}
