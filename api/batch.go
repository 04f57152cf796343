package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// fhirBundle executes a batch or transaction (FHIR R4 http.html#transaction).
func (s *Server) fhirBundle(w http.ResponseWriter, r *http.Request) error {
	if err := acceptsJSON(r); err != nil {
		return err
	}
	body, err := readBody(w, r, "Bundle", s.bundleLimit())
	if err != nil {
		return err
	}
	kind, entries, err := readBundle(body)
	if err != nil {
		return err
	}
	x := exchange{s: s, base: s.baseOf(r), prefer: preference(r.Header, "return"), strict: preference(r.Header, "handling") == "strict"}
	out := bundle{Type: kind + "-response"}
	if kind == "batch" {
		out.Entry, err = x.batch(r.Context(), entries)
	} else {
		out.Entry, err = x.transaction(r.Context(), entries)
	}
	if err != nil {
		return err
	}
	if body, err = out.bytes(); err != nil {
		return err
	}
	reply{status: http.StatusOK, body: body}.write(w, r, x.base)
	return nil
}

// exchange is one Bundle at work.
type exchange struct {
	s      *Server
	base   string
	prefer string // Prefer: return
	strict bool   // Prefer: handling=strict
}

// batch gives each entry its own fate; what goes wrong with one is told in its place. Writes that stand together and name
// different resources share a transaction, because a bulk load would otherwise wait for the disk at every entry.
func (x exchange) batch(ctx context.Context, entries []bundleEntry) ([]bundleEntry, error) {
	out := make([]bundleEntry, len(entries))
	together := writes{exchange: x, out: out}
	for i, b := range entries {
		e, err := readEntry(i, b, x.s.resourceLimit())
		if err != nil {
			out[i] = x.failed(err)
			continue
		}
		wr, ok, err := x.plain(e)
		switch {
		case err != nil:
			out[i] = x.entryOf(e, reply{}, err)
			continue
		case ok:
			if err := together.add(ctx, e, i, wr); err != nil {
				return nil, err
			}
			continue
		}
		if err := together.flush(ctx); err != nil {
			return nil, err
		}
		p, err := x.one(ctx, e)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		out[i] = x.entryOf(e, p, err)
	}
	return out, together.flush(ctx)
}

func (x exchange) entryOf(e entry, p reply, err error) bundleEntry {
	if err != nil {
		out := x.failed(e.at(err))
		if !p.version.IsZero() { // of the deletion, as where it is read alone
			out.Response.ETag, out.Response.LastModified = etag(p.version.String()), instant(p.modified)
		}
		return out
	}
	return x.answered(p)
}

// plain returns the write that an entry asks for; false where it asks for something else, or for a look-up before it.
func (x exchange) plain(e entry) (engine.Write, bool, error) {
	switch {
	case e.criteria != "":
	case e.method == http.MethodPut:
		wr, err := updateOf(e.key, e.resource, e.request.IfMatch, e.request.IfNoneMatch)
		return wr, true, err
	case e.method == http.MethodDelete:
		wr, err := deleteOf(e.key, e.request.IfMatch)
		return wr, true, err
	case e.method == http.MethodPost && e.request.IfNoneExist == "":
		return engine.Write{Op: engine.Create, Body: e.resource}, true, sameType(e.key.Type, e.resource)
	}
	return engine.Write{}, false, nil
}

// writes collects writes of different resources until they are carried out.
type writes struct {
	exchange
	out     []bundleEntry
	pending []engine.Write
	entries []entry
	at      []int
}

// maxTogether bounds a transaction of writes that do not belong together, so that other writers wait for a moment only.
const maxTogether = 100

