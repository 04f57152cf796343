package carry

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// What engine.Accept is given at once; a transaction stays together.
const (
	batchEvents = 500
	batchBytes  = 4 << 20
)

// Taken says what became of a bundle.
type Taken struct {
	Node   string    `json:"node"` // its writer
	Serial uint64    `json:"serial"`
	Run    audit.Run `json:"run"`
	// Already is true where all of it had been taken before, so that nothing was looked at.
	Already bool `json:"already,omitempty"`
	// Whole is true where this node has now everything that the writer had and gives it.
	Whole bool `json:"complete"`
	// Gap is true where another bundle of the writer belongs before this one: its changes were taken, and the writer begins anew.
	Gap bool `json:"gap,omitempty"`
}

// Check looks at a manifest as Take does before it takes anything: whether its writer is known, whether it is for this node, who decides, and
// whether both sides remember the same of each other. It returns a Denied error, and audits it, where the bundle is not to be taken.
func (c *Carrier) Check(ctx context.Context, manifest []byte) (Manifest, error) {
	m, _, _, err := c.check(ctx, manifest)
	return m, err
}

func (c *Carrier) check(ctx context.Context, manifest []byte) (Manifest, store.CarryPeer, Side, error) {
	const op = "take a stick"
	m, err := ReadManifest(manifest)
	if err != nil {
		return m, store.CarryPeer{}, Side{}, c.refuse(ctx, "", err)
	}
	p, side, err := c.peer(ctx, op, "", m.Key)
	if err != nil {
		return m, p, side, c.refuse(ctx, m.Node, err)
	}
	deny := func(hint, format string, args ...any) (Manifest, store.CarryPeer, Side, error) {
		return m, p, side, c.refuse(ctx, side.Link.Peer, syncerr.New(syncerr.Denied, op, format, args...).WithHint("%s", hint))
	}
	if m.Reader != c.Public() {
		return deny("Bring it to that node, or write one for this node", "it is for node %s, whose key is %s", m.To, Fingerprint(m.Reader))
	}
	if want := c.decides(p, side); m.Decides != want {
		return deny("Write the stick again; if that does not help, run `tributary carry introduce` at both nodes again",
			"the two nodes do not agree on which of them decides conflicts: here it is %s, there %s", c.nameOf(want, p), c.nameOf(m.Decides, p))
	}
	heads, err := m.heads()
	if err != nil {
		return m, p, side, c.refuse(ctx, side.Link.Peer, err)
	}
	for _, text := range p.State.Heads {
		if h, err := store.ParseLogHead(text); err == nil && h.Differs(heads[0], max(m.Floor, p.State.Floor)) {
			return deny("Bring it a stick from here first: if it was put back, it then takes a new identity. If two machines run, stop one, run `tributary init` in an empty folder there and introduce it anew",
				"node %s has two logs that differ at change %s: it was put back to an earlier state, or two copies of its database write sticks", p.Name, h.Cursor)
		}
	}
	if b, ok := forked(p.State.Seen, m.Wrote); ok {
		return deny("Bring it a stick from here first: if it was put back, it then takes a new identity. If two machines run, stop one, run `tributary init` in an empty folder there and introduce it anew",
			"node %s has written two bundles %d for this node: it was put back to an earlier state, or two copies of its database write sticks", p.Name, b.serial)
	}
	return m, p, side, c.recall(ctx, m, p, heads[1:])
}

func (c *Carrier) nameOf(key string, p store.CarryPeer) string {
	switch key {
	case c.Public():
		return c.cfg.Node
	case p.PublicKey:
		return p.Name
	}
	return "a third node"
}

