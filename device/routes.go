package device

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/syncerr"
)

// Register mounts everything that this package answers.
func (s *Server) Register(mux *http.ServeMux) {
	for pattern, h := range map[string]Handler{
		"POST /v2/sync/start":                s.start,
		"GET /v2/sync/{session}/queues/main": s.queue,
		"POST /v2/sync/ack":                  s.ack,
		"/v2/sync/":                          unknown,
	} {
		mux.Handle(pattern, s.deps.Guard(h, writeError))
	}
}

func unknown(_ http.ResponseWriter, r *http.Request) error {
	return syncerr.New(syncerr.NotFound, "call", "there is nothing at %.10s %.200q", r.Method, r.URL.Path).
		WithHint("There are POST /v2/sync/start, GET /v2/sync/{session}/queues/main and POST /v2/sync/ack")
}

// The headers by which a device names itself: ours, and that of the Base Sync API.
const (
	headerID     = "X-Tributary-Device-UUID"
	headerBaseID = "X-Basecrm-Device-UUID"
	maxID        = 64
)

// deviceID returns the id under which the device comes. It returns an Invalid error where it is missing, or two that differ are given.
func deviceID(r *http.Request) (string, error) {
	id := ""
	for _, name := range []string{headerID, headerBaseID} {
		for _, v := range r.Header.Values(name) {
			v = strings.TrimSpace(v)
			if v != "" && id != "" && v != id {
				return "", syncerr.New(syncerr.Invalid, "read device id", "two of them are given").WithHint("Send %s once", headerID)
			}
			if v != "" {
				id = v
			}
		}
	}
	printable := func(c rune) bool { return c < '!' || c > '~' }
	if id == "" || len(id) > maxID || strings.ContainsFunc(id, printable) {
		return "", syncerr.New(syncerr.Invalid, "read device id", "the header %s is missing, or is not 1 to %d visible characters", headerID, maxID).
			WithHint("Make a UUID when the app is installed, keep it, and send it with every call")
	}
	return id, nil
}

// writeError answers in the envelope of the Base API.
func writeError(w http.ResponseWriter, _ *http.Request, status int, err error) {
	type message struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Details string `json:"details,omitempty"`
	}
	m := message{Code: syncerr.KindOf(err).String(), Message: err.Error()}
	if syncerr.KindOf(err) == syncerr.Internal {
		m.Message = "the server met an error of its own; its log has the cause"
	}
	type wrapped struct {
		Error message `json:"error"`
	}
	body, jerr := json.Marshal(map[string]any{
		"errors": []wrapped{{m}}, "meta": map[string]any{"type": "errors_list", "http_status": strconv.Itoa(status) + " " + http.StatusText(status)},
	})
	if jerr != nil {
		panic("bug: an error cannot be written as JSON: " + jerr.Error())
	}
	send(w, status, body)
}

func send(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error means that the device has gone: it gets again what it does not acknowledge
}

func answer(w http.ResponseWriter, status int, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // resources go out as they were written
	if err := e.Encode(v); err != nil {
		return syncerr.Wrap(syncerr.Internal, "write answer", err)
	}
	send(w, status, b.Bytes())
	return nil
}
