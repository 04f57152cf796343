package feedreader

import (
	"context"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// Lister lists what a knowledge does not contain. A peer is one.
type Lister interface {
	// CatchUp gives each line of a part of the list to take: names, copies, and marks from where the list can be resumed. Errors are
	// those of Source.Read.
	CatchUp(ctx context.Context, req feed.CatchUp, take func(feed.Line) error) (feed.End, error)
}

// Part is a part of a list that ends where it can be resumed: at Resume, or, for the last one, at Cursor in the lister's log.
type Part struct {
	Events []feed.Event
	Names  []feed.Name
	Resume string
	Cursor feed.Cursor
	Last   bool
}

// The bounds of what a lister may make this node hold: a correct one marks a place after 100 copies or 256 KiB of contents.
const (
	maxUnmarked = 64 << 20 // bytes of contents between two marks
	maxOpen     = 10_000   // copies between two marks
	maxPlace    = 300      // bytes of a place, as the table of cursors holds them
)

// List reads a page of a catch-up and gives its parts to flush. A part is bounded by bytes before count, as far as the marks of the lister
// allow. A page that is cut is used up to its last mark: that part is flushed, then the error is returned. Copies of other types than
// wanted, and a page that ends nowhere or somewhere else than its list began, are an Invalid error; more than this node should hold
// between two marks is a TooLarge one.
func (r Reader) List(ctx context.Context, l Lister, req feed.CatchUp, epoch string, flush func(Part) error) (more bool, err error) {
	c := collector{limit: r, flush: flush, wanted: fhir.Selection(req.Types)}
	end, err := l.CatchUp(ctx, req, c.take)
	if err != nil {
		if syncerr.KindOf(err) == syncerr.Transient && c.failed == nil && ctx.Err() == nil {
			if ferr := c.rest(); ferr != nil {
				return false, ferr
			}
		}
		return false, err
	}
	if end.More {
		if len(c.open) > 0 {
			return false, syncerr.New(syncerr.Invalid, "catch up", "the page has copies behind its last mark and is not the last one")
		}
		if c.last == "" || c.last == req.Resume {
			return false, syncerr.New(syncerr.Invalid, "catch up", "the page says that there is more and is not further than it was")
		}
		return true, c.rest()
	}
	if end.Cursor.Epoch != epoch {
		return false, syncerr.New(syncerr.Invalid, "catch up", "the list ends at %s, in another log", end.Cursor)
	}
	return false, flush(Part{Events: append(c.ready, c.open...), Names: append(c.readyNames, c.names...), Cursor: end.Cursor, Last: true})
}

// collector gathers copies up to marks.
type collector struct {
	limit  Reader
	flush  func(Part) error
	wanted func(resourceType string) bool

	ready      []feed.Event // up to the last mark
	readyNames []feed.Name
	open       []feed.Event // behind it
	names      []feed.Name
	last       string
	bytes      int // of contents since the last flush
	unmarked   int // of contents since the last mark
	failed     error
}

func (c *collector) take(l feed.Line) error {
	switch {
	case l.Name != nil:
		c.names = append(c.names, *l.Name)
	case l.Event != nil:
		if l.Event.Seq != 0 || l.Event.Unit != "" {
			c.failed = syncerr.New(syncerr.Invalid, "catch up", "%s stands in the list as change %d of a log: a list is of copies", l.Event.Key, l.Event.Seq)
		} else if !c.wanted(l.Event.Key.Type) {
			c.failed = syncerr.New(syncerr.Invalid, "catch up", "%s stands in the list, and its type was not asked for", l.Event.Key)
		}
		c.open, c.bytes, c.unmarked = append(c.open, *l.Event), c.bytes+len(l.Event.Content), c.unmarked+len(l.Event.Content)
		if c.failed == nil && (c.unmarked > maxUnmarked || len(c.open) > maxOpen) {
			c.failed = syncerr.New(syncerr.TooLarge, "catch up", "%d copies with %d bytes stand in the list, and no place from which it can be resumed", len(c.open), c.unmarked)
		}
	case l.Mark != nil && len(l.Mark.At) > maxPlace:
		c.failed = syncerr.New(syncerr.Invalid, "catch up", "a place in the list has %d bytes, at most %d are taken", len(l.Mark.At), maxPlace)
	case l.Mark != nil:
		c.ready, c.open = append(c.ready, c.open...), nil
		c.readyNames, c.names = append(c.readyNames, c.names...), nil
		c.last, c.unmarked = l.Mark.At, 0
		if max(c.limit.Events, 1) <= len(c.ready) || c.bytes >= 4<<20 {
			c.failed = c.rest()
		}
	}
	return c.failed
}

// rest flushes what stands before the last mark.
func (c *collector) rest() error {
	if c.last == "" {
		return nil
	}
	p := Part{Events: c.ready, Names: c.readyNames, Resume: c.last}
	c.ready, c.readyNames, c.bytes = nil, nil, 0
	return c.flush(p)
}
