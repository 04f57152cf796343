package clients

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/feedsync"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// The limits of a feed.
const (
	maxFeedSyncPage  = 64 << 20 // bytes of a page, unpacked
	maxFeedSyncPages = 10_000
)

// FeedSync is a participant that publishes FeedSync feeds of FHIR resources. It is a feedreader.Foreign, and a resourcemanager.Remote that only reads:
// it reads this node's own feeds for itself. Each round reads the feeds whole: items stay in them for ever, and tell by their histories what they have
// seen. Changes must not be used by two goroutines at once.
type FeedSync struct {
	link  *fhirLink
	feeds []string
	types []string
}

var (
	_ feedreader.Foreign     = (*FeedSync)(nil)
	_ resourcemanager.Remote = (*FeedSync)(nil)
)

// NewFeedSync returns the feeds of a participant, at least one, of which those types are read. credential and rt are those of NewAtom.
func NewFeedSync(feeds, types []string, credential func() (string, error), rt http.RoundTripper, now func() time.Time) *FeedSync {
	return &FeedSync{feeds: feeds, types: types, link: &fhirLink{
		base: strings.TrimRight(feeds[0], "/"), credential: credential, now: now, idle: 90 * time.Second,
		http: &http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}}
}

// Changes reads the whole feeds (feedreader.Foreign): which items are news their tags tell.
func (f *FeedSync) Changes(ctx context.Context, _ string, take func(feedreader.Item) error) (string, bool, error) {
	for _, address := range f.feeds {
		if err := f.pages(ctx, address, take); err != nil {
			return "", false, err
		}
	}
	return "", false, nil
}

func (f *FeedSync) pages(ctx context.Context, page string, take func(feedreader.Item) error) error {
	seen := map[string]bool{}
	for page != "" {
		if seen[page] || len(seen) >= maxFeedSyncPages {
			return syncerr.New(syncerr.Invalid, f.link.op(), "its pages lead in a circle, or are more than %d", maxFeedSyncPages)
		}
		seen[page] = true
		doc, err := f.page(ctx, page)
		if err != nil {
			return err
		}
		for _, x := range doc.Items {
			if err := take(f.item(x)); err != nil {
				return err
			}
		}
		if page = ""; doc.Next != "" {
			if page, err = f.link.same(doc.Next); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *FeedSync) page(ctx context.Context, address string) (feedsync.Feed, error) {
	r, err := f.link.do(ctx, fhirCall{method: http.MethodGet, path: address, header: http.Header{"Accept": {"application/atom+xml, application/xml;q=0.9"}}})
	if err != nil {
		return feedsync.Feed{}, err
	}
	defer r.close()
	if r.status != http.StatusOK {
		return feedsync.Feed{}, syncerr.New(syncerr.KindOfStatus(r.status), f.link.op(), "its feed is answered with %d %s", r.status, http.StatusText(r.status))
	}
	body, err := io.ReadAll(io.LimitReader(r.body, maxFeedSyncPage+1))
	if err != nil {
		return feedsync.Feed{}, f.link.cut(ctx, err)
	}
	if len(body) > maxFeedSyncPage {
		return feedsync.Feed{}, syncerr.New(syncerr.TooLarge, f.link.op(), "a page of its feed is longer than %d MiB", maxFeedSyncPage>>20)
	}
	return feedsync.Read(body)
}

// item makes of an item of FeedSync what the node takes: the winner, with what it has seen of the changes of nodes.
func (f *FeedSync) item(x feedsync.Item) feedreader.Item {
	it := feedreader.Item{Key: f.key(x), Tag: x.Tag(), Content: x.Content, Deleted: x.Deleted}
	if when := x.History[0].When; when != 0 {
		it.Modified = time.UnixMilli(when)
	}
	for i, u := range x.History {
		if r := version.Replica(u.By); r.Valid() && u.Sequence <= version.MaxTick {
			v := version.Version{Replica: r, Tick: u.Sequence}
			if it.Seen = it.Seen.With(v); i == 0 {
				it.Made = v
			}
		}
	}
	alone := x
	alone.Conflicts = nil
	it.Alone = alone.Tag()
	if !x.NoConflicts {
		for _, c := range x.Conflicts {
			it.Rivals = append(it.Rivals, f.item(c))
		}
	}
	switch {
	case it.Key == fhir.Key{}:
		it.Key = fhir.Key{Type: "Basic", ID: feedreader.Unreadable}
		it.Err = syncerr.New(syncerr.Invalid, f.link.op(), "the item %.100q names no resource", x.ID)
	case x.Content == nil && !x.Deleted:
		it.Err = errors.New("the item has no content")
	}
	return it
}

// key returns which resource an item is: that which its content is, or which its id names; of a feed of one type an id without one as well.
func (f *FeedSync) key(x feedsync.Item) fhir.Key {
	k := fhir.Key{Type: gjson.GetBytes(x.Content, "resourceType").Str, ID: gjson.GetBytes(x.Content, "id").Str}
	if k.Validate() == nil {
		return k
	}
	if k, err := fhir.ParseKey(x.ID); err == nil {
		return k
	}
	if len(f.types) == 1 {
		if k := (fhir.Key{Type: f.types[0], ID: x.ID}); k.Validate() == nil {
			return k
		}
	}
	return fhir.Key{}
}

// Read reads the feeds for single documents (resourcemanager.Remote).
func (f *FeedSync) Read(ctx context.Context, wants []resourcemanager.Want) ([]resourcemanager.Copy, error) {
	have := map[fhir.Key]feedreader.Item{}
	for _, address := range f.feeds {
		err := f.pages(ctx, address, func(it feedreader.Item) error {
			if it.Err == nil {
				have[it.Key] = it
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	out := make([]resourcemanager.Copy, len(wants))
	for i, w := range wants {
		out[i].Key = w.Key
		if it, ok := have[w.Key]; ok {
			out[i] = resourcemanager.Copy{Key: w.Key, State: resourcemanager.Present, Tag: it.Tag, Content: it.Content, Modified: it.Modified}
			if it.Deleted {
				out[i].State = resourcemanager.Gone
			}
		}
	}
	return out, nil
}

// Write refuses: the participant reads the node's own feed (resourcemanager.Remote).
func (f *FeedSync) Write(context.Context, []resourcemanager.Edit) ([]resourcemanager.Answer, error) {
	return nil, syncerr.New(syncerr.Unsupported, f.link.op(), "it can only be read: give it the address of this node's /ws/feedsync")
}

// Traffic returns the bytes of bodies on the wire so far (resourcemanager.Remote).
func (f *FeedSync) Traffic() (in, out int64) { return f.link.in.Load(), f.link.out.Load() }
