package version

import (
	"slices"
	"strings"
)

// Knowledge says which versions a node has given a fate, of all keys of one type and filter (DESIGN.md 4.3): a vector that
// holds for every key, exceptions for single keys, and what was forgotten. The zero value knows nothing. Knowledge is a value:
// no method changes its receiver, and what the accessors return must not be written to.
//
// Its meaning is a set of (key, version): for a key without exception all versions that the vector contains, otherwise those that
// the exception leaves. Union, Project, Exclude, ContainsKnowledge and Equal are exact on that set. Two different forms may
// mean the same set, so compare with Equal only (Microsoft Sync Framework, "Understanding Synchronization Knowledge").
type Knowledge struct {
	vector     tracked
	forgotten  tracked
	exceptions []Exception
	revision   uint64
	floor      uint64
}

// Entry is one replica's part of a vector, with the revision at which it last rose; 0 where nobody counts revisions.
type Entry struct {
	Version  Version
	Revision uint64
}

// Exception is what holds for one key apart from the vector. A key is opaque text, "Type/id" to the rest of the program.
type Exception struct {
	Key string
	// Lacks are the versions of the key that are not known, sorted by replica and tick. One that the vector does not reach yet
	// takes effect when it does: a version may be refused in a pass long before the pass raises the vector.
	Lacks []Version
	// Limited means that Only holds for this key in place of the vector. It does not rise with the vector.
	Limited bool
	Only    Vector
	// Revision is when the exception last changed. One that ended (neither Lacks nor Limited) stays until Prune, so that a delta
	// can tell of its end; nothing of the kind is kept where nobody counts revisions.
	Revision uint64
}

// Ended reports whether the exception says nothing any more.
func (e Exception) Ended() bool { return len(e.Lacks) == 0 && !e.Limited }

func (e Exception) same(o Exception) bool {
	return e.Limited == o.Limited && e.Only.Equal(o.Only) && slices.Equal(e.Lacks, o.Lacks)
}

func (e Exception) lacks(v Version) bool {
	_, found := slices.BinarySearchFunc(e.Lacks, v, byReplica)
	return found
}

// byReplica orders the versions of an exception; Version.Compare orders by tick first.
func byReplica(a, b Version) int {
	if c := strings.Compare(string(a.Replica), string(b.Replica)); c != 0 {
		return c
	}
	return a.Compare(b)
}

// Vector returns what holds for every key that has no exception.
func (k Knowledge) Vector() Vector { return k.vector.vector }

// Entries returns the vector with revisions.
func (k Knowledge) Entries() []Entry { return k.vector.entries(0) }

// Forgotten returns up to where tombstones and old contents may have been collected (Forget).
func (k Knowledge) Forgotten() Vector { return k.forgotten.vector }

// Exceptions returns the exceptions that stand, sorted by key.
func (k Knowledge) Exceptions() []Exception {
	var out []Exception
	for _, e := range k.exceptions {
		if !e.Ended() {
			out = append(out, e)
		}
	}
	return out
}

// Exception returns what stands for the key, and whether anything does.
func (k Knowledge) Exception(key string) (Exception, bool) {
	e := k.at(key)
	return e, !e.Ended()
}

// Revision returns the revision with which changes are marked (At).
func (k Knowledge) Revision() uint64 { return k.revision }

func byKey(e Exception, key string) int { return strings.Compare(e.Key, key) }

func (k Knowledge) at(key string) Exception {
	if i, ok := slices.BinarySearchFunc(k.exceptions, key, byKey); ok {
		return k.exceptions[i]
	}
	return Exception{Key: key}
}

// cover is the vector that holds for the key of e.
func (k Knowledge) cover(e Exception) Vector {
	if e.Limited {
		return e.Only
	}
	return k.vector.vector
}

func (k Knowledge) knows(e Exception, v Version) bool { return k.cover(e).Contains(v) && !e.lacks(v) }

// Contains reports whether the version of the key is known. The zero version is always known.
func (k Knowledge) Contains(key string, v Version) bool {
	if len(k.exceptions) == 0 {
		return k.vector.vector.Contains(v)
	}
	return k.knows(k.at(key), v)
}

// Wants reports whether a catch-up has to send the version to the node that has this knowledge and whose copy of the key has
// seen own: an excepted key is compared by its copy's vector, every other one by the knowledge (DESIGN.md 4.3).
func (k Knowledge) Wants(key string, v Version, own Vector) bool {
	if e := k.at(key); !e.Ended() {
		return !own.Contains(v)
	}
	return !k.vector.vector.Contains(v)
}

// ContainsKnowledge reports whether all that o knows of any key is known. What was forgotten plays no part.
func (k Knowledge) ContainsKnowledge(o Knowledge) bool {
	if !k.vector.vector.ContainsAll(o.vector.vector) {
		return false
	}
	for mine, other := range both(k.exceptions, o.exceptions) {
		if !k.containsKey(mine, o, other) {
			return false
		}
	}
	return true
}

// containsKey compares one key: both sides know all ticks up to a bound but for finitely many, so what o knows beyond k's
// bound is nothing exactly when o lacks as many versions there as there are.
func (k Knowledge) containsKey(mine Exception, o Knowledge, other Exception) bool {
	kc, oc := k.cover(mine), o.cover(other)
	if mine.Limited || other.Limited {
		for _, v := range oc {
			bound := kc.Tick(v.Replica)
			if v.Tick <= bound {
				continue
			}
			lacking := uint64(0)
			for _, l := range other.Lacks {
				if l.Replica == v.Replica && l.Tick > bound && l.Tick <= v.Tick {
					lacking++
				}
			}
			if lacking != v.Tick-bound {
				return false
			}
		}
	}
	for _, l := range mine.Lacks {
		if o.knows(other, l) {
			return false
		}
	}
	return true
}

// Equal reports whether both know the same versions of every key.
func (k Knowledge) Equal(o Knowledge) bool { return k.ContainsKnowledge(o) && o.ContainsKnowledge(k) }
