package sdata

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Target is an endpoint that changes are pushed to.
type Target interface {
	Endpoint
	// Push gives a page of immediate changes. It returns an Invalid error where the target lacks changes before them.
	Push(ctx context.Context, resourceType string, run Run, page []byte) ([]byte, error)
	Traffic() (in, out int64)
}

// PushConfig says what is pushed, and to whom.
type PushConfig struct {
	Name  string   // by which operators call the target, and its place in the log stands
	Types []string // as fhir.Selected takes them; nil for all
	Every time.Duration
	Clock func() time.Time
}

// Pusher pushes the changes of this node to a target at once, in the order in which they were written (5.8). What the target cannot take because it
// lacks something before, and everything now and then, goes by a catch-up pass: immediate changes are a best effort.
type Pusher struct {
	server *Server
	target Target
	cfg    PushConfig
	mu     sync.Mutex
	mark   string    // on rows of the log that came from the target; empty before its digest was read
	caught time.Time // when the last catch-up ended; zero before the first of this process
}

// NewPusher returns a pusher of a server's node.
func NewPusher(s *Server, target Target, cfg PushConfig) *Pusher {
	return &Pusher{server: s, target: target, cfg: cfg}
}

// pushRows is how many rows of the log go in a page.
const pushRows = 100

// Pass pushes what was written since the last one. It returns the counts, a zero Run where there was nothing to do. After an error the place in the
// log stands behind the last page that the target answered.
func (p *Pusher) Pass(ctx context.Context) (audit.Run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &pushing{Pusher: p, Pass: p.server.eng.Begin(engine.Immediate, p.cfg.Name, p.cfg.Clock, p.target.Traffic)}
	return s.Close(ctx, s.all(ctx))
}

// pushing is one run of Pass.
type pushing struct {
	*Pusher
	*engine.Pass
	pos store.Position
}

func (s *pushing) run() Run {
	return Run{Name: "push to " + s.cfg.Name, Stamp: s.Run.ID}
}

func (s *pushing) all(ctx context.Context) error {
	st := s.server.eng.Store()
	var err error
	if s.pos, err = st.Position(ctx, s.cfg.Name, "push"); err != nil {
		return err
	}
	scope, epoch := strings.Join(s.cfg.Types, ","), st.Identity().Epoch
	due := s.caught.IsZero() || s.cfg.Every > 0 && s.cfg.Clock().Sub(s.caught) >= s.cfg.Every
	if due || s.pos.Epoch != epoch || s.pos.Scope != scope {
		if err := s.catchUpAll(ctx, store.Position{Scope: scope, Cursor: feed.Cursor{Epoch: epoch}}); err != nil {
			return err
		}
	}
	for {
		var rows []store.Row
		upTo, err := st.Written(ctx, s.pos.Seq, pushRows, func(r store.Row) error {
			rows = append(rows, r)
			return nil
		})
		if err != nil || upTo == s.pos.Seq {
			return err
		}
		if err := s.pages(ctx, rows); err != nil {
			return err
		}
		s.pos.Seq = upTo
		if err := s.save(ctx); err != nil {
			return err
		}
	}
}

func (s *pushing) save(ctx context.Context) error {
	return s.server.eng.Store().Write(ctx, func(tx *store.Tx) error { return tx.SetPosition(s.cfg.Name, "push", s.pos) })
}

// catchUpAll runs catch-up passes over all types; the place in the log is that from before them.
func (s *pushing) catchUpAll(ctx context.Context, next store.Position) error {
	head, err := s.server.eng.Store().Head(ctx)
	if err != nil {
		return err
	}
	kinds, err := Local{s.server}.Kinds(ctx)
	if err != nil {
		return err
	}
	for _, k := range kinds {
		if fhir.Selected(s.cfg.Types, k) {
			if err := s.catchUp(ctx, k); err != nil {
				return err
			}
		}
	}
	next.Seq = head.Seq
	s.pos, s.caught = next, s.cfg.Clock()
	return s.save(ctx)
}

