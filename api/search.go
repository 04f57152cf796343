package api

import (
	"context"
	"maps"
	"mime"
	"net/http"
	"net/url"

	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/syncerr"
)

// maxForm bounds the body of a search in bytes.
const maxForm = 1 << 20

// fhirSearch answers a search of one type, by GET or by POST to _search (FHIR R4 http.html#search).
func (s *Server) fhirSearch(w http.ResponseWriter, r *http.Request) error {
	t, err := pathType(r)
	if err != nil {
		return err
	}
	if err := acceptsJSON(r); err != nil {
		return err
	}
	values, err := searchValues(w, r)
	if err != nil {
		return err
	}
	p, err := s.search(r.Context(), s.baseOf(r), t, values, preference(r.Header, "handling") == "strict")
	if err != nil {
		return err
	}
	p.write(w, r, "")
	return nil
}

func searchValues(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	malformed := func(where string) error {
		return syncerr.New(syncerr.Invalid, "read search", "the %s is malformed", where).WithHint("Write %% as %%25, and names and values as in the query of a URL")
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, malformed("query of the URL")
	}
	if r.Method != http.MethodPost {
		return values, nil
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.ContentLength != 0 && (err != nil || media != "application/x-www-form-urlencoded") {
		return nil, syncerr.New(syncerr.Unsupported, "read search", "Content-Type: %.80q is no form", r.Header.Get("Content-Type")).
			WithHint("Send application/x-www-form-urlencoded")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		if status := statusOf(err, Caller{}); status == http.StatusRequestEntityTooLarge {
			return nil, syncerr.New(syncerr.TooLarge, "read search", "the form is larger than %d bytes", maxForm)
		}
		return nil, malformed("form")
	}
	return r.Form, nil
}

func (s *Server) search(ctx context.Context, base, t string, values url.Values, strict bool) (reply, error) {
	q, err := search.Parse(t, values, strict)
	if err != nil {
		if syncerr.KindOf(err) == syncerr.Unsupported {
			err = withStatus(http.StatusNotAcceptable, err)
		}
		return reply{}, err
	}
	found, err := s.engine.Store().Search(ctx, q)
	if err != nil {
		return reply{}, err
	}
	self := maps.Clone(q.Applied)
	if v := values.Get("_page"); v != "" {
		self.Set("_page", v)
	}
	b := bundle{Type: "searchset", Link: []bundleLink{{"self", base + "/" + t + queryText(self)}}}
	if found.Counted {
		b.Total = &found.Total
	}
	if found.Next != "" {
		next := maps.Clone(q.Applied)
		next.Set("_page", found.Next)
		b.Link = append(b.Link, bundleLink{"next", base + "/" + t + queryText(next)})
	}
	for _, c := range found.Copies {
		body, err := shown(c)
		if err != nil {
			return reply{}, err
		}
		b.Entry = append(b.Entry, bundleEntry{FullURL: base + "/" + c.Key.String(), Resource: body, Search: &bundleSearch{"match"}})
	}
	body, err := b.bytes()
	return reply{status: http.StatusOK, body: body}, err
}
