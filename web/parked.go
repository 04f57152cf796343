package web

import (
	"html/template"
	"net/http"
	"net/url"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// mostParked bounds the rows of the page of what is set aside.
const mostParked = 200

type parkedPage struct {
	page
	Causes  []causeRow
	Rows    []parkedRow
	GivenUp []parkedRow
	Held    []heldRow
	Total   string
	Only    string // the cause that the page is about alone, empty for all
	Like    int    // how many are of that cause
}

// causeRow is what several parked changes have in common.
type causeRow struct {
	Cause, Text, Count string
	N                  int
}

type parkedRow struct {
	UUID, Cause, Why string
	What             template.HTML
	Plain            string // the cause in plain words
	Reason           string // as the program noted it, in English
	Since            when
	Tries            string
	Next             when
	Due              bool   // the next round tries it
	Given            string // who gave it up and when, empty where nobody did
	GivenWhy         string
	Like             int
}

func (p page) parkedRows(parked []control.Parked) []parkedRow {
	out := make([]parkedRow, len(parked))
	for i, x := range parked {
		way := "parked.not_taken"
		if x.Direction == control.Push {
			way = "parked.not_delivered"
		}
		out[i] = parkedRow{
			UUID: x.UUID, Cause: x.Cause, Like: x.Like, What: p.h(way, "record", p.record(x.Key)), Plain: p.kindWords(x), Reason: reason(x.Reason, x.Key), Since: p.when(x.ParkedAt),
			Next: p.when(x.NextRetry), Due: x.NextRetry <= p.Now, Tries: p.t("parked.tries", "n", x.Attempts),
		}
		if g := x.GivenUp; g != nil {
			out[i].Given, out[i].GivenWhy = p.t("parked.given", "person", g.By, "at", p.moment(g.At)), g.Why
		}
	}
	return out
}

// kindWords says why a change waits, by where it waits and the kind of the refusal.
func (p page) kindWords(x control.Parked) string {
	if x.Direction == control.Push {
		return p.t("kind.push")
	}
	return p.either("kind."+x.Kind, p.t("kind.other"))
}

// reason leaves out of an error what the row says already: which record it is about.
func reason(text string, key fhir.Key) string {
	return sentence(control.Reason(text, key))
}

type heldRow struct {
	Key     fhir.Key
	Since   when
	Refusal string // as the program noted it, in English
}

func (p page) heldRows(held []control.Held) []heldRow {
	out := make([]heldRow, len(held))
	for i, h := range held {
		out[i] = heldRow{Key: h.Key, Since: p.when(h.HeldAt), Refusal: sentence(h.Refusal)}
	}
	return out
}

func (w *Web) parked(out http.ResponseWriter, r *http.Request) error {
	ctx, cause := r.Context(), r.URL.Query().Get("cause")
	rows, err := w.ctl.Parked(ctx, control.ParkedQuery{Cause: cause, Limit: mostParked})
	if err != nil {
		return err
	}
	p := parkedPage{page: w.page(r, "nav.parked", "/parked"), Only: cause}
	if len(rows) == mostParked {
		p.Total = p.t("parked.first", "n", mostParked)
	}
	p.Rows = p.parkedRows(rows)
	for _, x := range p.Rows {
		if cause != "" {
			p.Like = x.Like
			break
		}
		seen := false
		for _, c := range p.Causes {
			seen = seen || c.Cause == x.Cause
		}
		if !seen {
			p.Causes = append(p.Causes, causeRow{Cause: x.Cause, Text: x.Plain, Count: p.t("parked.count", "n", x.Like), N: x.Like})
		}
	}
	if cause == "" {
		given, err := w.ctl.Parked(ctx, control.ParkedQuery{State: control.ParkedGivenUp, Limit: mostParked})
		if err != nil {
			return err
		}
		held, err := w.ctl.Held(ctx, mostParked)
		if err != nil {
			return err
		}
		p.GivenUp, p.Held = p.parkedRows(given), p.heldRows(held)
	}
	w.show(out, http.StatusOK, "parked", p)
	return nil
}

type parkedOnePage struct {
	page
	X    control.Parked
	Row  parkedRow
	Only string // no cause: this page is about one
}

// parkedOne shows one change that is set aside: why, since when, and what a person may do.
func (w *Web) parkedOne(out http.ResponseWriter, r *http.Request) error {
	rows, err := w.ctl.Parked(r.Context(), control.ParkedQuery{State: control.ParkedAll, UUID: r.PathValue("uuid"), Limit: 1})
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return syncerr.New(syncerr.NotFound, "show what is set aside", "nothing is set aside as %.60s: it was taken since, or a later version of the record took its place", r.PathValue("uuid"))
	}
	p := parkedOnePage{page: w.page(r, "parked.one", "/parked"), X: rows[0]}
	p.Row = p.parkedRows(rows)[0]
	w.show(out, http.StatusOK, "parkedone", p)
	return nil
}

// reconsider does what a person chose for parked changes, and goes back to the page where that was.
func (w *Web) reconsider(out http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(out, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return syncerr.New(syncerr.Invalid, "set aside", "the form cannot be read: %w", err)
	}
	f := r.PostForm
	which := control.ParkedChoice{UUID: f.Get("uuid"), Cause: f.Get("cause"), All: f.Get("all") == "yes", Why: f.Get("why")}
	ctl := w.ctl.As("dashboard")
	do := ctl.RetryParked
	switch f.Get("do") {
	case "retry":
	case "give-up":
		do = ctl.GiveUpParked
	case "take-up":
		do = ctl.TakeUpParked
	default:
		return syncerr.New(syncerr.Invalid, "set aside", "%.40q is nothing that can be done", f.Get("do"))
	}
	if _, err := do(r.Context(), which); err != nil {
		return err
	}
	to := "/parked"
	if which.UUID != "" {
		to += "/" + url.PathEscape(which.UUID)
	}
	http.Redirect(out, r, to, http.StatusSeeOther)
	return nil
}
