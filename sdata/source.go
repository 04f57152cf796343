package sdata

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// The kinds of operations.
const (
	kindSource = "source"
	kindTarget = "target"
)

// The size of a page: entries where nothing is asked for and at most, and bytes of documents after which it ends.
const (
	pageEntries = 100
	maxCount    = 1000
	pageBytes   = 4 << 20
	rowsAtOnce  = 25
)

// frozen is what a source keeps of a pass: what the target knew and what was known here when it began. The list of the pass is that of the
// copies that stood when the log was at Head, whatever is written meanwhile.
type frozen struct {
	Epoch  string     `json:"epoch"`
	Head   uint64     `json:"head"`
	Target feed.Known `json:"target"`
	Digest Digest     `json:"digest"`
	// Upto withholds from a peer that knows no exceptions what comes behind one: its digest rises with every entry (trap T3).
	Upto version.Vector `json:"upto,omitzero"`
	Node bool           `json:"node,omitempty"`
	// Lists says that the first pages name what is here, since deletions were forgotten here that the target never learnt.
	Lists     bool           `json:"lists,omitempty"`
	Forgotten version.Vector `json:"forgotten,omitzero"`
}

// beginSource freezes what a target lacks of a type. A job of that id that exists is left as it is.
func (s *Server) beginSource(ctx context.Context, resourceType, id string, run Run, target Digest) (store.SDataJob, error) {
	if j, ok, err := s.job(ctx, id); err != nil || ok {
		return j, s.same(j, ok, err, kindSource, resourceType, run)
	}
	k, err := target.known(resourceType)
	if err != nil {
		return store.SDataJob{}, err
	}
	if err := s.eng.CheckKnown(ctx, s.link(ctx, target, run), []feed.Known{k}); err != nil {
		return store.SDataJob{}, err
	}
	if err := s.meet(ctx, target, nil); err != nil {
		return store.SDataJob{}, err
	}
	f := frozen{Target: k, Node: target.Known != nil}
	err = s.eng.Store().Read(ctx, func(r *store.Reader) error {
		mine, err := known(r, resourceType)
		if err != nil {
			return err
		}
		if f.Head, err = r.Head(); err != nil {
			return err
		}
		f.Epoch = r.Identity().Epoch
		f.Forgotten = mine.Forgotten
		lacks := !k.Vector.ContainsAll(f.Forgotten)
		if f.Lists = lacks && f.Node; lacks && !f.Node && slices.ContainsFunc(f.Forgotten, func(v version.Version) bool { return k.Vector.Tick(v.Replica) > 0 }) {
			return forgotten(resourceType)
		}
		if f.Digest, err = s.digestOf(r, mine); err != nil || f.Node {
			return err
		}
		f.Upto = Digest{Entries: f.Digest.Entries}.vector()
		return nil
	})
	if err != nil {
		return store.SDataJob{}, err
	}
	if !f.Node {
		f.Digest = f.Digest.plain()
	}
	b, err := json.Marshal(f)
	if err != nil {
		return store.SDataJob{}, syncerr.Wrap(syncerr.Internal, "begin pass", err)
	}
	j := store.SDataJob{ID: id, Kind: kindSource, Type: resourceType, RunName: run.Name, RunStamp: run.Stamp, Created: s.cfg.Clock().UnixMilli(), Status: http.StatusOK, Body: b}
	fresh := false
	err = s.eng.Store().Write(ctx, func(tx *store.Tx) error {
		var err error
		fresh, err = tx.PutSDataJob(j)
		return err
	})
	if err != nil || fresh {
		return j, err
	}
	j, ok, err := s.job(ctx, id) // another request of the same id was faster
	return j, s.same(j, ok, err, kindSource, resourceType, run)
}

