// Package device is a small client of device sessions (the Base Sync API): for Go programs that keep a copy of what a node lets them see,
// without being a node. It holds nothing itself: the caller stores what comes, and what was stored is acknowledged.
package device

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/syncerr"
)

// Event says what to do with an item. It is a hint: apply Created like Updated, whatever is there, and ignore a deletion of what is not.
type Event string

// The events.
const (
	Created Event = "created" // this device never acknowledged it
	Updated Event = "updated"
	Deleted Event = "deleted" // or not to be seen by this device any more
)

// Item is one thing to be stored or deleted.
type Item struct {
	Type string
	ID   string
	Event
	Data     json.RawMessage // the resource; of a deletion {"id": ID}
	Revision uint64          // greater in a later copy of the same resource

	key string
}

// Client speaks to one node as one device. Its methods may be called from many goroutines.
type Client struct {
	base, credential, device string
	http                     http.RoundTripper
}

const (
	within  = 2 * time.Minute // for one call
	maxPage = 256 << 20       // bytes of an answer
	maxAck  = 1000            // keys in one call
)

// New returns a client for the node at base. credential is what `tributary device add` printed. deviceID must be made once, at the first
// start of the program, and kept: under another one everything comes again. A nil transport is http.DefaultTransport.
func New(base, credential, deviceID string, transport http.RoundTripper) *Client {
	if transport == nil {
		transport = http.DefaultTransport
	}
	return &Client{strings.TrimRight(base, "/"), credential, deviceID, transport}
}

// Session is one session: a queue that is read once.
type Session struct {
	ID    string
	Total int64 // items, as far as they were counted when it began
	c     *Client
}

// Start begins a session. It returns nil where nothing waits. All errors of this package carry a Kind: Denied for a credential that the
// node does not take, Transient where it does not answer.
func (c *Client) Start(ctx context.Context) (*Session, error) {
	var got struct {
		Data struct {
			ID     string `json:"id"`
			Queues []struct {
				Data struct {
					Total int64 `json:"total_count"`
				} `json:"data"`
			} `json:"queues"`
		} `json:"data"`
	}
	status, err := c.call(ctx, http.MethodPost, "/v2/sync/start", nil, &got)
	if err != nil || status == http.StatusNoContent {
		return nil, err
	}
	s := &Session{ID: got.Data.ID, c: c}
	for _, q := range got.Data.Queues {
		s.Total += q.Data.Total
	}
	return s, nil
}

// Next returns the next page of the queue; none where it is drained. A page is given once: what is lost on the way comes in the next
// session. It returns a NotFound error where the session has ended; start another.
func (s *Session) Next(ctx context.Context) ([]Item, error) {
	var got struct {
		Items []struct {
			Data json.RawMessage `json:"data"`
			Meta struct {
				Type string `json:"type"`
				Sync struct {
					Event    Event  `json:"event_type"`
					Key      string `json:"ack_key"`
					Revision uint64 `json:"revision"`
				} `json:"sync"`
			} `json:"meta"`
		} `json:"items"`
	}
	for {
		status, err := s.c.call(ctx, http.MethodGet, "/v2/sync/"+url.PathEscape(s.ID)+"/queues/main", nil, &got)
		if err != nil || status == http.StatusNoContent {
			return nil, err
		}
		out := make([]Item, len(got.Items))
		for i, g := range got.Items {
			var named struct {
				ID   string `json:"id"`
				UUID string `json:"uuid"` // of documents without FHIR form
			}
			if err := json.Unmarshal(g.Data, &named); err != nil {
				return nil, syncerr.New(syncerr.Invalid, "read page", "item %d is no object", i)
			}
			if named.ID == "" {
				named.ID = named.UUID
			}
			out[i] = Item{Type: g.Meta.Type, ID: named.ID, Event: g.Meta.Sync.Event, Data: g.Data, Revision: g.Meta.Sync.Revision, key: g.Meta.Sync.Key}
		}
		if len(out) > 0 { // the end is a 204 and nothing else
			return out, nil
		}
	}
}

// Ack tells the node that the items are stored. It may be called again with the same ones, and after the session ended.
func (c *Client) Ack(ctx context.Context, items []Item) error {
	for len(items) > 0 {
		n := min(len(items), maxAck)
		keys := make([]string, n)
		for i, item := range items[:n] {
			keys[i] = item.key
		}
		body, err := json.Marshal(map[string]any{"data": map[string]any{"ack_keys": keys}})
		if err != nil {
			return syncerr.Wrap(syncerr.Internal, "acknowledge", err)
		}
		if _, err := c.call(ctx, http.MethodPost, "/v2/sync/ack", body, nil); err != nil {
			return err
		}
		items = items[n:]
	}
	return nil
}

// Sync runs a whole session: each page is given to store, and what store returns without an error is acknowledged. It returns how many
// items were stored. After an error, call it again: nothing is lost.
func (c *Client) Sync(ctx context.Context, store func(ctx context.Context, items []Item) error) (stored int, err error) {
	s, err := c.Start(ctx)
	if err != nil || s == nil {
		return 0, err
	}
	for {
		items, err := s.Next(ctx)
		if err != nil || len(items) == 0 {
			return stored, err
		}
		if err := store(ctx, items); err != nil {
			return stored, err
		}
		if err := c.Ack(ctx, items); err != nil {
			return stored, err
		}
		stored += len(items)
	}
}

func (c *Client) call(ctx context.Context, method, path string, body []byte, into any) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, syncerr.Wrap(syncerr.Usage, "call the node", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.credential)
	req.Header.Set("X-Tributary-Device-UUID", c.device)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.RoundTrip(req)
	if err != nil {
		return 0, syncerr.Wrap(syncerr.Transient, "call the node", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxPage+1))
	if err != nil {
		return 0, syncerr.Wrap(syncerr.Transient, "read the node's answer", err)
	}
	if len(text) > maxPage {
		return 0, syncerr.New(syncerr.TooLarge, "read the node's answer", "it is larger than %d bytes", maxPage)
	}
	if res.StatusCode >= 300 {
		return 0, refusal(res.StatusCode, text)
	}
	if into == nil || res.StatusCode == http.StatusNoContent {
		return res.StatusCode, nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return 0, syncerr.New(syncerr.Invalid, "read the node's answer", "it is no JSON of this API").WithHint("Is the address that of a Tributary node?")
	}
	return res.StatusCode, nil
}

// refusal makes an error of an answer in the envelope of the Base API.
func refusal(status int, text []byte) error {
	kind := syncerr.Invalid
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		kind = syncerr.Denied
	case status == http.StatusNotFound:
		kind = syncerr.NotFound
	case status == http.StatusTooManyRequests, status >= 500:
		kind = syncerr.Transient
	}
	var got struct {
		Errors []struct {
			Error struct {
				Message string `json:"message"`
			} `json:"error"`
		} `json:"errors"`
	}
	words := "no words"
	if json.Unmarshal(text, &got) == nil && len(got.Errors) > 0 {
		words = got.Errors[0].Error.Message
	}
	return syncerr.New(kind, "call the node", "it answered %d: %s", status, words)
}
