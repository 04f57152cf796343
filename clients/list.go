package clients

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/mapping"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
)

const (
	maxListPage  = 64 << 20 // bytes of a page, unpacked
	maxListPages = 1000
	maxRecords   = 1_000_000 // of all pages
)

// ListOptions say where a list is and how it is read.
type ListOptions struct {
	Addresses []string
	News      bool   // they are RSS or Atom feeds; else JSON
	Items     string // where the list of records is in a page, as gjson takes it; empty: the page is the list
	Next      string // where the address of the next page is; empty: there is one page
	Total     string // where it says how many records there are on all pages; empty: it does not
	Template  string // mapping.Parse; of a feed it maps feed.News
	Clock     func() time.Time
}

// List is a source that can only answer: a JSON list over HTTP, or an RSS or Atom feed. It is a feedreader.Whole and a
// resourcemanager.Remote that only reads. Each round reads all of it; where it has one page for an address and the server gives validators, a
// round asks with them, and an answer 304 ends it (RFC 9110 section 13.1). Changes must not be used by two goroutines at once.
type List struct {
	link *fhirLink
	opts ListOptions
	m    mapping.Mapping
	sum  string // of the options: what was read under others is read again

	listing feedreader.Listing
	doubt   error
}

var (
	_ feedreader.Whole       = (*List)(nil)
	_ resourcemanager.Remote = (*List)(nil)
)

// NewList returns a list. credential and rt are those of NewAtom. It returns a Usage error for a template that cannot be read.
func NewList(o ListOptions, credential func() (string, error), rt http.RoundTripper) (*List, error) {
	m, err := mapping.Parse(o.Template)
	if err != nil {
		return nil, err
	}
	l := &List{opts: o, m: m, link: &fhirLink{
		base: strings.TrimRight(o.Addresses[0], "/"), credential: credential, now: o.Clock, idle: 90 * time.Second,
		http: &http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}}
	sum := sha256.Sum256([]byte(strings.Join(append([]string{o.Items, o.Next, o.Total, o.Template}, o.Addresses...), "\n")))
	l.sum = hex.EncodeToString(sum[:6])
	return l, nil
}

// listPlace is what Changes returns as next.
type listPlace struct {
	List string    `json:"list"` // of the options
	Tags []listTag `json:"tags,omitempty"`
}

// listTag are the validators of an address; empty where it has more than one page or gave none.
type listTag struct {
	ETag     string `json:"e,omitempty"`
	Modified string `json:"m,omitempty"`
}

// Changes reads the whole list (feedreader.Foreign).
func (l *List) Changes(ctx context.Context, after string, take func(feedreader.Item) error) (string, bool, error) {
	l.listing, l.doubt = nil, nil
	var at listPlace
	if json.Unmarshal([]byte(after), &at) != nil || at.List != l.sum || len(at.Tags) != len(l.opts.Addresses) {
		at = listPlace{}
	}
	next := listPlace{List: l.sum, Tags: make([]listTag, len(l.opts.Addresses))}
	round := listRound{l: l, listing: feedreader.Listing{}, take: take}
	changed, asked := false, len(at.Tags) > 0
	for i, address := range l.opts.Addresses {
		unless := listTag{}
		if asked {
			unless = at.Tags[i]
		}
		tag, same, err := l.pages(ctx, address, unless, round.item)
		if err != nil {
			return after, false, err
		}
		if next.Tags[i] = tag; same {
			next.Tags[i] = unless
			round.same = append(round.same, i)
		}
		changed = changed || !same
	}
	if !changed {
		return after, false, nil
	}
	for _, i := range round.same { // the list is that of all addresses together
		tag, _, err := l.pages(ctx, l.opts.Addresses[i], listTag{}, round.item)
		if err != nil {
			return after, false, err
		}
		next.Tags[i] = tag
	}
	if l.listing = round.listing; l.doubt != nil || len(l.listing) == 0 { // it is read as a whole again
		next.Tags = nil
	}
	text := placeText(next)
	if len(text) > maxAtomPlace { // of many addresses: they are read as a whole
		next.Tags = nil
		text = placeText(next)
	}
	return text, false, nil
}

// listRound is what a round has listed so far.
type listRound struct {
	l       *List
	listing feedreader.Listing
	take    func(feedreader.Item) error
	count   int
	same    []int // addresses that answered 304
}

func (r *listRound) item(it feedreader.Item) error {
	if it.Err != nil {
		r.l.doubt = it.Err
	} else {
		r.listing.Add(it.Key)
	}
	if r.count++; r.count > maxRecords {
		return syncerr.New(syncerr.TooLarge, r.l.link.op(), "its list has more than %d records", maxRecords)
	}
	return r.take(it)
}

// Listed returns what the last round listed (feedreader.Whole).
func (l *List) Listed() (feedreader.Listing, error) { return l.listing, l.doubt }

func (l *List) get(ctx context.Context, address string, unless listTag) (*fhirReply, error) {
	h := http.Header{"Accept": {"application/json"}}
	if l.opts.News {
		h.Set("Accept", "application/rss+xml, application/atom+xml, application/xml;q=0.9, text/xml;q=0.8")
	}
	if unless.ETag != "" {
		h.Set("If-None-Match", unless.ETag)
	} else if unless.Modified != "" {
		h.Set("If-Modified-Since", unless.Modified)
	}
	return l.link.do(ctx, fhirCall{method: http.MethodGet, path: address, header: h})
}

