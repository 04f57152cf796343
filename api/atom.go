package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// registerAtom mounts the Atom feed: the contract that anyone can read (DESIGN.md section 6).
func (s *Server) registerAtom(mux *http.ServeMux) {
	mux.Handle("GET /ws/atomfeed/{category}/{page}", s.handle(s.atomPage, forReaders))
}

// atomPage serves /recent and /{n} of a category, which is "all" or a resource type with case ignored. Only URLs that carry
// the present epoch and a page that is full are immutable; all others are to be asked for again (RFC 9111 section 5.2.2).
func (s *Server) atomPage(w http.ResponseWriter, r *http.Request) error {
	category, resourceType := strings.ToLower(r.PathValue("category")), ""
	if category != feed.CategoryAll {
		var ok bool
		if resourceType, ok = fhir.CategoryType(category); !ok {
			return syncerr.New(syncerr.NotFound, "read feed", "there is no category %.60q", category).
				WithHint("Use all or a resource type, for example /ws/atomfeed/patient/recent")
		}
	}
	recent := r.PathValue("page") == "recent"
	number := 0
	if !recent {
		n, err := strconv.Atoi(r.PathValue("page"))
		if err != nil || n < 1 || n > math.MaxInt32 {
			return syncerr.New(syncerr.NotFound, "read feed", "page %.40q is neither recent nor a number from 1", r.PathValue("page"))
		}
		number = n
	}
	st := s.engine.Store()
	id := st.Identity()
	epoch := r.URL.Query().Get("epoch")
	if epoch != "" && epoch != id.Epoch {
		return syncerr.New(syncerr.Gone, "read feed", "the log %.40q is no more, the present one is %s", epoch, id.Epoch).
			WithHint("Start again at /ws/atomfeed/%s/recent", category)
	}
	var page store.Page
	err := st.Read(r.Context(), func(rd *store.Reader) error {
		var err error
		page, err = rd.AtomPage(resourceType, number)
		return err
	})
	if err != nil {
		return err
	}
	body, err := s.renderAtom(category, recent, page)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	etag := `"` + hex.EncodeToString(sum[:16]) + `"`
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", "no-cache")
	if epoch != "" && !recent && page.Number < page.Last {
		w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	if matches(r.Header.Get("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("Content-Type", feed.AtomContentType)
	_, err = w.Write(body)
	return err
}

func (s *Server) renderAtom(category string, recent bool, page store.Page) ([]byte, error) {
	id := s.engine.Store().Identity()
	p := feed.AtomPage{
		Base: s.deps.URL, Category: category, Number: max(page.Number, 1), Recent: recent, Last: page.Number == page.Last, Epoch: id.Epoch,
		NodeName: id.Name, PageSize: id.PageSize,
	}
	for _, row := range page.Rows {
		p.Events = append(p.Events, row.Event)
		p.Updated = max(p.Updated, row.Committed)
	}
	var b bytes.Buffer
	if err := feed.WriteAtom(&b, p); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// matches reports whether an If-None-Match header names an entity tag (RFC 9110 section 13.1.2).
func matches(header, etag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		if t := strings.TrimSpace(part); t == "*" || strings.TrimPrefix(t, "W/") == etag {
			return true
		}
	}
	return false
}
