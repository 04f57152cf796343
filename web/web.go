// Package web owns the dashboard: the values of package control as pages for people who know clinics and not computers. Pages
// are made on the server, work without the one script that renews them, and load nothing from elsewhere. Everything from outside is escaped by html/template.
// Every word of a page stands in the files of web/messages. What is written in a record is shown on the page of a conflict and
// nowhere else (DESIGN.md section 3, invariant 8).
package web

import (
	"bytes"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"sync"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/web/messages"
)

//go:embed templates
var templates embed.FS

// Web serves the dashboard of one node.
type Web struct {
	ctl    *control.Control
	log    *slog.Logger
	spoken func() spoken
	assets map[string]asset // by name
}

// spoken is the languages that are offered, and the pages by language.
type spoken struct {
	languages *messages.Languages
	pages     map[string]func() *template.Template
}

// New returns the dashboard over ctl.
func New(ctl *control.Control, log *slog.Logger) *Web {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	w := &Web{ctl: ctl, log: log, assets: must(loadAssets())}
	w.spoken = sync.OnceValue(func() spoken { return w.speak(must(messages.Load())) })
	return w
}

// must returns what was read from the files that are built in.
func must[T any](v T, err error) T {
	if err != nil {
		panic("bug: " + err.Error())
	}
	return v
}

// speak returns pages in some languages. They are made when they are asked for, not at every start of a node.
func (w *Web) speak(languages *messages.Languages) spoken {
	out := spoken{languages, map[string]func() *template.Template{}}
	for _, l := range languages.All() {
		out.pages[l.Tag()] = sync.OnceValue(func() *template.Template {
			words := template.FuncMap{"t": l.Text, "h": l.HTML, "asset": w.address}
			return template.Must(template.New("").Funcs(words).ParseFS(templates, "templates/*.html"))
		})
	}
	return out
}

// view is what can be shown as a page: a struct with a page embedded.
type view interface{ base() page }

// show renders a page as a whole before it sends the first byte, so that a page is never cut by an error.
func (w *Web) show(out http.ResponseWriter, status int, name string, v view) {
	var b bytes.Buffer
	if err := w.spoken().pages[v.base().say.Tag()]().ExecuteTemplate(&b, name, v); err != nil {
		w.log.Error("render page", "page", name, "error", err)
		http.Error(out, v.base().t("error.render"), http.StatusInternalServerError)
		return
	}
	head := out.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Language", v.base().say.Tag())
	if status == http.StatusOK {
		tag := tagOf(b.Bytes())
		head.Set("ETag", tag)
		if v.base().known == tag {
			out.WriteHeader(http.StatusNotModified)
			return
		}
	}
	head.Set("Content-Length", strconv.Itoa(b.Len()))
	out.WriteHeader(status)
	if _, err := out.Write(b.Bytes()); err != nil {
		w.log.Debug("send page", "page", name, "error", err)
	}
}

// errorPage is what is shown where a page cannot be. Detail is the error as it stands in the log, in English.
type errorPage struct {
	page
	Class, Text, Detail string
}

func (w *Web) fail(out http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return
	}
	kind := syncerr.KindOf(err)
	p := errorPage{page: w.page(r, "error.title", ""), Class: classBad, Detail: err.Error()}
	switch {
	case kind == syncerr.NotFound || kind == syncerr.Invalid || kind == syncerr.Usage:
		p.Title, p.Class = p.t("error.nothing"), classWarn
	case kind == syncerr.Conflict || kind == syncerr.Precondition:
		p.Title, p.Class, p.Text = p.t("error.moved"), classWarn, p.t("error.again")
	case kind.Retry():
		p.Refresh, p.Text = refresh, p.t("error.away")
	case kind == syncerr.Internal:
		p.Text, p.Detail = p.t("error.own"), ""
		w.log.Error("make page", "route", r.Pattern, "error", err)
	}
	w.show(out, kind.HTTPStatus(), "error", p)
}
