package sdata

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// page is a feed that was read, as the engine takes it.
type page struct {
	feed     Feed
	typ      string
	run      Run
	versions []version.Version // of the entries
	source   feed.Known        // what the sender knows
}

// readPage reads a page for a type and checks all that can be said about it as a whole. The error is Invalid: nothing of it is taken.
func readPage(b []byte, resourceType string, run Run) (page, error) {
	f, err := ReadFeed(b)
	if err != nil {
		return page{}, err
	}
	p := page{feed: f, typ: resourceType, run: run}
	switch {
	case f.Mode == "":
		return p, bad("the feed has no syncMode in the namespace %s", nsSync)
	case f.Digest == nil:
		return p, bad("the feed has no digest in the namespace %s", nsSync)
	case f.Present != nil && (f.Digest.Known == nil || f.Mode != version.CatchUp || len(f.Entries) > 0 || f.Next == ""):
		return p, bad("it names what its source has, and that is for pages of nodes without entries, before the first of a catch-up")
	case elsewhere(f.ID, resourceType):
		return p, bad("the feed %.200s is not one of %s", f.ID, resourceType)
	}
	if p.source, err = f.Digest.known(resourceType); err != nil {
		return p, err
	}
	last := map[version.Replica]uint64{}
	for i, e := range f.Entries {
		v := version.Version{Replica: ReplicaOf(e.State.Endpoint), Tick: e.State.Tick}
		p.versions = append(p.versions, v)
		switch {
		case !e.Stamp.IsZero() && e.Stamp.Version != v:
			return p, bad("entry %d has the syncState %s and the stamp of %s", i+1, v, e.Stamp.Version)
		case e.Stamp.IsZero() && last[v.Replica] >= v.Tick:
			return p, bad("entry %d has tick %d of %s behind its tick %d: ticks of an endpoint ascend in a feed", i+1, v.Tick, e.State.Endpoint, last[v.Replica])
		}
		last[v.Replica] = max(last[v.Replica], v.Tick)
	}
	return p, nil
}

// elsewhere reports whether a feed says that it is of another resource kind.
func elsewhere(id, resourceType string) bool {
	head, _, found := strings.Cut(id, "/$sync")
	if !found {
		return false
	}
	kind := head[strings.LastIndexByte(head, '/')+1:]
	return fhir.IsType(kind) && kind != resourceType
}

// contiguous holds the ticks of an immediate page against what is known here: the first of an endpoint that is news is the next of what is
// known, the following ones follow (5.8). What is known already is harmless.
func (p *page) contiguous(have version.Vector) error {
	next := map[version.Replica]uint64{}
	for i, v := range p.versions {
		if next[v.Replica] == 0 {
			next[v.Replica] = have.Tick(v.Replica) + 1
		}
		switch {
		case v.Tick < next[v.Replica]:
		case v.Tick == next[v.Replica]:
			next[v.Replica]++
		default:
			return syncerr.New(syncerr.Invalid, "take immediate changes", "entry %d is tick %d of %s, and tick %d is the first that is not known here",
				i+1, v.Tick, p.feed.Entries[i].State.Endpoint, next[v.Replica]).WithHint("Run a catch-up pass: nothing of this feed was taken")
		}
	}
	return nil
}

// check holds a page against what is known here before anything of it is taken.
func (s *Server) check(ctx context.Context, p *page) error {
	if err := s.eng.CheckKnown(ctx, s.link(ctx, *p.feed.Digest, p.run), []feed.Known{p.source}); err != nil {
		return err
	}
	have, err := s.knownHere(ctx, p.typ)
	if err != nil {
		return err
	}
	if err := p.compared(have); err != nil || p.feed.Mode != version.Immediate {
		return err
	}
	return p.contiguous(have.Vector)
}

func (s *Server) knownHere(ctx context.Context, resourceType string) (k feed.Known, err error) {
	err = s.eng.Store().Read(ctx, func(r *store.Reader) error {
		k, err = known(r, resourceType)
		return err
	})
	return k, err
}

