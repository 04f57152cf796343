// Package sdata is the HTTP client of SData synchronization endpoints: those of nodes, and of anybody who keeps to the specification. It has
// the methods by which package sdata's engine sees an end of a pass. It keeps nothing between two calls and reads no more of a document than
// it must.
package sdata

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	core "github.com/tributary-sync/tributary/sdata"
	"github.com/tributary-sync/tributary/syncerr"
)

// The limits of a call.
const (
	within    = 10 * time.Minute // for one exchange
	longest   = 2 * time.Hour    // for an operation that is polled
	maxAnswer = 160 << 20        // bytes of an answer, unpacked
	minPoll   = 20 * time.Millisecond
	maxPoll   = 30 * time.Second
	tries     = 5
)

// Options say how an endpoint is spoken to.
type Options struct {
	Authorize func(*http.Request) error // puts the credential into each request; nil sends none
	Transport http.RoundTripper         // carries the requests; required
	NewID     func() string             // makes trackingIDs, UUIDs; required
	Tries     int                       // of an exchange that a busy or broken way cut short, 0 for five
	// Wait waits for a time; nil is a timer. Tests need not wait.
	Wait func(ctx context.Context, d time.Duration) error
}

// Client asks the endpoints of one contract, such as https://node.example/sdata. Its methods may be called from many goroutines.
type Client struct {
	base string
	opts Options
	http *http.Client
	in   atomic.Int64
	out  atomic.Int64
}

var _ core.Endpoint = (*Client)(nil)

