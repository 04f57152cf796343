package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Batch is what Accept takes at once. Events of one unit stand together. Position and Run, where given, are written in the
// same transaction: the cursor never passes an event without a recorded fate (invariant 3).
type Batch struct {
	Link     Link
	Events   []feed.Event
	Names    []feed.Name
	Known    []feed.Known  // what the peer knows, told at the end of a complete pass: it is taken over after the events
	Head     store.LogHead // of the child's log as it said, remembered with what is taken
	Saw      string        // the parent's log head as it said, for the same
	Position *store.Position
	Run      *audit.Run // counts are raised when the transaction has committed
	// Also writes, in the same transaction and after everything else, what belongs to these receipts; nil where nothing does.
	Also    func(*store.Tx, []feed.Receipt) error
	unnamed bool // it had an event that names no version: nothing can remember that it was not taken
	aside   bool // its copies were taken before and set aside: what they refer to is not looked at
}

// Accept decides about each event of a batch and writes what follows, in one transaction. It returns one receipt an event, in
// their order. A bad event is refused in its receipt (and parked, when it came from the parent) and harms no other; one
// refused member of a unit refuses the unit. The returned error means that nothing was written: the database is away or full,
// or the context ended.
func (e *Engine) Accept(ctx context.Context, b Batch) ([]feed.Receipt, error) {
	if err := e.CheckKnown(ctx, b.Link, b.Known); err != nil {
		return nil, err
	}
	ready := e.prepare(b.Events)
	if !e.cfg.References.Hold || b.aside {
		return e.acceptReady(ctx, b, ready)
	}
	more, err := e.resolve(ctx, b.Link, ready, nil)
	if err != nil {
		return nil, err
	}
	ready = append(ready, more...)
	receipts, err := e.acceptReady(ctx, b, ready)
	if err == nil && b.Link.fromParent() {
		err = e.Release(ctx, b, e.waiting.arrived(e.waiting.note(ready, receipts)))
	}
	if err != nil {
		return nil, err
	}
	return receipts[:len(b.Events)], nil
}

// acceptReady is Accept of events that were prepared.
func (e *Engine) acceptReady(ctx context.Context, b Batch, ready []incoming) ([]feed.Receipt, error) {
	receipts, run, err := e.acceptAll(ctx, b, ready)
	if err != nil && !stops(ctx, err) {
		receipts, run, err = e.acceptEach(ctx, b, ready)
	}
	if err != nil {
		return nil, err
	}
	if b.Run != nil {
		*b.Run = run
	}
	return receipts, nil
}

// stops reports whether an error of a transaction has nothing to do with what was in it.
func stops(ctx context.Context, err error) bool {
	return ctx.Err() != nil || syncerr.KindOf(err).Retry()
}

func (e *Engine) acceptAll(ctx context.Context, b Batch, ready []incoming) ([]feed.Receipt, audit.Run, error) {
	var receipts []feed.Receipt
	var run audit.Run
	err := e.store.Write(ctx, func(tx *store.Tx) error {
		if b.Run != nil {
			run = *b.Run
		}
		var err error
		if receipts, b.unnamed, err = e.accept(tx, b, ready, &run); err != nil {
			return err
		}
		return e.progress(tx, b, receipts, run)
	})
	return receipts, run, err
}

func (e *Engine) progress(tx *store.Tx, b Batch, receipts []feed.Receipt, run audit.Run) error {
	if !b.unnamed && len(b.Known) > 0 {
		up, err := toldUp(tx, b.Link)
		if err != nil {
			return err
		}
		if err := tx.Learn(b.Known, up); err != nil {
			return err
		}
	}
	if err := saw(tx, b.Saw); err != nil {
		return err
	}
	if b.Position != nil {
		pos := *b.Position
		if b.unnamed {
			pos.Scope = "" // the next pass compares what is known, for it was not said that all of this is
		}
		if err := tx.SetPosition("parent", b.Link.direction(), pos); err != nil {
			return err
		}
	}
	if b.Also != nil {
		if err := b.Also(tx, receipts); err != nil {
			return err
		}
	}
	if b.Run != nil {
		return tx.SaveRun(run)
	}
	return nil
}

// toldUp reports whether what a peer tells is news for the parent that is pushed to: not where that one tells it. The cursor of the push may be that
// of another parent, to which the node returns.
func toldUp(tx *store.Tx, l Link) (bool, error) {
	if !l.fromParent() {
		return true, nil
	}
	pos, err := tx.Position("parent", "push")
	return !strings.HasPrefix(pos.Scope, l.Epoch+"|"), err
}

// saw remembers the parent's log head. Only the parent can read it.
func saw(tx *store.Tx, head string) error {
	if head == "" {
		return nil
	}
	return tx.SetState(StateSaw, head)
}

