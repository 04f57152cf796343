package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// registerControl mounts what the command line does, for operators only. The answers are the values of package control as
// JSON, the same that --json prints. Without a Control there is nothing to mount.
func (s *Server) registerControl(mux *http.ServeMux) {
	if s.deps.Control == nil {
		return
	}
	for pattern, h := range map[string]handler{
		"GET /control/v1/status":                    s.controlStatus,
		"GET /control/v1/network":                   s.controlNetwork,
		"GET /control/v1/charts":                    s.controlCharts,
		"GET /control/v1/runs":                      s.controlRuns,
		"GET /control/v1/runs/{id}":                 s.controlRun,
		"GET /control/v1/audit":                     s.controlAudit,
		"GET /control/v1/audit/{id}":                s.controlAuditRecord,
		"GET /control/v1/conflicts":                 s.controlConflicts,
		"GET /control/v1/conflicts/{uuid}":          s.controlConflict,
		"POST /control/v1/conflicts/{uuid}/resolve": s.controlResolve,
		"POST /control/v1/conflicts/resolve":        s.controlResolveByRule,
		"GET /control/v1/parked":                    s.controlParked,
		"POST /control/v1/parked/{what}":            s.controlReconsider,
		"GET /control/v1/held":                      s.controlHeld,
		"GET /control/v1/children":                  s.controlChildren,
		"POST /control/v1/children":                 s.controlAddChild,
		"DELETE /control/v1/children/{name}":        s.controlRemoveChild,
		"GET /control/v1/devices":                   s.controlDevices,
		"POST /control/v1/devices":                  s.controlAddDevice,
		"PUT /control/v1/devices/{name}":            s.controlSetDevice,
		"DELETE /control/v1/devices/{name}":         s.controlRemoveDevice,
		"GET /control/v1/explain/{type}/{id}":       s.controlExplain,
		"GET /control/v1/doctor":                    s.controlDoctor,
		"GET /control/v1/support":                   s.controlSupport,
		"POST /control/v1/sync":                     s.controlSync,
		"GET /control/v1/verify":                    s.controlVerifying,
		"POST /control/v1/verify":                   s.controlVerify,
		"POST /control/v1/backup":                   s.controlBackup,
		"GET /control/v1/config":                    s.controlConfig,
		"GET /control/v1/settings":                  s.controlSettings,
		"POST /control/v1/settings/preview":         s.controlPreviewSettings,
		"PUT /control/v1/settings":                  s.controlChangeSettings,
	} {
		mux.Handle(pattern, s.handle(h, forOperators))
	}
	s.registerSticks(mux)
}

// control returns the operator's door in the name of the caller, whom the audit shows for what is changed.
func (s *Server) control(r *http.Request) *control.Control {
	return s.deps.Control.As(callerOf(r.Context()).Name)
}

// maxControl bounds the body of a call in bytes: all of them are a few words.
const maxControl = 64 << 10

