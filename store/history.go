package store

import (
	"errors"

	"github.com/tributary-sync/tributary/version"
)

// HistoryQuery says which versions a history shows. They come newest first.
type HistoryQuery struct {
	Type  string // of the resources, "" for all
	ID    string // of the one resource of that type, "" for all
	AsOf  uint64 // sequence of the log as of which it is shown: later rows do not exist; 0 for now
	From  uint64 // HistoryPage.Next of the page before; 0 for the first page
	Since int64  // milliseconds since 1970 UTC: versions that this node committed before are left out
	At    Period // only versions that were current at some time in it; zero for all
	Count int    // versions a page
}

// Period is a time from From to before To, in milliseconds since 1970 UTC.
type Period struct{ From, To int64 }

// HistoryPage is one page of a history.
type HistoryPage struct {
	Copies []Copy
	AsOf   uint64 // for the pages behind this one: all are parts of one list, whatever is written meanwhile
	Next   uint64 // where the next page begins; 0 on the last
}

// shows holds for the log row that shows a version: the newest of those that stand together. Rows that only record what a copy has
// seen bear the version of the row before them.
const shows = "NOT EXISTS (SELECT 1 FROM change_log n WHERE n.type = r.type AND n.id = r.id AND n.seq = " +
	"(SELECT MIN(m.seq) FROM change_log m WHERE m.type = r.type AND m.id = r.id AND m.seq > r.seq AND m.seq <= ?) " +
	"AND n.replica = r.replica AND n.tick = r.tick)"

// VersionsOf returns a page of the history of a resource, a type or everything. A page ends early where its contents fill
// maxPageBytes. It reads along an index from where the page begins, and no further than the page goes.
func (q *query) VersionsOf(h HistoryQuery) (HistoryPage, error) {
	page := HistoryPage{AsOf: h.AsOf}
	if page.AsOf == 0 {
		var err error
		if page.AsOf, err = q.Head(); err != nil {
			return page, err
		}
	}
	var passed uint64
	if h.At != (Period{}) {
		// What came later does not exist for who asks about a time; what was superseded until it began was not current in it.
		last, err := q.lastBefore(h.At.To, page.AsOf)
		if err != nil {
			return page, err
		}
		if passed, err = q.lastBefore(h.At.From+1, last); err != nil || last == 0 {
			return page, err
		}
		page.AsOf = last
	}
	h.AsOf = page.AsOf
	where, args, position := h.rows(passed)
	size, more := 0, false
	err := q.copyRows("change_log r JOIN change_log l ON l.seq = r.seq", where, args, func(c Copy) error {
		if c.Committed < h.Since { // the time never falls where the sequence rises
			return errPageFull
		}
		if n := len(page.Copies); n == h.Count || n > 0 && size+len(c.Body) > maxPageBytes {
			more = true
			return errPageFull
		}
		page.Copies = append(page.Copies, c)
		size += len(c.Body)
		return nil
	})
	if errors.Is(err, errPageFull) {
		err = nil
	}
	if err != nil || !more {
		return page, err
	}
	last := page.Copies[len(page.Copies)-1].Seq
	_, err = q.one("SELECT "+position+" FROM change_log WHERE seq = ?", []any{last}, &page.Next)
	return page, err
}

// lastBefore returns the sequence up to which the rows of the log were committed before a time, 0 for none; no row is above head. The
// time never falls where the sequence rises, so it is found by bisection.
func (q *query) lastBefore(time int64, head uint64) (uint64, error) {
	low, high := uint64(0), head // it is from low to high
	for low < high {
		middle := low + (high-low+1)/2
		var seq uint64
		var committed int64
		ok, err := q.one("SELECT seq, committed FROM change_log WHERE seq <= ? ORDER BY seq DESC LIMIT 1", []any{middle}, &seq, &committed)
		if err != nil {
			return 0, err
		}
		if !ok || committed < time {
			low = middle
		} else {
			high = seq - 1
		}
	}
	return low, nil
}

// rows returns the part of a statement that finds the rows of a page and one more, with its arguments, and the column by which the
// history is ordered. Up to sequence passed, only the newest row of each key is wanted, and no deletion.
func (h HistoryQuery) rows(passed uint64) (where string, args []any, position string) {
	position = "seq"
	switch {
	case h.ID != "":
		where, args = "r.type = ? AND r.id = ? AND ", []any{h.Type, h.ID}
	case h.Type != "": // the ordinal rises with the sequence, and has the index
		position, where, args = "ordinal", "r.type = ? AND ", []any{h.Type}
	default:
		where = "r.type < 'a' AND " // REST documents are no resources of FHIR (ofTypes)
	}
	from := h.From
	if from == 0 {
		from = version.MaxTick
	}
	where, args = "WHERE "+where+"r."+position+" < ? AND r.seq <= ? AND "+shows, append(args, from, h.AsOf, h.AsOf)
	if passed > 0 {
		where += " AND (r.seq > ? OR r.deleted = 0 AND NOT EXISTS " +
			"(SELECT 1 FROM change_log p WHERE p.type = r.type AND p.id = r.id AND p.seq > r.seq AND p.seq <= ?))"
		args = append(args, passed, passed)
	}
	return where + " ORDER BY r." + position + " DESC LIMIT ?", append(args, h.Count+1), position
}
