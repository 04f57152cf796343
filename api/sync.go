package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// registerSync mounts the exchanges between nodes (DESIGN.md section 6). A child starts every one of them.
func (s *Server) registerSync(mux *http.ServeMux) {
	mux.Handle("GET /sync/node", s.handle(s.protocol(s.syncNode), forSync))
	mux.Handle("GET /sync/changes", s.handle(s.protocol(s.syncRead), forSync))
	mux.Handle("POST /sync/changes", s.handle(s.protocol(s.syncTake), forSync))
	mux.Handle("POST /sync/fetch", s.handle(s.protocol(s.syncFetch), forSync))
	mux.Handle("POST /sync/digest", s.handle(s.protocol(s.syncDigest), forSync))
	mux.Handle("GET /sync/knowledge", s.handle(s.protocol(s.syncKnowledge), forSync))
	mux.Handle("POST /sync/catchup", s.handle(s.protocol(s.syncCatchUp), forSync))
	mux.Handle("POST /sync/estimate", s.handle(s.protocol(s.syncEstimate), forSync))
}

// The limits of one exchange.
const (
	maxEvents     = 10_000    // events in a page
	maxPage       = 32 << 20  // bytes of content in a page; one unit may exceed it
	maxPushed     = 128 << 20 // bytes of a pushed batch before compression
	maxWait       = 60 * time.Second
	rowsAtOnce    = 200 // rows read in one snapshot, so that a slow reader never keeps one open
	defaultInline = 64 << 10
)

// protocol refuses a peer that speaks another protocol, says who this node is, and notes who came.
func (s *Server) protocol(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Tributary-Protocol", strconv.Itoa(feed.Protocol))
		n, err := strconv.Atoi(r.Header.Get("Tributary-Protocol"))
		if err != nil {
			return syncerr.New(syncerr.Invalid, "sync", "the Tributary-Protocol header is missing").
				WithHint("These addresses are for nodes; people and applications use /fhir/R4")
		}
		if n != feed.Protocol {
			side := "the node that called"
			if n > feed.Protocol {
				side = "this node"
			}
			return syncerr.New(syncerr.Invalid, "sync", "protocol %d was asked for, this node speaks %d", n, feed.Protocol).WithHint("Upgrade %s", side)
		}
		id := s.engine.Store().Identity()
		if want := r.Header.Get("Tributary-Epoch"); want != "" && want != id.Epoch {
			return syncerr.New(syncerr.EpochChanged, "sync", "this node's log is %s, not %s", id.Epoch, want)
		}
		if r.Header.Get("Tributary-Replica") == string(id.Replica) {
			return syncerr.New(syncerr.Denied, "sync", "the caller has the identity of this very node").
				WithHint("A node cannot be its own parent; if its data was copied to a second machine, run `tributary init` there instead")
		}
		if err := s.met(r); err != nil {
			return err
		}
		if err := s.takeReports(w, r); err != nil {
			return err
		}
		return next(w, r)
	}
}

// met notes that a child was here: who it is the first time, and later, at most once a minute, that it still comes.
func (s *Server) met(r *http.Request) error {
	c := callerOf(r.Context())
	if c.Kind != Child {
		return nil
	}
	p, now := c.Participant, s.clock().UnixMilli()
	replica, key := version.Replica(r.Header.Get("Tributary-Replica")), r.Header.Get("Tributary-Key")
	if !replica.Valid() || len(key) > 100 {
		return syncerr.New(syncerr.Invalid, "sync", "the caller does not say which node it is")
	}
	if err := s.single(r); err != nil {
		return err
	}
	agreed, err := s.recalled(r, c)
	if err != nil {
		return err
	}
	if p.PublicKey != "" && p.PublicKey != key {
		return syncerr.New(syncerr.Denied, "sync", "child %q came with another key than the one that was exchanged at first", p.Name).
			WithHint("If the node was set up anew, remove the child and add it again: `tributary child remove %s`, `tributary child add %s`", p.Name, p.Name)
	}
	head, err := s.engine.Store().Head(r.Context())
	if err != nil {
		return err
	}
	if after, err := feed.ParseCursor(r.URL.Query().Get("after")); err == nil && after.Epoch == head.Epoch && after.Seq <= head.Seq {
		p.Seq, p.Epoch = after.Seq, after.Epoch // it asks for what is behind: so far it has read
		p.Scope = "*"
		if q := r.URL.Query(); q.Has("types") {
			p.Scope = strings.Join(q["types"], ",")
		}
	}
	before, err := s.engine.Store().Agreed(r.Context(), p.Name)
	if err != nil {
		return err
	}
	moved := p.Scope != c.Participant.Scope || before == 0 && agreed > 0 || (p.Seq != c.Participant.Seq || agreed > before) && now-p.LastSeen >= 5_000
	if p.Replica == replica && p.PublicKey == key && !moved && now-p.LastSeen < 60_000 {
		return nil
	}
	p.Replica, p.PublicKey, p.LastSeen = replica, key, now
	name, err := url.QueryUnescape(r.Header.Get("Tributary-Node"))
	if err != nil || len(name) > 100 {
		return syncerr.New(syncerr.Invalid, "sync", "the Tributary-Node header cannot be read")
	}
	return s.engine.Store().Write(r.Context(), func(tx *store.Tx) error {
		if name != "" {
			if err := tx.NameReplica(replica, name); err != nil {
				return err
			}
		}
		if err := tx.Agree(p.Name, agreed); err != nil {
			return err
		}
		if c.Participant.Replica != replica {
			if err := tx.Ask(p.ID, []version.Replica{replica}); err != nil {
				return err
			}
		}
		if err := tx.Contacted(p.ID, s.deps.Control.ContactStep()); err != nil {
			return err
		}
		return tx.TouchChild(p)
	})
}

