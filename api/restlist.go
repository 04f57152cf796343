package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/tributary-sync/tributary/syncerr"
)

// The sizes of a page of a list, as OpenMRS has them by default (webservices.rest, RestConstants).
const (
	restPage    = 50
	maxRESTPage = 100
)

// restList answers the documents of a type by uuid, page by page, in the form of OpenMRS: {"results": [...], "links": [...]}. They are
// whole in every representation that v may ask for.
func (s *Server) restList(w http.ResponseWriter, r *http.Request) error {
	t, err := restType(r)
	if err != nil {
		return err
	}
	if err := acceptsJSON(r); err != nil {
		return err
	}
	q := r.URL.Query()
	start, limit, err := restPaging(q)
	if err != nil {
		return err
	}
	count := q.Get("totalCount") == "true"
	found, more, total, err := s.engine.Store().List(r.Context(), t, start, limit, count)
	if err != nil {
		return err
	}
	b := bytes.NewBufferString(`{"results":[`)
	for i, c := range found {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(c.Body)
	}
	b.WriteByte(']')
	type link struct {
		Rel string `json:"rel"`
		URI string `json:"uri"`
	}
	var links []link
	page := func(rel string, from, size int) {
		to := url.Values{"limit": {strconv.Itoa(size)}}
		if from > 0 {
			to.Set("startIndex", strconv.Itoa(from))
		}
		for _, keep := range []string{"v", "totalCount", "includeAll"} {
			if v := q.Get(keep); v != "" {
				to.Set(keep, v)
			}
		}
		links = append(links, link{rel, s.origin(r) + restBase(r) + "/" + t + "?" + to.Encode()})
	}
	if more {
		page("next", start+len(found), limit)
	}
	if start > 0 {
		page("prev", max(0, start-limit), limit)
	}
	if links != nil {
		text, _ := json.Marshal(links) // strings always have a JSON form
		b.WriteString(`,"links":`)
		b.Write(text)
	}
	if count {
		b.WriteString(`,"totalCount":` + strconv.FormatInt(total, 10))
	}
	b.WriteByte('}')
	send(w, r, http.StatusOK, restJSON, b.Bytes())
	return nil
}

// restPaging reads which page of a list is asked for. A search is refused: a parameter that is ignored would find what was not meant.
func restPaging(q url.Values) (start, limit int, err error) {
	limit = restPage
	bad := func(name, rule string) error {
		return syncerr.New(syncerr.Invalid, "read list", "%s: %.40q is not %s", name, q.Get(name), rule)
	}
	for name := range q {
		switch name {
		case "v", "totalCount", "includeAll", "_format", "_pretty":
		case "startIndex":
			if start, err = strconv.Atoi(q.Get(name)); err != nil || start < 0 {
				return 0, 0, bad(name, "a number from 0")
			}
		case "limit":
			if limit, err = strconv.Atoi(q.Get(name)); err != nil || limit < 1 || limit > maxRESTPage {
				return 0, 0, bad(name, "a number from 1 to "+strconv.Itoa(maxRESTPage))
			}
		default:
			return 0, 0, syncerr.New(syncerr.Invalid, "read list", "%.40q is no parameter of a list here", name).
				WithHint("Use limit, startIndex and totalCount; documents that have no FHIR form are not searched")
		}
	}
	return start, limit, nil
}
