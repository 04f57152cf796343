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
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/zpool"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
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
	Moves    bool // nodes get other parents
	OneWay   bool // some types go up only, or down only, or not at all
	Filters  bool // which types go which way changes
	Live     bool // mostly while the node runs
	Poison   bool // some nodes refuse large resources for a while
	Full     bool // disks are full for a while
	Forget   bool // what everybody has acknowledged is collected
	Equal    bool // nodes often write the same content
	// A machine at the end of the tree is copied and both go on. Until a person has stopped one of them and the other one has met its parent, neither
	// goes to another parent, and their parent is not put back: what one of them wrote would be under way to the nation through a node that has
	// no means to tell it from what the other one wrote under the same version (docs/decisions.md names the case).
	Clones bool
	// A node that has children is put back as a whole machine, of which all its peers remember more than the copy has; see peersTell for the rest.
	Above    bool
	Refer    bool               // resources refer to others, and some nodes hold what refers to what is not there
	Fields   bool               // edits change single fields, and people resolve in every way
	Met      bool               // all links have been used before the first edit: later nothing needs a catch-up unless something breaks
	Policies []reconcile.Policy // each node has one of them for each type
	Types    []string           // resource types of the edits
	sticks   bool               // everybody meets everybody by sticks
	World    *world             // what is done is not drawn step by step: it is the play of a directed world
	Log      io.Writer
}

// Net is a tree of nodes under one virtual clock.
type Net struct {
	opts  Options
	rand  *rand.Rand // what is done; each depth of the stack has its own, so that one more request moves little of a seed
	inner []*rand.Rand
	pool  zpool.Pool
	above *rand.Rand // of what is put back as a whole machine and has children
	now   time.Time
	nodes []*Node
	depth int // exchanges on the stack

	accepted  map[fhir.Key][]*accepted
	minted    map[kindVersion]feed.Event // every version that was seen in a log
	twice     map[kindVersion]bool       // of these, those that were seen for two writes
	bodies    map[string]bool            // every body that an author wrote, bare
	restored  int                        // databases put back
	healing   bool
	estranged bool         // a node forgot another one and collected what that had still to hear of
	late      []late       // requests that the network delivers again, later
	clones    int          // machines copied
	had       map[life]had // what each life of a node was seen to have

	live      *rand.Rand      // whether what is synchronised changes while the node runs
	operators *rand.Rand      // who give up what is parked, and take it up
	people    *rand.Rand      // who edit fields and resolve
	values    map[string]bool // of fields, that somebody wrote
	edits     []fieldEdit

	lostConflicts []store.Conflict // rows of databases that were thrown away when an older copy was put back
}

// New builds a tree of nodes and starts them.
func New(ctx context.Context, o Options) (*Net, error) {
	n := &Net{
		opts: o, rand: stream(o.Seed, 0), inner: []*rand.Rand{stream(o.Seed, 1), stream(o.Seed, 2)}, above: stream(o.Seed, 53), live: stream(o.Seed, 58), people: stream(o.Seed, 55), operators: stream(o.Seed, 57), values: map[string]bool{}, now: time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC),
		accepted: map[fhir.Key][]*accepted{}, minted: map[kindVersion]feed.Event{}, twice: map[kindVersion]bool{}, had: map[life]had{}, bodies: map[string]bool{},
	}
	for i := range o.Nodes {
		x := n.node(i)
		n.nodes = append(n.nodes, x)
		if err := x.create(ctx); err != nil {
			return nil, err
		}
	}
	n.healing = true
	defer func() { n.healing = false }()
	for i := 0; o.Met && i < 2*len(n.nodes); i++ {
		if _, err := n.nodes[i/2].sync(ctx, [...]string{"push", "pull"}[i%2]); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// stream returns one of the independent random streams of a seed.
func stream(seed, which uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x7472_6962+which)) }

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

// find returns the node of a name, nil where there is none.
func (n *Net) find(name string) *Node {
	for _, x := range n.nodes {
		if x.name == name {
			return x
		}
	}
	return nil
}

