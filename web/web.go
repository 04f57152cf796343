// Package web owns the dashboard: the values of package control as pages for people who know clinics and not computers. Pages
// are made on the server, need no script and load nothing from elsewhere. Everything from outside is escaped by html/template.
// What is written in a record is shown on the page of a conflict and nowhere else (DESIGN.md section 3, invariant 8).
package web

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/syncerr"
)

//go:embed templates
var templates embed.FS

//go:embed assets
var assets embed.FS

// refresh is after how many seconds the overview renews itself.
const refresh = 30

// Web serves the dashboard of one node.
type Web struct {
	ctl   *control.Control
	log   *slog.Logger
	pages *template.Template
}

// New returns the dashboard over ctl.
func New(ctl *control.Control, log *slog.Logger) *Web {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	pages, err := template.ParseFS(templates, "templates/*.html")
	if err != nil {
		panic("bug: " + err.Error())
	}
	return &Web{ctl: ctl, log: log, pages: pages}
}

// page is what every page has.
type page struct {
	Title, Name, Here, Made string
	Refresh                 int
	Nav                     []link
	now                     int64
	parentURL, parentName   string
}

type link struct{ Path, Text string }

func (w *Web) page(title, here string) page {
	now := w.ctl.Now()
	return page{
		Title: title, Name: w.ctl.Name(), Here: here,
		Made: control.UTC(now), now: now,
		Nav: []link{
			{"/", "Overview"},
			{"/audit", "Activity"},
			{"/conflicts", "Conflicts"},
			{"/parked", "Set aside"},
			{"/runs", "Sync rounds"},
			{"/explain", "Find a record"},
		},
	}
}

// peered is a page that names the parent by its name instead of its address.
func (w *Web) peered(ctx context.Context, p page) (page, error) {
	url, name, err := w.ctl.ParentName(ctx)
	p.parentURL, p.parentName = url, name
	return p, err
}

// peer says in words who the other side of an exchange was.
func (p page) peer(who, otherwise string) string {
	if who != "" && who == p.parentURL {
		return or(p.parentName, "the parent")
	}
	return or(who, otherwise)
}

// when is a time for template "when".
type when struct {
	At            int64
	Ago, UTC, ISO string
}

func (p page) when(at int64) when {
	return when{At: at, Ago: control.Ago(p.now, at), UTC: control.UTC(at), ISO: time.UnixMilli(at).UTC().Format(time.RFC3339)}
}

// show renders a page as a whole before it sends the first byte, so that a page is never cut by an error.
func (w *Web) show(out http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := w.pages.ExecuteTemplate(&b, name, data); err != nil {
		w.log.Error("render page", "page", name, "error", err)
		http.Error(out, "This page cannot be shown; the log of the node has the cause.", http.StatusInternalServerError)
		return
	}
	out.Header().Set("Content-Type", "text/html; charset=utf-8")
	out.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	out.WriteHeader(status)
	if _, err := out.Write(b.Bytes()); err != nil {
		w.log.Debug("send page", "page", name, "error", err)
	}
}

// errorPage is what is shown where a page cannot be.
type errorPage struct {
	page
	Class, Text string
}

func (w *Web) fail(out http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return
	}
	kind := syncerr.KindOf(err)
	p := errorPage{page: w.page("This cannot be shown now", ""), Class: "bad", Text: err.Error()}
	switch {
	case kind == syncerr.NotFound || kind == syncerr.Invalid || kind == syncerr.Usage:
		p.Title, p.Class = "There is nothing here", "warn"
	case kind.Retry():
		p.Refresh = refresh
		p.Text = "The database of this node does not answer just now. What was saved is safe; this page tries again by itself. (" + err.Error() + ")"
	case kind == syncerr.Internal:
		p.Text = "The node met an error of its own. Its log has the cause."
		w.log.Error("make page", "path", r.URL.Path, "error", err)
	}
	w.show(out, kind.HTTPStatus(), "error", p)
}
