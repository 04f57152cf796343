package push

import (
	"context"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// ownLog is the feedreader.Source over this node's own log, without what the parent in this epoch delivered itself.
type ownLog struct {
	store *store.Store
	epoch string // the parent's
}

// rowsAtOnce bounds a snapshot, so that a slow link never keeps one open.
const rowsAtOnce = 500

// Read gives the rows behind the cursor: single ones coalesced to the latest copy of their key, units as they were written.
func (o ownLog) Read(ctx context.Context, req feed.Request, take func(feed.Line) error) (feed.End, error) {
	var rows []store.Row
	var known []feed.Known
	var revision uint64
	var end feed.End
	err := o.store.Read(ctx, func(r *store.Reader) error {
		upTo, more, passed, err := r.Changes(req.After.Seq, req.Types, min(req.Limit, rowsAtOnce), func(row store.Row) error {
			rows = append(rows, row)
			return nil
		})
		if err != nil {
			return err
		}
		head, err := r.Head()
		if err == nil && !more && req.Tell {
			known, revision, err = r.KnowledgeSince(req.Types, req.Known, true)
		}
		end = feed.End{Revision: revision, Cursor: feed.Cursor{Epoch: r.Identity().Epoch, Seq: upTo}, More: more, Skipped: passed, Backlog: head - upTo}
		return err
	})
	if err != nil {
		return end, err
	}
	authors := make([]version.Replica, 0, len(rows))
	for _, row := range rows {
		authors = append(authors, row.Stamp.Author)
	}
	names, err := o.store.Names(ctx, authors)
	if err != nil {
		return end, err
	}
	for i := range names {
		if err := take(feed.Line{Name: &names[i]}); err != nil {
			return end, err
		}
	}
	for i := range rows {
		if o.delivered(rows[i]) {
			end.Skipped++
			continue
		}
		if err := take(feed.Line{Event: &rows[i].Event}); err != nil {
			return end, err
		}
	}
	for i := range known {
		if err := take(feed.Line{Known: &known[i]}); err != nil {
			return end, err
		}
	}
	return end, nil
}

// delivered reports whether the parent has this very version from itself. Where the last row of the key came from does not
// matter (core-review rule 5: a row that only grew its vector is not the parent's).
func (o ownLog) delivered(row store.Row) bool {
	if row.Latest {
		return row.Delivered == o.epoch
	}
	return row.Source == "parent:"+o.epoch
}
