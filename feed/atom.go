package feed

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/gorilla/feeds"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// The namespaces of a page: RFC 4287 section 2, RFC 5005 section 2, and that of the stamp.
const (
	atomNamespace    = "http://www.w3.org/2005/Atom"
	historyNamespace = "http://purl.org/syndication/history/1.0"
	stampNamespace   = "https://tributary-sync.github.io/ns/1"
)

// Media types of the Atom form. AtomContentType goes into the HTTP header of a page.
const (
	AtomContentType = "application/atom+xml; charset=utf-8"
	atomType        = "application/atom+xml"
	contentMapType  = "application/vnd.atomfeed+xml" // as OpenMRS names a content that is a JSON map of links
	fhirType        = "application/fhir+json"
)

// CategoryAll is the category of the feed that has every type.
const CategoryAll = fhir.CategoryAll

// AtomPage is one page of a feed. Page n of a category has for ever the events that are n-th in order of commit, oldest first;
// what it lacks of PageSize comes later (RFC 5005 section 4).
type AtomPage struct {
	Base     string            // absolute URL of the node, without a slash at its end
	Category string            // CategoryAll or a lower-case resource type, as in the URL
	Number   int               // from 1; an empty feed has the empty page 1
	Recent   bool              // served as /recent, which is always the last page
	Last     bool              // no page follows yet
	Epoch    string            // of the log that the pages are cut from
	NodeName string            // the author of the feed
	Events   []Event           // ascending by Seq
	PageSize int               // events at most
	Updated  int64             // milliseconds since 1970 UTC; 0 takes the last event's
	Rest     map[string]string // resource type -> OpenMRS REST collection, for those that also have that form
}

// The page is gorilla's with the fields shadowed that it lacks or writes wrongly: encoding/xml takes the shallower field.
type atomFeed struct {
	XMLName      xml.Name `xml:"feed"`
	XmlnsHistory string   `xml:"xmlns:fh,attr"`
	XmlnsStamp   string   `xml:"xmlns:t,attr"`
	feeds.AtomFeed
	Generator atomGenerator    `xml:"generator"`
	Archive   *struct{}        `xml:"fh:archive"`
	Link      []feeds.AtomLink `xml:"link"`
	Entries   []atomEntry      `xml:"entry"`
}

type atomEntry struct {
	XMLName xml.Name `xml:"entry"`
	feeds.AtomEntry
	Category []atomCategory `xml:"category"`
	Content  atomContent    `xml:"content"`
	Stamp    atomStamp      `xml:"t:stamp"`
}

type atomGenerator struct {
	URI  string `xml:"uri,attr"`
	Name string `xml:",chardata"`
}

// atomCategory has no label and no scheme: the tag parser of OpenMRS Sync 2.0 breaks on empty ones.
type atomCategory struct {
	Term string `xml:"term,attr"`
}

type atomContent struct {
	Type string `xml:"type,attr"`
	Text string `xml:",cdata"`
}

type atomStamp struct {
	Seq      uint64 `xml:"seq,attr"`
	Version  string `xml:"version,attr"`
	Vector   string `xml:"vector,attr"`
	Author   string `xml:"author,attr"`
	Authored int64  `xml:"authored,attr"`
	Origin   string `xml:"origin,attr"`
	Deleted  bool   `xml:"deleted,attr,omitempty"`
	Hash     string `xml:"hash,attr,omitempty"`
	Unit     string `xml:"unit,attr,omitempty"`
	UnitSize int    `xml:"unitSize,attr,omitempty"`
}

// WriteAtom writes a page as RFC 4287 Atom with RFC 5005 archive links, in the form that the Java atomfeed client of OpenMRS
// reads: absolute links, `via` for the page's permanent URL, at most three fraction digits, ASCII only. It returns an Internal
// error, and writes nothing, for a page that breaks AtomPage's rules; a failed write is Transient.
func WriteAtom(w io.Writer, p AtomPage) error {
	if err := p.check(); err != nil {
		return defect(err)
	}
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	e := xml.NewEncoder(&b)
	e.Indent("", "  ")
	if err := e.Encode(p.feed()); err != nil {
		return defect(err)
	}
	b.WriteByte('\n')
	_, err := w.Write(ascii(b.Bytes()))
	return syncerr.Wrap(syncerr.Transient, "write feed", err)
}

func (p *AtomPage) check() error {
	bad := func(format string, args ...any) error {
		return syncerr.New(syncerr.Invalid, "check page", format, args...)
	}
	resource, known := fhir.CategoryType(p.Category)
	switch {
	case !strings.Contains(p.Base, "://") || strings.HasSuffix(p.Base, "/"):
		return bad("base %q is not an absolute URL without a slash at its end", p.Base)
	case p.Category != CategoryAll && (!known || p.Category != strings.ToLower(p.Category)):
		return bad("%q is no category", p.Category)
	case p.Number < 1:
		return bad("page %d: pages count from 1", p.Number)
	case !version.Replica(p.Epoch).Valid():
		return bad("epoch %q is no UUID", p.Epoch)
	case p.NodeName == "":
		return bad("the node has no name")
	case p.PageSize < 1 || len(p.Events) > p.PageSize:
		return bad("%d events on a page of %d", len(p.Events), p.PageSize)
	}
	for t, c := range p.Rest {
		if strings.Trim(c, "/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return bad("%s: %q is no REST collection", t, c)
		}
	}
	last := uint64(0)
	for i := range p.Events {
		e := &p.Events[i]
		if err := checkEvent(e); err != nil {
			return err
		}
		if e.Seq <= last {
			return bad("sequence %d stands behind sequence %d", e.Seq, last)
		}
		last = e.Seq
		if p.Category != CategoryAll && e.Key.Type != resource {
			return bad("%s does not belong to %s", e.Key, p.Category)
		}
		if e.Ordinal != 0 && (e.Ordinal-1)/uint64(p.PageSize) != uint64(p.Number-1) {
			return bad("event %d of its category does not belong to page %d", e.Ordinal, p.Number)
		}
	}
	return nil
}