// acceptEach is the second try of a batch whose transaction failed: each unit alone, so that only what makes it fail is
// refused. The cursor moves after all of them have their fate.
func (e *Engine) acceptEach(ctx context.Context, b Batch, ready []incoming) ([]feed.Receipt, audit.Run, error) {
	var out []feed.Receipt
	run := audit.Run{}
	if b.Run != nil {
		run = *b.Run
	}
	for _, g := range units(ready) {
		one := Batch{Link: b.Link, Names: b.Names, Head: b.Head, Saw: b.Saw, Run: &run}
		b.unnamed = b.unnamed || slices.ContainsFunc(g, incoming.unnamed)
		receipts, after, err := e.acceptAll(ctx, one, g)
		if err != nil && !stops(ctx, err) {
			for i := range g {
				g[i].refusal = syncerr.Wrap(syncerr.Internal, "the database does not take it", err)
			}
			receipts, after, err = e.acceptAll(ctx, one, g)
		}
		if err != nil {
			return nil, run, err
		}
		out, run = append(out, receipts...), after
	}
	err := e.store.Write(ctx, func(tx *store.Tx) error { return e.progress(tx, b, out, run) })
	return out, run, err
}

// incoming is an event with all that can be found out about it before the transaction.
type incoming struct {
	feed.Event
	packed    *store.Packed
	refusal   error
	missing   []fhir.Key // what it waits for, where that is the refusal
	elsewhere bool       // another log of the parent than the link's delivered it: the parent may lack it by now
}

// unnamed reports whether the event names no version of a resource: it cannot be remembered as an exception.
func (in incoming) unnamed() bool {
	return in.refusal != nil && (nameable(in.Stamp).IsZero() || in.Key.Validate() != nil)
}

// prepare checks events and packs their contents, on all cores, before the transaction begins.
func (e *Engine) prepare(events []feed.Event) []incoming {
	out := make([]incoming, len(events))
	workers := min(runtime.GOMAXPROCS(0), (len(events)+15)/16)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(events); i += workers {
				out[i] = e.prepareOne(events[i])
			}
		})
	}
	wg.Wait()
	return out
}

func (e *Engine) prepareOne(ev feed.Event) incoming {
	in := incoming{Event: ev}
	bad := func(format string, args ...any) incoming {
		in.refusal = syncerr.New(syncerr.Invalid, "accept "+ev.Key.String(), format, args...)
		return in
	}
	if err := ev.Key.Validate(); err != nil {
		return bad("%v", err)
	}
	if err := ev.Stamp.Validate(); err != nil {
		return bad("%v", err)
	}
	if len(ev.Unit) > maxUnit {
		return bad("the name of its transaction has %d characters, at most %d are taken", len(ev.Unit), maxUnit)
	}
	if ev.Stamp.Deleted {
		in.Content = nil // the codecs refuse such an event, a client that was injected may not
		return in
	}
	if ev.Content == nil {
		return in
	}
	r, err := fhir.ParseAs(ev.Key.Type, ev.Content, e.limit)
	switch {
	case err != nil:
		in.refusal = syncerr.Wrap(syncerr.Invalid, "accept "+ev.Key.String(), err)
		return in
	case r.Key != ev.Key:
		return bad("its content is of %s", r.Key)
	}
	r = r.Bare()
	if version.Hash(r.Hash()) != ev.Stamp.Hash {
		return bad("its content does not have the hash of its stamp: it was damaged on the way or at its source")
	}
	in.Content = r.Body
	in.packed = e.store.Pack(r.Body, search.Values(r.Key, r.Body))
	return in
}

// units splits a batch into what has one fate: single events and units.
func units(events []incoming) [][]incoming {
	var out [][]incoming
	for i := 0; i < len(events); {
		n := i + 1
		for events[i].Unit != "" && n < len(events) && events[n].Unit == events[i].Unit {
			n++
		}
		out = append(out, events[i:n])
		i = n
	}
	return out
}

func (e *Engine) accept(tx *store.Tx, b Batch, ready []incoming, run *audit.Run) (receipts []feed.Receipt, unnamed bool, err error) {
	keys := make([]fhir.Key, 0, len(ready))
	for _, in := range ready {
		if in.refusal == nil {
			keys = append(keys, in.Key)
		}
	}
	if err := tx.Load(keys); err != nil {
		return nil, false, err
	}
	if err := learnNames(tx, b); err != nil {
		return nil, false, err
	}
	if b.Link.Child != "" {
		if err := tx.Remember(b.Link.Child, b.Head); err != nil {
			return nil, false, err
		}
	}
	a := acceptance{e: e, tx: tx, link: b.Link, run: run}
	for _, g := range units(ready) {
		if err := a.unit(g); err != nil {
			return nil, false, err
		}
	}
	return a.receipts, b.unnamed || slices.ContainsFunc(ready, incoming.unnamed), nil
}