// recall holds what the writer remembers of this node against what this node has. Where it lacks some of that, its database is an older copy of
// itself, and it takes a new replica before anything is taken.
func (c *Carrier) recall(ctx context.Context, m Manifest, p store.CarryPeer, heads []store.LogHead) error {
	var sure uint64
	missing := store.LogHead{}
	err := c.eng.Store().Read(ctx, func(r *store.Reader) error {
		for _, h := range heads {
			if h.Epoch != r.Identity().Epoch {
				continue // of another life of this database, which wrote under another replica; what it has of this one, its knowledge tells
			}
			has, err := r.Has(h)
			if err != nil {
				return err
			}
			if has {
				sure = max(sure, h.Seq)
			} else {
				missing = h
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if b, ok := unknown(chainOf(c.eng.Store().Identity().Epoch, p), p, m.Seen); ok && missing.IsZero() {
		return c.restored(ctx, fmt.Sprintf("node %s remembers a bundle %d of it that it did not write", m.Node, b.serial), "", sure)
	}
	if missing.IsZero() {
		return nil
	}
	return c.restored(ctx, "node "+m.Node+" remembers its change "+missing.Cursor.String()+", which it does not have", missing.Epoch, sure)
}

// restored gives this node a new replica, and ends what is being done.
func (c *Carrier) restored(ctx context.Context, why, epoch string, sure uint64) error {
	if err := c.cfg.Restored(ctx, why, epoch, sure); err != nil {
		return err
	}
	return syncerr.New(syncerr.EpochChanged, "take a stick", "this node's database is an older copy of itself: %s. It goes on under a new identity", why).
		WithHint("Take the stick again, then write one with `tributary carry out`")
}

// Take applies a bundle. part gives its files by their place in the manifest, in order; each is checked before anything of it is taken, and what an
// earlier run took of the bundle is not asked for again. Whoever has all files at hand checks them before (Part.Check). The errors are those
// of Check and of engine.Accept; after one, what was taken stands, and Take may be called again.
func (c *Carrier) Take(ctx context.Context, manifest []byte, part func(int) ([]byte, error)) (Taken, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, p, side, err := c.check(ctx, manifest)
	if err != nil {
		return Taken{}, err
	}
	out := Taken{Node: p.Name, Serial: m.Serial}
	if t := p.State.Taking; t.Bundle == m.Bundle && t.Done == len(m.Parts) {
		out.Already, out.Whole = true, m.Whole && t.Covers
		return out, nil
	}
	t := &taker{Carrier: c, m: m, p: p, side: side, part: part}
	t.Pass = c.eng.Begin(engine.CarryIn, side.Link.Peer, c.cfg.Clock, func() (int64, int64) { return t.bytes, 0 })
	err = t.all(ctx)
	out.Run, err = t.Close(ctx, err)
	out.Whole, out.Gap = err == nil && m.Whole && t.taking.Covers, err == nil && !t.taking.Covers
	return out, err
}

// taker is one run of Take.
type taker struct {
	*Carrier
	*engine.Pass
	m      Manifest
	p      store.CarryPeer
	side   Side
	part   func(int) ([]byte, error)
	bytes  int64
	taking store.Taking
	above  map[version.Replica]string // who decides for this node, by the replicas that they have
	known  []feed.Known               // what the writer knows
	text   []byte                     // the same as it is kept
}

func (t *taker) all(ctx context.Context) error {
	if err := t.Open(ctx); err != nil {
		return err
	}
	var err error
	if t.above, err = t.deciders(ctx); err != nil {
		return err
	}
	t.taking = store.Taking{Bundle: t.m.Bundle, Covers: t.covers()}
	if before := t.p.State.Taking; before.Bundle == t.m.Bundle {
		t.taking = before
	}
	for i, p := range t.m.Parts {
		if i > 0 && i < t.taking.Done {
			continue
		}
		if err := t.one(ctx, i, p); err != nil {
			return err
		}
	}
	return t.end(ctx)
}

// covers reports whether the bundle goes on from where this node is: its changes were chosen by a knowledge that this log once told, or by none,
// and begin at the place that this node has reached, or with everything that was not known then.
func (t *taker) covers() bool {
	b := t.m.Basis
	if b.Serial != 0 && (b.Epoch != t.eng.Store().Identity().Epoch || b.Serial > t.p.Out) {
		return false
	}
	return t.m.Start.IsZero() || t.m.Start == t.p.State.Place
}

func (t *taker) one(ctx context.Context, i int, p Part) error {
	if p.Kind == Present {
		return nil // it is for the end, when all changes are here
	}
	text, err := t.read(ctx, i, p)
	if err != nil {
		return err
	}
	switch p.Kind {
	case Knowledge:
		return t.knowledge(ctx, text)
	case Receipts:
		err = t.receipts(ctx, text)
	default:
		err = t.changes(ctx, i, p, text)
	}
	return err
}

// read returns the text of a part.
func (t *taker) read(ctx context.Context, i int, p Part) ([]byte, error) {
	file, err := t.part(i)
	if err != nil {
		return nil, err
	}
	t.bytes += int64(len(file))
	text, err := unseal(file, p, t.cfg.Key)
	if err != nil {
		return nil, t.refuse(ctx, t.side.Link.Peer, err)
	}
	return text, nil
}

// knowledge reads what the writer knows, and holds it against what this node has made.
func (t *taker) knowledge(ctx context.Context, text []byte) error {
	var err error
	if t.known, err = readKnown(text); err != nil {
		return t.refuse(ctx, t.side.Link.Peer, err)
	}
	ahead, err := t.eng.Store().CheckKnown(ctx, t.known)
	switch {
	case ahead:
		var sure uint64
		if t.p.State.Said.Read.Epoch == t.eng.Store().Identity().Epoch {
			sure = t.p.State.Said.Read.Seq
		}
		return t.restored(ctx, err.Error(), "", sure)
	case err != nil:
		return t.refuse(ctx, t.side.Link.Peer, err)
	}
	t.text, err = packKnown(text)
	return err
}

func (t *taker) link() engine.Link {
	l := t.Carrier.link(t.p, t.side, t.Run.ID)
	l.Epoch, l.Above = t.m.Epoch, t.above
	return l
}

// receipts notes what became of what this node sent.
func (t *taker) receipts(ctx context.Context, text []byte) error {
	if t.m.Serial <= t.p.In {
		return nil // a newer bundle has told them
	}
	all, _, err := feed.ReadReceipts(bytes.NewReader(text), maxPlain, len(text))
	if err != nil {
		return t.refuse(ctx, t.side.Link.Peer, err)
	}
	for some := range slices.Chunk(all, batchEvents) {
		d := engine.Delivery{Link: t.link(), Run: t.Counts()}
		err := t.eng.Store().Read(ctx, func(r *store.Reader) error {
			d.Events, d.Receipts = d.Events[:0], d.Receipts[:0]
			for _, rec := range some {
				row, ok, err := r.Event(feed.Ref{Key: rec.Key, Version: rec.Version})
				if err != nil {
					return err
				}
				if !ok || row.Stamp.Version != rec.Version {
					continue // it was collected here, or came from elsewhere: there is nothing to note it at
				}
				rec.Retry = false // it goes with the next stick anyway
				d.Events, d.Receipts = append(d.Events, row.Event), append(d.Receipts, rec)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := t.eng.Confirm(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// changes gives a part to the engine, in batches; the place behind it counts with the last.
func (t *taker) changes(ctx context.Context, i int, p Part, text []byte) error {
	evs, names, err := readChanges(text, t.side.Wants)
	if err != nil {
		return t.refuse(ctx, t.side.Link.Peer, err)
	}
	done := func(tx *store.Tx) error {
		return t.save(tx, func(s *store.CarryState) {
			t.taking.Done = i + 1
			if s.Taking = t.taking; t.taking.Covers {
				s.Place = p.End
			}
		})
	}
	for {
		n := batch(evs)
		b := engine.Batch{Link: t.link(), Events: evs[:n], Names: names, Run: t.Counts()}
		last := n == len(evs)
		b.Also = func(tx *store.Tx, receipts []feed.Receipt) error {
			if err := tx.KeepCarryReceipts(t.p.ID, receipts); err != nil {
				return err
			}
			if !last {
				return t.save(tx, func(*store.CarryState) {}) // with the first that is taken goes whose it is
			}
			return done(tx)
		}
		if _, err := t.eng.Accept(ctx, b); err != nil {
			return err
		}
		if evs = evs[n:]; last {
			return nil
		}
	}
}

// batch returns how many events go together: as many as one transaction takes well, and never a part of a unit.
func batch(evs []feed.Event) int {
	n, bytes := 0, 0
	for n < len(evs) && (n == 0 || n < batchEvents && bytes < batchBytes) {
		unit := evs[n].Unit
		for first := true; n < len(evs) && (first || unit != "" && evs[n].Unit == unit); first = false {
			bytes += len(evs[n].Content)
			n++
		}
	}
	return n
}

// end takes over what the writer told of itself, and, where nothing is missing, what it knows.
func (t *taker) end(ctx context.Context) error {
	b := engine.Batch{Link: t.link(), Run: t.Counts()}
	heads, err := t.m.heads()
	if err != nil {
		return err
	}
	if b.Head, err = t.newer(ctx, heads[0]); err != nil {
		return err
	}
	if t.m.Whole && t.taking.Covers {
		if err := t.compare(ctx); err != nil {
			return err
		}
		b.Known = t.learn()
	}
	b.Names = []feed.Name{{Replica: t.m.Replica, Node: t.m.Node}}
	b.Also = func(tx *store.Tx, _ []feed.Receipt) error {
		if err := tx.EndCarryReceipts(t.p.ID, t.m.Took); err != nil {
			return err
		}
		newest := t.m.Serial > t.p.State.Said.Serial
		if newest {
			if err := tx.SetCarryKnown(t.p.ID, t.text); err != nil {
				return err
			}
		}
		return t.save(tx, func(s *store.CarryState) {
			t.taking.Done = len(t.m.Parts)
			s.Taking = t.taking
			if newest {
				s.Said = store.CarrySaid{Serial: t.m.Serial, Replica: t.m.Replica, Epoch: t.m.Epoch, Asks: t.m.Wants, Place: t.m.Place, Read: t.m.Read}
			}
			if t.m.Whole && t.taking.Covers {
				s.Place, s.Read = store.CarryPlace{}, t.m.End
			}
			s.Floor = max(s.Floor, t.m.Floor)
			if newest { // a late one may be of a log that its writer has no more
				s.Heads = remember(s.Heads, heads[0])
			}
		})
	}
	_, err = t.eng.Accept(ctx, b)
	return err
}

// save writes the state of the peer as it changes.
func (t *taker) save(tx *store.Tx, change func(*store.CarryState)) error {
	p, err := tx.CarryPeer(t.p.ID)
	if err != nil {
		return err
	}
	p.State.Seen = follow(p.State.Seen, t.m.Wrote)
	change(&p.State)
	if t.taking.Done == len(t.m.Parts) {
		p.In, p.InAt, p.Acked = max(p.In, t.m.Serial), tx.Now(), max(p.Acked, t.m.Took)
		p.Out = max(p.Out, t.m.Took) // a restored database goes on counting where it was
	}
	return tx.SaveCarryPeer(p)
}

// newer returns the head of a child's log where it is newer than what is remembered of it.
func (t *taker) newer(ctx context.Context, h store.LogHead) (store.LogHead, error) {
	child := t.side.Link.Child
	if child == "" {
		return store.LogHead{}, nil
	}
	var have store.LogHead
	err := t.eng.Store().Read(ctx, func(r *store.Reader) error {
		var err error
		have, err = r.Remembered(child, t.p.Name, t.m.Replica)
		return err
	})
	if err != nil || !have.IsZero() && (have.Epoch != h.Epoch || have.Seq >= h.Seq) {
		return store.LogHead{}, err
	}
	return h, nil
}

// remember adds a head to those that are known of a peer's logs: the newest ones, and the last of each log before.
func remember(known []string, h store.LogHead) []string {
	if h.IsZero() {
		return known
	}
	var before, heads []store.LogHead
	for _, text := range known {
		k, err := store.ParseLogHead(text)
		switch {
		case err != nil || k == h:
		case k.Epoch == h.Epoch:
			heads = append(heads, k)
		default:
			before = append(slices.DeleteFunc(before, func(o store.LogHead) bool { return o.Epoch == k.Epoch }), k)
		}
	}
	heads = append(heads, h)
	slices.SortFunc(heads, func(a, b store.LogHead) int { return cmp.Compare(a.Seq, b.Seq) })
	var out []string
	for _, k := range slices.Concat(before[max(0, len(before)-maxHeads/2):], heads[max(0, len(heads)-maxHeads/2):]) {
		out = append(out, k.String())
	}
	return out
}

// learn returns what is taken over of the writer's knowledge: of the types that it was asked for and gave.
func (t *taker) learn() []feed.Known {
	var out []feed.Known
	for _, k := range t.known {
		if fhir.Selected(t.m.Sends, k.Type) && fhir.Selected(t.m.Asks, k.Type) && fhir.Selected(t.side.Wants, k.Type) {
			out = append(out, k)
		}
	}
	return out
}

// readChanges reads a part; events of types that this node does not want are left out, as it does not ask for them.
func readChanges(text []byte, wants []string) ([]feed.Event, []feed.Name, error) {
	var evs []feed.Event
	var names []feed.Name
	err := readLines(text, func(l feed.Line) error {
		switch {
		case l.Event != nil && fhir.Selected(wants, l.Event.Key.Type):
			evs = append(evs, *l.Event)
		case l.Name != nil:
			names = append(names, *l.Name)
		case l.Known != nil || l.Mark != nil:
			return syncerr.New(syncerr.Invalid, "read bundle", "something else than changes stands in it")
		}
		return nil
	})
	return evs, names, err
}

func readKnown(text []byte) ([]feed.Known, error) {
	var out []feed.Known
	seen := map[string]bool{}
	err := readLines(text, func(l feed.Line) error {
		if l.End != nil {
			return nil
		}
		if l.Known == nil || seen[l.Known.Type] {
			return syncerr.New(syncerr.Invalid, "read bundle", "something else than knowledge stands in it, or a type twice")
		}
		seen[l.Known.Type] = true
		out = append(out, *l.Known)
		return nil
	})
	return out, err
}

func readLines(text []byte, take func(feed.Line) error) error {
	d := feed.NewDecoder(bytes.NewReader(text), maxPlain)
	for {
		l, err := d.Next()
		if err == nil {
			err = take(l)
		}
		switch {
		case err != nil && syncerr.KindOf(err).Retry(): // cut off, and signed like that
			return syncerr.New(syncerr.Invalid, "read bundle", "%v", err)
		case err != nil:
			return err
		case l.End != nil:
			return nil
		}
	}
}