func (p *AtomPage) feed() atomFeed {
	updated := p.Updated
	if n := len(p.Events); updated == 0 && n > 0 {
		updated = p.Events[n-1].Committed
	}
	f := atomFeed{
		XmlnsHistory: historyNamespace,
		XmlnsStamp:   stampNamespace,
		AtomFeed: feeds.AtomFeed{
			Xmlns:   atomNamespace,
			Title:   "Changes at " + p.NodeName + ": " + p.Category,
			Id:      p.id(),
			Updated: instant(updated),
			Author:  &feeds.AtomAuthor{AtomPerson: feeds.AtomPerson{Name: p.NodeName}},
		},
		Generator: atomGenerator{URI: "https://github.com/tributary-sync/tributary", Name: "Tributary"},
		Link:      p.links(),
	}
	if !p.last() {
		f.Archive = &struct{}{}
	}
	for i := range p.Events {
		f.Entries = append(f.Entries, p.entry(&p.Events[i]))
	}
	return f
}

func (p *AtomPage) last() bool { return p.Last || p.Recent }

// id differs between categories and pages, as in OpenMRS, and never changes for one page.
func (p *AtomPage) id() string {
	return "urn:uuid:" + uuid.NewSHA1(uuid.MustParse(p.Epoch), []byte("feed/"+p.Category)).String() + "+" + strconv.Itoa(p.Number)
}

func (p *AtomPage) recentURL() string { return p.Base + "/ws/atomfeed/" + p.Category + "/recent" }

// pageURL carries the epoch, so that a page of another log is never taken for this one.
func (p *AtomPage) pageURL(n int) string {
	return fmt.Sprintf("%s/ws/atomfeed/%s/%d?epoch=%s", p.Base, p.Category, n, p.Epoch)
}

func (p *AtomPage) links() []feeds.AtomLink {
	link := func(rel, href string) feeds.AtomLink { return feeds.AtomLink{Rel: rel, Type: atomType, Href: href} }
	permanent := p.pageURL(p.Number)
	var out []feeds.AtomLink
	if p.Recent {
		out = append(out, link("self", p.recentURL()))
	} else {
		out = append(out, link("self", permanent), link("current", p.recentURL()))
	}
	out = append(out, link("via", permanent))
	if p.Number > 1 {
		out = append(out, link("prev-archive", p.pageURL(p.Number-1)))
	}
	if !p.last() {
		out = append(out, link("next-archive", p.pageURL(p.Number+1)))
	}
	return out
}

func (p *AtomPage) entry(e *Event) atomEntry {
	s := &e.Stamp
	at := instant(e.Committed)
	alternate, href := fhirType, p.Base+e.Key.Path()+"/_history/"+s.Version.String()
	if fhir.IsREST(e.Key.Type) {
		alternate = "application/json"
	}
	return atomEntry{
		AtomEntry: feeds.AtomEntry{
			Title:     e.Key.Type,
			Updated:   at,
			Id:        EntryID(p.Epoch, e.Seq),
			Published: at,
			Links: []feeds.AtomLink{{
				Rel: "alternate", Type: alternate, Href: href,
			}},
		},
		Category: []atomCategory{{string(e.Action)}, {strings.ToLower(e.Key.Type)}},
		Content:  atomContent{Type: contentMapType, Text: p.content(e.Key)},
		Stamp: atomStamp{
			Seq: e.Seq, Version: s.Version.String(), Vector: s.Vector.String(), Author: string(s.Author), Authored: s.Authored,
			Origin: s.Origin.String(), Deleted: s.Deleted, Hash: s.Hash.String(), Unit: e.Unit, UnitSize: e.UnitSize,
		},
	}
}

// content returns the JSON map of base-relative links. It has no ampersand: ROME, which the Java client reads with, would
// take one for an entity even inside CDATA.
func (p *AtomPage) content(k fhir.Key) string {
	if fhir.IsREST(k.Type) {
		return `{"rest":"/ws/rest/v1/` + k.String() + `?v=full"}`
	}
	rest := ""
	if c := p.Rest[k.Type]; c != "" {
		rest = `"rest":"/ws/rest/v1/` + c + "/" + k.ID + `?v=full",`
	}
	return "{" + rest + `"fhir":"/ws/fhir2/R4/` + k.String() + `"}`
}

// EntryID returns the Atom id of an event: a UUID made from the epoch (a UUID) and the sequence, so that it is the same
// in every category and for ever. RFC 4287 section 4.2.6, RFC 9562 section 5.5.
func EntryID(epoch string, seq uint64) string {
	space, err := uuid.Parse(epoch)
	if err != nil {
		panic(fmt.Sprintf("bug: epoch %q is no UUID", epoch))
	}
	return "urn:uuid:" + uuid.NewSHA1(space, strconv.AppendUint(nil, seq, 10)).String()
}

// instant returns an RFC 3339 time with exactly three fraction digits: the Java client takes any fraction for milliseconds.
// Times that RFC 3339 cannot say become the nearest ones that it can.
func instant(ms int64) string {
	const first, last = -62135596800000, 253402300799999 // the years 1 to 9999
	return time.UnixMilli(min(max(ms, first), last)).UTC().Format("2006-01-02T15:04:05.000Z")
}

// ascii replaces every other character by its numeric entity, because the Java client decodes a page with the charset of its
// platform. No CDATA of a page has such a character.
func ascii(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			out = append(out, b[i])
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		out = fmt.Appendf(out, "&#%d;", r)
		i += n
	}
	return out
}
