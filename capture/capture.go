// Package capture owns the exchange with a server that knows no stamps: a FHIR server or an OpenMRS beside the node. What the server
// changed becomes changes of this node (Pull), and what this node has is given to the server (Push). It decides nothing: engine compares by
// what the server was last seen to have.
//
// Data flows one way in each pass. Pull: the server's feed, then its documents, then engine.Capture with the place in the feed. Push: the
// own log, then engine.Offers, then the server, then engine.Gave with the place in the log. Where the server has changed what is offered,
// that key is captured first and offered again.
package capture

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// Config says what is exchanged with a server.
type Config struct {
	Name   string // by which operators and priorities call it
	URL    string
	Pulls  []string // resource types that are read from it, as fhir.Selected takes them
	Pushes []string // resource types that are given to it
	Client func(resourceType string) string
	Batch  int // documents in an exchange, 0 for 100
	Absent Absent
	ByHash bool // the server's tags say nothing: contents are compared whatever they are
	Clock  func() time.Time
}

// Server is the other end.
type Server struct {
	Source  feedreader.Foreign // how its changes are found; nil where nothing is read
	Remote  func(resourceType string) (resourcemanager.Remote, error)
	Traffic func() (in, out int64)
}

// Link exchanges with one server. One pass runs at a time, whoever calls: what the server makes of a document that it was given must not
// be taken for a change of its own before it is noted.
type Link struct {
	eng    *engine.Engine
	server Server
	cfg    Config
	mu     sync.Mutex
}

// New returns a link.
func New(eng *engine.Engine, server Server, cfg Config) *Link {
	if cfg.Batch <= 0 {
		cfg.Batch = 100
	}
	return &Link{eng: eng, server: server, cfg: cfg}
}

// pass is one run of Pull or Push.
type pass struct {
	*Link
	*engine.Pass
	pos  store.Position
	had  int // documents that the server had when the first deletion of this pass was told
	gone int // deletions of this pass
}

func (l *Link) begin(direction string) *pass {
	return &pass{Link: l, Pass: l.eng.Begin(direction, l.cfg.Name, l.cfg.Clock, l.server.Traffic)}
}

func (s *pass) link() engine.Link {
	return engine.Link{Peer: s.cfg.Name, Server: s.cfg.Name, ParentURL: s.cfg.URL, Client: s.cfg.Client, Run: s.Run.ID}
}

// Pull captures what the server changed since the last pass, and tries again what was parked and is due. It returns the counts, a zero Run
// where there was nothing new. After an error the same page is read again.
func (l *Link) Pull(ctx context.Context) (audit.Run, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.begin(engine.Captures)
	return s.Close(ctx, s.pull(ctx))
}

func (s *pass) pull(ctx context.Context) error {
	if s.server.Source == nil {
		return nil
	}
	var err error
	if s.pos, err = s.eng.Store().Position(ctx, s.cfg.Name, "pull"); err != nil {
		return err
	}
	if scope := strings.Join(slices.Sorted(slices.Values(s.cfg.Pulls)), ","); scope != s.pos.Scope {
		s.pos = store.Position{Scope: scope} // other types: from the beginning
	}
	if err := s.retry(ctx, "pull", s.recapture); err != nil {
		return err
	}
	for {
		var items []feedreader.Item
		next, more, err := s.server.Source.Changes(ctx, s.pos.Resume, func(it feedreader.Item) error {
			if !fhir.Selected(s.cfg.Pulls, it.Key.Type) {
				return nil
			}
			if items = append(items, it); len(items) < s.cfg.Batch {
				return nil
			}
			full := items
			items = nil
			return s.capture(ctx, full, nil)
		})
		if err != nil {
			return err
		}
		at := s.pos
		at.Resume = next
		if whole, ok := s.server.Source.(feedreader.Whole); ok && !more {
			if err := s.capture(ctx, items, nil); err != nil {
				return err
			}
			items = nil
			if err := s.absent(ctx, whole); err != nil {
				return err // the place stays, so that it is said again until it is well
			}
		}
		if err := s.capture(ctx, items, &at); err != nil {
			return err
		}
		if s.pos = at; !more {
			return nil
		}
	}
}

// capture reads what the items leave out and gives what is news to the engine, with the place behind them.
func (s *pass) capture(ctx context.Context, items []feedreader.Item, at *store.Position) error {
	items, err := s.untagged(ctx, items)
	if err != nil {
		return err
	}
	if err := s.likely(ctx, items); err != nil {
		return err
	}
	found, err := s.read(ctx, items)
	if err != nil {
		return err
	}
	if found, err = s.eng.Unseen(ctx, s.cfg.Name, found); err != nil {
		return err
	}
	if len(found) == 0 && (at == nil || *at == s.pos) {
		return nil
	}
	if len(found) > 0 {
		if err := s.Open(ctx); err != nil {
			return err
		}
	}
	return s.eng.Capture(ctx, engine.Capture{Link: s.link(), Items: found, Position: at, Run: s.Counts()})
}

