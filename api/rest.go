package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// restBases are the addresses of the REST API of documents that have no FHIR form; the second is the alias that links in an OpenMRS
// feed use (DESIGN.md section 6).
func restBases() []string { return []string{"/rest/v1", "/ws/rest/v1"} }

const restJSON = "application/json; charset=utf-8"

// registerREST mounts the REST API. Its clients are those of OpenMRS: they read errors in its form.
func (s *Server) registerREST(mux *http.ServeMux) {
	for _, base := range restBases() {
		for _, r := range []route{
			{"GET " + base + "/{type}", s.restList, forRecords},
			{"POST " + base + "/{type}", s.restCreate, forApps},
			{"GET " + base + "/{type}/{id}", s.restRead, forRecords},
			{"POST " + base + "/{type}/{id}", s.restChange, forApps},
			{"PUT " + base + "/{type}/{id}", s.restReplace, forApps},
			{"DELETE " + base + "/{type}/{id}", s.restDelete, forApps},
			{"GET " + base + "/{type}/{id}/_history/{version}", s.restVersion, forRecords},

			{base + "/{type}", allow("GET, HEAD, POST"), forRecords},
			{base + "/{type}/{id}", allow("GET, HEAD, POST, PUT, DELETE"), forRecords},
			{base + "/", restUnknown, forRecords},
		} {
			mux.Handle(r.pattern, s.adapt(r.handler, r.need, s.writeRESTError))
		}
	}
}

// restUnknown answers for what is under the REST base and nothing: parts of a document have no address of their own.
func restUnknown(_ http.ResponseWriter, r *http.Request) error {
	return syncerr.New(syncerr.NotFound, "call", "there is nothing at %.200q", r.URL.Path).WithHint("Documents are at /rest/v1/{resource}/{uuid}, whole")
}

// writeRESTError answers as OpenMRS does: its clients show error.message (webservices.rest, RestUtil.wrapErrorResponse).
func (s *Server) writeRESTError(w http.ResponseWriter, r *http.Request, status int, err error) {
	kind, text := syncerr.KindOf(err), err.Error()
	if kind == syncerr.Internal {
		text = "the server met an error of its own; its log has the cause"
	}
	type body struct {
		Message string `json:"message"`
		Code    string `json:"code"`
		Detail  string `json:"detail"`
	}
	b, _ := json.Marshal(map[string]body{"error": {strings.ToValidUTF8(text, "?"), kind.String(), ""}}) // strings always have a JSON form
	w.Header().Del("Content-Encoding")
	send(w, r, status, restJSON, b)
}

// restType returns the REST type that the URL names.
func restType(r *http.Request) (string, error) {
	t := r.PathValue("type")
	if fhir.IsREST(t) {
		return t, nil
	}
	err := syncerr.New(syncerr.NotFound, "call", "%.60q is no REST resource of this server", t)
	if f, ok := fhir.CanonicalType(t); ok {
		return "", err.WithHint("%s has a FHIR form: it is at %s/%s", f, fhirBases()[0], f)
	}
	return "", err.WithHint("The name of a REST resource is 1 to 32 of a-z, 0-9 and -, beginning with a letter")
}

// restKey returns the key that the URL names: NotFound for no REST type, Invalid for a malformed uuid.
func restKey(r *http.Request) (fhir.Key, error) {
	t, err := restType(r)
	if err != nil {
		return fhir.Key{}, err
	}
	k := fhir.Key{Type: t, ID: r.PathValue("id")}
	return k, k.Validate()
}

// restBody reads the document of a write. Its uuid, where it has one, must be that of the URL, where that has one.
func (s *Server) restBody(w http.ResponseWriter, r *http.Request, k fhir.Key) (fhir.Resource, error) {
	if err := acceptsJSON(r); err != nil {
		return fhir.Resource{}, err
	}
	// White space is not kept, so it does not count.
	body, err := readBody(w, r, "document", s.bundleLimit())
	if err != nil {
		return fhir.Resource{}, err
	}
	doc, err := fhir.ParseREST(k.Type, body, 0)
	switch {
	case err != nil:
		return doc, err
	case len(doc.Body) > s.resourceLimit():
		return doc, syncerr.New(syncerr.TooLarge, "read document", "%d bytes, the limit is %d", len(doc.Body), s.resourceLimit())
	case k.ID != "" && doc.Key.ID != "" && doc.Key.ID != k.ID:
		return doc, syncerr.New(syncerr.Invalid, "read document", "uuid: the body says %s, the URL says %s", doc.Key.ID, k.ID)
	}
	return doc, nil
}

