package api

import "net/http"

// healthz says that the process lives.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) error {
	send(w, r, http.StatusOK, "text/plain; charset=utf-8", []byte("ok\n"))
	return nil
}

// readyz says that the database answers, too.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	if err := s.engine.Store().Ping(r.Context()); err != nil {
		return err
	}
	send(w, r, http.StatusOK, "text/plain; charset=utf-8", []byte("ok\n"))
	return nil
}
