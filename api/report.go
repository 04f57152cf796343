package api

import (
	"net/http"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/store"
)

// The header by which a child says how it stands and how the nodes below it stand, and the one by which it learns that this was taken.
const (
	reportHeader   = "Tributary-Report"
	reportedHeader = "Tributary-Reported"
)

// takeReports stores what a child reports. What no node can mean is refused, and audited; the exchange goes on.
func (s *Server) takeReports(w http.ResponseWriter, r *http.Request) error {
	c, header := callerOf(r.Context()), r.Header.Get(reportHeader)
	if c.Kind != Child || header == "" {
		return nil
	}
	text, err := s.deps.Pool.FromHeader(header)
	var m feed.Reports
	if err == nil {
		m, err = feed.ParseReports(text)
	}
	if err != nil {
		s.noteRefusal(r, c, http.StatusBadRequest, err)
		w.Header().Set(reportedHeader, "refused")
		return nil
	}
	if err := s.engine.Store().Write(r.Context(), func(tx *store.Tx) error { return tx.TakeReports(c.ID, m) }); err != nil {
		return err
	}
	w.Header().Set(reportedHeader, "yes")
	return nil
}
