// Package push owns one push pass: this node's own log is read from the cursor on, what the parent itself delivered is left out,
// the rest is sent in batches, and the parent's receipts are given to engine.Confirm together with the cursor. It decides
// nothing.
package push

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
	"github.com/tributary-sync/tributary/version"
)

// Config says what a pusher sends.
type Config struct {
	Types     []string          // resource types sent; nil for all
	Pulls     func(string) bool // resource types that come down from the parent; nil for all
	Batch     int               // changes in a batch
	ParentURL string
	Clock     func() time.Time
}

// Parent is the other end.
type Parent struct {
	Manager   *resourcemanager.Manager
	Knowledge func(ctx context.Context, types []string) ([]feed.Known, error) // nil where it cannot tell: everything is offered then
	// Restored is told what shows that this node's database is an older copy of itself. It returns an EpochChanged error after it gave
	// the node a new identity.
	Restored func(ctx context.Context, why error) error
	Hello    func(ctx context.Context) (feed.Peer, error)
	Ask      func(ctx context.Context) (feed.Peer, error) // Hello, asked anew; nil where that says nothing else
	Saw      func() string                                // the parent's log head that it told last; nil where it tells none
	Traffic  func() (in, out int64)
}

// Pusher pushes to one parent. Pass may be called by one goroutine at a time.
type Pusher struct {
	eng    *engine.Engine
	parent Parent
	cfg    Config
	mu     sync.Mutex
	told   map[fhir.Key]told // of the held keys
}

// New returns a pusher.
func New(eng *engine.Engine, parent Parent, cfg Config) *Pusher {
	if cfg.Batch <= 0 {
		cfg.Batch = 200
	}
	return &Pusher{eng: eng, parent: parent, cfg: cfg, told: map[fhir.Key]told{}}
}

// Pass sends what the parent lacks, up to the end of the own log. It returns the counts of the pass, a zero Run where there was
// nothing to do. After an error the cursor stands behind the last batch whose receipts were committed.
func (p *Pusher) Pass(ctx context.Context) (audit.Run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle, err := p.idle(ctx)
	if err != nil && syncerr.KindOf(err) != syncerr.EpochChanged || idle {
		return audit.Run{}, err
	}
	s := &pass{Pusher: p, Pass: p.eng.Begin("push", p.cfg.ParentURL, p.cfg.Clock, p.parent.Traffic)}
	err = s.all(ctx)
	for again := 0; again < 2 && syncerr.KindOf(err) == syncerr.EpochChanged; again++ {
		err = s.all(ctx) // one of both has another log than it had, or both have: who they are was forgotten, and is asked again
	}
	return s.Close(ctx, err)
}

// idle reports whether nothing has happened since the last pass: then there is no reason to wake the link.
func (p *Pusher) idle(ctx context.Context) (bool, error) {
	st := p.eng.Store()
	pos, err := st.Position(ctx, "parent", "push")
	if err != nil {
		return false, err
	}
	head, err := st.Head(ctx)
	if err != nil || pos.Cursor != head {
		return false, err
	}
	peer, err := p.parent.Hello(ctx) // asked once; again when the pull found that it has another log
	if err != nil || pos.Scope != peer.Epoch+"|"+p.scope() {
		return false, err
	}
	if news, err := st.UpRevision(ctx); err != nil || news > pos.Revision {
		return false, err
	}
	held, err := p.dueHolds(ctx, peer.Epoch)
	if err != nil || len(held) > 0 {
		return false, err
	}
	due, err := st.Parked(ctx, store.ParkedFilter{Direction: "push", Peer: "parent", DueBy: p.cfg.Clock().UnixMilli(), Limit: 1})
	return len(due) == 0, err
}

func (p *Pusher) scope() string {
	if p.cfg.Types == nil {
		return "*"
	}
	return strings.Join(slices.Sorted(slices.Values(p.cfg.Types)), ",")
}

// pass is one run of Pass.
type pass struct {
	*Pusher
	*engine.Pass
	peer  feed.Peer
	asked bool // anew, in this pass
	pos   store.Position
}

func (s *pass) link() engine.Link {
	return engine.Link{Peer: s.Run.Peer, Epoch: s.peer.Epoch, Pulls: s.cfg.Pulls, ParentURL: s.cfg.ParentURL, Client: s.parent.Manager.Name, Run: s.Run.ID}
}

func (s *pass) all(ctx context.Context) error {
	var err error
	if s.peer, err = s.parent.Hello(ctx); err != nil {
		return err
	}
	st := s.eng.Store()
	if s.pos, err = st.Position(ctx, "parent", "push"); err != nil {
		return err
	}
	s.fit(s.peer.Epoch+"|"+s.scope(), st.Identity().Epoch)
	if err := s.dirty(ctx); err != nil {
		return err
	}
	if err := s.retryParked(ctx); err != nil {
		return err
	}
	if err := s.catchUp(ctx); err != nil {
		return err
	}
	for {
		r := feedreader.Reader{Source: ownLog{store: st, epoch: s.peer.Epoch}, Events: s.cfg.Batch}
		req := feed.Request{After: s.pos.Cursor, Types: s.cfg.Types, Limit: rowsAtOnce, Tell: s.parent.Knowledge != nil, Known: s.pos.Revision}
		end, err := r.Page(ctx, req, func(b feedreader.Batch) error {
			next := store.Position{Cursor: b.Cursor, Scope: s.pos.Scope, Backlog: b.Backlog, Revision: max(s.pos.Revision, b.Revision)}
			return s.send(ctx, resourcemanager.Shipment{Events: b.Events, Names: b.Names, Known: b.Known}, &next)
		})
		if err != nil || !end.More {
			return err
		}
	}
}

