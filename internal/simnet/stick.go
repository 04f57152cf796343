package simnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tributary-sync/tributary/carry"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/syncerr"
)

// courier carries sticks between the nodes of a Net, for days of virtual time. What it does is drawn from a source of its own.
type courier struct {
	*Net
	r       *rand.Rand
	days    int
	wires   bool // the first node is the parent of the others, and the wire to it works now and then
	sticks  []string
	carried int // bundles that were taken
	gaps    int
	found   int // restores that a stick showed
}

// carried derives a world of sticks from its seed: clinics without any network, or below a district whose wire often fails.
func carriedBy(seed uint64, dir string) (Options, int, bool) {
	r := stream(seed, 70)
	all := []reconcile.Policy{reconcile.LastWriterWins, reconcile.SourceWins, reconcile.ReplicaPriority, reconcile.DestinationWins, reconcile.Defer}
	o := Options{
		Seed: seed, Dir: dir, Nodes: 2 + r.IntN(2), Keys: 3 + r.IntN(5), Faults: r.IntN(3) > 0, Restores: r.IntN(4) == 0, Equal: r.IntN(4) == 0,
		Policies: all[r.IntN(5):][:1], Types: []string{"Patient", "Observation"}, sticks: true,
	}
	if r.IntN(4) == 0 {
		o.Keys = 30
	}
	o.Forget = !o.Restores && r.IntN(4) == 0
	days := 60
	if r.IntN(6) == 0 {
		days = 365
	}
	return o, days, r.IntN(2) == 0
}

// newCourier builds the nodes and introduces them to each other.
func newCourier(ctx context.Context, o Options, days int, wires bool) (*courier, error) {
	n, err := New(ctx, o)
	if err != nil {
		return nil, err
	}
	n.healing = true // until all have met
	defer func() { n.healing = false }()
	c := &courier{Net: n, r: stream(o.Seed, 71), days: days, wires: wires}
	for i := range 3 {
		c.sticks = append(c.sticks, filepath.Join(o.Dir, fmt.Sprintf("stick%d", i)))
	}
	for _, x := range n.nodes {
		if x.parent == nil {
			continue
		}
		if err := x.restart(ctx, func() error {
			if x.parent = nil; wires {
				x.parent = n.nodes[0]
				return x.enrol(ctx)
			}
			return nil
		}); err != nil {
			return nil, err
		}
		if wires && x.parent == n.nodes[0] {
			if _, err := x.sync(ctx, "both"); err != nil { // they meet once, so that they know each other's keys
				return nil, err
			}
		}
	}
	return c, c.introduce(ctx)
}

func (c *courier) introduce(ctx context.Context) error {
	var cards [][]byte
	var prints []string
	for range 2 {
		for i, x := range c.nodes {
			got, err := x.live.Control().Introduce(ctx, control.Introduce{Cards: cards, Accept: prints, Decides: i == 0 && c.opts.Seed%2 == 0})
			if err != nil {
				return err
			}
			card, err := carry.ReadCard(got.Card)
			if err != nil {
				return err
			}
			cards, prints = append(cards, got.Card), append(prints, carry.Fingerprint(card.Key))
		}
	}
	return nil
}

// year lets the days pass, and ends all faults then.
func (c *courier) year(ctx context.Context) error {
	for day := range c.days {
		for range 1 + c.r.IntN(4) {
			c.now = c.now.Add(time.Duration(c.r.IntN(8)) * time.Hour)
			if err := c.act(ctx); err != nil {
				return fmt.Errorf("day %d: %w", day, err)
			}
		}
		if day%7 != 0 {
			continue
		}
		views, err := c.allViews(ctx)
		if err != nil {
			return err
		}
		if err := errors.Join(c.checkClaims(ctx, views)...); err != nil {
			return fmt.Errorf("day %d: %w", day, err)
		}
	}
	return c.rest(ctx)
}

