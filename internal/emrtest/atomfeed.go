package emrtest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// AtomFeed is the module atomfeed of OpenMRS: for each category a line of numbered pages that never change once they are full, and the address "recent"
// of the last one (reference/openmrs-sync2.md section 3.2). It answers under /ws/atomfeed of any context path and knows no conditional GET.
// Its fields may be set while no request is under way.
type AtomFeed struct {
	// Before is asked first; where it returns true it has answered. For faults.
	Before func(w http.ResponseWriter, r *http.Request) bool
	Size   int    // entries of a page, 0 for 5
	Host   string // that it takes itself for, with scheme and context path; "" for the one that it is asked by
	Bahmni bool   // contents are one bare URL, and there are no actions
	Plain  bool   // pages have no next-archive, which RFC 5005 allows
	ETags  bool   // a proxy before it knows conditional GET
	Name   string // part of the ids of its entries: another one is another server

	mu     sync.Mutex
	events map[string][]event
	number int
	calls  []string
}

type event struct {
	number                  int
	title, category, action string
	content                 string
}

// Publish adds an entry of a category: its action, and the links of the resource below /ws, each "" for none.
func (f *AtomFeed) Publish(category, action, restLink, fhirLink string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.number++
	e := event{number: f.number, title: category, category: category, action: action}
	links := map[string]string{}
	if restLink != "" {
		links["rest"] = "/ws/rest/v1/" + restLink + "?v=full"
	}
	if fhirLink != "" {
		links["fhir"] = "/ws/fhir/" + fhirLink
	}
	b, err := json.Marshal(links)
	if e.content = string(b); err != nil {
		panic("bug: " + err.Error())
	}
	if f.Bahmni {
		e.content = "/openmrs/ws/rest/v1/" + restLink + "?v=full"
	}
	if f.events == nil {
		f.events = map[string][]event{}
	}
	f.events[category] = append(f.events[category], e)
}

// Reset empties all categories, as restoring an old database or installing the module again does. Numbers of entries begin anew.
func (f *AtomFeed) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events, f.number = nil, 0
}

// Calls returns what was asked for since the last call, below /ws/atomfeed/, with the status where that was not 200.
func (f *AtomFeed) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.calls
	f.calls = nil
	return out
}

// ServeHTTP answers /ws/atomfeed/{category}/recent and /{n}.
func (f *AtomFeed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.Before != nil && f.Before(w, r) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	base, rest, _ := strings.Cut(r.URL.Path, "/ws/atomfeed/")
	category, page, _ := strings.Cut(rest, "/")
	size := f.Size
	if size == 0 {
		size = 5
	}
	all := f.events[category]
	last := (len(all) + size - 1) / size
	n, err := strconv.Atoi(page)
	if page == "recent" {
		n, err = last, nil
	}
	if err != nil || n < 0 || n > last || n == 0 && page != "recent" {
		f.calls = append(f.calls, rest+" 500")
		w.Header().Set("Content-Type", "text/html;charset=utf-8")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte("<!doctype html><html><head><title>HTTP Status 500 – Internal Server Error</title></head></html>"))
		return
	}
	host := f.Host
	if host == "" {
		host = "http://" + r.Host + base
	}
	body := f.page(host+"/ws/atomfeed/"+category+"/", page, n, last, all[max(0, n-1)*size:min(n*size, len(all))])
	w.Header().Set("Content-Type", "application/atom+xml")
	tag := fmt.Sprintf(`"%s%d-%d"`, f.Name, n, len(all))
	if f.ETags {
		w.Header().Set("ETag", tag)
	}
	if f.ETags && r.Header.Get("If-None-Match") == tag {
		f.calls = append(f.calls, rest+" 304")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	f.calls = append(f.calls, rest)
	_, _ = w.Write(body)
}

// page writes one as ROME does in the module.
func (f *AtomFeed) page(at, name string, n, last int, events []event) []byte {
	var b bytes.Buffer
	link := func(rel, to string) {
		fmt.Fprintf(&b, "  <link rel=\"%s\" type=\"application/atom+xml\" href=\"%s%s\" />\n", rel, at, to)
	}
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n  <title>OpenMRS Feed Publisher for Sync2.0</title>\n")
	link("self", name)
	link("via", strconv.Itoa(n))
	if n > 1 {
		link("prev-archive", strconv.Itoa(n-1))
	}
	if n < last && name != "recent" && !f.Plain {
		link("next-archive", strconv.Itoa(n+1))
	}
	fmt.Fprintf(&b, "  <author>\n    <name>SolDevelo</name>\n  </author>\n  <id>a2ad93fd-8a7f-405f-bbc1-da4535e6d05c+%d</id>\n", n)
	b.WriteString("  <generator uri=\"https://github.com/ICT4H/atomfeed\">OpenMRS Feed Publisher</generator>\n  <updated>2023-11-14T22:13:27Z</updated>\n")
	for _, e := range events {
		fmt.Fprintf(&b, "  <entry>\n    <title>%s</title>\n", escaped(e.title))
		terms := []string{e.category, e.action}
		if e.number%2 == 0 {
			terms = []string{e.action, e.category} // in the order of a hash set
		}
		for _, t := range terms {
			if t != "" && !(f.Bahmni && t == e.action) {
				fmt.Fprintf(&b, "    <category term=\"%s\" />\n", escaped(t))
			}
		}
		when := time.Unix(1_700_000_000+int64(e.number), 0).UTC().Format(time.RFC3339)
		fmt.Fprintf(&b, "    <id>tag:atomfeed.ict4h.org:%s0c2f6c2e-0000-4000-8000-%012d</id>\n", f.Name, e.number)
		fmt.Fprintf(&b, "    <updated>%s</updated>\n    <published>%s</published>\n", when, when)
		fmt.Fprintf(&b, "    <content type=\"application/vnd.atomfeed+xml\"><![CDATA[%s]]></content>\n  </entry>\n", e.content)
	}
	b.WriteString("</feed>\n")
	return b.Bytes()
}

func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// WithFeed is an OpenMRS whose writes over HTTP are published: the server, and f under /ws/atomfeed/. Parts of a document are not told.
func WithFeed(s *Server, f *AtomFeed) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/ws/atomfeed/") {
			f.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		s.ServeHTTP(seen, r)
		if seen.status < 300 && r.Method != http.MethodGet {
			f.published(r, body)
		}
	})
}

// published adds the entry of a write that was done.
func (f *AtomFeed) published(r *http.Request, body []byte) {
	var doc struct {
		UUID    string `json:"uuid"`
		Deleted string `json:"deleted"`
	}
	_ = json.Unmarshal(body, &doc) // what it lacks stays empty
	parts := strings.Split(strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/ws/fhir2/R4/"), "/ws/rest/v1/"), "/")
	action := "UPDATED"
	switch {
	case r.Method == http.MethodDelete && r.URL.Query().Get("purge") == "true":
		action = "DELETED"
	case r.Method == http.MethodDelete:
		action = "VOIDED"
	case len(parts) == 1:
		action = "CREATED"
		parts = append(parts, doc.UUID)
	case doc.Deleted == "false":
		action = "UNVOIDED"
	}
	if len(parts) != 2 {
		return
	}
	category := strings.ToLower(parts[0])
	restLink, fhirLink := category+"/"+parts[1], ""
	if rule, ok := ruleOf(category); ok && rule.fhirType != "" {
		fhirLink = rule.fhirType + "/" + parts[1]
	}
	f.Publish(category, action, restLink, fhirLink)
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
