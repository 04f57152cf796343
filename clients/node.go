// Package clients owns every HTTP client to a peer: limits, credentials, deadlines, and the translation of a status into a
// syncerr.Kind. It decides nothing about what it moves.
package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/zpool"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
)

// Self is what this node tells a peer of itself with each request.
type Self struct {
	Node      string
	Replica   func() string                         // asked at each request, because a restore replaces it
	Head      func(context.Context) (string, error) // its log head, which the peer remembers with what it takes; nil for none
	PublicKey string
	Pool      *zpool.Pool // for bodies; nil for one of its own
	Saw       string      // the peer's log head that this node remembers; "" for none
	Instance  string      // a random id that this process took when it started, by which the peer notices a copy that runs as well; "" says none
	// Heard is told what the peer answered to Hello, before anything else is asked but for contents by their versions; nil for nobody. After its
	// error the peer counts as not asked.
	Heard func(context.Context, feed.Peer) error
	// Mark is up to where the peer told how far this node's changes have come, "" for nobody who wants to know; Told takes what it tells. nil for none.
	Mark func(context.Context) (string, error)
	Told func(context.Context, []byte) error
	// Report returns what the peer is to be told of this node and of those below it, "" for nothing, and what is called when it is known whether
	// it was taken; nil for none.
	Report func(context.Context) (header string, done func(taken bool), err error)
	Clock  func() time.Time // nil where how far the clocks are apart is not wanted
}

// Node talks to a peer that is a Tributary node. It is a feedreader.Source over the peer's compact feed and a
// resourcemanager.Client. Its methods may be called from many goroutines.
type Node struct {
	base   string
	token  func() (string, error)
	self   Self
	http   *http.Client
	idle   time.Duration
	peer   atomic.Pointer[feed.Peer] // as it last said; forgotten when an exchange says that it is another
	in     atomic.Int64
	out    atomic.Int64
	maxRow int
	saw    atomic.Pointer[string] // the peer's log head that it told last
	skew   atomic.Pointer[int64]  // how far this node's clock is ahead of the peer's, in milliseconds
	asked  atomic.Uint64          // requests so far: by it the peer tells one that was under way for long from one of now

	pool *zpool.Pool
}

