package web

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/syncerr"
)

// perPage is how many rows a list shows.
const perPage = 50

type auditPage struct {
	page
	Rows                 []auditRow
	Outcomes, Operations []option
	Type                 string
	Older, Later         string // addresses, empty where there are none
}

type option struct {
	Value, Text string
	Chosen      bool
}

// failures is the choice that stands for all outcomes that leave something to do.
const failures = "failures"

func (p page) outcomeOptions(chosen string) []option {
	out := []option{{"", p.t("audit.everything"), chosen == ""}, {failures, p.t("audit.failures"), chosen == failures}}
	for _, o := range []audit.Outcome{
		audit.Applied, audit.Done, audit.Already, audit.Equal, audit.Superseded, audit.Decided, audit.Deferred, audit.Held,
		audit.Parked, audit.Refused, audit.Failed,
	} {
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
	for _, o := range []audit.Operation{audit.Local, audit.Pull, audit.Push, audit.Receive, audit.Device, audit.Refuse, audit.Admin} {
		out = append(out, option{string(o), p.t("operation." + string(o)), string(o) == chosen})
	}
	return out
}

func (w *Web) audit(out http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	query := audit.Query{
		Operation: audit.Operation(q.Get("operation")), Outcome: audit.Outcome(q.Get("outcome")), Type: q.Get("type"), Run: q.Get("run"),
		Limit: perPage + 1,
	}
	if query.Outcome == failures {
		query.Outcome, query.Failures = "", true
	}
	if text := q.Get("before"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n <= 0 {
			return syncerr.New(syncerr.Invalid, "show activity", "before=%.40q is not the number of a row", text)
		}
		query.Before = n
	}
	records, err := w.ctl.Audit(r.Context(), query)
	if err != nil {
		return err
	}
	p := auditPage{page: w.page(r, "nav.audit", "/audit"), Type: query.Type}
	p.Outcomes, p.Operations = p.outcomeOptions(q.Get("outcome")), p.operationOptions(q.Get("operation"))
	if p.page, err = w.peered(r.Context(), p.page); err != nil {
		return err
	}
	at := func(before int64) string {
		next := url.Values{}
		for _, name := range []string{"outcome", "operation", "type", "run"} {
			if v := q.Get(name); v != "" {
				next.Set(name, v)
			}
		}
		if before > 0 {
			next.Set("before", strconv.FormatInt(before, 10))
		}
		return "/audit?" + next.Encode()
	}
	if len(records) > perPage {
		records = records[:perPage]
		p.Older = at(records[perPage-1].ID)
	}
	if query.Before > 0 {
		p.Later = at(0)
	}
	p.Rows = p.auditRows(records)
	w.show(out, http.StatusOK, "audit", p)
	return nil
}

type conflictsPage struct {
	page
	Open, Decided []conflictRow
}

func (w *Web) conflicts(out http.ResponseWriter, r *http.Request) error {
	open, err := w.ctl.Conflicts(r.Context(), control.ConflictQuery{Status: control.ConflictOpen})
	if err != nil {
		return err
	}
	decided, err := w.ctl.Conflicts(r.Context(), control.ConflictQuery{Status: control.ConflictDecided, Limit: perPage})
	if err != nil {
		return err
	}
	p := conflictsPage{page: w.page(r, "nav.conflicts", "/conflicts")}
	if p.page, err = w.peered(r.Context(), p.page); err != nil {
		return err
	}
	p.Open, p.Decided = p.conflictRows(open), p.conflictRows(decided)
	w.show(out, http.StatusOK, "conflicts", p)
	return nil
}

type parkedPage struct {
	page
	Rows []parkedRow
	Held []heldRow
}

func (w *Web) parked(out http.ResponseWriter, r *http.Request) error {
	rows, err := w.ctl.Parked(r.Context(), control.ParkedQuery{Limit: 200})
	if err != nil {
		return err
	}
	held, err := w.ctl.Held(r.Context(), 200)
	if err != nil {
		return err
	}
	p := parkedPage{page: w.page(r, "nav.parked", "/parked")}
	p.Rows, p.Held = p.parkedRows(rows), p.heldRows(held)
	w.show(out, http.StatusOK, "parked", p)
	return nil
}

type runsPage struct {
	page
	Rows []runRow
}

func (w *Web) runs(out http.ResponseWriter, r *http.Request) error {
	runs, err := w.ctl.Runs(r.Context(), "", perPage)
	if err != nil {
		return err
	}
	p := runsPage{page: w.page(r, "nav.runs", "/runs")}
	if p.page, err = w.peered(r.Context(), p.page); err != nil {
		return err
	}
	p.Rows = p.runRows(runs)
	w.show(out, http.StatusOK, "runs", p)
	return nil
}
