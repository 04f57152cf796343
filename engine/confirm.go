package engine

import (
	"context"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// Delivery is what a push learnt of a batch: the events that were sent and the parent's receipts, in the same order.
type Delivery struct {
	Link       Link
	Events     []feed.Event
	Receipts   []feed.Receipt
	Position   *store.Position
	Saw        string // the parent's log head as it said, remembered with the receipts
	Run        *audit.Run
	HTTPStatus int
}

// Confirm notes the parent's receipts in one transaction: vectors that both sides now share, holds that ended, what was
// refused and parked, audit rows, the cursor and the counts. It returns a Transient error, and writes nothing, where the
// parent refused something only for now.
func (e *Engine) Confirm(ctx context.Context, d Delivery) error {
	if len(d.Receipts) != len(d.Events) {
		return syncerr.New(syncerr.Transient, "push", "the parent answered %d of %d changes", len(d.Receipts), len(d.Events))
	}
	for i, r := range d.Receipts {
		if r.Key != d.Events[i].Key || r.Version != d.Events[i].Stamp.Version {
			return syncerr.New(syncerr.Invalid, "push", "the parent's receipt %d is for %s, not for %s", i, r.Key, d.Events[i].Key)
		}
		if r.Result == feed.Refused && r.Retry {
			return syncerr.New(syncerr.Transient, "push", "the parent cannot take %s now: %s", r.Key, r.Reason)
		}
	}
	var run audit.Run
	err := e.store.Write(ctx, func(tx *store.Tx) error {
		if d.Run != nil {
			run = *d.Run
		}
		for i, r := range d.Receipts {
			if err := e.confirmOne(tx, d, d.Events[i], r, &run); err != nil {
				return err
			}
		}
		if err := saw(tx, d.Saw); err != nil {
			return err
		}
		if d.Position != nil {
			if err := tx.SetPosition("parent", "push", *d.Position); err != nil {
				return err
			}
		}
		if d.Run != nil {
			return tx.SaveRun(run)
		}
		return nil
	})
	if err == nil && d.Run != nil {
		*d.Run = run
	}
	return err
}

func (e *Engine) confirmOne(tx *store.Tx, d Delivery, ev feed.Event, r feed.Receipt, run *audit.Run) error {
	outcome := audit.Outcome(r.Result)
	run.Read++
	switch r.Result {
	case feed.Refused:
		outcome = audit.Parked
		run.Parked++
		if err := tx.NoteRefusal(ev.Key, r.Reason); err != nil {
			return err
		}
		if !d.Link.fromParent() {
			break // it is an exception of what the other side knows, and goes with every stick until that has it
		}
		err := tx.Park(store.Parked{
			Direction: "push", Peer: "parent", Key: ev.Key, Cursor: feed.Cursor{Epoch: tx.Identity().Epoch, Seq: ev.Seq}, Unit: ev.Unit, UnitSize: ev.UnitSize,
			Action: ev.Action, Stamp: ev.Stamp, Reason: r.Reason, Kind: syncerr.Invalid.String(),
		})
		if err != nil {
			return err
		}
	case feed.Same, feed.Superseded:
		run.Skipped++
	case feed.Deferred:
		run.Held++
	default:
		run.Applied++
	}
	if r.Result != feed.Refused && (d.Link.fromParent() || d.Link.follower(ev.Key.Type)) {
		unite := e.unite
		if r.Result == feed.Written {
			unite, outcome = e.adopt, audit.Applied
		}
		if err := unite(tx, d.Link, ev, r); err != nil {
			return err
		}
		if d.Link.Pulls != nil && !d.Link.Pulls(ev.Key.Type) && !r.Stamp.IsZero() {
			// The parent has seen what is held, and nothing comes down that would end the hold.
			if _, err := tx.EndHolds(ev.Key, r.Stamp.Vector); err != nil {
				return err
			}
		}
		if d.Link.fromParent() {
			if _, err := tx.Unpark("parent", "push", ev.Key, ev.Stamp.Vector); err != nil {
				return err
			}
		}
	}
	if e.cfg.Quiet && outcome.Success() {
		return nil
	}
	tx.Audit(audit.Record{
		Operation: audit.Push, Outcome: outcome, Action: string(ev.Action), Key: ev.Key, Version: ev.Stamp.Version, Peer: d.Link.Peer,
		Run: d.Link.Run, URL: ev.Key.Path(), ParentURL: d.Link.ParentURL, LocalURL: e.cfg.URL, LinkType: d.Link.client(ev.Key.Type),
		Bytes: int64(len(ev.Content)), Details: r.Reason, HTTPStatus: d.HTTPStatus,
	})
	return nil
}

// unite takes over what the parent's copy has seen where it is the same version or content as the own one (DESIGN.md 4.2). Of two names of
// one content the one stands that Decide would let stand: a copy which kept its own name and yet had seen its successor would be the
// successor of that one elsewhere.
func (e *Engine) unite(tx *store.Tx, link Link, ev feed.Event, r feed.Receipt) error {
	cur, ok, err := tx.Current(ev.Key)
	if err != nil || !ok || r.Stamp.IsZero() {
		return err
	}
	if err := r.Stamp.Validate(); err != nil {
		return err
	}
	same := r.Stamp.Version == cur.Stamp.Version
	if !same && !r.Stamp.SameContent(cur.Stamp) {
		return nil
	}
	s, mark := cur.Stamp.Seeing(r.Stamp.Vector), ""
	switch reconcile.Decide(cur.Stamp, r.Stamp) {
	case reconcile.Apply:
		s, same = r.Stamp.Seeing(cur.Stamp.Vector), true
	case reconcile.Equal:
		if reconcile.Prefer(cur.Stamp, r.Stamp) {
			s, same = r.Stamp.Seeing(cur.Stamp.Vector), true
		}
	}
	if same && r.Stamp.Vector.ContainsAll(s.Vector) {
		mark = link.Epoch
	}
	if s.Version == cur.Stamp.Version && s.Vector.Equal(cur.Stamp.Vector) {
		if mark != "" {
			return tx.MarkDelivered(ev.Key, mark)
		}
		return nil
	}
	if _, err := tx.Put(store.Change{Key: ev.Key, Action: actionOf(s), Stamp: s, Delivered: mark}); err != nil {
		return err
	}
	return settle(tx, ev.Key, s)
}

// adopt gives the own copy the name under which a parent that knows no stamps wrote it (DESIGN.md 4.1, Over fhir and rest). Where the own
// copy is another one by now, changed here or come down from the parent, it has only seen that version.
func (e *Engine) adopt(tx *store.Tx, link Link, ev feed.Event, r feed.Receipt) error {
	cur, ok, err := tx.Current(ev.Key)
	if err != nil || !ok || r.Stamp.IsZero() || !cur.Stamp.Vector.Contains(ev.Stamp.Version) {
		return err
	}
	if err := r.Stamp.Validate(); err != nil {
		return err
	}
	s, mark := cur.Stamp.Seeing(r.Stamp.Vector), ""
	if cur.Stamp.Version == ev.Stamp.Version && r.Stamp.SameContent(cur.Stamp) {
		from := r.Stamp
		if row, ok, err := tx.Event(feed.Ref{Key: ev.Key, Version: r.Stamp.Version}); err != nil {
			return err
		} else if ok && row.Stamp.Version == r.Stamp.Version {
			from = row.Stamp // it came down before, with all that belongs to it
		}
		s.Version, s.Author, s.Authored, s.Origin = from.Version, from.Author, from.Authored, from.Origin
		mark = link.Epoch
	}
	if s.Version == cur.Stamp.Version && s.Vector.Equal(cur.Stamp.Vector) {
		if mark != "" {
			return tx.MarkDelivered(ev.Key, mark)
		}
		return nil
	}
	if _, err := tx.Put(store.Change{Key: ev.Key, Action: actionOf(s), Stamp: s, Delivered: mark}); err != nil {
		return err
	}
	return settle(tx, ev.Key, s)
}
