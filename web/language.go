package web

import (
	"net/http"
	"strings"

	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/web/messages"
)

// languageCookie keeps the language that a reader chose.
const languageCookie = "tributary-language"

// language returns the language for a reader: the one that was chosen, else the browser's, else English.
func (w *Web) language(r *http.Request) *messages.Language {
	chosen := ""
	if c, err := r.Cookie(languageCookie); err == nil {
		chosen = c.Value
	}
	return w.spoken().languages.Choose(chosen, r.Header.Get("Accept-Language"))
}

// choose remembers the language that a reader chose, and goes back to the page where that was done.
func (w *Web) choose(out http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(out, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return syncerr.New(syncerr.Invalid, "choose language", "the form cannot be read: %w", err)
	}
	l := w.spoken().languages.By(r.PostForm.Get("to"))
	if l == nil {
		return syncerr.New(syncerr.Invalid, "choose language", "the pages are not written in %.20q", r.PostForm.Get("to"))
	}
	http.SetCookie(out, &http.Cookie{Name: languageCookie, Value: l.Tag(), Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(out, r, local(r.PostForm.Get("back")), http.StatusSeeOther)
	return nil
}

// local returns an address if it is one of this node, else that of the first page: a form must not lead elsewhere.
func local(address string) string {
	if !strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//") || strings.ContainsAny(address, "\\\r\n\t") {
		return "/"
	}
	return address
}
