package simnet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
)

// Seeds from directedFrom on run directed worlds: a block of worldSeeds seeds belongs to each of them. What they show needs a sequence of
// events that a random run hardly ever makes.
const (
	directedFrom = 1_000_000_000
	worldSeeds   = 1_000_000
)

// world is a small tree in which a play does what one rule is about. The seed draws what may differ: the order, who else writes, the
// policies, the pages.
type world struct {
	name  string
	nodes int
	allow func(o *Options) // what the checks have to know
	play  func(s *stage)
	check func(n *Net, views []view) []error // more than in other runs, at the end
}

// worlds returns the directed worlds. The place of one in the list decides about its seeds: new ones come last.
func worlds() []world {
	return []world{
		{name: "holds", nodes: 3, allow: func(o *Options) { o.Filters = true }, play: (*stage).holds},
		{name: "a parent that lost a rival", nodes: 2, allow: func(o *Options) { o.Restores = true }, play: (*stage).lostRival},
		{name: "a whole machine put back", nodes: 2, allow: func(o *Options) { o.Restores = true }, play: (*stage).wholeMachine},
		{name: "a scope that was closed", nodes: 2, allow: func(o *Options) { o.Forget, o.Filters = true, true }, play: (*stage).closedScope},
		{name: "a late push of what was forgotten", nodes: 2, allow: func(o *Options) { o.Forget = true }, play: (*stage).latePush},
		{name: "a side of a conflict, old enough to forget", nodes: 2, allow: func(o *Options) {
			o.Forget, o.Filters, o.Policies = true, true, []reconcile.Policy{reconcile.Defer}
		}, play: (*stage).pinned},
		{name: "equal copies from two sides", nodes: 4, allow: func(o *Options) { o.Equal = true }, play: (*stage).equalCopies},
		{name: "parked under another log", nodes: 2, allow: func(o *Options) { o.Poison, o.Restores = true, true }, play: (*stage).parkedBefore},
		{name: "transactions", nodes: 3, allow: func(o *Options) { o.Met, o.Keys = true, 30 }, play: (*stage).transactions},
		{name: "an equal copy confirmed", nodes: 2, allow: func(o *Options) { o.Equal = true }, play: (*stage).confirmed, check: noConflict},
		{name: "waited under another log", nodes: 2, allow: func(o *Options) { o.Refer, o.Restores = true, true }, play: (*stage).waitedBefore},
		{name: "a machine copied", nodes: 2, allow: func(o *Options) { o.Clones = true }, play: (*stage).copied},
		{name: "rivals", nodes: 2, allow: func(*Options) {}, play: (*stage).rivals, check: arbiters},
		{name: "a parent put back", nodes: 4, allow: func(o *Options) { o.Restores, o.Above = true, true }, play: (*stage).parentBack},
		{name: "back below a parent", nodes: 3, allow: func(o *Options) { o.Moves = true }, play: (*stage).returned},
		{name: "a database put back", nodes: 3, allow: func(o *Options) { o.Restores = true }, play: (*stage).databaseBack},
		{name: "a deletion that was not pushed", nodes: 2, allow: func(o *Options) { o.Forget, o.Filters = true, true }, play: (*stage).unsentDeletion},
		{name: "a whole machine put back near collected rows", nodes: 2, allow: func(o *Options) { o.Forget, o.Restores = true, true }, play: (*stage).collectedBack},
	}
}

// directed derives a directed world from its seed.
func directed(seed uint64, dir string) Options {
	r := stream(seed, 60)
	all := worlds()
	w := all[(seed-directedFrom)/worldSeeds%uint64(len(all))]
	o := Options{
		Seed: seed, Dir: dir, Nodes: w.nodes, Keys: 4, Types: []string{"Patient", "Observation"}, World: &w, Met: r.IntN(2) == 0,
		Policies: []reconcile.Policy{reconcile.LastWriterWins, reconcile.SourceWins, reconcile.ReplicaPriority, reconcile.DestinationWins}[r.IntN(4):][:1],
	}
	w.allow(&o)
	return o
}

// play plays the world of the run.
func (n *Net) play(ctx context.Context) error {
	s := &stage{n: n, ctx: ctx, r: n.rand}
	n.opts.World.play(s)
	for _, x := range n.nodes {
		x.fate = nil
	}
	if s.err != nil {
		return fmt.Errorf("the play %q: %w", n.opts.World.name, s.err)
	}
	return nil
}

