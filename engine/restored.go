package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// The facts that tell when and by what a database was last found to be an older copy of itself; times are milliseconds since 1970 UTC.
const (
	StateRestored    = "restored"
	StateRestoredWhy = "restored_why"
)

// StateSaw is the fact that holds the parent's log head as this node remembers it.
const StateSaw = "saw"

// Suspect names own changes that may bear versions which were given twice: those of a replica above the sequence of the log up to
// which they were pushed.
type Suspect struct {
	Replica version.Replica
	Pushed  uint64
}

// stateSuspects holds the changes that a restored database has to have confirmed by its parent, before anything else is exchanged with it.
const stateSuspects = "suspects"

// Suspects returns what Restored left to be confirmed, nil where nothing is.
func (e *Engine) Suspects(ctx context.Context) ([]Suspect, error) {
	text, err := e.store.State(ctx, stateSuspects)
	if err != nil || text == "" {
		return nil, err
	}
	var out []Suspect
	for _, line := range strings.Fields(text) {
		replica, seq, _ := strings.Cut(line, "@")
		n, err := strconv.ParseUint(seq, 10, 64)
		if err != nil {
			return nil, syncerr.New(syncerr.Internal, "read the state of the restore", "%q is no replica@sequence", line)
		}
		out = append(out, Suspect{version.Replica(replica), n})
	}
	return out, nil
}

func suspectsText(list []Suspect) string {
	var lines []string
	for _, s := range list {
		lines = append(lines, string(s.Replica)+"@"+strconv.FormatUint(s.Pushed, 10))
	}
	return strings.Join(lines, " ")
}

// Restored gives a database that was found to be an older copy of itself, before it was written to, a new replica and a new epoch,
// and audits why. Its versions stay: rows of the old replica are ordinary rows from now on (DESIGN.md 4.3). Ticks start anew
// under the new replica. suspect is nil, or what the parent has to confirm first: the copy is of a time when the database was itself an
// older copy, and nobody had found out yet.
func (e *Engine) Restored(ctx context.Context, why string, suspect *Suspect) error {
	suspects, err := e.Suspects(ctx)
	if err != nil {
		return err
	}
	if suspect != nil {
		suspects = append(suspects, *suspect)
	}
	old := e.store.Identity().Replica
	return e.store.Reincarnate(ctx, func(tx *store.Tx) error {
		if err := e.announce(tx, old, why, 0); err != nil {
			return err
		}
		return tx.SetState(stateSuspects, suspectsText(suspects))
	})
}

// Confirm asks a peer for its copies of versions; what it does not have is left out (resourcemanager.Client.Fetch).
type Confirm func(context.Context, []feed.Ref) ([]feed.Event, error)

// ConfirmRestored asks the parent for the changes that Restored left to be confirmed. It returns whether some were not, so that the
// database has a new replica and a new log now (as RestoredLate).
func (e *Engine) ConfirmRestored(ctx context.Context, confirm Confirm) (bool, error) {
	suspects, err := e.Suspects(ctx)
	if err != nil || suspects == nil {
		return false, err
	}
	own, sure, _, err := e.unconfirmed(ctx, suspects, confirm)
	if err != nil {
		return false, err
	}
	if len(own) == 0 {
		return false, e.store.Write(ctx, func(tx *store.Tx) error { return tx.SetState(stateSuspects, "") })
	}
	now := e.store.Identity().Replica
	return true, e.reincarnate(ctx, "its parent does not have what it wrote before the copy was made", "", suspects, sure, func(tx *store.Tx) ([]store.Row, error) {
		return withLater(tx, now, own)
	})
}

// withLater adds the rows that a replica wrote of the same keys: they have seen what gets a new name.
func withLater(tx *store.Tx, now version.Replica, own []store.Row) ([]store.Row, error) {
	keys := map[fhir.Key]bool{}
	for _, row := range own {
		keys[row.Key] = true
	}
	later, err := tx.OwnAbove(now, 0)
	if err != nil {
		return nil, err
	}
	for _, row := range later {
		if keys[row.Key] {
			own = append(own, row)
		}
	}
	slices.SortFunc(own, func(a, b store.Row) int { return cmp.Compare(a.Seq, b.Seq) })
	return own, nil
}

