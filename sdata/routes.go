package sdata

import (
	"net/http"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// Handler answers a request or returns why it cannot; it must not do both.
type Handler = func(w http.ResponseWriter, r *http.Request) error

// Register mounts everything that this package answers. protect checks who calls, and answers errors by WriteError.
func (s *Server) Register(mux *http.ServeMux, protect func(Handler) http.Handler) {
	mux.Handle("GET /sdata/$schema", protect(s.schema))
	mux.Handle("POST /sdata/$events", protect(s.results))
	mux.Handle("/sdata/{type}/{operation}", protect(s.operation))
	mux.Handle("/sdata/", protect(unknown))
}

func unknown(http.ResponseWriter, *http.Request) error {
	return syncerr.New(syncerr.NotFound, "sync", "there is nothing here").
		WithHint("Resource kinds have $syncDigest, $syncSource, $syncTarget and $syncResults, as in /sdata/Patient/$syncDigest; /sdata/$schema lists them")
}

// operation answers what a resource kind offers (SData sync 4.1). A path has $syncSource('id') for one operation.
func (s *Server) operation(w http.ResponseWriter, r *http.Request) error {
	resourceType, err := typeOf(r)
	if err != nil {
		return err
	}
	name, id, err := operationOf(r.PathValue("operation"))
	if err != nil {
		return err
	}
	run, err := runOf(r)
	if err != nil {
		return err
	}
	switch {
	case name == "$syncdigest" && id == "" && get(r):
		b, err := s.Digest(r.Context(), s.base(r), resourceType)
		if err != nil {
			return err
		}
		return send(w, r, http.StatusOK, ContentType+";type=entry; charset=utf-8", b)
	case name == "$syncsource" && id == "" && r.Method == http.MethodPost:
		return s.postSource(w, r, resourceType, run)
	case name == "$syncsource" && id != "" && get(r):
		return s.getSource(w, r, resourceType, id, run)
	case name == "$synctarget" && id == "" && r.Method == http.MethodPost:
		return s.postTarget(w, r, resourceType, run)
	case name == "$synctarget" && id != "" && get(r):
		return s.getTarget(w, r, resourceType, id, run)
	case (name == "$syncsource" || name == "$synctarget") && id != "" && r.Method == http.MethodDelete:
		if name == "$synctarget" && s.cancelBatch(id) {
			return send(w, r, http.StatusOK, "application/xml; charset=utf-8", nil)
		}
		if err := s.drop(r.Context(), id); err != nil {
			return err
		}
		return send(w, r, http.StatusOK, "application/xml; charset=utf-8", nil)
	case name == "$syncresults" && id == "" && r.Method == http.MethodPost:
		return s.results(w, r)
	}
	return s.notAllowed(w, r, name, id)
}

func get(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// operationOf parts $syncSource('id') into its name in lower case and the id. The id may stand in a query as well (trackingID).
func operationOf(segment string) (name, id string, err error) {
	name, rest, found := strings.Cut(segment, "(")
	if found {
		id = strings.ToLower(strings.Trim(strings.TrimSuffix(rest, ")"), "'"))
		if !validID(id) || !strings.HasSuffix(rest, ")") {
			return "", "", syncerr.New(syncerr.Invalid, "read request", "%.80q is not an operation and its id, as in $syncSource('id')", segment)
		}
	}
	return strings.ToLower(name), id, nil
}

// notAllowed says which methods an address takes.
func (s *Server) notAllowed(w http.ResponseWriter, r *http.Request, name, id string) error {
	allow := map[string]string{"$syncdigest": "GET, HEAD", "$syncsource": "POST", "$synctarget": "POST", "$syncresults": "POST"}[name]
	if id != "" && (name == "$syncsource" || name == "$synctarget") {
		allow = "GET, HEAD, DELETE"
	}
	if allow == "" {
		return unknown(w, r)
	}
	w.Header().Set("Allow", allow)
	return send(w, r, http.StatusMethodNotAllowed, "application/xml; charset=utf-8", WriteDiagnoses([]Diagnosis{{
		Severity: Failure, Code: "BadUrlSyntax", App: "unsupported", Message: "this address takes " + allow,
	}}))
}

// postSource freezes what the posted digest lacks. Without a trackingID the first page is the answer.
func (s *Server) postSource(w http.ResponseWriter, r *http.Request, resourceType string, run Run) error {
	id, err := trackingID(r)
	if err != nil {
		return err
	}
	b, err := body(r)
	if err != nil {
		return err
	}
	target, err := ReadDigest(b)
	if err == nil && elsewhere(target.ID, resourceType) {
		err = bad("the digest %.200s is not one of %s", target.ID, resourceType)
	}
	if err != nil {
		return s.impossible(r, resourceType, run, err)
	}
	p, err := placeOf(r)
	if err != nil {
		return err
	}
	synchronous := id == ""
	if synchronous {
		id = s.eng.Store().NewUUID()
	}
	j, err := s.beginSource(r.Context(), resourceType, id, run, target)
	if err != nil {
		return err
	}
	if !synchronous {
		return accepted(w, r, address(s.base(r), j), Tracking{Phase: "Selecting", PhaseDetail: resourceType, Progress: 100, PollingMillis: 50})
	}
	return s.sendPage(w, r, j, p)
}

func (s *Server) getSource(w http.ResponseWriter, r *http.Request, resourceType, id string, run Run) error {
	j, ok, err := s.job(r.Context(), id)
	if err := s.same(j, ok, err, kindSource, resourceType, run); err != nil {
		return err
	}
	p, err := placeOf(r)
	if err != nil {
		return err
	}
	return s.sendPage(w, r, j, p)
}

const feedType = ContentType + ";type=feed; charset=utf-8"

// postTarget takes a page: beside the request where it has a trackingID, within it otherwise.
func (s *Server) postTarget(w http.ResponseWriter, r *http.Request, resourceType string, run Run) error {
	id, err := trackingID(r)
	if err != nil {
		return err
	}
	base := s.base(r)
	if id != "" {
		if j, ok, err := s.job(r.Context(), id); err != nil || ok {
			if err := s.same(j, ok, err, kindTarget, resourceType, run); err != nil {
				return err
			}
			if j.Status != 0 {
				return accepted(w, r, address(base, j), Tracking{Phase: "Finished", Progress: 100, PollingMillis: 50})
			}
		}
	}
	b, err := body(r)
	if err != nil {
		return err
	}
	p, err := readPage(b, resourceType, run)
	if err != nil {
		return s.impossible(r, resourceType, run, err)
	}
	if err := s.check(r.Context(), &p); err != nil {
		return s.impossible(r, resourceType, run, err)
	}
	if id == "" {
		out, err := s.take(r.Context(), base, &p, func(int) {})
		if err != nil {
			return err
		}
		return send(w, r, http.StatusOK, feedType, WriteFeed(out))
	}
	if err := s.beginBatch(r.Context(), base, id, &p); err != nil {
		return err
	}
	if running, t, err, ok := s.running(id); ok {
		if err != nil {
			return err
		}
		return accepted(w, r, address(base, running.job), t)
	}
	return s.getTarget(w, r, resourceType, id, run)
}

// getTarget answers how far a batch has come, or what came of it.
func (s *Server) getTarget(w http.ResponseWriter, r *http.Request, resourceType, id string, run Run) error {
	if running, t, err, ok := s.running(id); ok {
		if err != nil {
			return err
		}
		if err := s.same(running.job, true, nil, kindTarget, resourceType, run); err != nil {
			return err
		}
		return accepted(w, r, address(s.base(r), running.job), t)
	}
	j, ok, err := s.job(r.Context(), id)
	if err := s.same(j, ok, err, kindTarget, resourceType, run); err != nil {
		return err
	}
	if j.Status == 0 {
		return interrupted(j)
	}
	return send(w, r, j.Status, feedType, j.Body)
}

// schema advertises the resource kinds of which this node has something, in the order in which they are synchronized (sme:syncOrder): what is
// referred to comes before what refers to it.
func (s *Server) schema(w http.ResponseWriter, r *http.Request) error {
	types, err := s.eng.Store().HeldTypes(r.Context())
	if err != nil {
		return err
	}
	return send(w, r, http.StatusOK, "application/xml; charset=utf-8", WriteSchema(fhir.InOrder(types)))
}