// stage is where a play runs. After an error it does nothing more.
type stage struct {
	n   *Net
	ctx context.Context
	r   *rand.Rand
	err error
}

func (s *stage) do(f func() error) {
	if s.err == nil {
		s.n.now = s.n.now.Add(time.Duration(1+s.r.IntN(9_000)) * time.Millisecond)
		s.err = f()
	}
}

func (s *stage) maybe() bool { return s.r.IntN(2) == 0 }

// chain hangs each node below the one before it.
func (s *stage) chain() {
	for i, x := range s.n.nodes[1:] {
		s.hang(x, s.n.nodes[i])
	}
}

func (s *stage) hang(x, parent *Node) {
	s.do(func() error {
		if x.parent == parent {
			return nil
		}
		return x.restart(s.ctx, func() error { x.parent = parent; return x.enrol(s.ctx) })
	})
}

func patient(i int) fhir.Key     { return fhir.Key{Type: "Patient", ID: fmt.Sprintf("k%d", i)} }
func observation(i int) fhir.Key { return fhir.Key{Type: "Observation", ID: fmt.Sprintf("k%d", i)} }

// write writes keys at a node in one transaction, with contents that nobody else writes.
func (s *stage) write(x *Node, keys ...fhir.Key) {
	s.content(x, 1000+s.r.IntN(1_000_000_000), "", keys...)
}

// content does so with a given content.
func (s *stage) content(x *Node, value int, pad string, keys ...fhir.Key) {
	s.do(func() error {
		var writes []engine.Write
		for _, k := range keys {
			w, err := s.n.update(k, fmt.Sprintf(`"text":{"status":"generated","div":"<div>%d%s</div>"}`, value, pad))
			if err != nil {
				return err
			}
			writes = append(writes, w)
		}
		return x.author(s.ctx, writes)
	})
}

// refers writes a resource that refers to another.
func (s *stage) refers(x *Node, k, to fhir.Key) {
	s.do(func() error {
		w, err := s.n.update(k, fmt.Sprintf(`"subject":{"reference":%q}`, to))
		if err != nil {
			return err
		}
		return x.author(s.ctx, []engine.Write{w})
	})
}

// waits sets what a node does with what refers to what is not there.
func (s *stage) waits(x *Node, how config.References) {
	s.do(func() error { return x.restart(s.ctx, func() error { x.waits = how; return nil }) })
}

func (s *stage) large(x *Node, k fhir.Key) {
	s.content(x, s.r.IntN(1_000_000_000), strings.Repeat("x", large), k)
}

func (s *stage) remove(x *Node, k fhir.Key) {
	s.do(func() error { return x.author(s.ctx, []engine.Write{{Op: engine.Delete, Key: k}}) })
}

func (s *stage) pull(x *Node) { s.pass(x, "pull") }
func (s *stage) push(x *Node) { s.pass(x, "push") }

func (s *stage) pass(x *Node, direction string) {
	s.do(func() error { _, err := x.pass(s.ctx, direction); return err })
}

// meet lets all nodes push and pull until everybody has everything.
func (s *stage) meet() {
	for range 3 {
		for _, x := range s.n.nodes[1:] {
			s.push(x)
			s.pull(x)
		}
	}
}

// goes changes which way a type goes between a node and its parent.
func (s *stage) goes(x *Node, resourceType string, way flow) {
	s.do(func() error {
		s.n.logf("%s: %s goes %s", x.name, resourceType, way)
		return x.restart(s.ctx, func() error { x.flows[resourceType] = way; return nil })
	})
}

func (s *stage) limit(x *Node, bytes int) {
	s.do(func() error { return x.restart(s.ctx, func() error { x.limit = bytes; return nil }) })
}

func (s *stage) backUp(x *Node) { s.do(func() error { return x.backUp(s.ctx) }) }

func (s *stage) restore(x *Node, whole bool) {
	s.do(func() error { return x.restore(s.ctx, whole) })
}

func (s *stage) tidy(x *Node) { s.do(func() error { return x.tidy(s.ctx) }) }

func (s *stage) wait(d time.Duration) { s.do(func() error { s.n.now = s.n.now.Add(d); return nil }) }

// pushes lets something become of the next batches that a node pushes.
func (s *stage) pushes(x *Node, fate int) {
	x.fate = func(r *http.Request) int {
		if r.Method == http.MethodPost && r.URL.Path == "/sync/changes" {
			return fate
		}
		return fateWell
	}
}
