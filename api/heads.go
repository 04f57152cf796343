package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// The header by which a child says what it remembers of this node's log, and the one by which this node tells it with receipts.
const (
	sawHeader  = "Tributary-Saw"
	headHeader = "Tributary-Head"
)

// sealed returns a log head as a child is to remember it: with a tag that only this node can make, so that nobody else can make it believe
// that it is an older copy of itself.
func (s *Server) sealed(h store.LogHead) string {
	text := h.String()
	if text == "" {
		return ""
	}
	m := hmac.New(sha256.New, s.deps.Secret)
	m.Write([]byte("log head " + text))
	return text + ":" + hex.EncodeToString(m.Sum(nil)[:16])
}

// unsealed returns the log head of what sealed made; false for anything else.
func (s *Server) unsealed(text string) (store.LogHead, bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 || len(text) > feed.MaxHead {
		return store.LogHead{}, false
	}
	h, err := store.ParseLogHead(text[:i])
	return h, err == nil && !h.IsZero() && hmac.Equal([]byte(s.sealed(h)), []byte(text))
}

// told returns this node's log head as a child is to remember it.
func (s *Server) told(r *store.Reader) (string, error) {
	seq, err := r.Head()
	if err != nil || seq == 0 {
		return "", err
	}
	h, _, err := r.LogHead(r.Identity().Epoch, seq)
	return s.sealed(h), err
}

// recalled holds what a child remembers of this node's log against the log. Where the log lacks it, this database is an older copy of itself
// that nobody noticed (the whole machine was put back): it takes a new replica and a new log before anything is exchanged, and the child is
// told to begin anew (DESIGN.md 4.3). What this node did not make is not looked at: its keys may be new ones. It returns the sequence up
// to which the child and this log agree, 0 where the child says nothing.
func (s *Server) recalled(r *http.Request, c Caller) (uint64, error) {
	h, ok := s.unsealed(r.Header.Get(sawHeader))
	if !ok {
		return 0, nil
	}
	if has, err := s.has(r, h); err != nil || has {
		if h.Epoch != s.engine.Store().Identity().Epoch {
			h.Seq = 0 // of a log that this one followed
		}
		return h.Seq, err
	}
	s.restoring.Lock()
	defer s.restoring.Unlock()
	if has, err := s.has(r, h); err != nil || has { // found by another request meanwhile
		return 0, err
	}
	agreed, err := s.engine.Store().Agreed(r.Context(), c.Name)
	if err != nil {
		return 0, err
	}
	why := "child " + c.Name + " remembers its change " + h.Cursor.String() + ", which it does not have"
	if err := s.deps.Restored(r.Context(), why, h.Epoch, agreed); err != nil {
		return 0, err
	}
	s.noteRefusal(r, c, http.StatusConflict, syncerr.New(syncerr.EpochChanged, "sync", "%s", why))
	return 0, syncerr.New(syncerr.EpochChanged, "sync", "this node was restored and has a new log")
}

// has reports whether this node's log still has the past that a head was made of.
func (s *Server) has(r *http.Request, h store.LogHead) (has bool, err error) {
	err = s.engine.Store().Read(r.Context(), func(rd *store.Reader) error {
		has, err = rd.Has(h)
		return err
	})
	return has, err
}
