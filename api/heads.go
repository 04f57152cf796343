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

// sealed returns what a child is to remember: a text with a tag that only this node can make, so that nobody else can make it believe that
// it is an older copy of itself.
func (s *Server) sealed(text string) string {
	h := hmac.New(sha256.New, s.deps.Secret)
	h.Write([]byte("log head " + text))
	return text + ":" + hex.EncodeToString(h.Sum(nil)[:16])
}

// unsealed returns the head of a text that sealed made; false for anything else.
func (s *Server) unsealed(text string) (store.LogHead, bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 || len(text) > feed.MaxHead || !hmac.Equal([]byte(s.sealed(text[:i])), []byte(text)) {
		return store.LogHead{}, false
	}
	h, err := store.ParseLogHead(text[:i])
	return h, err == nil && !h.IsZero()
}

// told returns this node's log head as a child is to remember it, "" for an empty log.
func (s *Server) told(r *store.Reader) (string, error) {
	h, err := r.Telling()
	if err != nil || h.IsZero() {
		return "", err
	}
	return s.sealed(h.String()), nil
}

// recalled holds what a child remembers of this node's log against the log. Where the log lacks it, this database is an older copy of itself
// that nobody noticed (the whole machine was put back): it takes a new replica and a new log before anything is exchanged, and the child is
// told to begin anew (DESIGN.md 4.3). What this node did not make is not looked at: its keys may be new ones. It returns the sequence up
// to which the child and this log agree, 0 where that is not known.
func (s *Server) recalled(r *http.Request, c Caller) (uint64, error) {
	m, ok := s.unsealed(r.Header.Get(sawHeader))
	if !ok {
		return 0, nil
	}
	if has, err := s.has(r, m); err != nil || has {
		return s.agreed(m), err
	}
	s.restoring.Lock()
	defer s.restoring.Unlock()
	if has, err := s.has(r, m); err != nil || has { // found by another request meanwhile
		return 0, err
	}
	st := s.engine.Store()
	if now := st.Identity().Epoch; m.Epoch != now && !m.Follows(now) {
		// Another life that began at an earlier copy, and was put back as this one was found: it gave none of this replica's versions.
		return 0, st.Write(r.Context(), func(tx *store.Tx) error { return tx.PassEpoch(m.Epoch) })
	}
	var agreed uint64
	err := st.Read(r.Context(), func(rd *store.Reader) error {
		var err error
		agreed, err = rd.AgreedMost()
		return err
	})
	if err != nil {
		return 0, err
	}
	why := "child " + c.Name + " remembers its change " + m.Cursor.String() + ", which it does not have"
	if err := s.deps.Restored(r.Context(), why, m.Epoch, agreed); err != nil {
		return 0, err
	}
	s.noteRefusal(r, c, http.StatusConflict, syncerr.New(syncerr.EpochChanged, "sync", "%s", why))
	return 0, syncerr.New(syncerr.EpochChanged, "sync", "this node was restored and has a new log")
}

// agreed returns the sequence of a head that this log has, 0 for one of a log that this one followed.
func (s *Server) agreed(m store.LogHead) uint64 {
	if m.Epoch != s.engine.Store().Identity().Epoch {
		return 0
	}
	return m.Seq
}

// has reports whether this node's log still has the past that a head was made of.
func (s *Server) has(r *http.Request, h store.LogHead) (has bool, err error) {
	err = s.engine.Store().Read(r.Context(), func(rd *store.Reader) error {
		has, err = rd.Has(h)
		return err
	})
	return has, err
}