func (s *Server) syncNode(w http.ResponseWriter, r *http.Request) error {
	head, err := s.engine.Store().Head(r.Context())
	if err != nil {
		return err
	}
	var saw store.LogHead
	var lives store.Lives
	err = s.engine.Store().Read(r.Context(), func(rd *store.Reader) error {
		var err error
		c := callerOf(r.Context())
		if lives, err = rd.Lives(c.ID); err != nil {
			return err
		}
		saw, err = rd.Remembered(c.ID, c.Name, version.Replica(r.Header.Get("Tributary-Replica")))
		return err
	})
	if err != nil {
		return err
	}
	id := s.engine.Store().Identity()
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(feed.Peer{
		Saw:      saw.String(),
		Turn:     lives.Turn,
		Protocol: feed.Protocol, Node: id.Name, Replica: id.Replica, Epoch: id.Epoch, Head: head.Seq, Limit: s.engine.Limit(),
		PublicKey: s.deps.PublicKey, Time: s.clock().UnixMilli(), Version: s.deps.Version,
	})
}

// readRequest reads the query of GET /sync/changes.
func readRequest(q url.Values) (feed.Request, error) {
	req := feed.Request{Inline: defaultInline, Limit: 500}
	var err error
	if req.After, err = feed.ParseCursor(q.Get("after")); err != nil {
		return req, err
	}
	for _, p := range []struct {
		name string
		into *int
		max  int
	}{{"limit", &req.Limit, maxEvents}, {"inline", &req.Inline, fhir.MaxBytes}, {"wait", &req.Wait, int(maxWait / time.Millisecond)}} {
		if v := q.Get(p.name); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 {
				return req, syncerr.New(syncerr.Invalid, "read changes", "%s=%.40q is not a number", p.name, v)
			}
			*p.into = min(n, p.max)
		}
	}
	if req.Limit == 0 {
		req.Limit = 500
	}
	req.Tell = q.Has("known")
	if req.Tell {
		if req.Known, err = strconv.ParseUint(q.Get("known"), 10, 63); err != nil {
			return req, syncerr.New(syncerr.Invalid, "read changes", "known=%.40q is not a revision", q.Get("known"))
		}
	}
	if req.Bare, err = typesOf(q, "bare"); err != nil {
		return req, err
	}
	req.Types, err = typesOf(q, "types")
	return req, err
}

// syncRead serves the event feed in the compact form. It holds the exchange open until there is news, then streams the page;
// contents that the caller sent itself are left out.
func (s *Server) syncRead(w http.ResponseWriter, r *http.Request) error {
	req, err := readRequest(r.URL.Query())
	if err != nil {
		return err
	}
	st := s.engine.Store()
	epoch := st.Identity().Epoch
	head, err := st.Head(r.Context())
	if err != nil {
		return err
	}
	switch {
	case req.After.Epoch == "":
		req.After.Epoch = epoch
	case req.After.Epoch != epoch || req.After.Seq > head.Seq:
		return syncerr.New(syncerr.EpochChanged, "read changes", "the cursor %s is not of this log, which is %s", req.After, head)
	}
	floor, err := st.Floor(r.Context())
	if err != nil {
		return err
	}
	if req.After.Seq < floor {
		return syncerr.New(syncerr.EpochChanged, "read changes", "the log up to %d is not kept any more, the cursor is %s", floor, req.After)
	}
	if err := s.awaitNews(r.Context(), req); err != nil {
		return err
	}
	if err := s.tellReached(w, r); err != nil {
		return err
	}
	out, done, err := s.compressed(w, r)
	if err != nil {
		return err
	}
	p := page{s: s, req: req, enc: feed.NewEncoder(out), flush: out.flush, source: "child:" + callerOf(r.Context()).ID, head: r.Header.Get(sawHeader)}
	end, err := p.write(r.Context())
	if err != nil {
		if p.begun {
			_ = p.enc.Fail(err) // the status is gone; the stream says it
			return done()
		}
		return err
	}
	end.Limit = s.engine.Limit()
	for _, k := range p.known {
		if err := p.enc.Known(k); err != nil {
			return err
		}
	}
	if err := p.enc.End(end); err != nil {
		return err
	}
	return done()
}

