package clients

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
)

// Write carries out edits (resourcemanager.Remote): through batches of at most 4 MiB and 100 entries where the server has them, else one by
// one. A document that the server never had is put under its id, which the server has to offer (updateCreate); otherwise it is Refused.
func (f *FHIR) Write(ctx context.Context, edits []resourcemanager.Edit) ([]resourcemanager.Answer, error) {
	if len(edits) == 0 {
		return nil, nil
	}
	caps, err := f.Capabilities(ctx)
	if err != nil {
		return nil, err
	}
	var out []resourcemanager.Answer
	for len(out) < len(edits) {
		rest := edits[len(out):]
		if now := f.caps.Load(); now != nil {
			caps = now // an answer may have shown that it is not as the server says
		}
		if a, refused := f.impossible(caps, rest[0]); refused {
			out = append(out, a)
			continue
		}
		n := 1
		if caps.Batch {
			n = f.together(caps, rest)
		}
		got, err := f.writeChunk(ctx, caps, rest[:n])
		out = append(out, got...)
		if err != nil {
			f.doubt(err)
			return out, err
		}
	}
	return out, nil
}

// impossible answers edits that the server says it does not take.
func (f *FHIR) impossible(caps *Capabilities, e resourcemanager.Edit) (resourcemanager.Answer, bool) {
	t, listed := caps.Types[e.Key.Type]
	reason := ""
	switch {
	case !addressable(e.Key.ID):
		reason = fmt.Sprintf("the id %s cannot stand in an address", e.Key.ID)
	case !listed:
		reason = fmt.Sprintf("the server does not take %s: its /metadata does not list this type; leave the type out of what is pushed to it", e.Key.Type)
	case e.Create && !t.UpdateCreate:
		reason = fmt.Sprintf("the server gives its own ids to new %s resources (its /metadata does not offer updateCreate), so that one from elsewhere would stand "+
			"there under another name: allow ids that clients give on that server, or have new ones made there and only pull this type", e.Key.Type)
	}
	return resourcemanager.Answer{Fate: resourcemanager.Refused, Reason: reason, Copy: resourcemanager.Copy{Key: e.Key}}, reason != ""
}

// together returns how many of the edits go in one batch. An order within a batch is not promised (FHIR R4 http.html#brules), so that no
// document stands in it twice.
func (f *FHIR) together(caps *Capabilities, edits []resourcemanager.Edit) int {
	seen := map[fhir.Key]bool{}
	bytes := 0
	for i, e := range edits {
		bytes += len(e.Content) + len(f.link.base) + 512
		_, impossible := f.impossible(caps, e)
		if i > 0 && (i == maxEntries || bytes > maxBatch || seen[e.Key] || impossible) {
			return i
		}
		seen[e.Key] = true
	}
	return len(edits)
}

func (f *FHIR) writeChunk(ctx context.Context, caps *Capabilities, edits []resourcemanager.Edit) ([]resourcemanager.Answer, error) {
	if len(edits) > 1 {
		out, err := f.writeBatch(ctx, caps, edits)
		if !errors.Is(err, errNoBatch) {
			return out, err
		}
	}
	var out []resourcemanager.Answer
	for _, e := range edits {
		a, err := f.writeOne(ctx, caps, e)
		if err != nil {
			return out, err
		}
		out = append(out, a)
	}
	return out, nil
}

// request returns the interaction that an edit is, with the condition that keeps what this side has not seen.
func (f *FHIR) request(caps *Capabilities, e resourcemanager.Edit) entryRequest {
	req := entryRequest{Method: http.MethodPut, URL: e.Key.String()}
	if e.Content == nil {
		req.Method = http.MethodDelete
	}
	tag := e.Base
	if caps.Types[e.Key.Type].Unversioned {
		tag = ""
	}
	switch {
	case e.Revive && caps.node() && tag != "":
		req.IfMatch = ifMatch(tag) // a node's deletion is a version like any other
	case e.Create || e.Revive: // to HTTP a deleted document is none (RFC 9110 section 13.1.1), whatever its last version was
		if !f.unconditional.Load() && e.Content != nil {
			req.IfNoneMatch = "*"
		}
	case tag != "":
		req.IfMatch = ifMatch(tag)
	}
	return req
}

