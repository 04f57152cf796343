package clients

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

const (
	foreignCount = 100 // entries that are asked for in a page
	fewTypes     = 10  // up to so many types are read by histories of their own
	// foreignTime is how times are written in queries: every server understands UTC with milliseconds.
	foreignTime = "2006-01-02T15:04:05.000Z"
)

// History is the feed of a FHIR server that has _history, of all or of single types (FHIR R4 http.html#history). It is a feedreader.Foreign and tells of
// deletions.
//
// A history begins with the newest version and goes back, so that the place in it may only move on when its pages were read to their end. Where it
// is within them is kept in memory: after a restart the pages since the last place are read again. Of each document the newest version is
// told, whatever page it is on. Each round begins a while before the newest entry of the round before, for servers whose clocks and commits are out
// of order; so items repeat. It must not be used by two goroutines at once.
type History struct {
	fhir    *FHIR
	types   []string
	overlap time.Duration
	rounds  int64
	chain   *historyChain
}

// NewHistory returns the feed of the server's changes of types (as fhir.Selected takes them, nil for all). overlap is how far a server's entries may be out of
// order, for example five minutes.
func NewHistory(f *FHIR, types []string, overlap time.Duration) *History {
	return &History{fhir: f, types: types, overlap: overlap}
}

// historyPlace is what Changes returns as next.
type historyPlace struct {
	History int64 `json:"history"`         // since when, milliseconds since 1970 UTC by the server's clock; 0 for the beginning
	Chain   int64 `json:"chain,omitempty"` // the round whose pages are being read
	Page    int   `json:"page,omitempty"`  // how many of them were read
}

// historyChain is a round whose pages are being read.
type historyChain struct {
	id      int64
	page    int
	paths   []string // still to be read; the first is the next page
	started time.Time
	date    time.Time // the server's clock at the begin
	newest  time.Time
	seen    map[[16]byte]mark // by key: 32 bytes and not a document each
}

// mark orders the versions of a document.
type mark struct {
	modified time.Time
	number   uint64 // the tag, where it is one
}

func (m mark) before(o mark) bool {
	if !m.modified.Equal(o.modified) {
		return m.modified.Before(o.modified)
	}
	return m.number < o.number
}

func markOf(it feedreader.Item) mark {
	n, err := strconv.ParseUint(it.Tag, 10, 64)
	if err != nil {
		n = 0
	}
	return mark{it.Modified, n}
}

func hashOf(k fhir.Key) [16]byte {
	sum := sha256.Sum256([]byte(k.String()))
	return [16]byte(sum[:16])
}

// Changes reads one page (feedreader.Foreign).
func (h *History) Changes(ctx context.Context, after string, take func(feedreader.Item) error) (string, bool, error) {
	var at historyPlace
	if json.Unmarshal([]byte(after), &at) != nil {
		at = historyPlace{} // of another kind of feed: from the beginning
	}
	c := h.chain
	if c == nil || c.id != at.Chain || c.page != at.Page {
		var err error
		if c, err = h.begin(ctx, at.History); err != nil {
			return after, false, err
		}
	}
	next, fresh, err := h.read(ctx, c, take)
	if err != nil {
		if h.chain = c; syncerr.KindOf(err) != syncerr.Transient {
			h.chain = nil // a link to a page may have become stale: from the first one
		}
		h.fhir.doubt(err)
		return after, false, err
	}
	for k, m := range fresh {
		c.seen[k] = m
		if m.modified.After(c.newest) {
			c.newest = m.modified
		}
	}
	c.page++
	if c.paths = c.paths[1:]; next != "" {
		c.paths = append([]string{next}, c.paths...)
	}
	if len(c.paths) > 0 {
		h.chain = c
		return placeText(historyPlace{at.History, c.id, c.page}), true, nil
	}
	h.chain = nil
	since := safeSince(at.History, c.newest, c.date, h.fhir.link.now().Sub(c.started))
	return placeText(historyPlace{History: since}), false, nil
}

// begin starts a round.
func (h *History) begin(ctx context.Context, since int64) (*historyChain, error) {
	caps, err := h.fhir.Capabilities(ctx)
	if err != nil {
		return nil, err
	}
	q := url.Values{"_count": {strconv.Itoa(foreignCount)}}
	if since > 0 {
		q.Set("_since", time.UnixMilli(since).Add(-h.overlap).UTC().Format(foreignTime))
	}
	h.rounds++
	c := &historyChain{id: h.fhir.link.now().UnixMilli()<<8 + h.rounds&0xff, started: h.fhir.link.now(), seen: map[[16]byte]mark{}}
	var byType []string
	wanted, complete := 0, true
	for t, can := range caps.Types {
		if !fhir.IsType(t) || !fhir.Selected(h.types, t) {
			continue
		}
		wanted++
		if complete = complete && can.History; can.History {
			byType = append(byType, t+"/_history?"+q.Encode())
		}
	}
	slices.Sort(byType)
	switch {
	case caps.History && (wanted > fewTypes || !complete):
		c.paths = []string{"_history?" + q.Encode()}
	case len(byType) > 0:
		c.paths = byType
	case caps.History:
		c.paths = []string{"_history?" + q.Encode()}
	default:
		return nil, syncerr.New(syncerr.Unsupported, h.fhir.link.op(), "it has no _history of the types that are read from it").
			WithHint("Read its newest resources by date instead: that needs no history, but does not see deletions")
	}
	return c, nil
}

// read gives the items of the next page to take that are newer than those of the pages before.
func (h *History) read(ctx context.Context, c *historyChain, take func(feedreader.Item) error) (next string, fresh map[[16]byte]mark, err error) {
	l := h.fhir.link
	fresh = map[[16]byte]mark{}
	page, err := l.page(ctx, c.paths[0], "history", &c.date, func(e fhirEntry) error {
		it, ok := itemOf(e)
		if !ok || !fhir.Selected(h.types, it.Key.Type) {
			return nil
		}
		key, now := hashOf(it.Key), markOf(it)
		had, told := fresh[key]
		if !told {
			had, told = c.seen[key]
		}
		if told && !had.before(now) {
			return nil
		}
		fresh[key] = now
		return take(it)
	})
	if err != nil || page.next == "" {
		return "", fresh, err
	}
	next, err = l.same(page.next)
	return next, fresh, err
}