// restRead answers the current document, byte for byte as it was written.
func (s *Server) restRead(w http.ResponseWriter, r *http.Request) error {
	k, err := restKey(r)
	if err != nil {
		return err
	}
	if err := acceptsJSON(r); err != nil {
		return err
	}
	c, err := s.restCurrent(r.Context(), k)
	if err != nil {
		restHeaders(w.Header(), c.Current) // of a deleted one
		return err
	}
	if h := r.Header.Get("If-None-Match"); h != "" && matches(h, `"`+c.Stamp.Version.String()+`"`) {
		restHeaders(w.Header(), c.Current)
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	restAnswer(w, r, http.StatusOK, c)
	return nil
}

// restCurrent returns the current copy of a key, or NotFound, or Gone with the copy that deleted it.
func (s *Server) restCurrent(ctx context.Context, k fhir.Key) (store.Copy, error) {
	c, ok, err := s.engine.Store().Get(ctx, k)
	switch {
	case err != nil:
		return store.Copy{}, err
	case !ok:
		return store.Copy{}, syncerr.New(syncerr.NotFound, "read", "%s does not exist", k)
	}
	_, err = alive(c)
	return c, err
}

// restVersion answers one version of a document: what FHIR calls vread, for clients that fetch what a feed tells of.
func (s *Server) restVersion(w http.ResponseWriter, r *http.Request) error {
	k, err := restKey(r)
	if err != nil {
		return err
	}
	if err := acceptsJSON(r); err != nil {
		return err
	}
	text := r.PathValue("version")
	missing := syncerr.New(syncerr.NotFound, "read", "%s has no version %.80q", k, text)
	v, err := version.Parse(text)
	if err != nil {
		return missing
	}
	var c store.Copy
	var ok bool
	err = s.engine.Store().Read(r.Context(), func(rd *store.Reader) error {
		var err error
		c, ok, err = rd.Version(k, v)
		return err
	})
	switch {
	case err != nil:
		return err
	case !ok:
		return missing
	}
	if _, err := alive(c); err != nil {
		restHeaders(w.Header(), c.Current)
		return err
	}
	restAnswer(w, r, http.StatusOK, c)
	return nil
}

// restCreate writes a new document, under the uuid that it has or one that is made here.
func (s *Server) restCreate(w http.ResponseWriter, r *http.Request) error {
	t, err := restType(r)
	if err != nil {
		return err
	}
	doc, err := s.restBody(w, r, fhir.Key{Type: t})
	if err != nil {
		return err
	}
	return s.restWrite(w, r, engine.Write{Op: engine.Create, Key: doc.Key, Body: doc})
}

// restReplace writes a whole document, the first one under its uuid included.
func (s *Server) restReplace(w http.ResponseWriter, r *http.Request) error {
	k, err := restKey(r)
	if err != nil {
		return err
	}
	doc, err := s.restBody(w, r, k)
	if err != nil {
		return err
	}
	wr := engine.Write{Op: engine.Update, Key: k, Body: doc}
	if wr.IfMatch, err = readTag(r.Header.Get("If-Match")); err != nil {
		return err
	}
	if wr.IfNone, err = readNone(r.Header.Get("If-None-Match")); err != nil {
		return err
	}
	return s.restWrite(w, r, wr)
}

// restTries is how often a change is put onto a newer copy when another writer was faster.
const restTries = 10

// restChange updates as OpenMRS does: the members of the body take the place of those of the document, all others stay. A body that
// says {"deleted": "false"} or {"voided": false} and nothing else brings a deleted document back (RESTWS-702).
func (s *Server) restChange(w http.ResponseWriter, r *http.Request) error {
	k, err := restKey(r)
	if err != nil {
		return err
	}
	change, err := s.restBody(w, r, k)
	if err != nil {
		return err
	}
	tag, err := readTag(r.Header.Get("If-Match"))
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		wr, err := s.changed(r.Context(), k, change)
		if err != nil {
			return err
		}
		current := tag == "" || tag == engine.AnyVersion // what it stands on is there, or it would not have been read
		other := current && try < restTries
		if !current {
			wr.IfMatch = tag
		}
		if err = s.restWrite(w, r, wr); syncerr.KindOf(err) != syncerr.Precondition || !other {
			return err
		}
	}
}

