// Package feedsync owns FeedSync 1.0.1 over Atom: items with their histories, the rules by which two copies of an item are merged and a conflict is
// resolved, and the documents. It is pure: bytes and values in, bytes and values out.
package feedsync

import (
	"cmp"
	"slices"
)

// Update is a line of an item's history (sx:history). At least one of When and By is set.
type Update struct {
	Sequence uint64
	When     int64  // milliseconds since 1970 UTC, in whole seconds; 0 where it is not said
	By       string // endpoint that made the update
}

// Item is a copy of something in a feed, with those that lost against it and were not resolved yet.
type Item struct {
	ID          string // of all copies of it, everywhere
	Updates     uint64
	Deleted     bool
	NoConflicts bool     // the winner alone is kept
	History     []Update // newest first
	Conflicts   []Item
	AtomID      string
	Title       string
	Updated     int64  // milliseconds since 1970 UTC
	Content     []byte // nil of a deleted item
}

// covers reports whether a line stands for all that another one does (3.3, subsumption).
func (u Update) covers(o Update) bool {
	if o.By != "" {
		return u.By == o.By && u.Sequence >= o.Sequence
	}
	return u.By == "" && u.When == o.When && u.Sequence == o.Sequence
}

func (x Item) top() Update {
	if len(x.History) == 0 {
		return Update{}
	}
	return x.History[0]
}

// SubsumedBy reports whether y has seen the newest update of x.
func (x Item) SubsumedBy(y Item) bool {
	return len(x.History) > 0 && slices.ContainsFunc(y.History, func(u Update) bool { return u.covers(x.top()) })
}

// beats reports whether x wins against y: more updates, then a later time, then the endpoint that collates higher; what says more beats what
// does not (3.3).
func (x Item) beats(y Item) bool {
	a, b := x.top(), y.top()
	return cmp.Or(cmp.Compare(x.Updates, y.Updates), cmp.Compare(a.When, b.When), cmp.Compare(a.By, b.By)) > 0
}

// versions returns an item and its conflicts, each without conflicts.
func (x Item) versions() []Item {
	out := slices.Clone(x.Conflicts)
	x.Conflicts = nil
	return append(out, x)
}

// Merge merges an incoming copy of an item into a local one, nil for none (3.3). Copies that another one has seen go; of the others one wins, the same
// on both sides, and the rest are its conflicts.
func Merge(local *Item, incoming Item) Item {
	if local == nil {
		return incoming
	}
	mine, theirs := local.versions(), incoming.versions()
	drop := func(from, by []Item) []Item {
		return slices.DeleteFunc(from, func(x Item) bool { return slices.ContainsFunc(by, x.SubsumedBy) })
	}
	mine = drop(mine, theirs)
	theirs = drop(theirs, mine)
	left := append(mine, theirs...)
	if len(left) == 0 { // nothing has a history
		return *local
	}
	best := 0
	for i := range left {
		if left[i].beats(left[best]) {
			best = i
		}
	}
	w := left[best]
	if !w.NoConflicts && len(left) > 1 {
		w.Conflicts = slices.Delete(slices.Clone(left), best, best+1)
		slices.SortFunc(w.Conflicts, func(a, b Item) int {
			if a.beats(b) {
				return -1
			}
			return 1
		})
	}
	return w
}

// Update returns the item after an endpoint changed it at a time in milliseconds since 1970 UTC (3.2).
func (x Item) Update(by string, when int64) Item {
	x.Updates++
	x.History = append([]Update{{Sequence: x.Updates, When: when / 1000 * 1000, By: by}}, x.History...)
	return x
}

// Resolve returns the item after an endpoint decided that it stands: it has seen what its conflicts had, so that they go everywhere (3.4).
func (x Item) Resolve(by string, when int64) Item {
	history := slices.Clone(x.History)
	for _, c := range x.Conflicts {
		for _, line := range c.History {
			if !slices.ContainsFunc(history, func(u Update) bool { return u.covers(line) }) {
				history = slices.Insert(history, min(1, len(history)), line)
			}
		}
	}
	x.History, x.Conflicts = history, nil
	return x.Update(by, when)
}
