package emrtest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tributary-sync/tributary/fhir"
)

// FHIRServer is a FHIR R4 server in memory, an http.Handler with its base at /fhir. Its fields say what it cannot do; they are set before the first
// request, those under Fault at any time by SetFault.
type FHIRServer struct {
	Clock func() time.Time // nil: a second later at each write, from 2026-01-01

	NoVersioning    bool // no ETag, one meta.versionId for ever, If-Match is a bad request, no vread
	NoUpdateCreate  bool // PUT of an unknown id: 405
	Renames         bool // PUT of an unknown id is stored under another one
	NoBatch         bool
	OnlyTransaction bool // is what it says that it takes, instead of batches
	NoHistory       bool
	NoSearch        bool
	NoElements      bool // _elements is not looked at
	NoHead          bool
	NoGzip          bool   // a packed request is no JSON to it
	IgnoreIfNone    bool   // If-None-Match of a write is not looked at
	RefuseIfNone    bool   // or makes the request a bad one
	NotModified     bool   // the status of a write that changes nothing is 304, also of one with If-None-Match
	Silent          bool   // a write answers without a body, whatever Prefer says
	ETag            string // "weak" and "" for W/"1", "strong" for "1", "none" for no header
	FHIRVersion     string // "" for 4.0.1
	Formats         []string
	Credential      string // the Authorization header that it wants, "" for none
	Page            int    // entries on a page of a search or history at most, 0 for 50
	OldestFirst     bool   // its history is the wrong way round
	Unsorted        bool   // _sort is not looked at
	NextBase        string // of links to further pages, "" for its own
	Referred        string // id of a document that others refer to: its DELETE answers 409
	Normalise       func([]byte) []byte
	Refuse          func(k fhir.Key, body []byte) string // why it does not take a document, "" for it does

	mu             sync.Mutex
	docs           map[fhir.Key][]storedVersion
	log            []loggedVersion
	ticks          int
	requests       []string
	fault          func(*http.Request) *Fault
	answeredPacked int
	receivedPacked int
}

// Fault is what a server does instead of answering, or to its answer.
type Fault struct {
	Status     int    // 0: the true answer
	RetryAfter string // header
	Location   string // header
	Cut        int    // bytes of the body after which the connection breaks, 0 for none
	Type, Body string // of the answer where Status is set
	EntryAt    int    // in a batch: this entry, from 1, has EntryCode instead of being carried out
	EntryCode  int
	DropAfter  int // in a batch: entries behind this one are not answered
}

type storedVersion struct {
	tag      string
	modified time.Time
	body     []byte // nil: deleted
}

type loggedVersion struct {
	key fhir.Key
	storedVersion
}

// SetFault sets what goes wrong from now on; nil for nothing.
func (s *FHIRServer) SetFault(f func(*http.Request) *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Requests returns method and path of the requests since the last call of it, /metadata left out.
func (s *FHIRServer) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.requests
	s.requests = nil
	return out
}

// Packed returns how many requests came compressed, and how many answers went so.
func (s *FHIRServer) Packed() (received, answered int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.receivedPacked, s.answeredPacked
}

// Put stores a document as somebody else would, and returns its tag; a nil body deletes.
func (s *FHIRServer) Put(k fhir.Key, body []byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store(k, body).tag
}

// Get returns the current bytes of a document; false where there are none.
func (s *FHIRServer) Get(k fhir.Key) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.current(k)
	return v.body, ok && v.body != nil
}

func (s *FHIRServer) current(k fhir.Key) (storedVersion, bool) {
	vs := s.docs[k]
	if len(vs) == 0 {
		return storedVersion{}, false
	}
	return vs[len(vs)-1], true
}

func (s *FHIRServer) now() time.Time {
	if s.Clock != nil {
		return s.Clock()
	}
	s.ticks++
	return time.Date(2026, 1, 1, 0, 0, s.ticks, 123e6, time.UTC)
}

func (s *FHIRServer) store(k fhir.Key, body []byte) storedVersion {
	if s.docs == nil {
		s.docs = map[fhir.Key][]storedVersion{}
	}
	v := storedVersion{tag: strconv.Itoa(len(s.docs[k]) + 1), modified: s.now().UTC()}
	if body != nil {
		if s.Normalise != nil {
			body = s.Normalise(body)
		}
		res, err := fhir.ParseAs(k.Type, body, 0)
		if err != nil {
			panic(fmt.Sprintf("a test stores what is no %s: %v", k, err))
		}
		shown := v.tag
		if s.NoVersioning {
			shown = "0" // whatever is in it
		}
		v.body = res.WithMeta(shown, v.modified.Format("2006-01-02T15:04:05.000Z"))
	}
	s.docs[k] = append(s.docs[k], v)
	s.log = append(s.log, loggedVersion{k, v})
	return v
}

// ServeHTTP answers.
func (s *FHIRServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.Trim(strings.TrimPrefix(r.URL.Path, "/fhir"), "/")
	if path != "metadata" {
		s.requests = append(s.requests, strings.TrimSpace(r.Method+" "+path))
	}
	var f Fault
	if s.fault != nil {
		if got := s.fault(r); got != nil {
			f = *got
		}
	}
	var a fhirAnswer
	body, err := s.body(r)
	switch {
	case f.Status != 0:
		w.Header().Set("Content-Type", f.Type)
		a = fhirAnswer{status: f.Status, body: []byte(f.Body)}
	case s.Credential != "" && r.Header.Get("Authorization") != s.Credential:
		a = refused(401, "login", "who are you?")
	case err != nil:
		a = refused(400, "structure", "this is no JSON: "+err.Error())
	case path == "metadata":
		a = fhirAnswer{status: 200, body: s.statement()}
	case path == "" && r.Method == http.MethodPost:
		a = s.batch(body, f)
	default:
		a = s.act(r.Method, r.URL, body, r.Header.Get("If-Match"), r.Header.Get("If-None-Match"))
	}
	s.answer(w, r, f, a)
}

func (s *FHIRServer) body(r *http.Request) ([]byte, error) {
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		s.receivedPacked++
		if s.NoGzip {
			return nil, fmt.Errorf("invalid character '\\x1f'")
		}
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = z
	}
	return io.ReadAll(in)
}

func (s *FHIRServer) answer(w http.ResponseWriter, r *http.Request, f Fault, a fhirAnswer) {
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/fhir+json; charset=utf-8")
	}
	for name, value := range map[string]string{"Retry-After": f.RetryAfter, "Location": a.location + f.Location, "ETag": a.etag} {
		if value != "" {
			h.Set(name, value)
		}
	}
	if !a.modified.IsZero() {
		h.Set("Last-Modified", a.modified.Format(http.TimeFormat))
	}
	if s.Silent && (r.Method == http.MethodPut || r.Method == http.MethodDelete) && a.status < 300 {
		a.body = nil
	}
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && len(a.body) > 500 {
		s.answeredPacked++
		h.Set("Content-Encoding", "gzip")
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if f.Cut > 0 { // what is before the cut can be unpacked, as with a stream
			_, _ = z.Write(a.body[:min(f.Cut, len(a.body))])
			_ = z.Flush()
			f.Cut = b.Len()
			_, _ = z.Write(a.body[min(f.Cut, len(a.body)):])
		} else {
			_, _ = z.Write(a.body)
		}
		_ = z.Close()
		a.body = b.Bytes()
	}
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	if r.Method == http.MethodHead {
		return
	}
	if f.Cut > 0 && f.Cut < len(a.body) {
		_, _ = w.Write(a.body[:f.Cut])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(a.body)
}
