package web

import (
	"cmp"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// perPage is how many rows a list shows.
const perPage = 50

type auditPage struct {
	page
	Rows                        []auditRow
	Outcomes, Operations, Peers []option
	From, To, Type, Resource    string
	Run                         string
	Problem                     string
	CSV, NDJSON                 string // addresses
	Older, Later, All           string // addresses, empty where there are none
}

type option struct {
	Value, Text string
	Chosen      bool
}

// failures is the choice that stands for all outcomes that leave something to do.
const failures = "failures"

func (p page) outcomeOptions(chosen string) []option {
	out := []option{{"", p.t("audit.everything"), chosen == ""}, {failures, p.t("audit.failures"), chosen == failures}}
	for _, o := range audit.Outcomes() {
		text, _ := p.outcomeWords(o)
		if o == audit.Done {
			text = p.t("audit.by_person")
		}
		out = append(out, option{string(o), text, chosen == string(o)})
	}
	return out
}

func (p page) operationOptions(chosen string) []option {
	out := []option{{"", p.t("audit.everything"), chosen == ""}}
	for _, o := range audit.Operations() {
		out = append(out, option{string(o), p.either("operation."+string(o), string(o)), string(o) == chosen})
	}
	return out
}

// peerOptions are the nodes that the audit may name: the parent and the children.
func (w *Web) peerOptions(r *http.Request, p page, chosen string) ([]option, error) {
	children, err := w.ctl.Children(r.Context())
	if err != nil {
		return nil, err
	}
	out := []option{{"", p.t("audit.everything"), chosen == ""}}
	if p.parentURL != "" {
		out = append(out, option{p.parentURL, p.peer(p.parentURL, "who.parent"), chosen == p.parentURL})
	}
	known := chosen == "" || chosen == p.parentURL
	for _, c := range children {
		out = append(out, option{c.Name, c.Name, chosen == c.Name})
		known = known || chosen == c.Name
	}
	if !known {
		out = append(out, option{chosen, chosen, true})
	}
	return out, nil
}

// filters are the parts of the address that say what is listed.
func filters() []string {
	return []string{"from", "to", "operation", "outcome", "type", "resource", "peer", "run"}
}

// auditAt is the address of a list with the filters of an address.
func auditAt(path string, q url.Values, more ...string) string {
	next := url.Values{}
	for _, name := range filters() {
		if v := q.Get(name); v != "" {
			next.Set(name, v)
		}
	}
	for i := 0; i+1 < len(more); i += 2 {
		next.Set(more[i], more[i+1])
	}
	if len(next) == 0 {
		return path
	}
	return path + "?" + next.Encode()
}

// local is how a browser writes a moment without a zone: that of the node.
const localTime = "2006-01-02T15:04"

// auditQuery reads what an address asks for.
func (p page) auditQuery(q url.Values) (audit.Query, error) {
	const op = "show activity"
	query := audit.Query{
		Operation: audit.Operation(q.Get("operation")), Outcome: audit.Outcome(q.Get("outcome")), Type: q.Get("type"), Run: q.Get("run"), Peer: q.Get("peer"),
	}
	if query.Outcome == failures {
		query.Outcome, query.Failures = "", true
	}
	for name, into := range map[string]*int64{"from": &query.From, "to": &query.To} {
		text := q.Get(name)
		if text == "" {
			continue
		}
		var t time.Time
		var err error
		for _, form := range []string{localTime, "2006-01-02T15:04:05", time.DateOnly} {
			if t, err = time.ParseInLocation(form, text, p.zone); err == nil {
				break
			}
		}
		if err != nil {
			return query, syncerr.New(syncerr.Invalid, op, "%s=%.40q is not a moment such as 2026-01-31T08:15", name, text)
		}
		*into = max(t.UnixMilli(), 1)
	}
	if text := q.Get("resource"); text != "" {
		key, err := fhir.ParseKey(text)
		if err != nil {
			return query, err
		}
		if query.Type != "" && query.Type != key.Type {
			return query, syncerr.New(syncerr.Invalid, op, "%s is no record of type %.60q", key, query.Type)
		}
		query.Type, query.ID = key.Type, key.ID
	}
	if query.Type != "" && !fhir.IsKind(query.Type) {
		return query, syncerr.New(syncerr.Invalid, op, "%.60q is no type of records", query.Type)
	}
	if text := q.Get("before"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n <= 0 {
			return query, syncerr.New(syncerr.Invalid, op, "before=%.40q is not the number of a row", text)
		}
		query.Before = n
	}
	return query, nil
}

func (w *Web) audit(out http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	p := auditPage{
		page: w.page(r, "nav.audit", "/audit"), Type: q.Get("type"), Resource: q.Get("resource"), From: q.Get("from"), To: q.Get("to"), Run: q.Get("run"),
		CSV: auditAt("/audit/export", q, "format", audit.CSV), NDJSON: auditAt("/audit/export", q, "format", audit.NDJSON),
	}
	var err error
	if p.page, err = w.peered(r.Context(), p.page); err != nil {
		return err
	}
	p.Outcomes, p.Operations = p.outcomeOptions(q.Get("outcome")), p.operationOptions(q.Get("operation"))
	if p.Peers, err = w.peerOptions(r, p.page, q.Get("peer")); err != nil {
		return err
	}
	if auditAt("", q) != "" {
		p.All = "/audit"
	}
	query, err := p.auditQuery(q)
	if err != nil {
		p.Problem, p.From, p.To = err.Error(), "", "" // browsers show no other text in a field for a moment
		w.show(out, http.StatusBadRequest, "audit", p)
		return nil
	}
	query.Limit = perPage + 1
	records, err := w.ctl.Audit(r.Context(), query)
	if err != nil {
		return err
	}
	if len(records) > perPage {
		records = records[:perPage]
		p.Older = auditAt("/audit", q, "before", strconv.FormatInt(records[perPage-1].ID, 10))
	}
	if query.Before > 0 {
		p.Later = auditAt("/audit", q)
	}
	p.Rows = p.auditRows(records)
	w.show(out, http.StatusOK, "audit", p)
	return nil
}

// export streams all rows that the filters select. Where it fails in the middle the connection is cut, so that nobody takes a part for all.
func (w *Web) export(out http.ResponseWriter, r *http.Request) error {
	query, err := w.page(r, "nav.audit", "/audit").auditQuery(r.URL.Query())
	if err != nil {
		return err
	}
	format := r.URL.Query().Get("format")
	if format != audit.CSV && format != audit.NDJSON {
		return syncerr.New(syncerr.Invalid, "export activity", "format=%.40q is neither csv nor ndjson", format)
	}
	query.Limit = 1
	if _, err := w.ctl.Audit(r.Context(), query); err != nil { // while it can still be said on a page
		return err
	}
	query.Limit = 0
	out.Header().Set("Content-Type", audit.ContentType(format))
	out.Header().Set("Content-Disposition", `attachment; filename="`+w.ctl.Name()+`-audit.`+format+`"`)
	write, end := audit.Export(out, format)
	// A long audit takes longer than the server's deadline for pages that are ready.
	if err := http.NewResponseController(out).SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return syncerr.Wrap(syncerr.Internal, "export activity", err)
	}
	err = w.ctl.EachAudit(r.Context(), query, write)
	if err = cmp.Or(err, end()); err != nil {
		w.log.Debug("export of the audit", "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

type rowPage struct {
	page
	R             audit.Record
	What          template.HTML
	When          when
	Result, Class string
	Cause, Do     template.HTML
	Details       string
	Facts         []fact
	Parked        *parkedRow
}

// fact is a line about something: a term and its text, with a link where there is more to see.
type fact struct{ Term, Text, Path string }

// auditRow shows one row of the audit: what happened, why, and what to do.
func (w *Web) auditRecord(out http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return syncerr.New(syncerr.Invalid, "show activity", "%.40q is not the number of a row", r.PathValue("id"))
	}
	shown, err := w.ctl.ShowAudit(r.Context(), id)
	if err != nil {
		return err
	}
	rec := shown.Record
	p := rowPage{page: w.page(r, "row.title", "/audit"), R: rec, When: w.page(r, "", "").when(rec.Time)}
	if p.page, err = w.peered(r.Context(), p.page); err != nil {
		return err
	}
	row := p.auditRows([]audit.Record{rec})[0]
	p.What, p.Result, p.Class, p.Details = row.What, row.Result, row.Class, row.Details
	p.Cause, p.Do = p.said(shown.Cause), p.said(shown.Do)
	if shown.Parked != nil {
		one := p.parkedRows([]control.Parked{*shown.Parked})[0]
		p.Parked = &one
	}
	add := func(is bool, term, text, path string) {
		if is {
			p.Facts = append(p.Facts, fact{p.t("row." + term), text, path})
		}
	}
	add(rec.Key != (fhir.Key{}), "record", rec.Key.String(), "/explain/"+rec.Key.String())
	add(!rec.Version.IsZero(), "version", rec.Version.String(), "")
	add(true, "operation", p.either("operation."+string(rec.Operation), string(rec.Operation)), auditAt("/audit", url.Values{"operation": {string(rec.Operation)}}))
	add(rec.Peer != "", "peer", p.peer(rec.Peer, "who.another"), auditAt("/audit", url.Values{"peer": {rec.Peer}}))
	add(rec.Run != "", "run", rec.Run, "/runs/"+url.PathEscape(rec.Run))
	add(rec.Conflict != "", "conflict", rec.Conflict, "/conflicts/"+url.PathEscape(rec.Conflict))
	add(rec.URL != "", "url", rec.URL, "")
	add(rec.HTTPStatus != 0, "status", strconv.Itoa(rec.HTTPStatus), "")
	add(rec.Bytes != 0, "bytes", p.say.Number(rec.Bytes), "")
	add(rec.Duration != 0, "duration", p.say.Number(rec.Duration)+" ms", "")
	add(true, "uuid", rec.UUID, "")
	w.show(out, http.StatusOK, "auditrecord", p)
	return nil
}