// learnNames stores node names of replicas. Policies go by them, so nobody renames this node, and a child renames nobody.
func learnNames(tx *store.Tx, b Batch) error {
	for _, n := range b.Names {
		if n.Replica == tx.Identity().Replica || !n.Replica.Valid() || n.Node == "" || len(n.Node) > maxName {
			continue
		}
		if !b.Link.fromParent() {
			if known, err := tx.Names([]version.Replica{n.Replica}); err != nil || len(known) > 0 {
				if err != nil {
					return err
				}
				continue
			}
		}
		if err := tx.NameReplica(n.Replica, n.Node); err != nil {
			return err
		}
	}
	return nil
}

// The longest node name and the longest name of a unit in bytes that the tables hold.
const (
	maxName = 100
	maxUnit = 36
)

// acceptance is one run of accept.
type acceptance struct {
	e        *Engine
	tx       *store.Tx
	link     Link
	run      *audit.Run
	receipts []feed.Receipt
	rival    bool   // what is taken lost at the server that has it: that it comes from there does not let it win
	inUnit   string // the transaction whose changes are being taken
	gave     map[string]uint64
	bodies   map[fhir.Key][]byte // contents that were taken in this transaction
}

// unit gives each member its fate. One refused member refuses all of them.
func (a *acceptance) unit(g []incoming) error {
	var refusal error
	for _, in := range g {
		if in.refusal == nil {
			var err error
			if in.refusal, err = a.unmade(in.Key, in.Stamp.Vector); err == nil && in.refusal == nil {
				in.refusal, err = a.lacking(in)
			}
			if err != nil {
				return err
			}
		}
		if in.refusal != nil {
			refusal = in.refusal
			if len(g) > 1 {
				refusal = fmt.Errorf("a member of its transaction was refused: %w", refusal)
			}
			break
		}
	}
	if len(g) > 1 && refusal == nil {
		a.inUnit = g[0].Unit
		defer func() {
			a.tx.SealUnit(a.inUnit)
			a.inUnit = ""
		}()
	}
	for _, in := range g {
		r := feed.Receipt{Key: in.Key, Version: in.Stamp.Version}
		var conflict string
		var err error
		if refusal != nil {
			r.Result, r.Reason, r.Retry = feed.Refused, refusal.Error(), syncerr.KindOf(refusal).Retry()
			err = a.park(in, refusal)
		} else {
			if r.Result, conflict, err = a.one(in); r.Result == feed.Refused {
				behind := syncerr.New(syncerr.Conflict, "accept "+in.Key.String(), "another copy of it is in the open conflict %s, which a person has to resolve first", conflict)
				r.Reason, err = behind.Error(), errors.Join(err, a.park(in, behind))
			}
		}
		if err != nil {
			return err
		}
		if err := a.record(in, &r, conflict); err != nil {
			return err
		}
	}
	return nil
}

// record counts an event, writes its audit row and completes its receipt.
func (a *acceptance) record(in incoming, r *feed.Receipt, conflict string) error {
	cur, ok, err := a.tx.Current(in.Key)
	if err != nil {
		return err
	}
	if ok {
		r.Stamp = cur.Stamp
	}
	a.receipts = append(a.receipts, *r)
	a.run.Read++
	outcome := audit.Outcome(r.Result)
	switch r.Result {
	case feed.Refused:
		if a.link.fromParent() {
			outcome = audit.Parked
		}
		a.run.Parked++
	case feed.Same, feed.Superseded:
		a.run.Skipped++
	case feed.Held, feed.Deferred:
		a.run.Held++
	default:
		a.run.Applied++
	}
	switch r.Result {
	case feed.Refused, feed.Held, feed.Deferred:
		if err := a.except(in, cur.Stamp.Vector); err != nil {
			return err
		}
	}
	if r.Result != feed.Refused {
		if _, err := a.tx.Unpark("parent", "pull", in.Key, cur.Stamp.Vector.Union(in.Stamp.Vector)); err != nil {
			return err
		}
	}
	if a.e.cfg.Quiet && outcome.Success() && conflict == "" || r.Result == feed.Same {
		return nil
	}
	a.tx.Audit(audit.Record{
		Operation: a.link.operation(), Outcome: outcome, Action: string(in.Action), Key: in.Key, Version: nameable(in.Stamp),
		Peer: a.link.Peer, Run: a.link.Run, URL: in.Key.Path(), ParentURL: a.link.ParentURL, LocalURL: a.e.cfg.URL,
		LinkType: a.link.client(in.Key.Type), Conflict: conflict, Bytes: int64(len(in.Content)), Details: r.Reason, HTTPStatus: 200,
	})
	return nil
}

// except notes what the copy here lacks of one that could not be taken: its version, and all that it has seen. A vector grows without a new
// version, so that a peer which has that version may still lack the rest.
func (a *acceptance) except(in incoming, seen version.Vector) error {
	if nameable(in.Stamp).IsZero() {
		return nil
	}
	lacks := in.Stamp.Vector.With(in.Stamp.Version)
	if a.link.Digest {
		lacks = version.Vector{in.Stamp.Version}
	}
	for _, v := range lacks {
		if seen.Contains(v) {
			continue
		}
		if err := a.tx.Except(in.Key, v); err != nil {
			return err
		}
	}
	return nil
}
