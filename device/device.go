// Package device owns device sessions: the Base Sync API (reference/seed-protocols.md section 2), for phones, scripts and dashboards that
// cannot run a node. A device starts a session, reads its queue until that is empty, and acknowledges what it has stored. The queue is
// kept between sessions: what changed in the log since the last one is added to it, and only an acknowledgement takes something out, so
// that nothing is ever lost, and a session costs what it moves. Package store holds the rows; nothing is decided about resources here.
package device

import (
	"context"
	"net/http"
	"time"

	"github.com/tributary-sync/tributary/store"
)

// Registration is who calls: the participant that an operator added, whose devices come under ids of their own.
type Registration struct {
	ID   string // of the participant
	Name string
}

// Deps are what a Server needs; all are required.
type Deps struct {
	Store  *store.Store
	URL    string                                      // base URL of this node as others reach it
	Caller func(ctx context.Context) Registration      // who made the request that a handler has the context of
	Guard  func(h Handler, e ErrorWriter) http.Handler // lets only devices in, and writes what h returns
}

// Handler answers a request or returns why it cannot; it must not do both.
type Handler func(w http.ResponseWriter, r *http.Request) error

// ErrorWriter answers with an error and its HTTP status.
type ErrorWriter func(w http.ResponseWriter, r *http.Request, status int, err error)

// Server answers devices. Its methods may be called from many goroutines.
type Server struct{ deps Deps }

// New returns a Server that is ready to be registered.
func New(d Deps) *Server { return &Server{deps: d} }

const (
	maxDevices  = 5              // devices of a registration; the one that came least lately is forgotten for a sixth
	maxSessions = 8              // of a device; the oldest ends for a ninth
	sessionAge  = 24 * time.Hour // after which a session ends at the next start
	pageItems   = 100            // items on a page at most
	pageBytes   = 1 << 20        // of contents on a page, or one larger item alone
	step        = 500            // keys that one transaction looks at
	ahead       = 5000           // keys that a start looks at although it has found something: for better counts
	ackKeys     = 1000           // acknowledgement keys that one transaction takes
)
