package api

import (
	"net/http"
	"strings"

	"github.com/tributary-sync/tributary/control"
)

// controlSettings says what is synchronised. The ETag is the basis of a change.
func (s *Server) controlSettings(w http.ResponseWriter, r *http.Request) error {
	v, err := s.control(r).Settings(r.Context())
	return answerSettings(w, v, err)
}

func answerSettings(w http.ResponseWriter, v control.Settings, err error) error {
	if err == nil {
		w.Header().Set("ETag", `"`+v.Basis+`"`)
	}
	return answer(w, http.StatusOK, v, err)
}

// settingsChange reads a change. If-Match gives the basis where the body does not (RFC 9110 section 13.1.1).
func settingsChange(w http.ResponseWriter, r *http.Request) (control.SettingsChange, error) {
	var call control.SettingsChange
	err := readCall(w, r, &call)
	if call.Basis == "" {
		call.Basis = strings.Trim(r.Header.Get("If-Match"), `"`)
	}
	return call, err
}

// controlPreviewSettings says what a change would do.
func (s *Server) controlPreviewSettings(w http.ResponseWriter, r *http.Request) error {
	call, err := settingsChange(w, r)
	if err != nil {
		return err
	}
	v, err := s.control(r).PreviewSettings(r.Context(), call)
	return answer(w, http.StatusOK, v, err)
}

// controlChangeSettings makes the node synchronise something else.
func (s *Server) controlChangeSettings(w http.ResponseWriter, r *http.Request) error {
	call, err := settingsChange(w, r)
	if err != nil {
		return err
	}
	v, err := s.control(r).ChangeSettings(r.Context(), call)
	return answerSettings(w, v, err)
}
