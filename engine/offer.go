package engine

import (
	"context"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Offer is what a server that knows no stamps is to be given of a key: the current copy, and what it has of it.
type Offer struct {
	Event feed.Event
	Base  store.ServerCopy
	Known bool // something is known of what the server has; else Base is empty
}

// Offers returns what a server lacks of keys: their current copies but for those that it has, and those it has changed itself in a way
// that this node has not taken up (an open conflict): they wait.
func (e *Engine) Offers(ctx context.Context, server string, keys []fhir.Key) ([]Offer, error) {
	var out []Offer
	err := e.store.Read(ctx, func(r *store.Reader) error {
		for _, k := range keys {
			row, ok, err := r.Event(feed.Ref{Key: k})
			if err != nil {
				return err
			}
			base, known, err := r.ServerCopy(server, k)
			if err != nil {
				return err
			}
			if !ok || known && (base.Same(row.Stamp) || !row.Stamp.Vector.ContainsAll(base.Vector)) || !known && row.Stamp.Deleted {
				continue
			}
			row.Unit, row.UnitSize = "", 0
			out = append(out, Offer{Event: row.Event, Base: base, Known: known})
		}
		return nil
	})
	return out, err
}

// Given is what became of an offer. Content is what the server made of it, as it said; nil where it did not say.
type Given struct {
	Event   feed.Event // as it was sent
	Refused string     // why the server does not take it; empty where it has it now
	Kind    syncerr.Kind
	Tag     string
	Content []byte
	Status  int
}

// Gave notes what a server was given, in one transaction with the position in the own log and the counts: what it has now, what it refused
// and is parked, audit rows. The server may store another content than it was sent; what it has then is not taken for a change of its own.
func (e *Engine) Gave(ctx context.Context, link Link, given []Given, position *store.Position, run *audit.Run) error {
	var counts audit.Run
	err := e.store.Write(ctx, func(tx *store.Tx) error {
		if run != nil {
			counts = *run
		}
		for _, g := range given {
			if err := e.gaveOne(tx, link, g, &counts); err != nil {
				return err
			}
		}
		if position != nil {
			if err := tx.SetPosition(link.Server, "push", *position); err != nil {
				return err
			}
		}
		if run == nil {
			return nil
		}
		return tx.SaveRun(counts)
	})
	if err == nil && run != nil {
		*run = counts
	}
	return err
}

func (e *Engine) gaveOne(tx *store.Tx, link Link, g Given, run *audit.Run) error {
	run.Read++
	k, s := g.Event.Key, g.Event.Stamp
	rec := audit.Record{
		Operation: audit.Push, Outcome: audit.Applied, Action: string(g.Event.Action), Key: k, Version: s.Version, Peer: link.Peer, Run: link.Run,
		URL: k.Path(), ParentURL: link.ParentURL, LocalURL: e.cfg.URL, LinkType: link.client(k.Type),
		Bytes: int64(len(g.Event.Content)), Details: g.Refused, HTTPStatus: g.Status,
	}
	if g.Refused != "" {
		run.Parked++
		rec.Outcome = audit.Parked
		tx.Audit(rec)
		return tx.Park(store.Parked{
			Direction: "push", Peer: link.Server, Key: k, Cursor: feed.Cursor{Epoch: tx.Identity().Epoch, Seq: g.Event.Seq}, Action: g.Event.Action,
			Stamp: s, Reason: g.Refused, Kind: g.Kind.String(),
		})
	}
	run.Applied++
	has := store.ServerCopy{Tag: g.Tag, Deleted: s.Deleted, Hash: s.Hash, Vector: s.Vector}
	if g.Content != nil && !s.Deleted {
		if r, err := fhir.ParseAs(k.Type, g.Content, 0); err == nil && r.Key == k {
			if has.Hash = version.Hash(r.Bare().Hash()); has.Hash != s.Hash {
				rec.Details = "the server stored another content than it was given"
			}
		}
	}
	if err := tx.SetServerCopy(link.Server, k, has); err != nil {
		return err
	}
	if err := tx.UnparkServer(link.Server, "push", k); err != nil {
		return err
	}
	if !e.cfg.Quiet {
		tx.Audit(rec)
	}
	return nil
}
