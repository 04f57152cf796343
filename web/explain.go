package web

import (
	"html/template"
	"net/http"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
)

type findPage struct {
	page
	Asked, Problem, Detail string
}

// find asks for a record, and goes to its page where one was named.
func (w *Web) find(out http.ResponseWriter, r *http.Request) error {
	p := findPage{page: w.page(r, "nav.explain", "/explain"), Asked: r.URL.Query().Get("resource")}
	if p.Asked != "" {
		key, err := fhir.ParseKey(p.Asked)
		if err == nil {
			http.Redirect(out, r, "/explain/"+key.String(), http.StatusSeeOther)
			return nil
		}
		p.Problem, p.Detail = p.t("find.problem"), err.Error()
	}
	w.show(out, http.StatusOK, "find", p)
	return nil
}

type explainPage struct {
	page
	Key       string
	E         control.Explanation
	Story     []template.HTML
	History   []historyRow
	Conflicts []conflictRow
	Parked    []parkedRow
	Audit     []auditRow
	Readers   []readerRow
}

type readerRow struct {
	Name, State, Class string
	Seen               when
}

type historyRow struct {
	Committed, Authored         when
	Action, Version, By, Source string
	Decision                    string // it ended a conflict, by whose decision
}

func (w *Web) explain(out http.ResponseWriter, r *http.Request) error {
	e, err := w.ctl.Explain(r.Context(), fhir.Key{Type: r.PathValue("type"), ID: r.PathValue("id")})
	if err != nil {
		return err
	}
	p := explainPage{page: w.page(r, "", "/explain"), Key: e.Key.String(), E: e}
	p.Title, p.Story = p.Key, p.saidAll(e.Story)
	if p.page, err = w.peered(r.Context(), p.page); err != nil {
		return err
	}
	for _, h := range e.History {
		decision := ""
		if h.Decided != "" {
			decision = p.t("explain.decided", "node", h.Decided)
		}
		p.History = append(p.History, historyRow{
			Decision:  decision,
			Committed: p.when(h.Committed), Authored: p.when(h.Authored), Action: p.either("action."+string(h.Action), string(h.Action)),
			Version: p.t("explain.version", "seq", h.Seq, "version", h.Version.String()), By: h.By, Source: p.source(h),
		})
	}
	for _, c := range e.Readers {
		class := ""
		if c.State == control.ReaderHas {
			class = classOK
		}
		p.Readers = append(p.Readers, readerRow{Name: c.Name, State: p.t("reader." + c.State), Class: class, Seen: p.when(c.LastSeen)})
	}
	waiting, err := w.ctl.Conflicts(r.Context(), control.ConflictQuery{Status: control.ConflictHeld, Key: e.Key})
	if err != nil {
		return err
	}
	e.Conflicts = append(waiting, e.Conflicts...)
	p.Conflicts, p.Parked, p.Audit = p.conflictRows(e.Conflicts), p.parkedRows(e.Parked), p.auditRows(e.Audit)
	w.show(out, http.StatusOK, "explain", p)
	return nil
}

// source says who delivered a version.
func (p page) source(h control.HistoryRow) string {
	switch h.From {
	case control.FromOther:
		return h.Source
	default:
		return p.t("from." + h.From)
	}
}
