package engine

import (
	"context"
	"slices"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// one decides about an event that can be taken, and writes what follows.
func (a *acceptance) one(in incoming) (result feed.Result, conflict string, err error) {
	cur, _, err := a.tx.Current(in.Key)
	if err != nil {
		return "", "", err
	}
	local := cur.Stamp
	if local.IsZero() {
		if gone, err := a.forgot(in); err != nil || gone {
			return feed.Superseded, "", err
		}
	}
	verdict := reconcile.Decide(local, in.Stamp)
	if from, above := a.link.decider(in); above && verdict.Rival() {
		return feed.Held, "", a.hold(in, cur, from)
	}
	switch verdict {
	case reconcile.Already:
		return feed.Same, "", a.keep(in, cur, local.Seeing(in.Stamp.Vector))
	case reconcile.Apply:
		return feed.Applied, "", a.take(in, local, in.Stamp.Seeing(local.Vector))
	case reconcile.Superseded:
		return feed.Superseded, "", a.keep(in, cur, local.Seeing(in.Stamp.Vector))
	case reconcile.Equal:
		if reconcile.Prefer(local, in.Stamp) {
			return feed.EqualCopy, "", a.take(in, local, in.Stamp.Seeing(local.Vector))
		}
		return feed.EqualCopy, "", a.keep(in, cur, local.Seeing(in.Stamp.Vector))
	case reconcile.IncomingOrigin:
		return feed.Decided, "", a.decide(in, local, true)
	case reconcile.LocalOrigin:
		return feed.Decided, "", a.decide(in, local, false)
	}
	return a.conflict(in, local)
}

// forgot reports whether the deletion of what comes was collected here. A deletion that has seen what nobody told of here before is taken again:
// that others have that must travel.
func (a *acceptance) forgot(in incoming) (bool, error) {
	gone, err := a.tx.Forgot(in.Key, in.Stamp.Version)
	if err != nil || !gone || !in.Stamp.Deleted {
		return gone, err
	}
	for _, v := range in.Stamp.Vector {
		if gone, err := a.tx.Forgot(in.Key, v); err != nil || !gone {
			return false, err
		}
	}
	return true, nil
}

// take makes the incoming copy the current one. Where the content is the one that is there, only the stamp is written.
func (a *acceptance) take(in incoming, local, s version.Stamp) error {
	c := store.Change{Key: in.Key, Action: in.Action, Stamp: s, Content: in.packed, Source: a.link.source(), Delivered: a.delivered(in, s)}
	if !local.IsZero() && local.SameContent(s) {
		c.Content = nil
	}
	a.noteBody(c, in.Content)
	return a.put(c)
}

// noteBody remembers what a row of this transaction holds: it is not to be read before the commit.
func (a *acceptance) noteBody(c store.Change, body []byte) {
	if c.Content == nil {
		return
	}
	if a.bodies == nil {
		a.bodies = map[fhir.Key][]byte{}
	}
	a.bodies[c.Key] = body
}

// body returns the content of the copy that stands, also where this transaction has taken it: what it wrote is not to be read yet.
func (a *acceptance) body(k fhir.Key, local version.Stamp) ([]byte, error) {
	if local.Deleted {
		return nil, nil
	}
	if b, ok := a.bodies[k]; ok {
		return b, nil
	}
	mine, _, err := a.tx.Get(k)
	return mine.Body, err
}

// put writes a row. All rows that a transaction of the author leads to stay together: they carry its unit.
func (a *acceptance) put(c store.Change) error {
	c.Unit = a.inUnit
	if _, err := a.tx.Put(c); err != nil {
		return err
	}
	return settle(a.tx, c.Key, c.Stamp)
}

// delivered returns the mark by which a push skips a key: the parent's epoch, where the parent sent this very version and has seen all
// that the copy has seen now. A vector that grew from another side must go up, so the mark goes when it grows.
func (a *acceptance) delivered(in incoming, s version.Stamp) string {
	if a.link.fromParent() && !in.elsewhere && in.Stamp.Version == s.Version && in.Stamp.Vector.ContainsAll(s.Vector) {
		return a.link.Epoch
	}
	return ""
}

// keep leaves the local copy as it is. Where its vector grew that is written, because it must travel.
func (a *acceptance) keep(in incoming, cur store.Current, s version.Stamp) error {
	mark := a.delivered(in, s)
	if !s.Vector.Equal(cur.Stamp.Vector) {
		return a.put(store.Change{Key: in.Key, Action: actionOf(s), Stamp: s, Delivered: mark})
	}
	if mark != "" {
		if err := a.tx.MarkDelivered(in.Key, mark); err != nil {
			return err
		}
	}
	return settle(a.tx, in.Key, s)
}

func actionOf(s version.Stamp) feed.Action {
	if s.Deleted {
		return feed.Deleted
	}
	return feed.Updated
}

// decide writes the new version that every decision is: the arbiter's next tick, having seen both sides, with content,
// author and origin of the winner (DESIGN.md 4.2, how).
func (a *acceptance) decide(in incoming, local version.Stamp, incomingWins bool) error {
	v, err := a.tx.NextTick(in.Key.Type)
	if err != nil {
		return err
	}
	s, content := local, (*store.Packed)(nil)
	if incomingWins {
		s = in.Stamp
		if !local.SameContent(in.Stamp) {
			content = in.packed
		}
	}
	s.Version, s.Vector = v, local.Vector.Union(in.Stamp.Vector).With(v)
	c := store.Change{Key: in.Key, Action: actionOf(s), Stamp: s, Content: content}
	a.noteBody(c, in.Content)
	return a.put(c)
}

// conflict asks the policy of the type. Both copies are kept in sync_conflict whoever wins.
func (a *acceptance) conflict(in incoming, local version.Stamp) (feed.Result, string, error) {
	mine, err := a.body(in.Key, local)
	if err != nil {
		return "", "", err
	}
	var unread error
	names, policies := named(a.tx, &unread), *a.e.policies.Load()
	res := policies.Resolve(in.Key.Type, local, in.Stamp, names)
	if a.rival && res.Rule == reconcile.SourceWins {
		res.Rule, res.Incoming = reconcile.DestinationWins, false
	}
	row := store.Conflict{
		Key: in.Key, Status: store.ConflictDecided, Peer: a.link.Peer, Local: local, LocalContent: mine, Incoming: in.Stamp, IncomingContent: in.Content,
	}
	if err := origins(a.tx, &row); err != nil {
		return "", "", err
	}
	var merged *authoring
	if res.Merge {
		merged, res = a.merged(policies, &row, res, names)
	}
	if unread != nil {
		return "", "", unread
	}
	row.Rule, row.Winner, row.Flagged = string(res.Rule), "local", res.Flagged
	switch {
	case res.Deferred:
		row.Status, row.Winner = store.ConflictOpen, ""
		return a.deferred(row)
	case merged != nil:
		row.Winner, err = Merged, a.writeMerge(in.Key, local.Vector.Union(in.Stamp.Vector), *merged)
	case res.Incoming:
		row.Winner, err = "incoming", a.decide(in, local, true)
	default:
		err = a.decide(in, local, false)
	}
	if err != nil {
		return "", "", err
	}
	after, _, err := a.tx.Current(in.Key)
	if err != nil {
		return "", "", err
	}
	row.Decided = after.Stamp.Version
	id, err := a.tx.PutConflict(row)
	return feed.Decided, id, err
}

// deferred opens the conflict of a key. One that is open already takes a newer copy of the same line; a rival of it is refused for now,
// so that it is parked and offered again after this one was resolved: nothing that stands in the row is overwritten by what has not
// seen it.
func (a *acceptance) deferred(row store.Conflict) (feed.Result, string, error) {
	open, ok, err := a.tx.OpenConflict(row.Key)
	if err != nil {
		return "", "", err
	}
	if ok && !row.Incoming.Vector.Contains(open.Incoming.Version) {
		return feed.Refused, open.UUID, nil
	}
	id, err := a.tx.PutConflict(row)
	return feed.Deferred, id, err
}

// hold sets the copy aside until the parent has decided: a follower never decides.
func (a *acceptance) hold(in incoming, cur store.Current, from string) error {
	content := in.Content
	if content == nil && !in.Stamp.Deleted {
		var err error
		if content, err = a.body(in.Key, cur.Stamp); err != nil { // it came as a stamp: its content is the one that is here
			return err
		}
	}
	if cur.Stamp.Vector.Contains(in.Stamp.Version) {
		return nil
	}
	return a.tx.Hold(store.Held{Key: in.Key, Peer: from, Action: in.Action, Stamp: in.Stamp, Content: content})
}

// Lacking returns which of the events that came without content need one: those that Decide would not drop and whose content
// is not the local one.
func (e *Engine) Lacking(ctx context.Context, events []feed.Event) ([]feed.Ref, error) {
	var keys []fhir.Key
	for _, ev := range events {
		if ev.Content == nil && !ev.Stamp.Deleted {
			keys = append(keys, ev.Key)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	have, err := e.store.Currents(ctx, keys)
	if err != nil {
		return nil, err
	}
	var out []feed.Ref
	for _, ev := range events {
		if ev.Content != nil || ev.Stamp.Deleted {
			continue
		}
		if needsContent(have[ev.Key].Stamp, ev.Stamp) {
			out = append(out, feed.Ref{Key: ev.Key, Version: ev.Stamp.Version})
		}
	}
	return out, nil
}

// Released ends what waits for a direction that its type goes no more, because the configuration has changed: what is parked in it is
// dropped (an exception stays, so that it is offered again if the type goes again), and what is held of a type that goes in neither is
// decided here. It is called when a node starts, and when what is synchronised has changed, before anything is exchanged.
func (e *Engine) Released(ctx context.Context, link Link, pushes, pulls func(resourceType string) bool) error {
	e.waiting.lose() // what a parked copy waits for hangs on what is pulled
	for _, direction := range []string{"push", "pull"} {
		goes := pushes
		if direction == "pull" {
			goes = pulls
		}
		parked, err := e.store.Parked(ctx, store.ParkedFilter{Direction: direction, Peer: "parent", Limit: 1 << 30})
		if err != nil {
			return err
		}
		parked = slices.DeleteFunc(parked, func(p store.Parked) bool { return goes(p.Key.Type) })
		if len(parked) == 0 {
			continue
		}
		pos, err := e.store.Position(ctx, "parent", direction)
		if err != nil {
			return err
		}
		pos.Scope = "" // if the type goes again before the next pass, that compares what is known all the same
		err = e.store.Write(ctx, func(tx *store.Tx) error {
			if err := tx.SetPosition("parent", direction, pos); err != nil {
				return err
			}
			for _, p := range parked {
				if err := tx.DropParked(p); err != nil {
					return err
				}
				tx.Audit(audit.Record{
					Operation: audit.Admin, Outcome: audit.Done, Action: "RELEASE", Key: p.Key, Version: nameable(p.Stamp), Peer: link.Peer,
					Details: "it was parked in the " + direction + ", and its type does not go there any more: " + p.Reason,
				})
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	link.Follows = func(resourceType string) bool { return pushes(resourceType) || pulls(resourceType) }
	return e.DecideHolds(ctx, link)
}

// DecideHolds decides the holds of types that this node no longer pushes: it has become the arbiter of its link for them
// (DESIGN.md 4.2, last sentence of holds). It is called at the end of a complete pull.
func (e *Engine) DecideHolds(ctx context.Context, link Link) error {
	held, err := e.store.Held(ctx, 0)
	if err != nil {
		return err
	}
	var events []feed.Event
	err = e.store.Read(ctx, func(r *store.Reader) error {
		for _, h := range held {
			if !link.settles(h) {
				continue
			}
			_, asked, err := r.OpenConflict(h.Key)
			if err != nil {
				return err
			}
			if !asked { // a person has the key before him: what he decides ends the hold, or it is looked at again then
				events = append(events, h.Event())
			}
		}
		return nil
	})
	if err != nil || len(events) == 0 {
		return err
	}
	_, err = e.Accept(ctx, Batch{Link: link, Events: events, aside: true})
	return err
}

// decider returns the node that decides between an incoming copy and the one here, as holds show it; false where this node does.
func (l Link) decider(in incoming) (string, bool) {
	if l.follower(in.Key.Type) {
		return l.Peer, true
	}
	from, above := l.Above[in.Stamp.Version.Replica]
	return from, above
}

// settles reports whether a hold is this node's to decide because of how it stands to the peer of the link: what came by a stick concerns nobody else.
func (l Link) settles(h store.Held) bool {
	if h.ByStick() || l.Stick != "" {
		return h.Peer == l.Peer
	}
	return !l.follower(h.Key.Type)
}