// forgotten is why a pass to a peer that is no node cannot be made: its digest says that it has seen some of the changes whose deletions were
// collected here, and not all of them. SData has no word for what a source has not, so what was deleted would live on there for ever.
func forgotten(resourceType string) error {
	return syncerr.New(syncerr.Conflict, "begin pass", "the target was away too long: deletions of %s that it never learnt were collected here (history.keep), and SData cannot tell it of them", resourceType).
		WithHint("Empty this kind at the target, what it alone has excepted, so that it knows nothing of this network, and run the pass again")
}

// plain returns the digest without what only nodes read.
func (g Digest) plain() Digest {
	out := Digest{Origin: g.Origin}
	for _, e := range g.Entries {
		e.Node = ""
		out.Entries = append(out.Entries, e)
	}
	return out
}

func (s *Server) job(ctx context.Context, id string) (j store.SDataJob, ok bool, err error) {
	err = s.eng.Store().Read(ctx, func(r *store.Reader) error {
		j, ok, err = r.SDataJob(id)
		return err
	})
	return j, ok, err
}

// same returns an error where a job is not the one that is meant.
func (s *Server) same(j store.SDataJob, ok bool, err error, kind, resourceType string, run Run) error {
	switch {
	case err != nil:
		return err
	case !ok:
		return syncerr.New(syncerr.NotFound, "sync", "there is no such operation").WithHint("It was never begun, or it was deleted long ago: begin the pass again")
	case j.Kind != kind || j.Type != resourceType:
		return syncerr.New(syncerr.Conflict, "sync", "operation %s is of $sync%s of %s", j.ID, j.Kind, j.Type)
	case run != (Run{}) && run != Run{j.RunName, j.RunStamp}:
		return syncerr.New(syncerr.Conflict, "sync", "operation %s belongs to another run", j.ID)
	case j.Deleted:
		return syncerr.New(syncerr.Gone, "sync", "operation %s was deleted", j.ID)
	}
	return nil
}

// address returns where an operation is found.
func address(base string, j store.SDataJob) string {
	op := "$syncSource"
	if j.Kind == kindTarget {
		op = "$syncTarget"
	}
	out := collection(base, j.Type) + "/" + op + "('" + j.ID + "')"
	if q := (Run{j.RunName, j.RunStamp}).query(); len(q) > 0 {
		out += "?" + q.Encode()
	}
	return out
}

// place is where a page begins.
type place struct {
	start, count int
	at           store.Place
	present      string // where the range of a list of what is here begins
}

// placeOf reads where a page begins from the parameters that its address has.
func placeOf(r *http.Request) (place, error) {
	p := place{start: 1, count: pageEntries}
	for _, part := range []struct {
		name string
		into *int
		most int
	}{{"startIndex", &p.start, 1 << 30}, {"count", &p.count, maxCount}} {
		text := param(r, part.name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return p, syncerr.New(syncerr.Invalid, "read request", "%s=%.40q is no number from 1", part.name, text)
		}
		*part.into = min(n, part.most)
	}
	if p.present = param(r, "present"); len(p.present) > 70 {
		return p, syncerr.New(syncerr.Invalid, "read request", "present=%.80q is no id", p.present)
	}
	text := param(r, "at")
	switch {
	case text == "" && p.start > 1:
		return p, syncerr.New(syncerr.Invalid, "read request", "a page behind the first is reached by the link next of the one before it alone")
	case text == "":
		return p, nil
	}
	var err error
	p.at, err = store.ParsePlace(text)
	return p, err
}

