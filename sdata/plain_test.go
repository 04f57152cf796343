package sdata_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// plain is an SData peer for one resource kind, written from the specification alone: it shares no code with package sdata and knows nothing of
// FHIR or of nodes. A resource is opaque XML under a UUID.
type plain struct {
	t        *testing.T
	url      string // of its collection
	tick     int    // next of its own
	priority map[string]int
	digest   map[string]int // endpoint -> first tick that is not known
	rows     map[string]row
	jobs     map[string]*plainJob
	posts    []string // requests that were made
	fail     int      // requests to $syncTarget that answer 503 first
	sync     bool     // answer at once
}

type row struct {
	payload  string // child of the payload
	deleted  bool
	endpoint string
	tick     int
	stamp    string
}

type plainJob struct {
	result []byte // of a target
	pages  [][]string
	digest string
	polled bool
}

func newPlain(t *testing.T, url string) *plain {
	return &plain{
		t: t, url: url, tick: 1, priority: map[string]int{}, digest: map[string]int{url: 1}, rows: map[string]row{}, jobs: map[string]*plainJob{},
	}
}

// put changes a resource at the peer.
func (p *plain) put(uuid, payload string) {
	p.rows[uuid] = row{payload: payload, endpoint: p.url, tick: p.tick, stamp: "2024-05-01T10:00:00Z"}
	p.tick++
	p.digest[p.url] = p.tick
}

func (p *plain) drop(uuid string) {
	p.put(uuid, p.rows[uuid].payload)
	r := p.rows[uuid]
	r.deleted = true
	p.rows[uuid] = r
}

// What the peer reads: exactly the names of the specification.
type (
	xmlDigest struct {
		Origin  string `xml:"http://schemas.sage.com/sdata/sync/2008/1 origin"`
		Entries []struct {
			Endpoint string `xml:"http://schemas.sage.com/sdata/sync/2008/1 endpoint"`
			Tick     int    `xml:"http://schemas.sage.com/sdata/sync/2008/1 tick"`
			Stamp    string `xml:"http://schemas.sage.com/sdata/sync/2008/1 stamp"`
			Priority int    `xml:"http://schemas.sage.com/sdata/sync/2008/1 conflictPriority"`
		} `xml:"http://schemas.sage.com/sdata/sync/2008/1 digestEntry"`
	}
	xmlEntry struct {
		XMLName xml.Name `xml:"http://www.w3.org/2005/Atom entry"`
		ID      string   `xml:"http://www.w3.org/2005/Atom id"`
		State   struct {
			Endpoint string `xml:"http://schemas.sage.com/sdata/sync/2008/1 endpoint"`
			Tick     int    `xml:"http://schemas.sage.com/sdata/sync/2008/1 tick"`
			Stamp    string `xml:"http://schemas.sage.com/sdata/sync/2008/1 stamp"`
		} `xml:"http://schemas.sage.com/sdata/sync/2008/1 syncState"`
		Payload struct {
			UUID  string `xml:"http://schemas.sage.com/sdata/2008/1 uuid,attr"`
			Inner string `xml:",innerxml"`
			Child struct {
				Deleted bool `xml:"http://schemas.sage.com/sdata/2008/1 isDeleted,attr"`
			} `xml:",any"`
			Digest *xmlDigest `xml:"http://schemas.sage.com/sdata/sync/2008/1 digest"`
		} `xml:"http://schemas.sage.com/sdata/2008/1 payload"`
	}
	xmlFeed struct {
		XMLName xml.Name   `xml:"http://www.w3.org/2005/Atom feed"`
		Mode    string     `xml:"http://schemas.sage.com/sdata/sync/2008/1 syncMode"`
		Digest  *xmlDigest `xml:"http://schemas.sage.com/sdata/sync/2008/1 digest"`
		Links   []struct {
			Rel  string `xml:"rel,attr"`
			Href string `xml:"href,attr"`
		} `xml:"http://www.w3.org/2005/Atom link"`
		Entries []xmlEntry `xml:"http://www.w3.org/2005/Atom entry"`
	}
)

