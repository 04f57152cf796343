package sdata

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/xmltree"
	"github.com/tributary-sync/tributary/version"
)

// The limits of what is read.
const (
	maxEntries  = 10_000 // of a page
	maxEndpoint = 500    // characters of an endpoint
	maxPresent  = 10_000 // resources that a page names without their documents
)

// ReadDigest reads a digest: of an Atom entry, as $syncDigest answers it, or alone. Unknown elements are ignored. It returns an Invalid error
// for anything else, and for a digest that names an endpoint twice or without a tick.
func ReadDigest(body []byte) (Digest, error) {
	top, err := xmltree.Parse(body, ours)
	if err != nil {
		return Digest{}, err
	}
	g := top
	if !ours(top.Name.Space) || !strings.EqualFold(top.Name.Local, "digest") {
		if top.Name.Space != nsAtom || top.Name.Local != "entry" {
			return Digest{}, bad("the root is %.60s in namespace %.100q, neither an Atom entry nor a digest", top.Name.Local, top.Name.Space)
		}
		if g = top.Child("payload").Child("digest"); g == nil {
			g = top.Child("digest")
		}
		if g == nil {
			return Digest{}, bad("the entry has no digest in the namespace %s", nsSync)
		}
	}
	out, err := readDigest(g)
	if err != nil {
		return Digest{}, err
	}
	if out.ID = inText(top, nsAtom, "id"); out.Origin == "" { // it may be left out (5.8)
		out.Origin, _, _ = strings.Cut(out.ID, "/$sync")
	}
	return out, nil
}

func readDigest(e *xmltree.Element) (Digest, error) {
	g := Digest{Origin: e.Value("origin")}
	seen := map[string]bool{}
	for _, c := range e.All("digestEntry") {
		d := DigestEntry{Endpoint: c.Value("endpoint")}
		if d.Endpoint == "" || len(d.Endpoint) > maxEndpoint || seen[d.Endpoint] {
			return g, bad("a digest entry names no endpoint, one longer than %d characters, or that of another entry", maxEndpoint)
		}
		seen[d.Endpoint] = true
		var err error
		if d.Tick, err = strconv.ParseUint(c.Value("tick"), 10, 63); err != nil {
			return g, bad("the tick %.40q of %.100s is no number", c.Value("tick"), d.Endpoint)
		}
		d.Stamp = instantOf(c.Value("stamp"))
		d.Priority, _ = strconv.Atoi(c.Value("conflictPriority")) // one that is no number is none
		d.Node = inText(c, nsNode, "node")
		g.Entries = append(g.Entries, d)
	}
	if k := e.In(nsNode, "known"); k != nil {
		g.Known = &feed.Known{}
		if err := json.Unmarshal([]byte(k.Text), g.Known); err != nil {
			return g, bad("what a node tells of its exceptions is no JSON: %v", err)
		}
	}
	return g, nil
}

// instantOf reads an XSD dateTime, with or without a zone, as milliseconds since 1970 UTC; 0 where it is none.
func instantOf(s string) int64 {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMilli()
		}
	}
	return 0
}

