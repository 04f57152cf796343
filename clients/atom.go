package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/syncerr"
)

const (
	maxAtomPage  = 16 << 20 // bytes of a page, unpacked
	maxAtomPages = 10_000   // that are read forward of a feed in a round; the next round goes on behind them
	maxAtomBack  = 100_000  // that are gone back through
	maxAtomPlace = 1500     // bytes of the text of a place
	maxAtomFeeds = 40       // what surely fits into it
	// maxSearches is how often a feed's pages are gone back through in a round; more often means that they do not lead forward again.
	maxSearches = 10
)

// Atom is the Atom feeds of an OpenMRS (of the module atomfeed, with both forms of content: a map of links as Sync 2.0 has it, and the bare URL
// of Bahmni), or of a Tributary node. It is a feedreader.Foreign: it tells which documents were changed, oldest first, and leaves it to the reader
// to ask for them.
//
// A feed is a line of pages, of which the newest one has a fixed address and every other one is complete for ever (RFC 5005 section 4). The
// place in it is the last entry that was taken, with the page it stands on. A feed in which that entry is not found any more (restored, or another
// server under its address) is read again from its oldest page. Where pages have numbers, their addresses are made from that of the
// feed: OpenMRS writes the host that it takes itself for into its links. Other links count only within the same host.
//
// An error ends a round, and the next one begins with the feed after, so that a feed that always fails holds up no other one for ever. Changes must
// not be used by two goroutines at once.
type Atom struct {
	link  *fhirLink
	feeds []*atomFeed
	bad   error // why it cannot be used at all
	next  int   // the feed whose turn it is
	left  int   // how many are still to be read in this round; 0 between rounds

	mu      sync.Mutex
	skipped map[string]int64
}

var _ feedreader.Foreign = (*Atom)(nil)

// NewAtom returns the feeds of a server. feeds are the addresses of their newest pages (https://emr.example/openmrs/ws/atomfeed/patient/recent),
// in the order in which they are read. credential is asked at each request: a bearer token, or user:password for HTTP Basic, or "" for none. rt
// carries the requests; now is the clock by which the pauses are kept that the server asks for.
func NewAtom(feeds []string, credential func() (string, error), rt http.RoundTripper, now func() time.Time) *Atom {
	a := &Atom{skipped: map[string]int64{}, link: &fhirLink{
		credential: credential, now: now, idle: 90 * time.Second,
		http: &http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}}
	names := map[string]bool{}
	for i, address := range feeds {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			a.bad = syncerr.New(syncerr.Usage, "read Atom feeds", "number %d of the addresses is none of a feed", i+1).
				WithHint("Write it as https://emr.example/openmrs/ws/atomfeed/patient/recent, with the credential set apart from it")
			return a
		}
		f := newAtomFeed(u)
		if !names[f.name] {
			a.feeds = append(a.feeds, f)
		}
		names[f.name] = true
	}
	if n := len(a.feeds); n < 1 || n > maxAtomFeeds {
		a.bad = syncerr.New(syncerr.Usage, "read Atom feeds", "%d addresses are set, and 1 to %d can be read together", n, maxAtomFeeds)
		return a
	}
	first := a.feeds[0].address
	a.link.base = first.Scheme + "://" + first.Host
	return a
}

// Traffic returns the bytes of bodies on the wire so far, received and sent.
func (a *Atom) Traffic() (in, out int64) { return a.link.in.Load(), a.link.out.Load() }

// Skipped returns how many entries named no document that can be read, by the category of the entry ("other" where it has none). It may be called at
// any time.
func (a *Atom) Skipped() map[string]int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.skipped)
}

// maxSkipped bounds how many categories are counted apart.
const maxSkipped = 100

func (a *Atom) skip(names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range names {
		if a.skipped[name] == 0 && len(a.skipped) >= maxSkipped {
			name = "other"
		}
		a.skipped[name]++
	}
}

// atomMark is the place in one feed.
type atomMark struct {
	entry string // of the last entry that was taken, as entryName gives it; empty for the beginning
	page  string // the reference of the page that it stands on, empty where that is not known
}

// atomPlace is what Changes returns as next: by the name of the feed, entry and page.
type atomPlace struct {
	Atom map[string][2]string `json:"atom"`
}

// Changes reads one page (feedreader.Foreign).
func (a *Atom) Changes(ctx context.Context, after string, take func(feedreader.Item) error) (string, bool, error) {
	if a.bad != nil {
		return after, false, a.bad
	}
	var at atomPlace
	if json.Unmarshal([]byte(after), &at) != nil {
		at = atomPlace{} // of another kind of feed: from the beginning
	}
	if a.left == 0 {
		a.left = len(a.feeds)
		for _, f := range a.feeds {
			f.pages, f.searches = 0, 0
		}
	}
	for a.left > 0 {
		f := a.feeds[a.next]
		was := atomMark{at.Atom[f.name][0], at.Atom[f.name][1]}
		p, err := a.read(ctx, f, was)
		if err != nil {
			a.next, a.left = (a.next+1)%len(a.feeds), 0
			return after, false, f.failed(ctx, err)
		}
		items, skipped := itemsOfPage(p.entries)
		for _, it := range items {
			if err := take(it); err != nil {
				return after, false, err
			}
		}
		a.skip(skipped)
		if f.walk = p.walk; p.end {
			f.known = p.tags
			a.next, a.left = (a.next+1)%len(a.feeds), a.left-1
		}
		if p.mark != was {
			return a.text(at, f, p.mark), a.left > 0, nil
		}
	}
	return after, false, nil
}

// text is a place with the mark of one feed changed. Pages are left out where they would make it too long; they can be searched for.
func (a *Atom) text(at atomPlace, f *atomFeed, m atomMark) string {
	out := atomPlace{map[string][2]string{}}
	for _, other := range a.feeds {
		if v, ok := at.Atom[other.name]; ok {
			out.Atom[other.name] = v
		}
	}
	if len(m.page) > 100 {
		m.page = ""
	}
	out.Atom[f.name] = [2]string{m.entry, m.page}
	text := placeText(out)
	if len(text) > maxAtomPlace {
		for name, v := range out.Atom {
			out.Atom[name] = [2]string{v[0], ""}
		}
		text = placeText(out)
	}
	return text
}

// failed says of which feed an error is.
func (f *atomFeed) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("feed %s: %w", strings.TrimSuffix(placeOf(f.address.String()), "/"), err)
}