func (p *plain) writeDigest() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<digest xmlns="http://schemas.sage.com/sdata/sync/2008/1"><origin>%s</origin>`, p.url)
	for _, e := range slices.Sorted(keys(p.digest)) {
		fmt.Fprintf(&b, "<digestEntry><endpoint>%s</endpoint><tick>%d</tick><stamp>2024-05-01T10:00:00Z</stamp><conflictPriority>%d</conflictPriority></digestEntry>", e, p.digest[e], max(p.priority[e], 1))
	}
	return b.String() + "</digest>"
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// RoundTrip answers requests to the peer.
func (p *plain) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	p.ServeHTTP(w, r)
	return w.Result(), nil
}

// ServeHTTP answers.
func (p *plain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := strings.TrimPrefix("http://"+r.URL.Host+r.URL.Path, p.url+"/")
	p.posts = append(p.posts, r.Method+" "+op)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Error(err)
	}
	id := r.URL.Query().Get("trackingID")
	switch {
	case r.Method == "GET" && op == "$syncDigest":
		fmt.Fprintf(w, `<entry xmlns="http://www.w3.org/2005/Atom"><id>%s/$syncDigest</id><title/><updated>2024-05-01T10:00:00Z</updated><payload xmlns="http://schemas.sage.com/sdata/2008/1">%s</payload></entry>`, p.url, p.writeDigest())
	case r.Method == "POST" && op == "$syncSource":
		p.source(w, id, body)
	case r.Method == "POST" && op == "$syncTarget":
		p.target(w, id, body)
	case r.Method == "GET" && strings.Contains(op, "('"):
		p.poll(w, r, op)
	case r.Method == "DELETE" && strings.Contains(op, "('"):
		_, rest, _ := strings.Cut(op, "('")
		id := strings.TrimSuffix(rest, "')")
		if p.jobs[id] == nil {
			w.WriteHeader(http.StatusGone)
		}
		delete(p.jobs, id)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (p *plain) accept(w http.ResponseWriter, op, id string) {
	w.Header().Set("Location", fmt.Sprintf("%s/%s('%s')", p.url, op, id))
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprint(w, `<tracking xmlns="http://schemas.sage.com/sdata/2008/1"><phase>working</phase><progress>5</progress><elapsedSeconds>1</elapsedSeconds><remainingSeconds>2</remainingSeconds><pollingMillis>100</pollingMillis></tracking>`)
}

// source selects (2.5), in ascending ticks by endpoint, three entries a page.
func (p *plain) source(w http.ResponseWriter, id string, body []byte) {
	var e xmlEntry
	if err := xml.Unmarshal(body, &e); err != nil || e.Payload.Digest == nil {
		p.refuse(w, 400, fmt.Sprint("no digest: ", err))
		return
	}
	target := map[string]int{}
	for _, d := range e.Payload.Digest.Entries {
		target[d.Endpoint] = d.Tick
	}
	var list []string
	for uuid, r := range p.rows {
		if p.digest[r.endpoint] > target[r.endpoint] && r.tick >= target[r.endpoint] {
			list = append(list, uuid)
		}
	}
	slices.SortFunc(list, func(a, b string) int {
		x, y := p.rows[a], p.rows[b]
		if x.endpoint != y.endpoint {
			return strings.Compare(x.endpoint, y.endpoint)
		}
		return x.tick - y.tick
	})
	j := &plainJob{digest: p.writeDigest()}
	for part := range slices.Chunk(list, 3) {
		j.pages = append(j.pages, part)
	}
	if len(j.pages) == 0 {
		j.pages = [][]string{nil}
	}
	p.jobs[id] = j
	p.accept(w, "$syncSource", id)
}

func (p *plain) refuse(w http.ResponseWriter, status int, text string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `<diagnoses xmlns="http://schemas.sage.com/sdata/2008/1"><diagnosis><severity>Error</severity><sdataCode>ApplicationDiagnosis</sdataCode><message>%s</message></diagnosis></diagnoses>`, text)
}

func (p *plain) poll(w http.ResponseWriter, r *http.Request, op string) {
	_, rest, _ := strings.Cut(op, "('")
	id := strings.TrimSuffix(rest, "')")
	j := p.jobs[id]
	if j == nil {
		p.refuse(w, 404, "no such operation")
		return
	}
	if !j.polled { // the first time it is not ready yet
		j.polled = true
		p.accept(w, strings.TrimSuffix(op, "('"+id+"')"), id)
		return
	}
	if j.result != nil {
		_, _ = w.Write(j.result)
		return
	}
	start, _ := strconv.Atoi(r.URL.Query().Get("startIndex"))
	n := max(start-1, 0) / 3
	fmt.Fprintf(w, `<feed xmlns="http://www.w3.org/2005/Atom"><id>%s/$syncSource('%s')</id><title/><updated>2024-05-01T10:00:00Z</updated><syncMode xmlns="http://schemas.sage.com/sdata/sync/2008/1">catchUp</syncMode>%s`, p.url, id, j.digest)
	if n+1 < len(j.pages) {
		fmt.Fprintf(w, `<link rel="next" href="%s/$syncSource('%s')?startIndex=%d&amp;count=3"/>`, p.url, id, 3*(n+1)+1)
	}
	for _, uuid := range j.pages[n] {
		_, _ = w.Write([]byte(p.entry(uuid)))
	}
	fmt.Fprint(w, "</feed>")
}

func (p *plain) entry(uuid string) string {
	r := p.rows[uuid]
	payload := r.payload
	if r.deleted {
		payload = `<thing xmlns="http://example.org/contract" xmlns:s="http://schemas.sage.com/sdata/2008/1" s:isDeleted="true"/>`
	}
	return fmt.Sprintf(`<entry><id>%s('%s')</id><title/><updated>2024-05-01T10:00:00Z</updated><syncState xmlns="http://schemas.sage.com/sdata/sync/2008/1"><endpoint>%s</endpoint><tick>%d</tick><stamp>%s</stamp></syncState><payload xmlns="http://schemas.sage.com/sdata/2008/1" xmlns:s="http://schemas.sage.com/sdata/2008/1" s:uuid="%s">%s</payload></entry>`,
		p.url, uuid, r.endpoint, r.tick, r.stamp, uuid, payload)
}

// immediate is the feed that the peer pushes unasked for resources that it has just changed (5.8).
func (p *plain) immediate(uuids ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<feed xmlns="http://www.w3.org/2005/Atom"><id>%s/$syncSource('x')</id><title/><updated>2024-05-01T10:00:00Z</updated><syncMode xmlns="http://schemas.sage.com/sdata/sync/2008/1">immediate</syncMode>%s`, p.url, p.writeDigest())
	for _, uuid := range uuids {
		b.WriteString(p.entry(uuid))
	}
	b.WriteString("</feed>")
	return b.Bytes()
}

