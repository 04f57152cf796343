package web

import (
	"net/http"
)

// policy allows our own style sheet, pictures and script, and that to ask this node, and nothing else (CSP 3, w3.org/TR/CSP3).
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// handler answers with a page, or returns why it cannot.
type handler func(http.ResponseWriter, *http.Request) error

// Register mounts the pages on mux. protect wraps each of them with the check of who may see it: operators.
func (w *Web) Register(mux *http.ServeMux, protect func(http.Handler) http.Handler) {
	// A page of another site must not press a button here.
	ours := http.NewCrossOriginProtection()
	pack := packer()
	for pattern, h := range map[string]handler{
		"GET /{$}":                 w.dashboard,
		"GET /audit":               w.audit,
		"GET /charts":              w.charts,
		"GET /network":             w.network,
		"GET /audit/export":        w.export,
		"GET /audit/{id}":          w.auditRecord,
		"GET /conflicts/rule":      w.byRule,
		"POST /conflicts/rule":     w.byRule,
		"GET /conflicts":           w.conflicts,
		"GET /conflicts/{uuid}":    w.conflict,
		"POST /conflicts/{uuid}":   w.resolve,
		"GET /parked":              w.parked,
		"POST /parked":             w.reconsider,
		"GET /parked/{uuid}":       w.parkedOne,
		"GET /runs/{id}":           w.run,
		"GET /runs":                w.runs,
		"GET /explain":             w.find,
		"GET /explain/{type}/{id}": w.explain,
		"GET /assets/{name}":       w.sendAsset,
		"GET /settings":            w.settings,
		"POST /settings":           w.changeSettings,
		"POST /language":           w.choose,
	} {
		mux.Handle(pattern, protect(ours.Handler(pack(w.handle(h)))))
	}
}

func (w *Web) handle(h handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		head := out.Header()
		head.Set("Content-Security-Policy", policy)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "same-origin")
		head.Set("Cache-Control", "no-store")
		head.Set("Vary", "Cookie, Accept-Language")
		if err := h(out, r); err != nil {
			w.fail(out, r, err)
		}
	})
}
