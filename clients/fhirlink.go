package clients

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tributary-sync/tributary/syncerr"
)

const (
	fhirMedia = "application/fhir+json"
	// packFrom is the size in bytes from which a body is compressed.
	packFrom = 1 << 10
	// longestRest bounds how long a server may ask to be left alone.
	longestRest = time.Hour
)

// Whether a server unpacks what it is sent; nothing in /metadata says it.
const (
	packUntried int32 = iota
	packTaken
	packRefused
)

// fhirLink carries requests to a FHIR server: credential, compression, deadlines, the pauses that it asks for, and the translation of what
// an answer says about the exchange as a whole.
type fhirLink struct {
	base       string
	credential func() (string, error)
	http       *http.Client
	now        func() time.Time
	idle       time.Duration
	in, out    atomic.Int64
	busy       atomic.Int64 // until when the server asked to be left alone, milliseconds by now
	pack       atomic.Int32
}

// fhirCall is one request. path is below the base, or an absolute URL of the same server.
type fhirCall struct {
	method, path string
	header       http.Header
	body         []byte
}

// fhirReply is an answer that speaks of what was asked for. It must be closed.
type fhirReply struct {
	status int
	header http.Header
	body   io.Reader // unpacked
	close  func()
}

func (l *fhirLink) op() string { return "talk to " + l.base }

// do sends a request. Its errors are Transient, Denied, and Invalid for a redirect; every other status comes back as an answer.
func (l *fhirLink) do(ctx context.Context, c fhirCall) (*fhirReply, error) {
	if wait := time.UnixMilli(l.busy.Load()).Sub(l.now()); wait > 0 {
		return nil, syncerr.New(syncerr.Transient, l.op(), "it asked to be left alone for another %s", wait.Round(time.Second)).
			WithHint("Nothing is lost: it is tried again by itself")
	}
	pack := len(c.body) >= packFrom && l.pack.Load() != packRefused
	res, err := l.send(ctx, c, pack)
	if err != nil || !pack {
		return res, err
	}
	if res.status < 400 {
		l.pack.Store(packTaken)
	}
	switch res.status {
	case http.StatusBadRequest, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusInternalServerError:
	default:
		return res, nil
	}
	if l.pack.Load() == packTaken {
		return res, nil
	}
	refused := res.status
	res.close()
	if res, err = l.send(ctx, c, false); err == nil && res.status != refused {
		l.pack.Store(packRefused)
	}
	return res, err
}

func (l *fhirLink) send(ctx context.Context, c fhirCall, pack bool) (*fhirReply, error) {
	body := c.body
	if pack {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(body) // a Buffer takes everything
		_ = z.Close()
		body = b.Bytes()
	}
	ctx, stop := idling(ctx, l.idle+upload(len(body)))
	req, err := l.request(ctx, c, body)
	if err != nil {
		stop()
		return nil, err
	}
	if pack {
		req.Header.Set("Content-Encoding", "gzip")
	}
	l.out.Add(int64(len(body)))
	res, err := l.http.Do(req)
	if err != nil {
		stop()
		return nil, broken(ctx, "reach "+l.base, err)
	}
	wire := &counting{ReadCloser: res.Body, n: &l.in}
	out := &fhirReply{status: res.StatusCode, header: res.Header, close: func() {
		drain(wire)
		stop()
	}}
	out.body = &touching{r: wire, touch: touchOf(ctx)}
	if enc := res.Header.Get("Content-Encoding"); enc == "gzip" {
		out.body = &unpacking{r: out.body}
	} else if enc != "" && enc != "identity" {
		out.close()
		return nil, syncerr.New(syncerr.Invalid, l.op(), "the encoding of its answer is %.40q, which was not asked for", enc)
	}
	if err := l.whole(out); err != nil {
		out.close()
		return nil, err
	}
	return out, nil
}

func (l *fhirLink) request(ctx context.Context, c fhirCall, body []byte) (*http.Request, error) {
	to := c.path
	if !strings.HasPrefix(to, "http://") && !strings.HasPrefix(to, "https://") {
		to = strings.TrimRight(l.base+"/"+strings.TrimLeft(c.path, "/"), "/")
	}
	req, err := http.NewRequestWithContext(ctx, c.method, to, bytes.NewReader(body))
	if err != nil {
		return nil, syncerr.Wrap(syncerr.Usage, l.op(), err)
	}
	for k, v := range c.header {
		req.Header[k] = v
	}
	secret, err := l.credential()
	if err != nil {
		return nil, err
	}
	switch {
	case secret == "":
	case strings.Contains(secret, ":"): // no bearer token has a colon (RFC 6750 section 2.1)
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(secret)))
	default:
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	req.Header.Set("Accept", fhirMedia+", application/json;q=0.9")
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("Cache-Control", "no-cache") // HAPI answers searches out of a cache
	if c.body != nil {
		req.Header.Set("Content-Type", fhirMedia+"; charset=utf-8")
	}
	return req, nil
}

