package engine

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// waiting knows which parked copies wait for which resources. It is a memory of what sync_parked holds: an entry that is past is found out
// when the copy is tried, and one that is missing costs no more than the time until the copy is due.
type waiting struct {
	mu     sync.Mutex
	loaded bool
	late   map[fhir.Key]bool              // those for which all had come when they were read
	at     uint64                         // head of the log when it was looked at last whether something came
	of     map[fhir.Key]waiter            // by the parked copy
	by     map[fhir.Key]map[fhir.Key]bool // the parked copies that wait for a resource
	units  map[string]map[fhir.Key]bool   // the parked copies of a transaction
}

// waiter is a parked copy.
type waiter struct {
	unit    string
	missing []fhir.Key // none where another member of its unit waits
}

func (w *waiting) add(k fhir.Key, is waiter) {
	w.remove(k)
	w.of[k] = is
	for _, m := range is.missing {
		if w.by[m] == nil {
			w.by[m] = map[fhir.Key]bool{}
		}
		w.by[m][k] = true
	}
	if is.unit != "" {
		if w.units[is.unit] == nil {
			w.units[is.unit] = map[fhir.Key]bool{}
		}
		w.units[is.unit][k] = true
	}
}

func (w *waiting) remove(k fhir.Key) {
	is, ok := w.of[k]
	if !ok {
		return
	}
	delete(w.of, k)
	for _, m := range is.missing {
		if delete(w.by[m], k); len(w.by[m]) == 0 {
			delete(w.by, m)
		}
	}
	if delete(w.units[is.unit], k); len(w.units[is.unit]) == 0 {
		delete(w.units, is.unit)
	}
}

// maxReleased is how many parked copies are taken in one transaction, about: what refers to each other is not parted.
const maxReleased = 200

// arrived notes that keys have come. It returns the parked copies that waited for one of them and may be taken now: what else they wait for
// is parked as well, so that they may be waiting for each other.
func (w *waiting) arrived(keys []fhir.Key) []fhir.Key {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[fhir.Key]bool{}
	for _, k := range keys {
		for waits := range w.by[k] {
			is := w.of[waits]
			is.missing = slices.DeleteFunc(slices.Clone(is.missing), func(m fhir.Key) bool { return m == k })
			w.of[waits] = is
			if w.may(waits) {
				out[waits] = true
			}
		}
		delete(w.by, k)
	}
	return sortedKeys(out)
}

// lose makes that what is parked is read again: it is not known any more what has come.
func (w *waiting) lose() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loaded, w.at = false, 0
}

// may reports whether nothing that a parked copy and its unit wait for is neither here nor parked.
func (w *waiting) may(k fhir.Key) bool {
	absent := func(m fhir.Key) bool { _, parked := w.of[m]; return !parked }
	for m := range w.units[w.of[k].unit] {
		if slices.ContainsFunc(w.of[m].missing, absent) {
			return false
		}
	}
	return !slices.ContainsFunc(w.of[k].missing, absent)
}

// needed returns the parked copies among keys, those that they wait for, and so on, with whole units; those of skip are left out. It gives up
// where there are too many.
func (w *waiting) needed(keys []fhir.Key, skip map[fhir.Key]bool) []fhir.Key {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := map[fhir.Key]bool{}
	for len(keys) > 0 && len(seen) <= 2*maxReleased {
		k := keys[len(keys)-1]
		keys = keys[:len(keys)-1]
		is, parked := w.of[k]
		if !parked || seen[k] || skip[k] {
			continue
		}
		seen[k] = true
		keys = append(keys, is.missing...)
		for m := range w.units[is.unit] {
			keys = append(keys, m)
		}
	}
	return sortedKeys(seen)
}

func sortedKeys(m map[fhir.Key]bool) []fhir.Key {
	out := make([]fhir.Key, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, compareKeys)
	return out
}

func compareKeys(a, b fhir.Key) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID))
}

// load reads what is parked, the first time that it is asked for.
func (w *waiting) load(ctx context.Context, e *Engine) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.loaded {
		return nil
	}
	w.of, w.by, w.units = map[fhir.Key]waiter{}, map[fhir.Key]map[fhir.Key]bool{}, map[string]map[fhir.Key]bool{}
	refs := map[fhir.Key][]fhir.Key{}
	err := e.store.EachParked(ctx, "pull", unresolved.String(), func(p store.Parked) error {
		w.of[p.Key] = waiter{unit: p.Unit}
		refs[p.Key] = e.refersTo(Link{}, p.Key, p.Content)
		return nil
	})
	if err != nil {
		return err
	}
	for k, to := range refs {
		is := w.of[k]
		delete(w.of, k)
		have, err := e.store.Currents(ctx, to)
		if err != nil {
			return err
		}
		is.missing = slices.DeleteFunc(to, func(k fhir.Key) bool { _, here := have[k]; return here })
		w.add(k, is)
	}
	w.late = map[fhir.Key]bool{}
	for k := range w.of {
		if w.may(k) { // the process ended before it was taken
			w.late[k] = true
		}
	}
	w.loaded = true
	return nil
}

// Awaited returns the parked copies for which something has come to this node by another way than a pull: it was written here, or a child
// pushed it. Release takes them. It is asked when a pull begins.
func (e *Engine) Awaited(ctx context.Context) ([]fhir.Key, error) {
	if !e.cfg.References.Hold {
		return nil, nil
	}
	w := &e.waiting
	if err := w.load(ctx, e); err != nil {
		return nil, err
	}
	head, err := e.store.Head(ctx)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	for k := range w.late { // but for what was taken since
		if _, parked := w.of[k]; !parked {
			delete(w.late, k)
		}
	}
	out, awaited, stands := w.late, slices.Collect(maps.Keys(w.by)), w.at == head.Seq
	w.late, w.at = nil, head.Seq
	w.mu.Unlock()
	if stands || len(awaited) == 0 {
		return sortedKeys(out), nil
	}
	have, err := e.store.Currents(ctx, awaited)
	if err != nil {
		w.lose()
		return nil, err
	}
	return append(sortedKeys(out), w.arrived(slices.Collect(maps.Keys(have)))...), nil
}

// note brings the memory of what waits to what was written of copies from the parent. It returns the keys that have come.
func (w *waiting) note(taken []incoming, receipts []feed.Receipt) []fhir.Key {
	w.mu.Lock()
	defer w.mu.Unlock()
	waits := map[string]bool{}
	for _, in := range taken {
		waits[in.Unit] = waits[in.Unit] || in.Unit != "" && len(in.missing) > 0
	}
	var came []fhir.Key
	for i, in := range taken {
		w.remove(in.Key)
		switch {
		case receipts[i].Result != feed.Refused:
			came = append(came, in.Key)
		case len(in.missing) > 0 || waits[in.Unit]:
			w.add(in.Key, waiter{unit: in.Unit, missing: in.missing})
		}
	}
	return came
}

// unresolved is the kind of a refusal because of what a copy refers to: it is well-formed, but against a rule of this node.
const unresolved = syncerr.Unprocessable
