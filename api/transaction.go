package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// transaction executes all entries or none (FHIR R4 http.html#trules): deletes, creates, updates and patches, and then reads, in one
// transaction of the database, whose changes travel as a unit. The answers stand in the order of the entries.
func (x exchange) transaction(ctx context.Context, raw []bundleEntry) ([]bundleEntry, error) {
	entries := make([]entry, len(raw))
	for i, b := range raw {
		var err error
		if entries[i], err = readEntry(i, b, x.s.resourceLimit()); err != nil {
			return nil, err
		}
	}
	for try := range patchTries {
		t := transaction{exchange: x, entries: slices.Clone(entries), created: map[string]fhir.Key{}, answers: make([]bundleEntry, len(raw))}
		err := t.run(ctx, try > 0)
		if err == nil {
			return t.answers, nil
		}
		if !t.stale(ctx, err) {
			return nil, err
		}
	}
	return nil, syncerr.New(syncerr.Conflict, "transaction", "what it patches changes all the time").WithHint("Send it again")
}

// run executes the transaction; again says that it came too late once.
func (t *transaction) run(ctx context.Context, again bool) error {
	done, err := t.guard(ctx, again)
	if err != nil {
		return err
	}
	defer done()
	if err := t.prepare(ctx); err != nil {
		return err
	}
	if err := t.write(ctx); err != nil {
		return err
	}
	for _, e := range t.entries {
		// The writes stand: what a read could not find is told in its place.
		switch {
		case e.reads():
			t.answers[e.index] = t.answeredOr(e, func() (reply, error) { return t.get(ctx, e) })
		case t.answers[e.index].Response == nil: // its condition found something, so that nothing was written
			t.answers[e.index] = t.answeredOr(e, func() (reply, error) {
				p, err := t.s.read(ctx, e.key)
				p.located, p.note = true, "it exists already"
				return p, err
			})
		}
	}
	return nil
}

// stale reports whether a transaction failed only because a resource changed after its patch had been applied.
func (t *transaction) stale(ctx context.Context, failure error) bool {
	if syncerr.KindOf(failure) != syncerr.Precondition {
		return false
	}
	for _, w := range t.writes {
		if e := t.entries[w.entry]; e.method != http.MethodPatch || e.request.IfMatch != "" && e.request.IfMatch != engine.AnyVersion {
			continue
		}
		if now, ok, err := t.s.engine.Store().Get(ctx, w.Key); err == nil && ok && now.Stamp.Version.String() != w.IfMatch {
			return true
		}
	}
	return false
}

func (t *transaction) answeredOr(e entry, read func() (reply, error)) bundleEntry {
	p, err := read()
	if err != nil {
		return t.failed(e.at(err))
	}
	return t.answered(p)
}

type transaction struct {
	exchange
	entries []entry
	writes  []write
	created map[string]fhir.Key // by condition: two entries with one condition are one resource
	there   []int               // entries whose condition found a stored resource
	answers []bundleEntry
}

// write is what one entry wants of the engine.
type write struct {
	engine.Write
	entry int
}

// guard keeps other conditional writes away while this one looks and writes, and those who came too late before.
func (t *transaction) guard(ctx context.Context, always bool) (done func(), err error) {
	for _, e := range t.entries {
		always = always || e.request.IfNoneExist != "" || e.criteria != ""
	}
	if always {
		return t.s.alone(ctx)
	}
	return func() {}, nil
}

// prepare finds out what is to be written, and resolves the links between the entries.
func (t *transaction) prepare(ctx context.Context) error {
	for _, method := range []string{http.MethodDelete, http.MethodPost, http.MethodPut, http.MethodPatch} {
		for i := range t.entries {
			if e := &t.entries[i]; e.method == method {
				if err := t.plan(ctx, e); err != nil {
					return e.at(err)
				}
			}
		}
	}
	if err := t.once(); err != nil {
		return err
	}
	return t.resolve(ctx)
}

// plan finds out what an entry writes, and which key it has.
func (t *transaction) plan(ctx context.Context, e *entry) error {
	var w engine.Write
	var err error
	switch {
	case e.method == http.MethodPatch:
		if e.criteria != "" {
			if e.key, _, err = t.look(ctx, e); err == nil && e.key.ID == "" {
				err = noMatch(e.key.Type)
			}
		}
		if err == nil {
			w, err = t.s.patched(ctx, e.key, e.patch, e.request.IfMatch)
		}
	case e.criteria != "":
		w, err = t.where(ctx, e)
	case e.method == http.MethodDelete:
		w, err = deleteOf(e.key, e.request.IfMatch)
	case e.method == http.MethodPut:
		w, err = updateOf(e.key, e.resource, e.request.IfMatch, e.request.IfNoneMatch)
	default:
		var there bool
		if there, err = t.condition(ctx, e); there {
			return err
		}
		w = engine.Write{Op: engine.Create, Key: e.key, Body: e.resource}
	}
	if err != nil || w.Op == 0 {
		return err
	}
	t.writes = append(t.writes, write{entry: e.index, Write: w})
	return nil
}

