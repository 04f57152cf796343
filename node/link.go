package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/loop"
	"github.com/tributary-sync/tributary/pull"
	"github.com/tributary-sync/tributary/push"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// link is this node's side of the link to its parent.
type link struct {
	node    *Node
	client  *clients.Node
	movers  map[string]resourcemanager.Client
	traffic func() (in, out int64)
	pull    *direction
	push    *direction
	turn    turn
	way     atomic.Pointer[wiring]
	verify  *verifier
	mu      sync.Mutex
	saved   feed.Peer // as last stored
	reports reporter
	met     atomic.Int64 // when a link that is not read from last exchanged anything, in milliseconds since 1970 UTC
}

// wiring is what the passes of a link are for one configuration. A pass goes by one of them from its beginning to its end.
type wiring struct {
	puller *pull.Puller // nil where it is off
	pusher *push.Pusher
}

func newLink(ctx context.Context, n *Node) (*link, error) {
	l := &link{node: n}
	l.verify = &verifier{link: l}
	remembered, err := n.store.State(ctx, engine.StateSaw)
	if err != nil {
		return nil, err
	}
	self := clients.Self{
		Node: n.cfg.Node.Name, Replica: func() string { return string(n.store.Identity().Replica) }, PublicKey: n.keys.public(), Head: l.head, Saw: remembered, Pool: n.deps.Pool,
		Mark: l.mark, Told: l.told, Report: l.report, Clock: n.deps.Clock,
		Instance: n.store.NewUUID(), Heard: func(ctx context.Context, p feed.Peer) error { return l.recall(ctx, p.Saw) },
	}
	token := func() (string, error) {
		secret, _, err := config.ReadCredential(n.cfg)
		return secret, err
	}
	l.client = clients.NewNode(n.cfg.Parent.URL, token, self, n.deps.Transport)
	seen := n.store.HadContent
	over := clients.NewFHIR(n.cfg.Parent.URL+"/fhir/R4", token, n.deps.Transport, n.deps.Clock)
	rest := clients.NewREST(n.cfg.Parent.URL, clients.RESTOptions{Authorize: clients.Bearer(token)}, n.deps.Transport)
	l.movers = map[string]resourcemanager.Client{
		string(config.ClientNode): l.client,
		string(config.ClientFHIR): &resourcemanager.Stampless{Remote: over, Seen: seen},
		string(config.ClientREST): &resourcemanager.Stampless{Remote: rest, Seen: seen},
	}
	maps.Copy(l.movers, n.deps.Clients)
	l.traffic = func() (in, out int64) {
		for _, of := range []func() (int64, int64){l.client.Traffic, over.Traffic, rest.Traffic} {
			i, o := of()
			in, out = in+i, out+o
		}
		return in, out
	}
	w, err := l.wire(n.config())
	if err != nil {
		return nil, err
	}
	l.way.Store(w)
	pulls := func(ctx context.Context, wait time.Duration) (audit.Run, error) {
		p, err := l.way.Load().puller, n.released(ctx)
		if p == nil || err != nil {
			return audit.Run{}, err
		}
		return p.Pass(ctx, wait)
	}
	pushes := func(ctx context.Context, _ time.Duration) (audit.Run, error) {
		p, err := l.way.Load().pusher, n.released(ctx)
		if p == nil || err != nil {
			return audit.Run{}, err
		}
		run, err := p.Pass(ctx)
		if err != nil || l.way.Load().puller != nil {
			return run, err
		}
		return run, l.beat(ctx, run.ID != "")
	}
	l.pull = newDirection(control.Pull, pulls, n.cfg.Pull.Wait.Std(), loop.Config{Every: n.cfg.Pull.Every.Std(), Log: n.deps.Log, Now: n.deps.Clock})
	l.push = newDirection(control.Push, pushes, 0, loop.Config{Every: n.cfg.Push.Every.Std(), News: n.store.News, Log: n.deps.Log, Now: n.deps.Clock})
	for _, d := range []*direction{l.pull, l.push} {
		d.turn = &l.turn
	}
	l.pull.off = func() bool { return l.way.Load().puller == nil }
	l.push.off = func() bool { return l.way.Load().pusher == nil }
	return l, nil
}

