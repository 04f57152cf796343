package feed

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/mmcdole/gofeed/atom"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// AtomFeed is a page as it was read. Links are as the sender wrote them; its host may not be the one that it is reached by, so
// a reader keeps page numbers (AtomPageNumber) and entry ids, and builds URLs from its own configuration.
type AtomFeed struct {
	ID          string
	Self        string
	Via         string // the permanent URL of the page
	Current     string
	PrevArchive string
	NextArchive string
	Entries     []AtomEntry // oldest first
}

// AtomEntry is one event of a page. What the sender left out or wrote in a way that nobody knows is empty. Stamp is zero
// where the sender is no Tributary node; where it is not, Seq, Key and Action are set too.
type AtomEntry struct {
	ID         string
	Updated    int64    // milliseconds since 1970 UTC, 0 where it is no time
	Categories []string // every term as written, in any order
	Action     Action   // a term of CREATED, UPDATED, DELETED, VOIDED, ..., or another one in capitals
	Category   string   // the term that is neither an action nor XML

	// ContentLinks has the links of the content: of a JSON map by their names ("fhir", "rest"), a bare URL by the service that
	// its path names, else as "url". They may be relative, absolute, or below a context path: ServicePath makes them equal.
	ContentLinks map[string]string
	Key          fhir.Key // from the "fhir" link
	Seq          uint64
	Stamp        version.Stamp
	Unit         string
	UnitSize     int
}

// ReadAtom reads a page of at most limit bytes: ours, or one of both OpenMRS dialects. It returns a TooLarge error for a longer
// one, Unsupported for an encoding that is neither UTF-8 nor ISO-8859-1, the reader's own error (Transient where it has no
// Kind) for a failed read, and Invalid for malformed XML, document types and entities, anything but an Atom feed, absurd
// nesting, entries without an id or with the same one, bad stamps, and stamps out of order. It returns no part of a bad page.
func ReadAtom(r io.Reader, limit int64) (AtomFeed, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return AtomFeed{}, syncerr.Wrap(syncerr.Transient, "read feed", err)
	}
	if int64(len(body)) > limit {
		return AtomFeed{}, syncerr.New(syncerr.TooLarge, "read feed", "the page is longer than %d bytes", limit)
	}
	if body, err = utf8Body(body); err != nil {
		return AtomFeed{}, err
	}
	asides, err := checkXML(body)
	if err != nil {
		return AtomFeed{}, err
	}
	parsed, err := (&atom.Parser{}).Parse(bytes.NewReader(body))
	if err != nil {
		return AtomFeed{}, xmlError(err)
	}
	if len(parsed.Entries) != len(asides) {
		return AtomFeed{}, xmlInvalid("elements of another namespace are named like those of Atom")
	}
	f := AtomFeed{ID: parsed.ID}
	for _, l := range parsed.Links {
		f.link(l)
	}
	ids := make(map[string]bool, len(asides))
	last := uint64(0)
	for i, p := range parsed.Entries {
		e, err := readEntry(p, asides[i])
		if err != nil {
			return AtomFeed{}, err
		}
		if e.ID == "" || ids[e.ID] {
			return AtomFeed{}, xmlInvalid("entry %d has no id, or the id of another one", i+1)
		}
		ids[e.ID] = true
		if !e.Stamp.IsZero() {
			if e.Seq <= last {
				return AtomFeed{}, xmlInvalid("sequence %d stands behind sequence %d", e.Seq, last)
			}
			last = e.Seq
		}
		f.Entries = append(f.Entries, e)
	}
	return f, nil
}

// link keeps the first link of each relation.
func (f *AtomFeed) link(l *atom.Link) {
	to := map[string]*string{
		"self": &f.Self, "via": &f.Via, "current": &f.Current, "prev-archive": &f.PrevArchive, "next-archive": &f.NextArchive,
	}[l.Rel]
	if to != nil && *to == "" {
		*to = strings.TrimSpace(l.Href)
	}
}

func readEntry(p *atom.Entry, a *aside) (AtomEntry, error) {
	e := AtomEntry{ID: p.ID, ContentLinks: contentLinks(a.content.String())}
	if p.UpdatedParsed != nil {
		e.Updated = p.UpdatedParsed.UnixMilli()
	}
	for _, c := range p.Categories {
		e.Categories = append(e.Categories, c.Term)
	}
	e.Action, e.Category = tags(e.Categories)
	if k := linkKey(e.ContentLinks["fhir"]); fhir.IsType(k.Type) {
		e.Key = k
	} else if k := linkKey(e.ContentLinks["rest"]); fhir.IsREST(k.Type) {
		e.Key = k
	}
	if a.stamp != nil {
		if err := e.readStamp(a.stamp); err != nil {
			return e, syncerr.Wrap(syncerr.Invalid, "read feed, entry "+e.Key.String(), err)
		}
	}
	return e, nil
}

