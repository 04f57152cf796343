package api

import (
	"net/http"
	"time"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// reply is what a FHIR interaction answers, before it is known whether it goes out as a response or as an entry of a Bundle.
type reply struct {
	status   int
	key      fhir.Key
	version  version.Version // of the copy that the reply speaks of; zero for a Bundle
	modified int64           // when this node committed it, in milliseconds since 1970 UTC
	located  bool            // it was created or updated: say where it is
	body     []byte          // a resource with its meta; nil for none
	note     string          // what an OperationOutcome says where one was asked for
}

// replyOf answers with a copy as it stands.
func replyOf(status int, c store.Copy) (reply, error) {
	body, err := shown(c)
	return reply{status: status, key: c.Key, version: c.Stamp.Version, modified: c.Committed, body: body}, err
}

// shown returns the resource of a copy as it goes out: the bytes as they were accepted, with meta.versionId and
// meta.lastUpdated set (invariant 4).
func shown(c store.Copy) ([]byte, error) {
	r, err := fhir.ParseAs(c.Key.Type, c.Body, 0)
	if err != nil {
		return nil, syncerr.New(syncerr.Internal, "read stored "+c.Key.String(), "%v", err)
	}
	return r.WithMeta(c.Stamp.Version.String(), instant(c.Committed)), nil
}

// instant is a FHIR instant (FHIR R4 datatypes.html#instant) for milliseconds since 1970 UTC.
func instant(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// setHeaders tells version, time and place of the copy.
func (p reply) setHeaders(h http.Header, base string) {
	if p.version.IsZero() {
		return
	}
	h.Set("ETag", etag(p.version.String()))
	h.Set("Last-Modified", time.UnixMilli(p.modified).UTC().Format(http.TimeFormat))
	if p.located {
		h.Set("Location", base+"/"+p.path())
	}
}

// path is where the version is, relative to the base.
func (p reply) path() string { return p.key.String() + "/_history/" + p.version.String() }

// write sends the reply as a response. Prefer: return says what a write shows (FHIR R4 http.html#ops).
func (p reply) write(w http.ResponseWriter, r *http.Request, base string) {
	p.setHeaders(w.Header(), base)
	body, status := p.body, p.status
	if p.note != "" {
		switch preference(r.Header, "return") {
		case "minimal":
			body = nil
		case "OperationOutcome":
			body = fhir.OutcomeInfo(p.note)
			if status == http.StatusNoContent {
				status = http.StatusOK
			}
		}
	}
	if body == nil {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		return
	}
	send(w, r, status, fhirJSON, pretty(r, body))
}

// baseOf returns the address of the FHIR API as the caller sees it: links in an answer lead back the way that the caller came.
func (s *Server) baseOf(r *http.Request) string {
	path := fhirBases()[0]
	for _, b := range fhirBases() {
		if len(r.URL.Path) >= len(b) && r.URL.Path[:len(b)] == b {
			path = b
		}
	}
	return s.origin(r) + path
}

// origin returns scheme and host of this node as the caller sees them.
func (s *Server) origin(r *http.Request) string {
	if s.deps.URL != "" && !isLocal(r) {
		return s.deps.URL
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}
