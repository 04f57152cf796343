package version

import (
	"iter"
	"slices"
	"strings"
)

// both goes through two lists of exceptions key by key; the side that has none of a key gets an ended one.
func both(x, y []Exception) iter.Seq2[Exception, Exception] {
	return func(yield func(Exception, Exception) bool) {
		i, j := 0, 0
		for i < len(x) || j < len(y) {
			c := 1
			switch {
			case j == len(y):
				c = -1
			case i < len(x):
				c = strings.Compare(x[i].Key, y[j].Key)
			}
			var a, b Exception
			if c <= 0 {
				a = x[i]
				b.Key = a.Key
				i++
			}
			if c >= 0 {
				b = y[j]
				a.Key = b.Key
				j++
			}
			if !yield(a, b) {
				return
			}
		}
	}
}

// revised returns what stands for a key after it changed from old to e, in its shortest form and marked with the present
// revision if it means something else than before; false where nothing is to be kept.
func (k Knowledge) revised(old, e Exception) (Exception, bool) {
	if e.Limited && e.Only.Equal(k.vector.vector) {
		e.Limited = false
	}
	if !e.Limited {
		e.Only = nil
	}
	if e.same(old) {
		return old, !old.Ended() || old.Revision > 0
	}
	e.Revision = k.revision
	return e, !e.Ended() || e.Revision > 0
}

// put returns the knowledge with e in place of what stood for its key.
func (k Knowledge) put(e Exception) Knowledge {
	i, found := slices.BinarySearchFunc(k.exceptions, e.Key, byKey)
	var old Exception
	if found {
		old = k.exceptions[i]
	}
	e, keep := k.revised(old, e)
	if !found && !keep || found && keep && e.same(old) {
		return k
	}
	out := make([]Exception, 0, len(k.exceptions)+1)
	out = append(out, k.exceptions[:i]...)
	if keep {
		out = append(out, e)
	}
	if found {
		i++
	}
	k.exceptions = append(out, k.exceptions[i:]...)
	return k
}

// rise returns the knowledge with the vector raised to v. Within a pass an entry may rise only by exactly one (DESIGN.md
// 4.3): a larger step would claim versions that nobody has seen.
func (k Knowledge) rise(v Version) (Knowledge, bool) {
	if !v.named() {
		return k, false
	}
	switch seen := k.vector.vector.Tick(v.Replica); {
	case v.Tick <= seen:
		return k, true
	case v.Tick == seen+1:
		k.vector = k.vector.with(v, k.revision)
		return k, true
	}
	return k, false
}

// Learn returns the knowledge after the version of the key was taken: its replica's entry rises to it, by exactly one, and an
// exception for it ends. It returns the receiver and false where the entry would rise by more, or where the key is limited
// below: then nobody may say that the version is known, and the end of a complete pass will (Merge).
func (k Knowledge) Learn(key string, v Version) (Knowledge, bool) {
	out, ok := k.rise(v)
	if !ok {
		return k, false
	}
	e := k.at(key)
	if e.Limited && e.Only.Tick(v.Replica)+1 == v.Tick {
		e.Only = e.Only.With(v)
	}
	e.Lacks = lacking(e.Lacks, func(l Version) bool { return l != v })
	if out = out.put(e); !out.Contains(key, v) {
		return k, false
	}
	return out, true
}

// Except returns the knowledge after the version of the key was refused, parked, held or deferred: it has a fate, so its
// replica's entry rises to it if that is a step of one, but nobody can get it here, so it becomes an exception. Nothing
// changes for a version that no node can have minted.
func (k Knowledge) Except(key string, v Version) Knowledge {
	if !v.named() {
		return k
	}
	e := k.at(key)
	k, _ = k.rise(v)
	if i, found := slices.BinarySearchFunc(e.Lacks, v, byReplica); !found {
		e.Lacks = slices.Insert(slices.Clone(e.Lacks), i, v)
	}
	return k.put(e)
}

// Settle returns the knowledge after the key's copy has come to have seen x: an exception ends when, and only when, the key's
// vector contains its version (DESIGN.md 4.2, 4.3). A limited key comes to know what the copy has seen.
func (k Knowledge) Settle(key string, x Vector) Knowledge {
	e := k.at(key)
	if e.Ended() {
		return k
	}
	e.Lacks = lacking(e.Lacks, func(l Version) bool { return !x.Contains(l) })
	if e.Limited {
		e.Only = e.Only.Union(lower(x, k.vector.vector))
	}
	return k.put(e)
}

// lacking returns the versions that are kept, in a new slice if one is not.
func lacking(vs []Version, keep func(Version) bool) []Version {
	if i := slices.IndexFunc(vs, func(v Version) bool { return !keep(v) }); i < 0 {
		return vs
	}
	var out []Version
	for _, v := range vs {
		if keep(v) {
			out = append(out, v)
		}
	}
	return out
}

// lower returns what both have seen.
func lower(x, y Vector) Vector {
	var out Vector
	for _, v := range x {
		if v.Tick = min(v.Tick, y.Tick(v.Replica)); v.Tick > 0 {
			out = append(out, v)
		}
	}
	return out
}
