package sdata

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// Config is what a Server needs beside the engine. URL, Clock and Log are required.
type Config struct {
	URL      string         // base URL of this node as others reach it
	Priority map[string]int // conflictPriority by node name
	Clock    func() time.Time
	Log      *slog.Logger
	// Background begins work beside the request that asked for it, and reports false where nothing runs that could: it is done within the
	// request then. Nil is that.
	Background func(work func(ctx context.Context)) bool
	// Alert tells people of diagnoses that were received; nil tells nobody.
	Alert func(ctx context.Context, a Alert)
	// Peer names who makes the request of a context, for the audit.
	Peer func(ctx context.Context) string
}

// Server answers the requests of SData synchronization. Its methods may be called from many goroutines.
type Server struct {
	eng *engine.Engine
	cfg Config

	mu      sync.Mutex
	batches map[string]*batch // that run, or ended in an error, by trackingID
	taking  sync.Mutex        // held while a page is taken: its ticks are held against what is known
}

// New returns a server over an engine.
func New(eng *engine.Engine, cfg Config) *Server {
	if cfg.Background == nil {
		cfg.Background = func(func(context.Context)) bool { return false }
	}
	if cfg.Peer == nil {
		cfg.Peer = func(context.Context) string { return "" }
	}
	return &Server{eng: eng, cfg: cfg, batches: map[string]*batch{}}
}

// Run names one run of an engine: name and stamp make it unique (SData sync 4.1).
type Run struct{ Name, Stamp string }

// ID returns under which id the run stands in the audit.
func (r Run) ID() string { return RunID(r.Name, r.Stamp) }

// query writes the run's parameters.
func (r Run) query() url.Values {
	q := url.Values{}
	if r.Name != "" {
		q.Set("runName", r.Name)
	}
	if r.Stamp != "" {
		q.Set("runStamp", r.Stamp)
	}
	return q
}

// maxBody bounds a body in bytes; the adapter of the node may bound it lower.
const maxBody = 160 << 20

// body reads a whole body.
func body(r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLong(large.Limit)
	case err != nil:
		return nil, syncerr.Wrap(syncerr.Invalid, "read request", err)
	case len(b) > maxBody:
		return nil, tooLong(maxBody)
	}
	return b, nil
}

func tooLong(limit int64) error {
	return syncerr.New(syncerr.TooLarge, "read request", "the document is longer than %d MiB", limit>>20).WithHint("Send it in smaller pages: nothing of it was taken")
}

// param returns a parameter of a query; the case of its name does not matter (both trackingID and trackingId are in the specification).
func param(r *http.Request, name string) string {
	for k, v := range r.URL.Query() {
		if strings.EqualFold(k, name) && len(v) > 0 {
			return v[0]
		}
	}
	return ""
}

func runOf(r *http.Request) (Run, error) {
	run := Run{Name: param(r, "runName"), Stamp: param(r, "runStamp")}
	if len(run.Name) > 200 || len(run.Stamp) > 100 {
		return run, syncerr.New(syncerr.Invalid, "read request", "runName has more than 200 characters, or runStamp more than 100")
	}
	return run, nil
}

// trackingID returns the id under which a consumer asks for an operation; empty where it names none.
func trackingID(r *http.Request) (string, error) {
	id := param(r, "trackingID")
	if id != "" && !validID(id) {
		return "", syncerr.New(syncerr.Invalid, "read request", "the trackingID %.80q is not 1 to 64 letters, digits, hyphens and dots", id).WithHint("Use a UUID")
	}
	return strings.ToLower(id), nil
}

func validID(id string) bool { return fhir.ValidID(id) }

// typeOf returns the resource type that a path names.
func typeOf(r *http.Request) (string, error) {
	name := r.PathValue("type")
	if fhir.IsKind(name) {
		return name, nil
	}
	if t, ok := fhir.CanonicalType(name); ok {
		return t, nil
	}
	return "", syncerr.New(syncerr.NotFound, "sync", "%.60q is no resource kind: %w", name, errKind)
}

// errKind marks an error as SData's ResourceKindNotFound.
var errKind = errors.New("it is neither a type of FHIR R4 nor a REST type")

// base returns the address by which this node was reached: the configured one where the request names its host.
func (s *Server) base(r *http.Request) string {
	if u, err := url.Parse(s.cfg.URL); err == nil && u.Host == r.Host || r.Host == "" {
		return s.cfg.URL
	}
	scheme := "http"
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// collection returns the address of a resource kind.
func collection(base, resourceType string) string { return base + "/sdata/" + resourceType }

// minPacked is from how many bytes on an answer is packed.
const minPacked = 1 << 10

// send writes a whole answer, packed for who takes that: XML shrinks to a tenth.
func send(w http.ResponseWriter, r *http.Request, status int, contentType string, b []byte) error {
	h := w.Header()
	if len(b) >= minPacked && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, werr := z.Write(b)
		if err := errors.Join(werr, z.Close()); err != nil {
			return syncerr.Wrap(syncerr.Internal, "pack answer", err)
		}
		b = packed.Bytes()
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b) // an error means that the reader has gone: nobody is left to tell
	return nil
}

// accepted answers that an operation goes on (core 11.5).
func accepted(w http.ResponseWriter, r *http.Request, location string, t Tracking) error {
	w.Header().Set("Location", location)
	return send(w, r, http.StatusAccepted, "application/xml; charset=utf-8", WriteTracking(t))
}

// WriteError answers with diagnoses (core 3.11).
func WriteError(w http.ResponseWriter, r *http.Request, status int, err error) {
	_ = send(w, r, status, "application/xml; charset=utf-8", WriteDiagnoses([]Diagnosis{diagnosisOf(status, err)}))
}

// diagnosisOf says what an error means to a peer.
func diagnosisOf(status int, err error) Diagnosis {
	kind := syncerr.KindOf(err)
	d := Diagnosis{Severity: Failure, Code: "ApplicationDiagnosis", App: kind.String(), Message: err.Error()}
	switch {
	case kind.Retry() || status == http.StatusServiceUnavailable:
		d.Severity, d.Code = Transient, "ApplicationUnavailable"
	case kind == syncerr.Internal:
		d.Severity, d.Message = Fatal, "the server met an error of its own; its log has the cause"
	case errors.Is(err, errKind):
		d.Code = "ResourceKindNotFound"
	case kind == syncerr.Invalid && strings.HasPrefix(d.Message, "read request"):
		d.Code = "BadQueryParameter"
	}
	return d
}
