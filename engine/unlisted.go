package engine

import (
	"context"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// Unlisted is a copy that one side has and the other, who lists the type, has not although it knew it: it was deleted there, and the
// deletion was collected (DESIGN.md 4.3, forgetting).
type Unlisted struct {
	Key  fhir.Key
	Fate version.Fate
	// Stamp is the copy's. It is this node's own, or, where There is set, the other node's of a key that was deleted and collected here.
	Stamp version.Stamp
	There bool
}

// Unlist carries out what a full comparison found, in one transaction: what is to be removed gets a tombstone with a new version, so that
// everybody hears of it; what was edited after it had been deleted is kept, and that is recorded. A copy that has changed since it was
// compared, or of which somebody has still to decide or take something, is left as it is. It returns how many were removed.
func (e *Engine) Unlist(ctx context.Context, link Link, list []Unlisted) (removed int, err error) {
	err = e.store.Write(ctx, func(tx *store.Tx) error {
		removed = 0
		for _, u := range list {
			done, err := e.unlist(tx, link, u)
			if err != nil {
				return err
			}
			if done {
				removed++
			}
		}
		return nil
	})
	return removed, err
}

func (e *Engine) unlist(tx *store.Tx, link Link, u Unlisted) (bool, error) {
	cur, ok, err := tx.Current(u.Key)
	if err != nil {
		return false, err
	}
	if ok == u.There || ok && cur.Stamp.Version != u.Stamp.Version {
		return false, nil
	}
	if pinned, err := tx.Pinned(u.Key); err != nil || pinned {
		return false, err
	}
	rec := audit.Record{
		Operation: link.operation(), Outcome: audit.Applied, Action: string(feed.Deleted), Key: u.Key, Version: u.Stamp.Version, Peer: link.Peer, Run: link.Run,
		URL: u.Key.Path(), ParentURL: link.ParentURL, LocalURL: e.cfg.URL, LinkType: link.client(u.Key.Type),
	}
	a := acceptance{tx: tx}
	refusal, err := a.unmade(u.Key, u.Stamp.Vector)
	if err != nil {
		return false, err
	}
	if refusal != nil {
		rec.Outcome, rec.Details = audit.Refused, refusal.Error()
		tx.Audit(rec)
		return false, nil
	}
	if u.Fate == version.FateConflict {
		rec.Outcome, rec.Action = audit.Decided, string(feed.Updated)
		rec.Details = "kept against a deletion: the other node knew an earlier version, deleted it and forgot it, and this one was written afterwards"
		tx.Audit(rec)
		return false, nil
	}
	v, err := tx.NextTick(u.Key.Type)
	if err != nil {
		return false, err
	}
	s := version.Stamp{Version: v, Vector: u.Stamp.Vector.With(v), Author: v.Replica, Authored: tx.Now(), Origin: v, Deleted: true}
	if ok {
		s.Vector = s.Vector.Union(cur.Stamp.Vector)
	}
	if _, err := tx.Put(store.Change{Key: u.Key, Action: feed.Deleted, Stamp: s}); err != nil {
		return false, err
	}
	rec.Version = v
	rec.Details = "removed by a full comparison: it had been deleted at the other node, and the deletion was forgotten"
	if u.There {
		rec.Details = "deleted again: it had been deleted here, the deletion was forgotten, and the parent still had it"
	}
	tx.Audit(rec)
	return true, settle(tx, u.Key, s)
}
