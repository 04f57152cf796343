// Package pull owns one pull pass: the parent's feed is read from the cursor on, contents that the feed left out are fetched,
// and each batch is given to engine.Accept together with the cursor behind it. It decides nothing.
package pull

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// Config says what a puller reads and how.
type Config struct {
	Types     []string          // resource types wanted; nil for all
	Follows   func(string) bool // types that this node pushes, for which the parent decides
	Batch     int               // events in a batch
	Inline    int               // contents up to that many bytes come with the event
	Bare      []string          // resource types whose contents another client than the feed's moves
	Fetch     bool              // the parent is asked for what copies refer to that never was here, before they are taken
	ParentURL string
	Clock     func() time.Time
}

// Parent is the other end: its feed, its contents, and who it is.
type Parent struct {
	Source feedreader.Source
	Lister feedreader.Lister
	// Knowledge and Digest tell what the parent knows and has, for a full comparison; nil where it cannot tell.
	Knowledge func(ctx context.Context, types []string) ([]feed.Known, error)
	Digest    func(ctx context.Context, q feed.DigestQuery) ([]feed.Part, error)
	Manager   *resourcemanager.Manager
	// Restored is told what shows that this node's database is an older copy of itself. It returns an EpochChanged error after it gave
	// the node a new identity.
	Restored func(ctx context.Context, why error) error
	Hello    func(ctx context.Context) (feed.Peer, error)
	Saw      func() string // the parent's log head that it told last; nil where it tells none
	Traffic  func() (in, out int64)
}

// Puller pulls from one parent. Pass may be called by one goroutine at a time.
type Puller struct {
	eng    *engine.Engine
	parent Parent
	cfg    Config
	mu     sync.Mutex
}

// New returns a puller.
func New(eng *engine.Engine, parent Parent, cfg Config) *Puller {
	if cfg.Batch <= 0 {
		cfg.Batch = 500
	}
	if cfg.Inline <= 0 {
		cfg.Inline = 64 << 10
	}
	return &Puller{eng: eng, parent: parent, cfg: cfg}
}

// pagesAhead is how many batches one exchange may bring: the parent prepares the next while this node commits one.
const pagesAhead = 10

// Pass reads the parent's feed to its end. The parent may hold the first exchange open for wait until there is news. It returns
// the counts of the pass, a zero Run where nothing came. After an error the cursor stands behind the last batch that was
// committed; Retry of the error's Kind says whether the same pass may go on later by itself.
func (p *Puller) Pass(ctx context.Context, wait time.Duration) (audit.Run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &pass{Puller: p, Pass: p.eng.Begin("pull", p.cfg.ParentURL, p.cfg.Clock, p.parent.Traffic)}
	err := s.all(ctx, wait)
	for again := 0; again < 2 && syncerr.KindOf(err) == syncerr.EpochChanged; again++ {
		err = s.all(ctx, wait) // one of both has another log than it had, or both have: begin with who they are
	}
	return s.Close(ctx, err)
}

// pass is one run of Pass.
type pass struct {
	*Puller
	*engine.Pass
	pos    store.Position
	stored store.Position // what the database has of pos
}

