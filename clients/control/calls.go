package control

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
)

// The errors of all calls carry the Kind of the node's answer and its own words: Denied without a sufficient credential,
// Transient where the node does not answer.

// Status returns how the node stands.
func (c *Client) Status(ctx context.Context) (control.Status, error) {
	return get[control.Status](ctx, c, within, http.MethodGet, "/status", nil, nil)
}

// Network returns the node and the whole tree below it.
func (c *Client) Network(ctx context.Context) (control.Network, error) {
	return get[control.Network](ctx, c, within, http.MethodGet, "/network", nil, nil)
}

// Charts returns what happened at the node over the last day and month.
func (c *Client) Charts(ctx context.Context) (control.Charts, error) {
	return get[control.Charts](ctx, c, within, http.MethodGet, "/charts", nil, nil)
}

// Runs returns the newest passes of a direction ("" for both), newest first, 100 where limit is 0.
func (c *Client) Runs(ctx context.Context, direction string, limit int) ([]audit.Run, error) {
	q := values("direction", direction)
	setInt(q, "limit", int64(limit))
	return get[[]audit.Run](ctx, c, within, http.MethodGet, "/runs", q, nil)
}

// Audit returns the records that query selects, newest first.
func (c *Client) Audit(ctx context.Context, query audit.Query) ([]audit.Record, error) {
	q := values("operation", string(query.Operation), "outcome", string(query.Outcome), "type", query.Type, "id", query.ID,
		"run", query.Run, "peer", query.Peer)
	if query.Failures {
		q.Set("failures", "true")
	}
	setInt(q, "from", query.From)
	setInt(q, "to", query.To)
	setInt(q, "before", query.Before)
	setInt(q, "limit", int64(query.Limit))
	return get[[]audit.Record](ctx, c, within, http.MethodGet, "/audit", q, nil)
}

// EachAudit gives the records that query selects to fn, newest first, until it returns an error: at most query.Limit, all of them where it is 0.
func (c *Client) EachAudit(ctx context.Context, query audit.Query, fn func(audit.Record) error) error {
	const page = 1000
	for left := query.Limit; ; {
		query.Limit = page
		if left > 0 {
			query.Limit = min(left, page)
		}
		records, err := c.Audit(ctx, query)
		if err != nil {
			return err
		}
		for _, r := range records {
			if err := fn(r); err != nil {
				return err
			}
		}
		if left -= len(records); len(records) < query.Limit || left == 0 {
			return nil
		}
		query.Before = records[len(records)-1].ID
	}
}

// ShowAudit returns one row of the audit, with its cause and what to do.
func (c *Client) ShowAudit(ctx context.Context, id int64) (control.ShownRecord, error) {
	return get[control.ShownRecord](ctx, c, within, http.MethodGet, "/audit/"+strconv.FormatInt(id, 10), nil, nil)
}

// RunRecord returns one pass.
func (c *Client) RunRecord(ctx context.Context, id string) (audit.Run, error) {
	return get[audit.Run](ctx, c, within, http.MethodGet, "/runs/"+url.PathEscape(id), nil, nil)
}

// Conflicts returns conflicts without their contents, newest first.
func (c *Client) Conflicts(ctx context.Context, query control.ConflictQuery) ([]control.Conflict, error) {
	q := values("status", query.Status, "resource", query.Key.String())
	setInt(q, "limit", int64(query.Limit))
	return get[[]control.Conflict](ctx, c, within, http.MethodGet, "/conflicts", q, nil)
}

// Conflict returns one conflict with the contents of both copies, named by its UUID or, where it waits for a decision, by Type/id.
func (c *Client) Conflict(ctx context.Context, name string) (control.ShownConflict, error) {
	return get[control.ShownConflict](ctx, c, within, http.MethodGet, "/conflicts/"+url.PathEscape(name), nil, nil)
}

// ResolveConflict writes a person's decision and returns the conflict as it is then.
func (c *Client) ResolveConflict(ctx context.Context, name string, r control.Resolution) (control.ShownConflict, error) {
	return get[control.ShownConflict](ctx, c, within, http.MethodPost, "/conflicts/"+url.PathEscape(name)+"/resolve", nil, r)
}

// ResolveByRule decides the open conflicts of a type, or all where it is empty, by the rule of r, or says what that would do.
func (c *Client) ResolveByRule(ctx context.Context, resourceType string, r control.Resolution) ([]control.Ruled, error) {
	call := struct {
		Type string `json:"type"`
		control.Resolution
	}{resourceType, r}
	return get[[]control.Ruled](ctx, c, 10*within, http.MethodPost, "/conflicts/resolve", nil, call)
}

// Parked returns events that could not be applied or delivered, the longest waiting first.
func (c *Client) Parked(ctx context.Context, query control.ParkedQuery) ([]control.Parked, error) {
	q := values("state", query.State, "direction", query.Direction, "resource", query.Key.String(), "uuid", query.UUID, "cause", query.Cause)
	setInt(q, "limit", int64(query.Limit))
	return get[[]control.Parked](ctx, c, within, http.MethodGet, "/parked", q, nil)
}

// RetryParked makes parked events due at once, and returns how many.
func (c *Client) RetryParked(ctx context.Context, which control.ParkedChoice) (int, error) {
	return c.reconsider(ctx, "retry", "retried", which)
}