func (f *FHIR) writeOne(ctx context.Context, caps *Capabilities, e resourcemanager.Edit) (resourcemanager.Answer, error) {
	req := f.request(caps, e)
	a, err := f.put(ctx, e, req)
	if err != nil {
		return resourcemanager.Answer{}, err
	}
	if req.IfNoneMatch != "" && !f.conditional.Load() {
		switch a.status {
		case http.StatusBadRequest, http.StatusNotImplemented, http.StatusInternalServerError:
			req.IfNoneMatch = "" // R4 knows it for reads only: perhaps this is what it stumbles over
			b, err := f.put(ctx, e, req)
			if err != nil {
				return resourcemanager.Answer{}, err
			}
			if b.status < 300 {
				f.unconditional.Store(true)
			}
			a = b
		}
	}
	return f.answerOf(ctx, caps, e, req, a)
}

func (f *FHIR) put(ctx context.Context, e resourcemanager.Edit, req entryRequest) (answered, error) {
	c := fhirCall{method: req.Method, path: req.URL, body: e.Content, header: http.Header{"Prefer": {"return=representation"}}}
	if req.IfMatch != "" {
		c.header.Set("If-Match", req.IfMatch)
	}
	if req.IfNoneMatch != "" {
		c.header.Set("If-None-Match", req.IfNoneMatch)
	}
	r, err := f.link.do(ctx, c)
	if err != nil {
		return answered{}, named(e.Key, err)
	}
	defer r.close()
	a := answered{status: r.status, etag: r.header.Get("ETag"), modified: r.header.Get("Last-Modified"), location: r.header.Get("Location")}
	a.body, err = f.link.document(ctx, r)
	if r.status < 300 && err != nil && syncerr.KindOf(err) == syncerr.Invalid && r.header.Get("ETag") != "" {
		a.body, err = nil, nil // it is written, and what the answer shows is not needed
	}
	if err != nil {
		err = named(e.Key, err)
	}
	return a, err
}

// writeBatch writes through one Bundle. With an error it returns the answers that came whole before it.
func (f *FHIR) writeBatch(ctx context.Context, caps *Capabilities, edits []resourcemanager.Edit) ([]resourcemanager.Answer, error) {
	body := []byte(bundlePrefix)
	reqs := make([]entryRequest, len(edits))
	for i, e := range edits {
		reqs[i] = f.request(caps, e)
		body = appendEntry(body, f.link.base+"/"+e.Key.String(), e.Content, reqs[i])
	}
	var got []answered
	page, err := f.batch(ctx, append(body, "]}"...), func(i int, e fhirEntry) error {
		if i >= len(edits) {
			return syncerr.New(syncerr.Invalid, f.link.op(), "it answered more than it was asked")
		}
		got = append(got, answeredBy(e))
		return nil
	})
	if err == nil && page.entries < len(edits) {
		err = syncerr.New(syncerr.Invalid, f.link.op(), "it answered %d of the %d entries of a batch", page.entries, len(edits))
	}
	var out []resourcemanager.Answer
	for i, a := range got { // after the answer was read: some of them ask again
		if reqs[i].IfNoneMatch != "" && a.status == http.StatusBadRequest && !f.conditional.Load() {
			a, aerr := f.writeOne(ctx, caps, edits[i])
			if aerr != nil {
				return out, aerr
			}
			out = append(out, a)
			continue
		}
		answer, aerr := f.answerOf(ctx, caps, edits[i], reqs[i], a)
		if aerr != nil {
			return out, aerr
		}
		out = append(out, answer)
	}
	return out, err
}
