package api

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/syncerr"
)

// controlAudit answers with a page of the audit, or, where format=csv or format=ndjson asks for it, with all of it that the filters select.
func (s *Server) controlAudit(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	query := audit.Query{
		Operation: audit.Operation(q.Get("operation")), Outcome: audit.Outcome(q.Get("outcome")), Failures: q.Get("failures") == "true",
		Type: q.Get("type"), ID: q.Get("id"), Run: q.Get("run"), Peer: q.Get("peer"),
	}
	var err error
	if query.Limit, err = limitOf(q); err != nil {
		return err
	}
	for name, into := range map[string]*int64{"from": &query.From, "to": &query.To, "before": &query.Before} {
		if *into, err = number(q, name); err != nil {
			return err
		}
	}
	switch format := q.Get("format"); format {
	case "", "json":
		v, err := s.control(r).Audit(r.Context(), query)
		return answer(w, http.StatusOK, v, err)
	case audit.CSV, audit.NDJSON:
		return s.exportAudit(w, r, query, format)
	default:
		return syncerr.New(syncerr.Invalid, "read query", "format=%.40q is none of json, csv and ndjson", format)
	}
}

// exportAudit streams records. Whoever reads it knows that it is whole by the end of the answer: where something fails the connection is cut.
func (s *Server) exportAudit(w http.ResponseWriter, r *http.Request, query audit.Query, format string) error {
	out := &late{w: w, header: func(h http.Header) {
		h.Set("Content-Type", audit.ContentType(format))
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Disposition", `attachment; filename="audit.`+format+`"`)
	}}
	write, end := audit.Export(out, format)
	// A long audit takes longer than the server's deadline for answers that are ready.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return syncerr.Wrap(syncerr.Internal, "export audit", err)
	}
	err := s.control(r).EachAudit(r.Context(), query, write)
	if err == nil {
		err = end()
	}
	if err != nil && out.begun {
		panic(http.ErrAbortHandler)
	}
	return err
}

// late writes the header with the first byte, so that what fails before it is answered as an error.
type late struct {
	w      http.ResponseWriter
	header func(http.Header)
	begun  bool
}

func (l *late) Write(b []byte) (int, error) {
	if !l.begun {
		l.begun = true
		l.header(l.w.Header())
	}
	return l.w.Write(b)
}

func (s *Server) controlAuditRecord(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return syncerr.New(syncerr.Invalid, "show audit", "%.40q is not the number of a row", r.PathValue("id"))
	}
	v, err := s.control(r).ShowAudit(r.Context(), id)
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) controlRun(w http.ResponseWriter, r *http.Request) error {
	v, err := s.control(r).RunRecord(r.Context(), r.PathValue("id"))
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) controlParked(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := limitOf(q)
	if err != nil {
		return err
	}
	key, err := keyOf(q)
	if err != nil {
		return err
	}
	v, err := s.control(r).Parked(r.Context(), control.ParkedQuery{
		State: q.Get("state"), Direction: q.Get("direction"), Key: key, UUID: q.Get("uuid"), Cause: q.Get("cause"), Limit: limit,
	})
	return answer(w, http.StatusOK, v, err)
}

// controlReconsider answers POST /control/v1/parked/retry, give-up and take-up.
func (s *Server) controlReconsider(w http.ResponseWriter, r *http.Request) error {
	ctl := s.control(r)
	do, done := ctl.RetryParked, "retried"
	switch r.PathValue("what") {
	case "retry":
	case "give-up":
		do, done = ctl.GiveUpParked, "givenUp"
	case "take-up":
		do, done = ctl.TakeUpParked, "takenUp"
	default:
		return syncerr.New(syncerr.NotFound, "parked", "there is no %.40q, only retry, give-up and take-up", r.PathValue("what"))
	}
	var call control.ParkedChoice
	if err := readCall(w, r, &call); err != nil {
		return err
	}
	n, err := do(r.Context(), call)
	return answer(w, http.StatusOK, map[string]int{done: n}, err)
}
