package web

import (
	"net/http"
	"net/url"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/web/messages"
)

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

type runPage struct {
	page
	Row    runRow
	Known  bool // sync_run has it; an SData run has only rows of the audit
	Facts  []fact
	Counts []fact
	Rows   []auditRow
	More   string // the address of all its rows
}

// run shows one pass: its counts, its bytes, what it did, and its rows in the audit.
func (w *Web) run(out http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	records, err := w.ctl.Audit(r.Context(), audit.Query{Run: id, Limit: perPage + 1})
	if err != nil {
		return err
	}
	run, err := w.ctl.RunRecord(r.Context(), id)
	known := err == nil
	if err != nil && (syncerr.KindOf(err) != syncerr.NotFound || len(records) == 0) {
		return err
	}
	p := runPage{page: w.page(r, "run.title", "/runs"), Known: known}
	if p.page, err = w.peered(r.Context(), p.page); err != nil {
		return err
	}
	if len(records) > perPage {
		records = records[:perPage]
	}
	p.Rows, p.More = p.auditRows(records), auditAt("/audit", url.Values{"run": {id}})
	p.Facts = []fact{{p.t("run.id"), id, ""}}
	if !known {
		w.show(out, http.StatusOK, "run", p)
		return nil
	}
	p.Row = p.runRows([]audit.Run{run})[0]
	way := "operation.PULL"
	switch run.Direction {
	case control.Push:
		way = "operation.PUSH"
	case control.VerifyRuns:
		way = "run.verify"
	}
	p.Facts = append([]fact{{p.t("audit.kind"), p.t(way), ""}, {p.t("row.peer"), p.peer(run.Peer, "who.parent"), ""}}, p.Facts...)
	if run.Finished > 0 {
		p.Facts = append(p.Facts, fact{p.t("run.span"), p.say.Span(time.Duration(run.Finished-run.Started) * time.Millisecond), ""})
	}
	for _, c := range []struct {
		key string
		n   int64
	}{{"read", run.Read}, {"applied", run.Applied}, {"skipped_n", run.Skipped}, {"held_n", run.Held}, {"parked_n", run.Parked}} {
		p.Counts = append(p.Counts, fact{p.t("run." + c.key), p.say.Number(c.n), ""})
	}
	p.Counts = append(p.Counts, fact{p.t("run.bytes_in"), p.say.Size(messages.Bytes(run.BytesIn)), ""}, fact{p.t("run.bytes_out"), p.say.Size(messages.Bytes(run.BytesOut)), ""})
	w.show(out, http.StatusOK, "run", p)
	return nil
}