func (c *courier) act(ctx context.Context) error {
	x := c.nodes[c.r.IntN(len(c.nodes))]
	if ok, err := x.ready(ctx); err != nil || !ok {
		return err
	}
	switch r := c.r.IntN(20); {
	case r < 8:
		return x.edit(ctx)
	case r < 12:
		return c.write(ctx, x)
	case r < 16:
		return c.take(ctx, x)
	case r == 16 && c.opts.Restores:
		if c.r.IntN(2) == 0 || x.backup == nil {
			return x.backUp(ctx)
		}
		if x.busy > 0 || x.crashed {
			return nil
		}
		return x.restore(ctx, c.r.IntN(2) == 0 && x.parent == nil && !c.wires)
	case r == 17 && c.opts.Forget:
		return x.tidy(ctx)
	case r == 17 && c.opts.Faults:
		return c.spoil()
	case r == 18:
		_, err := x.resolveOne(ctx)
		return err
	case c.wires:
		_, err := x.pass(ctx, [...]string{"push", "pull"}[c.r.IntN(2)])
		return err
	case r == 19 && c.opts.Forget && c.r.IntN(4) == 0:
		return c.estrange(ctx, x)
	}
	return nil
}

// estrange lets a node forget the others and tidy up what they had still to hear of, before they are introduced again.
func (c *courier) estrange(ctx context.Context, x *Node) error {
	for _, y := range c.nodes {
		if ok, err := y.ready(ctx); err != nil || !ok {
			return err
		}
	}
	for _, y := range c.nodes {
		if x == y {
			continue
		}
		if err := x.live.Control().ForgetPeer(ctx, y.name); err != nil {
			return err
		}
		c.logf("%s forgets %s", x.name, y.name)
	}
	c.estranged = true
	return errors.Join(x.tidy(ctx), c.introduce(ctx))
}

// spoil loses a stick, copies it over another, or damages a file on it.
func (c *courier) spoil() error {
	s := c.sticks[c.r.IntN(len(c.sticks))]
	switch c.r.IntN(3) {
	case 0:
		c.logf("%s is lost", filepath.Base(s))
		return os.RemoveAll(s)
	case 1:
		from := c.sticks[c.r.IntN(len(c.sticks))]
		if _, err := os.Stat(from); err != nil || from == s {
			return nil
		}
		c.logf("%s is copied over %s", filepath.Base(from), filepath.Base(s))
		return errors.Join(os.RemoveAll(s), os.CopyFS(s, os.DirFS(from)))
	}
	var all []string
	err := filepath.WalkDir(s, func(name string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(filepath.Ext(name), ".TR") {
			all = append(all, name)
		}
		return nil
	})
	if err != nil || len(all) == 0 {
		return err
	}
	name := all[c.r.IntN(len(all))]
	c.logf("%s is damaged", filepath.Base(s))
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, b[:c.r.IntN(len(b))], 0o600)
}

func (c *courier) faulty() bool { return c.opts.Faults && !c.healing }

// write writes a stick at a node for another; the process or the disk may stop in the middle of it.
func (c *courier) write(ctx context.Context, x *Node) error {
	to := c.nodes[c.r.IntN(len(c.nodes))]
	limit := int64(0)
	if c.r.IntN(3) == 0 && !c.healing {
		limit = 600<<10 + int64(c.r.IntN(400))<<10
	}
	if to == x {
		return nil
	}
	return c.writeTo(ctx, x, to, c.sticks[c.r.IntN(len(c.sticks))], limit)
}

func (c *courier) writeTo(ctx context.Context, x, to *Node, stick string, limit int64) error {
	if err := os.MkdirAll(stick, 0o700); err != nil {
		return err
	}
	f, err := carry.OpenFolder(stick, true)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := x.live.Control().Carrier()
	if err != nil {
		return err
	}
	if c.faulty() && c.r.IntN(8) == 0 {
		x.fuse = 1 + c.r.IntN(12)
	}
	broken := &brittle{Node: n}
	if c.faulty() && c.r.IntN(8) == 0 {
		broken.at = 1 + c.r.IntN(3)
	}
	w, err := f.Out(ctx, broken, publicKey(x), carry.To{Name: to.as, Key: publicKey(to)}, func() int64 { return -1 }, limit)
	x.fuse = 0
	c.logf("%s writes %s for %s: %d changes, whole %v, %v", x.name, filepath.Base(stick), to.name, w.Manifest.Lines(carry.Changes), w.Whole, err)
	if err != nil && !errors.Is(err, errCrash) && !(broken.at > 0 && syncerr.KindOf(err) == syncerr.Transient) {
		return err
	}
	return nil
}

// brittle is a stick that is pulled out while a file is written.
type brittle struct {
	carry.Node
	at int
}

func (b *brittle) Write(ctx context.Context, peer string, space int64, keep func(uint64, carry.Part) error) ([]byte, carry.Written, error) {
	return b.Node.Write(ctx, peer, space, func(serial uint64, p carry.Part) error {
		if p.File == b.at {
			return &fs.PathError{Op: "write", Path: "stick", Err: syscall.EIO}
		}
		return keep(serial, p)
	})
}

