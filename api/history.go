package api

import (
	"context"
	"maps"
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
	return s.answerHistory(w, r, k)
}

// fhirHistories answers the versions of all resources, or of those of a type, newest first, deletions among them (FHIR R4
// http.html#history).
func (s *Server) fhirHistories(w http.ResponseWriter, r *http.Request) error {
	t := r.PathValue("type")
	if t != "" {
		if _, err := knownType(t); err != nil {
			return err
		}
	}
	return s.answerHistory(w, r, fhir.Key{Type: t})
}

func (s *Server) answerHistory(w http.ResponseWriter, r *http.Request, of fhir.Key) error {
	if err := acceptsJSON(r); err != nil {
		return err
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return syncerr.New(syncerr.Invalid, "read history", "the query of the URL is malformed")
	}
	p, err := s.history(r.Context(), s.baseOf(r), of, q)
	if err != nil {
		return err
	}
	p.write(w, r, "")
	return nil
}

// readHistory reads what a history was asked for (FHIR R4 http.html#history). _page is ours: where the page begins, and as of
// which row of the log the list is.
func readHistory(q url.Values) (store.HistoryQuery, error) {
	h := store.HistoryQuery{Count: search.DefaultCount}
	bad := func(name, text string) (store.HistoryQuery, error) {
		return h, syncerr.New(syncerr.Invalid, "read history", "%s: %.60q cannot be read", name, text)
	}
	if v := q.Get("_count"); v != "" {
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil {
			return bad("_count", v)
		}
		h.Count = max(1, min(int(n), search.MaxCount))
	}
	if v := q.Get("_since"); v != "" {
		t, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(v, " ", "+"))
		if err != nil {
			return bad("_since", v)
		}
		h.Since = t.UnixMilli()
	}
	if v := q.Get("_at"); v != "" {
		var ok bool
		if h.At, ok = readPeriod(strings.ReplaceAll(v, " ", "+")); !ok {
			return bad("_at", v)
		}
	}
	if v := q.Get("_page"); v != "" {
		from, asOf, ok := strings.Cut(v, "-")
		n, err := strconv.ParseUint(from, 10, 63)
		m, err2 := strconv.ParseUint(asOf, 10, 63)
		if !ok || err != nil || err2 != nil || n == 0 || m == 0 {
			return bad("_page", v)
		}
		h.From, h.AsOf = n, m
	}
	return h, nil
}

// readPeriod reads a date, dateTime or instant as the time that it spans (FHIR R4 search.html#date); without a zone it is UTC.
func readPeriod(text string) (store.Period, bool) {
	for _, form := range []struct {
		layout              string
		years, months, days int
		length              time.Duration
	}{
		{"2006", 1, 0, 0, 0},
		{"2006-01", 0, 1, 0, 0},
		{"2006-01-02", 0, 0, 1, 0},
		{"2006-01-02T15:04", 0, 0, 0, time.Minute},
		{"2006-01-02T15:04Z07:00", 0, 0, 0, time.Minute},
		{"2006-01-02T15:04:05", 0, 0, 0, time.Second},
		{"2006-01-02T15:04:05Z07:00", 0, 0, 0, time.Second},
	} {
		t, err := time.Parse(form.layout, text)
		if err != nil || t.Year() < 1970 {
			continue
		}
		if form.length == time.Second && strings.Contains(text, ".") { // Parse takes fractions of a second under any layout
			form.length = time.Millisecond
		}
		return store.Period{From: t.UnixMilli(), To: t.AddDate(form.years, form.months, form.days).Add(form.length).UnixMilli()}, true
	}
	return store.Period{}, false
}

// history answers a page of the history of a resource, of a type where of has no id, or of everything.
func (s *Server) history(ctx context.Context, base string, of fhir.Key, q url.Values) (reply, error) {
	h, err := readHistory(q)
	if err != nil {
		return reply{}, err
	}
	h.Type, h.ID = of.Type, of.ID
	var page store.HistoryPage
	exists := true
	err = s.engine.Store().Read(ctx, func(rd *store.Reader) error {
		var err error
		if page, err = rd.VersionsOf(h); err == nil && of.ID != "" && len(page.Copies) == 0 {
			_, exists, err = rd.Get(of)
		}
		return err
	})
	if err != nil {
		return reply{}, err
	}
	if !exists {
		return reply{}, syncerr.New(syncerr.NotFound, "read history", "%s does not exist", of)
	}
	address := base
	for _, part := range []string{of.Type, of.ID, "_history"} {
		if part != "" {
			address += "/" + part
		}
	}
	b := bundle{Type: "history", Link: []bundleLink{{"self", address + queryText(q)}}}
	if page.Next != 0 {
		next := maps.Clone(q)
		next.Set("_page", strconv.FormatUint(page.Next, 10)+"-"+strconv.FormatUint(page.AsOf, 10))
		next.Set("_count", strconv.Itoa(h.Count))
		b.Link = append(b.Link, bundleLink{"next", address + queryText(next)})
	} else if h.From == 0 {
		n := int64(len(page.Copies))
		b.Total = &n
	}
	for _, c := range page.Copies {
		e, err := historyEntry(base, c)
		if err != nil {
			return reply{}, err
		}
		b.Entry = append(b.Entry, e)
	}
	body, err := b.bytes()
	return reply{status: http.StatusOK, body: body}, err
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
