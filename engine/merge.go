package engine

import (
	"fmt"
	"strings"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// Merged is the winner of a conflict whose two copies were put together.
const Merged = "merged"

// historian is what reads the history of a key, in a transaction or outside.
type historian interface {
	History(k fhir.Key, before uint64, limit int) ([]store.Copy, error)
	ConflictsOf(k fhir.Key) ([]store.Conflict, error)
}

// origins finds out what kind of conflict it is, and the newest copy that both sides have seen, as far as this node has it; where it has none any
// more, that with which the conflict was found stays.
func origins(of historian, row *store.Conflict) error {
	switch {
	case row.Local.Deleted != row.Incoming.Deleted:
		row.Kind = store.KindDeletion
	case !shares(row.Local.Vector, row.Incoming.Vector):
		row.Kind = store.KindIdentity
		return nil
	default:
		row.Kind = store.KindEdit
	}
	var best version.Stamp
	consider := func(s version.Stamp, body []byte) {
		seen := row.Local.Vector.Contains(s.Version) && row.Incoming.Vector.Contains(s.Version)
		if seen && (best.IsZero() || s.Vector.Contains(best.Version)) {
			best, row.AncestorContent = s, body
		}
	}
	before := uint64(0)
	for best.IsZero() {
		copies, err := of.History(row.Key, before, 20)
		if err != nil {
			return err
		}
		if len(copies) == 0 {
			break
		}
		for _, c := range copies {
			before = c.Seq
			if best.IsZero() {
				consider(c.Stamp, c.Body)
			}
		}
	}
	others, err := of.ConflictsOf(row.Key)
	if err != nil {
		return err
	}
	for _, c := range others { // what never was the current copy here
		consider(c.Local, c.LocalContent)
		consider(c.Incoming, c.IncomingContent)
	}
	if !best.IsZero() {
		row.Ancestor = best.Version
	}
	return nil
}

// shares reports whether two copies go back to one write.
func shares(a, b version.Vector) bool {
	for _, v := range a {
		if b.Tick(v.Replica) > 0 {
			return true
		}
	}
	return false
}

// merged puts the two copies of a conflict together. Where that cannot be, the resolution says what becomes of the conflict, and the row why.
func (a *acceptance) merged(p reconcile.Policies, row *store.Conflict, res reconcile.Resolution, names func(version.Replica) string) (*authoring, reconcile.Resolution) {
	deferred := reconcile.Resolution{Deferred: true, Rule: reconcile.Merging}
	switch {
	case row.Kind == store.KindIdentity:
		row.Reason = "it was created on two sides independently, perhaps for two different persons or things: this is never merged"
		return nil, deferred
	case row.AncestorContent == nil:
		row.Reason = "the history does not have the copy from which both were made any more: every difference is for a person to decide"
		return nil, deferred
	}
	body, clashes := reconcile.Merge(row.AncestorContent, row.LocalContent, row.IncomingContent)
	if len(clashes) > 0 {
		row.Reason = "both sides changed " + paths(clashes)
		next := p.Clashing(row.Key.Type, row.Local, row.Incoming, names)
		if next.Deferred {
			return nil, deferred
		}
		side := reconcile.Left
		if next.Incoming {
			side = reconcile.Right
		}
		body, clashes = reconcile.MergeChoosing(row.AncestorContent, row.LocalContent, row.IncomingContent, func(d reconcile.Difference) reconcile.Side {
			if !d.Clash || d.Critical {
				return reconcile.Neither
			}
			return side
		})
		if len(clashes) > 0 {
			row.Reason = "both sides changed " + paths(clashes) + ", of which only a person may choose"
			return nil, deferred
		}
		res.Rule = reconcile.Merging + "," + next.Rule
	}
	if row.Reason == "" {
		row.Reason = "each side changed other elements than the other"
	}
	w, err := a.e.prepareMerge(row.Key, body)
	if err != nil {
		row.Reason = fmt.Sprintf("the two copies put together are not one that this node takes: %v", err)
		return nil, deferred
	}
	switch w.hash { // one side had made the changes of the other, too
	case row.Local.Hash:
		return nil, reconcile.Resolution{Rule: res.Rule}
	case row.Incoming.Hash:
		return nil, reconcile.Resolution{Rule: res.Rule, Incoming: true}
	}
	return &w, res
}

// paths names the elements of differences, at most five.
func paths(diffs []reconcile.Difference) string {
	var out []string
	for _, d := range diffs[:min(5, len(diffs))] {
		out = append(out, d.Path)
	}
	text := strings.Join(out, ", ")
	if more := len(diffs) - len(out); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// prepareMerge checks a resource that was put together here.
func (e *Engine) prepareMerge(key fhir.Key, body []byte) (authoring, error) {
	r, err := fhir.ParseAs(key.Type, body, e.limit)
	if err != nil {
		return authoring{}, err
	}
	if r.Key != key {
		return authoring{}, fmt.Errorf("it is %s", r.Key)
	}
	r = r.Bare()
	w := authoring{hash: version.Hash(r.Hash()), packed: e.store.Pack(r.Body, search.Values(r.Key, r.Body))}
	w.Key, w.Body = key, r
	return w, nil
}

// writeMerge writes a version with content of this node's own making, which has seen what seen has (DESIGN.md 4.2, how).
func (a *acceptance) writeMerge(key fhir.Key, seen version.Vector, w authoring) error {
	v, err := a.tx.NextTick(key.Type)
	if err != nil {
		return err
	}
	s := version.Stamp{Version: v, Vector: seen.With(v), Author: v.Replica, Authored: a.tx.Now(), Origin: v, Hash: w.hash}
	c := store.Change{Key: key, Action: feed.Updated, Stamp: s, Content: w.packed}
	a.noteBody(c, w.Body.Body)
	return a.put(c)
}
