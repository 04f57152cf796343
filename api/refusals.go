package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/tributary-sync/tributary/audit"
)

// maxRefusals bounds the audit rows for refused calls in one minute: whoever has no credential must not be able to fill the
// disk. Those beyond it are counted, and the next row says how many.
const maxRefusals = 60

type refusals struct {
	mu      sync.Mutex
	minute  int64
	written int
	left    int
}

// take reports whether a row may be written, and how many were left out since the last one.
func (f *refusals) take(minute int64) (left int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.minute != minute {
		f.minute, f.written = minute, 0
	}
	if f.written >= maxRefusals {
		f.left++
		return 0, false
	}
	f.written++
	left, f.left = f.left, 0
	return left, true
}

// noteRefusal audits a call that was turned away. It never fails the answer: a refusal stands, whether or not the database
// is there.
func (s *Server) noteRefusal(r *http.Request, c Caller, status int, err error) {
	left, ok := s.refusals.take(s.clock().Unix() / 60)
	if !ok {
		return
	}
	details := err.Error()
	if left > 0 {
		details += fmt.Sprintf(" (and %d more that have no row of their own)", left)
	}
	peer := c.Name
	if from, ok := remote(r); ok && peer == "" {
		peer = from.String()
	}
	note := s.engine.Note(context.WithoutCancel(r.Context()), audit.Record{
		Operation: audit.Refuse, Outcome: audit.Refused, Action: methodOf(r), URL: strings.ToValidUTF8(r.URL.Path, "?"), Peer: peer, HTTPStatus: status,
		LocalURL: s.deps.URL, Details: details,
	})
	if note != nil {
		s.log.Warn("audit of a refused call", "error", note)
	}
}