// New returns a client of the endpoints below base, an absolute URL: base/Patient/$syncDigest and so on. It returns a Usage error for another
// address.
func New(base string, opts Options) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" {
		return nil, syncerr.New(syncerr.Usage, "read address", "%.100q is not the address of SData endpoints", base).WithHint("Write for example https://node.example/sdata")
	}
	if opts.Wait == nil {
		opts.Wait = wait
	}
	if opts.Tries <= 0 {
		opts.Tries = tries
	}
	return &Client{
		base: strings.TrimRight(base, "/"), opts: opts,
		http: &http.Client{Transport: opts.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Traffic returns the bytes of bodies on the wire so far, received and sent.
func (c *Client) Traffic() (in, out int64) { return c.in.Load(), c.out.Load() }

// Kinds returns the resource kinds that the schema advertises, in their order.
func (c *Client) Kinds(ctx context.Context) ([]string, error) {
	a, err := c.call(ctx, http.MethodGet, c.base+"/$schema", nil)
	if err != nil {
		return nil, err
	}
	return core.ReadSchema(a.body)
}

// Digest returns the digest of a kind.
func (c *Client) Digest(ctx context.Context, resourceType string) ([]byte, error) {
	a, err := c.call(ctx, http.MethodGet, c.base+"/"+resourceType+"/$syncDigest", nil)
	return a.body, err
}

// Select asks for what a digest lacks, and returns the first page.
func (c *Client) Select(ctx context.Context, resourceType string, run core.Run, digest []byte) (core.Page, error) {
	a, location, err := c.operation(ctx, c.base+"/"+resourceType+"/$syncSource", run, digest)
	return core.Page{Body: a.body, Location: location}, err
}

// Next returns the page at an address of this endpoint.
func (c *Client) Next(ctx context.Context, address string) (core.Page, error) {
	to, err := c.own(address, c.base)
	if err != nil {
		return core.Page{}, err
	}
	a, err := c.finished(ctx, to)
	return core.Page{Body: a.body}, err
}

// Release ends a pass. One that is gone already is no error.
func (c *Client) Release(ctx context.Context, location string) error {
	to, err := c.own(location, c.base)
	if err != nil {
		return err
	}
	_, err = c.call(ctx, http.MethodDelete, to, nil)
	switch syncerr.KindOf(err) {
	case syncerr.Gone, syncerr.NotFound:
		return nil
	}
	return err
}

// Apply gives a page and waits for the results. They are dropped at the target when they are here.
func (c *Client) Apply(ctx context.Context, resourceType string, run core.Run, page []byte) ([]byte, error) {
	a, location, err := c.operation(ctx, c.base+"/"+resourceType+"/$syncTarget", run, page)
	if err != nil || location == "" {
		return a.body, err
	}
	return a.body, c.Release(ctx, location)
}

// Push gives a page of immediate changes: its answer is that of the request. A page that the target cannot take because it lacks changes before it
// is an Invalid error.
func (c *Client) Push(ctx context.Context, resourceType string, run core.Run, page []byte) ([]byte, error) {
	a, err := c.call(ctx, http.MethodPost, c.base+"/"+resourceType+"/$syncTarget?"+queryOf(run, "").Encode(), page)
	if err != nil || a.status != http.StatusAccepted {
		return a.body, err
	}
	location, err := c.own(a.header.Get("Location"), c.base)
	if err != nil {
		return nil, err
	}
	if a, err = c.finished(ctx, location); err != nil {
		return nil, err
	}
	return a.body, c.Release(ctx, location)
}

// Report gives results to $syncResults of a source.
func (c *Client) Report(ctx context.Context, resourceType string, run core.Run, results []byte) error {
	_, err := c.call(ctx, http.MethodPost, c.base+"/"+resourceType+"/$syncResults?"+queryOf(run, "").Encode(), results)
	return err
}

// Events is an event manager at an address: Report posts results there.
type Events struct {
	Client  *Client
	Address string
}

// Report gives results to the event manager.
func (e Events) Report(ctx context.Context, _ string, run core.Run, results []byte) error {
	sep := "?"
	if strings.Contains(e.Address, "?") {
		sep = "&"
	}
	_, err := e.Client.call(ctx, http.MethodPost, e.Address+sep+queryOf(run, "").Encode(), results)
	return err
}

func queryOf(run core.Run, id string) url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"trackingID": id, "runName": run.Name, "runStamp": run.Stamp} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// operation posts a document and returns what came of it, and where its context is to be dropped; empty where the answer came at once, for
// then there is nothing to poll and nothing to drop (core 11.5). An operation that was cut off, as by a restart of the other side, is posted again under
// its trackingID, which makes that harmless.
func (c *Client) operation(ctx context.Context, to string, run core.Run, body []byte) (answer, string, error) {
	to += "?" + queryOf(run, c.opts.NewID()).Encode()
	a, location, err := c.posted(ctx, to, body)
	for i := 1; i < c.opts.Tries && ctx.Err() == nil && err != nil && location != "" && syncerr.KindOf(err).Retry(); i++ {
		a, location, err = c.posted(ctx, to, body)
	}
	if err != nil && location != "" && ctx.Err() == nil {
		_ = c.Release(ctx, location) // the first error is the one to tell
	}
	if err != nil {
		location = ""
	}
	return a, location, err
}

// posted is one try of operation; an operation that was begun has its address with an error, too.
func (c *Client) posted(ctx context.Context, to string, body []byte) (answer, string, error) {
	a, err := c.call(ctx, http.MethodPost, to, body)
	if err != nil || a.status != http.StatusAccepted {
		return a, "", err
	}
	location, err := c.own(a.header.Get("Location"), to)
	if err != nil {
		return a, "", err
	}
	a, err = c.finished(ctx, location)
	return a, location, err
}

// finished polls an operation until it is at its end.
func (c *Client) finished(ctx context.Context, location string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	for {
		a, err := c.call(ctx, http.MethodGet, location, nil)
		if err != nil || a.status != http.StatusAccepted {
			return a, err
		}
		if next := a.header.Get("Location"); next != "" {
			if location, err = c.own(next, location); err != nil {
				return a, err
			}
		}
		d := time.Second
		if t, ok := core.ReadTracking(a.body); ok && t.PollingMillis > 0 {
			d = time.Duration(t.PollingMillis) * time.Millisecond
		}
		if err := c.opts.Wait(ctx, min(max(d, minPoll), maxPoll)); err != nil {
			return a, err
		}
	}
}

// own returns an absolute address that an answer named. One of another host is refused: the credential is not for it.
func (c *Client) own(address, from string) (string, error) {
	base, err := url.Parse(from)
	if err != nil {
		return "", syncerr.Wrap(syncerr.Internal, "read address", err)
	}
	u, err := base.Parse(address)
	mine, merr := url.Parse(c.base)
	switch {
	case address == "" || err != nil || merr != nil:
		return "", syncerr.New(syncerr.Invalid, "talk to "+c.base, "its answer names %.200q as an address", address)
	case u.Scheme != mine.Scheme || u.Host != mine.Host:
		return "", syncerr.New(syncerr.Denied, "talk to "+c.base, "its answer goes on at %.200s, which is another host", u.Redacted()).
			WithHint("The endpoint does not know the address by which it is reached: set node.url there, or let the proxy pass the Host header on")
	}
	return u.String(), nil
}

// answer is what an exchange led to: 200 or another success.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call makes one exchange. Where the way is cut or the other side is busy, it is tried again a few times: the trackingID makes that harmless.
func (c *Client) call(ctx context.Context, method, to string, body []byte) (answer, error) {
	for i := 1; ; i++ {
		a, after, err := c.once(ctx, method, to, body)
		if err == nil || i == c.opts.Tries || ctx.Err() != nil || !syncerr.KindOf(err).Retry() {
			return a, err
		}
		if werr := c.opts.Wait(ctx, max(after, time.Duration(i*i)*200*time.Millisecond)); werr != nil {
			return a, errors.Join(err, werr)
		}
	}
}

func (c *Client) once(ctx context.Context, method, to string, body []byte) (a answer, after time.Duration, err error) {
	op := "talk to " + c.base
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return a, 0, syncerr.Wrap(syncerr.Usage, op, err)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", core.ContentType)
	}
	req.Header.Set("Accept", core.ContentType+", application/xml;q=0.9")
	req.Header.Set("Accept-Encoding", "gzip")
	if c.opts.Authorize != nil {
		if err := c.opts.Authorize(req); err != nil {
			return a, 0, err
		}
	}
	c.out.Add(int64(len(body)))
	res, err := c.http.Do(req)
	if err != nil {
		return a, 0, broken(ctx, op, err)
	}
	defer res.Body.Close()
	a.status, a.header = res.StatusCode, res.Header
	if a.body, err = c.read(res); err != nil {
		if syncerr.KindOf(err) == syncerr.TooLarge {
			return a, 0, err
		}
		return a, 0, broken(ctx, op, err)
	}
	if a.status/100 == 2 {
		return a, 0, nil
	}
	return a, retryAfter(res), c.refused(method, a)
}

