package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/syncerr"
)

// maxDigest bounds the body of a question about digests in bytes: feed.MaxIDs ids, each of at most 64 characters.
const maxDigest = 64 << 10

// syncDigest answers a child's comparison: what this node has, as digests of ranges (feed.DigestQuery). Nothing is changed by it.
func (s *Server) syncDigest(w http.ResponseWriter, r *http.Request) error {
	var q feed.DigestQuery
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDigest))
	if err != nil {
		return syncerr.Wrap(syncerr.Invalid, "compare", err)
	}
	if err := json.Unmarshal(b, &q); err != nil {
		return syncerr.New(syncerr.Invalid, "compare", "the body is not a question about digests: %w", err)
	}
	// Millions of copies take seconds; the server's deadline for writing is for answers that are ready.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return syncerr.Wrap(syncerr.Internal, "compare", err)
	}
	parts, err := s.engine.Store().Digest(r.Context(), q)
	if err != nil {
		return err
	}
	out, done, err := s.compressed(w, r)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(parts); err != nil {
		return syncerr.Wrap(syncerr.Internal, "compare", err)
	}
	return done()
}

// controlVerify compares this node with its parent, for an operator.
func (s *Server) controlVerify(w http.ResponseWriter, r *http.Request) error {
	var call struct {
		Repair bool `json:"repair"`
	}
	if err := readCall(w, r, &call); err != nil {
		return err
	}
	// It takes as long as both nodes need to read what they have, and the link to carry what is repaired.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return syncerr.Wrap(syncerr.Internal, "verify", err)
	}
	v, err := s.control(r).Verify(r.Context(), call.Repair)
	return answer(w, http.StatusOK, v, err)
}

// controlVerifying says how far it has come.
func (s *Server) controlVerifying(w http.ResponseWriter, r *http.Request) error {
	return answer(w, http.StatusOK, s.control(r).Verifying(), nil)
}