func (w *writes) add(ctx context.Context, e entry, i int, wr engine.Write) error {
	same := func(o engine.Write) bool { return wr.Key.ID != "" && o.Key == wr.Key }
	if len(w.pending) == maxTogether || slices.ContainsFunc(w.pending, same) {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	w.pending, w.entries, w.at = append(w.pending, wr), append(w.entries, e), append(w.at, i)
	return nil
}

func (w *writes) flush(ctx context.Context) error {
	if len(w.pending) == 0 {
		return nil
	}
	out, errs, err := w.s.engine.AuthorEach(ctx, callerOf(ctx).Name, w.pending)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i, at := range w.at {
		var p reply
		one := err // the transaction failed: so did each of them
		if one == nil {
			one = errs[i]
		}
		if one == nil {
			p, one = w.s.written(ctx, w.pending[i].Op, out[i])
		}
		w.out[at] = w.entryOf(w.entries[i], p, one)
	}
	w.pending, w.entries, w.at = w.pending[:0], w.entries[:0], w.at[:0]
	return nil
}

// one executes an entry on its own.
func (x exchange) one(ctx context.Context, e entry) (reply, error) {
	t, ifMatch := e.key.Type, e.request.IfMatch
	switch {
	case e.method == http.MethodPost:
		return x.s.create(ctx, t, e.resource, e.request.IfNoneExist)
	case e.method == http.MethodPut && e.criteria != "":
		return x.s.where(ctx, t, e.criteria, func(k fhir.Key, found bool) (engine.Write, error) {
			return updateWhere(t, k, found, e.resource, ifMatch, e.request.IfNoneMatch)
		})
	case e.method == http.MethodPut:
		return x.s.update(ctx, e.key, e.resource, ifMatch, e.request.IfNoneMatch)
	case e.method == http.MethodPatch && e.criteria != "":
		return x.s.patchWhere(ctx, t, e.criteria, e.patch, ifMatch)
	case e.method == http.MethodPatch:
		return x.s.patch(ctx, e.key, e.patch, ifMatch)
	case e.method == http.MethodDelete && e.criteria != "":
		return x.s.where(ctx, t, e.criteria, func(k fhir.Key, found bool) (engine.Write, error) { return deleteWhere(k, found, ifMatch) })
	case e.method == http.MethodDelete:
		return x.s.delete(ctx, e.key, ifMatch)
	default:
		return x.get(ctx, e)
	}
}

func (x exchange) get(ctx context.Context, e entry) (reply, error) {
	var p reply
	var err error
	switch {
	case e.history:
		p, err = x.s.history(ctx, x.base, e.key, e.query)
	case e.key.ID == "":
		p, err = x.s.search(ctx, x.base, e.key.Type, e.query, x.strict)
	case e.version != "":
		p, err = x.s.readVersion(ctx, e.key, e.version)
	default:
		p, err = x.s.read(ctx, e.key)
	}
	switch {
	case err != nil:
	case !p.version.IsZero() && notModified(e.request.IfNoneMatch, e.request.IfModifiedSince, p):
		p.status, p.body = http.StatusNotModified, nil
	case e.method == http.MethodHead:
		p.body = nil
	}
	return p, err
}

// answered is the entry of a response: a GET shows its resource, a write only where Prefer asks for it.
func (x exchange) answered(p reply) bundleEntry {
	e := bundleEntry{Response: &bundleResponse{Status: statusText(p.status)}}
	if !p.version.IsZero() {
		e.Response.ETag, e.Response.LastModified = etag(p.version.String()), instant(p.modified)
	}
	if p.located {
		e.Response.Location = p.path()
	}
	switch {
	case p.note == "" || x.prefer == "representation":
		e.Resource = p.body
		if p.body != nil && !p.version.IsZero() {
			e.FullURL = x.base + "/" + p.key.String()
		}
	case x.prefer == "OperationOutcome":
		e.Response.Outcome = fhir.OutcomeInfo(p.note)
	}
	return e
}

// failed is the entry of a response to what could not be done.
func (x exchange) failed(err error) bundleEntry {
	status := statusOf(err, Caller{})
	if syncerr.KindOf(err) == syncerr.Internal {
		x.s.log.Error("entry of a batch", "error", err)
	}
	return bundleEntry{Response: &bundleResponse{Status: statusText(status), Outcome: fhir.Outcome(err)}}
}