// event makes of an entry what the engine takes. A peer that is no node tells no vector: its digest stands in for that of each entry, since
// it says what the source had seen (DESIGN.md 4.1).
func (p *page) event(i int) feed.Event {
	e, v := p.feed.Entries[i], p.versions[i]
	ev := feed.Event{Key: fhir.Key{Type: p.typ, ID: e.ID}, Action: feed.Updated, Stamp: e.Stamp, Content: e.Document}
	if ev.Key.ID == "" && e.AtomID != "" { // it cannot be taken, and must be remembered all the same
		ev.Key.ID, ev.Content = UUIDOf(p.typ, e.AtomID), []byte("{}")
	}
	if ev.Stamp.IsZero() {
		ev.Stamp = version.Stamp{
			Version: v, Vector: p.vector(v), Author: v.Replica, Authored: e.State.Stamp, Origin: v, Deleted: e.Deleted,
		}
		if r, err := fhir.ParseAs(p.typ, e.Document, 0); err == nil && !e.Deleted {
			ev.Stamp.Hash = version.Hash(r.Bare().Hash())
		}
	}
	if ev.Stamp.Deleted {
		ev.Action, ev.Content = feed.Deleted, nil
	} else if ev.Stamp.Hash == (version.Hash{}) {
		ev.Stamp.Hash[0] = 1 // so that the engine says what is wrong with the content, and not with the stamp
		if ev.Content == nil {
			ev.Content = []byte("{}")
		}
	}
	return ev
}

// vector returns what the copy of an entry of a plain peer has seen: what the source knew, and of the version's own replica no more than that,
// since what comes behind it there is of other resources.
func (p *page) vector(v version.Version) version.Vector {
	x := slices.DeleteFunc(slices.Clone(p.source.Vector), func(o version.Version) bool { return o.Replica == v.Replica })
	return x.With(v)
}

// learnt returns what is known after entries up to, but without, to were processed: an endpoint's tick rises with each entry, and at the
// end of the last page of a catch-up to all that the source knows (5.5). The source's exceptions come along: its ticks stand above them.
func (p *page) learnt(to int) feed.Known {
	k := feed.Known{Type: p.typ, Lacks: p.source.Lacks}
	ticks := map[version.Replica]uint64{}
	if to == len(p.versions) && p.feed.Mode == version.CatchUp && p.feed.Next == "" {
		k.Forgotten = p.source.Forgotten
		for _, v := range p.source.Vector {
			ticks[v.Replica] = v.Tick
		}
	}
	if p.feed.Present != nil && p.feed.Present.To == "" {
		k.Forgotten = p.source.Forgotten // all was compared
	}
	for i, v := range p.versions[:to] {
		if !p.feed.Entries[i].Stamp.IsZero() && p.feed.Mode == version.CatchUp && v.Tick > p.source.Vector.Tick(v.Replica) {
			continue // a node may have it before what comes before it
		}
		ticks[v.Replica] = max(ticks[v.Replica], v.Tick)
	}
	k.Vector = vectorOf(ticks)
	return k
}

// take gives every entry of a page its fate and returns the result feed, in the order of the page. step is told how many are done. An error means
// that the rest was not taken.
func (s *Server) take(ctx context.Context, base string, p *page, step func(done int)) (Feed, error) {
	s.taking.Lock()
	defer s.taking.Unlock()
	out := Feed{ID: p.feed.ID, Title: p.typ + " synchronization results", Updated: s.cfg.Clock().UnixMilli(), Entries: make([]Entry, 0, len(p.versions))}
	if err := s.check(ctx, p); err != nil {
		return out, err
	}
	if err := s.meet(ctx, *p.feed.Digest, p.feed.Entries); err != nil {
		return out, err
	}
	link := s.link(ctx, *p.feed.Digest, p.run)
	link.Digest = p.feed.Digest.Known == nil
	if err := s.compare(ctx, p, link); err != nil {
		return out, err
	}
	for from := 0; from == 0 || from < len(p.versions); {
		to, bytes := from, 0
		var events []feed.Event
		for ; to < len(p.versions) && len(events) < 100 && (bytes == 0 || bytes+len(p.feed.Entries[to].Document) <= pageBytes); to++ {
			bytes += len(p.feed.Entries[to].Document)
			events = append(events, p.event(to))
		}
		if err := s.resolveDeleted(ctx, p, from, events); err != nil {
			return out, err
		}
		keys := make([]fhir.Key, len(events))
		for i, ev := range events {
			keys[i] = ev.Key
		}
		before, err := s.eng.Store().Currents(ctx, keys)
		if err != nil {
			return out, err
		}
		receipts, err := s.eng.Accept(ctx, engine.Batch{Link: link, Events: events, Names: p.names(), Known: []feed.Known{p.learnt(to)}})
		if err != nil {
			return out, err
		}
		for i, r := range receipts {
			cur, was := before[r.Key]
			out.Entries = append(out.Entries, outcome(base, p.feed.Entries[from+i], r, was && !cur.Stamp.Deleted))
		}
		if step(to); to == from {
			break // a page without entries brings knowledge alone
		}
		from = to
	}
	return out, s.afterwards(ctx, p.typ, &out)
}