// ReadFeed reads a page of changes or of outcomes. Elements that nobody knows are ignored, names of SData are taken in every version of its
// namespaces. It returns an Invalid error for what is no Atom feed, and for entries of a page of changes (it has a syncMode) without a syncState.
func ReadFeed(body []byte) (Feed, error) {
	top, err := xmltree.Parse(body, ours)
	if err != nil {
		return Feed{}, err
	}
	if top.Name.Space != nsAtom || top.Name.Local != "feed" {
		return Feed{}, bad("the root is %.60s in namespace %.100q, not an Atom feed", top.Name.Local, top.Name.Space)
	}
	f := Feed{Mode: version.Mode(top.Value("syncMode"))}
	switch {
	case strings.EqualFold(string(f.Mode), string(version.CatchUp)):
		f.Mode = version.CatchUp
	case strings.EqualFold(string(f.Mode), string(version.Immediate)):
		f.Mode = version.Immediate
	case f.Mode != "":
		return f, bad("the syncMode %.40q is neither catchUp nor immediate", f.Mode)
	}
	if g := top.Child("digest"); g != nil {
		d, err := readDigest(g)
		if err != nil {
			return f, err
		}
		f.Digest = &d
	}
	if p := top.In(nsNode, "present"); p != nil {
		f.Present = &Present{Range: feed.Range{From: p.Attr("from"), To: p.Attr("to")}, IDs: strings.Fields(p.Text)}
		if len(f.Present.IDs) > maxPresent || p.Attr("to") != "" && p.Attr("to") <= p.Attr("from") {
			return f, bad("it names %d resources from %.70q to %.70q; at most %d are taken, and the end is behind the beginning", len(f.Present.IDs), p.Attr("from"), p.Attr("to"), maxPresent)
		}
	}
	f.Start, _ = strconv.Atoi(inText(top, nsSearch, "startIndex"))
	f.PerPage, _ = strconv.Atoi(inText(top, nsSearch, "itemsPerPage"))
	f.ID, f.Title, f.Updated = inText(top, nsAtom, "id"), inText(top, nsAtom, "title"), instantOf(inText(top, nsAtom, "updated"))
	for _, c := range top.Children {
		if c.Name.Space != nsAtom {
			continue
		}
		switch c.Name.Local {
		case "link":
			if strings.EqualFold(c.Attr("rel"), "next") && f.Next == "" {
				f.Next = c.Attr("href")
			}
		case "entry":
			if len(f.Entries) == maxEntries {
				return f, bad("the page has more than %d entries", maxEntries)
			}
			e, err := readEntry(c)
			if err != nil {
				return f, err
			}
			if f.Mode != "" && (e.State.Endpoint == "" || e.State.Tick == 0) {
				return f, bad("entry %d, %.100s, has no syncState with an endpoint and a tick", len(f.Entries)+1, e.AtomID)
			}
			f.Entries = append(f.Entries, e)
		}
	}
	return f, nil
}

func inText(e *xmltree.Element, space, name string) string {
	if c := e.In(space, name); c != nil {
		return c.Text
	}
	return ""
}

func readEntry(c *xmltree.Element) (Entry, error) {
	e := Entry{AtomID: inText(c, nsAtom, "id"), Title: inText(c, nsAtom, "title"), Updated: instantOf(inText(c, nsAtom, "updated"))}
	if s := c.Child("syncState"); s != nil {
		e.State = SyncState{Endpoint: s.Value("endpoint"), Stamp: instantOf(s.Value("stamp")), User: s.Value("user")}
		var err error
		if e.State.Tick, err = strconv.ParseUint(s.Value("tick"), 10, 63); err != nil || len(e.State.Endpoint) > maxEndpoint {
			return e, bad("the syncState of %.100s has the tick %.40q, or an endpoint longer than %d characters", e.AtomID, s.Value("tick"), maxEndpoint)
		}
	}
	if s := c.In(nsNode, "stamp"); s != nil {
		var err error
		if e.Stamp, err = stampOf(s); err != nil {
			return e, bad("the stamp of %.100s: %v", e.AtomID, err)
		}
	}
	e.Outcome.Status, _ = strconv.Atoi(c.Value("httpStatus"))
	e.Outcome.Message, e.Outcome.Method = c.Value("httpMessage"), c.Value("httpMethod")
	e.Outcome.Location, e.Outcome.ETag = c.Value("location"), c.Value("etag")
	e.Trouble = readDiagnoses(c.Child("diagnoses"))
	p := c.Child("payload")
	if p == nil {
		return e, nil
	}
	e.readPayload(p)
	return e, nil
}