// send delivers events and commits the receipts together with the cursor.
func (s *pass) send(ctx context.Context, what resourcemanager.Shipment, next *store.Position) error {
	d := engine.Delivery{Events: what.Events, Position: next}
	if len(what.Events) > 0 || len(what.Known) > 0 {
		if len(what.Events) > 0 {
			if err := s.Open(ctx); err != nil {
				return err
			}
		}
		if err := s.deliver(ctx, &d, what); err != nil {
			return err
		}
	} else if next != nil {
		if next.Updated = s.pos.Updated; *next == s.pos {
			return nil
		}
	}
	d.Link, d.Run = s.link(), s.Counts()
	if s.parent.Saw != nil {
		d.Saw = s.parent.Saw()
	}
	if err := s.eng.Confirm(ctx, d); err != nil {
		return err
	}
	if next != nil {
		s.pos = *next
	}
	return nil
}

// deliver sends what the parent can take and answers itself for what is over the parent's limit: sixteen megabytes are not
// carried over a slow link to be refused.
func (s *pass) deliver(ctx context.Context, d *engine.Delivery, what resourcemanager.Shipment) error {
	d.Receipts = make([]feed.Receipt, len(d.Events))
	var small []feed.Event
	var at []int
	known, err := s.excepting(ctx, what.Known)
	if err != nil {
		return err
	}
	large, err := s.large(ctx, d.Events)
	if err != nil {
		return err
	}
	for i, ev := range d.Events {
		if reason := large(ev); reason != nil {
			d.Receipts[i] = feed.Receipt{Key: ev.Key, Version: ev.Stamp.Version, Result: feed.Refused, Reason: reason.Error()}
			known = except(known, ev.Key, ev.Stamp)
			continue
		}
		small, at = append(small, ev), append(at, i)
	}
	if len(small) == 0 && len(known) == 0 {
		return nil
	}
	sent, err := s.parent.Manager.Send(ctx, resourcemanager.Shipment{Events: small, Names: what.Names, Known: known})
	if err != nil {
		return err
	}
	d.HTTPStatus = sent.Status
	for i, r := range sent.Receipts {
		d.Receipts[at[i]] = r
	}
	return nil
}

// large returns why an event is not sent, nil where it is: it is over the parent's limit, or another member of its transaction is. The limit may
// have been raised since it was told, and where nothing else is sent nothing tells it: it is asked once in a pass.
func (s *pass) large(ctx context.Context, events []feed.Event) (func(feed.Event) error, error) {
	over := func(ev feed.Event) bool { return s.peer.Limit > 0 && len(ev.Content) > s.peer.Limit }
	if slices.ContainsFunc(events, over) && !s.asked && s.parent.Ask != nil {
		peer, err := s.parent.Ask(ctx)
		if err != nil {
			return nil, err
		}
		if peer.Epoch != s.peer.Epoch {
			return nil, syncerr.New(syncerr.EpochChanged, "push", "the parent has another log since this pass began")
		}
		s.peer, s.asked = peer, true
	}
	units := map[string]error{}
	for _, ev := range events {
		if ev.Unit != "" && over(ev) {
			units[ev.Unit] = syncerr.New(syncerr.TooLarge, "push", "%s of its transaction has %d bytes, the parent takes %d", ev.Key, len(ev.Content), s.peer.Limit)
		}
	}
	return func(ev feed.Event) error {
		if over(ev) {
			return syncerr.New(syncerr.TooLarge, "push", "%d bytes, the parent takes %d", len(ev.Content), s.peer.Limit)
		}
		return units[ev.Unit]
	}, nil
}

func (p *Pusher) pushes(resourceType string) bool {
	return fhir.Selected(p.cfg.Types, resourceType)
}

func (p *Pusher) current(ctx context.Context, k fhir.Key) (feed.Event, bool, error) {
	var ev feed.Event
	found := false
	err := p.eng.Store().Read(ctx, func(r *store.Reader) error {
		row, ok, err := r.Event(feed.Ref{Key: k})
		ev, found = row.Event, ok
		ev.Unit, ev.UnitSize = "", 0
		return err
	})
	return ev, found, err
}

func (s *pass) sendNamed(ctx context.Context, events []feed.Event) error {
	names, err := s.names(ctx, events)
	if err != nil {
		return err
	}
	return s.send(ctx, resourcemanager.Shipment{Events: events, Names: names}, nil)
}

// names returns the node names of the authors of events.
func (s *pass) names(ctx context.Context, events []feed.Event) ([]feed.Name, error) {
	authors := make([]version.Replica, 0, len(events))
	for _, ev := range events {
		authors = append(authors, ev.Stamp.Author)
	}
	return s.eng.Store().Names(ctx, authors)
}
