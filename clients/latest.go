package clients

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// Latest is the feed of a FHIR server that has no history: a search of each type by meta.lastUpdated, oldest first (FHIR R4 search.html#lastUpdated). It is a
// feedreader.Foreign. Deletions do not show in a search: a document that is deleted on the server stays on this node until somebody deletes it
// here, or it is asked for by its key.
//
// It must not be used by two goroutines at once. A round goes through the types by name; the place within it is in next, so that a long first load goes on where it stopped. Each round begins a
// while before the newest resource of the round before, for servers whose clocks and commits are out of order; so items repeat.
type Latest struct {
	fhir    *FHIR
	types   []string
	overlap time.Duration
	sorts   map[string]bool // by type: whether the server was seen to sort
}

// NewLatest returns the feed of the server's newest resources of types (as fhir.Selected takes them, nil for all). overlap is how far a server's
// times may be out of order, for example five minutes.
func NewLatest(f *FHIR, types []string, overlap time.Duration) *Latest {
	return &Latest{fhir: f, types: types, overlap: overlap, sorts: map[string]bool{}}
}

// latestPlace is what Changes returns as next. Times are milliseconds since 1970 UTC, those without a remark by the server's clock.
type latestPlace struct {
	Latest  int64  `json:"latest"`            // since when this round reads; 0 for the beginning
	Type    string `json:"type,omitempty"`    // which is being read; "" before a round
	From    int64  `json:"from,omitempty"`    // how far its resources were read
	Newest  int64  `json:"newest,omitempty"`  // resource of this round
	Date    int64  `json:"date,omitempty"`    // when the round began
	Started int64  `json:"started,omitempty"` // the same by this node's clock
}

// Changes reads one page, or several where all resources of a page have the same time or the server does not sort them (feedreader.Foreign).
func (n *Latest) Changes(ctx context.Context, after string, take func(feedreader.Item) error) (string, bool, error) {
	next, more, err := n.changes(ctx, after, take)
	if err != nil {
		n.fhir.doubt(err)
		return after, false, err
	}
	return next, more, nil
}

func (n *Latest) changes(ctx context.Context, after string, take func(feedreader.Item) error) (string, bool, error) {
	types, err := n.searchable(ctx)
	if err != nil {
		return "", false, err
	}
	var at latestPlace
	if json.Unmarshal([]byte(after), &at) != nil {
		at = latestPlace{} // of another kind of feed: from the beginning
	}
	l := n.fhir.link
	if at.Type == "" {
		at.Started = l.now().UnixMilli()
	}
	i, _ := slices.BinarySearch(types, at.Type)
	if i < len(types) && at.Type != types[i] {
		at.Type, at.From = types[i], 0
	}
	if i < len(types) {
		done, err := n.read(ctx, &at, take)
		if err != nil {
			return "", false, err
		}
		if !done {
			return placeText(at), true, nil
		}
		if at.From = 0; i+1 < len(types) {
			at.Type = types[i+1]
			return placeText(at), true, nil
		}
	}
	took := l.now().Sub(time.UnixMilli(at.Started))
	return placeText(latestPlace{Latest: safeSince(at.Latest, fromMillis(at.Newest), fromMillis(at.Date), took)}), false, nil
}

// fromMillis is zero for 0.
func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func (n *Latest) searchable(ctx context.Context) ([]string, error) {
	caps, err := n.fhir.Capabilities(ctx)
	if err != nil {
		return nil, err
	}
	var types []string
	for t, can := range caps.Types {
		if can.Search && fhir.IsType(t) && fhir.Selected(n.types, t) {
			types = append(types, t)
		}
	}
	if len(types) == 0 {
		return nil, syncerr.New(syncerr.Unsupported, n.fhir.link.op(), "it offers a search of none of the types that are read from it")
	}
	slices.Sort(types)
	return types, nil
}

// read reads on in a type until the place has moved; done says that the type is at its end.
func (n *Latest) read(ctx context.Context, at *latestPlace, take func(feedreader.Item) error) (done bool, err error) {
	l := n.fhir.link
	q := url.Values{"_sort": {"_lastUpdated"}, "_count": {strconv.Itoa(foreignCount)}}
	from := fromMillis(at.From)
	if from.IsZero() && at.Latest > 0 {
		from = time.UnixMilli(at.Latest).Add(-n.overlap).UTC()
	}
	if !from.IsZero() {
		q.Set("_lastUpdated", "ge"+from.Format(foreignTime))
	}
	path := at.Type + "?" + q.Encode()
	last, sorted := from, true
	var first fhir.Key
	date := fromMillis(at.Date)
	for {
		page, err := l.page(ctx, path, "searchset", &date, func(e fhirEntry) error {
			it, ok := itemOf(e)
			if !ok || it.Key.Type != at.Type {
				return nil // what the server has to say, or was not asked for
			}
			if it.Modified.Before(last) {
				sorted = false
			}
			if first.ID == "" {
				first = it.Key
			}
			last = it.Modified
			at.Newest = max(at.Newest, it.Modified.UnixMilli())
			return take(it)
		})
		if err != nil {
			return false, err
		}
		if !date.IsZero() {
			at.Date = date.UnixMilli()
		}
		switch {
		case page.next == "":
			return true, nil
		case sorted && last.UnixMilli() > from.UnixMilli():
			if sorted, err = n.sorted(ctx, first); err != nil {
				return false, err
			} else if sorted {
				at.From = last.UnixMilli()
				return false, nil
			}
		}
		if path, err = l.same(page.next); err != nil {
			return false, err
		}
	}
}

// sorted reports whether the server sorts, rather than that its documents happened to be in order so far: the newest one is not the one that it said was the
// oldest. Where it does not sort, nothing may be concluded from a page before the last one was read.
func (n *Latest) sorted(ctx context.Context, first fhir.Key) (bool, error) {
	if known, ok := n.sorts[first.Type]; ok {
		return known, nil
	}
	q := url.Values{"_sort": {"-_lastUpdated"}, "_count": {"1"}}
	newest := fhir.Key{}
	var date time.Time
	_, err := n.fhir.link.page(ctx, first.Type+"?"+q.Encode(), "searchset", &date, func(e fhirEntry) error {
		if it, ok := itemOf(e); ok && newest.ID == "" {
			newest = it.Key
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	sorts := newest.ID != "" && newest != first
	n.sorts[first.Type] = sorts
	return sorts, nil
}
