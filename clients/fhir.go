package clients

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
)

// FHIR talks to a FHIR R4 server of anybody's make. It is a resourcemanager.Remote: it compares nothing and decides nothing. It offers
// what the server says that it has (/metadata): one batch for many documents, conditions on writes, versions; and does without where
// it has not. Documents go and come as bytes. Its methods may be called from many goroutines.
type FHIR struct {
	link    *fhirLink
	asking  chan struct{} // one asks for the capabilities at a time
	caps    atomic.Pointer[Capabilities]
	askedAt time.Time
	// unconditional is set when the server stumbled over If-None-Match and took the same document without.
	unconditional atomic.Bool
	conditional   atomic.Bool // it is known to take If-None-Match
}

// NewFHIR returns a client of the FHIR server whose base address (that of metadata) is base. credential is asked at each request: a
// bearer token, or user:password for HTTP Basic, or "" for none. rt carries the requests; now is the clock by which pauses are kept.
func NewFHIR(base string, credential func() (string, error), rt http.RoundTripper, now func() time.Time) *FHIR {
	return &FHIR{
		asking: make(chan struct{}, 1),
		link: &fhirLink{
			base: strings.TrimRight(base, "/"), credential: credential, now: now, idle: 90 * time.Second,
			http: &http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		},
	}
}

// Traffic returns the bytes of bodies on the wire so far, received and sent.
func (f *FHIR) Traffic() (in, out int64) { return f.link.in.Load(), f.link.out.Load() }

// errNoBatch says that the server did not take a batch, so that its entries are asked for one by one.
var errNoBatch = errors.New("the batch as a whole was not taken")

// Read returns the documents (resourcemanager.Remote). A version where the server keeps none, or shows none, is there only as the current copy.
// A document over 16 MiB is a TooLarge error.
func (f *FHIR) Read(ctx context.Context, wants []resourcemanager.Want) ([]resourcemanager.Copy, error) {
	if len(wants) == 0 {
		return nil, nil
	}
	caps, err := f.Capabilities(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]resourcemanager.Copy, 0, len(wants))
	size := maxEntries
	for len(out) < len(wants) {
		if !addressable(wants[len(out)].Key.ID) {
			out = append(out, resourcemanager.Copy{Key: wants[len(out)].Key})
			continue
		}
		chunk := wants[len(out):min(len(out)+size, len(wants))]
		if i := slices.IndexFunc(chunk, func(w resourcemanager.Want) bool { return !addressable(w.Key.ID) }); i > 0 {
			chunk = chunk[:i]
		}
		got, err := f.readChunk(ctx, caps, chunk)
		if err != nil {
			f.doubt(err)
			return nil, err
		}
		if len(got) < len(chunk) { // large ones: fewer at a time
			size = max(1, size/2)
		}
		out = append(out, got...)
	}
	return out, nil
}

