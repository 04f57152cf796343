package sdata

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tributary-sync/tributary/internal/xmltree"
	"github.com/tributary-sync/tributary/syncerr"
)

// root begins a document with the namespaces that are written.
func root(name string) *xmltree.Document {
	d := &xmltree.Document{}
	d.Begin(name, "xmlns", nsAtom, "xmlns:sdata", nsSData, "xmlns:sync", nsSync, "xmlns:http", nsHTTP, "xmlns:opensearch", nsSearch, "xmlns:t", nsNode)
	return d
}

// ours reports whether a namespace is one of SData in some version of it. Those of an unknown one are ignored, like unknown elements.
func ours(space string) bool {
	return strings.HasPrefix(space, "http://schemas.sage.com/sdata/") || strings.HasPrefix(space, "https://schemas.sage.com/sdata/")
}

func bad(format string, args ...any) error {
	return syncerr.New(syncerr.Invalid, "read SData document", format, args...)
}

// instant writes milliseconds since 1970 as an RFC 3339 time. Times that RFC 3339 cannot say become the nearest that it can.
func instant(ms int64) string {
	const first, last = -62135596800000, 253402300799999 // the years 1 to 9999
	return time.UnixMilli(min(max(ms, first), last)).UTC().Format("2006-01-02T15:04:05.000Z")
}

// WriteDigest writes the entry that $syncDigest answers and $syncSource takes (4.2).
func WriteDigest(id, title string, updated int64, g Digest) []byte {
	d := root("entry")
	headTo(d, id, title, updated)
	d.Begin("sdata:payload")
	digestTo(d, g)
	return d.Done()
}

func headTo(d *xmltree.Document, id, title string, updated int64) {
	d.Text("id", id)
	d.Text("title", title)
	d.Text("updated", instant(updated))
	d.Begin("author")
	d.Text("name", "Tributary")
	d.End()
}

func digestTo(d *xmltree.Document, g Digest) {
	d.Begin("sync:digest")
	d.Text("sync:origin", g.Origin)
	for _, e := range g.Entries {
		d.Begin("sync:digestEntry")
		d.Text("sync:endpoint", e.Endpoint)
		d.Text("sync:tick", strconv.FormatUint(e.Tick, 10))
		d.Text("sync:stamp", instant(e.Stamp))
		if e.Priority > 0 {
			d.Text("sync:conflictPriority", strconv.Itoa(e.Priority))
		}
		d.Some("t:node", e.Node)
		d.End()
	}
	if g.Known != nil {
		b, err := json.Marshal(g.Known)
		if err != nil {
			panic("bug: knowledge has no JSON form: " + err.Error())
		}
		d.Text("t:known", string(b))
	}
	d.End()
}

// WriteFeed writes a page of changes or of outcomes (4.3, 4.4, core 13.6).
func WriteFeed(f Feed) []byte {
	d := root("feed")
	headTo(d, f.ID, f.Title, f.Updated)
	if f.Next != "" {
		d.Text("link", "", "rel", "next", "type", ContentType+";type=feed", "href", f.Next)
	}
	if f.Start > 0 {
		d.Text("opensearch:startIndex", strconv.Itoa(f.Start))
	}
	if f.PerPage > 0 {
		d.Text("opensearch:itemsPerPage", strconv.Itoa(f.PerPage))
	}
	d.Some("sync:syncMode", string(f.Mode))
	if f.Digest != nil {
		digestTo(d, *f.Digest)
	}
	if p := f.Present; p != nil {
		d.Text("t:present", strings.Join(p.IDs, " "), "from", p.From, "to", p.To)
	}
	for _, e := range f.Entries {
		entryTo(d, e)
	}
	return d.Done()
}

func entryTo(d *xmltree.Document, e Entry) {
	d.Begin("entry")
	headTo(d, e.AtomID, e.Title, e.Updated)
	d.Text("content", e.Title)
	if o := e.Outcome; o.Status > 0 {
		d.Text("http:httpStatus", strconv.Itoa(o.Status))
		d.Some("http:httpMessage", o.Message)
		d.Some("http:httpMethod", o.Method)
		d.Some("http:location", o.Location)
		d.Some("http:etag", o.ETag)
	}
	if len(e.Trouble) > 0 {
		diagnosesTo(d, e.Trouble)
	}
	if e.State.Tick > 0 {
		d.Begin("sync:syncState")
		d.Text("sync:endpoint", e.State.Endpoint)
		d.Text("sync:tick", strconv.FormatUint(e.State.Tick, 10))
		d.Text("sync:stamp", instant(e.State.Stamp))
		d.Some("sync:user", e.State.User)
		d.End()
	}
	if s := e.Stamp; !s.IsZero() {
		deleted := ""
		if s.Deleted {
			deleted = "true"
		}
		d.Text("t:stamp", "", "version", s.Version.String(), "vector", s.Vector.String(), "author", string(s.Author), "authored",
			strconv.FormatInt(s.Authored, 10), "origin", s.Origin.String(), "deleted", deleted, "hash", s.Hash.String())
	}
	payloadTo(d, e)
	d.End()
}

// payload writes the resource: its element is named by the type and holds the document as JSON text (4.4).
func payloadTo(d *xmltree.Document, e Entry) {
	if e.UUID == "" && e.ID == "" {
		return
	}
	attrs := []string{"xmlns", nsNode, "xmlns:sdata", nsSData, "sdata:uuid", e.UUID, "sdata:key", e.ID} // a peer may keep the element as it is
	d.Begin("sdata:payload", "sdata:uuid", e.UUID, "sdata:key", e.ID)
	switch {
	case e.Deleted:
		d.Text(e.Title, "", append(attrs, "sdata:isDeleted", "true")...)
	case e.Document != nil && !xmltree.Printable(e.Document):
		d.Text(e.Title, base64.StdEncoding.EncodeToString(e.Document), append(attrs, "type", "application/fhir+json", "encoding", "base64")...)
	case e.Document != nil:
		d.Text(e.Title, string(e.Document), append(attrs, "type", "application/fhir+json")...)
	}
	d.End()
}

func diagnosesTo(d *xmltree.Document, list []Diagnosis, attrs ...string) {
	d.Begin("sdata:diagnoses", attrs...)
	for _, x := range list {
		d.Begin("sdata:diagnosis")
		d.Text("sdata:severity", string(x.Severity))
		d.Text("sdata:sdataCode", x.Code)
		d.Some("sdata:applicationCode", x.App)
		d.Some("sdata:message", x.Message)
		d.End()
	}
	d.End()
}

// WriteDiagnoses writes the body of an answer that is an error (core 3.11).
func WriteDiagnoses(list []Diagnosis) []byte {
	d := &xmltree.Document{}
	diagnosesTo(d, list, "xmlns:sdata", nsSData)
	return d.Done()
}

// WriteTracking writes the body of a 202 (core 11.5).
func WriteTracking(t Tracking) []byte {
	d := &xmltree.Document{}
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	d.Begin("sdata:tracking", "xmlns:sdata", nsSData)
	d.Text("sdata:phase", t.Phase)
	d.Some("sdata:phaseDetail", t.PhaseDetail)
	d.Text("sdata:progress", number(t.Progress))
	d.Text("sdata:elapsedSeconds", number(t.Elapsed))
	d.Text("sdata:remainingSeconds", number(t.Remaining))
	d.Text("sdata:pollingMillis", strconv.Itoa(t.PollingMillis))
	return d.Done()
}