func publicKey(x *Node) string {
	n, err := x.live.Control().Carrier()
	if err != nil {
		return ""
	}
	return n.Public()
}

// take takes a stick at a node.
func (c *courier) take(ctx context.Context, x *Node) error {
	return c.takeFrom(ctx, x, c.sticks[c.r.IntN(len(c.sticks))])
}

func (c *courier) takeFrom(ctx context.Context, x *Node, stick string) error {
	f, err := carry.OpenFolder(stick, false)
	if syncerr.KindOf(err) == syncerr.NotFound && err != nil {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := x.live.Control().Carrier()
	if err != nil {
		return err
	}
	found, err := f.Bundles(publicKey(x))
	if err != nil && !c.opts.Faults {
		return err
	}
	for _, b := range found {
		if c.faulty() && c.r.IntN(6) == 0 {
			x.fuse = 1 + c.r.IntN(80)
		}
		t, err := f.In(ctx, n, b)
		x.fuse = 0
		c.logf("%s takes bundle %d of %s: %d events, whole %v, gap %v, already %v, %v", x.name, b.Manifest.Serial, b.Manifest.Node, t.Run.Read, t.Whole, t.Gap, t.Already, err)
		switch kind := syncerr.KindOf(err); {
		case err == nil:
			c.carried++
			if t.Gap {
				c.gaps++
			}
		case x.crashed:
			return nil
		case (kind == syncerr.EpochChanged || kind == syncerr.Denied) && c.opts.Restores:
			c.found++
		case (kind == syncerr.NotFound || kind == syncerr.Invalid) && c.opts.Faults && !c.healing: // it was spoilt
		default:
			return err
		}
	}
	return nil
}

// rest ends all faults and carries sticks, and lets wires work, until two rounds moved nothing.
func (c *courier) rest(ctx context.Context) error {
	c.healing = true
	for _, x := range c.nodes {
		if err := x.mend(ctx); err != nil {
			return err
		}
	}
	c.late = nil
	for idle, rounds := 0, 0; idle < 2; rounds++ {
		if rounds > 60 {
			return errors.New("the nodes did not come to rest in 60 rounds of sticks")
		}
		before, err := c.heads(ctx)
		if err != nil {
			return err
		}
		c.now = c.now.Add(25 * time.Hour)
		for _, x := range c.nodes {
			for _, y := range c.nodes {
				if x == y {
					continue
				}
				stick := filepath.Join(c.opts.Dir, "fresh")
				if err := errors.Join(os.RemoveAll(stick), c.writeTo(ctx, x, y, stick, 0), c.takeFrom(ctx, y, stick)); err != nil {
					return err
				}
			}
			for _, d := range []string{"push", "pull"} {
				if _, err := x.pass(ctx, d); err != nil {
					return err
				}
			}
			if _, err := x.resolveOne(ctx); err != nil {
				return err
			}
		}
		after, err := c.heads(ctx)
		if err != nil {
			return err
		}
		if idle++; before != after {
			idle = 0
		}
	}
	return nil
}

// check returns what is wrong at the end: everybody has all of what everybody wrote, and knows the same.
func (c *courier) check(ctx context.Context) error {
	wrong := []error{c.Check(ctx)}
	views, err := c.allViews(ctx)
	if err != nil {
		return err
	}
	for i, x := range c.nodes[1:] {
		mine, first := views[i+1], views[0]
		for _, k := range keysOf(mine, first) {
			a, b := first.copies[k], mine.copies[k]
			gone := c.collected(k)
			switch {
			case gone && (a.Stamp.IsZero() || a.Stamp.Deleted) && (b.Stamp.IsZero() || b.Stamp.Deleted):
			case a.Stamp.Version != b.Stamp.Version || !a.Stamp.Vector.Equal(b.Stamp.Vector) || !bytes.Equal(a.Body, b.Body):
				wrong = append(wrong, fmt.Errorf("%s: n0 has %s {%s}, %s has %s {%s} (invariant 6)", k, a.Stamp.Version, a.Stamp.Vector, x.name, b.Stamp.Version, b.Stamp.Vector))
			}
		}
	}
	return errors.Join(wrong...)
}

func keysOf(views ...view) []fhir.Key {
	var out []fhir.Key
	for _, v := range views {
		for k := range v.copies {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b fhir.Key) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(out)
}