// readChunk returns the copies of at least one of the wants, in their order.
func (f *FHIR) readChunk(ctx context.Context, caps *Capabilities, wants []resourcemanager.Want) ([]resourcemanager.Copy, error) {
	if caps.Batch && len(wants) > 1 {
		got, err := f.readBatch(ctx, caps, wants)
		if !errors.Is(err, errNoBatch) {
			return got, err
		}
	}
	var out []resourcemanager.Copy
	for _, w := range wants {
		c, err := f.readOne(ctx, caps, w, http.MethodGet)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// wantPath is where a want is read: a version only where the server shows versions.
func wantPath(caps *Capabilities, w resourcemanager.Want) string {
	if caps.Types[w.Key.Type].VRead {
		return pathOf(w.Key, w.Tag)
	}
	return pathOf(w.Key, "")
}

func (f *FHIR) readOne(ctx context.Context, caps *Capabilities, w resourcemanager.Want, method string) (resourcemanager.Copy, error) {
	if !addressable(w.Key.ID) {
		return resourcemanager.Copy{Key: w.Key}, nil
	}
	r, err := f.link.do(ctx, fhirCall{method: method, path: wantPath(caps, w)})
	if err != nil {
		return resourcemanager.Copy{}, named(w.Key, err)
	}
	defer r.close()
	if method == http.MethodHead {
		if r.status == http.StatusMethodNotAllowed || r.status == http.StatusNotImplemented {
			return f.readOne(ctx, caps, w, http.MethodGet)
		}
		return f.copyOf(caps, w, answered{status: r.status, etag: r.header.Get("ETag"), modified: r.header.Get("Last-Modified"), head: true})
	}
	a := answered{status: r.status, etag: r.header.Get("ETag"), modified: r.header.Get("Last-Modified")}
	if a.body, err = f.link.document(ctx, r); err != nil {
		return resourcemanager.Copy{}, named(w.Key, err)
	}
	return f.copyOf(caps, w, a)
}

// document reads the body of an answer about one document; it may be empty where the answer is an error, or says that there is no content.
func (l *fhirLink) document(ctx context.Context, r *fhirReply) ([]byte, error) {
	if r.status == http.StatusNoContent || r.header.Get("Content-Length") == "0" {
		return nil, nil
	}
	if r.status >= 400 && !strings.Contains(strings.ToLower(r.header.Get("Content-Type")), "html") {
		body, err := io.ReadAll(io.LimitReader(r.body, maxOutcome))
		if err != nil {
			return nil, l.cut(ctx, err)
		}
		return body, nil
	}
	in, err := l.json(ctx, r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(in, maxEntry+1))
	switch {
	case err != nil:
		return nil, l.cut(ctx, err)
	case len(body) > maxEntry:
		return nil, tooLarge(len(body))
	}
	return body, nil
}

func tooLarge(bytes int) error {
	return syncerr.New(syncerr.TooLarge, "read the answer", "it has %d bytes or more, the limit is %d", bytes, maxDocument)
}

// named says which document an error is about.
func named(k fhir.Key, err error) error { return fmt.Errorf("%s: %w", k, err) }

// answered is what a server said about one document, as a response or as an entry of a Bundle.
type answered struct {
	status         int
	etag, modified string
	location       string
	body           []byte // the document, or an OperationOutcome
	head           bool   // the answer has no body because none was asked for
}

func answeredBy(e fhirEntry) answered {
	a := answered{status: e.status(), etag: e.Response.ETag, modified: e.Response.LastModified, location: e.Response.Location, body: e.Resource}
	if a.body == nil {
		a.body = e.Response.Outcome
	}
	return a
}

// copyOf translates the answer to a read. Its errors name the key.
func (f *FHIR) copyOf(caps *Capabilities, w resourcemanager.Want, a answered) (resourcemanager.Copy, error) {
	c := resourcemanager.Copy{Key: w.Key}
	l := f.link
	switch s := a.status; {
	case s == http.StatusOK:
		if err := l.fill(caps, &c, a); err != nil {
			return c, named(w.Key, err)
		}
		if w.Tag != "" && c.Tag != w.Tag && !caps.Types[w.Key.Type].VRead {
			return resourcemanager.Copy{Key: w.Key}, nil // it has another version by now, and shows no older ones
		}
		return c, nil
	case s == http.StatusNotFound:
		return c, nil
	case s == http.StatusGone:
		c.State, c.Tag, c.Modified = resourcemanager.Gone, tagOf(a.etag, ""), timeOf(a.modified)
		return c, nil
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return c, syncerr.New(syncerr.Denied, l.op(), "it answered %d to the read of %s: %s", s, w.Key, reasonOf(s, a.body)).
			WithHint("Check what its operator lets this node's credential read")
	case isBusy(s) || s >= 500:
		return c, syncerr.New(syncerr.Transient, l.op(), "it answered %d to the read of %s: %s", s, w.Key, reasonOf(s, a.body))
	case s == 0:
		return c, syncerr.New(syncerr.Invalid, l.op(), "its answer has no status for %s", w.Key)
	default:
		return c, syncerr.New(syncerr.Invalid, l.op(), "it answered %d to the read of %s: %s", s, w.Key, reasonOf(s, a.body))
	}
}

// fill takes over what the answer says of a document that is there. It returns an Invalid error where it is another document.
func (l *fhirLink) fill(caps *Capabilities, c *resourcemanager.Copy, a answered) error {
	c.State = resourcemanager.Present
	if a.head {
		c.Tag, c.Modified = tagOf(a.etag, ""), timeOf(a.modified)
	} else {
		if len(a.body) > maxDocument {
			return tooLarge(len(a.body))
		}
		m := gjson.GetManyBytes(a.body, "resourceType", "id", "meta.versionId", "meta.lastUpdated")
		if m[0].String() != c.Key.Type || m[1].String() != c.Key.ID {
			return syncerr.New(syncerr.Invalid, l.op(), "it answered with %.64s/%.64s instead", m[0].String(), m[1].String())
		}
		c.Content, c.Tag, c.Modified = a.body, tagOf(a.etag, m[2].String()), timeOf(m[3].String())
		if c.Modified.IsZero() {
			c.Modified = timeOf(a.modified)
		}
	}
	if caps.Types[c.Key.Type].Unversioned {
		c.Tag = "" // what it sends all the same does not change with the content
	}
	return nil
}

// timeOf reads a FHIR instant or an HTTP date; zero for neither.
func timeOf(text string) time.Time {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t.UTC()
	}
	if t, err := http.ParseTime(text); err == nil {
		return t.UTC()
	}
	return time.Time{}
}

// readBatch reads through one Bundle. It returns fewer copies than wants where the answer became too large for memory.
func (f *FHIR) readBatch(ctx context.Context, caps *Capabilities, wants []resourcemanager.Want) ([]resourcemanager.Copy, error) {
	body := []byte(bundlePrefix)
	for _, w := range wants {
		body = appendEntry(body, "", nil, entryRequest{Method: http.MethodGet, URL: wantPath(caps, w)})
	}
	var out []resourcemanager.Copy
	bytes := 0
	page, err := f.batch(ctx, append(body, "]}"...), func(i int, e fhirEntry) error {
		if i >= len(wants) {
			return syncerr.New(syncerr.Invalid, f.link.op(), "it answered more than it was asked")
		}
		c, err := f.copyOf(caps, wants[i], answeredBy(e))
		if err != nil {
			return err
		}
		out = append(out, c)
		if bytes += len(e.Resource); bytes > maxAnswer {
			return errEnough
		}
		return nil
	})
	switch {
	case syncerr.KindOf(err) == syncerr.TooLarge && len(out) < len(wants):
		return nil, named(wants[len(out)].Key, err)
	case err != nil:
		return nil, err
	case page.entries < len(wants) && bytes <= maxAnswer:
		return nil, syncerr.New(syncerr.Invalid, f.link.op(), "it answered %d of the %d entries of a batch", page.entries, len(wants))
	}
	return out, nil
}

// batch sends a Bundle and reads the answers. errNoBatch says that nothing of it was carried out.
func (f *FHIR) batch(ctx context.Context, body []byte, visit func(int, fhirEntry) error) (fhirPage, error) {
	r, err := f.link.do(ctx, fhirCall{method: http.MethodPost, body: body, header: http.Header{"Prefer": {"return=representation"}}})
	if err != nil {
		return fhirPage{}, err
	}
	defer r.close()
	if r.status >= 400 {
		if r.status == http.StatusNotFound || r.status == http.StatusMethodNotAllowed || r.status == http.StatusNotImplemented {
			f.caps.CompareAndSwap(f.caps.Load(), f.caps.Load().withoutBatch())
		}
		return fhirPage{}, errNoBatch
	}
	return f.link.bundle(ctx, r, "batch-response", visit)
}