// awaitNews returns when the log has something behind the cursor, or the time is up.
func (s *Server) awaitNews(ctx context.Context, req feed.Request) error {
	if req.Wait == 0 {
		return nil
	}
	t := time.NewTimer(time.Duration(req.Wait) * time.Millisecond)
	defer t.Stop()
	for {
		news := s.engine.Store().News()
		head, err := s.engine.Store().Head(ctx)
		if err != nil || head.Seq > req.After.Seq {
			return err
		}
		select {
		case <-news:
		case <-t.C:
			return nil
		case <-s.stopping:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// page writes one page of the compact feed.
type page struct {
	s      *Server
	req    feed.Request
	enc    *feed.Encoder
	flush  func() error
	source string // whose changes the reader has, because it sent them; empty where it asked for what it lacks
	begun  bool
	named  map[version.Replica]bool
	end    feed.End
	known  []feed.Known
	bytes  int
	head   string // of the log, as the reader remembers it
	told   string // as it is now
}

func (p *page) write(ctx context.Context) (feed.End, error) {
	p.named = map[version.Replica]bool{}
	p.end.Cursor = p.req.After
	for left := p.req.Limit; left > 0 && p.bytes < maxPage; {
		rows, err := p.read(ctx, min(left, rowsAtOnce))
		if err != nil {
			return p.end, err
		}
		if err := p.tell(); err != nil {
			return p.end, err
		}
		if err := p.names(ctx, rows); err != nil {
			return p.end, err
		}
		for _, row := range rows {
			p.begun = true
			if err := p.row(row); err != nil {
				return p.end, err
			}
		}
		if err := p.flush(); err != nil {
			return p.end, err
		}
		if !p.end.More {
			break
		}
		left -= rowsAtOnce
	}
	return p.end, nil
}

func (p *page) read(ctx context.Context, limit int) ([]store.Row, error) {
	var rows []store.Row
	err := p.s.engine.Store().Read(ctx, func(r *store.Reader) error {
		rows = rows[:0]
		upTo, more, passed, err := r.Changes(p.end.Cursor.Seq, p.req.Types, limit, func(row store.Row) error {
			rows = append(rows, row)
			return nil
		})
		if err != nil {
			return err
		}
		floor, err := r.Floor()
		if err != nil {
			return err
		}
		if p.end.Cursor.Seq < floor { // collected since it was asked for, which happens to a reader that nothing waits for
			return syncerr.New(syncerr.EpochChanged, "read changes", "the log up to %d is not kept any more, the cursor is at %d", floor, p.end.Cursor.Seq)
		}
		head, err := r.Head()
		if err != nil {
			return err
		}
		if p.told, err = p.s.told(r); err != nil {
			return err
		}
		p.end.Cursor.Seq, p.end.More, p.end.Backlog = upTo, more, head-upTo
		p.end.Skipped += passed
		if !more && p.req.Tell { // in this very snapshot: what is told stands behind what the page has
			p.known, p.end.Revision, err = r.KnowledgeSince(p.req.Types, p.req.Known, false)
		}
		return err
	})
	return rows, err
}

func (p *page) names(ctx context.Context, rows []store.Row) error {
	var unknown []version.Replica
	for _, row := range rows {
		if a := row.Stamp.Author; !p.named[a] {
			p.named[a] = true
			unknown = append(unknown, a)
		}
	}
	if unknown == nil {
		return nil
	}
	names, err := p.s.engine.Store().Names(ctx, unknown)
	if err != nil {
		return err
	}
	for _, n := range names {
		p.begun = true
		if err := p.enc.Name(n); err != nil {
			return err
		}
	}
	return nil
}

// tell lets the reader remember the head of the log that it is read from, before it takes anything of it.
func (p *page) tell() error {
	if p.told == "" || p.told == p.head {
		return nil
	}
	p.head, p.begun = p.told, true
	return p.enc.Head(p.told)
}

func (p *page) row(row store.Row) error {
	sent := p.source != "" && row.Source == p.source
	if sent || len(row.Content) > p.req.Inline || slices.Contains(p.req.Bare, row.Key.Type) {
		row.Content = nil
	}
	p.bytes += len(row.Content)
	return p.enc.Event(row.Event)
}

// syncTake accepts what a child pushes and answers with receipts.
func (s *Server) syncTake(w http.ResponseWriter, r *http.Request) error {
	c := callerOf(r.Context())
	body, err := s.bodyOf(w, r, maxPushed)
	if err != nil {
		return err
	}
	defer body.Close()
	b := engine.Batch{Link: engine.Link{Peer: c.Name, Child: c.ID, ClientName: "node"}}
	if b.Head, err = store.ParseLogHead(r.Header.Get("Tributary-Head")); err != nil {
		return err
	}
	if c.Kind != Child {
		return syncerr.New(syncerr.Denied, "push", "only a child may push").WithHint("Use the credential that `tributary child add` printed")
	}
	d := feed.NewDecoder(body, feed.DefaultMaxLine)
	for done := false; !done; {
		line, err := d.Next()
		if err != nil {
			return s.impossible(r, "read pushed changes", err)
		}
		switch {
		case line.End != nil:
			done = true
		case line.Name != nil:
			b.Names = append(b.Names, *line.Name)
		case line.Event != nil:
			b.Events = append(b.Events, *line.Event)
		case line.Known != nil:
			if b.Known, err = adding(b.Known, *line.Known); err != nil {
				return s.impossible(r, "read pushed changes", err)
			}
		}
		if len(b.Events) > maxEvents {
			return syncerr.New(syncerr.TooLarge, "push", "more than %d changes in a batch", maxEvents)
		}
	}
	receipts, err := s.engine.Accept(r.Context(), b)
	if err != nil {
		return err
	}
	head, err := s.engine.Store().Head(r.Context())
	if err != nil {
		return err
	}
	err = s.engine.Store().Read(r.Context(), func(rd *store.Reader) error {
		told, err := s.told(rd)
		w.Header().Set(headHeader, told)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.tellReached(w, r); err != nil {
		return err
	}
	out, done, err := s.compressed(w, r)
	if err != nil {
		return err
	}
	if err := feed.WriteReceipts(out, receipts, feed.End{Cursor: head, Limit: s.engine.Limit()}); err != nil {
		return err
	}
	return done()
}

// bodyOf returns a body as it was before it was compressed, bounded in size and in the memory it asks for.
func (s *Server) bodyOf(w http.ResponseWriter, r *http.Request, limit int64) (io.ReadCloser, error) {
	switch enc := r.Header.Get("Content-Encoding"); enc {
	case "":
		return http.MaxBytesReader(w, r.Body, limit), nil
	case "zstd":
		z, err := s.deps.Pool.Decoder(r.Body)
		if err != nil {
			return nil, err
		}
		return http.MaxBytesReader(w, z, limit), nil
	default:
		return nil, syncerr.New(syncerr.Unsupported, "read pushed changes", "the encoding %.40q is not spoken here", enc).WithHint("Use zstd or none")
	}
}

// syncFetch serves contents by key and version: what a feed left out. Where a version is gone it gives the current one.
func (s *Server) syncFetch(w http.ResponseWriter, r *http.Request) error {
	refs, err := feed.ReadRefs(http.MaxBytesReader(w, r.Body, 1<<20), 64<<10, 1000)
	if err != nil {
		return err
	}
	out, done, err := s.compressed(w, r)
	if err != nil {
		return err
	}
	enc := feed.NewEncoder(out)
	for _, ref := range refs {
		var row store.Row
		found := false
		err := s.engine.Store().Read(r.Context(), func(rd *store.Reader) error {
			var err error
			row, found, err = rd.Event(ref)
			return err
		})
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		row.Seq = 0 // in the order of the references, which is not that of the log
		if err := enc.Event(row.Event); err != nil {
			return err
		}
	}
	if err := enc.End(feed.End{Limit: s.engine.Limit()}); err != nil {
		return err
	}
	return done()
}

// writer is a response body that may be compressed.
type writer struct {
	io.Writer
	flush func() error
}

// compressed starts a response of lines, compressed where the caller takes zstd. done ends it.
func (s *Server) compressed(w http.ResponseWriter, r *http.Request) (out writer, done func() error, err error) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	push := func() error {
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		return nil
	}
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "zstd") {
		return writer{Writer: w, flush: push}, func() error { return nil }, nil
	}
	w.Header().Set("Content-Encoding", "zstd")
	z, err := s.deps.Pool.Encoder(w)
	if err != nil {
		return writer{}, nil, err
	}
	flush := func() error {
		if err := z.Flush(); err != nil {
			return err
		}
		return push()
	}
	end := func() error {
		err := z.Close()
		s.deps.Pool.Put(z)
		return err
	}
	return writer{Writer: z, flush: flush}, end, nil
}
