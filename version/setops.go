package version

import "slices"

// Union returns what either knows, key by key. It is associative, commutative and idempotent. What rises or changes is marked
// with the receiver's revision. It is the step of a Microsoft Sync Framework session; a Tributary pass ends with Merge.
func (k Knowledge) Union(o Knowledge) Knowledge {
	out := k
	out.vector = k.vector.union(o.vector.vector, k.revision)
	out.forgotten = k.forgotten.union(o.forgotten.vector, k.revision)
	out.exceptions = nil
	for mine, other := range both(k.exceptions, o.exceptions) {
		e := Exception{Key: mine.Key}
		if mine.Limited || other.Limited {
			e.Limited, e.Only = true, k.cover(mine).Union(o.cover(other))
		}
		e.Lacks = together(
			lacking(mine.Lacks, func(l Version) bool { return !o.knows(other, l) }),
			lacking(other.Lacks, func(l Version) bool { return !k.knows(mine, l) }))
		if e, keep := out.revised(mine, e); keep {
			out.exceptions = append(out.exceptions, e)
		}
	}
	return out
}

// together merges two sorted lists.
func together(x, y []Version) []Version {
	if len(y) == 0 {
		return x
	}
	if len(x) == 0 {
		return y
	}
	out := slices.Concat(x, y)
	slices.SortFunc(out, byReplica)
	return slices.Compact(out)
}

// Project returns what is known of the keys, and nothing of all others: what a batch with these items teaches. What was
// forgotten is not said of single keys, so it is left out.
func (k Knowledge) Project(keys ...string) Knowledge {
	out := Knowledge{revision: k.revision, floor: k.revision}
	for _, key := range sorted(keys) {
		e := k.at(key)
		e.Limited, e.Only = true, k.cover(e)
		if e.Only.Equal(nil) {
			e.Limited, e.Only = false, nil
		}
		if !e.Ended() {
			out.exceptions = append(out.exceptions, e)
		}
	}
	return out
}

// Exclude returns what is known of all keys but these: the knowledge of a batch without its failed items.
func (k Knowledge) Exclude(keys ...string) Knowledge {
	var none []Exception
	for _, key := range sorted(keys) {
		none = append(none, Exception{Key: key, Limited: true})
	}
	out := k
	out.exceptions = nil
	for old, e := range both(k.exceptions, none) {
		if !e.Limited {
			e = old
		}
		if e, keep := k.revised(old, e); keep {
			out.exceptions = append(out.exceptions, e)
		}
	}
	return out
}

func sorted(keys []string) []string {
	keys = slices.Clone(keys)
	slices.Sort(keys)
	return slices.Compact(keys)
}