// untagged returns the last item of each key, without those that tell of no change: their tag is known, or they tell of the end of what was never
// seen, such as what OpenMRS refused halfway.
func (s *pass) untagged(ctx context.Context, items []feedreader.Item) ([]feedreader.Item, error) {
	seen := map[fhir.Key]bool{}
	var last []feedreader.Item
	for _, it := range slices.Backward(items) {
		if !seen[it.Key] {
			seen[it.Key] = true
			last = append(last, it)
		}
	}
	slices.Reverse(last)
	var out []feedreader.Item
	err := s.eng.Store().Read(ctx, func(r *store.Reader) error {
		for _, it := range last {
			base, known, err := r.ServerCopy(s.cfg.Name, it.Key)
			if err != nil {
				return err
			}
			switch {
			case !known && it.Deleted && it.Tag == "": // it was purged before it was ever seen there: absence is no deletion
			case it.Err != nil:
				waits, err := r.IsParked(s.cfg.Name, "pull", it.Key)
				if err != nil {
					return err
				}
				if !waits { // once is enough: it is looked at again when its time has come
					out = append(out, it)
				}
			case !known || it.Tag == "" || it.Tag != base.Tag || it.Deleted != base.Deleted || s.cfg.ByHash && it.Content != nil:
				out = append(out, it)
			}
		}
		return nil
	})
	return out, err
}

// read gets the contents that items do not bring. What the server does not have at all is left out: absence is no deletion.
func (s *pass) read(ctx context.Context, items []feedreader.Item) ([]engine.Captured, error) {
	out := make([]engine.Captured, 0, len(items))
	var keys []fhir.Key
	for _, it := range items {
		if it.Content == nil && !it.Deleted && it.Err == nil {
			keys = append(keys, it.Key)
			continue
		}
		out = append(out, captured(it))
	}
	got, err := s.ask(ctx, keys)
	return append(out, got...), err
}

// captured is an item that brings its content, as the engine takes it.
func captured(it feedreader.Item) engine.Captured {
	c := engine.Captured{Key: it.Key, Tag: it.Tag, Content: it.Content, Deleted: it.Deleted, Seen: it.Seen, Made: it.Made, Alone: it.Alone, Err: it.Err}
	if !it.Modified.IsZero() {
		c.Modified = it.Modified.UnixMilli()
	}
	for _, rival := range it.Rivals {
		c.Rivals = append(c.Rivals, captured(rival))
	}
	return c
}

// ask reads the current copies of keys from the server.
func (s *pass) ask(ctx context.Context, keys []fhir.Key) ([]engine.Captured, error) {
	var out []engine.Captured
	err := s.byRemote(keys, func(remote resourcemanager.Remote, keys []fhir.Key) error {
		wants := make([]resourcemanager.Want, len(keys))
		for i, k := range keys {
			wants[i].Key = k
		}
		copies, bad, err := readable(ctx, remote, wants)
		if err != nil {
			return err
		}
		out = append(out, bad...)
		for _, c := range copies {
			if c.State == resourcemanager.Absent {
				continue
			}
			item := engine.Captured{Key: c.Key, Tag: c.Tag, Content: c.Content, Deleted: c.State == resourcemanager.Gone}
			if !c.Modified.IsZero() {
				item.Modified = c.Modified.UnixMilli()
			}
			out = append(out, item)
		}
		return nil
	})
	return out, err
}

// readable reads documents. One that cannot be read does not keep the others: it is returned with the reason.
func readable(ctx context.Context, remote resourcemanager.Remote, wants []resourcemanager.Want) ([]resourcemanager.Copy, []engine.Captured, error) {
	copies, err := remote.Read(ctx, wants)
	if err == nil || unavailable(err) {
		return copies, nil, err
	}
	var bad []engine.Captured
	copies = nil
	for _, w := range wants {
		one, err := remote.Read(ctx, []resourcemanager.Want{w})
		if unavailable(err) {
			return nil, nil, err
		}
		if err != nil {
			bad = append(bad, engine.Captured{Key: w.Key, Err: err})
			continue
		}
		copies = append(copies, one...)
	}
	return copies, bad, nil
}

// byRemote gives the keys of each client to fn together, in their order.
func (s *pass) byRemote(keys []fhir.Key, fn func(resourcemanager.Remote, []fhir.Key) error) error {
	var order []resourcemanager.Remote
	by := map[resourcemanager.Remote][]fhir.Key{}
	for _, k := range keys {
		remote, err := s.server.Remote(k.Type)
		if err != nil {
			return err
		}
		if _, ok := by[remote]; !ok {
			order = append(order, remote)
		}
		by[remote] = append(by[remote], k)
	}
	for _, remote := range order {
		for part := range slices.Chunk(by[remote], s.cfg.Batch) {
			if err := fn(remote, part); err != nil {
				return err
			}
		}
	}
	return nil
}

// retry gives the keys that are parked and due to try.
func (s *pass) retry(ctx context.Context, direction string, try func(context.Context, []fhir.Key) error) error {
	due, err := s.eng.Store().Parked(ctx, store.ParkedFilter{Direction: direction, Peer: s.cfg.Name, DueBy: s.cfg.Clock().UnixMilli(), Limit: 200})
	if err != nil || len(due) == 0 {
		return err
	}
	keys := make([]fhir.Key, len(due))
	for i, p := range due {
		keys[i] = p.Key
	}
	return try(ctx, keys)
}

// recapture asks for keys again and takes what the server has now, whatever is known of it.
func (s *pass) recapture(ctx context.Context, keys []fhir.Key) error {
	found, err := s.ask(ctx, keys)
	if err != nil {
		return err
	}
	if err := s.Open(ctx); err != nil {
		return err
	}
	return s.eng.Capture(ctx, engine.Capture{Link: s.link(), Items: found, Run: s.Counts()})
}

// unavailable reports whether an error says nothing about a document.
func unavailable(err error) bool {
	switch {
	case err == nil:
		return false
	case syncerr.KindOf(err) == syncerr.Invalid, syncerr.KindOf(err) == syncerr.TooLarge:
		return false
	}
	return true
}