func (s *pass) all(ctx context.Context, wait time.Duration) error {
	var err error
	if s.pos, err = s.eng.Store().Position(ctx, "parent", "pull"); err != nil {
		return err
	}
	s.stored = s.pos
	peer, err := s.parent.Hello(ctx) // the first thing of all: it may tell this node that it is not what it was
	if err != nil {
		return err
	}
	if err := s.fit(ctx, peer.Epoch); err != nil {
		return err
	}
	if err := s.release(ctx); err != nil {
		return err
	}
	if err := s.retryParked(ctx); err != nil {
		return err
	}
	for met := false; ; {
		more, err := s.some(ctx, wait)
		if err != nil && syncerr.KindOf(err) == syncerr.EpochChanged && !met {
			met = true
			if err := s.anew(ctx, err); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if wait = 0; !more {
			return s.eng.DecideHolds(ctx, s.link())
		}
	}
}

// some reads a page of the feed, or of a catch-up where one is not at its end.
func (s *pass) some(ctx context.Context, wait time.Duration) (more bool, err error) {
	if s.pos.Resume != "" {
		return true, s.catchUp(ctx)
	}
	end, err := s.page(ctx, wait)
	return end.More, err
}

// scope names what is read for; a cursor of another scope does not fit.
func (s *pass) scope() string {
	if s.cfg.Types == nil {
		return "*"
	}
	return strings.Join(slices.Sorted(slices.Values(s.cfg.Types)), ",")
}

func (s *pass) link() engine.Link {
	return engine.Link{
		Peer: s.Run.Peer, Epoch: s.pos.Epoch, Follows: s.cfg.Follows, ParentURL: s.cfg.ParentURL, Client: s.parent.Manager.Name, Run: s.Run.ID,
	}
}

func (s *pass) page(ctx context.Context, wait time.Duration) (feed.End, error) {
	req := feed.Request{
		After: s.pos.Cursor, Types: s.cfg.Types, Limit: s.cfg.Batch * pagesAhead, Inline: s.cfg.Inline, Bare: s.cfg.Bare, Wait: int(wait / time.Millisecond),
		Tell: true, Known: s.pos.Revision,
	}
	r := feedreader.Reader{Source: s.parent.Source, Events: s.cfg.Batch}
	return r.Page(ctx, req, func(b feedreader.Batch) error { return s.batch(ctx, b) })
}

func (s *pass) batch(ctx context.Context, b feedreader.Batch) error {
	next := store.Position{Cursor: b.Cursor, Scope: s.pos.Scope, Backlog: b.Backlog, Revision: max(s.pos.Revision, b.Revision)}
	if next.Updated = s.pos.Updated; len(b.Events) == 0 && next == s.stored {
		return nil
	}
	if len(b.Events) > 0 {
		if err := s.Open(ctx); err != nil {
			return err
		}
		if err := s.complete(ctx, b.Events); err != nil {
			return err
		}
	}
	return s.take(ctx, engine.Batch{Events: b.Events, Names: b.Names, Known: b.Known, Position: &next})
}

// take gives a batch to the engine.
func (s *pass) take(ctx context.Context, b engine.Batch) error {
	if ahead, err := s.eng.Store().CheckKnown(ctx, b.Known); ahead {
		return s.parent.Restored(ctx, err)
	}
	var err error
	if b.Events, err = s.referenced(ctx, b.Events); err != nil {
		return err
	}
	b.Link, b.Run = s.link(), s.Counts()
	if s.parent.Saw != nil {
		b.Saw = s.parent.Saw()
	}
	if _, err := s.eng.Accept(ctx, b); err != nil {
		return err
	}
	s.pos, s.stored = *b.Position, *b.Position
	return nil
}

// complete fetches the contents that the feed left out and that are needed. What the parent no longer has under that version
// it gives in its current one.
func (s *pass) complete(ctx context.Context, events []feed.Event) error {
	for i := range events {
		if slices.Contains(s.cfg.Bare, events[i].Key.Type) {
			events[i].Content = nil // the feed may have brought it all the same
		}
	}
	refs, err := s.eng.Lacking(ctx, events)
	if err != nil || len(refs) == 0 {
		return err
	}
	got := map[fhir.Key]feed.Event{}
	for len(refs) > 0 {
		n := min(len(refs), 50)
		part, err := s.parent.Manager.Fetch(ctx, refs[:n])
		if err != nil {
			return err
		}
		for _, ev := range part {
			got[ev.Key] = ev
		}
		refs = refs[n:]
	}
	for i, ev := range events {
		g, ok := got[ev.Key]
		switch {
		case !ok || ev.Content != nil || ev.Stamp.Deleted:
		case g.Stamp.Version == ev.Stamp.Version:
			events[i].Content = g.Content
		case ev.Unit == "" && g.Stamp.Vector.Contains(ev.Stamp.Version):
			events[i].Stamp, events[i].Content, events[i].Action = g.Stamp, g.Content, g.Action
		}
	}
	return nil
}

// retryParked tries again what is due: each unit or single event as it came, with a fresh content from the parent.
func (s *pass) retryParked(ctx context.Context) error {
	due, err := s.eng.Store().Parked(ctx, store.ParkedFilter{Direction: "pull", Peer: "parent", DueBy: s.cfg.Clock().UnixMilli(), Limit: 200})
	if err != nil || len(due) == 0 {
		return err
	}
	if err := s.Open(ctx); err != nil {
		return err
	}
	for i := 0; i < len(due); {
		n := i + 1
		for due[i].Unit != "" && n < len(due) && due[n].Unit == due[i].Unit {
			n++
		}
		var events []feed.Event
		for _, d := range due[i:n] {
			ev := d.Event()
			ev.Content = nil
			events = append(events, ev)
		}
		if err := s.complete(ctx, events); err != nil {
			return err
		}
		for j := range events {
			if events[j].Content == nil {
				events[j].Content = due[i+j].Content
			}
		}
		if events, err = s.referenced(ctx, events); err != nil {
			return err
		}
		link := s.link()
		link.Epoch = due[i].Cursor.Epoch // the log that delivered it: under another one the parent may lack it by now
		if _, err := s.eng.Accept(ctx, engine.Batch{Link: link, Events: events, Run: s.Counts()}); err != nil {
			return err
		}
		i = n
	}
	return nil
}
