package web

import (
	"net/http"
	"net/url"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/syncerr"
)

type conflictRow struct {
	Path   string
	Key    fhir.Key
	Opened when
	Peer   string
	State  string
	Class  string
	By     string // who or what decided it, empty where nobody did
}

func (p page) conflictRows(conflicts []control.Conflict) []conflictRow {
	out := make([]conflictRow, len(conflicts))
	for i, c := range conflicts {
		out[i] = conflictRow{Path: conflictPath(c.UUID, c.Key), Key: c.Key, Opened: p.when(c.Opened), Peer: p.peer(c.Peer, "who.another")}
		out[i].State, out[i].Class = p.conflictState(c)
		switch {
		case c.Status != control.ConflictDecided:
		case c.Actor != "":
			out[i].By = p.t("conflict.by_person", "person", c.Actor, "at", p.moment(c.Closed))
		case c.Rule != "" && c.Winner != "":
			out[i].By = p.t("conflict.by_rule", "rule", p.policy(reconcile.Policy(c.Rule)), "at", p.moment(c.Closed))
		}
	}
	return out
}

// conflictPath is the address of a conflict: by its name or, where it has none because it is held, by its record.
func conflictPath(uuid string, key fhir.Key) string {
	return "/conflicts/" + url.PathEscape(or(uuid, key.String()))
}

func (p page) conflictState(c control.Conflict) (text, class string) {
	switch {
	case c.Status == control.ConflictOpen:
		return p.t("outcome.deferred"), classWarn
	case c.Status == control.ConflictHeld:
		return p.t("outcome.held"), ""
	case c.Winner == "local" || c.Winner == "incoming" || c.Winner == control.Merged:
		return p.t("conflict.kept_" + c.Winner), classOK
	}
	return p.t("conflict.elsewhere"), classOK
}

type conflictsPage struct {
	page
	Open, Held, Decided []conflictRow
	Rules               []option
}

func (w *Web) conflicts(out http.ResponseWriter, r *http.Request) error {
	p := conflictsPage{page: w.page(r, "nav.conflicts", "/conflicts")}
	var err error
	if p.page, err = w.peered(r.Context(), p.page); err != nil {
		return err
	}
	for status, rows := range map[string]*[]conflictRow{control.ConflictOpen: &p.Open, control.ConflictHeld: &p.Held, control.ConflictDecided: &p.Decided} {
		limit := 0
		if status == control.ConflictDecided {
			limit = perPage
		}
		found, err := w.ctl.Conflicts(r.Context(), control.ConflictQuery{Status: status, Limit: limit})
		if err != nil {
			return err
		}
		*rows = p.conflictRows(found)
	}
	p.Rules = p.ruleOptions("")
	w.show(out, http.StatusOK, "conflicts", p)
	return nil
}

// ruleOptions are the rules by which a person may decide.
func (p page) ruleOptions(chosen string) []option {
	var out []option
	for _, rule := range reconcile.PolicyNames() {
		if rule != reconcile.Defer {
			out = append(out, option{string(rule), p.either("rule."+string(rule), string(rule)), string(rule) == chosen})
		}
	}
	return out
}

type rulePage struct {
	page
	Rule, RuleText, Type, Remark string
	Held                         bool
	Rules                        []option
	Rows                         []ruledRow
	Done                         bool   // it was carried out; else this is what it would do
	Count, Stay                  string // Stay is empty where nothing stays open
	N                            int    // how many it decides
}

type ruledRow struct {
	Key         fhir.Key
	Path        string
	State, Left string
	Class       string
}

// byRule shows what a rule would make of the conflicts that are open, or, where the form was sent, has made of them.
func (w *Web) byRule(out http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(out, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return syncerr.New(syncerr.Invalid, "resolve conflicts", "the form cannot be read: %w", err)
	}
	f := r.Form
	if r.Method == http.MethodPost {
		f = r.PostForm
	}
	p := rulePage{
		page: w.page(r, "rule.title", "/conflicts"), Rule: f.Get("rule"), Type: f.Get("type"), Held: f.Get("held") == "yes", Remark: f.Get("remark"), Done: r.Method == http.MethodPost,
	}
	p.RuleText, p.Rules = p.either("rule."+p.Rule, p.Rule), p.ruleOptions(p.Rule)
	ruled, err := w.ctl.As("dashboard").ResolveByRule(r.Context(), p.Type, control.Resolution{
		Rule: reconcile.Policy(p.Rule), Remark: p.Remark, Held: p.Held, DryRun: !p.Done,
	})
	if err != nil {
		return err
	}
	left := 0
	for _, x := range ruled {
		row := ruledRow{Key: x.Key, Path: conflictPath(x.UUID, x.Key), Left: sentence(x.Left)}
		if x.Winner == "" {
			left++
			row.State, row.Class = p.t("rule.left"), classWarn
		} else {
			row.State, row.Class = p.t("rule.stands_"+x.Winner), classOK
		}
		p.Rows = append(p.Rows, row)
	}
	p.N = len(ruled) - left
	p.Count = p.t("rule.would", "n", p.N)
	if left > 0 {
		p.Stay = p.t("rule.stay", "n", left)
	}
	if p.Done {
		p.Count = p.t("rule.did", "n", p.N)
	}
	w.show(out, http.StatusOK, "rule", p)
	return nil
}