// page returns a page of a source's list.
func (s *Server) page(ctx context.Context, base string, j store.SDataJob, p place) ([]byte, error) {
	var f frozen
	if err := json.Unmarshal(j.Body, &f); err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, "read operation", err)
	}
	if f.Epoch != s.eng.Store().Identity().Epoch {
		return nil, syncerr.New(syncerr.Gone, "sync", "operation %s was of a log that this node had before it was restored", j.ID).WithHint("Begin the pass again")
	}
	if err := s.stillTold(ctx, j, f); err != nil {
		return nil, err
	}
	if f.Lists && p.at == (store.Place{}) {
		return s.listed(ctx, base, j, &f, p)
	}
	if p.at == (store.Place{}) {
		p.at = store.Place{Head: f.Head, Type: j.Type}
	}
	if p.at.Head != f.Head || p.at.Type != j.Type {
		return nil, syncerr.New(syncerr.Invalid, "read request", "the page belongs to another operation than %s", j.ID)
	}
	out := Feed{
		ID: address(base, j), Title: j.Type + " synchronization feed", Updated: s.cfg.Clock().UnixMilli(), Mode: version.CatchUp, Digest: &f.Digest, Start: p.start,
	}
	delta := store.Delta{Type: j.Type, Known: f.Target}
	if !f.Node {
		delta.Upto = f.Upto
		if delta.Upto == nil {
			delta.Upto = version.Vector{}
		}
	}
	done := false
	for bytes := 0; !done && len(out.Entries) < p.count && bytes < pageBytes; {
		var rows []store.Row
		var next store.Place
		var urls map[version.Replica]string
		err := s.eng.Store().Read(ctx, func(r *store.Reader) error {
			rows = rows[:0]
			var err error
			if urls, err = r.Endpoints(); err != nil {
				return err
			}
			next, done, err = r.Delta(delta, p.at, min(rowsAtOnce, p.count-len(out.Entries)), func(row store.Row) error {
				rows = append(rows, row)
				return nil
			})
			return err
		})
		if err != nil {
			return nil, err
		}
		p.at = next
		for _, row := range rows {
			bytes += len(row.Content)
			out.Entries = append(out.Entries, entryOf(base, urls, row, f.Node))
		}
	}
	out.PerPage = len(out.Entries)
	if !done {
		out.Next = next(base, j, p, len(out.Entries), "at", p.at.String())
	}
	return WriteFeed(out), nil
}

// next returns the address of the page behind one with so many entries, which begins where a parameter says.
func next(base string, j store.SDataJob, p place, entries int, from, value string) string {
	q := Run{j.RunName, j.RunStamp}.query()
	q.Set("startIndex", strconv.Itoa(p.start+entries))
	q.Set("count", strconv.Itoa(p.count))
	q.Set(from, value)
	return collection(base, j.Type) + "/$syncSource('" + j.ID + "')?" + q.Encode()
}

// sendPage answers with a page of a source's list.
func (s *Server) sendPage(w http.ResponseWriter, r *http.Request, j store.SDataJob, p place) error {
	b, err := s.page(r.Context(), s.base(r), j, p)
	if err != nil {
		return err
	}
	return send(w, r, http.StatusOK, feedType, b)
}

// entryOf writes a row of the log as an entry.
func entryOf(base string, urls map[version.Replica]string, row store.Row, node bool) Entry {
	s := row.Stamp
	e := Entry{
		AtomID: collection(base, row.Key.Type) + "('" + url.PathEscape(row.Key.ID) + "')", Title: row.Key.Type, Updated: row.Committed,
		UUID: UUIDOf(row.Key.Type, row.Key.ID), ID: row.Key.ID, Deleted: s.Deleted, Document: row.Content,
		State: SyncState{Endpoint: endpointOf(urls, s.Version.Replica), Tick: s.Version.Tick, Stamp: s.Authored},
	}
	if node {
		e.Stamp = s
	}
	return e
}

// drop deletes an operation for its consumer.
func (s *Server) drop(ctx context.Context, id string) error {
	return s.eng.Store().Write(ctx, func(tx *store.Tx) error { return tx.DropSDataJob(id) })
}

// Upkeep forgets operations that no consumer came for within a month, and names of deleted ones.
func (s *Server) Upkeep(ctx context.Context) error {
	const month = 30 * 24 * 3600 * 1000
	before := s.cfg.Clock().UnixMilli() - month
	s.mu.Lock()
	for id, b := range s.batches {
		if b.failed() && b.started.UnixMilli() < before {
			delete(s.batches, id)
		}
	}
	s.mu.Unlock()
	return s.eng.Store().Write(ctx, func(tx *store.Tx) error { return tx.PruneSDataJobs(before) })
}