// pass runs one pass of a node, as its loop would.
func (x *Node) pass(ctx context.Context, direction string) (moved int, err error) {
	if x.parent == nil || x.busy > 0 {
		return 0, nil
	}
	if ok, err := x.ready(ctx); err != nil || !ok {
		return 0, err
	}
	x.busy++
	before, life := x.answers, x.parent.restored
	if x.net.opts.Faults && !x.net.healing && x.luck.IntN(12) == 0 {
		x.fuse = 1 + x.luck.IntN(60)
	}
	moved, err = x.sync(ctx, direction)
	x.busy--
	x.fuse = 0
	x.net.logf("%s %s: %d events, %v", x.name, direction, moved, err)
	if err == nil && x.answers > before {
		x.doubtful, x.awaited = false, false
		if life == x.parent.restored { // else the answer may have been under way since before, and what it tells is forgotten
			x.parent.heard()
		}
		x.unmet = x.unmet && !(direction == "push" && moved > 0 && life == x.parent.restored) // a parent remembers whose changes it took
	}
	if err != nil && direction == "push" && x.net.opts.Restores && !x.net.healing && x.luck.IntN(3) == 0 {
		return 0, x.backUp(ctx) // its parent may have taken what the copy does not know to be pushed
	}
	if err != nil && x.net.healing {
		return 0, fmt.Errorf("%s %s while everything is whole: %w", x.name, direction, err)
	}
	return moved, nil
}

func (x *Node) sync(ctx context.Context, direction string) (moved int, err error) {
	if x.parent == nil {
		return 0, nil
	}
	if err := x.noteBefore(ctx); err != nil {
		return 0, err
	}
	runs, err := x.live.Sync(ctx, direction)
	for _, r := range runs {
		moved += int(r.Read)
	}
	return moved, err
}

// edit writes at a node as a local application would.
func (x *Node) edit(ctx context.Context) error {
	if ok, err := x.ready(ctx); err != nil || !ok {
		return err
	}
	n := x.net
	if n.opts.Fields {
		return x.editField(ctx)
	}
	if n.opts.Faults && !n.healing && x.luck.IntN(20) == 0 {
		x.fuse = 1 + x.luck.IntN(12)
	}
	count := 1
	if n.rand.IntN(5) == 0 {
		count = 2 + n.rand.IntN(3)
	}
	var writes []engine.Write
	var texts []string // of the updates, which come after all that is drawn for the others
	for range count {
		k := fhir.Key{Type: n.opts.Types[n.rand.IntN(len(n.opts.Types))], ID: fmt.Sprintf("k%d", n.rand.IntN(n.opts.Keys))}
		if slices.ContainsFunc(writes, func(w engine.Write) bool { return w.Key == k }) {
			continue
		}
		if n.rand.IntN(6) == 0 {
			writes, texts = append(writes, engine.Write{Op: engine.Delete, Key: k}), append(texts, "")
			continue
		}
		pad := ""
		if n.opts.Poison && n.rand.IntN(6) == 0 {
			pad = strings.Repeat("x", large)
		}
		text := fmt.Sprintf(`"text":{"status":"generated","div":"<div>%d%s</div>"}`, n.value(), pad)
		writes, texts = append(writes, engine.Write{Op: engine.Update, Key: k}), append(texts, text)
	}
	for i, w := range writes {
		if w.Op == engine.Delete {
			continue
		}
		var err error
		if writes[i], err = n.update(w.Key, n.refer(w.Key, writes)+texts[i]); err != nil {
			return err
		}
	}
	return x.author(ctx, writes)
}

// update returns the write of a resource with more fields, and notes its body.
func (n *Net) update(k fhir.Key, fields string) (engine.Write, error) {
	r, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":%q,"id":%q,%s}`, k.Type, k.ID, fields), 0)
	if err != nil {
		return engine.Write{}, err
	}
	n.bodies[string(r.Body)] = true
	return engine.Write{Op: engine.Update, Key: k, Body: r}, nil
}

// author writes, and notes what the application was told to be safe.
func (x *Node) author(ctx context.Context, writes []engine.Write) error {
	n := x.net
	out, err := x.live.Engine().Author(ctx, "sim", writes)
	x.fuse = 0
	if err != nil {
		n.logf("%s edit: %v", x.name, err)
		switch kind := syncerr.KindOf(err); {
		case errors.Is(err, errCrash): // the application has no answer; it may be there or not
		case kind == syncerr.TooLarge && x.limit > 0:
		default:
			return err
		}
		return nil
	}
	for _, w := range out {
		n.logf("%s writes %s %s deleted=%v", x.name, w.Key, w.Stamp.Version, w.Stamp.Deleted)
		if !w.Unchanged {
			n.mint(feed.Event{Key: w.Key, Stamp: w.Stamp})
			n.accepted[w.Key] = append(n.accepted[w.Key], &accepted{at: x.as, stamp: w.Stamp})
		}
	}
	return nil
}

