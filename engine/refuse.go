package engine

import (
	"context"
	"errors"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// unmade returns a refusal for a vector that has seen changes which this node never made. Where this node made them and forgot, being an older
// copy of itself, the peer's memory or its knowledge tells (RestoredLate), and the change is taken under the next replica.
func (a *acceptance) unmade(k fhir.Key, seen version.Vector) (refusal, err error) {
	own := a.tx.Identity().Replica
	claimed := seen.Tick(own)
	if claimed == 0 {
		return nil, nil
	}
	gave, ok := a.gave[k.Type]
	if !ok {
		if gave, err = a.tx.Gave(own, k.Type); err != nil {
			return nil, err
		}
		if a.gave == nil {
			a.gave = map[string]uint64{}
		}
		a.gave[k.Type] = gave
	}
	if claimed <= gave {
		return nil, nil
	}
	return syncerr.New(syncerr.Invalid, "accept "+k.String(), "it has seen change %d of this node's own to %s, and this node has made %d", claimed, k.Type, gave), nil
}

// lacking returns a refusal for an event that came without a content which this node does not have.
func (a *acceptance) lacking(in incoming) (refusal, err error) {
	if in.packed != nil || in.Stamp.Deleted {
		return nil, nil
	}
	cur, ok, err := a.tx.Current(in.Key)
	if err != nil || ok && !needsContent(cur.Stamp, in.Stamp) {
		return nil, err
	}
	return syncerr.New(syncerr.Transient, "accept "+in.Key.String(), "version %s came without its content", in.Stamp.Version), nil
}

// needsContent reports whether an incoming stamp of a live copy is of no use without its content.
func needsContent(local, in version.Stamp) bool {
	switch reconcile.Decide(local, in) {
	case reconcile.Already, reconcile.Superseded:
		return false
	}
	return !local.SameContent(in)
}

// park keeps what the parent sent, as far as the tables hold it: what cannot be kept must not stop the batch.
func (a *acceptance) park(in incoming, refusal error) error {
	if !a.link.fromParent() {
		return nil // the child keeps it: it gets the receipt
	}
	if len(in.Event.Content) > a.e.store.Limit() {
		in.Event.Content = nil // the retry asks for it again
	}
	if len(in.Unit) > maxUnit {
		in.Unit, in.UnitSize = "", 0
	}
	if in.Stamp.Validate() != nil {
		in.Stamp = version.Stamp{Version: nameable(in.Stamp)}
	}
	if in.Key.Validate() != nil {
		in.Key = fhir.Key{Type: "Basic", ID: "unreadable"}
	}
	return a.tx.Park(store.Parked{
		Direction: "pull", Peer: "parent", Key: in.Key, Cursor: feed.Cursor{Epoch: a.link.Epoch, Seq: in.Seq}, Unit: in.Unit, UnitSize: in.UnitSize,
		Action: in.Action, Stamp: in.Stamp, Content: in.Event.Content, Reason: refusal.Error(), Kind: syncerr.KindOf(refusal).String(),
	})
}

// CheckKnown returns an Invalid error where what a peer says that it knows cannot be (store.Store.CheckKnown), and records that.
func (e *Engine) CheckKnown(ctx context.Context, link Link, parts []feed.Known) error {
	_, why := e.store.CheckKnown(ctx, parts)
	if why == nil || syncerr.KindOf(why) != syncerr.Invalid {
		return why
	}
	err := e.Note(ctx, audit.Record{
		Operation: link.operation(), Outcome: audit.Refused, Action: "KNOWLEDGE", Peer: link.Peer, Run: link.Run, ParentURL: link.ParentURL,
		LocalURL: e.cfg.URL, LinkType: link.ClientName, Details: why.Error(),
	})
	return errors.Join(why, err)
}

// nameable returns the version of a stamp, the zero version where it is none.
func nameable(s version.Stamp) version.Version {
	if !s.Version.Replica.Valid() || s.Version.Tick == 0 || s.Version.Tick > version.MaxTick {
		return version.Version{}
	}
	return s.Version
}
