package clients

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
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
	if c.header["Accept"] == nil {
		req.Header.Set("Accept", fhirMedia+", application/json;q=0.9")
	}
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("Cache-Control", "no-cache") // HAPI answers searches out of a cache
	if c.body != nil {
		req.Header.Set("Content-Type", fhirMedia+"; charset=utf-8")
	}
	return req, nil
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