// target applies a feed by 5.4, 5.5 and 5.8.
func (p *plain) target(w http.ResponseWriter, id string, body []byte) {
	if p.fail > 0 {
		p.fail--
		w.Header().Set("Retry-After", "1")
		p.refuse(w, 503, "busy")
		return
	}
	var f xmlFeed
	if err := xml.Unmarshal(body, &f); err != nil || f.Digest == nil || f.Mode == "" {
		p.refuse(w, 400, fmt.Sprint("no feed: ", err))
		return
	}
	source, priority := map[string]int{}, map[string]int{}
	for _, d := range f.Digest.Entries {
		source[d.Endpoint], priority[d.Endpoint] = d.Tick, d.Priority
	}
	last := map[string]int{}
	for _, e := range f.Entries {
		s := e.State
		if e.Payload.UUID == "" || s.Endpoint == "" || s.Tick == 0 || s.Tick <= last[s.Endpoint] {
			p.t.Errorf("a plain peer was sent an entry without uuid or syncState, or with ticks that do not ascend: %+v", e)
		}
		if f.Mode == "catchUp" && s.Tick >= source[s.Endpoint] {
			p.t.Errorf("an entry has tick %d of %s, the source's digest %d", s.Tick, s.Endpoint, source[s.Endpoint])
		}
		last[s.Endpoint] = s.Tick
	}
	if f.Mode == "immediate" {
		next := map[string]int{}
		for k, v := range p.digest {
			next[k] = v
		}
		for _, e := range f.Entries {
			want := max(next[e.State.Endpoint], 1)
			if e.State.Tick > want {
				p.refuse(w, 400, "a gap")
				return
			}
			next[e.State.Endpoint] = max(want, e.State.Tick+1)
		}
	}
	var out bytes.Buffer
	out.WriteString(`<feed xmlns="http://www.w3.org/2005/Atom"><title/>`)
	for _, e := range f.Entries {
		p.one(e, source, priority)
		p.digest[e.State.Endpoint] = max(p.digest[e.State.Endpoint], e.State.Tick+1)
		fmt.Fprintf(&out, `<entry><id>%s</id><httpStatus xmlns="http://schemas.sage.com/sdata/http/2008/1">200</httpStatus></entry>`, e.ID)
	}
	out.WriteString("</feed>")
	more := slices.ContainsFunc(f.Links, func(l struct {
		Rel  string `xml:"rel,attr"`
		Href string `xml:"href,attr"`
	},
	) bool {
		return l.Rel == "next"
	})
	if f.Mode == "catchUp" && !more {
		for e, tick := range source {
			p.digest[e] = max(p.digest[e], tick)
		}
	}
	if p.sync || id == "" {
		_, _ = w.Write(out.Bytes())
		return
	}
	p.jobs[id] = &plainJob{result: out.Bytes()}
	p.accept(w, "$syncTarget", id)
}

func (p *plain) one(e xmlEntry, source, priority map[string]int) {
	in := row{payload: strings.TrimSpace(e.Payload.Inner), deleted: e.Payload.Child.Deleted, endpoint: e.State.Endpoint, tick: e.State.Tick, stamp: e.State.Stamp}
	mine, ok := p.rows[e.Payload.UUID]
	apply := !ok
	switch {
	case !ok:
	case mine.endpoint == in.endpoint:
		apply = in.tick > mine.tick
	case source[mine.endpoint] > mine.tick:
		apply = true
	case p.digest[in.endpoint] > in.tick:
	default:
		a, b := priority[in.endpoint], priority[mine.endpoint]
		apply = a < b || a == b && in.stamp > mine.stamp
	}
	if apply {
		p.rows[e.Payload.UUID] = in
	}
}
