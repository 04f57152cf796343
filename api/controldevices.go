package api

import "net/http"

func (s *Server) controlDevices(w http.ResponseWriter, r *http.Request) error {
	v, err := s.control(r).Devices(r.Context())
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) controlAddDevice(w http.ResponseWriter, r *http.Request) error {
	var call struct {
		Name  string   `json:"name"`
		Scope []string `json:"scope"`
	}
	if err := readCall(w, r, &call); err != nil {
		return err
	}
	v, err := s.control(r).AddDevice(r.Context(), call.Name, call.Scope)
	return answer(w, http.StatusCreated, v, err)
}

func (s *Server) controlSetDevice(w http.ResponseWriter, r *http.Request) error {
	var call struct {
		Scope []string `json:"scope"`
	}
	if err := readCall(w, r, &call); err != nil {
		return err
	}
	v, err := s.control(r).SetDevice(r.Context(), r.PathValue("name"), call.Scope)
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) controlRemoveDevice(w http.ResponseWriter, r *http.Request) error {
	if err := s.control(r).RemoveDevice(r.Context(), r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