// look returns what the condition of an entry finds; a key without an id where it finds nothing. name is the condition's.
func (t *transaction) look(ctx context.Context, e *entry) (k fhir.Key, name string, err error) {
	q, err := readCriteria(e.key.Type, "?"+e.criteria)
	if err != nil {
		return fhir.Key{}, "", err
	}
	k, found, err := t.s.existing(ctx, q)
	if !found {
		k = fhir.Key{Type: e.key.Type}
	}
	return k, e.key.Type + "?" + q.Applied.Encode(), err
}

// where plans a conditional update or delete. A delete that finds nothing is answered at once.
func (t *transaction) where(ctx context.Context, e *entry) (engine.Write, error) {
	k, name, err := t.look(ctx, e)
	if err != nil {
		return engine.Write{}, err
	}
	if e.method == http.MethodDelete {
		w, err := deleteWhere(k, k.ID != "", e.request.IfMatch)
		if w.Op == 0 {
			t.answers[e.index] = t.answered(nothing())
		}
		e.key = w.Key
		return w, err
	}
	w, err := updateWhere(e.key.Type, k, k.ID != "", e.resource, e.request.IfMatch, e.request.IfNoneMatch)
	if err != nil || w.Op == engine.Update {
		e.key = w.Key
		return w, err
	}
	if _, twice := t.created[name]; twice {
		return w, syncerr.New(syncerr.Invalid, "write", "another entry has the same condition").WithHint("A transaction writes each resource once")
	}
	if w.Key.ID == "" {
		w.Key.ID = t.s.engine.Store().NewUUID()
	}
	e.key, t.created[name] = w.Key, w.Key
	return w, nil
}

// condition gives the entry of a POST its key: that of the resource which its ifNoneExist finds (then there is nothing to
// write), or a new one.
func (t *transaction) condition(ctx context.Context, e *entry) (there bool, err error) {
	name := ""
	if text := e.request.IfNoneExist; text != "" {
		q, err := readCriteria(e.key.Type, text)
		if err != nil {
			return false, err
		}
		name = e.key.Type + "?" + q.Applied.Encode()
		k, found, err := t.s.existing(ctx, q)
		if err != nil {
			return false, err
		}
		if found {
			t.there = append(t.there, e.index)
		} else {
			k, found = t.created[name]
		}
		if found {
			e.key = k
			return true, nil
		}
	}
	e.key.ID = t.s.engine.Store().NewUUID()
	if name != "" {
		t.created[name] = e.key
	}
	return false, nil
}

// once refuses a transaction that names a resource twice, also where a condition found it (FHIR R4 http.html#trules).
func (t *transaction) once() error {
	seen := map[fhir.Key]int{}
	for _, w := range t.writes {
		if first, ok := seen[w.Key]; ok {
			return t.entries[w.entry].at(syncerr.New(syncerr.Invalid, "write", "%s stands in entry[%d] already", w.Key, first).
				WithHint("A transaction writes each resource once"))
		}
		seen[w.Key] = w.entry
	}
	for _, i := range t.there {
		if first, ok := seen[t.entries[i].key]; ok {
			return t.entries[i].at(syncerr.New(syncerr.Invalid, "write", "its condition finds %s, which entry[%d] writes", t.entries[i].key, first).
				WithHint("A transaction writes each resource once"))
		}
	}
	return nil
}

// write commits everything that changes, in one call.
func (t *transaction) write(ctx context.Context) error {
	if len(t.writes) == 0 {
		return nil
	}
	all := make([]engine.Write, len(t.writes))
	for i, w := range t.writes {
		all[i] = w.Write
	}
	out, err := t.s.engine.Author(ctx, callerOf(ctx).Name, all)
	if err != nil {
		return err
	}
	for i, w := range t.writes {
		p, err := t.s.written(ctx, w.Op, out[i])
		if err != nil {
			return err
		}
		t.answers[w.entry] = t.answered(p)
	}
	return nil
}