// RestoredLate does the same for a database that may have been written to before a peer's memory showed that it is an older copy. Its
// own changes above the sequence pushed may bear versions that it had given before; they are held against what the parent has.
// What the parent does not confirm by version and content is written again under the new replica, with the old one's entry of its
// vector cut to the last tick that was pushed, so that two contents never stand under one version. epoch is the one that the peer
// remembers: from now on it is known to be past.
func (e *Engine) RestoredLate(ctx context.Context, why, epoch string, pushed uint64, confirm Confirm) error {
	suspects, err := e.Suspects(ctx)
	if err != nil {
		return err
	}
	old := e.store.Identity().Replica
	suspects = append(suspects, Suspect{old, pushed})
	servers, err := e.serverReplicas(ctx)
	if err != nil {
		return err
	}
	for _, r := range servers { // their ticks were minted here
		suspects = append(suspects, Suspect{r, pushed})
	}
	own, sure, head, err := e.unconfirmed(ctx, suspects, confirm)
	if err != nil {
		return err
	}
	return e.reincarnate(ctx, why, epoch, suspects, sure, func(tx *store.Tx) ([]store.Row, error) {
		since, err := tx.OwnAbove(old, head) // what an application wrote while the peer was asked
		return slices.Concat(own, since), err
	})
}

func (e *Engine) serverReplicas(ctx context.Context) (out []version.Replica, err error) {
	err = e.store.Read(ctx, func(r *store.Reader) error {
		out, err = r.ServerReplicas()
		return err
	})
	return out, err
}

// unconfirmed returns the rows of the suspects that the peer does not have as the same write, in the order of the log, those that it has, and
// the head of the log up to which it was looked.
func (e *Engine) unconfirmed(ctx context.Context, suspects []Suspect, confirm Confirm) (own, sure []store.Row, head uint64, err error) {
	err = e.store.Read(ctx, func(r *store.Reader) error {
		for _, s := range suspects {
			rows, err := r.OwnAbove(s.Replica, s.Pushed)
			if err != nil {
				return err
			}
			own = append(own, rows...)
		}
		var err error
		head, err = r.Head()
		return err
	})
	if err != nil {
		return nil, nil, 0, err
	}
	slices.SortFunc(own, func(a, b store.Row) int { return cmp.Compare(a.Seq, b.Seq) })
	confirmed := map[feed.Ref]version.Stamp{}
	for part := range slices.Chunk(own, 100) {
		refs := make([]feed.Ref, len(part))
		for i, row := range part {
			refs[i] = feed.Ref{Key: row.Key, Version: row.Stamp.Version}
		}
		got, err := confirm(ctx, refs)
		if err != nil {
			return nil, nil, 0, err
		}
		for _, ev := range got {
			confirmed[feed.Ref{Key: ev.Key, Version: ev.Stamp.Version}] = ev.Stamp
		}
	}
	own = slices.DeleteFunc(own, func(row store.Row) bool {
		s, ok := confirmed[feed.Ref{Key: row.Key, Version: row.Stamp.Version}]
		if ok = ok && s.SameWrite(row.Stamp); ok {
			sure = append(sure, row)
		}
		return ok
	})
	return own, sure, head, nil
}

// announce tells the audit and `tributary status` that the database goes on under a new replica.
func (e *Engine) announce(tx *store.Tx, old version.Replica, why string, again int) error {
	tx.Audit(audit.Record{
		Operation: audit.Admin, Outcome: audit.Done, Action: "RESTORED", LocalURL: e.cfg.URL,
		Details: fmt.Sprintf("this database is an older copy: %s. It goes on as replica %s instead of %s; %d changes that nobody else has are written again; "+
			"parent and children are read and offered everything again", why, tx.Identity().Replica, old, again),
	})
	if err := tx.SetState(StateRestored, strconv.FormatInt(tx.Now(), 10)); err != nil {
		return err
	}
	return tx.SetState(StateRestoredWhy, why)
}

