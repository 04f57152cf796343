package sdata

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// document is an XML document in the making. Names are written as they are given, with the prefixes that root declares.
type document struct {
	bytes.Buffer
	open []string
}

// root begins a document.
func root(name string) *document {
	d := bare()
	d.begin(name, "xmlns", nsAtom, "xmlns:sdata", nsSData, "xmlns:sync", nsSync, "xmlns:http", nsHTTP, "xmlns:opensearch", nsSearch, "xmlns:t", nsNode)
	return d
}

// begin opens an element; attrs are names and values in turn, those without a value are left out.
func (d *document) begin(name string, attrs ...string) {
	d.tag(name, attrs)
	d.WriteString(">")
	d.open = append(d.open, name)
}

func (d *document) tag(name string, attrs []string) {
	if len(d.open) > 0 {
		d.WriteString("\n" + strings.Repeat(" ", len(d.open)))
	}
	d.WriteString("<" + name)
	for i := 0; i+1 < len(attrs); i += 2 {
		if attrs[i+1] == "" {
			continue
		}
		d.WriteString(" " + attrs[i] + `="`)
		_ = xml.EscapeText(d, []byte(attrs[i+1])) // a buffer takes everything
		d.WriteString(`"`)
	}
}

// end closes the innermost element.
func (d *document) end() {
	last := len(d.open) - 1
	d.WriteString("\n" + strings.Repeat(" ", last) + "</" + d.open[last] + ">")
	d.open = d.open[:last]
}

// text writes an element that holds text.
func (d *document) text(name, value string, attrs ...string) {
	d.tag(name, attrs)
	if value == "" {
		d.WriteString("/>")
		return
	}
	d.WriteString(">")
	_ = xml.EscapeText(d, []byte(value))
	d.WriteString("</" + name + ">")
}

// done closes what is open and returns the document.
func (d *document) done() []byte {
	for len(d.open) > 0 {
		d.end()
	}
	_ = d.WriteByte('\n') // a buffer takes everything
	return d.Bytes()
}

// instant writes milliseconds since 1970 as an RFC 3339 time. Times that RFC 3339 cannot say become the nearest that it can.
func instant(ms int64) string {
	const first, last = -62135596800000, 253402300799999 // the years 1 to 9999
	return time.UnixMilli(min(max(ms, first), last)).UTC().Format("2006-01-02T15:04:05.000Z")
}

// WriteDigest writes the entry that $syncDigest answers and $syncSource takes (4.2).
func WriteDigest(id, title string, updated int64, g Digest) []byte {
	d := root("entry")
	d.head(id, title, updated)
	d.begin("sdata:payload")
	d.digest(g)
	return d.done()
}

func (d *document) head(id, title string, updated int64) {
	d.text("id", id)
	d.text("title", title)
	d.text("updated", instant(updated))
	d.begin("author")
	d.text("name", "Tributary")
	d.end()
}

func (d *document) digest(g Digest) {
	d.begin("sync:digest")
	d.text("sync:origin", g.Origin)
	for _, e := range g.Entries {
		d.begin("sync:digestEntry")
		d.text("sync:endpoint", e.Endpoint)
		d.text("sync:tick", strconv.FormatUint(e.Tick, 10))
		d.text("sync:stamp", instant(e.Stamp))
		if e.Priority > 0 {
			d.text("sync:conflictPriority", strconv.Itoa(e.Priority))
		}
		d.some("t:node", e.Node)
		d.end()
	}
	if g.Known != nil {
		b, err := json.Marshal(g.Known)
		if err != nil {
			panic("bug: knowledge has no JSON form: " + err.Error())
		}
		d.text("t:known", string(b))
	}
	d.end()
}

// WriteFeed writes a page of changes or of outcomes (4.3, 4.4, core 13.6).
func WriteFeed(f Feed) []byte {
	d := root("feed")
	d.head(f.ID, f.Title, f.Updated)
	if f.Next != "" {
		d.text("link", "", "rel", "next", "type", ContentType+";type=feed", "href", f.Next)
	}
	if f.Start > 0 {
		d.text("opensearch:startIndex", strconv.Itoa(f.Start))
	}
	if f.PerPage > 0 {
		d.text("opensearch:itemsPerPage", strconv.Itoa(f.PerPage))
	}
	d.some("sync:syncMode", string(f.Mode))
	if f.Digest != nil {
		d.digest(*f.Digest)
	}
	for _, e := range f.Entries {
		d.entry(e)
	}
	return d.done()
}

