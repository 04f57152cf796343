// Package control owns all that an operator can see and do, as Go values: the command line prints them with --json, api serves
// them under /control/v1, and web shows them as pages. It decides nothing about resources: it asks engine and store, and starts
// passes through an interface that node fulfils. What a person changes here is audited in the same transaction. No value but a
// conflict holds anything of a patient beyond a resource's key (DESIGN.md section 3, invariant 8).
package control

import (
	"context"
	"crypto/rand"
	"io"
	"sync"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/carry"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
)

// The directions of a pass, and both of them.
const (
	Pull = "pull"
	Push = "push"
	Both = "both"
)

// VerifyRuns is the kind of the runs that a verification leaves, beside Pull and Push.
const VerifyRuns = "verify"

// Passes starts pull and push passes and knows how their loops stand. node implements it.
type Passes interface {
	// Sync runs a pass now (Pull, Push or Both) and returns the runs that it made once they have ended. Where a pass of that
	// direction is running already, it waits for the next.
	Sync(ctx context.Context, direction string) ([]audit.Run, error)
	// LinkState returns how each direction to the parent stands.
	LinkState() []LinkState
}

// LinkState says how one direction to the parent stands. Times are milliseconds since 1970 UTC, durations milliseconds.
type LinkState struct {
	Direction   string `json:"direction"`        // Pull or Push
	Server      string `json:"server,omitempty"` // empty for the parent
	Enabled     bool   `json:"enabled"`
	Running     bool   `json:"running"`
	LastError   string `json:"lastError,omitempty"`   // of the last attempt, empty where it went well
	NextAttempt int64  `json:"nextAttempt,omitempty"` // 0 where it waits for news instead of for a time
	Backoff     int64  `json:"backoff,omitempty"`     // how long it waits now because of failures
	LastGood    int64  `json:"lastGood,omitempty"`    // when an attempt last went well, also one that found nothing to do
}

// Prober asks the parent whether it answers and accepts this node's credential. node implements it with its client.
type Prober interface {
	// Probe makes one small exchange with the parent. It returns a Denied error where the credential is refused, Transient
	// where the parent cannot be reached.
	Probe(ctx context.Context) (Probe, error)
}

// Probe is what the parent answered.
type Probe struct {
	Name    string `json:"name,omitempty"`
	Replica string `json:"replica,omitempty"`
	Version string `json:"version,omitempty"`
	Date    int64  `json:"date,omitempty"` // its clock in milliseconds since 1970 UTC, from the Date header; 0 where unknown
}

// Holds asks the parent now for its copy of a resource, without its content; false where it has none, not even a tombstone.
type Holds func(ctx context.Context, key fhir.Key) (feed.Copy, bool, error)

// Deps is what is injected.
type Deps struct {
	Clock     func() time.Time // nil for the machine's clock
	Rand      io.Reader        // nil for crypto/rand; makes children's credentials
	Version   string           // of the program
	PublicKey string           // of this node, as it is given to its parent; shown as a fingerprint
	StartedAt time.Time
	Skew      func() *int64  // how far this node's clock is ahead of the parent's in milliseconds, as last heard, nil where not known; nil where there is no parent
	Prober    Prober         // nil where there is no parent
	Holds     Holds          // nil where there is no parent
	Verifier  Verifier       // nil where there is no parent
	Carrier   *carry.Carrier // nil where no sticks are exchanged
	Live      Live           // nil where settings do not change, as in a process that does not run the node
	File      *config.File   // where the settings stand; nil where they come from elsewhere
	Reach     Reacher        // nil where there is no network to look at
}

// Control answers operators. Its methods may be called from many goroutines.
type Control struct {
	*shared
	actor string
}

type shared struct {
	eng    *engine.Engine
	cfg    config.Config
	passes Passes
	deps   Deps

	mu     sync.Mutex
	counts countsCache

	settling sync.Mutex // one change of settings after the other
}

// New returns a Control over an engine. passes may be nil where nothing can be started, as when the command line opens the
// database of a node that does not run.
func New(eng *engine.Engine, cfg config.Config, passes Passes, deps Deps) *Control {
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	if deps.Rand == nil {
		deps.Rand = rand.Reader
	}
	if deps.StartedAt.IsZero() {
		deps.StartedAt = deps.Clock()
	}
	counts := countsCache{wanted: make(chan struct{}, 1)}
	return &Control{shared: &shared{eng: eng, cfg: cfg, passes: passes, deps: deps, counts: counts}, actor: "operator"}
}

// As returns the same Control for another person: actor is the name that the audit shows for what is changed through it.
func (c *Control) As(actor string) *Control { return &Control{shared: c.shared, actor: actor} }

func (s *shared) now() int64 { return s.deps.Clock().UnixMilli() }

// Name returns the name of the node, also while its database is away.
func (c *Control) Name() string { return c.eng.Store().Identity().Name }

// Zone returns the time zone of the node, in which people read its pages.
func (c *Control) Zone() *time.Location { return c.deps.Clock().Location() }

// Now returns the time by the injected clock in milliseconds since 1970 UTC.
func (c *Control) Now() int64 { return c.now() }
