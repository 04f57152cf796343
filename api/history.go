package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// fhirHistory answers the versions of a resource, newest first (FHIR R4 http.html#history).
func (s *Server) fhirHistory(w http.ResponseWriter, r *http.Request) error {
	k, err := pathKey(r)
	if err != nil {
		return err
	}
	if err := acceptsJSON(r); err != nil {
		return err
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return syncerr.New(syncerr.Invalid, "read history", "the query of the URL is malformed")
	}
	p, err := s.history(r.Context(), s.baseOf(r), k, q)
	if err != nil {
		return err
	}
	p.write(w, r, "")
	return nil
}

// historyQuery is what a history was asked for. before and seen say where the page before it ended: a log row, and the version
// that it shows.
type historyQuery struct {
	count  int
	since  int64 // milliseconds since 1970 UTC
	before uint64
	seen   string
}

func readHistory(q url.Values) (historyQuery, error) {
	h := historyQuery{count: search.DefaultCount}
	bad := func(name, text string) (historyQuery, error) {
		return h, syncerr.New(syncerr.Invalid, "read history", "%s: %.60q cannot be read", name, text)
	}
	if v := q.Get("_count"); v != "" {
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil {
			return bad("_count", v)
		}
		h.count = max(1, min(int(n), search.MaxCount))
	}
	if v := q.Get("_since"); v != "" {
		t, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(v, " ", "+"))
		if err != nil {
			return bad("_since", v)
		}
		h.since = t.UnixMilli()
	}
	if v := q.Get("_page"); v != "" {
		seq, seen, ok := strings.Cut(v, "-")
		n, err := strconv.ParseUint(seq, 10, 63)
		if err != nil || !ok || n == 0 {
			return bad("_page", v)
		}
		h.before, h.seen = n, seen
	}
	return h, nil
}

func (s *Server) history(ctx context.Context, base string, k fhir.Key, q url.Values) (reply, error) {
	h, err := readHistory(q)
	if err != nil {
		return reply{}, err
	}
	var copies []store.Copy
	err = s.engine.Store().Read(ctx, func(rd *store.Reader) error {
		var err error
		copies, err = versions(rd, k, h)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	if len(copies) == 0 && h.before == 0 {
		if _, ok, err := s.engine.Store().Get(ctx, k); err != nil || !ok {
			if err == nil {
				err = syncerr.New(syncerr.NotFound, "read history", "%s does not exist", k)
			}
			return reply{}, err
		}
	}
	b := bundle{Type: "history", Link: []bundleLink{{"self", base + "/" + k.String() + "/_history" + queryText(q)}}}
	if len(copies) > h.count {
		copies = copies[:h.count]
		last := copies[h.count-1]
		next := url.Values{"_page": {strconv.FormatUint(last.Seq, 10) + "-" + last.Stamp.Version.String()}, "_count": {strconv.Itoa(h.count)}}
		if v := q.Get("_since"); v != "" {
			next.Set("_since", v)
		}
		b.Link = append(b.Link, bundleLink{"next", base + "/" + k.String() + "/_history" + queryText(next)})
	} else if h.before == 0 {
		n := int64(len(copies))
		b.Total = &n
	}
	for _, c := range copies {
		e, err := historyEntry(base, c)
		if err != nil {
			return reply{}, err
		}
		b.Entry = append(b.Entry, e)
	}
	body, err := b.bytes()
	return reply{status: http.StatusOK, body: body}, err
}

// versions reads one version more than the page has. The log has rows that only record what a copy has seen, so that a
// version may stand in it more than once, also over the edge of a page.
func versions(rd *store.Reader, k fhir.Key, h historyQuery) ([]store.Copy, error) {
	var out []store.Copy
	seen, before := h.seen, h.before
	for len(out) <= h.count {
		rows, err := rd.History(k, before, h.count+1)
		if err != nil || len(rows) == 0 {
			return out, err
		}
		for _, c := range rows {
			before = c.Seq
			if c.Committed < h.since {
				return out, nil
			}
			if v := c.Stamp.Version.String(); v != seen && len(out) <= h.count {
				out, seen = append(out, c), v
			}
		}
	}
	return out, nil
}

func historyEntry(base string, c store.Copy) (bundleEntry, error) {
	e := bundleEntry{
		FullURL: base + "/" + c.Key.String(),
		Request: &bundleRequest{Method: http.MethodPut, URL: c.Key.String()},
		Response: &bundleResponse{
			Status: statusText(http.StatusOK), ETag: etag(c.Stamp.Version.String()), LastModified: instant(c.Committed),
		},
	}
	switch {
	case c.Stamp.Deleted:
		e.Request.Method, e.Response.Status = http.MethodDelete, statusText(http.StatusNoContent)
	case c.Action == feed.Created:
		e.Response.Status = statusText(http.StatusCreated)
	}
	if c.Body == nil {
		return e, nil
	}
	body, err := shown(c)
	e.Resource = body
	return e, err
}

// statusText is Bundle.entry.response.status (FHIR R4 bundle.html): the code, and its words for people.
func statusText(status int) string { return strconv.Itoa(status) + " " + http.StatusText(status) }

// queryText returns "?" and the encoded query, or nothing.
func queryText(q url.Values) string {
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}