// GiveUpParked ends the tries of parked events for the reason which.Why, and returns how many.
func (c *Client) GiveUpParked(ctx context.Context, which control.ParkedChoice) (int, error) {
	return c.reconsider(ctx, "give-up", "givenUp", which)
}

// TakeUpParked makes that events are tried again that were given up, and returns how many.
func (c *Client) TakeUpParked(ctx context.Context, which control.ParkedChoice) (int, error) {
	return c.reconsider(ctx, "take-up", "takenUp", which)
}

func (c *Client) reconsider(ctx context.Context, what, done string, which control.ParkedChoice) (int, error) {
	out, err := get[map[string]int](ctx, c, within, http.MethodPost, "/parked/"+what, nil, which)
	return out[done], err
}

// Backup writes a copy of the node's database to a new file on the node's machine.
func (c *Client) Backup(ctx context.Context, path string) error {
	return c.call(ctx, 0, http.MethodPost, "/backup", nil, map[string]string{"path": path}, nil)
}

// Held returns the copies that wait for the parent's decision, the oldest first, 100 where limit is 0.
func (c *Client) Held(ctx context.Context, limit int) ([]control.Held, error) {
	q := url.Values{}
	setInt(q, "limit", int64(limit))
	return get[[]control.Held](ctx, c, within, http.MethodGet, "/held", q, nil)
}

// Children returns the nodes that may read from and push to the node, by name.
func (c *Client) Children(ctx context.Context) ([]control.Child, error) {
	return get[[]control.Child](ctx, c, within, http.MethodGet, "/children", nil, nil)
}

// AddChild lets a node of that name read from and push to the node. The credential in the answer is shown this once.
func (c *Client) AddChild(ctx context.Context, name, publicKey string) (control.NewChild, error) {
	return get[control.NewChild](ctx, c, within, http.MethodPost, "/children", nil, map[string]string{"name": name, "publicKey": publicKey})
}

// RemoveChild takes a child's credential away.
func (c *Client) RemoveChild(ctx context.Context, name string) error {
	return c.call(ctx, within, http.MethodDelete, "/children/"+url.PathEscape(name), nil, nil, nil)
}

// Devices returns the registrations under which phones, scripts and dashboards read by sessions, by name.
func (c *Client) Devices(ctx context.Context) ([]control.Device, error) {
	return get[[]control.Device](ctx, c, within, http.MethodGet, "/devices", nil, nil)
}

// AddDevice lets a device of that name read by sessions what scope says. The credential in the answer is shown this once.
func (c *Client) AddDevice(ctx context.Context, name string, scope []string) (control.NewDevice, error) {
	return get[control.NewDevice](ctx, c, within, http.MethodPost, "/devices", nil, map[string]any{"name": name, "scope": scope})
}

// SetDevice changes what a device may see.
func (c *Client) SetDevice(ctx context.Context, name string, scope []string) (control.Device, error) {
	return get[control.Device](ctx, c, within, http.MethodPut, "/devices/"+url.PathEscape(name), nil, map[string]any{"scope": scope})
}

// RemoveDevice takes a device's credential away and forgets what it had.
func (c *Client) RemoveDevice(ctx context.Context, name string) error {
	return c.call(ctx, within, http.MethodDelete, "/devices/"+url.PathEscape(name), nil, nil, nil)
}

// Explain returns everything that the node knows of one resource but its content.
func (c *Client) Explain(ctx context.Context, key fhir.Key) (control.Explanation, error) {
	if err := key.Validate(); err != nil {
		return control.Explanation{}, err
	}
	return get[control.Explanation](ctx, c, within, http.MethodGet, "/explain/"+url.PathEscape(key.Type)+"/"+url.PathEscape(key.ID), nil, nil)
}

// Doctor looks at everything that can be wrong with the node; full, it reads the whole database, and only ctx bounds how long that takes.
func (c *Client) Doctor(ctx context.Context, full bool) ([]control.Check, error) {
	if full {
		return get[[]control.Check](ctx, c, 0, http.MethodGet, "/doctor", values("full", "true"), nil)
	}
	return get[[]control.Check](ctx, c, checkup, http.MethodGet, "/doctor", nil, nil)
}

// Sync runs a pass now and returns its runs once they have ended; only ctx bounds how long that takes.
func (c *Client) Sync(ctx context.Context, direction string) ([]audit.Run, error) {
	return get[[]audit.Run](ctx, c, 0, http.MethodPost, "/sync", nil, map[string]string{"direction": direction})
}

// Support returns the files of a support bundle.
func (c *Client) Support(ctx context.Context) ([]control.File, error) {
	return get[[]control.File](ctx, c, checkup, http.MethodGet, "/support", nil, nil)
}

// ConfigText returns the node's configuration as YAML with secrets masked.
func (c *Client) ConfigText(ctx context.Context) (string, error) {
	var out struct {
		Config string `json:"config"`
	}
	err := c.call(ctx, within, http.MethodGet, "/config", nil, nil, &out)
	return out.Config, err
}

// values builds a query of those pairs whose value is not empty.
func values(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

func setInt(q url.Values, name string, n int64) {
	if n != 0 {
		q.Set(name, strconv.FormatInt(n, 10))
	}
}