// value is mostly unique; now and then the same content is written twice, on purpose.
func (n *Net) value() int {
	often := 10
	if n.opts.Equal {
		often = 3
	}
	if n.rand.IntN(often) == 0 {
		return n.rand.IntN(2)
	}
	return 1000 + n.rand.IntN(1_000_000_000)
}

// step does one random thing.
func (n *Net) step(ctx context.Context) error {
	n.now = n.now.Add(time.Duration(1+n.rand.IntN(90_000)) * time.Millisecond)
	x := n.nodes[n.rand.IntN(len(n.nodes))]
	if n.operators.IntN(8) == 0 {
		if err := x.unlessFull(x.reconsider(ctx)); err != nil {
			return err
		}
	}
	if n.rand.IntN(14) == 0 {
		return x.change(ctx)
	}
	switch r := n.rand.IntN(10); {
	case r < 4:
		return x.unlessFull(x.edit(ctx))
	case r < 7:
		_, err := x.pass(ctx, "pull")
		return err
	case n.opts.Fields && r == 8 && n.depth == 0:
		return x.unlessFull(x.resolve(ctx))
	case r < 9 || n.depth > 0:
		_, err := x.pass(ctx, "push")
		return err
	}
	if len(n.late) > 0 {
		n.deliverLate(n.rand.IntN(len(n.late)))
		return nil
	}
	return x.unlessFull(x.resolve(ctx))
}

// unlessFull drops an error that a full disk explains.
func (x *Node) unlessFull(err error) error {
	if x.net.opts.Full && syncerr.KindOf(err) == syncerr.StorageFull {
		return nil
	}
	return err
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
	if x.net.opts.Fields {
		return x.resolveFields(ctx)
	}
	open, err := x.live.Engine().Store().Conflicts(ctx, openFilter())
	if err != nil || len(open) == 0 {
		return false, err
	}
	choice := engine.KeepLocal
	if x.net.rand.IntN(2) == 0 {
		choice = engine.KeepIncoming
	}
	_, err = x.live.Engine().Resolve(ctx, open[0].UUID, engine.Resolution{Choice: choice}, "sim")
	x.net.logf("%s resolves %s as %s: %v", x.name, open[0].Key, choice, err)
	if syncerr.KindOf(err) == syncerr.TooLarge {
		return false, nil // the limit was lowered since the copy came: a person waits until it is raised again
	}
	return true, err
}

// Run does the steps, or plays the world, heals everything, and lets the nodes sync until two rounds moved nothing.
func (n *Net) Run(ctx context.Context) error {
	if n.opts.World != nil {
		if err := n.play(ctx); err != nil {
			return err
		}
		return n.Heal(ctx)
	}
	for i := range n.opts.Steps {
		if err := n.step(ctx); err != nil {
			return err
		}
		if i%20 != 19 {
			continue
		}
		views, err := n.allViews(ctx)
		if err != nil {
			return err
		}
		if err := errors.Join(slices.Concat(n.checkClaims(ctx, views), n.checkReached(ctx, views), n.checkOthers(views))...); err != nil {
			return fmt.Errorf("after step %d: %w", i, err)
		}
	}
	return n.Heal(ctx)
}

// Heal ends all faults and syncs until two rounds moved nothing.
func (n *Net) Heal(ctx context.Context) error {
	n.healing = true
	for _, x := range n.nodes {
		if err := x.mend(ctx); err != nil {
			return err
		}
	}
	if err := n.endClones(ctx); err != nil {
		return err
	}
	if err := n.takeUp(ctx); err != nil {
		return err
	}
	if err := n.fulfil(ctx); err != nil {
		return err
	}
	if err := n.lateAfterTidying(ctx); err != nil {
		return err
	}
	order := slices.Clone(n.nodes) // from below, where the way is shortest to what others wait for
	slices.SortStableFunc(order, func(a, b *Node) int { return b.level() - a.level() })
	for idle, rounds := 0, 0; idle < 2; rounds++ {
		if rounds > 80 {
			return errors.New("the nodes did not come to rest in 80 rounds")
		}
		before, err := n.heads(ctx)
		if err != nil {
			return err
		}
		n.now = n.now.Add(25 * time.Hour) // everything parked is due
		moved := 0
		for _, x := range order {
			for _, d := range []string{"push", "pull"} {
				events, err := x.pass(ctx, d)
				if err != nil {
					return err
				}
				moved += events
			}
			ok, err := x.resolveOne(ctx)
			if err != nil {
				return err
			}
			if ok {
				moved++
			}
		}
		after, err := n.heads(ctx)
		if err != nil {
			return err
		}
		if idle++; before != after || moved > 0 {
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
