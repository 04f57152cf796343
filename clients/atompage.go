package clients

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/syncerr"
)

// atomFeed is one feed, with what is kept in memory of it. All of that can be found again.
type atomFeed struct {
	address  *url.URL // of its newest page
	name     string   // in a place: short, and of its address alone
	known    atomTags
	walk     *atomWalk
	search   *atomSearch
	pages    int // that were read in this round
	searches int // that were begun in this round
}

// atomTags are the validators of the newest page as it was read to its end, which was the entry.
type atomTags struct {
	etag, modified string
	entry          string
	set            bool
}

func newAtomFeed(u *url.URL) *atomFeed {
	sum := sha256.Sum256([]byte(u.String()))
	return &atomFeed{address: u, name: base64.RawURLEncoding.EncodeToString(sum[:6])}
}

// entryName is how a place names an entry: 96 bits of its id are enough to find it again on a page.
func entryName(id string) string {
	sum := sha256.Sum256([]byte(id))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// atomDoc is a page as it was read. The references are those of atomFeed.ref, empty where there is no such page.
type atomDoc struct {
	entries    []feed.AtomEntry
	ref        string // its own, which stays the same
	prev, next string
	newest     bool // it was read under the address of the feed
	tags       atomTags
}

// index returns where an entry stands on the page, -1 where it does not.
func (d *atomDoc) index(entry string) int {
	for i := range d.entries {
		if entry != "" && entryName(d.entries[i].ID) == entry {
			return i
		}
	}
	return -1
}

// ref returns how a link of a page is kept: the number with the query where pages have numbers in the place of the last part of the feed's address,
// whatever host the link names; for any other link path and query, which have to be of the same host.
func (f *atomFeed) ref(link string) (string, error) {
	if link == "" {
		return "", nil
	}
	u, err := f.address.Parse(link)
	if err != nil {
		return "", syncerr.New(syncerr.Invalid, "follow its pages", "a link of a page cannot be read")
	}
	here, there := path.Base(path.Dir(f.address.Path)), path.Base(path.Dir(u.Path))
	if n, ok := feed.AtomPageNumber(link); ok && strings.EqualFold(here, there) {
		ref := strconv.Itoa(n)
		if u.RawQuery != "" {
			ref += "?" + u.RawQuery
		}
		return ref, nil
	}
	if !strings.EqualFold(u.Host, f.address.Host) || u.User != nil {
		return "", syncerr.New(syncerr.Invalid, "follow its pages", "its next page is at another server, %.100s", u.Host).
			WithHint("Credentials go only to the server that was set: if the feed has moved, set its new address")
	}
	return u.RequestURI(), nil
}

// resolve is the address of a page; "" is the newest one.
func (f *atomFeed) resolve(ref string) string {
	if ref == "" {
		return f.address.String()
	}
	to := *f.address
	to.Fragment, to.RawFragment = "", ""
	place, query, _ := strings.Cut(ref, "?")
	if ref[0] != '/' {
		place = path.Join(path.Dir(to.Path), place)
	}
	to.Path, to.RawPath, to.RawQuery = place, "", query
	if p, err := url.PathUnescape(place); err == nil && ref[0] == '/' {
		to.Path, to.RawPath = p, place
	}
	return to.String()
}

// pageNumber returns the number that a reference is.
func pageNumber(ref string) (int, bool) {
	n, err := strconv.Atoi(placeOf(ref))
	return n, err == nil
}

// page reads a page: nil where it is the newest one and as unless knows it. status is that of the answer, 0 where there was none.
func (a *Atom) page(ctx context.Context, f *atomFeed, ref string, unless atomTags) (doc *atomDoc, status int, err error) {
	f.pages++
	call := fhirCall{method: http.MethodGet, path: f.resolve(ref), header: http.Header{"Accept": {"application/atom+xml, application/xml;q=0.9, text/xml;q=0.8"}}}
	if unless.etag != "" {
		call.header.Set("If-None-Match", unless.etag)
	}
	if unless.modified != "" {
		call.header.Set("If-Modified-Since", unless.modified)
	}
	r, err := a.link.do(ctx, call)
	if err != nil {
		return nil, 0, err
	}
	defer r.close()
	conditional := unless.etag != "" || unless.modified != ""
	switch {
	case r.status == http.StatusNotModified && conditional:
		return nil, r.status, nil
	case r.status != http.StatusOK:
		return nil, r.status, f.refused(r, ref)
	}
	in := bufio.NewReader(r.body)
	if err := isMarkup(in, r.header.Get("Content-Type")); err != nil {
		return nil, r.status, err
	}
	parsed, err := feed.ReadAtom(in, maxAtomPage)
	if err != nil {
		return nil, r.status, err
	}
	doc = &atomDoc{entries: parsed.Entries, ref: ref, newest: ref == ""}
	if doc.newest {
		doc.ref, _ = f.ref(parsed.Via) // without one, its entries are searched for once they stand on another page
		doc.tags = atomTags{etag: r.header.Get("ETag"), modified: r.header.Get("Last-Modified"), set: true}
	}
	if doc.prev, err = f.ref(parsed.PrevArchive); err != nil {
		return nil, r.status, err
	}
	if doc.next, err = f.ref(parsed.NextArchive); err != nil {
		return nil, r.status, err
	}
	return doc, r.status, doc.straight()
}

// straight checks that pages with numbers lead down and up.
func (d *atomDoc) straight() error {
	own, ok := pageNumber(d.ref)
	if !ok {
		return nil
	}
	if n, ok := pageNumber(d.prev); ok && n >= own {
		return circle()
	}
	if n, ok := pageNumber(d.next); ok && n <= own {
		return circle()
	}
	return nil
}

func circle() error {
	return syncerr.New(syncerr.Invalid, "follow its pages", "its pages lead in a circle").WithHint("The server's operator has to repair the feed")
}

// refused is the error for an answer that is no page. A page of the past that is not there is no fault by itself: callers look at the status.
func (f *atomFeed) refused(r *fhirReply, ref string) error {
	kind := syncerr.KindOfStatus(r.status)
	if r.status < 400 {
		kind = syncerr.Invalid
	}
	what := "page " + placeOf(ref)
	if ref == "" {
		what = "its newest page"
	}
	err := syncerr.New(kind, "read "+what, "the server answered %d", r.status)
	if ref == "" && (kind == syncerr.NotFound || kind == syncerr.Gone) {
		return err.WithHint("Check the address: it ends in /ws/atomfeed/{category}/recent, behind the context path of the server, and needs the module atomfeed")
	}
	return err
}

// isMarkup checks what comes before any parsing, for an error that a person understands: log-in pages and JSON are no feeds.
func isMarkup(in *bufio.Reader, media string) error {
	head, err := in.Peek(256)
	if len(head) == 0 && err != nil {
		return nil // the parser says what is wrong with it
	}
	text := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n"))
	switch {
	case bytes.HasPrefix(text, []byte("<!doctype html")), bytes.HasPrefix(text, []byte("<html")), strings.Contains(strings.ToLower(media), "text/html"):
		return syncerr.New(syncerr.Invalid, "read feed", "it answered with a web page instead of a feed").
			WithHint("The address may be that of a log-in page, of a proxy or of the server's own pages: set that of the feed, /ws/atomfeed/{category}/recent")
	case len(text) > 0 && text[0] != '<':
		return syncerr.New(syncerr.Invalid, "read feed", "it answered with %.60q and no XML", media).
			WithHint("Set the address of an Atom feed, /ws/atomfeed/{category}/recent")
	}
	return nil
}