// readStamp reads the attributes of our stamp; unknown ones are passed over.
func (e *AtomEntry) readStamp(attrs []xml.Attr) error {
	ev := Event{Key: e.Key, Action: e.Action}
	s := &ev.Stamp
	for _, a := range attrs {
		var err error
		switch a.Name {
		case xml.Name{Local: "seq"}:
			ev.Seq, err = strconv.ParseUint(a.Value, 10, 63)
		case xml.Name{Local: "version"}:
			err = s.Version.UnmarshalText([]byte(a.Value))
		case xml.Name{Local: "vector"}:
			err = s.Vector.UnmarshalText([]byte(a.Value))
		case xml.Name{Local: "author"}:
			s.Author = version.Replica(a.Value)
		case xml.Name{Local: "authored"}:
			s.Authored, err = strconv.ParseInt(a.Value, 10, 64)
		case xml.Name{Local: "origin"}:
			err = s.Origin.UnmarshalText([]byte(a.Value))
		case xml.Name{Local: "deleted"}:
			s.Deleted, err = strconv.ParseBool(a.Value)
		case xml.Name{Local: "hash"}:
			err = s.Hash.UnmarshalText([]byte(a.Value))
		case xml.Name{Local: "unit"}:
			ev.Unit = a.Value
		case xml.Name{Local: "unitSize"}:
			ev.UnitSize, err = strconv.Atoi(a.Value)
		}
		if err != nil {
			return syncerr.Wrap(syncerr.Invalid, "attribute "+a.Name.Local, err)
		}
	}
	if err := checkEvent(&ev); err != nil {
		return err
	}
	if ev.Seq == 0 {
		return syncerr.New(syncerr.Invalid, "check stamp", "it has no sequence")
	}
	e.Seq, e.Stamp, e.Unit, e.UnitSize = ev.Seq, ev.Stamp, ev.Unit, ev.UnitSize
	return nil
}

// tags tells the action from the category. OpenMRS writes both, and a location filter in XML, in the order of a hash set.
func tags(terms []string) (Action, string) {
	var action, category string
	var rest []string
	for _, t := range terms {
		t = strings.TrimSpace(t)
		switch t {
		case "CREATED", "UPDATED", "RETIRED", "UNRETIRED", "VOIDED", "UNVOIDED", "DELETED":
			action = t
		default:
			if t != "" && t[0] != '<' {
				rest = append(rest, t)
			}
		}
	}
	for _, t := range rest {
		switch {
		case action == "" && len(rest) > 1 && strings.Trim(t, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == "":
			action = t
		case category == "":
			category = t
		}
	}
	return Action(action), category
}

// contentLinks reads a JSON map of links or a bare URL; any other content has none.
func contentLinks(s string) map[string]string {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "{") {
		var m map[string]jsontext.Value
		if json.Unmarshal([]byte(s), &m) != nil {
			return nil
		}
		out := make(map[string]string, len(m))
		for k, v := range m {
			var link string
			if json.Unmarshal(v, &link) == nil && link != "" {
				out[k] = strings.TrimSpace(link)
			}
		}
		return out
	}
	u, err := url.Parse(s)
	if err != nil || !strings.Contains(u.Path, "/") || strings.ContainsAny(s, " \t\r\n<>") {
		return nil
	}
	switch {
	case strings.Contains(u.Path, "/ws/rest/"):
		return map[string]string{"rest": s}
	case strings.Contains(u.Path, "/ws/fhir"):
		return map[string]string{"fhir": s}
	}
	return map[string]string{"url": s}
}

// linkKey returns the key that a FHIR link, or one to a REST document, ends with, the zero key for any other link.
func linkKey(link string) fhir.Key {
	u, err := url.Parse(link)
	if err != nil {
		return fhir.Key{}
	}
	dir, id := path.Split(u.Path)
	k := fhir.Key{Type: path.Base(dir), ID: id}
	if k.Validate() != nil {
		return fhir.Key{}
	}
	return k
}

// ServicePath returns a content link relative to the base of its server, from "/ws/" on and with its query: the same for a
// relative link, one below a context path and an absolute one. ok is false for a link outside of /ws/.
func ServicePath(link string) (relative string, ok bool) {
	u, err := url.Parse(link)
	if err != nil {
		return "", false
	}
	_, rest, ok := strings.Cut(u.EscapedPath(), "/ws/")
	if !ok {
		return "", false
	}
	relative = "/ws/" + rest
	if u.RawQuery != "" {
		relative += "?" + u.RawQuery
	}
	return relative, true
}

// AtomPageNumber returns the number of the page that a via, prev-archive or next-archive link names. ok is false for a link
// that ends in no number, such as /recent. An empty OpenMRS feed has the page 0.
func AtomPageNumber(href string) (n int, ok bool) {
	u, err := url.Parse(href)
	if err != nil {
		return 0, false
	}
	v, err := strconv.ParseUint(path.Base(u.Path), 10, 31)
	return int(v), err == nil
}