// catchUp runs a catch-up pass over a type.
func (s *pushing) catchUp(ctx context.Context, resourceType string) error {
	digest, err := s.target.Digest(ctx, resourceType)
	if err != nil {
		return err
	}
	g, err := ReadDigest(digest)
	if err != nil {
		return err
	}
	s.mark = "child:" + sourceMark(g.Origin)
	if lacks, err := s.lacks(ctx, resourceType, g); err != nil || !lacks {
		return err
	}
	if err := s.Open(ctx); err != nil {
		return err
	}
	n, err := Runner{Source: Local{s.server}, Target: s.target, Run: s.run()}.Pass(ctx, resourceType)
	return errors.Join(err, s.count(ctx, n.Entries, n.Failed))
}

// know finds out which rows of the log came from the target, if it is not known yet.
func (s *pushing) know(ctx context.Context, resourceType string) error {
	if s.mark != "" {
		return nil
	}
	digest, err := s.target.Digest(ctx, resourceType)
	if err != nil {
		return err
	}
	g, err := ReadDigest(digest)
	s.mark = "child:" + sourceMark(g.Origin)
	return err
}

// lacks reports whether a target with a digest can lack something that is here, so that nothing is said where nothing is to be done.
func (s *pushing) lacks(ctx context.Context, resourceType string, g Digest) (bool, error) {
	mine, err := s.server.knownHere(ctx, resourceType)
	if err != nil {
		return false, err
	}
	theirs, err := g.known(resourceType)
	return g.Known == nil || len(theirs.Lacks) > 0 || len(mine.Lacks) > 0 || !theirs.Vector.ContainsAll(mine.Vector), err
}

func (s *pushing) count(ctx context.Context, entries, failed int) error {
	if run := s.Counts(); run != nil {
		run.Read += int64(entries)
		run.Applied += int64(entries - failed)
		run.Parked += int64(failed)
		return s.server.eng.Store().Write(ctx, func(tx *store.Tx) error { return tx.SaveRun(*run) })
	}
	return nil
}

// pages pushes rows as they were written: those of one type that stand together in a page.
func (s *pushing) pages(ctx context.Context, rows []store.Row) error {
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].Key.Type == rows[0].Key.Type {
			n++
		}
		if err := s.page(ctx, rows[0].Key.Type, rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (s *pushing) page(ctx context.Context, resourceType string, rows []store.Row) error {
	out := Feed{
		ID: collection(s.server.cfg.URL, resourceType) + "/$syncSource", Title: resourceType + " immediate synchronization", Updated: s.cfg.Clock().UnixMilli(),
		Mode: version.Immediate,
	}
	if err := s.know(ctx, resourceType); err != nil {
		return err
	}
	var g Digest
	err := s.server.eng.Store().Read(ctx, func(r *store.Reader) error {
		urls, err := r.Endpoints()
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.Source == s.mark || !row.Stamp.Deleted && row.Content == nil || !fhir.Selected(s.cfg.Types, resourceType) {
				continue // what the target sent itself; a content that was collected since
			}
			out.Entries = append(out.Entries, entryOf(s.server.cfg.URL, urls, row, true))
		}
		k, err := known(r, resourceType)
		if err != nil {
			return err
		}
		g, err = s.server.digestOf(r, k)
		return err
	})
	if err != nil || len(out.Entries) == 0 {
		return err
	}
	out.Digest = &g
	if err := s.Open(ctx); err != nil {
		return err
	}
	results, err := s.target.Push(ctx, resourceType, s.run(), WriteFeed(out))
	if syncerr.KindOf(err) == syncerr.Invalid {
		return s.catchUp(ctx, resourceType)
	}
	if err != nil {
		return err
	}
	f, err := ReadFeed(results)
	if err != nil {
		return err
	}
	failed := 0
	for _, e := range f.Entries {
		if e.Outcome.Status >= 400 {
			failed++
		}
	}
	return s.count(ctx, len(out.Entries), failed)
}
