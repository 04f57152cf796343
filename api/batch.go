package api

import (
	"context"
	"net/http"

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

// batch executes each entry alone; what goes wrong with one is told in its place.
func (x exchange) batch(ctx context.Context, entries []bundleEntry) ([]bundleEntry, error) {
	out := make([]bundleEntry, len(entries))
	for i, b := range entries {
		e, err := readEntry(i, b, x.s.resourceLimit())
		var p reply
		if err == nil {
			p, err = x.one(ctx, e)
			err = e.at(err)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			out[i] = x.failed(err)
			continue
		}
		out[i] = x.answered(p)
	}
	return out, nil
}

// one executes an entry on its own.
func (x exchange) one(ctx context.Context, e entry) (reply, error) {
	switch e.method {
	case http.MethodPost:
		return x.s.create(ctx, e.key.Type, e.resource, e.request.IfNoneExist)
	case http.MethodPut:
		return x.s.update(ctx, e.key, e.resource, e.request.IfMatch, e.request.IfNoneMatch)
	case http.MethodDelete:
		return x.s.delete(ctx, e.key, e.request.IfMatch)
	default:
		return x.get(ctx, e)
	}
}

func (x exchange) get(ctx context.Context, e entry) (reply, error) {
	var p reply
	var err error
	switch {
	case e.key.ID == "":
		return x.s.search(ctx, x.base, e.key.Type, e.query, x.strict)
	case e.history:
		return x.s.history(ctx, x.base, e.key, e.query)
	case e.version != "":
		p, err = x.s.readVersion(ctx, e.key, e.version)
	default:
		p, err = x.s.read(ctx, e.key)
	}
	if h := e.request.IfNoneMatch; err == nil && h != "" && matches(h, `"`+p.version.String()+`"`) {
		p.status, p.body = http.StatusNotModified, nil
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
