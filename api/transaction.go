package api

import (
	"context"
	"net/http"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// transaction executes all entries or none (FHIR R4 http.html#trules): deletes, creates, updates and then reads, in one
// transaction of the database, whose changes travel as a unit. The answers stand in the order of the entries.
func (x exchange) transaction(ctx context.Context, raw []bundleEntry) ([]bundleEntry, error) {
	t := transaction{exchange: x, created: map[string]fhir.Key{}, answers: make([]bundleEntry, len(raw))}
	for i, b := range raw {
		e, err := readEntry(i, b, x.s.resourceLimit())
		if err != nil {
			return nil, err
		}
		t.entries = append(t.entries, e)
	}
	done, err := t.guard(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := t.prepare(ctx); err != nil {
		return nil, err
	}
	if err := t.write(ctx); err != nil {
		return nil, err
	}
	for _, e := range t.entries {
		// The writes stand: what a read could not find is told in its place.
		switch {
		case e.method == http.MethodGet:
			t.answers[e.index] = t.answeredOr(e, func() (reply, error) { return x.get(ctx, e) })
		case t.answers[e.index].Response == nil: // its condition found something, so that nothing was written
			t.answers[e.index] = t.answeredOr(e, func() (reply, error) {
				p, err := x.s.read(ctx, e.key)
				p.located, p.note = true, "it exists already"
				return p, err
			})
		}
	}
	return t.answers, nil
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

// guard keeps other conditional writes away while this one looks and writes.
func (t *transaction) guard(ctx context.Context) (done func(), err error) {
	for _, e := range t.entries {
		if e.request.IfNoneExist != "" {
			return t.s.alone(ctx)
		}
	}
	return func() {}, nil
}

// prepare finds out what is to be written, and resolves the links between the entries.
func (t *transaction) prepare(ctx context.Context) error {
	for _, method := range []string{http.MethodDelete, http.MethodPost, http.MethodPut} {
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

func (t *transaction) plan(ctx context.Context, e *entry) error {
	w := write{entry: e.index, Write: engine.Write{Op: engine.Update, Key: e.key, Body: e.resource}}
	var err error
	if e.method != http.MethodPost {
		if w.IfMatch, err = readTag(e.request.IfMatch); err != nil {
			return err
		}
	}
	switch e.method {
	case http.MethodDelete:
		w.Op = engine.Delete
	case http.MethodPut:
		if w.IfNone, err = readNone(e.request.IfNoneMatch); err != nil {
			return err
		}
	default:
		there, err := t.condition(ctx, e)
		if err != nil || there {
			return err
		}
		w.Op, w.Key = engine.Create, e.key
	}
	t.writes = append(t.writes, w)
	return nil
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