// answer writes a control value. It is private to who asked, and true only now.
func answer(w http.ResponseWriter, status int, v any, err error) error {
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		return syncerr.Wrap(syncerr.Internal, "write answer", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, err = w.Write(b.Bytes())
	return err
}

// readCall reads a JSON object into v; no body at all leaves v as it is. Unknown members are refused: a misspelt one would
// otherwise be a wish that nobody hears.
func readCall(w http.ResponseWriter, r *http.Request, v any) error {
	return readLarge(w, r, maxControl, v)
}

// readLarge is readCall for a body of at most limit bytes.
func readLarge(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if errors.Is(err, io.EOF) {
		return nil
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return syncerr.New(syncerr.TooLarge, "read call", "the body is larger than %d bytes", limit)
	}
	if err != nil {
		return syncerr.New(syncerr.Invalid, "read call", "the body is not the JSON object of this call: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return syncerr.New(syncerr.Invalid, "read call", "something follows the JSON object")
	}
	return nil
}

// number reads an integer of a query, 0 where it is not given.
func number(q url.Values, name string) (int64, error) {
	text := q.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, syncerr.New(syncerr.Invalid, "read query", "%s=%.40q is not a number from 0 on", name, text)
	}
	return n, nil
}

// limitOf reads limit of a query; the lists bound it themselves.
func limitOf(q url.Values) (int, error) {
	n, err := number(q, "limit")
	return int(min(n, 1<<20)), err
}

// keyOf reads resource=Type/id of a query, the zero Key where it is not given.
func keyOf(q url.Values) (fhir.Key, error) {
	if q.Get("resource") == "" {
		return fhir.Key{}, nil
	}
	return fhir.ParseKey(q.Get("resource"))
}

func (s *Server) controlStatus(w http.ResponseWriter, r *http.Request) error {
	v, err := s.control(r).Status(r.Context())
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) controlNetwork(w http.ResponseWriter, r *http.Request) error {
	v, err := s.control(r).Network(r.Context())
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) controlCharts(w http.ResponseWriter, r *http.Request) error {
	v, err := s.control(r).Charts(r.Context())
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) controlRuns(w http.ResponseWriter, r *http.Request) error {
	limit, err := limitOf(r.URL.Query())
	if err != nil {
		return err
	}
	v, err := s.control(r).Runs(r.Context(), r.URL.Query().Get("direction"), limit)
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) controlConflicts(w http.ResponseWriter, r *http.Request) error {
	limit, err := limitOf(r.URL.Query())
	if err != nil {
		return err
	}
	key, err := keyOf(r.URL.Query())
	if err != nil {
		return err
	}
	v, err := s.control(r).Conflicts(r.Context(), control.ConflictQuery{Status: r.URL.Query().Get("status"), Key: key, Limit: limit})
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) controlConflict(w http.ResponseWriter, r *http.Request) error {
	v, err := s.control(r).Conflict(r.Context(), r.PathValue("uuid"))
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) controlResolve(w http.ResponseWriter, r *http.Request) error {
	var call control.Resolution // it may have a whole resource in it
	if err := readLarge(w, r, fhir.MaxBytes+maxControl, &call); err != nil {
		return err
	}
	v, err := s.control(r).ResolveConflict(r.Context(), r.PathValue("uuid"), call)
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) controlResolveByRule(w http.ResponseWriter, r *http.Request) error {
	var call struct {
		Type string `json:"type"`
		control.Resolution
	}
	if err := readCall(w, r, &call); err != nil {
		return err
	}
	v, err := s.control(r).ResolveByRule(r.Context(), call.Type, call.Resolution)
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) controlBackup(w http.ResponseWriter, r *http.Request) error {
	var call struct {
		Path string `json:"path"`
	}
	if err := readCall(w, r, &call); err != nil {
		return err
	}
	if call.Path == "" {
		return syncerr.New(syncerr.Invalid, "back up", "path is missing").WithHint("Name a new file on the node's machine")
	}
	return answer(w, http.StatusOK, map[string]string{"path": call.Path}, s.control(r).Backup(r.Context(), call.Path))
}

func (s *Server) controlHeld(w http.ResponseWriter, r *http.Request) error {
	limit, err := limitOf(r.URL.Query())
	if err != nil {
		return err
	}
	v, err := s.control(r).Held(r.Context(), limit)
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) controlChildren(w http.ResponseWriter, r *http.Request) error {
	v, err := s.control(r).Children(r.Context())
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) controlAddChild(w http.ResponseWriter, r *http.Request) error {
	var call struct {
		Name      string `json:"name"`
		PublicKey string `json:"publicKey"`
	}
	if err := readCall(w, r, &call); err != nil {
		return err
	}
	v, err := s.control(r).AddChild(r.Context(), call.Name, call.PublicKey)
	return answer(w, http.StatusCreated, v, err)
}

func (s *Server) controlRemoveChild(w http.ResponseWriter, r *http.Request) error {
	if err := s.control(r).RemoveChild(r.Context(), r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) controlExplain(w http.ResponseWriter, r *http.Request) error {
	v, err := s.control(r).Explain(r.Context(), fhir.Key{Type: r.PathValue("type"), ID: r.PathValue("id")})
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) controlDoctor(w http.ResponseWriter, r *http.Request) error {
	v, err := s.control(r).Doctor(r.Context(), r.URL.Query().Get("full") == "true")
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) controlSync(w http.ResponseWriter, r *http.Request) error {
	var call struct {
		Direction string `json:"direction"`
	}
	if err := readCall(w, r, &call); err != nil {
		return err
	}
	// A pass may take hours; the server's deadline for writing is for answers that are ready.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return syncerr.Wrap(syncerr.Internal, "sync", err)
	}
	v, err := s.control(r).Sync(r.Context(), call.Direction)
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) controlConfig(w http.ResponseWriter, r *http.Request) error {
	v, err := s.control(r).ConfigText(r.Context())
	return answer(w, http.StatusOK, map[string]string{"config": v}, err)
}
