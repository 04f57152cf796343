// Package control is the HTTP client of a node's operator interface, /control/v1: what the command line uses to ask a node that
// runs. It has the methods of control.Control with the same meaning and the same values. It prints nothing and decides nothing.
package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// The limits of a call.
const (
	within    = 30 * time.Second // for an answer, sync and doctor excepted
	checkup   = 2 * time.Minute  // for doctor, which asks the parent
	maxAnswer = 256 << 20        // bytes of an answer: a list of conflicts may be long
	maxError  = 64 << 10         // bytes read of an answer that is an error
)

// Client asks one node. Its methods may be called from many goroutines.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// New returns a client of the node at base, an absolute URL. token is an operator's credential, empty for calls on the node's
// own machine; rt carries the requests.
func New(base, token string, rt http.RoundTripper) *Client {
	return &Client{
		base: strings.TrimRight(base, "/") + "/control/v1", token: token,
		// A redirect would take the credential to another address than the one that was given.
		http: &http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// call makes one exchange: send (nil for none) as JSON, and the answer into out (nil for none). wait is the deadline, 0 for
// that of ctx alone.
func (c *Client) call(ctx context.Context, wait time.Duration, method, path string, query url.Values, send, out any) error {
	op := strings.ToLower(method) + " " + path
	if wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
	var body io.Reader
	if send != nil {
		b, err := json.Marshal(send)
		if err != nil {
			return syncerr.Wrap(syncerr.Internal, op, err)
		}
		body = bytes.NewReader(b)
	}
	target := c.base + path
	if q := query.Encode(); q != "" {
		target += "?" + q
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return syncerr.New(syncerr.Usage, op, "%w", err).WithHint("Give the node's address as http://host:port")
	}
	req.Header.Set("Accept", "application/json")
	if send != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(op, err)
	}
	defer func() { _ = res.Body.Close() }() // what matters of it was read
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return c.refused(op, res)
	}
	if out == nil {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return c.unreachable(op, err)
	}
	if len(b) > maxAnswer {
		return syncerr.New(syncerr.TooLarge, op, "the answer is larger than %d bytes", maxAnswer).WithHint("Ask for fewer rows")
	}
	if err := json.Unmarshal(b, out); err != nil {
		return syncerr.New(syncerr.Unsupported, op, "the answer of %s is not that of a node: %w", c.base, err).
			WithHint("Check the address; if it is a node, this program and the node may be of different versions")
	}
	return nil
}

// get makes one exchange whose answer is a T.
func get[T any](ctx context.Context, c *Client, wait time.Duration, method, path string, query url.Values, send any) (T, error) {
	var out T
	err := c.call(ctx, wait, method, path, query, send, &out)
	return out, err
}

func (c *Client) unreachable(op string, err error) error {
	var known *syncerr.Error
	if errors.As(err, &known) {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return syncerr.New(syncerr.Transient, op, "the node at %s does not answer: %w", strings.TrimSuffix(c.base, "/control/v1"), err).
		WithHint("Is it running? `tributary serve` starts it")
}

// refused turns an answer that is an error into one: the node's own words where it sent an OperationOutcome.
func (c *Client) refused(op string, res *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(res.Body, maxError))
	if err != nil {
		return c.unreachable(op, err)
	}
	kind := syncerr.KindOfStatus(res.StatusCode)
	text := fhir.OutcomeText(b)
	if text == "" {
		return syncerr.New(kind, op, "%s answered %s", strings.TrimSuffix(c.base, "/control/v1"), res.Status).
			WithHint("Check that this is the address of a Tributary node")
	}
	e := syncerr.New(kind, "", "%s", text)
	if kind == syncerr.Denied && c.token == "" {
		e = e.WithHint("Give an operator's credential, or run the command on the node's own machine")
	}
	return e
}