// wire makes the passes for a configuration. It returns a Usage error where a type is to be moved by a client that is not there.
func (l *link) wire(cfg config.Config) (*wiring, error) {
	n, w := l.node, &wiring{}
	managers := map[config.Direction]*resourcemanager.Manager{}
	for _, d := range []config.Direction{config.FromParent, config.ToParent} {
		m := resourcemanager.New(func(t string) string { return string(cfg.Client(d, t)) }, l.movers)
		if err := m.Check(cfg.Named(d)); err != nil {
			return nil, err
		}
		managers[d] = m
	}
	if cfg.Pull.Enabled {
		w.puller = pull.New(n.engine, pull.Parent{
			Source: l.client, Lister: l.client, Knowledge: l.client.Knowledge, Digest: l.client.Digest, Manager: managers[config.FromParent],
			Restored: l.restored, Hello: l.hello, Saw: l.client.Saw, Traffic: l.traffic,
		}, pull.Config{
			Types: cfg.PullTypes(), Bare: bare(cfg), Batch: cfg.Pull.Page, ParentURL: cfg.Parent.URL, Clock: n.deps.Clock,
			Fetch: cfg.References == config.FetchReferences,
			// Who gets no stamps cannot decide: this side does.
			Follows: func(t string) bool { return cfg.Pushes(t) && !managers[config.ToParent].Stampless(t) },
		})
	}
	if cfg.Push.Enabled {
		w.pusher = push.New(n.engine, push.Parent{
			Manager: managers[config.ToParent], Knowledge: l.client.Knowledge, Restored: l.restored, Hello: l.hello, Ask: l.ask, Saw: l.client.Saw,
			Traffic: l.traffic,
		}, push.Config{
			Types: cfg.PushTypes(), Pulls: cfg.Pulls, ParentURL: cfg.Parent.URL, Clock: n.deps.Clock,
		})
	}
	return w, nil
}

// bare returns the types whose contents come down by another client than the feed's.
func bare(cfg config.Config) []string {
	var out []string
	for _, t := range cfg.Named(config.FromParent) {
		if cfg.Client(config.FromParent, t) != config.ClientNode {
			out = append(out, t)
		}
	}
	return out
}

// directions returns those in which something goes.
func (l *link) directions() []*direction {
	return slices.DeleteFunc([]*direction{l.pull, l.push}, func(d *direction) bool { return d.off() })
}

// hello returns who the parent is, and stores it when it is news.
func (l *link) hello(ctx context.Context) (feed.Peer, error) {
	p, err := l.client.Hello(ctx)
	if err != nil {
		return p, err
	}
	if err := l.recall(ctx, p.Saw); err != nil {
		return p, err
	}
	l.mu.Lock()
	known := l.saved.Epoch == p.Epoch && l.saved.Node == p.Node
	l.mu.Unlock()
	if known {
		return p, nil
	}
	now := l.node.deps.Clock().UnixMilli()
	err = l.node.store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.NameReplica(p.Replica, p.Node); err != nil {
			return err
		}
		if err := tx.Below(l.above(p)); err != nil {
			return err
		}
		return tx.SaveParticipant(store.Participant{
			ID: "parent", Kind: store.KindParent, Name: p.Node, Replica: p.Replica, Epoch: p.Epoch, PublicKey: p.PublicKey,
			URL: l.node.cfg.Parent.URL, Created: now, LastSeen: now, Seq: p.Head,
		})
	})
	if err == nil {
		l.mu.Lock()
		l.saved = p
		l.mu.Unlock()
	}
	return p, err
}

// ask is hello, with what the parent says now.
func (l *link) ask(ctx context.Context) (feed.Peer, error) {
	l.client.Forget()
	return l.hello(ctx)
}

// beat makes an exchange for its own sake, where there was none for long and the parent is not read from: it would take this node for silent.
func (l *link) beat(ctx context.Context, exchanged bool) error {
	now := l.node.deps.Clock().UnixMilli()
	if !exchanged && now-l.met.Load() < control.Beat.Milliseconds() {
		return nil
	}
	if !exchanged {
		if _, err := l.ask(ctx); err != nil {
			return err
		}
	}
	l.met.Store(now)
	return nil
}

// head returns the head of this node's log.
func (l *link) head(ctx context.Context) (string, error) {
	var h store.LogHead
	err := l.node.store.Read(ctx, func(r *store.Reader) error {
		var err error
		h, err = r.Telling()
		return err
	})
	return h.String(), err
}

// recall holds what the parent remembers of this node's log against the log. Where the log lacks it, the database is an older copy
// that nobody noticed (the whole machine was put back): it takes a new replica before anything is exchanged.
func (l *link) recall(ctx context.Context, saw string) error {
	h, err := store.ParseLogHead(saw)
	if err != nil {
		return err
	}
	n, has := l.node, false
	if again, err := n.engine.ConfirmRestored(ctx, l.client.Fetch); err != nil {
		return err
	} else if again {
		return l.renewed()
	}
	err = n.store.Read(ctx, func(r *store.Reader) error {
		var err error
		has, err = r.Has(h)
		return err
	})
	if err != nil || has {
		return err
	}
	if now := n.store.Identity().Epoch; h.Epoch != now && !h.Follows(now) {
		// Another life that began at an earlier copy, and was put back as this one was found: it gave none of this replica's versions.
		return n.store.Write(ctx, func(tx *store.Tx) error { return tx.PassEpoch(h.Epoch) })
	}
	return l.reincarnate(ctx, "the parent remembers its change "+h.Cursor.String()+", which it does not have", h.Epoch)
}

