// Package simnet runs many real nodes (store, engine, handlers, readers) in one process under virtual time and breaks what can
// break: links that lose, repeat and cut; processes that stop between any two statements. It drives every step from one
// seed and one goroutine, so a run that failed can be repeated. It is for tests only.
package simnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// Options say what a run does.
type Options struct {
	Seed     uint64
	Dir      string // for the databases; emptied by the caller
	Nodes    int
	Steps    int
	Keys     int  // resources that the edits are about: few keys make many conflicts
	Faults   bool // links and processes break
	Restores bool // databases are put back from older copies
	Policy   reconcile.Policy
	Types    []string // resource types of the edits
	Log      io.Writer
}

// Net is a tree of nodes under one virtual clock.
type Net struct {
	opts  Options
	rand  *rand.Rand // what is done; each depth of the stack has its own, so that one more request moves little of a seed
	inner []*rand.Rand
	now   time.Time
	nodes []*Node
	depth int // exchanges on the stack

	accepted map[fhir.Key][]*accepted
	bodies   map[string]bool // every body that an author wrote, bare
	restored int             // databases put back

	lostConflicts []store.Conflict // rows of them that were thrown away then
	healing       bool
	late          []func() // requests that the network delivers again, later
}

// Node is one simulated node with the file that survives its crashes.
type Node struct {
	net      *Net
	name     string
	dir      string
	parent   *Node
	token    string
	skew     time.Duration
	ids      source     // randomness of the program
	luck     *rand.Rand // of its link and its process
	live     *node.Node
	busy     int                      // handlers and passes of it on the stack
	crashed  bool                     // must be started again before it does anything
	fuse     int                      // statements until it crashes; 0 never
	backup   *view                    // what the copy of its folder has
	own      map[version.Replica]bool // replicas that it is and was
	restored int
}

// New builds a tree of nodes and starts them.
func New(ctx context.Context, o Options) (*Net, error) {
	n := &Net{
		opts: o, rand: stream(o.Seed, 0), inner: []*rand.Rand{stream(o.Seed, 1), stream(o.Seed, 2)}, now: time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC),
		accepted: map[fhir.Key][]*accepted{}, bodies: map[string]bool{},
	}
	for i := range o.Nodes {
		x := &Node{net: n, name: fmt.Sprintf("n%d", i), dir: filepath.Join(o.Dir, fmt.Sprintf("n%d", i)), own: map[version.Replica]bool{}}
		x.ids, x.luck = source{stream(o.Seed, 100+uint64(i))}, stream(o.Seed, 200+uint64(i))
		if i > 0 {
			x.parent = n.nodes[n.parentOf(i)]
		}
		if o.Faults && n.rand.IntN(3) == 0 {
			x.skew = time.Duration(n.rand.IntN(4000)-2000) * 24 * time.Hour
		}
		n.nodes = append(n.nodes, x)
		if err := x.create(ctx); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// stream returns one of the independent random streams of a seed.
func stream(seed, which uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x7472_6962+which)) }

// parentOf makes a chain of three and hangs the rest anywhere above.
func (n *Net) parentOf(i int) int {
	if i <= 2 {
		return i - 1
	}
	return n.rand.IntN(min(i, 3))
}

// Close stops all nodes.
func (n *Net) Close() error {
	var all []error
	for _, x := range n.nodes {
		if x.live != nil {
			all = append(all, x.live.Close())
		}
	}
	return errors.Join(all...)
}

func (n *Net) logf(format string, args ...any) {
	if n.opts.Log != nil {
		fmt.Fprintf(n.opts.Log, strings.Repeat("  ", n.depth)+format+"\n", args...)
	}
}

