package simnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// Node is one simulated node with the file that survives its crashes.
type Node struct {
	net            *Net
	name           string
	as             string // its name at its parent; a copied machine has that of the first
	twin           *Node  // the copy of this machine, or that which it is a copy of, while both run
	copied         bool   // it once had a twin
	dir            string
	parent         *Node
	tokens         map[string]credential // by parent
	running        string                // the credential with which it was started
	ids            source                // randomness of the program
	luck           *rand.Rand            // of its link and its process
	flows          map[string]flow       // by type
	policies       map[string]reconcile.Policy
	waits          config.References
	limit          int // largest resource that it takes; 0 for no such bound
	skew           time.Duration
	live           *node.Node
	busy           int                      // handlers and passes of it on the stack
	fate           func(*http.Request) int  // where a world chooses what becomes of its requests
	crashed        bool                     // must be started again before it does anything
	fuse           int                      // statements until it crashes; 0 never
	full           int                      // statements for which its disk is still full
	backup         *view                    // what the copy of its folder has
	backupHead     feed.Cursor              // of its log in that copy
	backupDoubtful bool                     // it was doubtful when that was made
	backupOwn      map[version.Replica]bool // which of own it was by then
	own            map[version.Replica]bool // replicas that it is and was
	forgot         map[version.Replica]bool // which of own it took after a copy was made that was put back since
	restored       int
	doubtful       bool        // the whole machine was put back, or had a copy that ran too, and no pass has gone well since
	renamed        bool        // it was put back in a way in which it could not ask what of it keeps its name
	awaited        bool        // the whole machine was put back, and its children have not come since, nor has it met its parent: only they can tell
	unmet          bool        // its parent was put back, and no pass has gone well since
	gone           []store.Row // what was collected from its log
	lives          int         // processes that it has been
	answers        int         // to its requests
}

// credential is what a parent gave to a child.
type credential struct{ id, secret string }

// maxLevels is how deep a tree is at most.
const maxLevels = 4

func (n *Net) node(i int) *Node {
	o := n.opts
	x := &Node{
		net: n, name: fmt.Sprintf("n%d", i), as: fmt.Sprintf("n%d", i), dir: filepath.Join(o.Dir, fmt.Sprintf("n%d", i)), own: map[version.Replica]bool{}, forgot: map[version.Replica]bool{}, tokens: map[string]credential{},
		ids: source{stream(o.Seed, 100+uint64(i))}, luck: stream(o.Seed, 200+uint64(i)), flows: map[string]flow{}, policies: map[string]reconcile.Policy{},
	}
	if i > 0 {
		for x.parent = n.nodes[n.rand.IntN(i)]; x.parent.level() >= maxLevels; {
			x.parent = x.parent.parent
		}
	}
	if o.Faults && n.rand.IntN(3) == 0 {
		x.skew = time.Duration(n.rand.IntN(4000)-2000) * 24 * time.Hour
	}
	if o.Poison && n.rand.IntN(2) == 0 {
		x.limit = small
	}
	for _, t := range o.Types {
		x.flows[t] = both
		if o.OneWay && t != o.Types[0] {
			x.flows[t] = flow(n.rand.IntN(4))
		}
		x.policies[t] = o.Policies[n.rand.IntN(len(o.Policies))]
	}
	x.waits = n.waits()
	return x
}

// level is 1 at the top.
func (x *Node) level() int {
	n := 1
	for p := x.parent; p != nil; p = p.parent {
		n++
	}
	return n
}

// height is 1 where nobody is below.
func (x *Node) height() int {
	n := 0
	for _, o := range x.net.nodes {
		if o.parent == x {
			n = max(n, o.height())
		}
	}
	return n + 1
}

// above reports whether the node is o or above it.
func (x *Node) above(o *Node) bool {
	for ; o != nil; o = o.parent {
		if o == x {
			return true
		}
	}
	return false
}

