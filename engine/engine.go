// Package engine is the one door for changes: Author writes what is made here, Accept takes what comes from elsewhere, Confirm
// notes what a parent answered, Resolve writes a person's decision. All of them go through reconcile.Decide and commit in one
// transaction with their audit rows and cursors (DESIGN.md section 3, invariants 1 and 2). It knows nothing of HTTP.
package engine

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// Config says how an engine decides and what it records.
type Config struct {
	Policies reconcile.Policies
	// Limit is the largest resource in bytes that is taken; 0 means what the database takes.
	Limit int
	// Quiet leaves successful synchronisation out of the audit. Failures, conflicts and local writes are always recorded.
	Quiet      bool
	References References
	// URL is this node's own base URL, for the audit.
	URL string
	Log *slog.Logger
}

// Engine decides and writes. Its methods may be called from many goroutines.
type Engine struct {
	store    *store.Store
	cfg      Config
	policies atomic.Pointer[reconcile.Policies]
	limit    int

	waiting waiting
}

// New returns an engine over an open store.
func New(st *store.Store, cfg Config) *Engine {
	limit := st.Limit()
	if cfg.Limit > 0 {
		limit = min(limit, cfg.Limit)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{store: st, cfg: cfg, limit: limit}
	e.SetPolicies(cfg.Policies)
	return e
}

// SetPolicies makes conflicts be decided by other policies from now on. What was decided stands.
func (e *Engine) SetPolicies(by reconcile.Policies) { e.policies.Store(&by) }

// Store returns the store, for reading.
func (e *Engine) Store() *store.Store { return e.store }

// Limit returns the largest resource in bytes that this node takes.
func (e *Engine) Limit() int { return e.limit }

// Link is the other end of an exchange as a decision sees it.
type Link struct {
	Peer    string                         // node name, for the audit
	Child   string                         // participant id of the child that pushed; empty for the parent
	Epoch   string                         // the parent's present epoch; empty for a child
	Follows func(resourceType string) bool // this node pushes the type to the peer, which therefore decides
	Pulls   func(resourceType string) bool // this node pulls the type from the peer; nil for all
	Server  string                         // name of a server that knows no stamps; empty for nodes
	Stick   string                         // id of a node that is neither parent nor child and is met by sticks alone
	// Above names, by replica, the nodes that decide for this one, as holds show them: a rival that one of them made is held, whoever brings it. Where
	// sticks make a ring, this node and the one above would else decide about each other's decisions for ever.
	Above      map[version.Replica]string
	ParentURL  string
	ClientName string                           // client that moved it: node, fhir, rest
	Client     func(resourceType string) string // the same by type, where it is not the same for all
	Run        string
	// Digest says that the peer tells no vectors: those of its events are what it knows of all keys, so that nothing but their version is
	// certain to be one of the key.
	Digest bool
}

func (l Link) client(resourceType string) string {
	if l.Client != nil {
		return l.Client(resourceType)
	}
	return l.ClientName
}

// source is what a log row notes of where its version came from.
func (l Link) source() string {
	if l.Child != "" {
		return "child:" + l.Child
	}
	if l.Server != "" {
		return "server:" + l.Server
	}
	if l.Stick != "" {
		return "stick:" + l.Stick
	}
	return "parent:" + l.Epoch
}

func (l Link) fromParent() bool { return l.Child == "" && l.Server == "" && l.Stick == "" }

func (l Link) follower(resourceType string) bool {
	return (l.fromParent() || l.Stick != "") && l.Follows != nil && l.Follows(resourceType)
}

func (l Link) operation() audit.Operation {
	if l.Child != "" || l.Stick != "" && l.Follows == nil {
		return audit.Receive
	}
	return audit.Pull
}

func (l Link) direction() string {
	if l.fromParent() {
		return "pull"
	}
	return "receive"
}

// named returns a lookup of node names for policies, reading within the transaction. What was chosen does not count where unread was
// set: a name could not be read.
func named(tx *store.Tx, unread *error) func(version.Replica) string {
	return func(r version.Replica) string {
		names, err := tx.Names([]version.Replica{r})
		if err != nil {
			*unread = err
		}
		if err != nil || len(names) == 0 {
			return ""
		}
		return names[0].Node
	}
}

// settle ends what the new stamp of a key settles: holds and exceptions whose version its vector contains, and an open conflict of
// which it has seen both sides.
func settle(tx *store.Tx, k fhir.Key, s version.Stamp) error {
	if _, err := tx.EndHolds(k, s.Vector); err != nil {
		return err
	}
	if err := tx.Settle(k, s.Vector); err != nil {
		return err
	}
	return tx.CloseConflicts(k, s, "other")
}

// OpenRun writes the row of a pass that begins, before its first exchange.
func (e *Engine) OpenRun(ctx context.Context, r audit.Run) error {
	return e.store.Write(ctx, func(tx *store.Tx) error { return tx.OpenRun(r) })
}

// CloseRun writes the counts of a pass that ended, and an audit row where it failed.
func (e *Engine) CloseRun(ctx context.Context, r audit.Run) error {
	return e.store.Write(ctx, func(tx *store.Tx) error {
		if r.Outcome == "failed" {
			rec := audit.Record{Operation: audit.Pull, Outcome: audit.Failed, Peer: r.Peer, Run: r.ID, Details: r.Error, LocalURL: e.cfg.URL}
			switch r.Direction {
			case "push", Gifts, Immediate:
				rec.Operation = audit.Push
			case "verify": // an operator asked for it
				rec.Operation, rec.Action = audit.Admin, "VERIFY"
			case CarryIn, CarryOut:
				rec.Operation, rec.Action = audit.Admin, "CARRY"
			}
			tx.Audit(rec)
		}
		return tx.SaveRun(r)
	})
}

// Note writes an audit row of its own: for what changed no resource.
func (e *Engine) Note(ctx context.Context, r audit.Record) error {
	return e.Notes(ctx, []audit.Record{r})
}

// Notes writes audit rows of their own, in one transaction.
func (e *Engine) Notes(ctx context.Context, records []audit.Record) error {
	return e.store.Write(ctx, func(tx *store.Tx) error {
		for _, r := range records {
			tx.Audit(r)
		}
		return nil
	})
}
