package engine

import (
	"context"
	"fmt"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// The kinds of the runs of an exchange with a server that knows no stamps.
const (
	Captures = "capture" // what the server changed became changes of this node
	Gifts    = "deliver" // what this node has was given to the server
	// Immediate is the kind of the runs that push changes to an SData target.
	Immediate = "sdata"
)

// Captured is a copy as a server has it now that knows no stamps. Content is nil where it is deleted. Modified is by the server's clock,
// in milliseconds since 1970 UTC, 0 where it does not say.
type Captured struct {
	Key      fhir.Key
	Tag      string
	Content  []byte
	Deleted  bool
	Modified int64
	Seen     version.Vector  // what it says to have seen of the changes of nodes; nil where it says nothing
	Err      error           // why the server's copy cannot be read (too large, no document): it is parked
	Made     version.Version // the change of a node that it is; zero where the server does not say so
	Alone    string          // the tag without the rivals
	Rivals   []Captured      // copies that lost against it at the server, which keeps them until somebody decides
}

// Capture is a batch of what a server has, with the position behind it.
type Capture struct {
	Link     Link // with Server
	Items    []Captured
	Position *store.Position // in the server's feed; nil leaves it
	Run      *audit.Run
}

// Capture makes changes of what a server has that this node has not seen, and decides about them as about any other copy: this side
// arbitrates (DESIGN.md 4.1). What the server was given comes back and is nothing new: contents are compared by their hashes. A
// change has seen what the server's former copy had seen; its version is one of a replica that stands for the server, minted here. Copies, fates,
// position and counts are written in one transaction. An item that cannot be taken is parked and harms no other. The returned error means
// that nothing was written.
func (e *Engine) Capture(ctx context.Context, c Capture) error {
	ready := make([]captured, len(c.Items))
	for i, item := range c.Items {
		ready[i] = e.prepareCaptured(item)
	}
	run, err := e.captureAll(ctx, c, ready)
	if err != nil && !stops(ctx, err) {
		run, err = e.captureEach(ctx, c, ready)
	}
	if err == nil && c.Run != nil {
		*c.Run = run
	}
	return err
}

// captured is an item with all that can be found out about it before the transaction.
type captured struct {
	Captured
	hash    version.Hash
	body    []byte
	packed  *store.Packed
	refusal error
	rivals  []captured
}

func (e *Engine) prepareCaptured(item Captured) captured {
	c := captured{Captured: item}
	for _, rival := range item.Rivals {
		r := e.prepareCaptured(rival)
		if r.Key != item.Key {
			r.Key, r.refusal = item.Key, syncerr.New(syncerr.Invalid, "capture "+item.Key.String(), "it is of %s", rival.Key)
		}
		c.rivals = append(c.rivals, r)
	}
	if c.refusal = item.Key.Validate(); c.refusal == nil {
		c.refusal = item.Err
	}
	if c.refusal != nil || item.Deleted {
		return c
	}
	r, err := fhir.ParseAs(item.Key.Type, item.Content, e.limit)
	switch {
	case err != nil:
		c.refusal = err
	case r.Key != item.Key:
		c.refusal = syncerr.New(syncerr.Invalid, "capture "+item.Key.String(), "the server's answer is of %s", r.Key)
	default:
		r = r.Bare()
		c.hash, c.body, c.packed = version.Hash(r.Hash()), r.Body, e.store.Pack(r.Body, search.Values(r.Key, r.Body))
	}
	return c
}

func (e *Engine) captureAll(ctx context.Context, c Capture, ready []captured) (audit.Run, error) {
	var run audit.Run
	err := e.store.Write(ctx, func(tx *store.Tx) error {
		if c.Run != nil {
			run = *c.Run
		}
		author, err := tx.ServerReplica(c.Link.Server)
		if err != nil {
			return err
		}
		a := acceptance{e: e, tx: tx, link: c.Link, run: &run}
		for _, item := range ready {
			if err := a.capture(item, author); err != nil {
				return err
			}
		}
		return e.captureProgress(tx, c, run)
	})
	return run, err
}

func (e *Engine) captureProgress(tx *store.Tx, c Capture, run audit.Run) error {
	if c.Position != nil {
		if err := tx.SetPosition(c.Link.Server, "pull", *c.Position); err != nil {
			return err
		}
	}
	if c.Run == nil {
		return nil
	}
	return tx.SaveRun(run)
}

// captureEach is the second try of a batch whose transaction failed: each item alone, so that only what makes it fail is parked.
func (e *Engine) captureEach(ctx context.Context, c Capture, ready []captured) (audit.Run, error) {
	run := audit.Run{}
	if c.Run != nil {
		run = *c.Run
	}
	for _, item := range ready {
		one := Capture{Link: c.Link, Run: &run}
		after, err := e.captureAll(ctx, one, []captured{item})
		if err != nil && !stops(ctx, err) {
			item.refusal = syncerr.Wrap(syncerr.Internal, "the database does not take it", err)
			after, err = e.captureAll(ctx, one, []captured{item})
		}
		if err != nil {
			return run, err
		}
		run = after
	}
	return run, e.store.Write(ctx, func(tx *store.Tx) error { return e.captureProgress(tx, c, run) })
}

// capture gives one item its fate, and then those that lost against it at the server.
func (a *acceptance) capture(item captured, author version.Replica) error {
	parked := a.run.Parked
	if err := a.captureWinner(item, author); err != nil || len(item.rivals) == 0 || a.run.Parked > parked {
		return err
	}
	return a.captureRivals(item)
}

func (a *acceptance) captureWinner(item captured, author version.Replica) error {
	if item.refusal != nil {
		return a.parkCaptured(item, item.refusal)
	}
	base, known, err := a.tx.ServerCopy(a.link.Server, item.Key)
	if err != nil {
		return err
	}
	seen, err := a.credible(item.Key.Type, item.Seen)
	if err != nil {
		return err
	}
	base.Vector = base.Vector.Union(seen)
	has := store.ServerCopy{Tag: item.Tag, Deleted: item.Deleted, Hash: item.hash, Vector: base.Vector}
	if known && base.Same(version.Stamp{Deleted: item.Deleted, Hash: item.hash}) {
		return a.noNews(item, has)
	}
	cur, ok, err := a.tx.Current(item.Key)
	if err != nil {
		return err
	}
	if item.Deleted && (!ok || !known && cur.Stamp.Deleted) {
		return a.noNews(item, has) // it was never here
	}
	if ok && has.Same(cur.Stamp) {
		has.Vector = base.Vector.Union(cur.Stamp.Vector)
		return a.noNews(item, has)
	}
	if !item.Deleted {
		// An answer was lost: the server took what was sent, and it is an older copy by now. Where it had seen that copy before, somebody
		// went back to it on purpose.
		sent, once, err := a.tx.VectorOf(item.Key, item.hash)
		if err != nil {
			return err
		}
		if once && !base.Vector.ContainsAll(sent) && ok && cur.Stamp.Vector.ContainsAll(sent) {
			has.Vector = base.Vector.Union(sent)
			return a.noNews(item, has)
		}
	}
	if open, waits, err := a.tx.OpenConflict(item.Key); err != nil {
		return err
	} else if waits {
		return a.parkCaptured(item, syncerr.New(syncerr.Conflict, "capture "+item.Key.String(),
			"it was changed again at the server while it is in the open conflict %s, which a person has to resolve first", open.UUID))
	}
	return a.newsOf(a.link.Server, item, has, author)
}

// credible returns what a server can have seen of the changes of nodes: of this node's own no more than it made, of others those of nodes that are
// known here.
func (a *acceptance) credible(resourceType string, seen version.Vector) (version.Vector, error) {
	var out version.Vector
	for _, v := range seen {
		if v.Replica == a.tx.Identity().Replica {
			gave, err := a.tx.Gave(v.Replica, resourceType)
			if err != nil {
				return nil, err
			}
			if v.Tick <= gave {
				out = out.With(v)
			}
			continue
		}
		names, err := a.tx.Names([]version.Replica{v.Replica})
		if err != nil {
			return nil, err
		}
		if len(names) > 0 {
			out = out.With(v)
		}
	}
	return out, nil
}

// noNews notes what the server has, and that it is nothing new.
func (a *acceptance) noNews(item captured, has store.ServerCopy) error {
	a.run.Read++
	a.run.Skipped++
	if err := a.unparkCaptured(item.Key); err != nil {
		return err
	}
	return a.tx.SetServerCopy(a.link.Server, item.Key, has)
}

func (a *acceptance) unparkCaptured(k fhir.Key) error {
	return a.tx.UnparkServer(a.link.Server, "pull", k)
}

// parkCaptured keeps an item that cannot be taken. It names no version: the server is asked for the key again.
func (a *acceptance) parkCaptured(item captured, why error) error {
	a.run.Read++
	a.run.Parked++
	key, action := item.Key, feed.Updated
	if key.Validate() != nil {
		key = fhir.Key{Type: "Basic", ID: "unreadable"}
	}
	if item.Deleted {
		action = feed.Deleted
	}
	err := a.tx.Park(store.Parked{
		Direction: "pull", Peer: a.link.Server, Key: key, Action: action, Reason: why.Error(), Kind: syncerr.KindOf(why).String(),
	})
	if err != nil {
		return err
	}
	a.tx.Audit(audit.Record{
		Operation: audit.Pull, Outcome: audit.Parked, Action: string(action), Key: key, Peer: a.link.Peer, Run: a.link.Run,
		URL: key.Path(), ParentURL: a.link.ParentURL, LocalURL: a.e.cfg.URL, LinkType: a.link.client(key.Type),
		Bytes: int64(len(item.Content)), Details: fmt.Sprintf("the server's version %q: %v", item.Tag, why),
	})
	return nil
}

// Unseen returns the items that tell of something which the server was not known to have; what is parked of the server is always among
// them.
func (e *Engine) Unseen(ctx context.Context, server string, items []Captured) ([]Captured, error) {
	if len(items) == 0 {
		return nil, nil
	}
	var out []Captured
	err := e.store.Read(ctx, func(r *store.Reader) error {
		for _, item := range items {
			base, known, err := r.ServerCopy(server, item.Key)
			if err != nil {
				return err
			}
			c := e.prepareCaptured(item)
			if !known || c.refusal != nil || item.Tag != base.Tag || !base.Same(version.Stamp{Deleted: item.Deleted, Hash: c.hash}) {
				out = append(out, item)
			}
		}
		return nil
	})
	return out, err
}
