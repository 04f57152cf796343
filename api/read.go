package api

import (
	"context"
	"net/http"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// allow answers 405 where the address exists and the method does not (RFC 9110 section 15.5.6).
func allow(methods string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Allow", methods)
		return withStatus(http.StatusMethodNotAllowed, syncerr.New(syncerr.Unsupported, "call", "%.20s is not possible here, %s are", r.Method, methods))
	}
}

// fhirUnknown answers for what is under the FHIR base and nothing.
func fhirUnknown(_ http.ResponseWriter, r *http.Request) error {
	return syncerr.New(syncerr.NotFound, "call", "there is nothing at %.200q", r.URL.Path).WithHint("/fhir/R4/metadata tells what there is")
}

// pathKey returns the key that the URL names: NotFound for an unknown type, Invalid for a malformed id.
func pathKey(r *http.Request) (fhir.Key, error) {
	t, err := pathType(r)
	if err != nil {
		return fhir.Key{}, err
	}
	k := fhir.Key{Type: t, ID: r.PathValue("id")}
	return k, k.Validate()
}

func pathType(r *http.Request) (string, error) { return knownType(r.PathValue("type")) }

func knownType(t string) (string, error) {
	if fhir.IsType(t) {
		return t, nil
	}
	err := syncerr.New(syncerr.NotFound, "call", "%.60q is not a resource type of FHIR R4", t)
	if right, ok := fhir.CanonicalType(t); ok {
		return "", err.WithHint("It is written %s", right)
	}
	return "", err
}

// fhirRead answers the current copy (FHIR R4 http.html#read).
func (s *Server) fhirRead(w http.ResponseWriter, r *http.Request) error {
	k, err := pathKey(r)
	if err != nil {
		return err
	}
	if err := acceptsJSON(r); err != nil {
		return err
	}
	base := s.baseOf(r)
	p, err := s.read(r.Context(), k)
	return p.show(w, r, base, err)
}

// show sends what was read, or only that the caller has it already.
func (p reply) show(w http.ResponseWriter, r *http.Request, base string, err error) error {
	if err != nil {
		p.setHeaders(w.Header(), base) // of a deleted one
		return err
	}
	if notModified(r.Header.Get("If-None-Match"), r.Header.Get("If-Modified-Since"), p) {
		p.setHeaders(w.Header(), base)
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	p.write(w, r, base)
	return nil
}

// read returns the current copy of a key, or NotFound, or Gone with the version that deleted it.
func (s *Server) read(ctx context.Context, k fhir.Key) (reply, error) {
	c, ok, err := s.engine.Store().Get(ctx, k)
	if err != nil {
		return reply{}, err
	}
	if !ok {
		return reply{}, syncerr.New(syncerr.NotFound, "read", "%s does not exist", k)
	}
	return alive(c)
}

// fhirVersion answers one version (FHIR R4 http.html#vread).
func (s *Server) fhirVersion(w http.ResponseWriter, r *http.Request) error {
	k, err := pathKey(r)
	if err != nil {
		return err
	}
	if err := acceptsJSON(r); err != nil {
		return err
	}
	p, err := s.readVersion(r.Context(), k, r.PathValue("version"))
	return p.show(w, r, s.baseOf(r), err)
}

func (s *Server) readVersion(ctx context.Context, k fhir.Key, text string) (reply, error) {
	missing := syncerr.New(syncerr.NotFound, "read", "%s has no version %.80q", k, text)
	v, err := version.Parse(text)
	if err != nil {
		return reply{}, missing
	}
	var c store.Copy
	var ok bool
	err = s.engine.Store().Read(ctx, func(rd *store.Reader) error {
		var err error
		c, ok, err = rd.Version(k, v)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	if !ok {
		return reply{}, missing
	}
	return alive(c)
}

// alive answers with a copy that has a content, else Gone.
func alive(c store.Copy) (reply, error) {
	gone := reply{status: http.StatusGone, key: c.Key, version: c.Stamp.Version, modified: c.Committed}
	switch {
	case c.Stamp.Deleted:
		return gone, syncerr.New(syncerr.Gone, "read", "%s was deleted", c.Key).WithHint("Its _history has the versions before")
	case c.Body == nil:
		return gone, syncerr.New(syncerr.Gone, "read", "the content of version %s of %s is no longer kept", c.Stamp.Version, c.Key)
	}
	return replyOf(http.StatusOK, c)
}
