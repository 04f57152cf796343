package version

import (
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/syncerr"
)

// DigestEntry is one endpoint's part of a digest. Tick is exclusive: the first that is not known, at least 1. Stamp is when it last
// changed, in milliseconds since 1970 UTC. Priority is the conflictPriority, 1 to 9 and 1 the strongest; 0 means none.
type DigestEntry struct {
	Replica  Replica
	Tick     uint64
	Stamp    int64
	Priority int
}

// Digest is SData's form of knowledge (SData synchronization 1.1, sections 2.2 and 4.2), sorted by replica. Digests are values.
type Digest []DigestEntry

// Mode is how the entries of a feed came about (SData synchronization 1.1, syncMode).
type Mode string

// The modes.
const (
	CatchUp   Mode = "catchUp"   // asked for by a digest: at its end all of the source's digest is known
	Immediate Mode = "immediate" // pushed unasked: only what it carries is known
)

// Range is the ticks of a replica from From up to, but without, To.
type Range struct {
	Replica  Replica
	From, To uint64
}

// FromSData builds the knowledge of a digest in any order: its ticks are exclusive, so a tick of 1 is nothing. 0 is read as 1, since the
// specification takes a missing entry for 0. It returns an Invalid error for a malformed or doubled replica and for ticks out of range.
func FromSData(d Digest) (Knowledge, error) {
	seen := make(map[Replica]bool, len(d))
	r := Rows{Entries: make([]Entry, 0, len(d))}
	for _, e := range d {
		if !e.Replica.Valid() || seen[e.Replica] || e.Tick > MaxTick+1 {
			return Knowledge{}, syncerr.New(syncerr.Invalid, "read digest", "%.80q is no replica, is doubled, or its tick %d is too high", e.Replica, e.Tick)
		}
		seen[e.Replica] = true
		if e.Tick > 1 {
			r.Entries = append(r.Entries, Entry{Version: Version{e.Replica, e.Tick - 1}})
		}
	}
	return FromRows(r)
}

// ToSData returns the digest, without stamps and priorities. A digest has no exceptions, so where one exists the replica's tick is
// lowered to the first that is excepted for any key: a peer sends more than it had to, and as a source this node withholds
// what comes after, or the peer would step over the hole for ever.
func (k Knowledge) ToSData() Digest {
	out := make(Digest, len(k.vector.vector))
	for i, v := range k.vector.vector {
		out[i] = DigestEntry{Replica: v.Replica, Tick: v.Tick + 1}
	}
	for _, e := range k.exceptions {
		if e.Limited {
			for i := range out {
				out[i].Tick = min(out[i].Tick, e.Only.Tick(out[i].Replica)+1)
			}
		}
		for _, l := range e.Lacks {
			if i, ok := out.find(l.Replica); ok {
				out[i].Tick = min(out[i].Tick, l.Tick)
			}
		}
	}
	return out
}

func (d Digest) find(r Replica) (int, bool) {
	return slices.BinarySearchFunc(d, r, func(e DigestEntry, r Replica) int { return strings.Compare(string(e.Replica), string(r)) })
}

// Tick returns the first tick of r that is not known, 1 for a replica that is not in the digest.
func (d Digest) Tick(r Replica) uint64 {
	if i, ok := d.find(r); ok {
		return max(d[i].Tick, 1)
	}
	return 1
}

// Contains reports whether the version is known: strictly below the tick (SData synchronization 1.1, 2.6, erratum of 2014).
func (d Digest) Contains(v Version) bool { return d.Tick(v.Replica) > v.Tick }

// Select returns the ranges of changes that a source with digest d sends to a target (SData synchronization 1.1, 2.5).
func (d Digest) Select(target Digest) []Range {
	var out []Range
	for _, e := range d {
		if from := target.Tick(e.Replica); e.Tick > from {
			out = append(out, Range{e.Replica, from, e.Tick})
		}
	}
	return out
}

// After returns the digest after an entry was processed (SData synchronization 1.1, 5.5). The stamp and priority stay.
func (d Digest) After(v Version) Digest {
	if d.Contains(v) {
		return d
	}
	i, ok := d.find(v.Replica)
	out := slices.Clone(d)
	if !ok {
		out = slices.Insert(out, i, DigestEntry{Replica: v.Replica})
	}
	out[i].Tick = v.Tick + 1
	return out
}

// EndOfFeed returns the digest after the last page of a feed with the source's digest: what either knows in a catch-up, no
// more than before in immediate mode (SData synchronization 1.1, 5.5 and 5.8). An interrupted pass must not come here.
func (d Digest) EndOfFeed(source Digest, mode Mode) Digest {
	if mode != CatchUp {
		return d
	}
	out := slices.Clone(d)
	for _, e := range source {
		if i, ok := d.find(e.Replica); ok {
			out[i].Tick = max(out[i].Tick, e.Tick)
		} else if e.Tick > 1 {
			out = append(out, DigestEntry{Replica: e.Replica, Tick: e.Tick})
		}
	}
	slices.SortFunc(out, func(a, b DigestEntry) int { return strings.Compare(string(a.Replica), string(b.Replica)) })
	return out
}

// Judge decides about an incoming version and the one held at the target, zero for none, from the digests of both sides (SData
// synchronization 1.1, 5.4): the same verdict as Detect gives for knowledge.
func (d Digest) Judge(source Digest, incoming, held Version) Verdict {
	switch {
	case held.IsZero():
		return VerdictApply
	case incoming.Replica == held.Replica:
		if incoming.Tick > held.Tick {
			return VerdictApply
		}
		return VerdictIgnore
	case source.Contains(held):
		return VerdictApply
	case d.Contains(incoming):
		return VerdictIgnore
	}
	return VerdictConflict
}
