// Package carry moves changes between nodes that no network joins, by a folder on a USB stick or a memory card.
//
// How data flows: `carry introduce DIR` exchanges keys by file: each node writes a signed Card into the folder and takes those of others whose
// fingerprints a person has compared. `carry out DIR` then writes a bundle for a node: what this one knows, receipts for what it took from that
// node's last bundle, and every current copy that the other one lacks by what it last said that it knows, with whole transactions as they were
// written; then what was written while the list was made, and what this node knows at the end of that. `carry in DIR` gives it to
// engine.Accept, so that holds, arbiters, exceptions and conflicts are those of the wire, and takes the writer's knowledge over only where the
// bundle went on without a gap from where this node was and came to its end. What did not fit on the stick is in the next bundle, from the
// place on that the reader says it has reached. One end of a pair decides: the parent where one is the other's parent, else the one that
// said so when they were introduced, else the one with the smaller key. A bundle says who, and one that says otherwise is not taken.
// Bundles may be taken in any order and any number of times: each says on what it builds, and what is known already changes nothing. A
// bundle is signed by the writer's Ed25519 key, encrypted to the reader's (age), and every part of it is checked before any is taken.
package carry

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// LinkType is how audit rows name what came by a stick.
const LinkType = "carry"

// Side says how this node stands to the node at the other end.
type Side struct {
	Link   engine.Link // of what comes from it, without Epoch and Run
	Sends  []string    // resource types that it is given, nil for all
	Wants  []string    // resource types that are taken from it, nil for all
	Parent bool        // it is this node's parent, so that it decides
	Child  bool        // it is a child of this node
}

// Config is what a Carrier is made with.
type Config struct {
	Node  string // this node's name
	Key   ed25519.PrivateKey
	Clock func() time.Time
	// Side says how this node stands to a peer.
	Side func(ctx context.Context, p store.CarryPeer) (Side, error)
	// Parent returns the parent's replica, empty where there is none or it was not met, and the name under which holds show it.
	Parent func(ctx context.Context) (version.Replica, string)
	// Restored is told what shows that this node's database is an older copy of itself: the epoch of the log that a peer remembers, empty
	// where it is this one, and up to which sequence the log is certainly the one that the peer has. It gives the node a new identity.
	Restored func(ctx context.Context, why, epoch string, sure uint64) error
}

// Carrier writes and takes bundles for one node. Its methods may be called from many goroutines; bundles are written and taken one at a time.
type Carrier struct {
	eng *engine.Engine
	cfg Config
	mu  sync.Mutex
}

// New returns a Carrier over an engine.
func New(eng *engine.Engine, cfg Config) *Carrier { return &Carrier{eng: eng, cfg: cfg} }

// Public returns this node's public key as it stands on cards.
func (c *Carrier) Public() string { return publicOf(c.cfg.Key) }

func publicOf(k ed25519.PrivateKey) string {
	return base64.StdEncoding.EncodeToString(k.Public().(ed25519.PublicKey))
}

// Side returns how this node stands to a peer, and the key of the one of both that decides.
func (c *Carrier) Side(ctx context.Context, p store.CarryPeer) (s Side, decides string, err error) {
	s, err = c.cfg.Side(ctx, p)
	return s, c.decides(p, s), err
}

// peer returns a peer by name, by how it stands to this node.
func (c *Carrier) peer(ctx context.Context, op, name, key string) (store.CarryPeer, Side, error) {
	p, ok, err := c.eng.Store().CarryPeer(ctx, name, key)
	if err != nil {
		return p, Side{}, err
	}
	if !ok {
		what := "no node " + name + " was introduced"
		if name == "" {
			what = "its writer, whose key is " + Fingerprint(key) + ", was not introduced to this node"
		}
		return p, Side{}, syncerr.New(syncerr.Denied, op, "%s", what).
			WithHint("`tributary carry introduce DIR` at both nodes exchanges their keys; a stick of another network cannot be taken")
	}
	side, err := c.cfg.Side(ctx, p)
	side.Link.ClientName = LinkType
	return p, side, err
}

// decides returns the public key of the node that decides between this one and a peer.
func (c *Carrier) decides(p store.CarryPeer, s Side) string {
	switch {
	case s.Parent:
		return p.PublicKey
	case s.Child:
		return c.Public()
	}
	return arbiter(c.Public(), p.State.Ours, p.PublicKey, p.State.Theirs)
}

// arbiter returns which of two nodes decides: the one that said so where only one did, else the one with the smaller key. Both ends come to the
// same.
func arbiter(a string, aDecides bool, b string, bDecides bool) string {
	if aDecides != bDecides {
		if aDecides {
			return a
		}
		return b
	}
	return min(a, b)
}

// link returns how engine.Accept sees what comes from a peer.
func (c *Carrier) link(p store.CarryPeer, s Side, run string) engine.Link {
	l := s.Link
	l.Run = run
	if l.Stick != "" && c.decides(p, s) == p.PublicKey {
		l.Follows = func(t string) bool { return fhir.Selected(s.Sends, t) }
	}
	return l
}

// deciders returns the replicas of the nodes that decide for this one, each with the name under which holds show it.
func (c *Carrier) deciders(ctx context.Context) (map[version.Replica]string, error) {
	peers, err := c.eng.Store().CarryPeers(ctx)
	if err != nil {
		return nil, err
	}
	out := map[version.Replica]string{}
	if parent, url := c.cfg.Parent(ctx); parent != "" {
		out[parent] = url
	}
	for _, p := range peers {
		s, err := c.cfg.Side(ctx, p)
		if err != nil {
			return nil, err
		}
		if r := p.State.Said.Replica; r != "" && c.decides(p, s) == p.PublicKey {
			out[r] = s.Link.Peer
		}
	}
	return out, nil
}

// scope names the types that a list is made for; a place in a list of another scope does not fit.
func scope(sends, asks []string) string { return selection(sends) + "|" + selection(asks) }

func selection(types []string) string {
	if types == nil {
		return "*"
	}
	return strings.Join(slices.Sorted(slices.Values(types)), ",")
}

// refuse audits that a bundle was turned away, and returns why.
func (c *Carrier) refuse(ctx context.Context, peer string, why error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := c.eng.Note(ctx, audit.Record{Operation: audit.Refuse, Outcome: audit.Refused, Action: "CARRY", Peer: peer, LinkType: LinkType, Details: why.Error()})
	if err != nil {
		return err
	}
	return why
}
