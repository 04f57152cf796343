package version

import (
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/syncerr"
)

// MaxExceptions bounds the keys with an exception, and the versions of one, in a knowledge read from outside.
const MaxExceptions = 1_000_000

// Rows is a knowledge taken apart, as a database or a text holds it.
type Rows struct {
	Entries    []Entry
	Forgotten  []Entry
	Exceptions []Exception
	Revision   uint64
	Floor      uint64 // up to here ended exceptions were pruned
}

// Rows returns the parts of the knowledge, ended exceptions among them, in order.
func (k Knowledge) Rows() Rows {
	return Rows{k.vector.entries(0), k.forgotten.entries(0), k.exceptions, k.revision, k.floor}
}

// FromRows builds a knowledge from rows in any order. Rows of exceptions with one key are taken together. It returns an Invalid
// error for a replica with two entries, a malformed replica, a tick outside 1 to MaxTick, a key that is limited twice, a row that says
// nothing, or one of a revision above the knowledge's own.
func FromRows(r Rows) (Knowledge, error) {
	r.Entries, r.Forgotten = ordered(r.Entries), ordered(r.Forgotten)
	rows := slices.Clone(r.Exceptions)
	slices.SortStableFunc(rows, func(a, b Exception) int { return strings.Compare(a.Key, b.Key) })
	r.Exceptions = nil
	for _, e := range rows {
		e.Lacks = slices.Clone(e.Lacks)
		slices.SortFunc(e.Lacks, byReplica)
		n := len(r.Exceptions)
		if n == 0 || r.Exceptions[n-1].Key != e.Key {
			r.Exceptions = append(r.Exceptions, e)
			continue
		}
		last := &r.Exceptions[n-1]
		if last.Limited && e.Limited {
			return Knowledge{}, syncerr.New(syncerr.Invalid, "read knowledge", "%.80q is limited twice", e.Key)
		}
		if e.Limited {
			last.Limited, last.Only = true, e.Only
		}
		last.Lacks = together(last.Lacks, e.Lacks)
		last.Revision = max(last.Revision, e.Revision)
	}
	return r.build()
}

func ordered(entries []Entry) []Entry {
	out := slices.Clone(entries)
	slices.SortFunc(out, func(a, b Entry) int { return byReplica(a.Version, b.Version) })
	return out
}

// build checks that rows are in order and returns their knowledge.
func (r Rows) build() (Knowledge, error) {
	if r.Floor > r.Revision {
		return Knowledge{}, syncerr.New(syncerr.Invalid, "read knowledge", "pruned up to revision %d, but it is of revision %d", r.Floor, r.Revision)
	}
	if err := validRows(r.Entries, r.Forgotten, r.Exceptions, r.Revision); err != nil {
		return Knowledge{}, err
	}
	return Knowledge{trackedOf(r.Entries), trackedOf(r.Forgotten), r.Exceptions, r.Revision, r.Floor}, nil
}

func (d Delta) validate() error {
	if d.From > d.To {
		return syncerr.New(syncerr.Invalid, "read knowledge", "the delta goes back from revision %d to %d", d.From, d.To)
	}
	return validRows(d.Entries, d.Forgotten, d.Exceptions, d.To)
}

func validRows(entries, forgotten []Entry, exceptions []Exception, revision uint64) error {
	bad := func(format string, args ...any) error {
		return syncerr.New(syncerr.Invalid, "read knowledge", format, args...)
	}
	for _, list := range [][]Entry{entries, forgotten} {
		if len(list) > MaxVector {
			return bad("%d entries, at most %d are allowed", len(list), MaxVector)
		}
		for i, e := range list {
			if !e.Version.named() {
				return bad("%.80q is no version", e.Version.String())
			}
			if i > 0 && list[i-1].Version.Replica >= e.Version.Replica {
				return bad("replica %s is out of order or doubled", e.Version.Replica)
			}
			if e.Revision > revision {
				return bad("replica %s is of revision %d, above %d", e.Version.Replica, e.Revision, revision)
			}
		}
	}
	if len(exceptions) > MaxExceptions {
		return bad("%d exceptions, at most %d are allowed", len(exceptions), MaxExceptions)
	}
	for i, e := range exceptions {
		if i > 0 && exceptions[i-1].Key >= e.Key {
			return bad("key %.80q is out of order or doubled", e.Key)
		}
		if err := e.validate(revision); err != nil {
			return err
		}
	}
	return nil
}

func (e Exception) validate(revision uint64) error {
	bad := func(format string, args ...any) error {
		return syncerr.New(syncerr.Invalid, "read knowledge", format, args...)
	}
	switch {
	case e.Revision > revision:
		return bad("key %.80q is of revision %d, above %d", e.Key, e.Revision, revision)
	case !e.Limited && len(e.Only) > 0:
		return bad("key %.80q has a vector without being limited to it", e.Key)
	case e.Ended() && e.Revision == 0:
		return bad("the exception of key %.80q says nothing", e.Key)
	case len(e.Lacks) > MaxExceptions:
		return bad("key %.80q lacks %d versions, at most %d are allowed", e.Key, len(e.Lacks), MaxExceptions)
	}
	for i, v := range e.Lacks {
		if !v.named() || i > 0 && byReplica(e.Lacks[i-1], v) >= 0 {
			return bad("version %.80q of key %.80q is malformed, out of order or doubled", v.String(), e.Key)
		}
	}
	return validVector(e.Only)
}

func validVector(x Vector) error {
	if len(x) > MaxVector {
		return syncerr.New(syncerr.Invalid, "read knowledge", "%d entries, at most %d are allowed", len(x), MaxVector)
	}
	for i, v := range x {
		if !v.named() || i > 0 && x[i-1].Replica >= v.Replica {
			return syncerr.New(syncerr.Invalid, "read knowledge", "%.80q in a vector is malformed, out of order or doubled", v.String())
		}
	}
	return nil
}

// named reports whether v can name a change.
func (v Version) named() bool { return v.Tick > 0 && v.Tick <= MaxTick && v.Replica.Valid() }
