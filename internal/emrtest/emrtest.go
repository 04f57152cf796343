// Package emrtest is a server that behaves like OpenMRS with the modules webservices.rest and fhir2, as far as a client of ours can see: its
// sessions, refusals, error shapes, what it creates, ignores and voids. It is written from reference/openmrs-sync2.md, section 8, keeps
// everything in memory and is for tests only.
package emrtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// The account that may do everything.
const (
	User     = "admin"
	Password = "Admin123"
)

// Server is an OpenMRS. Its address is its root: there is no context path.
type Server struct {
	// Before is asked first; where it returns true it has answered. For faults. It may be set while no request is under way.
	Before func(w http.ResponseWriter, r *http.Request) bool
	// Forbidden are REST collections and FHIR types that the account may not touch.
	Forbidden map[string]bool

	mu       sync.Mutex
	objects  map[string]*object // by uuid
	order    []string           // of their making
	sessions map[string]bool
	logins   int
	millis   int64
	calls    []string
}

// object is one thing of OpenMRS, which has a form in REST, in FHIR or in both.
type object struct {
	collection string // of REST; empty where it has no such form
	fhirType   string // empty where it has no such form
	uuid       string
	rest       map[string]any
	parts      map[string][]*object // sub-resources by the name in the address
	fhir       map[string]any
	voided     bool
	created    int64
	changed    int64 // 0 for never
}

// New returns an OpenMRS that is empty.
func New() *Server {
	return &Server{objects: map[string]*object{}, sessions: map[string]bool{}, Forbidden: map[string]bool{}, millis: 1_700_000_000_000}
}

// Calls returns method and path of the requests so far that were let in.
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

// Logins returns how often an account was checked, rather than a session recognised.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

// now is the time of a write: OpenMRS' clock goes on with each of them.
func (s *Server) now() int64 {
	s.millis += 1000
	return s.millis
}

// ServeHTTP answers under /ws/rest/v1 and /ws/fhir2/R4.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Before != nil && s.Before(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.login(w, r)
	rest, isREST := strings.CutPrefix(r.URL.Path, "/ws/rest/v1/")
	clinical, isFHIR := strings.CutPrefix(r.URL.Path, "/ws/fhir2/R4/")
	switch {
	case isFHIR && clinical == "metadata":
		send(w, http.StatusOK, fhirJSON, map[string]any{"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"})
	case !isREST && !isFHIR:
		w.Header().Set("Content-Type", "text/html;charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("<!doctype html><html><head><title>HTTP Status 404 – Not Found</title></head></html>"))
	case isREST && rest == "session":
		send(w, http.StatusOK, restJSON, map[string]any{"authenticated": in})
	case !in:
		// A wrong account is not rejected before the API asks what it may do (webservices.rest, BaseRestController).
		w.Header().Set("WWW-Authenticate", `Basic realm="OpenMRS at /openmrs"`)
		restError(w, http.StatusUnauthorized, "User is not logged in")
	default:
		s.calls = append(s.calls, r.Method+" "+r.URL.RequestURI())
		body := map[string]any{}
		if r.Method == http.MethodPost || r.Method == http.MethodPut {
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				restError(w, http.StatusBadRequest, "Unable to parse the body: "+err.Error())
				return
			}
		}
		if isREST {
			s.rest(w, r, strings.Split(strings.TrimSuffix(rest, "/"), "/"), body)
		} else {
			s.fhir(w, r, strings.Split(strings.TrimSuffix(clinical, "/"), "/"), body)
		}
	}
}

// login recognises a session, or an account, for which it opens one.
func (s *Server) login(w http.ResponseWriter, r *http.Request) bool {
	if c, err := r.Cookie("JSESSIONID"); err == nil && s.sessions[c.Value] {
		return true
	}
	s.logins++
	user, password, ok := r.BasicAuth()
	password, _, _ = strings.Cut(password, ":") // the filter splits at every colon
	if !ok || user != User || password != Password {
		return false
	}
	id := fmt.Sprintf("%032X", s.logins)
	s.sessions[id] = true
	http.SetCookie(w, &http.Cookie{Name: "JSESSIONID", Value: id, Path: "/", HttpOnly: true})
	return true
}

// Expire ends all sessions.
func (s *Server) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
}

const (
	restJSON = "application/json;charset=UTF-8"
	fhirJSON = "application/fhir+json;charset=UTF-8"
)

func send(w http.ResponseWriter, status int, media string, body any) {
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	if body != nil {
		_ = json.NewEncoder(w).Encode(body) // an error is the client's going away
	}
}

// restError answers as RestUtil.wrapErrorResponse does.
func restError(w http.ResponseWriter, status int, message string) {
	send(w, status, restJSON, map[string]any{"error": map[string]any{
		"message": "[" + message + "]", "code": "org.openmrs.module.webservices.rest.web.resource.impl.BaseDelegatingResource:1000",
		"detail": "org.openmrs.module.webservices.rest.web.response.ResponseException\n\tat org.openmrs…",
	}})
}

// outcome answers as HAPI does.
func outcome(w http.ResponseWriter, status int, text string) {
	send(w, status, fhirJSON, map[string]any{"resourceType": "OperationOutcome", "issue": []any{
		map[string]any{"severity": "error", "code": "processing", "diagnostics": text},
	}})
}

// stamp is a time as OpenMRS REST writes it.
func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000+0000") }
