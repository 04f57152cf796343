// Package feedreader reads a feed of events wherever it comes from: it pages, checks the order, drops what is not wanted and cuts
// the stream into batches of which every one ends where a cursor may stand. It applies nothing.
package feedreader

import (
	"context"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// Source is a feed that can be read from a cursor. A peer's compact feed and the node's own log are sources.
type Source interface {
	// Read gives each line behind req.After to take, in the order of their sequence, and returns the line that closes the page.
	// An error of take stops it and is returned as it is. Where the stream is cut, all whole lines were given and the error is
	// Transient. A cursor of another epoch is an EpochChanged error.
	Read(ctx context.Context, req feed.Request, take func(feed.Line) error) (feed.End, error)
}

// Batch is a part of a page that ends where a cursor may stand: never inside a unit.
type Batch struct {
	Events  []feed.Event
	Names   []feed.Name
	Cursor  feed.Cursor
	Backlog uint64 // rows left in the log behind the last page; 0 within a page
	Last    bool   // the page is complete
	// Known is what the source knows, in the last batch of a page that ends its log; Revision is the revision of it, 0 where none was told.
	Known    []feed.Known
	Revision uint64
}

// Reader cuts what a source gives into batches.
type Reader struct {
	Source Source
	Events int // events in a batch at most, 0 for 500
	Bytes  int // bytes of content in a batch at most, 0 for 4 MiB
}

// Page reads one page and gives its batches to flush. A batch is bounded by bytes before count; one resource or unit above that
// goes alone. A cut page is used up to its last whole line or unit: that batch is flushed, then the error is returned. Events
// of other types than wanted or out of order are an Invalid error, and nothing behind the last
// flushed batch counts as read.
func (r Reader) Page(ctx context.Context, req feed.Request, flush func(Batch) error) (feed.End, error) {
	c := cutter{limit: r, flush: flush, epoch: req.After.Epoch, last: req.After.Seq, wanted: fhir.Selection(req.Types)}
	end, err := r.Source.Read(ctx, req, c.take)
	if err != nil {
		if syncerr.KindOf(err) == syncerr.Transient && c.failed == nil && ctx.Err() == nil {
			if ferr := c.rest(); ferr != nil {
				return end, ferr
			}
		}
		return end, err
	}
	if end.Cursor.Epoch != c.epoch || end.Cursor.Seq < c.last {
		return end, syncerr.New(syncerr.Invalid, "read feed", "the page ends at %s, behind its own events or in another log", end.Cursor)
	}
	if end.More && end.Revision > 0 || end.Revision == 0 && len(c.known) > 0 || end.Revision > 0 && end.Revision < req.Known {
		return end, syncerr.New(syncerr.Invalid, "read feed", "its knowledge is of revision %d, and %d was told before: it goes back, or stands in a page that does not end the log",
			end.Revision, req.Known)
	}
	if err := c.close(); err != nil { // the source says that the page is whole: what is missing of a unit is not for this reader
		return end, err
	}
	return end, flush(Batch{Events: c.events, Names: c.names, Cursor: end.Cursor, Backlog: end.Backlog, Last: true, Known: c.known, Revision: end.Revision})
}

type cutter struct {
	limit  Reader
	flush  func(Batch) error
	epoch  string
	last   uint64
	wanted func(resourceType string) bool

	events []feed.Event
	unit   []feed.Event // of the transaction that has begun and is not whole yet
	names  []feed.Name
	known  []feed.Known
	bytes  int
	failed error
}

func (c *cutter) take(l feed.Line) error {
	if l.Name != nil {
		c.names = append(c.names, *l.Name)
	}
	if l.Known != nil {
		c.known = append(c.known, *l.Known)
	}
	if l.Event == nil {
		return nil
	}
	c.failed = c.event(*l.Event)
	return c.failed
}

func (c *cutter) event(ev feed.Event) error {
	if ev.Seq <= c.last {
		return syncerr.New(syncerr.Invalid, "read feed", "event %d of %s follows event %d: the page is out of order", ev.Seq, ev.Key, c.last)
	}
	c.last = ev.Seq
	if !c.wanted(ev.Key.Type) {
		return syncerr.New(syncerr.Invalid, "read feed", "event %d is of type %s, which was not asked for", ev.Seq, ev.Key.Type)
	}
	if len(c.unit) > 0 && ev.Unit != c.unit[0].Unit {
		// Members of types that are not wanted are not in the page, so a unit is whole where the next one begins.
		if err := c.close(); err != nil {
			return err
		}
	}
	if ev.Unit == "" {
		return c.add(ev)
	}
	if c.unit = append(c.unit, ev); len(c.unit) == ev.UnitSize {
		return c.close()
	}
	return nil
}

// close adds the unit that is whole now.
func (c *cutter) close() error {
	unit := c.unit
	c.unit = nil
	return c.add(unit...)
}

// add takes what must not be parted into the batch. A batch that would grow over its bounds by it is flushed before.
func (c *cutter) add(whole ...feed.Event) error {
	events, bytes := c.limit.Events, c.limit.Bytes
	if events <= 0 {
		events = 500
	}
	if bytes <= 0 {
		bytes = 4 << 20
	}
	size := 0
	for _, ev := range whole {
		size += len(ev.Content)
	}
	if len(c.events)+len(whole) > events || c.bytes+size > bytes {
		if err := c.rest(); err != nil {
			return err
		}
	}
	c.events, c.bytes = append(c.events, whole...), c.bytes+size
	if len(c.events) >= events || c.bytes >= bytes {
		return c.rest()
	}
	return nil
}

// rest flushes the whole events so far, with the cursor behind the last of them.
func (c *cutter) rest() error {
	if len(c.events) == 0 {
		return nil
	}
	b := Batch{Events: c.events, Names: c.names, Cursor: feed.Cursor{Epoch: c.epoch, Seq: c.events[len(c.events)-1].Seq}}
	c.events, c.names, c.bytes = nil, nil, 0
	return c.flush(b)
}
