package version

import "github.com/tributary-sync/tributary/syncerr"

// Delta is what changed in a node's knowledge after revision From, up to revision To: all of it for From 0. Entries, Forgotten
// and Exceptions are sorted by replica and key. It travels on the last page of a pass (DESIGN.md 4.3).
type Delta struct {
	Entries    []Entry
	Forgotten  []Entry
	Exceptions []Exception
	From, To   uint64
}

// At returns the knowledge whose further changes are marked with the revision. Take a new one for each transaction: a change
// marked with a revision at which a delta was already cut is in no later delta. A revision below the present one leaves it.
func (k Knowledge) At(revision uint64) Knowledge {
	k.revision = max(k.revision, revision)
	return k
}

// Since returns what changed after the revision; all of it for 0, and where Prune has dropped what a delta from there would have
// to say. A limited exception is in every delta: it does not rise with the vector, so whoever takes the vector needs it.
func (k Knowledge) Since(revision uint64) Delta {
	if revision < k.floor {
		revision = 0
	}
	d := Delta{Entries: k.vector.entries(revision), Forgotten: k.forgotten.entries(revision), From: revision, To: k.revision}
	for _, e := range k.exceptions {
		if revision == 0 && !e.Ended() || revision > 0 && (e.Revision > revision || e.Limited) {
			d.Exceptions = append(d.Exceptions, e)
		}
	}
	return d
}

// Prune returns the knowledge without the exceptions that ended at or before the revision. Prune what every reader has merged.
func (k Knowledge) Prune(revision uint64) Knowledge {
	revision = min(revision, k.revision)
	var kept []Exception
	for _, e := range k.exceptions {
		if !e.Ended() || e.Revision > revision {
			kept = append(kept, e)
		}
	}
	if len(kept) != len(k.exceptions) {
		k.exceptions, k.floor = kept, max(k.floor, revision)
	}
	return k
}

// Apply returns the mirror of a peer's knowledge, brought from the revision that it has to that of the delta. It returns an
// Invalid error for a delta that does not follow on the mirror, or that takes back what the peer had said before.
func (k Knowledge) Apply(d Delta) (Knowledge, error) {
	bad := func(format string, args ...any) (Knowledge, error) {
		return k, syncerr.New(syncerr.Invalid, "apply knowledge", format, args...)
	}
	if err := d.validate(); err != nil {
		return k, err
	}
	if d.From > k.revision || d.To < k.revision {
		return bad("the delta goes from revision %d to %d, the knowledge here is of revision %d", d.From, d.To, k.revision)
	}
	vector, forgotten := trackedOf(d.Entries), trackedOf(d.Forgotten)
	for _, v := range vector.vector {
		if had := k.vector.vector.Tick(v.Replica); had > v.Tick {
			return bad("replica %s goes back from tick %d to %d", v.Replica, had, v.Tick)
		}
	}
	if d.From == 0 && (!vector.vector.ContainsAll(k.vector.vector) || !forgotten.vector.ContainsAll(k.forgotten.vector)) {
		return bad("it leaves out replicas that the knowledge here has")
	}
	out := Knowledge{
		vector: k.vector.replace(d.Entries), forgotten: k.forgotten.replace(d.Forgotten),
		exceptions: d.Exceptions, revision: d.To, floor: d.To,
	}
	if d.From > 0 {
		out.floor, out.exceptions = k.floor, nil
		i := 0
		for mine, other := range both(k.exceptions, d.Exceptions) {
			if i < len(d.Exceptions) && d.Exceptions[i].Key == mine.Key {
				mine = other
				i++
			}
			out.exceptions = append(out.exceptions, mine)
		}
	}
	return out, nil
}

// Merge returns the knowledge at the end of a complete pass in which all that the delta speaks of was given a fate: entries rise
// to the delta's; its exceptions are taken over, except for versions that the own copy's vector contains. Own exceptions stay
// until Settle: that the peer knows a version does not bring it here. own returns the vector of the node's copy of a key,
// nil where it has none. What the peer has forgotten is taken over where it was not known before, since what was
// collected there then never was here (Microsoft Sync Framework: after recovery the destination learns both).
func (k Knowledge) Merge(d Delta, own func(key string) Vector) Knowledge {
	out := k
	out.vector = k.vector.union(trackedOf(d.Entries).vector, k.revision)
	for _, f := range d.Forgotten {
		if !k.vector.vector.Contains(f.Version) {
			out.forgotten = out.forgotten.with(f.Version, k.revision)
		}
	}
	out.exceptions = nil
	for mine, other := range both(k.exceptions, d.Exceptions) {
		e := mine
		if !other.Ended() {
			x := own(mine.Key)
			e.Lacks = lacking(together(mine.Lacks, other.Lacks), func(l Version) bool { return !x.Contains(l) })
			if other.Limited {
				e.Limited, e.Only = true, k.cover(mine).Union(other.Only)
			}
			if e.Limited {
				e.Only = e.Only.Union(lower(x, out.vector.vector))
			}
		}
		if e, keep := out.revised(mine, e); keep {
			out.exceptions = append(out.exceptions, e)
		}
	}
	return out
}
