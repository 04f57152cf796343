package clients

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

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
		if now := f.caps.Load(); now != nil {
			caps = now // an answer may have shown that it is not as the server says
		}
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
		c, err := f.readOne(ctx, caps, w)
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

func (f *FHIR) readOne(ctx context.Context, caps *Capabilities, w resourcemanager.Want) (resourcemanager.Copy, error) {
	if !addressable(w.Key.ID) {
		return resourcemanager.Copy{Key: w.Key}, nil
	}
	r, err := f.link.do(ctx, fhirCall{method: http.MethodGet, path: wantPath(caps, w)})
	if err != nil {
		return resourcemanager.Copy{}, named(w.Key, err)
	}
	defer r.close()
	a := answered{status: r.status, etag: r.header.Get("ETag"), modified: r.header.Get("Last-Modified")}
	if a.body, err = f.link.document(ctx, r); err != nil {
		return resourcemanager.Copy{}, named(w.Key, err)
	}
	return f.copyOf(caps, w, a)
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
		caps, never := f.caps.Load(), r.status == http.StatusNotFound || r.status == http.StatusMethodNotAllowed || r.status == http.StatusNotImplemented
		if caps != nil && (never || !caps.batchSaid) {
			f.caps.CompareAndSwap(caps, caps.withoutBatch())
		}
		return fhirPage{}, errNoBatch
	}
	return f.link.bundle(ctx, r, "batch-response", visit)
}