// some is text for what is left out where it is empty.
func (d *document) some(name, value string) {
	if value != "" {
		d.text(name, value)
	}
}

func (d *document) entry(e Entry) {
	d.begin("entry")
	d.head(e.AtomID, e.Title, e.Updated)
	d.text("content", e.Title)
	if o := e.Outcome; o.Status > 0 {
		d.text("http:httpStatus", strconv.Itoa(o.Status))
		d.some("http:httpMessage", o.Message)
		d.some("http:httpMethod", o.Method)
		d.some("http:location", o.Location)
		d.some("http:etag", o.ETag)
	}
	if len(e.Trouble) > 0 {
		d.diagnoses(e.Trouble)
	}
	if e.State.Tick > 0 {
		d.begin("sync:syncState")
		d.text("sync:endpoint", e.State.Endpoint)
		d.text("sync:tick", strconv.FormatUint(e.State.Tick, 10))
		d.text("sync:stamp", instant(e.State.Stamp))
		d.some("sync:user", e.State.User)
		d.end()
	}
	if s := e.Stamp; !s.IsZero() {
		deleted := ""
		if s.Deleted {
			deleted = "true"
		}
		d.text("t:stamp", "", "version", s.Version.String(), "vector", s.Vector.String(), "author", string(s.Author), "authored",
			strconv.FormatInt(s.Authored, 10), "origin", s.Origin.String(), "deleted", deleted, "hash", s.Hash.String())
	}
	d.payload(e)
	d.end()
}

// payload writes the resource: its element is named by the type and holds the document as JSON text (4.4).
func (d *document) payload(e Entry) {
	if e.UUID == "" && e.ID == "" {
		return
	}
	attrs := []string{"xmlns", nsNode, "xmlns:sdata", nsSData, "sdata:uuid", e.UUID, "sdata:key", e.ID} // a peer may keep the element as it is
	d.begin("sdata:payload", "sdata:uuid", e.UUID, "sdata:key", e.ID)
	switch {
	case e.Deleted:
		d.text(e.Title, "", append(attrs, "sdata:isDeleted", "true")...)
	case e.Document != nil && !printable(e.Document):
		d.text(e.Title, base64.StdEncoding.EncodeToString(e.Document), append(attrs, "type", "application/fhir+json", "encoding", "base64")...)
	case e.Document != nil:
		d.text(e.Title, string(e.Document), append(attrs, "type", "application/fhir+json")...)
	}
	d.end()
}

// printable reports whether XML 1.0 can carry the text as it is (section 2.2, Char).
func printable(b []byte) bool {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		switch {
		case r == utf8.RuneError && n == 1, r < 0x20 && r != '\t' && r != '\n', r == 0xFFFE, r == 0xFFFF:
			return false
		}
		i += n
	}
	return true
}

func (d *document) diagnoses(list []Diagnosis, attrs ...string) {
	d.begin("sdata:diagnoses", attrs...)
	for _, x := range list {
		d.begin("sdata:diagnosis")
		d.text("sdata:severity", string(x.Severity))
		d.text("sdata:sdataCode", x.Code)
		d.some("sdata:applicationCode", x.App)
		d.some("sdata:message", x.Message)
		d.end()
	}
	d.end()
}

// bare begins a document whose root declares its own namespace.
func bare() *document {
	d := &document{}
	d.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	return d
}

// WriteDiagnoses writes the body of an answer that is an error (core 3.11).
func WriteDiagnoses(list []Diagnosis) []byte {
	d := bare()
	d.diagnoses(list, "xmlns:sdata", nsSData)
	return d.done()
}

// WriteTracking writes the body of a 202 (core 11.5).
func WriteTracking(t Tracking) []byte {
	d := bare()
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	d.begin("sdata:tracking", "xmlns:sdata", nsSData)
	d.text("sdata:phase", t.Phase)
	d.some("sdata:phaseDetail", t.PhaseDetail)
	d.text("sdata:progress", number(t.Progress))
	d.text("sdata:elapsedSeconds", number(t.Elapsed))
	d.text("sdata:remainingSeconds", number(t.Remaining))
	d.text("sdata:pollingMillis", strconv.Itoa(t.PollingMillis))
	return d.done()
}