// readPayload takes uuid, key and isDeleted from the payload or its child: the specification has them in both places (4.4, 5.8, 6.1).
func (e *Entry) readPayload(p *xmltree.Element) {
	e.UUID, e.ID = p.Attr("uuid"), p.Attr("key")
	e.Deleted = p.Attr("isDeleted") == "true"
	for _, c := range p.Children {
		if e.UUID == "" {
			e.UUID = c.Attr("uuid")
		}
		if e.ID == "" {
			e.ID = c.Attr("key")
		}
		e.Deleted = e.Deleted || c.Attr("isDeleted") == "true"
		if e.Document == nil {
			e.Document = documentIn(c)
		}
	}
	if e.Document == nil && strings.HasPrefix(p.Text, "{") {
		e.Document = []byte(p.Text)
	}
	if id := gjson.GetBytes(e.Document, "id"); id.Type == gjson.String && fhir.ValidID(id.Str) {
		e.ID = id.Str
	}
	if e.ID == "" {
		e.ID = selector(e.AtomID)
	}
	if e.ID == "" && fhir.ValidID(e.UUID) {
		e.ID = e.UUID
	}
	if e.Deleted {
		e.Document = nil
	}
}

// documentIn finds the JSON text in an element of the payload.
func documentIn(c *xmltree.Element) []byte {
	if c.Text != "" {
		if c.Attr("encoding") == "base64" {
			if b, err := base64.StdEncoding.DecodeString(c.Text); err == nil {
				return b
			}
		}
		if strings.HasPrefix(c.Text, "{") {
			return []byte(c.Text)
		}
	}
	for _, inner := range c.Children {
		if b := documentIn(inner); b != nil {
			return b
		}
	}
	return nil
}

// selector returns the key of an SData URL, .../accounts('23552'), where it may be an id of FHIR.
func selector(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	_, rest, found := strings.Cut(u.Path, "('")
	id, _, closed := strings.Cut(rest, "')")
	if !found || !closed || !fhir.ValidID(id) {
		return ""
	}
	return id
}

func readDiagnoses(e *xmltree.Element) []Diagnosis {
	if e == nil {
		return nil
	}
	var out []Diagnosis
	for _, c := range e.All("diagnosis") {
		out = append(out, Diagnosis{Severity: Severity(c.Value("severity")), Code: c.Value("sdataCode"), App: c.Value("applicationCode"), Message: c.Value("message")})
	}
	return out
}

// ReadDiagnoses reads the body of an answer that is an error; nil where it is none.
func ReadDiagnoses(body []byte) []Diagnosis {
	top, err := xmltree.Parse(body, ours)
	if err != nil || !ours(top.Name.Space) {
		return nil
	}
	if strings.EqualFold(top.Name.Local, "diagnosis") {
		return readDiagnoses(&xmltree.Element{Children: []*xmltree.Element{top}})
	}
	return readDiagnoses(top)
}

// ReadTracking reads the body of a 202; false where it is none.
func ReadTracking(body []byte) (Tracking, bool) {
	top, err := xmltree.Parse(body, ours)
	if err != nil || !ours(top.Name.Space) || !strings.EqualFold(top.Name.Local, "tracking") {
		return Tracking{}, false
	}
	number := func(name string) float64 {
		f, _ := strconv.ParseFloat(top.Value(name), 64)
		return f
	}
	t := Tracking{Phase: top.Value("phase"), PhaseDetail: top.Value("phaseDetail"), Progress: number("progress"), Elapsed: number("elapsedSeconds"), Remaining: number("remainingSeconds")}
	t.PollingMillis, _ = strconv.Atoi(top.Value("pollingMillis"))
	return t, true
}

// stampOf reads what document.entry writes of a stamp.
func stampOf(e *xmltree.Element) (version.Stamp, error) {
	s := version.Stamp{Author: version.Replica(e.Attr("author")), Deleted: e.Attr("deleted") == "true"}
	var err error
	if s.Authored, err = strconv.ParseInt(e.Attr("authored"), 10, 64); err != nil {
		return s, err
	}
	for _, part := range []struct {
		into interface{ UnmarshalText([]byte) error }
		name string
	}{{&s.Version, "version"}, {&s.Vector, "vector"}, {&s.Origin, "origin"}, {&s.Hash, "hash"}} {
		if err := part.into.UnmarshalText([]byte(e.Attr(part.name))); err != nil {
			return s, err
		}
	}
	return s, s.Validate()
}
