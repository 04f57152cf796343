package resourcemanager

import (
	"context"
	"fmt"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Stampless is a Client of a node that is spoken to as a FHIR or REST server: the stamps come with the feed, the contents over Remote. No
// stamp travels upwards: the node writes a version of its own over the one that If-Match names, and its ETag names that (DESIGN.md 4.1). This
// side arbitrates: what the node has and this side has not seen is never overwritten, it has to come down first.
type Stampless struct {
	Remote Remote
	// Seen reports whether this node itself once had the content under the key: then a copy of the peer with it is news to nobody, as after an
	// answer that was lost.
	Seen func(ctx context.Context, k fhir.Key, h version.Hash) (bool, error)
}

// Fetch returns the contents of versions (Client). A version that the peer no longer has is left out: without a stamp its current copy
// says nothing about the version asked for.
func (c *Stampless) Fetch(ctx context.Context, refs []feed.Ref) ([]feed.Event, error) {
	wants := make([]Want, len(refs))
	for i, r := range refs {
		wants[i] = Want{Key: r.Key, Tag: r.Version.String()}
	}
	copies, err := c.Remote.Read(ctx, wants)
	if err != nil {
		return nil, err
	}
	var out []feed.Event
	for i, got := range copies {
		if got.State != Present {
			continue
		}
		doc, err := fhir.ParseAs(refs[i].Key.Type, got.Content, 0)
		if err != nil {
			return nil, syncerr.Wrap(syncerr.Invalid, fmt.Sprintf("read %s from the peer", refs[i].Key), err)
		}
		doc = doc.Bare()
		out = append(out, feed.Event{
			Key: refs[i].Key, Content: doc.Body,
			Stamp: version.Stamp{Version: refs[i].Version, Vector: version.Vector{refs[i].Version}, Hash: version.Hash(doc.Hash())},
		})
	}
	return out, nil
}

// Send gives the current copies to the peer (Client), each with If-Match on the copy that this side has seen. The receipt is Written with
// the peer's own version, or Deferred where the peer has a copy that this side has not seen.
func (c *Stampless) Send(ctx context.Context, s Shipment) (Sent, error) {
	in, out := c.Remote.Traffic()
	receipts, status, err := c.send(ctx, s.Events)
	in2, out2 := c.Remote.Traffic()
	return Sent{Receipts: receipts, Status: status, Bytes: in2 - in + out2 - out}, err
}

func (c *Stampless) send(ctx context.Context, events []feed.Event) ([]feed.Receipt, int, error) {
	keys := make([]fhir.Key, len(events))
	for i, ev := range events {
		keys[i] = ev.Key
	}
	have, err := c.Remote.Read(ctx, wantsOf(keys))
	if err != nil {
		return nil, 0, err
	}
	out := make([]feed.Receipt, len(events))
	var edits []Edit
	var at []int
	for i, ev := range events {
		edit, receipt, err := c.plan(ctx, ev, have[i])
		if err != nil {
			return nil, 0, err
		}
		if receipt != nil {
			out[i] = *receipt
			continue
		}
		edits, at = append(edits, edit), append(at, i)
	}
	if len(edits) == 0 {
		return out, 200, nil
	}
	answers, err := c.Remote.Write(ctx, edits)
	if err != nil {
		return nil, 0, err // what was done is seen to be done when it is sent again
	}
	status := 0
	for j, a := range answers {
		out[at[j]] = receiptOf(events[at[j]], a)
		status = a.Status
	}
	return out, status, nil
}

func wantsOf(keys []fhir.Key) []Want {
	wants := make([]Want, len(keys))
	for i, k := range keys {
		wants[i].Key = k
	}
	return wants
}

// plan returns the edit that brings an event to the peer, or the receipt where there is nothing to do or nothing may be done.
func (c *Stampless) plan(ctx context.Context, ev feed.Event, have Copy) (Edit, *feed.Receipt, error) {
	edit := Edit{Key: ev.Key, Content: ev.Content, Base: have.Tag, Revive: have.State == Gone}
	if ev.Stamp.Deleted {
		edit.Content = nil
	} else if ev.Content == nil {
		return edit, nil, syncerr.New(syncerr.Internal, "push", "%s has no content", ev.Key)
	}
	if have.State == Absent {
		if edit.Create = true; ev.Stamp.Deleted {
			r := feed.Receipt{Key: ev.Key, Version: ev.Stamp.Version, Result: feed.Superseded}
			return edit, &r, nil
		}
		return edit, nil, nil
	}
	same := have.State == Gone && ev.Stamp.Deleted
	var hash version.Hash
	if have.State == Present {
		doc, err := fhir.ParseAs(ev.Key.Type, have.Content, 0)
		if err != nil {
			return edit, nil, syncerr.Wrap(syncerr.Invalid, fmt.Sprintf("read %s from the peer", ev.Key), err)
		}
		hash = version.Hash(doc.Hash())
		same = !ev.Stamp.Deleted && hash == ev.Stamp.Hash
	}
	if same {
		r := receiptOf(ev, Answer{Fate: Done, Copy: have})
		return edit, &r, nil
	}
	v, err := version.Parse(have.Tag)
	if seen := err == nil && ev.Stamp.Vector.Contains(v); seen {
		return edit, nil, nil
	}
	if have.State == Present && c.Seen != nil {
		if known, err := c.Seen(ctx, ev.Key, hash); err != nil || known {
			return edit, nil, err
		}
	}
	r := feed.Receipt{
		Key: ev.Key, Version: ev.Stamp.Version, Result: feed.Deferred,
		Reason: fmt.Sprintf("the peer has version %s, which this node has not seen: it comes down first, and both are compared here", have.Tag),
	}
	return edit, &r, nil
}

// receiptOf translates an answer.
func receiptOf(ev feed.Event, a Answer) feed.Receipt {
	r := feed.Receipt{Key: ev.Key, Version: ev.Stamp.Version, Reason: a.Reason}
	switch a.Fate {
	case Stale:
		r.Result = feed.Deferred
	case Refused:
		r.Result = feed.Refused
	default:
		r.Result = feed.Written
		v, err := version.Parse(a.Copy.Tag)
		if err != nil {
			return r // it has the document, under a name that is not a node's
		}
		r.Stamp = version.Stamp{
			Version: v, Vector: ev.Stamp.Vector.With(v), Author: v.Replica, Authored: a.Copy.Modified.UnixMilli(), Origin: v,
			Deleted: ev.Stamp.Deleted, Hash: ev.Stamp.Hash,
		}
	}
	return r
}
