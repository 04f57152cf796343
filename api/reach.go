package api

import (
	"net/http"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/store"
)

// The header by which a child says up to where it was told how far its changes have come up, and by which it is told more.
const reachedHeader = "Tributary-Reached"

// tellReached puts into the answer what a child does not know yet of how far its changes, and those of the nodes below it, have come up: to this
// node and to those above it. It is a header, so that an exchange which has nothing else to tell costs nothing.
func (s *Server) tellReached(w http.ResponseWriter, r *http.Request) error {
	c, text := callerOf(r.Context()), r.Header.Get(reachedHeader)
	if c.Kind != Child || text == "" {
		return nil
	}
	since, err := feed.ParseReachMark(text)
	if err != nil {
		return s.impossible(r, "tell what has come up", err)
	}
	var what feed.Reached
	var news bool
	err = s.engine.Store().Read(r.Context(), func(rd *store.Reader) error {
		var err error
		what, news, err = rd.ReachedSince(c.ID, since)
		return err
	})
	if err != nil || !news {
		return err
	}
	told, err := what.Text()
	if err != nil {
		return err
	}
	header, err := s.deps.Pool.Header(told)
	w.Header().Set(reachedHeader, header)
	return err
}
