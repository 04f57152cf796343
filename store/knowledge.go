package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// The counters of changes to what this node knows. The second counts those that did not come by the parent's word: only they are
// news for the parent.
const (
	counterRevision = "revision"
	counterUp       = "revision/up"
)

// revised returns the revision with which this writer marks what it changes in the knowledge (DESIGN.md 4.3, deltas).
func (tx *Tx) revised(up bool) (uint64, error) {
	if tx.revision == 0 {
		n, err := tx.counter(counterRevision)
		if err != nil {
			return 0, err
		}
		tx.revision = n + 1
		tx.raise(counterRevision, tx.revision)
	}
	if up {
		tx.raise(counterUp, tx.revision)
	}
	return tx.revision, nil
}

// Except notes that this node could not take a version of a key: nobody can get it here, although the knowledge comes to contain it.
// It does nothing for a version that no node can have minted, or a key that nothing can have.
func (tx *Tx) Except(k fhir.Key, v version.Version) error { return tx.except(k, v, true) }

// except is Except; up is false where the parent has told it.
func (tx *Tx) except(k fhir.Key, v version.Version, up bool) error {
	if k.Validate() != nil || !v.Replica.Valid() || v.Tick == 0 || v.Tick > version.MaxTick {
		return nil
	}
	var n int
	if ok, err := tx.one("SELECT 1 FROM knowledge_exception WHERE type = ? AND id = ? AND replica = ? AND tick = ?",
		[]any{k.Type, k.ID, string(v.Replica), v.Tick}, &n); err != nil || ok {
		return err
	}
	revision, err := tx.revised(up)
	if err != nil {
		return err
	}
	tx.t.anyExcepted = true
	return tx.exec("INSERT INTO knowledge_exception (type, id, replica, tick, revision) VALUES (?, ?, ?, ?, ?)", k.Type, k.ID, string(v.Replica), v.Tick, revision)
}

// Settle ends the exceptions of a key whose versions its vector contains: that, and nothing else, ends one.
func (tx *Tx) Settle(k fhir.Key, seen version.Vector) error {
	if !tx.t.anyExcepted {
		return nil
	}
	lacks, err := tx.exceptions("WHERE type = ? AND id = ?", k.Type, k.ID)
	if err != nil {
		return err
	}
	for _, l := range lacks[k.Type] {
		if !seen.Contains(l.Version) {
			continue
		}
		if err := tx.exec("DELETE FROM knowledge_exception WHERE type = ? AND id = ? AND replica = ? AND tick = ?",
			k.Type, k.ID, string(l.Version.Replica), l.Version.Tick); err != nil {
			return err
		}
		revision, err := tx.revised(false)
		if err != nil {
			return err
		}
		// Who was told that it is lacking is told that it is not any more.
		if err := tx.exec("UPDATE knowledge SET revision = ? WHERE type = ? AND replica = ?", revision, k.Type, string(l.Version.Replica)); err != nil {
			return err
		}
	}
	return nil
}

// Learn takes over what a peer told of its knowledge at the end of a complete pass: entries rise to the peer's, its exceptions are
// taken over except for versions that are known here, and what it forgot counts where it was not known before
// (version.Knowledge.Merge states the same rule for values). up means that the parent has not told it. CheckKnown has to have passed.
func (tx *Tx) Learn(parts []feed.Known, up bool) error {
	for _, p := range parts {
		if err := tx.learn(p, up); err != nil {
			return err
		}
	}
	return nil
}

type entry struct{ tick, up uint64 }

func (tx *Tx) learn(p feed.Known, up bool) error {
	var named []version.Replica
	for _, x := range []version.Vector{p.Vector, p.Forgotten} {
		for _, v := range x {
			named = append(named, v.Replica)
		}
	}
	for _, l := range p.Lacks {
		named = append(named, l.Version.Replica)
	}
	have, err := tx.entries(p.Type, named)
	if err != nil {
		return err
	}
	for _, l := range p.Lacks {
		if have[l.Version.Replica].tick >= l.Version.Tick {
			continue // it is known here, or excepted already
		}
		k := fhir.Key{Type: p.Type, ID: l.ID}
		cur, ok, err := tx.Current(k)
		if err != nil {
			return err
		}
		if ok && cur.Stamp.Vector.Contains(l.Version) {
			continue
		}
		if err := tx.except(k, l.Version, up); err != nil {
			return err
		}
	}
	for _, v := range p.Forgotten {
		if have[v.Replica].tick < v.Tick {
			if err := tx.forget(p.Type, v, up); err != nil {
				return err
			}
		}
	}
	var rows [][]any
	for _, v := range p.Vector {
		e := have[v.Replica]
		if e.tick >= v.Tick {
			continue
		}
		revision, err := tx.revised(up)
		if err != nil {
			return err
		}
		if up {
			e.up = revision
		}
		rows = append(rows, []any{p.Type, string(v.Replica), v.Tick, revision, e.up})
	}
	return tx.insert("REPLACE INTO knowledge (type, replica, tick, revision, up)", 5, rows)
}