// restored is told by a pass that the parent knows more of this node's changes than this node has made.
func (l *link) restored(ctx context.Context, why error) error {
	return l.reincarnate(ctx, why.Error(), "")
}

func (l *link) reincarnate(ctx context.Context, why, epoch string) error {
	n := l.node
	pushed, err := n.pushed(ctx)
	if err != nil {
		return err
	}
	if err := n.foundLate(); err != nil {
		return err
	}
	if err := n.engine.RestoredLate(ctx, why, epoch, pushed, l.client.Fetch); err != nil {
		return err
	}
	return l.renewed()
}

// renewed ends the pass of a database that has a new log now.
func (l *link) renewed() error {
	l.node.deps.Log.Warn("the database is an older copy: it goes on under a new replica", "replica", string(l.node.store.Identity().Replica))
	l.client.Forget()
	return syncerr.New(syncerr.EpochChanged, "sync", "this node was restored and has a new log")
}

// Probe asks the parent who it is, for `tributary doctor` (control.Prober).
func (l *link) Probe(ctx context.Context) (control.Probe, error) {
	p, err := l.client.Ask(ctx)
	return control.Probe{Name: p.Node, Replica: string(p.Replica), Version: p.Version, Date: p.Time}, err
}

// holds asks the parent for its copy of a resource, without its content (control.Holds).
func (l *link) holds(ctx context.Context, key fhir.Key) (feed.Copy, bool, error) {
	parts, err := l.client.Digest(ctx, feed.DigestQuery{Type: key.Type, IDs: []string{key.ID}})
	for _, p := range parts {
		for _, c := range p.Copies {
			if err == nil && c.ID == key.ID {
				return c, true, nil
			}
		}
	}
	return feed.Copy{}, false, err
}

// Sync runs passes now (control.Passes): what servers beside the node changed is captured, then a pull and a push, then what is new is given to
// the servers. A server that fails keeps the parent from nothing.
func (n *Node) Sync(ctx context.Context, which string) ([]audit.Run, error) {
	if n.link == nil && len(n.servers) == 0 && len(n.targets) == 0 {
		return nil, syncerr.New(syncerr.Usage, "sync", "this node has no parent, and no server beside it").
			WithHint("Set parent.url, or run the command at a child")
	}
	var out []audit.Run
	var failed []error
	for _, d := range n.passes() {
		if which != control.Both && which != "" && which != d.name {
			continue
		}
		run, err := d.now(ctx)
		if run.ID != "" {
			out = append(out, run)
		}
		if err != nil && d.server == "" {
			return out, errors.Join(append(failed, err)...)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("server %s: %w", d.server, err))
		}
	}
	return out, errors.Join(failed...)
}

// passes returns the directions of all links in the order in which changes go through them.
func (n *Node) passes() []*direction {
	var first, last []*direction
	for _, s := range n.servers {
		for _, d := range s.directions() {
			if d.name == control.Pull {
				first = append(first, d)
			} else {
				last = append(last, d)
			}
		}
	}
	if n.link != nil {
		first = append(first, n.link.directions()...)
	}
	return append(append(first, last...), n.targets...)
}

// loops returns the directions of all links, also those in which nothing goes now.
func (n *Node) loops() []*direction {
	out := n.passes()
	if n.link != nil {
		out = append(slices.DeleteFunc(out, func(d *direction) bool { return d == n.link.pull || d == n.link.push }), n.link.pull, n.link.push)
	}
	return out
}

// LinkState returns how each direction to the parent and to servers stands (control.Passes).
func (n *Node) LinkState() []control.LinkState {
	out := []control.LinkState{{Direction: control.Pull}, {Direction: control.Push}}
	now := n.deps.Clock()
	if n.link != nil {
		for i, d := range []*direction{n.link.pull, n.link.push} {
			if !d.off() {
				out[i] = d.state(now)
			}
		}
	}
	for _, s := range n.servers {
		for _, d := range s.directions() {
			out = append(out, d.state(now))
		}
	}
	for _, d := range n.targets {
		out = append(out, d.state(now))
	}
	return out
}
