// Package api owns the HTTP side of a node that applications, peers and operators speak: FHIR R4, the feeds, the exchanges
// between nodes, control as JSON, probes and metrics. It decides nothing: every write goes through engine, every read
// through store. All handlers run under one adapter (handle), which checks who calls, bounds what comes in, turns errors
// into an OperationOutcome, audits refusals and logs one event a request. It keeps invariant 8 of DESIGN.md: logs and
// metrics carry no query, no body and no id of a patient.
package api

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/internal/zpool"
)

// Deps are what a Server needs. Engine and Clock are required; nil elsewhere means none.
type Deps struct {
	Engine     *engine.Engine
	Control    *control.Control // what operators see and do
	Log        *slog.Logger
	Clock      func() time.Time
	AdminToken string         // the operator's secret; empty lets no operator in by token
	PublicKey  string         // of this node, told to peers
	Anonymous  []netip.Prefix // addresses whose feed readers need no credential
	Version    string         // of the program
	URL        string         // base URL of this node as others reach it, without a slash at the end
	Pool       *zpool.Pool    // for bodies; nil for one of its own
	Keep       time.Duration  // how long deletions are told at least (history.keep); 0 for ever
	Secret     []byte         // of this node: with it the log heads are signed that children remember
	// Restored gives the node a new identity because a child remembers a log of that epoch which the database does not have; up to sequence
	// agreed of the log the child had said the same as the database. Nil where the node cannot.
	Restored func(ctx context.Context, why, epoch string, agreed uint64) error
	// Support makes the files of a support bundle; metrics returns what /metrics answers. Nil where none are made.
	Support func(ctx context.Context, c *control.Control, metrics func() ([]byte, error)) ([]control.File, error)
}

// Server answers HTTP requests. Its methods may be called from many goroutines.
type Server struct {
	deps     Deps
	engine   *engine.Engine
	log      *slog.Logger
	clock    func() time.Time
	metrics  *metrics
	refusals refusals
	// conditional lets one conditional write at a time look up what exists and write what does not, so that two of them never
	// create the same thing twice. It holds a token while one is at work.
	conditional chan struct{}
	capability  func() []byte // made when it is first asked for: it takes longer than all else of a start

	requests  requests
	restoring sync.Mutex    // held by the request that gives the node a new identity
	stopping  chan struct{} // closed by Stop
	stop      sync.Once
}

// New returns a Server that is ready to be registered.
func New(d Deps) *Server {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Pool == nil {
		d.Pool = new(zpool.Pool)
	}
	d.URL = strings.TrimRight(d.URL, "/")
	s := &Server{
		deps: d, engine: d.Engine, log: d.Log, clock: d.Clock, conditional: make(chan struct{}, 1), stopping: make(chan struct{}),
	}
	s.metrics = newMetrics(s)
	now := d.Clock()
	s.capability = sync.OnceValue(func() []byte { return capabilityStatement(d, now) })
	return s
}

// Stop ends the exchanges that are held open until there is news, so that the HTTP server can shut down. It may be called
// more than once; requests are still answered afterwards.
func (s *Server) Stop() { s.stop.Do(func() { close(s.stopping) }) }