// read reads a body, unpacked, up to the limit.
func (c *Client) read(res *http.Response) ([]byte, error) {
	counted := &counter{r: res.Body, n: &c.in}
	var r io.Reader = counted
	if res.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(counted)
		if err != nil {
			return nil, err
		}
		r = z
	}
	b, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err == nil && len(b) > maxAnswer {
		return nil, syncerr.New(syncerr.TooLarge, "talk to "+c.base, "its answer is longer than %d MiB", maxAnswer>>20)
	}
	return b, err
}

type counter struct {
	r io.Reader
	n *atomic.Int64
}

// Read counts what is read.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func retryAfter(res *http.Response) time.Duration {
	d, err := time.ParseDuration(res.Header.Get("Retry-After") + "s")
	if err != nil || d < 0 {
		return 0
	}
	return min(d, maxPoll)
}

func broken(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return &syncerr.Error{Kind: syncerr.Transient, Op: op, Err: err, Hint: "Nothing is lost: run it again, and it goes on"}
}

// refused makes an error of an answer that is none.
func (c *Client) refused(method string, a answer) error {
	text := http.StatusText(a.status)
	if d := core.ReadDiagnoses(a.body); len(d) > 0 && d[0].Message != "" {
		text = d[0].Message
	}
	kind := syncerr.KindOfStatus(a.status)
	switch {
	case a.status == http.StatusMethodNotAllowed || a.status == http.StatusNotImplemented:
		kind = syncerr.Unsupported
	case a.status == http.StatusInternalServerError: // core 3.11: not to be tried again
		kind = syncerr.Internal
	}
	e := syncerr.New(kind, strings.ToLower(method)+" "+c.base, "it answered %d: %.500s", a.status, text)
	if kind == syncerr.Denied {
		return e.WithHint("Give the credential of that endpoint's operator, or that of a child of it")
	}
	return e
}