// reincarnate gives the database a new replica under which the rows are written again.
func (e *Engine) reincarnate(ctx context.Context, why, epoch string, suspects []Suspect, sure []store.Row, rows func(*store.Tx) ([]store.Row, error)) error {
	old := e.store.Identity().Replica
	return e.store.Reincarnate(ctx, func(tx *store.Tx) error {
		again, err := rows(tx)
		if err != nil {
			return err
		}
		if err := e.announce(tx, old, why, len(again)); err != nil {
			return err
		}
		if err := tx.PassEpoch(epoch); err != nil {
			return err
		}
		if err := tx.SetState(stateSuspects, ""); err != nil {
			return err
		}
		last := map[version.Replica]map[string]uint64{}
		for _, s := range suspects {
			if last[s.Replica], err = tx.LastTicks(s.Replica, s.Pushed); err != nil {
				return err
			}
			if err := tx.CutKnowledge(s.Replica, last[s.Replica]); err != nil {
				return err
			}
		}
		newest, err := relabel(tx, again, sure, last)
		if err != nil {
			return err
		}
		for _, s := range suspects {
			if err := tx.CutTicks(s.Replica); err != nil {
				return err
			}
		}
		return grow(tx, again, newest)
	})
}

// relabel writes rows again under the new replica, in their order, with the entries of the old replicas cut to their last sure ticks, which
// for a key are also those of its rows that were confirmed, and those that copies of others had seen which were written over here. It returns
// the newest name of each key.
func relabel(tx *store.Tx, again, sure []store.Row, last map[version.Replica]map[string]uint64) (map[fhir.Key]version.Version, error) {
	seen := map[fhir.Key]version.Vector{}
	pasts, err := pastsOf(tx, again, sure, last)
	if err != nil {
		return nil, err
	}
	newest := map[fhir.Key]version.Version{}
	for _, row := range again {
		v, err := tx.NextTick(row.Key.Type)
		if err != nil {
			return nil, err
		}
		tx.MadeThen(row.Key.Type, v, row.Committed)
		s := row.Stamp
		if s.Origin == s.Version {
			s.Origin, s.Author = v, v.Replica
		}
		s.Version = v
		for replica, ticks := range last {
			s.Vector = s.Vector.Cut(replica, ticks[row.Key.Type])
			if s.Origin.Replica == replica && s.Origin.Tick > ticks[row.Key.Type] {
				s.Origin, s.Author = v, v.Replica
			}
		}
		for _, before := range pasts[row.Key] {
			if before.seq < row.Seq && row.Stamp.Vector.Contains(before.version) {
				s.Vector = s.Vector.Union(before.vector)
			}
		}
		s.Vector = s.Vector.Union(seen[row.Key]).With(v)
		seen[row.Key], newest[row.Key] = s.Vector, v
		if err := tx.Relabel(row.Seq, row.Key, s); err != nil {
			return nil, err
		}
		if err := tx.RenameParked(row.Key, row.Stamp.Version, s); err != nil {
			return nil, err
		}
	}
	return newest, nil
}

// past is what a row of the log stands for whatever becomes of the own names beside it.
type past struct {
	seq     uint64
	version version.Version
	vector  version.Vector
}

// pastsOf returns the sure rows of the keys that are written again: own ones that were confirmed, which stand for themselves, and those of
// others, which stand for all that they had seen.
func pastsOf(tx *store.Tx, again, sure []store.Row, last map[version.Replica]map[string]uint64) (map[fhir.Key][]past, error) {
	out := map[fhir.Key][]past{}
	for _, row := range again {
		out[row.Key] = nil
	}
	for k := range out {
		rows, err := tx.RowsOf(k)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if _, ok := last[row.Stamp.Version.Replica]; !ok {
				out[k] = append(out[k], past{row.Seq, row.Stamp.Version, row.Stamp.Vector})
			}
		}
	}
	for _, row := range sure {
		if list, ok := out[row.Key]; ok {
			out[row.Key] = append(list, past{row.Seq, row.Stamp.Version, version.Vector{row.Stamp.Version}})
		}
	}
	return out, nil
}

// grow lets a copy that came later see what has a new name now.
func grow(tx *store.Tx, again []store.Row, newest map[fhir.Key]version.Version) error {
	for _, row := range again {
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
}
