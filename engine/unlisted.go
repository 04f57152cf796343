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

// CompareRange makes the full comparison of a type in a range of ids with a lister who names all that it has there: what it had and does not name
// was deleted there, and goes; what it never had stays, and so does what was changed here since (version.Unlisted; MS10 of
// reference/seed-protocols.md). It comes before anything of the lister's knowledge is taken over. It returns how many were removed.
func (e *Engine) CompareRange(ctx context.Context, link Link, resourceType string, lister version.Knowledge, in feed.Range, names func(id string) bool) (removed int, err error) {
	for more := true; more; {
		copies, goesOn, err := e.store.Copies(ctx, resourceType, in, comparedAtOnce)
		if err != nil {
			return removed, err
		}
		var keys []fhir.Key
		for _, c := range copies {
			if !c.Deleted && !names(c.ID) {
				keys = append(keys, fhir.Key{Type: resourceType, ID: c.ID})
			}
		}
		n, err := e.unnamed(ctx, link, lister, keys)
		if err != nil {
			return removed, err
		}
		removed += n
		if more = goesOn; more {
			in.From = feed.Behind(copies[len(copies)-1].ID)
		}
	}
	return removed, nil
}

// comparedAtOnce is how many copies of this node are looked at in one go.
const comparedAtOnce = 500

// unnamed gives copies that a lister does not name their fate.
func (e *Engine) unnamed(ctx context.Context, link Link, lister version.Knowledge, keys []fhir.Key) (int, error) {
	if len(keys) == 0 {
		return 0, nil
	}
	current, err := e.store.Currents(ctx, keys)
	if err != nil {
		return 0, err
	}
	var gone []Unlisted
	for _, k := range keys {
		c, ok := current[k]
		if !ok || c.Stamp.Deleted {
			continue
		}
		if fate := version.Unlisted(lister, k.ID, c.Stamp.Version, c.Created); fate != version.FateKeep {
			gone = append(gone, Unlisted{Key: k, Fate: fate, Stamp: c.Stamp})
		}
	}
	if len(gone) == 0 {
		return 0, nil
	}
	return e.Unlist(ctx, link, gone)
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
