package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// Access says who may call a route.
type Access int

type access = Access

// What others ask Protect and Guard for: ForOperators admits the operator's token and the machine itself, ForApps children as well,
// ForDevices those who read by sessions and nobody else.
const (
	ForOperators = forOperators
	ForApps      = forApps
	ForDevices   = forDevices
)

// The levels. A route without one lets nobody in.
const (
	forAnyone    access = iota + 1 // no credential is looked at: probes
	forReaders                     // feed readers: children, operators, this machine, and the addresses configured as anonymous
	forRecords                     // who may read resources: children, operators, this machine
	forSync                        // nodes: children; operators may look
	forApps                        // applications that write: the operator's token, this machine; children, whose push may go over FHIR
	forOperators                   // control: the operator's token, this machine
	forDevices                     // sessions: who has the credential of a device, and nobody else
	forSticks                      // the same, for bodies of any size
)

// CallerKind says how a caller was recognised.
type CallerKind int

// The kinds. Nobody is a caller without a credential.
const (
	Nobody    CallerKind = iota
	Anonymous            // a feed reader from a configured address
	Local                // an application or person on this machine
	Operator             // who has the admin token
	Child                // a node with the credential of a participant
	Device               // a phone, script or dashboard with the credential of a participant: it may use its sessions, and nothing else
)

// Caller is who made a request.
type Caller struct {
	Kind        CallerKind
	Name        string // of the child or device; for others what the audit shows
	ID          string // of the child or device
	Participant store.Participant
}

type callerKey struct{}

// CallerOf returns who made the request that a handler under Guard has the context of.
func CallerOf(ctx context.Context) Caller { return callerOf(ctx) }

// callerOf returns who made the request of ctx.
func callerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// may reports whether the caller may use a route that needs the access.
func (c Caller) may(need access) bool {
	switch need {
	case forAnyone:
		return true
	case forReaders:
		return c.Kind != Nobody && c.Kind != Device
	case forRecords:
		return c.Kind == Local || c.Kind == Operator || c.Kind == Child
	case forSync:
		return c.Kind == Operator || c.Kind == Child
	case forApps: // a child may push what it wants; that it does so over FHIR or REST gives it no more
		return c.Kind == Local || c.Kind == Operator || c.Kind == Child
	case forOperators, forSticks:
		return c.Kind == Local || c.Kind == Operator
	case forDevices:
		return c.Kind == Device
	default:
		return false
	}
}

// known reports whether the caller showed a credential that is one: another answer than 401 would not help it.
func (c Caller) known() bool { return c.Kind == Operator || c.Kind == Child || c.Kind == Device }

// admit returns who calls, or a Denied error.
func (s *Server) admit(r *http.Request, need access) (Caller, error) {
	if need == forAnyone {
		return Caller{}, nil
	}
	c, err := s.authenticate(r)
	if err != nil {
		return c, err
	}
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		return c, syncerr.New(syncerr.Denied, "call", "a page of another site sent this request").
			WithHint("Call from the node's own pages, or from a program that sends no Origin header")
	}
	if c.may(need) {
		return c, nil
	}
	if c.known() {
		return c, syncerr.New(syncerr.Denied, "call", "%s may not use this address", c.Name)
	}
	if need == forDevices {
		return c, syncerr.New(syncerr.Denied, "call", "it needs the credential of a device").
			WithHint("Send Authorization: Bearer with what `tributary device add` printed")
	}
	return c, syncerr.New(syncerr.Denied, "call", "it needs a credential").
		WithHint("Send Authorization: Bearer with the operator's token (admin.token on the node) or a child's credential")
}

// authenticate recognises the caller by its credential, else by where it comes from.
func (s *Server) authenticate(r *http.Request) (Caller, error) {
	if h := r.Header.Get("Authorization"); h != "" {
		scheme, secret, _ := strings.Cut(h, " ")
		secret = strings.TrimSpace(secret)
		if _, password, ok := r.BasicAuth(); ok {
			scheme, secret = "Bearer", password // a browser cannot send a token, but it asks a person for a password
		}
		if !strings.EqualFold(scheme, "Bearer") || secret == "" {
			return Caller{}, syncerr.New(syncerr.Denied, "call", "the Authorization header is not Bearer and a secret")
		}
		return s.bySecret(r.Context(), secret)
	}
	if isLocal(r) {
		return Caller{Kind: Local, Name: "local"}, nil
	}
	if from, ok := remote(r); ok && !forwarded(r) {
		for _, p := range s.deps.Anonymous {
			if p.Contains(from) {
				return Caller{Kind: Anonymous, Name: "anonymous"}, nil
			}
		}
	}
	return Caller{}, nil
}

func (s *Server) bySecret(ctx context.Context, secret string) (Caller, error) {
	sum := sha256.Sum256([]byte(secret))
	admin := sha256.Sum256([]byte(s.deps.AdminToken))
	// Equal lengths, so that the time tells nothing about the token.
	if s.deps.AdminToken != "" && subtle.ConstantTimeCompare(sum[:], admin[:]) == 1 {
		return Caller{Kind: Operator, Name: "operator"}, nil
	}
	for _, k := range []struct {
		kind   string
		caller CallerKind
	}{{store.KindChild, Child}, {store.KindDevice, Device}} {
		p, ok, err := s.engine.Store().ParticipantBy(ctx, k.kind, "", hex.EncodeToString(sum[:]))
		if err != nil {
			return Caller{}, err
		}
		if ok {
			return Caller{Kind: k.caller, Name: p.Name, ID: p.ID, Participant: p}, nil
		}
	}
	return Caller{}, syncerr.New(syncerr.Denied, "call", "the credential is not known here").
		WithHint("A child that was removed gets a new one with `tributary child add`, a device with `tributary device add`")
}

// isLocal is the rule by which this machine needs no credential (DESIGN.md section 9): the connection comes from loopback,
// no proxy stands between, and the address asked for is this machine's own, so that neither a proxy on this machine nor a
// foreign name that resolves to loopback (DNS rebinding) lets the outside in.
func isLocal(r *http.Request) bool {
	from, ok := remote(r)
	if !ok || !from.IsLoopback() || forwarded(r) {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	return strings.EqualFold(host, "localhost") || host == "127.0.0.1" || host == "::1"
}

func remote(r *http.Request) (netip.Addr, bool) {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	return ap.Addr().Unmap(), err == nil
}

// forwarded reports whether a proxy says that it passed the request on.
func forwarded(r *http.Request) bool {
	for name := range r.Header {
		if name == "Forwarded" || name == "Via" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-") {
			return true
		}
	}
	return false
}