func (x *Node) config() config.Config {
	c := config.Default()
	c.Node.Name, c.Node.URL, c.Node.DataDir = x.name, "http://"+x.name, x.dir
	c.Store.DSN = filepath.Join(x.dir, "tributary.db")
	c.Conflicts.Default = x.net.opts.Policy
	c.Conflicts.Priority = map[string]int{"n0": 3, "n1": 1, "n2": 2}
	c.Feed.PageSize = 5
	c.Pull.Page = 4 // small batches: many places to break
	if x.parent != nil {
		c.Parent.URL, c.Parent.Credential = "http://"+x.parent.name, x.token
	}
	return c
}

func (x *Node) deps() node.Deps {
	return node.Deps{
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
	if x.parent != nil {
		c, err := x.parent.live.Control().AddChild(ctx, x.name, "")
		if err != nil {
			return err
		}
		x.token = c.Credential
	}
	return x.start(ctx)
}

func (x *Node) start(ctx context.Context) error {
	x.crashed, x.fuse = false, 0
	var err error
	if x.live, err = node.New(ctx, x.config(), x.deps()); err == nil {
		x.own[x.live.Engine().Store().Identity().Replica] = true
	}
	return err
}

// errCrash is what a statement of a process meets that stopped before it.
var errCrash = errors.New("the process stopped here")

// hook is called at each statement and around each commit of the node's store.
func (x *Node) hook(string) error {
	if x.crashed {
		return errCrash
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
	if !x.crashed {
		return true, nil
	}
	if x.busy > 0 {
		return false, nil
	}
	if err := x.live.Close(); err != nil {
		return false, err
	}
	return true, x.start(ctx)
}

// pass runs one pass of a node, as its loop would.
func (x *Node) pass(ctx context.Context, direction string) error {
	if x.parent == nil || x.busy > 0 {
		return nil
	}
	if ok, err := x.ready(ctx); err != nil || !ok {
		return err
	}
	x.busy++
	if x.net.opts.Faults && !x.net.healing && x.luck.IntN(12) == 0 {
		x.fuse = 1 + x.luck.IntN(60)
	}
	runs, err := x.live.Sync(ctx, direction)
	x.busy--
	x.fuse = 0
	x.net.logf("%s %s: %d runs, %v", x.name, direction, len(runs), err)
	if err != nil && x.net.healing {
		return fmt.Errorf("%s %s while everything is whole: %w", x.name, direction, err)
	}
	return nil
}

// edit writes at a node as a local application would.
func (x *Node) edit(ctx context.Context) error {
	if ok, err := x.ready(ctx); err != nil || !ok {
		return err
	}
	n := x.net
	if n.opts.Faults && !n.healing && x.luck.IntN(20) == 0 {
		x.fuse = 1 + x.luck.IntN(12)
	}
	count := 1
	if n.rand.IntN(5) == 0 {
		count = 2 + n.rand.IntN(3)
	}
	var writes []engine.Write
	seen := map[fhir.Key]bool{}
	for range count {
		k := fhir.Key{Type: n.opts.Types[n.rand.IntN(len(n.opts.Types))], ID: fmt.Sprintf("k%d", n.rand.IntN(n.opts.Keys))}
		if seen[k] {
			continue
		}
		seen[k] = true
		if n.rand.IntN(6) == 0 {
			writes = append(writes, engine.Write{Op: engine.Delete, Key: k})
			continue
		}
		body := fmt.Sprintf(`{"resourceType":%q,"id":%q,"text":{"status":"generated","div":"<div>%d</div>"}}`, k.Type, k.ID, n.value())
		r, err := fhir.Parse([]byte(body), 0)
		if err != nil {
			return err
		}
		n.bodies[string(r.Body)] = true
		writes = append(writes, engine.Write{Op: engine.Update, Key: k, Body: r})
	}
	out, err := x.live.Engine().Author(ctx, "sim", writes)
	x.fuse = 0
	if err != nil {
		n.logf("%s edit: %v", x.name, err)
		if errors.Is(err, errCrash) {
			return nil // not accepted: the application has no answer; it may be there or not
		}
		return err
	}
	for _, w := range out {
		n.logf("%s writes %s %s deleted=%v", x.name, w.Key, w.Stamp.Version, w.Stamp.Deleted)
		if !w.Unchanged {
			n.accepted[w.Key] = append(n.accepted[w.Key], &accepted{at: x.name, stamp: w.Stamp})
		}
	}
	return nil
}

// value is mostly unique; now and then the same content is written twice, on purpose.
func (n *Net) value() int {
	if n.rand.IntN(10) == 0 {
		return n.rand.IntN(2)
	}
	return 1000 + n.rand.IntN(1_000_000_000)
}

// step does one random thing.
func (n *Net) step(ctx context.Context) error {
	n.now = n.now.Add(time.Duration(1+n.rand.IntN(90_000)) * time.Millisecond)
	x := n.nodes[n.rand.IntN(len(n.nodes))]
	if n.opts.Restores && n.rand.IntN(12) == 0 {
		return x.backUpOrRestore(ctx)
	}
	switch r := n.rand.IntN(10); {
	case r < 4:
		return x.edit(ctx)
	case r < 7:
		return x.pass(ctx, "pull")
	case r < 9 || n.depth > 0:
		return x.pass(ctx, "push")
	}
	if len(n.late) > 0 {
		i := n.rand.IntN(len(n.late))
		again := n.late[i]
		n.late = append(n.late[:i], n.late[i+1:]...)
		again()
		return nil
	}
	return x.resolve(ctx)
}

// resolve is a person who decides an open conflict.
func (x *Node) resolve(ctx context.Context) error {
	if ok, err := x.ready(ctx); err != nil || !ok {
		return err
	}
	_, err := x.resolveOne(ctx)
	return err
}

func (x *Node) resolveOne(ctx context.Context) (bool, error) {
	open, err := x.live.Engine().Store().Conflicts(ctx, openFilter())
	if err != nil || len(open) == 0 {
		return false, err
	}
	choice := engine.KeepLocal
	if x.net.rand.IntN(2) == 0 {
		choice = engine.KeepIncoming
	}
	err = x.live.Engine().Resolve(ctx, open[0].UUID, choice, "sim")
	x.net.logf("%s resolves %s as %s: %v", x.name, open[0].Key, choice, err)
	return true, err
}

// Run does the steps, heals everything, and lets the nodes sync until three rounds moved nothing.
func (n *Net) Run(ctx context.Context) error {
	for range n.opts.Steps {
		if err := n.step(ctx); err != nil {
			return err
		}
	}
	return n.Heal(ctx)
}

// Heal ends all faults and syncs until three rounds moved nothing.
func (n *Net) Heal(ctx context.Context) error {
	n.healing = true
	n.late = nil
	for _, x := range n.nodes {
		if _, err := x.ready(ctx); err != nil {
			return err
		}
	}
	for idle, rounds := 0, 0; idle < 3; rounds++ {
		if rounds > 80 {
			return errors.New("the nodes did not come to rest in 80 rounds")
		}
		before, err := n.heads(ctx)
		if err != nil {
			return err
		}
		n.now = n.now.Add(25 * time.Hour) // everything parked is due
		resolved := false
		for i := len(n.nodes) - 1; i >= 0; i-- {
			for _, d := range []string{"push", "pull"} {
				if err := n.nodes[i].pass(ctx, d); err != nil {
					return err
				}
			}
			ok, err := n.nodes[i].resolveOne(ctx)
			if err != nil {
				return err
			}
			resolved = resolved || ok
		}
		after, err := n.heads(ctx)
		if err != nil {
			return err
		}
		if idle++; before != after || resolved {
			idle = 0
		}
	}
	return nil
}

func (n *Net) heads(ctx context.Context) (string, error) {
	var b strings.Builder
	for _, x := range n.nodes {
		h, err := x.live.Engine().Store().Head(ctx)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s=%d ", x.name, h.Seq)
	}
	return b.String(), nil
}

// body reads a request's body so that it can be delivered more than once.
func body(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return bytes.Clone(b), err
}
