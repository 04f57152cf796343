package engine

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// The facts that tell when and by what a database was last found to be an older copy of itself; times are milliseconds since 1970 UTC.
const (
	StateRestored    = "restored"
	StateRestoredWhy = "restored_why"
)

// Restored gives a database that was found to be an older copy of itself, before it was written to, a new replica and a new epoch,
// and audits why. Its versions stay: rows of the old replica are ordinary rows from now on (DESIGN.md 4.3). Ticks start anew
// under the new replica.
func (e *Engine) Restored(ctx context.Context, why string) error {
	return e.reincarnate(ctx, why, false, "", 0, func(*store.Tx) ([]store.Row, error) { return nil, nil })
}

// Confirm asks a peer for its copies of versions; what it does not have is left out (resourcemanager.Client.Fetch).
type Confirm func(context.Context, []feed.Ref) ([]feed.Event, error)

// RestoredLate does the same for a database that may have been written to before a peer's memory showed that it is an older copy. Its
// own changes above the sequence pushed may bear versions that it had given before; they are held against what the parent has.
// What the parent does not confirm by version and content is written again under the new replica, with the old one's entry of its
// vector cut to the last tick that was pushed, so that two contents never stand under one version. epoch is the one that the peer
// remembers: from now on it is known to be past.
func (e *Engine) RestoredLate(ctx context.Context, why, epoch string, pushed uint64, confirm Confirm) error {
	old := e.store.Identity().Replica
	var own []store.Row
	var head uint64
	err := e.store.Read(ctx, func(r *store.Reader) error {
		var err error
		if own, err = r.OwnAbove(old, pushed); err == nil {
			head, err = r.Head()
		}
		return err
	})
	if err != nil {
		return err
	}
	confirmed := map[feed.Ref]version.Hash{}
	for part := own; len(part) > 0; {
		n := min(len(part), 100)
		refs := make([]feed.Ref, n)
		for i, row := range part[:n] {
			refs[i] = feed.Ref{Key: row.Key, Version: row.Stamp.Version}
		}
		got, err := confirm(ctx, refs)
		if err != nil {
			return err
		}
		for _, ev := range got {
			confirmed[feed.Ref{Key: ev.Key, Version: ev.Stamp.Version}] = ev.Stamp.Hash
		}
		part = part[n:]
	}
	var again []store.Row
	for _, row := range own {
		if h, ok := confirmed[feed.Ref{Key: row.Key, Version: row.Stamp.Version}]; !ok || h != row.Stamp.Hash {
			again = append(again, row)
		}
	}
	return e.reincarnate(ctx, why, true, epoch, pushed, func(tx *store.Tx) ([]store.Row, error) {
		since, err := tx.OwnAbove(old, head) // what an application wrote while the peer was asked
		return slices.Concat(again, since), err
	})
}

func (e *Engine) reincarnate(ctx context.Context, why string, late bool, epoch string, pushed uint64, unconfirmed func(*store.Tx) ([]store.Row, error)) error {
	old := e.store.Identity().Replica
	return e.store.Reincarnate(ctx, func(tx *store.Tx) error {
		again, err := unconfirmed(tx)
		if err != nil {
			return err
		}
		tx.Audit(audit.Record{
			Operation: audit.Admin, Outcome: audit.Done, Action: "RESTORED", LocalURL: e.cfg.URL,
			Details: fmt.Sprintf("this database is an older copy: %s. It goes on as replica %s instead of %s; %d changes that nobody else has are written again; "+
				"parent and children are read and offered everything again", why, tx.Identity().Replica, old, len(again)),
		})
		if err := tx.SetState(StateRestored, strconv.FormatInt(tx.Now(), 10)); err != nil {
			return err
		}
		if err := tx.SetState(StateRestoredWhy, why); err != nil {
			return err
		}
		if err := tx.PassEpoch(epoch); err != nil || !late {
			return err
		}
		ticks, err := tx.LastTicks(old, pushed)
		if err != nil {
			return err
		}
		if err := tx.CutKnowledge(old, ticks); err != nil {
			return err
		}
		seen := map[fhir.Key]version.Vector{}
		newest := map[fhir.Key]version.Version{}
		for _, row := range again {
			v, err := tx.NextTick(row.Key.Type)
			if err != nil {
				return err
			}
			s, last := row.Stamp, ticks[row.Key.Type]
			s.Version, s.Author = v, v.Replica
			s.Vector = s.Vector.Cut(old, last).Union(seen[row.Key]).With(v)
			if s.Origin.Replica == old && s.Origin.Tick > last {
				s.Origin = v
			}
			seen[row.Key], newest[row.Key] = s.Vector, v
			if err := tx.Relabel(row.Seq, row.Key, s); err != nil {
				return err
			}
		}
		for _, row := range again { // a copy that came later has seen what has a new name now
			v, ok := newest[row.Key]
			if delete(newest, row.Key); !ok {
				continue
			}
			cur, _, err := tx.Current(row.Key)
			if err != nil {
				return err
			}
			if s := cur.Stamp.Seeing(version.Vector{v}); !s.Vector.Equal(cur.Stamp.Vector) {
				if _, err := tx.Put(store.Change{Key: row.Key, Action: actionOf(s), Stamp: s}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
