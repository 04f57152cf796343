package web

import (
	"net/http"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
)

type findPage struct {
	page
	Asked, Problem string
}

// find asks for a record, and goes to its page where one was named.
func (w *Web) find(out http.ResponseWriter, r *http.Request) error {
	p := findPage{page: w.page("Find a record", "/explain"), Asked: r.URL.Query().Get("resource")}
	if p.Asked != "" {
		key, err := fhir.ParseKey(p.Asked)
		if err == nil {
			http.Redirect(out, r, "/explain/"+key.String(), http.StatusSeeOther)
			return nil
		}
		p.Problem = "A record is named by its type and its number, for example Patient/123. (" + err.Error() + ")"
	}
	w.show(out, http.StatusOK, "find", p)
	return nil
}

type explainPage struct {
	page
	Key       string
	E         control.Explanation
	History   []historyRow
	Conflicts []conflictRow
	Parked    []parkedRow
	Audit     []auditRow
}

type historyRow struct {
	Committed, Authored          when
	Action, Seq, Version, Source string
	By                           string
}

func (w *Web) explain(out http.ResponseWriter, r *http.Request) error {
	e, err := w.ctl.Explain(r.Context(), fhir.Key{Type: r.PathValue("type"), ID: r.PathValue("id")})
	if err != nil {
		return err
	}
	p := explainPage{page: w.page(e.Key.String(), "/explain"), Key: e.Key.String(), E: e}
	if p.page, err = w.peered(r.Context(), p.page); err != nil {
		return err
	}
	for _, h := range e.History {
		action := "changed"
		switch h.Action {
		case "CREATED":
			action = "created"
		case "DELETED":
			action = "deleted"
		}
		p.History = append(p.History, historyRow{
			Committed: p.when(h.Committed), Authored: p.when(h.Authored), Action: action, Seq: number(h.Seq), Version: h.Version.String(),
			By: h.By, Source: h.Source,
		})
	}
	p.Conflicts, p.Parked, p.Audit = p.conflictRows(e.Conflicts), p.parkedRows(e.Parked), p.auditRows(e.Audit)
	w.show(out, http.StatusOK, "explain", p)
	return nil
}
