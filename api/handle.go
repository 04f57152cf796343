package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// handler answers a request or returns why it cannot; it must not do both.
type handler func(w http.ResponseWriter, r *http.Request) error

// maxBody bounds the body of a request in bytes where nodes speak, before it is unpacked; others have the limit of a Bundle.
const maxBody = 160 << 20

// maxStick bounds what a stick brings in one call in bytes. It is taken file by file.
const maxStick = 1 << 40

// statusError is an error whose HTTP status is not that of its Kind.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// withStatus gives an error the HTTP status to answer with.
func withStatus(status int, err error) error { return &statusError{status, err} }

// handle is the adapter under which every handler runs.
func (s *Server) handle(h handler, need access) http.Handler {
	return s.adapt(h, need, s.writeOutcome)
}

// Protect lets only those through to next who have the access. Refusals and panics are answered as text, audited, counted and
// logged like those of the API.
func (s *Server) Protect(next http.Handler, need Access) http.Handler {
	return s.adapt(func(w http.ResponseWriter, r *http.Request) error {
		next.ServeHTTP(w, r)
		return nil
	}, need, func(w http.ResponseWriter, r *http.Request, status int, err error) {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="Tributary: any name, and the operator's token as password", charset="UTF-8"`)
		}
		text := err.Error()
		if syncerr.KindOf(err) == syncerr.Internal {
			text = "the server met an error of its own; its log has the cause"
		}
		http.Error(w, text, status)
	})
}

// Guard lets only those through to h who have the access. Refusals, errors and panics are counted, audited and logged like those of the API;
// writeError answers them. It serves what other packages mount beside the API.
func (s *Server) Guard(h func(w http.ResponseWriter, r *http.Request) error, need Access, writeError func(http.ResponseWriter, *http.Request, int, error)) http.Handler {
	return s.adapt(h, need, writeError)
}

// CallerName returns who makes the request of a context, for the audit; empty where nobody was asked.
func CallerName(ctx context.Context) string { return callerOf(ctx).Name }

type errorWriter func(w http.ResponseWriter, r *http.Request, status int, err error)

func (s *Server) adapt(h handler, need access, writeError errorWriter) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := s.clock()
		out := &recorder{ResponseWriter: w}
		caller, err := s.admit(r, need)
		if err == nil {
			r = r.WithContext(context.WithValue(r.Context(), callerKey{}, caller))
			limit := int64(s.bundleLimit())
			switch need {
			case forSync:
				limit = maxBody
			case forSticks:
				limit = maxStick
			}
			r.Body = http.MaxBytesReader(out, r.Body, limit)
			err = run(h, out, r)
		}
		abort := false
		if err != nil {
			abort = s.fail(out, r, caller, err, writeError)
		}
		s.finish(r, out, err, s.clock().Sub(start))
		if abort {
			panic(http.ErrAbortHandler) // the answer is cut off: the reader must not take it for whole
		}
	})
}

// run calls the handler and turns a panic into an error.
func run(h handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch p := recover(); {
		case p == nil:
		case p == http.ErrAbortHandler:
			panic(p)
		default:
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return h(w, r)
}

// fail answers with an error; it returns true where the answer had begun already, so that it has to be cut off.
func (s *Server) fail(w *recorder, r *http.Request, c Caller, err error, writeError errorWriter) (abort bool) {
	if r.Context().Err() != nil {
		w.status = 499 // nobody listens any more
		return false
	}
	if w.status != 0 {
		return true
	}
	status := statusOf(err, c)
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
		s.noteRefusal(r, c, status, err)
	case http.StatusForbidden:
		s.noteRefusal(r, c, status, err)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
	case http.StatusInsufficientStorage:
		w.Header().Set("Retry-After", "60")
	}
	writeError(w, r, status, err)
	return false
}

// statusOf returns the HTTP status for an error: the one it carries, else that of its Kind; 403 where the caller is known.
func statusOf(err error, c Caller) int {
	var own *statusError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &own):
		return own.status
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	}
	status := syncerr.KindOf(err).HTTPStatus()
	if status == http.StatusUnauthorized && c.known() {
		return http.StatusForbidden
	}
	return status
}

func (s *Server) writeOutcome(w http.ResponseWriter, r *http.Request, status int, err error) {
	w.Header().Del("Content-Encoding")
	send(w, r, status, fhirJSON, fhir.Outcome(err))
}

// send writes a whole body.
func send(w http.ResponseWriter, r *http.Request, status int, contentType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // an error means that the reader has gone: nobody is left to tell
	}
}

// finish counts and logs a request.
func (s *Server) finish(r *http.Request, w *recorder, err error, took time.Duration) {
	route, status := r.Pattern, w.status
	if status == 0 {
		status = http.StatusOK
	}
	s.metrics.request(methodOf(r), route, status, took)
	level := slog.LevelInfo
	switch {
	case status >= 500:
		level = slog.LevelError
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		level = slog.LevelWarn
	case route == "GET /healthz" || route == "GET /readyz":
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{
		slog.String("method", methodOf(r)), slog.String("route", route), slog.Int("status", status), slog.Duration("duration", took),
		slog.Int64("bytes", w.bytes),
	}
	if err != nil {
		attrs = append(attrs, slog.String("kind", syncerr.KindOf(err).String()))
		if syncerr.KindOf(err) == syncerr.Internal {
			attrs = append(attrs, slog.String("error", withoutIDs(err.Error(), r)))
		}
	}
	s.log.LogAttrs(r.Context(), level, "request", attrs...)
}

// methodOf returns the method, or "other": a caller may send any word, and each new one would be a new time series.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	default:
		return "other"
	}
}

// withoutIDs takes out of a text what the URL named: an id may be one that means a person outside this node, too.
func withoutIDs(text string, r *http.Request) string {
	for _, name := range []string{"id", "version"} {
		if v := r.PathValue(name); v != "" {
			text = strings.ReplaceAll(text, v, "{"+name+"}")
		}
	}
	return text
}

// recorder notes the status and size of an answer.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Flush sends what was written so far; a writer that cannot is left alone.
func (w *recorder) Flush() {
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap serves http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