// whole returns an error where the answer is about the exchange and not about what was asked for.
func (l *fhirLink) whole(r *fhirReply) error {
	switch s := r.status; {
	case s >= 300 && s < 400 && s != http.StatusNotModified:
		return syncerr.New(syncerr.Invalid, l.op(), "it redirects to %.200s", placeOf(r.header.Get("Location"))).
			WithHint("Redirects are not followed, so that credentials and records go nowhere else: set the address that answers itself")
	case s == http.StatusUnauthorized || s == http.StatusForbidden || s == http.StatusProxyAuthRequired:
		return syncerr.New(syncerr.Denied, l.op(), "it answered %d: %s", s, wordsOf(r)).
			WithHint("Check the credential, and what its operator lets it read and write")
	case isBusy(s):
		l.pause(r.header)
		return syncerr.New(syncerr.Transient, l.op(), "it answered %d: %s", s, wordsOf(r)).WithHint("Nothing is lost: it is tried again by itself")
	}
	return nil
}

// isBusy reports whether a status means that the same request may work later.
func isBusy(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout, http.StatusInsufficientStorage:
		return true
	}
	return false
}

// pause notes how long the server wants to be left alone (RFC 9110 section 10.2.3): seconds, or a time by its own clock.
func (l *fhirLink) pause(h http.Header) {
	text := h.Get("Retry-After")
	wait := time.Duration(0)
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		wait = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		from := l.now()
		if date, err := http.ParseTime(h.Get("Date")); err == nil {
			from = date
		}
		wait = at.Sub(from)
	}
	if wait > 0 {
		l.busy.Store(l.now().Add(min(wait, longestRest)).UnixMilli())
	}
}

// same returns a link of the server as a path that do takes: relative links are resolved, those to other servers are an Invalid error.
func (l *fhirLink) same(link string) (string, error) {
	base, err := url.Parse(l.base + "/")
	if err != nil {
		return "", syncerr.Wrap(syncerr.Usage, l.op(), err)
	}
	to, err := base.Parse(link)
	if err != nil {
		return "", syncerr.New(syncerr.Invalid, l.op(), "a link of its answer cannot be read")
	}
	if !strings.EqualFold(to.Host, base.Host) || to.User != nil {
		return "", syncerr.New(syncerr.Invalid, l.op(), "its next page is at another server, %.100s", to.Host).
			WithHint("Set that server's own base address to %s", base.Host)
	}
	to.Scheme = base.Scheme // behind a proxy that does TLS a server often takes itself for plain HTTP
	return to.String(), nil
}

// placeOf is a URL without query, for people.
func placeOf(link string) string {
	place, _, _ := strings.Cut(link, "?")
	return place
}

// unpacking reads a gzip stream; it is opened by the first Read, so that an empty body has no error of its own.
type unpacking struct {
	r io.Reader
	z *gzip.Reader
}

func (u *unpacking) Read(p []byte) (int, error) {
	if u.z == nil {
		z, err := gzip.NewReader(u.r)
		if err != nil {
			return 0, err
		}
		u.z = z
	}
	return u.z.Read(p)
}

// json returns the body of an answer that has to be a JSON object. HTML and XML are Invalid errors that say so.
func (l *fhirLink) json(ctx context.Context, r *fhirReply) (*bufio.Reader, error) {
	in := bufio.NewReader(r.body)
	media := strings.ToLower(r.header.Get("Content-Type"))
	first := byte(0)
	for n := 1; n <= 64; n++ {
		head, err := in.Peek(n)
		if err != nil {
			if errors.Is(err, io.EOF) && n == 1 {
				return nil, syncerr.New(syncerr.Invalid, l.op(), "it answered %d with nothing in it", r.status)
			}
			return nil, l.cut(ctx, err)
		}
		first = head[n-1]
		if !strings.ContainsRune(" \t\r\n", rune(first)) {
			break
		}
	}
	switch {
	case first == '{' && !strings.Contains(media, "html"):
		return in, nil
	case strings.Contains(media, "html") || first == '<' && !strings.Contains(media, "xml"):
		return nil, syncerr.New(syncerr.Invalid, l.op(), "it answered %d with a web page", r.status).
			WithHint("The address may be that of a login page, of a proxy or of the server's own pages: set the FHIR base, under which metadata is")
	case first == '<':
		return nil, syncerr.New(syncerr.Invalid, l.op(), "it answered in XML although JSON was asked for")
	}
	return nil, syncerr.New(syncerr.Invalid, l.op(), "it answered %d with something else than JSON (%.60q)", r.status, media)
}

// cut classifies an error in the middle of a body.
func (l *fhirLink) cut(ctx context.Context, err error) error {
	var known *syncerr.Error
	switch {
	case errors.As(err, &known):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &syncerr.Error{Kind: syncerr.Transient, Op: l.op(), Err: fmt.Errorf("its answer broke off: %w", err), Hint: "Nothing is lost: it is tried again by itself"}
}
