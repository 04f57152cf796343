package engine

import (
	"context"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Op is what a write does.
type Op int

// The writes.
const (
	Create Op = iota + 1 // a new resource; its id is made here where the body has none
	Update               // a new version, or the first one under the client's id
	Delete
)

// AnyVersion is the IfMatch of a write that stands on whatever version is there, but wants one (RFC 9110 section 13.1.1).
const AnyVersion = "*"

// Write is one write by a local application. Body's id and Key agree, or the body has none.
type Write struct {
	Op      Op
	Key     fhir.Key
	Body    fhir.Resource // not for Delete
	IfMatch string        // the version it must stand on (FHIR R4 http.html#concurrency), AnyVersion for one that is there, empty for none
	IfNone  bool          // If-None-Match: *: only where there is no copy
}

// Written is what became of a Write.
type Written struct {
	Key       fhir.Key
	Stamp     version.Stamp
	Committed int64         // milliseconds since 1970 UTC
	Body      fhir.Resource // as it was written, without meta.versionId and meta.lastUpdated
	Created   bool          // there was no live copy before
	Unchanged bool          // the content was there already: no new version was made
}

// Author carries out writes of a local application: all of them or none, in one transaction. Several writes that change
// something become a unit and travel together. actor names who wrote, for the audit. It returns Precondition where If-Match or
// If-None-Match does not hold, Invalid where two writes name one key, Conflict where a Create finds a copy, TooLarge, and errors of the store.
func (e *Engine) Author(ctx context.Context, actor string, writes []Write) ([]Written, error) {
	ready := make([]authoring, len(writes))
	seen := map[fhir.Key]bool{}
	for i, w := range writes {
		a, err := e.prepareWrite(w)
		if err != nil {
			return nil, err
		}
		if seen[a.Key] {
			return nil, syncerr.New(syncerr.Invalid, "write", "%s stands in the transaction twice", a.Key).
				WithHint("Send one entry for each resource")
		}
		seen[a.Key] = true
		ready[i] = a
	}
	var out []Written
	err := e.store.WriteOf(ctx, keysOf(ready), func(tx *store.Tx) error {
		var err error
		out, err = e.author(tx, actor, ready)
		return err
	})
	return out, err
}

// AuthorEach carries out writes of a local application that have nothing to do with each other (a FHIR batch, a bulk load): each
// has its own fate, in errs at its place, and they do not travel as a unit; they share a transaction only for speed. The last
// error means that none was carried out.
func (e *Engine) AuthorEach(ctx context.Context, actor string, writes []Write) (out []Written, errs []error, err error) {
	ready := make([]authoring, len(writes))
	refused := make([]error, len(writes))
	for i, w := range writes {
		ready[i], refused[i] = e.prepareWrite(w)
	}
	err = e.store.WriteOf(ctx, keysOf(ready), func(tx *store.Tx) error {
		out, errs = make([]Written, len(writes)), append([]error(nil), refused...)
		for i := range ready {
			if errs[i] != nil {
				continue
			}
			one, err := e.author(tx, actor, ready[i:i+1])
			if err != nil && syncerr.KindOf(err) == syncerr.Internal || syncerr.KindOf(err).Retry() {
				return err // the transaction itself failed
			}
			if errs[i] = err; err == nil {
				out[i] = one[0]
			}
		}
		return nil
	})
	return out, errs, err
}

type authoring struct {
	Write
	packed *store.Packed
	hash   version.Hash
}

func (e *Engine) prepareWrite(w Write) (authoring, error) {
	a := authoring{Write: w}
	if w.Op == Delete {
		return a, w.Key.Validate()
	}
	if w.Op == Create && a.Key.ID == "" {
		a.Key = fhir.Key{Type: w.Body.Key.Type, ID: e.store.NewUUID()}
	}
	if err := a.Key.Validate(); err != nil {
		return a, err
	}
	body := w.Body.Bare()
	if body.Key.ID != a.Key.ID {
		var err error
		if body, err = body.WithID(a.Key.ID); err != nil {
			return a, err
		}
	}
	if len(body.Body) > e.limit {
		return a, syncerr.New(syncerr.TooLarge, "write "+a.Key.String(), "%d bytes, this node takes %d", len(body.Body), e.limit)
	}
	a.Body, a.hash = body, version.Hash(body.Hash())
	a.packed = e.store.Pack(body.Body, search.Values(a.Key, body.Body))
	return a, nil
}

func keysOf(writes []authoring) []fhir.Key {
	keys := make([]fhir.Key, len(writes))
	for i, w := range writes {
		keys[i] = w.Key
	}
	return keys
}

func (e *Engine) author(tx *store.Tx, actor string, writes []authoring) ([]Written, error) {
	if err := tx.Load(keysOf(writes)); err != nil {
		return nil, err
	}
	out := make([]Written, len(writes))
	changes := 0
	for i, w := range writes {
		cur, ok, err := tx.Current(w.Key)
		if err != nil {
			return nil, err
		}
		if err := w.holds(cur, ok); err != nil {
			return nil, err
		}
		live := ok && !cur.Stamp.Deleted
		same := live && w.Op != Delete && cur.Stamp.Hash == w.hash || !live && w.Op == Delete
		out[i] = Written{Key: w.Key, Stamp: cur.Stamp, Committed: cur.Committed, Body: w.Body, Created: !live && w.Op != Delete, Unchanged: same}
		if !same {
			changes++
		}
	}
	unit := ""
	if changes > 1 {
		unit = tx.NewUUID()
	}
	for i, w := range writes {
		if out[i].Unchanged {
			continue
		}
		if err := e.authorOne(tx, actor, w, unit, changes, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (e *Engine) authorOne(tx *store.Tx, actor string, w authoring, unit string, size int, out *Written) error {
	v, err := tx.NextTick(w.Key.Type)
	if err != nil {
		return err
	}
	s := version.Stamp{
		Version: v, Vector: out.Stamp.Vector.With(v), Author: v.Replica, Authored: tx.Now(), Origin: v,
		Deleted: w.Op == Delete, Hash: w.hash,
	}
	c := store.Change{Key: w.Key, Action: feed.Updated, Stamp: s, Content: w.packed}
	switch {
	case w.Op == Delete:
		c.Action, c.Content = feed.Deleted, nil
	case out.Created:
		c.Action = feed.Created
	}
	if unit != "" {
		c.Unit, c.UnitSize = unit, size
	}
	if _, err := tx.Put(c); err != nil {
		return err
	}
	cur, _, err := tx.Current(w.Key)
	if err != nil {
		return err
	}
	out.Stamp, out.Committed = s, cur.Committed
	bytes := int64(0)
	if c.Content != nil {
		bytes = int64(c.Content.Size)
	}
	tx.Audit(audit.Record{
		Operation: audit.Local, Outcome: audit.Applied, Action: string(c.Action), Key: w.Key, Version: v, Peer: actor,
		LocalURL: e.cfg.URL, Bytes: bytes,
	})
	return nil
}

// holds checks the conditions of a write against the copy that stands (FHIR R4 http.html#concurrency and #cond-update).
func (w Write) holds(cur store.Current, ok bool) error {
	live := ok && !cur.Stamp.Deleted
	switch {
	case w.IfMatch == AnyVersion && !live:
		return syncerr.New(syncerr.Precondition, "write "+w.Key.String(), "If-Match: * asks that it exists, but it does not")
	case w.IfMatch == AnyVersion:
	case w.IfMatch != "" && !ok:
		return syncerr.New(syncerr.Precondition, "write "+w.Key.String(), "If-Match names version %s, but the resource does not exist", w.IfMatch)
	case w.IfMatch != "" && cur.Stamp.Version.String() != w.IfMatch:
		return syncerr.New(syncerr.Precondition, "write "+w.Key.String(), "If-Match names version %s, the current one is %s", w.IfMatch, cur.Stamp.Version).
			WithHint("Read the resource again, apply the change to what it is now, and send that")
	case w.IfNone && live:
		return syncerr.New(syncerr.Precondition, "write "+w.Key.String(), "If-None-Match: * asks that it does not exist, but it does")
	case w.Op == Create && live:
		return syncerr.New(syncerr.Conflict, "create "+w.Key.String(), "it exists already").WithHint("Update it with PUT")
	}
	return nil
}