// NewNode returns a client of the node at base (an absolute URL). token is asked for the credential at each request; rt carries
// the requests.
func NewNode(base string, token func() (string, error), self Self, rt http.RoundTripper) *Node {
	if self.Pool == nil {
		self.Pool = new(zpool.Pool)
	}
	return &Node{
		pool: self.Pool, base: strings.TrimRight(base, "/"), token: token, self: self, idle: 90 * time.Second, maxRow: feed.DefaultMaxLine,
		http: &http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// limited notes the largest resource that the peer takes now: its operator may have changed it.
func (n *Node) limited(bytes int) {
	p := n.peer.Load()
	if p == nil || bytes <= 0 || p.Limit == bytes {
		return
	}
	now := *p
	now.Limit = bytes
	n.peer.CompareAndSwap(p, &now)
}

// Saw returns the peer's log head that it told last, "" where it told none. It is remembered with what was taken of the log (DESIGN.md 4.3,
// restore and clone).
func (n *Node) Saw() string {
	if told := n.saw.Load(); told != nil {
		return *told
	}
	return n.self.Saw
}

func (n *Node) told(head string) {
	if head != "" && len(head) <= feed.MaxHead {
		n.saw.Store(&head)
	}
}

// Forget drops who the peer was: Hello asks it again.
func (n *Node) Forget() { n.peer.Store(nil) }

// Traffic returns the bytes of bodies on the wire so far, received and sent.
func (n *Node) Traffic() (in, out int64) { return n.in.Load(), n.out.Load() }

// Hello returns who the peer is, asking it the first time and again after its epoch changed. It returns an Unsupported error where the URL is not a node, or one that speaks another protocol.
func (n *Node) Hello(ctx context.Context) (feed.Peer, error) {
	if p := n.peer.Load(); p != nil {
		return *p, nil
	}
	p, err := n.Ask(ctx)
	if err == nil && n.self.Heard != nil {
		err = n.self.Heard(ctx, p)
	}
	if err == nil {
		n.peer.Store(&p)
	}
	return p, err
}

// Ask asks the peer who it is, every time. Its errors are those of Hello.
func (n *Node) Ask(ctx context.Context) (feed.Peer, error) {
	ctx, stop := n.deadline(ctx, 0)
	defer stop()
	res, err := n.do(ctx, http.MethodGet, "/sync/node", nil, nil)
	if err != nil {
		return feed.Peer{}, err
	}
	defer drain(res.Body)
	var p feed.Peer
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return p, n.cut("ask the parent who it is", err)
	}
	if json.Unmarshal(body, &p) != nil || p.Epoch == "" || !p.Replica.Valid() {
		return p, n.notNode("it answered something else than a node does")
	}
	n.apart(p.Time)
	if p.Protocol != feed.Protocol {
		side := "the parent"
		if p.Protocol > feed.Protocol {
			side = "this node"
		}
		return p, syncerr.New(syncerr.Unsupported, "ask the parent who it is", "it speaks protocol %d, this node speaks %d", p.Protocol, feed.Protocol).
			WithHint("Upgrade %s", side)
	}
	return p, nil
}

func (n *Node) notNode(what string) error {
	return syncerr.New(syncerr.Unsupported, "talk to "+n.base, "this is not a Tributary node: %s", what).
		WithHint("Check parent.url; it is the address that a browser shows the node's dashboard under")
}

// Read reads one page of the peer's compact feed (feedreader.Source).
func (n *Node) Read(ctx context.Context, req feed.Request, take func(feed.Line) error) (feed.End, error) {
	q := url.Values{"after": {req.After.String()}, "inline": {strconv.Itoa(req.Inline)}}
	if req.Limit > 0 {
		q.Set("limit", strconv.Itoa(req.Limit))
	}
	if req.Wait > 0 {
		q.Set("wait", strconv.Itoa(req.Wait))
	}
	if req.Types != nil {
		q.Set("types", strings.Join(req.Types, ","))
	}
	if len(req.Bare) > 0 {
		q.Set("bare", strings.Join(req.Bare, ","))
	}
	if req.Tell {
		q.Set("known", strconv.FormatUint(req.Known, 10))
	}
	ctx, stop := n.deadline(ctx, time.Duration(req.Wait)*time.Millisecond)
	defer stop()
	return n.lines(ctx, http.MethodGet, "/sync/changes?"+q.Encode(), nil, take)
}

// Fetch asks for contents by key and version (resourcemanager.Client).
func (n *Node) Fetch(ctx context.Context, refs []feed.Ref) ([]feed.Event, error) {
	var body bytes.Buffer
	if err := feed.WriteRefs(&body, refs); err != nil {
		return nil, err
	}
	ctx, stop := n.deadline(ctx, 0)
	defer stop()
	res, err := n.do(ctx, http.MethodPost, "/sync/fetch", body.Bytes(), nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	r, err := n.decoded(res)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	d := feed.NewDecoder(&touching{r: r, touch: touchOf(ctx)}, n.maxRow)
	var out []feed.Event
	for {
		line, err := d.Next()
		switch {
		case err != nil:
			return nil, n.cut("fetch contents from "+n.base, err)
		case line.End != nil:
			return out, nil
		case line.Event != nil:
			out = append(out, *line.Event)
		}
		if len(out) > len(refs) {
			return nil, syncerr.New(syncerr.Invalid, "fetch contents from "+n.base, "it sent more than was asked for")
		}
	}
}

// Send pushes changes and returns the receipts (resourcemanager.Client).
func (n *Node) Send(ctx context.Context, s resourcemanager.Shipment) (resourcemanager.Sent, error) {
	var sent resourcemanager.Sent
	in, out := n.Traffic()
	body, err := n.encode(s)
	if err != nil {
		return sent, err
	}
	ctx, stop := n.deadline(ctx, upload(len(body)))
	defer stop()
	header := http.Header{"Content-Encoding": {"zstd"}}
	if n.self.Head != nil {
		head, err := n.self.Head(ctx)
		if err != nil {
			return sent, err
		}
		header.Set("Tributary-Head", head)
	}
	res, err := n.do(ctx, http.MethodPost, "/sync/changes", body, header)
	if err != nil {
		return sent, err
	}
	defer res.Body.Close()
	n.told(res.Header.Get("Tributary-Head"))
	sent.Status = res.StatusCode
	r, err := n.decoded(res)
	if err != nil {
		return sent, err
	}
	defer r.Close()
	receipts, end, err := feed.ReadReceipts(&touching{r: r, touch: touchOf(ctx)}, n.maxRow, len(s.Events))
	if err != nil {
		return sent, n.cut("read the receipts of "+n.base, err)
	}
	n.limited(end.Limit)
	after, sentOut := n.Traffic()
	sent.Receipts, sent.Bytes = receipts, after-in+sentOut-out
	return sent, nil
}

func (n *Node) encode(s resourcemanager.Shipment) ([]byte, error) {
	var body bytes.Buffer
	z, err := n.pool.Encoder(&body)
	if err != nil {
		return nil, err
	}
	defer n.pool.Put(z)
	e := feed.NewEncoder(z)
	for _, name := range s.Names {
		if err := e.Name(name); err != nil {
			return nil, err
		}
	}
	for _, ev := range s.Events {
		if err := e.Event(ev); err != nil {
			return nil, err
		}
	}
	for _, k := range s.Known {
		if err := e.Known(k); err != nil {
			return nil, err
		}
	}
	if err := e.End(feed.End{}); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, "push", err)
	}
	return body.Bytes(), nil
}