// afterwards puts the digest that came of it into a result feed.
func (s *Server) afterwards(ctx context.Context, resourceType string, f *Feed) error {
	return s.eng.Store().Read(ctx, func(r *store.Reader) error {
		k, err := known(r, resourceType)
		if err != nil {
			return err
		}
		g, err := s.digestOf(r, k)
		g = g.plain()
		f.Digest = &g
		return err
	})
}

// names returns the node names that a digest tells.
func (p *page) names() []feed.Name {
	var out []feed.Name
	for _, e := range p.feed.Digest.Entries {
		if e.Node != "" && !foreign(e.Endpoint) {
			out = append(out, feed.Name{Replica: ReplicaOf(e.Endpoint), Node: e.Node})
		}
	}
	return out
}

// resolveDeleted finds what a peer means that names a deleted resource by the UUID alone which this node made of its id.
func (s *Server) resolveDeleted(ctx context.Context, p *page, from int, events []feed.Event) error {
	for i := range events {
		e := p.feed.Entries[from+i]
		if !events[i].Stamp.Deleted || e.ID != e.UUID || e.UUID == "" {
			continue
		}
		have, err := s.eng.Store().Currents(ctx, []fhir.Key{events[i].Key})
		if err != nil {
			return err
		}
		if len(have) > 0 {
			continue
		}
		id, err := s.eng.Store().FindID(ctx, p.typ, func(id string) bool { return UUIDOf(p.typ, id) == e.UUID })
		if err != nil {
			return err
		}
		if id != "" {
			events[i].Key.ID = id
		}
	}
	return nil
}

// outcome says what became of an entry (core 13.6).
func outcome(base string, e Entry, r feed.Receipt, existed bool) Entry {
	out := Entry{AtomID: e.AtomID, Title: r.Key.Type, Updated: e.Updated, UUID: e.UUID, ID: r.Key.ID, State: e.State}
	o := &out.Outcome
	o.Status, o.Method = http.StatusOK, http.MethodPut
	if !r.Stamp.IsZero() {
		o.ETag = `"` + r.Stamp.Version.String() + `"`
	}
	trouble := func(severity Severity, text string) {
		out.Trouble = []Diagnosis{{Severity: severity, Code: "ApplicationDiagnosis", App: string(r.Result), Message: text}}
	}
	switch {
	case r.Stamp.Deleted || e.Deleted:
		o.Method = http.MethodDelete
	case !existed:
		o.Method = http.MethodPost
	}
	switch r.Result {
	case feed.Applied, feed.Written:
		o.Message = "OK"
		if o.Method == http.MethodPost {
			o.Status, o.Message, o.Location = http.StatusCreated, "Created", collection(base, r.Key.Type)+"('"+r.Key.ID+"')"
		}
	case feed.Same, feed.Superseded, feed.EqualCopy:
		o.Message = "ignored: it is known here"
	case feed.Decided:
		o.Message = "a conflict was decided"
		trouble(Info, "both copies had been changed; the conflict was decided, and both stay readable")
	case feed.Held, feed.Deferred:
		o.Status, o.Message = http.StatusConflict, "in conflict"
		trouble(Warning, "both copies had been changed; a person decides, and both are kept until then")
	default:
		o.Status, o.Message = http.StatusUnprocessableEntity, "refused"
		severity := Failure
		if r.Retry {
			o.Status, severity = http.StatusServiceUnavailable, Transient
		}
		trouble(severity, r.Reason)
	}
	return out
}