// entries returns the entries of a type for some replicas.
func (q *query) entries(resourceType string, replicas []version.Replica) (map[version.Replica]entry, error) {
	out := map[version.Replica]entry{}
	slices.Sort(replicas)
	replicas = slices.Compact(replicas)
	const chunk = 50
	for len(replicas) > 0 {
		n := 1
		if len(replicas) >= chunk {
			n = chunk
		}
		args := []any{resourceType}
		for _, r := range replicas[:n] {
			args = append(args, string(r))
		}
		err := q.each("SELECT replica, tick, up FROM knowledge WHERE type = ? AND replica IN (?"+strings.Repeat(", ?", n-1)+")", args, func(rows *sql.Rows) error {
			var r string
			var e entry
			if err := rows.Scan(&r, &e.tick, &e.up); err != nil {
				return err
			}
			out[version.Replica(r)] = e
			return nil
		})
		if err != nil {
			return nil, err
		}
		replicas = replicas[n:]
	}
	return out, nil
}

// Forget notes that tombstones up to a version may have been collected here.
func (tx *Tx) Forget(resourceType string, v version.Version) error {
	return tx.forget(resourceType, v, true)
}

// forget is Forget; up is false where the parent has told it.
func (tx *Tx) forget(resourceType string, v version.Version, up bool) error {
	var have uint64
	if _, err := tx.one("SELECT tick FROM knowledge_forgotten WHERE type = ? AND replica = ?", []any{resourceType, string(v.Replica)}, &have); err != nil || have >= v.Tick {
		return err
	}
	revision, err := tx.revised(up)
	if err != nil {
		return err
	}
	tx.t.anyForgotten = true
	return tx.exec("REPLACE INTO knowledge_forgotten (type, replica, tick, revision) VALUES (?, ?, ?, ?)", resourceType, string(v.Replica), v.Tick, revision)
}

// Forgot reports whether an incoming version of a key that is not here is superseded: it is known, not excepted, and forgotten, so
// its deletion was collected here (DESIGN.md 4.3, forgetting).
func (tx *Tx) Forgot(k fhir.Key, v version.Version) (bool, error) {
	if !tx.t.anyForgotten {
		return false, nil
	}
	var tick uint64
	if ok, err := tx.one("SELECT tick FROM knowledge_forgotten WHERE type = ? AND replica = ?", []any{k.Type, string(v.Replica)}, &tick); err != nil || !ok || tick < v.Tick {
		return false, err
	}
	have, err := tx.entries(k.Type, []version.Replica{v.Replica})
	if err != nil || have[v.Replica].tick < v.Tick {
		return false, err
	}
	lacks, err := tx.exceptions("WHERE type = ? AND id = ?", k.Type, k.ID)
	return len(lacks[k.Type]) == 0, err
}

// CutKnowledge lowers the entry of a replica to the tick that stands in ticks for the type, everywhere: above it versions may stand that
// two contents bear. Only a database that begins a new epoch may do so.
func (tx *Tx) CutKnowledge(replica version.Replica, ticks map[string]uint64) error {
	var types []string
	if err := tx.each("SELECT type FROM knowledge WHERE replica = ?", []any{string(replica)}, func(rows *sql.Rows) error {
		var t string
		err := rows.Scan(&t)
		types = append(types, t)
		return err
	}); err != nil {
		return err
	}
	for _, t := range types {
		if err := tx.exec("UPDATE knowledge SET tick = ? WHERE type = ? AND replica = ? AND tick > ?", ticks[t], t, string(replica), ticks[t]); err != nil {
			return err
		}
	}
	if err := tx.exec("DELETE FROM knowledge WHERE replica = ? AND tick = 0", string(replica)); err != nil {
		return err
	}
	return tx.exec("UPDATE sync_cursor SET revision = 0 WHERE direction = 'pull'") // the next complete pass is told everything again
}

// exceptions returns the rows that a condition selects, by type and in the order of their keys.
func (q *query) exceptions(where string, args ...any) (map[string][]feed.Lack, error) {
	out := map[string][]feed.Lack{}
	err := q.each("SELECT type, id, replica, tick FROM knowledge_exception "+where+" ORDER BY type, id, replica, tick", args, func(rows *sql.Rows) error {
		var t, id, replica string
		var tick uint64
		if err := rows.Scan(&t, &id, &replica, &tick); err != nil {
			return err
		}
		out[t] = append(out[t], feed.Lack{ID: id, Version: version.Version{Replica: version.Replica(replica), Tick: tick}})
		return nil
	})
	return out, err
}

// vectors returns the rows of a table of ticks that a condition selects, as vectors by type.
func (q *query) vectors(table, where string, args ...any) (map[string]version.Vector, error) {
	out := map[string]version.Vector{}
	err := q.each("SELECT type, replica, tick FROM "+table+" "+where+" ORDER BY type, replica", args, func(rows *sql.Rows) error {
		var t, replica string
		var tick uint64
		if err := rows.Scan(&t, &replica, &tick); err != nil {
			return err
		}
		out[t] = append(out[t], version.Version{Replica: version.Replica(replica), Tick: tick})
		return nil
	})
	return out, err
}