func (x *Node) config() config.Config {
	c := config.Default()
	c.Node.Name, c.Node.URL, c.Node.DataDir = x.as, "http://"+x.name, x.dir
	c.Store.DSN = filepath.Join(x.dir, "tributary.db")
	c.Conflicts.Default = reconcile.LastWriterWins
	c.Conflicts.Types = map[string]reconcile.Policy{}
	c.Conflicts.Priority = map[string]int{"n0": 3, "n1": 1, "n2": 2}
	c.Feed.PageSize = 5
	c.References = x.waits
	if x.net.opts.Forget {
		c.History.Keep = config.Duration(keepFor)
	}
	if x.limit > 0 {
		c.Limits.Resource = config.Size(x.limit)
	}
	c.Pull.Page = 1 + int(x.net.opts.Seed%4) // small batches and pages: many places to break
	if x.net.opts.Keys > 10 {
		c.Pull.Page = 1
	}
	if x.parent != nil {
		c.Parent.URL, c.Parent.Credential = "http://"+x.parent.name, x.tokens[x.parent.name].secret
		c.Pull.Types, c.Pull.Enabled = x.rules(down)
		c.Push.Types, c.Push.Enabled = x.rules(up)
	}
	for t, p := range x.policies {
		if x.flows[t] == up && (p.Names(reconcile.DestinationWins) || p.Names(reconcile.Defer)) {
			p = reconcile.LastWriterWins // the configuration would be refused
		}
		c.Conflicts.Types[t] = p
	}
	return c
}

func (x *Node) deps() node.Deps {
	return node.Deps{
		Pool:  &x.net.pool,
		Clock: func() time.Time { return x.net.now.Add(x.skew) }, Rand: x.ids, Transport: &wire{from: x}, Log: slog.New(slog.DiscardHandler),
		Hook: x.hook, Volatile: true,
	}
}

// source gives the run's randomness as bytes.
type source struct{ r *rand.Rand }

func (s source) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(s.r.Uint32())
	}
	return len(p), nil
}

func (x *Node) create(ctx context.Context) error {
	if err := os.MkdirAll(x.dir, 0o700); err != nil {
		return err
	}
	if err := node.Init(ctx, x.config(), x.deps()); err != nil {
		return err
	}
	if err := x.enrol(ctx); err != nil {
		return err
	}
	return x.start(ctx)
}

// enrol gets the node a credential of its parent, unless it has one that the parent knows.
func (x *Node) enrol(ctx context.Context) error {
	if x.parent == nil {
		return nil
	}
	children, err := x.parent.live.Control().Children(ctx)
	if err != nil {
		return err
	}
	for _, c := range children {
		if c.Name != x.name {
			continue
		}
		if c.ID == x.tokens[x.parent.name].id {
			return nil
		}
		if err := x.parent.live.Control().RemoveChild(ctx, x.name); err != nil {
			return err
		}
	}
	c, err := x.parent.live.Control().AddChild(ctx, x.name, "")
	if err != nil {
		return err
	}
	x.tokens[x.parent.name] = credential{c.ID, c.Credential}
	return nil
}

// start runs the program, which may crash at its first statements: then it is started again.
func (x *Node) start(ctx context.Context) error {
	fuse := 0
	if x.net.opts.Faults && !x.net.healing && x.luck.IntN(8) == 0 {
		fuse = 1 + x.luck.IntN(12)
	}
	for {
		x.crashed, x.fuse, x.full = false, fuse, 0
		x.lives++
		if x.parent != nil {
			x.running = x.tokens[x.parent.name].secret
		}
		var err error
		x.live, err = node.New(ctx, x.config(), x.deps())
		if err == nil && !x.crashed {
			x.fuse = 0
			x.own[x.live.Engine().Store().Identity().Replica] = true
			return nil
		}
		if err == nil {
			err = x.live.Close()
		} else if x.crashed {
			err = nil
		}
		if err != nil {
			return fmt.Errorf("start %s: %w", x.name, err)
		}
		fuse = 0
	}
}

// restart stops the node, lets something change, and starts it. Where it is in the middle of something nothing happens.
func (x *Node) restart(ctx context.Context, change func() error) error {
	if x.busy > 0 {
		return nil
	}
	if err := x.live.Close(); err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	return x.start(ctx)
}

// errCrash is what a statement of a process meets that stopped before it.
var errCrash = errors.New("the process stopped here")

// errFull is how SQLite says it.
var errFull = errors.New("database or disk is full")

// hook is called at each statement and around each commit of the node's store.
func (x *Node) hook(string) error {
	if x.crashed {
		return errCrash
	}
	if x.full > 0 {
		x.full--
		return errFull
	}
	if x.fuse > 0 {
		if x.fuse--; x.fuse == 0 {
			x.crashed = true
			x.net.logf("%s crashes", x.name)
			return errCrash
		}
	}
	return nil
}

// ready starts the node again if it crashed and nothing of it is on the stack any more. It reports whether the node runs.
func (x *Node) ready(ctx context.Context) (bool, error) {
	stale := x.parent != nil && x.running != x.tokens[x.parent.name].secret
	if !x.crashed && (!stale || x.busy > 0) {
		return true, nil
	}
	if x.busy > 0 {
		return false, nil
	}
	return true, x.restart(ctx, func() error { return nil })
}
