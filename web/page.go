package web

import (
	"context"
	"html/template"
	"net/http"
	"time"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/web/messages"
)

// page is what every page has.
type page struct {
	Title, Name, Here     string
	Back                  string // the address of the page itself
	Made, Zone            string
	Refresh               int // seconds until the page renews itself, 0 for never
	Now                   int64
	known                 string // the entity tag of what the reader has
	Nav                   []link
	Languages             []option
	say                   *messages.Language
	zone                  *time.Location
	parentURL, parentName string
}

type link struct{ Path, Text string }

// page begins a page for a reader: title is the key of a text, here the entry of the navigation that it belongs to.
func (w *Web) page(r *http.Request, title, here string) page {
	now := w.ctl.Now()
	p := page{Name: w.ctl.Name(), Here: here, Back: r.URL.RequestURI(), say: w.language(r), Now: now, known: r.Header.Get("If-None-Match"), zone: w.ctl.Zone()}
	if r.Method != http.MethodGet {
		p.Back = "/"
	}
	p.Title = p.t(title)
	p.Made, p.Zone = p.say.Moment(p.time(now)), p.time(now).Format("MST")
	for _, n := range []link{
		{"/", "nav.home"},
		{"/network", "nav.network"},
		{"/audit", "nav.audit"},
		{"/conflicts", "nav.conflicts"},
		{"/parked", "nav.parked"},
		{"/runs", "nav.runs"},
		{"/explain", "nav.explain"},
		{"/charts", "nav.charts"},
		{"/settings", "nav.settings"},
	} {
		p.Nav = append(p.Nav, link{n.Path, p.t(n.Text)})
	}
	for _, l := range w.spoken().languages.All() {
		p.Languages = append(p.Languages, option{l.Tag(), l.Text("language"), l == p.say})
	}
	return p
}

func (p page) base() page { return p }

// Lang is the language of the page.
func (p page) Lang() string { return p.say.Tag() }

// t returns a text in the language of the page, see messages.Language.Text.
func (p page) t(key string, args ...any) string { return p.say.Text(key, args...) }

// h returns a text with links in it, see messages.Language.HTML.
func (p page) h(key string, args ...any) template.HTML { return p.say.HTML(key, args...) }

// either returns the text of a key, or another where the files have none for it: of a closed list that grew.
func (p page) either(key, otherwise string) string {
	if p.say.Has(key) {
		return p.t(key)
	}
	return otherwise
}

// peered is a page that names the parent by its name instead of its address.
func (w *Web) peered(ctx context.Context, p page) (page, error) {
	url, name, err := w.ctl.ParentName(ctx)
	p.parentURL, p.parentName = url, name
	return p, err
}

// peer says in words who the other side of an exchange was; otherwise is the key of a text.
func (p page) peer(who, otherwise string) string {
	switch {
	case who == "":
		return p.t(otherwise)
	case who != p.parentURL:
		return who
	case p.parentName != "":
		return p.parentName
	}
	return p.t("who.parent")
}

// record is a link to the page of a record.
func (p page) record(key fhir.Key) template.HTML {
	name := template.HTMLEscapeString(key.String())
	return template.HTML(`<a href="/explain/` + name + `" translate="no">` + name + `</a>`) //nolint:gosec // escaped; a key has no other letters than those of a path
}

// when is a time for template "when".
type when struct {
	At            int64
	Ago, Abs, ISO string
}

// time is an instant in the time zone of the node.
func (p page) time(at int64) time.Time { return time.UnixMilli(at).In(p.zone) }

func (p page) when(at int64) when {
	return when{At: at, Ago: p.say.Ago(p.Now, at), Abs: p.moment(at), ISO: time.UnixMilli(at).UTC().Format(time.RFC3339)}
}

// ago is a time as how long ago it was, within a sentence.
func (p page) ago(at int64) template.HTML {
	w := p.when(at)
	if at == 0 {
		return template.HTML(template.HTMLEscapeString(w.Ago)) //nolint:gosec // escaped
	}
	return template.HTML(`<time datetime="` + w.ISO + `" data-ago="1">` + template.HTMLEscapeString(w.Ago) + `</time>`) //nolint:gosec // escaped
}

// moment writes a time of today as 08:15, others with their day, nothing for 0.
func (p page) moment(at int64) string {
	if at == 0 {
		return ""
	}
	t := p.time(at)
	if p.today(t) {
		return p.say.Clock(t)
	}
	return p.say.Moment(t)
}

func (p page) today(t time.Time) bool {
	now := p.time(p.Now)
	return t.YearDay() == now.YearDay() && t.Year() == now.Year()
}

// until says up to when: until 08:15 of today, else until a day and a time.
func (p page) until(at int64) string {
	if t := p.time(at); !p.today(t) {
		return p.t("time.until_moment", "moment", p.say.Moment(t))
	}
	return p.t("time.until_clock", "clock", p.moment(at))
}

// said writes a sentence of control in the language of the page.
func (p page) said(s control.Sentence) template.HTML {
	key := "said." + s.Code
	if !p.say.Has(key) {
		return template.HTML(template.HTMLEscapeString(s.Text)) //nolint:gosec // escaped
	}
	args := []any{"n", s.Count}
	for name, at := range s.Times {
		args = append(args, name, p.say.Moment(p.time(at)), name+"_until", p.until(at), name+"_ago", p.ago(at))
	}
	for name, ms := range s.Spans {
		args = append(args, name, time.Duration(ms)*time.Millisecond)
	}
	for name, word := range s.Words {
		if name == "rule" {
			word = p.policy(reconcile.Policy(word))
		}
		args = append(args, name, word)
	}
	return p.h(key, args...)
}

func (p page) saidAll(list []control.Sentence) []template.HTML {
	out := make([]template.HTML, len(list))
	for i, s := range list {
		out[i] = p.said(s)
	}
	return out
}