// Knowledge returns what this node knows of types, nil for all, in their order; an exception tells what its own copy has seen.
func (r *Reader) Knowledge(types []string) ([]feed.Known, error) {
	out, err := r.knowledge(types, "WHERE 1 = 1", "WHERE 1 = 1")
	if err != nil {
		return nil, err
	}
	for i := range out {
		lacks := out[i].Lacks
		keys := make([]fhir.Key, len(lacks))
		for j, l := range lacks {
			keys[j] = fhir.Key{Type: out[i].Type, ID: l.ID}
		}
		slices.SortFunc(keys, func(a, b fhir.Key) int { return strings.Compare(a.ID, b.ID) })
		seen := map[string]version.Vector{}
		if err := r.currents(slices.Compact(keys), func(k fhir.Key, c Current) { seen[k.ID] = c.Stamp.Vector }); err != nil {
			return nil, err
		}
		for j := range lacks {
			lacks[j].Seen = seen[lacks[j].ID]
		}
	}
	return out, nil
}

// KnowledgeSince returns what changed in this node's knowledge after a revision, and its revision now. up leaves out what rose by the
// parent's word alone: the parent need not be told.
func (r *Reader) KnowledgeSince(types []string, revision uint64, up bool) ([]feed.Known, uint64, error) {
	entries := "WHERE revision > ?"
	if up && revision > 0 {
		entries = "WHERE up > ?"
	}
	parts, err := r.knowledge(types, entries, "WHERE revision > ?", revision)
	if err != nil {
		return nil, 0, err
	}
	var now uint64
	_, err = r.one("SELECT value FROM counter WHERE name = ?", []any{counterRevision}, &now)
	return parts, now, err
}

func (r *Reader) knowledge(types []string, entries, rest string, args ...any) ([]feed.Known, error) {
	vectors, err := r.vectors("knowledge", entries, args...)
	if err != nil {
		return nil, err
	}
	forgotten, err := r.vectors("knowledge_forgotten", rest, args...)
	if err != nil {
		return nil, err
	}
	lacks, err := r.exceptions(rest, args...)
	if err != nil {
		return nil, err
	}
	all := feed.Knowledge{}
	wanted := fhir.Selection(types)
	part := func(t string, set func(*feed.Known)) {
		if !wanted(t) {
			return
		}
		k := all[t]
		k.Type = t
		set(&k)
		all[t] = k
	}
	for t, v := range vectors {
		part(t, func(k *feed.Known) { k.Vector = v })
	}
	for t, v := range forgotten {
		part(t, func(k *feed.Known) { k.Forgotten = v })
	}
	for t, l := range lacks {
		part(t, func(k *feed.Known) { k.Lacks = l })
	}
	return all.Parts(), nil
}

// Knowledge returns what this node knows of types, nil for all, in their order.
func (s *Store) Knowledge(ctx context.Context, types []string) ([]feed.Known, error) {
	var out []feed.Known
	err := s.Read(ctx, func(r *Reader) error {
		var err error
		out, err = r.Knowledge(types)
		return err
	})
	return out, err
}

// UpRevision returns the revision of the newest change in the knowledge that the parent has not told.
func (s *Store) UpRevision(ctx context.Context) (uint64, error) {
	d := s.direct(ctx)
	var n uint64
	_, err := d.one("SELECT value FROM counter WHERE name = ?", []any{counterUp}, &n)
	return n, s.dialect.wrap("read revision", err)
}

// Gave returns the last tick of a resource type that an own replica gave, 0 where it gave none. What the running transaction gives does not
// count: nobody can have seen it.
func (q *query) Gave(own version.Replica, resourceType string) (uint64, error) {
	var n uint64
	_, err := q.one("SELECT value FROM tick WHERE replica = ? AND type = ?", []any{string(own), resourceType}, &n)
	return n, err
}

// CheckKnown returns an Invalid error where a peer tells of what cannot be: knowledge of an unknown type, or ticks of this node's own
// replica above those that it gave. For the latter ahead is true: this database may be an older copy of itself.
func (s *Store) CheckKnown(ctx context.Context, parts []feed.Known) (ahead bool, err error) {
	own := s.Identity().Replica
	d := s.direct(ctx)
	for _, p := range parts {
		if err := p.Check(); err != nil {
			return false, err
		}
		claimed := max(p.Vector.Tick(own), p.Forgotten.Tick(own))
		if claimed == 0 {
			continue
		}
		gave, err := d.Gave(own, p.Type)
		if err != nil {
			return false, s.dialect.wrap("read ticks", err)
		}
		if claimed > gave {
			return true, syncerr.New(syncerr.Invalid, "learn", "it claims to know change %d of this node's own to %s, and this node has made %d", claimed, p.Type, gave).
				WithHint("If the whole machine was put back to an earlier state, delete the file .<data>.nonce beside the data folder and start the node again: it takes a new identity")
		}
	}
	return false, nil
}
