package api

import (
	"bytes"
	"net/http"

	"github.com/tributary-sync/tributary/syncerr"
)

// controlSupport answers with the files of a support bundle. That one was made is noted: something leaves the house.
func (s *Server) controlSupport(w http.ResponseWriter, r *http.Request) error {
	if s.deps.Support == nil {
		return syncerr.New(syncerr.Unsupported, "make support bundle", "this program makes none")
	}
	c := s.control(r)
	files, err := s.deps.Support(r.Context(), c, s.metrics.text)
	if err == nil {
		err = c.NoteSupport(r.Context())
	}
	return answer(w, http.StatusOK, files, err)
}

// text returns what /metrics answers.
func (m *metrics) text() ([]byte, error) {
	var out kept
	r, err := http.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	m.handler().ServeHTTP(&out, r)
	return out.Bytes(), nil
}

// kept keeps an answer in memory.
type kept struct {
	bytes.Buffer
	header http.Header
}

// Header returns the header that nobody reads.
func (p *kept) Header() http.Header {
	if p.header == nil {
		p.header = http.Header{}
	}
	return p.header
}

// WriteHeader is called for errors, whose text is in the body.
func (p *kept) WriteHeader(int) {}
