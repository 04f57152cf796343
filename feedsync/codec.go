package feedsync

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/internal/xmltree"
	"github.com/tributary-sync/tributary/syncerr"
)

const (
	nsAtom = "http://www.w3.org/2005/Atom"
	nsSX   = "http://feedsync.org/2007/feedsync"
)

// ContentType is the media type of a feed.
const ContentType = "application/atom+xml; charset=utf-8"

// The limits of what is read.
const (
	maxItems   = 100_000
	maxHistory = 20_000 // lines of an item
	maxText    = 200    // characters of an id and of an endpoint
	maxRivals  = 20     // conflicts of an item
)

// Feed is a page of items.
type Feed struct {
	ID       string
	Title    string
	Updated  int64  // milliseconds since 1970 UTC
	Since    int64  // items that were changed at this time or later; 0 for all
	Until    int64  // and up to this one
	Expires  int64  // until when it may be read again without missing what it has had; 0 for ever
	Complete string // address of the complete feed, where this is a part of it
	Next     string // address of the next part
	Items    []Item
}

// instant writes a time as FeedSync 1.0.1 has it: UTC, whole seconds.
func instant(ms int64) string {
	const first, last = -62135596800000, 253402300799999 // the years 1 to 9999
	return time.UnixMilli(min(max(ms, first), last)).UTC().Format("2006-01-02T15:04:05Z")
}

// Write writes a feed.
func Write(f Feed) []byte {
	d := &xmltree.Document{}
	d.Begin("feed", "xmlns", nsAtom, "xmlns:sx", nsSX)
	d.Text("id", f.ID)
	d.Text("title", f.Title)
	d.Text("updated", instant(f.Updated))
	d.Begin("author")
	d.Text("name", "Tributary")
	d.End()
	if f.Next != "" {
		d.Text("link", "", "rel", "next", "href", f.Next)
	}
	span := func(ms int64) string {
		if ms == 0 {
			return ""
		}
		return instant(ms)
	}
	d.Begin("sx:sharing", "since", span(f.Since), "until", span(f.Until), "expires", span(f.Expires))
	if f.Complete != "" {
		d.Text("sx:related", "", "link", f.Complete, "type", "complete")
	}
	d.End()
	for _, x := range f.Items {
		item(d, x)
	}
	return d.Done()
}

func item(d *xmltree.Document, x Item) {
	d.Begin("entry")
	d.Text("id", x.AtomID)
	d.Text("title", x.Title)
	d.Text("updated", instant(x.Updated))
	d.Begin("sx:sync", "id", x.ID, "updates", strconv.FormatUint(x.Updates, 10), "deleted", strconv.FormatBool(x.Deleted), "noconflicts", strconv.FormatBool(x.NoConflicts))
	for _, u := range x.History {
		when := ""
		if u.When != 0 {
			when = instant(u.When)
		}
		d.Text("sx:history", "", "sequence", strconv.FormatUint(u.Sequence, 10), "when", when, "by", u.By)
	}
	if len(x.Conflicts) > 0 {
		d.Begin("sx:conflicts")
		for _, c := range x.Conflicts {
			item(d, c)
		}
		d.End()
	}
	d.End()
	switch {
	case x.Content == nil:
	case xmltree.Printable(x.Content):
		d.Text("content", string(x.Content), "type", "application/fhir+json")
	default:
		d.Text("content", base64.StdEncoding.EncodeToString(x.Content), "type", "application/octet-stream")
	}
	d.End()
}

func bad(format string, args ...any) error {
	return syncerr.New(syncerr.Invalid, "read FeedSync feed", format, args...)
}

// Read reads a feed. Entries that are no items of FeedSync are passed over; unknown elements are ignored. It returns an Invalid error for what is
// no Atom feed, and for items without an id or a history.
func Read(body []byte) (Feed, error) {
	top, err := xmltree.Parse(body, func(space string) bool { return space == nsSX })
	if err != nil {
		return Feed{}, err
	}
	if top.Name.Space != nsAtom || top.Name.Local != "feed" {
		return Feed{}, bad("the root is %.60s in namespace %.100q, not an Atom feed", top.Name.Local, top.Name.Space)
	}
	sharing := top.Child("sharing")
	f := Feed{
		ID: text(top, "id"), Title: text(top, "title"), Updated: instantOf(text(top, "updated")), Complete: sharing.Child("related").Attr("link"),
		Since: instantOf(sharing.Attr("since")), Until: instantOf(sharing.Attr("until")), Expires: instantOf(sharing.Attr("expires")),
	}
	for _, c := range top.Children {
		switch {
		case c.Name.Space != nsAtom:
		case c.Name.Local == "link" && c.Attr("rel") == "next" && f.Next == "":
			f.Next = c.Attr("href")
		case c.Name.Local == "entry" && c.Child("sync") != nil:
			if len(f.Items) == maxItems {
				return f, bad("it has more than %d items", maxItems)
			}
			x, err := readItem(c)
			if err != nil {
				return f, err
			}
			f.Items = append(f.Items, x)
		}
	}
	return f, nil
}

func readItem(c *xmltree.Element) (Item, error) {
	s := c.Child("sync")
	if s == nil {
		return Item{}, bad("a conflict is no item")
	}
	x := Item{
		ID: s.Attr("id"), Deleted: s.Attr("deleted") == "true", NoConflicts: s.Attr("noconflicts") == "true", AtomID: text(c, "id"), Title: text(c, "title"),
		Updated: instantOf(text(c, "updated")),
	}
	var err error
	if x.Updates, err = strconv.ParseUint(s.Attr("updates"), 10, 63); err != nil || x.ID == "" || len(x.ID) > maxText {
		return x, bad("an item has the id %.100q and %.40q updates", x.ID, s.Attr("updates"))
	}
	lines := s.All("history")
	if len(lines) == 0 || len(lines) > maxHistory {
		return x, bad("item %.100s has a history of %d lines", x.ID, len(lines))
	}
	for _, line := range lines {
		u := Update{When: instantOf(line.Attr("when")), By: line.Attr("by")}
		if u.Sequence, err = strconv.ParseUint(line.Attr("sequence"), 10, 63); err != nil || u.Sequence == 0 || u.When == 0 && u.By == "" || len(u.By) > maxText {
			return x, bad("a line of the history of item %.100s has sequence %.40q, when %.40q, by %.100q", x.ID, line.Attr("sequence"), line.Attr("when"), u.By)
		}
		x.History = append(x.History, u)
	}
	if conflicts := s.Child("conflicts"); conflicts != nil {
		for _, e := range conflicts.Children {
			if e.Name.Space != nsAtom || e.Name.Local != "entry" {
				continue
			}
			y, err := readItem(e)
			if err != nil {
				return x, err
			}
			if x.Conflicts = append(x.Conflicts, y); len(x.Conflicts) > maxRivals {
				return x, bad("item %.100s has more than %d conflicts", x.ID, maxRivals)
			}
		}
	}
	if content := c.In(nsAtom, "content"); content != nil && content.Text != "" && !x.Deleted {
		x.Content = []byte(content.Text)
		if !strings.HasPrefix(content.Text, "{") {
			if b, err := base64.StdEncoding.DecodeString(content.Text); err == nil {
				x.Content = b
			}
		}
	}
	return x, nil
}

func text(e *xmltree.Element, name string) string {
	if c := e.In(nsAtom, name); c != nil {
		return c.Text
	}
	return ""
}

// instantOf reads a time as milliseconds since 1970 UTC, 0 where it is none. Fractions are cut off: 1.0.1 has none.
func instantOf(s string) int64 {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0
	}
	return t.Unix() * 1000
}
