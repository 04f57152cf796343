package store

import (
	"maps"
	"strings"
)

// The counters that every change raises: the last sequence, the last time of a commit, and after counterOrdinal the last place in the feed of a type.
const (
	counterSequence  = "sequence"
	counterCommitted = "committed"
	counterOrdinal   = "ordinal/"
)

// keptCounters are counters and ticks as the last transaction of this process left them. Whoever changes one of these counters raises the sequence or the
// revision with it, and whoever gives a tick raises the revision: so they hold as long as those two stand.
type keptCounters struct {
	sequence, revision uint64
	counters           map[string]uint64
	ticks              map[minting]uint64
}

// at returns what was kept, nil where it does not hold any more.
func (k *keptCounters) at(sequence, revision uint64) *keptCounters {
	if k == nil || k.sequence != sequence || k.revision != revision {
		return nil
	}
	return k
}

func (k *keptCounters) counter(name string) (uint64, bool) {
	if k == nil {
		return 0, false
	}
	v, ok := k.counters[name]
	return v, ok
}

func (k *keptCounters) tick(m minting) (uint64, bool) {
	if k == nil {
		return 0, false
	}
	v, ok := k.ticks[m]
	return v, ok
}

// keep remembers the counters of a transaction that has committed.
func (t *transaction) keep() {
	sequence, known := t.counters[counterSequence]
	revision, also := t.counters[counterRevision]
	if !known || !also { // a writer was undone after the last change
		t.store.kept = nil
		return
	}
	k := t.kept
	if k == nil {
		k = &keptCounters{counters: map[string]uint64{}, ticks: map[minting]uint64{}}
	}
	for name, v := range t.counters {
		if name == counterCommitted || name == counterUp || strings.HasPrefix(name, counterOrdinal) {
			k.counters[name] = v
		}
	}
	maps.Copy(k.ticks, t.ticks)
	k.sequence, k.revision = sequence, revision
	t.store.kept = k
}