// pages reads the pages of an address; same says that it is as the validators say, and nothing was read.
func (l *List) pages(ctx context.Context, address string, unless listTag, take func(feedreader.Item) error) (tag listTag, same bool, err error) {
	records, total := 0, int64(-1)
	seen := map[string]bool{}
	for page := address; page != ""; {
		if seen[page] || len(seen) >= maxListPages {
			return tag, false, syncerr.New(syncerr.Invalid, l.link.op(), "its pages lead in a circle, or are more than %d", maxListPages)
		}
		seen[page] = true
		r, err := l.get(ctx, page, unless)
		if err != nil {
			return tag, false, err
		}
		if r.status == http.StatusNotModified && unless != (listTag{}) {
			r.close()
			return tag, true, nil
		}
		unless = listTag{}
		doc, err := l.document(r)
		tag = listTag{r.header.Get("ETag"), r.header.Get("Last-Modified")}
		r.close()
		if err != nil {
			return tag, false, err
		}
		list := doc
		if l.opts.Items != "" {
			list = doc.Get(l.opts.Items)
		}
		if !list.IsArray() {
			return tag, false, syncerr.New(syncerr.Invalid, l.link.op(), "there is no list of records in its answer").
				WithHint("Set list.items to where the list is, such as data.facilities, and leave it out where the answer is the list itself")
		}
		if l.opts.Total != "" {
			if got := doc.Get(l.opts.Total); got.Type == gjson.Number {
				total = got.Int()
			} else if page == address {
				return tag, false, syncerr.New(syncerr.Invalid, l.link.op(), "its answer does not say at list.total how many records there are")
			}
		}
		for _, record := range list.Array() {
			records++
			if err := l.record(record, records, take); err != nil {
				return tag, false, err
			}
		}
		if page = ""; l.opts.Next != "" {
			if link := doc.Get(l.opts.Next).String(); link != "" {
				if page, err = l.link.same(link); err != nil {
					return tag, false, err
				}
			}
		}
	}
	if len(seen) > 1 || tag.long() {
		tag = listTag{} // that the last page is as it was says nothing of the others
	}
	if total > int64(records) {
		l.doubt = syncerr.New(syncerr.Invalid, l.link.op(), "it says that there are %d records and gave %d", total, records)
	}
	return tag, false, nil
}

func (t listTag) long() bool { return len(t.ETag)+len(t.Modified) > 300 }

// record gives what a record becomes to take; one that cannot be mapped with the reason.
func (l *List) record(record gjson.Result, number int, take func(feedreader.Item) error) error {
	made, err := l.m.Apply(record)
	if err != nil {
		// The record has no key that could be told: all of them stand for one.
		err = syncerr.New(syncerr.Invalid, l.link.op(), "record %d: %w", number, err)
		return take(feedreader.Item{Key: fhir.Key{Type: l.m.Types()[0], ID: feedreader.Unreadable}, Err: err})
	}
	for _, res := range made {
		sum := sha256.Sum256(res.Content)
		if err := take(feedreader.Item{Key: res.Key, Content: res.Content, Tag: hex.EncodeToString(sum[:12])}); err != nil {
			return err
		}
	}
	return nil
}

// document reads a page as JSON. An answer that broke off is Transient, anything that is no JSON Invalid, so that half of a list is never
// taken for one.
func (l *List) document(r *fhirReply) (gjson.Result, error) {
	if r.status != http.StatusOK {
		return gjson.Result{}, syncerr.New(syncerr.KindOfStatus(r.status), l.link.op(), "it answered %d", r.status)
	}
	if l.opts.News {
		news, err := feed.ReadNews(r.body, maxListPage)
		if err != nil {
			return gjson.Result{}, err
		}
		var b bytes.Buffer
		if err := json.NewEncoder(&b).Encode(append([]feed.News{}, news...)); err != nil {
			return gjson.Result{}, syncerr.Wrap(syncerr.Internal, l.link.op(), err)
		}
		return gjson.ParseBytes(b.Bytes()), nil
	}
	body, err := io.ReadAll(io.LimitReader(r.body, maxListPage+1))
	switch {
	case err != nil:
		return gjson.Result{}, syncerr.Wrap(syncerr.Transient, l.link.op(), err)
	case len(body) > maxListPage:
		return gjson.Result{}, syncerr.New(syncerr.TooLarge, l.link.op(), "its answer is larger than %d bytes", maxListPage)
	case !json.Valid(body):
		return gjson.Result{}, syncerr.New(syncerr.Invalid, l.link.op(), "its answer (%.60q) is no whole JSON", r.header.Get("Content-Type")).
			WithHint("The address may be that of a log-in page, or the answer broke off; it is asked again by itself")
	}
	return gjson.ParseBytes(body), nil
}

// Read reads the list for documents of it (resourcemanager.Remote).
func (l *List) Read(ctx context.Context, wants []resourcemanager.Want) ([]resourcemanager.Copy, error) {
	have := map[fhir.Key]feedreader.Item{}
	for _, address := range l.opts.Addresses {
		if _, _, err := l.pages(ctx, address, listTag{}, func(it feedreader.Item) error {
			if it.Err == nil {
				have[it.Key] = it
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	out := make([]resourcemanager.Copy, len(wants))
	for i, w := range wants {
		out[i].Key = w.Key
		if it, ok := have[w.Key]; ok {
			out[i] = resourcemanager.Copy{Key: w.Key, State: resourcemanager.Present, Tag: it.Tag, Content: it.Content}
		}
	}
	return out, nil
}

// Write refuses: a list only answers (resourcemanager.Remote).
func (l *List) Write(context.Context, []resourcemanager.Edit) ([]resourcemanager.Answer, error) {
	return nil, syncerr.New(syncerr.Unsupported, l.link.op(), "it can only be read")
}

// Traffic returns the bytes of bodies on the wire so far (resourcemanager.Remote).
func (l *List) Traffic() (in, out int64) { return l.link.in.Load(), l.link.out.Load() }
