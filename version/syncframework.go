package version

// Microsoft Sync Framework: knowledge with inclusive ticks, as a vector for the scope and vectors for single items.

// FromSyncFramework builds the knowledge of a scope vector and of the items that have a vector of their own. It returns an
// Invalid error for a malformed vector.
func FromSyncFramework(scope Vector, items map[string]Vector) (Knowledge, error) {
	r := Rows{Entries: make([]Entry, 0, len(scope))}
	if err := validVector(scope); err != nil {
		return Knowledge{}, err
	}
	for _, v := range scope {
		r.Entries = append(r.Entries, Entry{Version: v})
	}
	for key, x := range items {
		if !x.Equal(scope) {
			r.Exceptions = append(r.Exceptions, Exception{Key: key, Limited: true, Only: x})
		}
	}
	return FromRows(r)
}

// ToSyncFramework returns the scope vector and the items' own vectors. Such a vector cannot say that a tick is missing below another
// one that is known, so an item with an exception claims only what lies below its first excepted tick of each replica: the
// peer sends more than it had to, and nothing is lost.
func (k Knowledge) ToSyncFramework() (scope Vector, items map[string]Vector) {
	items = map[string]Vector{}
	for _, e := range k.exceptions {
		whole := k.cover(e)
		x := whole
		for i := len(e.Lacks) - 1; i >= 0; i-- {
			x = below(x, e.Lacks[i])
		}
		if !x.Equal(k.vector.vector) {
			items[e.Key] = x
		}
	}
	return k.vector.vector, items
}

// below returns the vector that has not seen v, nor what came after it from its replica.
func below(x Vector, v Version) Vector {
	i, ok := x.find(v.Replica)
	if !ok || x[i].Tick < v.Tick {
		return x
	}
	out := make(Vector, 0, len(x))
	out = append(out, x[:i]...)
	if v.Tick > 1 {
		out = append(out, Version{v.Replica, v.Tick - 1})
	}
	return append(out, x[i+1:]...)
}

// Verdict is what a destination does with an incoming version.
type Verdict string

// The verdicts.
const (
	VerdictApply    Verdict = "apply"    // the sender had seen what is held here, or nothing is
	VerdictIgnore   Verdict = "ignore"   // it is known here already
	VerdictConflict Verdict = "conflict" // neither has seen the other
)

// Detect is the Microsoft Sync Framework's decision about one change: the destination's knowledge, what the source knew when it
// sent the change (made-with knowledge), and the versions of both; held is zero where the destination has no such item.
func Detect(destination, madeWith Knowledge, key string, incoming, held Version) Verdict {
	switch {
	case destination.Contains(key, incoming):
		return VerdictIgnore
	case held.IsZero() || madeWith.Contains(key, held):
		return VerdictApply
	}
	return VerdictConflict
}
