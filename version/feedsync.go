package version

import (
	"slices"

	"github.com/tributary-sync/tributary/syncerr"
)

// Update is one line of a FeedSync history: the sequence-th update of an item, made by the endpoint By (FeedSync 1.0.1,
// sx:history). Sequences are inclusive.
type Update struct {
	By       Replica
	Sequence uint64
}

// FromFeedSync returns the vector of an item's history, which is in any order and may hold several updates by one endpoint. It returns
// an Invalid error for an update without a sequence, or by nobody that is known as a replica: such an item has to be given a
// version by the node that reads it.
func FromFeedSync(history []Update) (Vector, error) {
	top := make([]Version, 0, len(history))
	for _, u := range history {
		v := Version{Replica: u.By, Tick: u.Sequence}
		if !v.named() {
			return nil, syncerr.New(syncerr.Invalid, "read history", "update %d by %.80q names no version", u.Sequence, u.By)
		}
		top = append(top, v)
	}
	slices.SortFunc(top, func(a, b Version) int { return -byReplica(a, b) })
	top = slices.CompactFunc(top, func(a, b Version) bool { return a.Replica == b.Replica })
	slices.Reverse(top)
	return top, nil
}

// History returns a copy's version and vector as a FeedSync history: the version on top, since a reader asks whether the topmost
// update is subsumed, then the highest update of every other endpoint, later ones first.
func History(top Version, x Vector) []Update {
	rest := make([]Version, 0, len(x))
	for _, v := range x {
		if v != top {
			rest = append(rest, v)
		}
	}
	slices.SortFunc(rest, func(a, b Version) int { return b.Compare(a) })
	out := []Update{{top.Replica, top.Tick}}
	for _, v := range rest {
		out = append(out, Update{v.Replica, v.Tick})
	}
	return out
}