// changed is the write that an update asks for, standing on the copy that is there now.
func (s *Server) changed(ctx context.Context, k fhir.Key, change fhir.Resource) (engine.Write, error) {
	wr := engine.Write{Op: engine.Update, Key: k}
	c, err := s.restCurrent(ctx, k)
	back := revives(change.Body)
	if syncerr.KindOf(err) == syncerr.Gone && c.Stamp.Deleted && back {
		if c, err = s.lastLive(ctx, c); err != nil {
			return wr, err
		}
		wr.Body, err = fhir.ParseREST(k.Type, c.Body, 0)
		wr.IfMatch = c.Stamp.Version.String()
		return wr, err
	}
	if err != nil {
		return wr, err
	}
	wr.IfMatch = c.Stamp.Version.String()
	if wr.Body, err = fhir.ParseREST(k.Type, c.Body, 0); err != nil || back && change.Member("deleted") != nil {
		return wr, err // it is not deleted: nothing is to be brought back
	}
	wr.Body, err = wr.Body.Merge(change)
	return wr, err
}

// revives reports whether a body asks for nothing but to bring a document back.
func revives(body []byte) bool {
	switch string(body) {
	case `{"deleted":"false"}`, `{"deleted":false}`, `{"voided":false}`, `{"retired":false}`:
		return true
	}
	return false
}

// lastLive returns the tombstone with the last content before it.
func (s *Server) lastLive(ctx context.Context, tomb store.Copy) (store.Copy, error) {
	const versions = 100
	err := s.engine.Store().Read(ctx, func(rd *store.Reader) error {
		past, err := rd.History(tomb.Key, 0, versions)
		for _, c := range past {
			if !c.Stamp.Deleted && c.Body != nil {
				tomb.Body = c.Body
				break
			}
		}
		return err
	})
	if err == nil && tomb.Body == nil {
		err = syncerr.New(syncerr.Gone, "bring back", "no content of %s is kept any more", tomb.Key).WithHint("Write it anew with PUT")
	}
	return tomb, err
}

// restDelete deletes a document. There is no purge: what was once passed on cannot be taken out of other nodes' histories, so whoever
// asks for that is told, and nothing is deleted.
func (s *Server) restDelete(w http.ResponseWriter, r *http.Request) error {
	k, err := restKey(r)
	if err != nil {
		return err
	}
	if p := r.URL.Query().Get("purge"); p != "" && p != "false" {
		return syncerr.New(syncerr.Invalid, "delete "+k.String(), "purge: this server keeps what a document was, so that other nodes learn of the deletion").
			WithHint("Delete without purge; history.keep in the configuration says for how long old contents are kept")
	}
	tag, err := readTag(r.Header.Get("If-Match"))
	if err != nil {
		return err
	}
	if _, err := s.restCurrent(r.Context(), k); syncerr.KindOf(err) == syncerr.NotFound {
		return err
	}
	return s.restWrite(w, r, engine.Write{Op: engine.Delete, Key: k, IfMatch: tag})
}

// restWrite carries out a write and answers with what became of it.
func (s *Server) restWrite(w http.ResponseWriter, r *http.Request, wr engine.Write) error {
	out, err := s.engine.Author(r.Context(), callerOf(r.Context()).Name, []engine.Write{wr})
	if err != nil {
		return err
	}
	done := out[0]
	c := store.Copy{Key: done.Key, Body: done.Body.Body, Current: store.Current{Stamp: done.Stamp, Committed: done.Committed}}
	status := http.StatusOK
	switch {
	case wr.Op == engine.Delete:
		restHeaders(w.Header(), c.Current)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
		return nil
	case done.Created:
		status = http.StatusCreated
		w.Header().Set("Location", s.origin(r)+restBase(r)+"/"+done.Key.String())
	case done.Unchanged:
		// The content is equal, its bytes need not be: show those that are kept.
		if now, ok, err := s.engine.Store().Get(r.Context(), done.Key); err != nil {
			return err
		} else if ok && now.Stamp.Version == done.Stamp.Version {
			c = now
		}
	}
	restAnswer(w, r, status, c)
	return nil
}

func restAnswer(w http.ResponseWriter, r *http.Request, status int, c store.Copy) {
	restHeaders(w.Header(), c.Current)
	send(w, r, status, restJSON, c.Body)
}

// restHeaders tells version and time of a copy; the document itself has no place for them.
func restHeaders(h http.Header, c store.Current) {
	if c.Stamp.Version == (version.Version{}) {
		return
	}
	h.Set("ETag", etag(c.Stamp.Version.String()))
	h.Set("Last-Modified", time.UnixMilli(c.Committed).UTC().Format(http.TimeFormat))
	h.Set("Tributary-Committed", strconv.FormatInt(c.Committed, 10)) // the same in milliseconds: there is no meta that could tell it
}

// restBase returns the base by which the caller came: links in an answer lead back the same way.
func restBase(r *http.Request) string {
	if strings.HasPrefix(r.URL.Path, restBases()[1]+"/") {
		return restBases()[1]
	}
	return restBases()[0]
}