func (n *Node) do(ctx context.Context, method, path string, body []byte, more http.Header) (*http.Response, error) {
	op := "talk to " + n.base
	req, err := http.NewRequestWithContext(ctx, method, n.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, syncerr.Wrap(syncerr.Usage, op, err)
	}
	for k, v := range more {
		req.Header[k] = v
	}
	token, err := n.token()
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Tributary-Protocol", strconv.Itoa(feed.Protocol))
	req.Header.Set("Tributary-Node", url.QueryEscape(n.self.Node))
	req.Header.Set("Tributary-Replica", n.self.Replica())
	req.Header.Set("Tributary-Key", n.self.PublicKey)
	if n.self.Instance != "" {
		req.Header.Set("Tributary-Instance", n.self.Instance+"."+strconv.FormatUint(n.asked.Add(1), 10))
	}
	if saw := n.Saw(); saw != "" {
		req.Header.Set("Tributary-Saw", saw)
	}
	if p := n.peer.Load(); p != nil {
		req.Header.Set("Tributary-Turn", strconv.FormatUint(p.Turn, 10)) // and if another process of this node came since
		req.Header.Set("Tributary-Epoch", p.Epoch)                       // the peer refuses if it has another one by now
	}
	reported, err := n.ask(ctx, path, req.Header)
	if err != nil {
		return nil, err
	}
	var answer http.Header
	defer func() { reported(answer) }()
	req.Header.Set("Accept-Encoding", "zstd")
	if body != nil {
		req.Header.Set("Content-Type", "application/x-ndjson")
	}
	n.out.Add(int64(len(body)))
	res, err := n.http.Do(req)
	if err != nil {
		return nil, n.unreachable(ctx, err)
	}
	answer = res.Header
	res.Body = &counting{ReadCloser: res.Body, n: &n.in}
	if res.StatusCode == http.StatusOK {
		if strings.HasPrefix(path, "/sync/") && res.Header.Get("Tributary-Protocol") == "" {
			drain(res.Body)
			return nil, n.notNode("its answer has no Tributary-Protocol header")
		}
		if err := n.hear(ctx, path, res.Header); err != nil {
			drain(res.Body)
			return nil, err
		}
		return res, nil
	}
	defer drain(res.Body)
	return nil, n.refused(res)
}

func (n *Node) refused(res *http.Response) error {
	text := ""
	if r, err := n.decoded(res); err == nil {
		b, _ := io.ReadAll(io.LimitReader(r, 64<<10))
		text = fhir.OutcomeText(b)
		r.Close()
	}
	kind := syncerr.KindOfStatus(res.StatusCode)
	switch {
	case res.StatusCode == http.StatusConflict:
		kind = syncerr.EpochChanged
		n.peer.Store(nil)
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return n.notNode("it redirects to " + res.Header.Get("Location"))
	case res.StatusCode == http.StatusNotFound && text == "":
		return n.notNode("it answered 404 Not Found")
	}
	if text == "" {
		text = http.StatusText(res.StatusCode)
	}
	e := syncerr.New(kind, "talk to "+n.base, "it answered %d: %s", res.StatusCode, text)
	if kind == syncerr.Denied {
		return e.WithHint("Ask the parent's operator for a credential (`tributary child add`) and put it into parent.credential_file")
	}
	return e
}

func (n *Node) unreachable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errIdle) {
		err = cause
	} else if ctx.Err() != nil {
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return &syncerr.Error{Kind: syncerr.Transient, Op: "reach " + n.base, Err: err, Hint: "Nothing is lost: it is tried again by itself"}
}

// cut classifies an error in the middle of a body: where nobody said better, the link broke.
func (n *Node) cut(op string, err error) error {
	var known *syncerr.Error
	if errors.As(err, &known) {
		return syncerr.Wrap(syncerr.Transient, op, err)
	}
	return &syncerr.Error{Kind: syncerr.Transient, Op: op, Err: err}
}

// upload is how long a body may take on the slowest link that is worth waiting for, a kilobyte a second: the machine takes a body
// from this program at once, and nothing is seen of it until the peer answers.
func upload(bytes int) time.Duration { return time.Duration(bytes) * time.Millisecond }

var errIdle = errors.New("nothing came for too long")

type touchKey struct{}

// deadline cancels an exchange in which nothing moves for the idle time beyond wait. A slow link is not an idle one: each
// piece that arrives gives new time.
func (n *Node) deadline(ctx context.Context, wait time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	t := time.AfterFunc(wait+n.idle, func() { cancel(errIdle) })
	touch := func() { t.Reset(wait + n.idle) }
	return context.WithValue(ctx, touchKey{}, touch), func() {
		t.Stop()
		cancel(nil)
	}
}

func touchOf(ctx context.Context) func() {
	if f, ok := ctx.Value(touchKey{}).(func()); ok {
		return f
	}
	return func() {}
}

type touching struct {
	r     io.Reader
	touch func()
}

func (t *touching) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if n > 0 {
		t.touch()
	}
	return n, err
}

type counting struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func drain(b io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, b, 64<<10)
	_ = b.Close()
}

// decoded returns the body as it was before it was compressed. The memory that a hostile stream may ask for is bounded.
func (n *Node) decoded(res *http.Response) (io.ReadCloser, error) {
	switch enc := res.Header.Get("Content-Encoding"); enc {
	case "":
		return res.Body, nil
	case "zstd":
		return n.pool.Decoder(res.Body)
	default:
		return nil, syncerr.New(syncerr.Invalid, "read body", "its encoding is %.40q", fmt.Sprint(enc))
	}
}
