package sdata_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/sdata"
)

// host is a node with all its handlers, asked without a socket.
type host struct {
	t *testing.T
	*node.Node
	url   string
	later *atomic.Int64 // how far its clock is ahead, in nanoseconds
}

func newHost(t *testing.T, name string, change func(*config.Config)) *host {
	t.Helper()
	return newHostVia(t, name, nil, change)
}

// newHostVia is newHost of a node whose own requests go another way than the network.
func newHostVia(t *testing.T, name string, rt http.RoundTripper, change func(*config.Config)) *host {
	t.Helper()
	cfg := config.Default()
	dir := t.TempDir()
	cfg.Node.Name, cfg.Node.DataDir, cfg.Node.Listen, cfg.Node.URL = name, dir, "127.0.0.1:0", "http://"+name+".example"
	cfg.Store.DSN = filepath.Join(dir, "tributary.db")
	if change != nil {
		change(&cfg)
	}
	later := &atomic.Int64{}
	deps := node.Deps{Volatile: true, Transport: rt, Clock: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }}
	if err := node.Init(t.Context(), cfg, deps); err != nil {
		t.Fatal(err)
	}
	n, err := node.New(t.Context(), cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return &host{t: t, Node: n, url: cfg.Node.URL, later: later}
}

// RoundTrip answers a request of the operator.
func (h *host) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+h.AdminToken())
	r.RemoteAddr, r.Host = "192.0.2.1:1", r.URL.Host
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	h.Handler().ServeHTTP(w, r)
	return w.Result(), nil
}

// answer is what a request led to.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (h *host) call(method, path string, body []byte) answer {
	h.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = h.url + path
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, path, bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	res, err := h.RoundTrip(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, b}
}

func (h *host) must(status int, method, path string, body []byte) answer {
	h.t.Helper()
	a := h.call(method, path, body)
	if a.status != status {
		h.t.Fatalf("%s %s: status %d, want %d: %s", method, path, a.status, status, a.body)
	}
	return a
}

func (h *host) write(typ, id, text string) {
	h.t.Helper()
	res, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":%q,"id":%q,"text":{"status":"generated","div":%q}}`, typ, id, text), 0)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.Engine().Author(context.Background(), "test", []engine.Write{{Op: engine.Update, Key: res.Key, Body: res}}); err != nil {
		h.t.Fatal(err)
	}
}

// has returns the text of a resource, "gone" for a tombstone and "" where there is none.
func (h *host) has(typ, id string) string {
	h.t.Helper()
	c, ok, err := h.Engine().Store().Get(h.t.Context(), fhir.Key{Type: typ, ID: id})
	switch {
	case err != nil:
		h.t.Fatal(err)
	case !ok:
		return ""
	case c.Stamp.Deleted:
		return "gone"
	}
	_, rest, _ := strings.Cut(string(c.Body), `"div":"`)
	text, _, _ := strings.Cut(rest, `"`)
	return text
}

// ticks returns the digest of Patient as the node publishes it, by the short names of endpoints: n1, n2, ..., own for its own.
func (h *host) ticks() map[string]uint64 {
	h.t.Helper()
	g, err := sdata.ReadDigest(h.must(200, "GET", "/sdata/Patient/$syncDigest", nil).body)
	if err != nil {
		h.t.Fatal(err)
	}
	out := map[string]uint64{}
	for _, e := range g.Entries {
		name := e.Endpoint
		if n, ok := strings.CutPrefix(name, "http://n"); ok {
			name = "n" + n[:1]
		} else if name == g.Origin {
			name = "own"
		}
		out[name] = e.Tick
	}
	return out
}

func (h *host) wantTicks(want map[string]uint64) {
	h.t.Helper()
	got := h.ticks()
	for name, tick := range want {
		if got[name] != tick {
			h.t.Errorf("digest %v, want %s:%d", got, name, tick)
		}
	}
}

func (h *host) audit(q audit.Query) []audit.Record {
	h.t.Helper()
	out, err := h.Engine().Store().AuditRecords(h.t.Context(), q)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// endpoint is the collection of the peer n1, n2, ...
func endpoint(n int) string {
	return fmt.Sprintf("http://n%d.example/sdata/app/contract/-/patients", n)
}

// change is an entry of a page of a plain peer.
type change struct {
	node    int
	tick    uint64
	id      string
	text    string // empty deletes
	stamp   string
	content string // in place of a Patient
}

// pageOf writes a page as section 5.8 of the specification shows one, with default namespaces on each element and no origin.
func pageOf(mode string, digest []uint64, next string, changes ...change) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `<feed xmlns="http://www.w3.org/2005/Atom" xmlns:sdata="http://schemas.sage.com/sdata/2008/1"><title>x</title>
<id>http://n1.example/sdata/app/contract/-/patients/$syncSource('3EE479B9-05E8-4f35-8115-E205446667B6')</id><updated>2008-03-31T13:46:45Z</updated>
<syncMode xmlns="http://schemas.sage.com/sdata/sync/2008/1">%s</syncMode><digest xmlns="http://schemas.sage.com/sdata/sync/2008/1">`, mode)
	for i, tick := range digest {
		if tick > 0 {
			fmt.Fprintf(&b, "<digestEntry><endpoint>%s</endpoint><tick>%d</tick><stamp>2008-10-30T19:07:56Z</stamp><conflictPriority>%d</conflictPriority></digestEntry>", endpoint(i+1), tick, i+1)
		}
	}
	b.WriteString("</digest>")
	if next != "" {
		fmt.Fprintf(&b, `<link rel="next" href=%q/>`, next)
	}
	for _, c := range changes {
		if c.stamp == "" {
			c.stamp = "2008-10-30T18:13:39Z"
		}
		payload := `<patient xmlns="http://schemas.example/contract" xmlns:s="http://schemas.sage.com/sdata/2008/1" s:isDeleted="true"/>`
		if c.content == "" {
			c.content = fmt.Sprintf(`{"resourceType":"Patient","id":%q,"text":{"status":"generated","div":%q}}`, c.id, c.text)
		}
		if c.text != "" {
			var esc bytes.Buffer
			_ = xml.EscapeText(&esc, []byte(c.content))
			payload = `<patient xmlns="http://schemas.example/contract"><fhir>` + esc.String() + `</fhir><unknown/></patient>`
		}
		fmt.Fprintf(&b, `<entry><id>%s('%s')</id><title>Patient</title><updated>2008-05-25T13:27:19.207Z</updated><content>Patient</content>
<syncState xmlns="http://schemas.sage.com/sdata/sync/2008/1"><endpoint>%s</endpoint><tick>%d</tick><stamp>%s</stamp></syncState>
<payload sdata:uuid="%s" xmlns="http://schemas.sage.com/sdata/2008/1">%s</payload></entry>`, endpoint(c.node), c.id, endpoint(c.node), c.tick, c.stamp, sdata.UUIDOf("Patient", c.id), payload)
	}
	b.WriteString("</feed>")
	return []byte(b.String())
}

// apply posts a page without a trackingID: it is taken within the request.
func (h *host) apply(status int, page []byte) sdata.Feed {
	h.t.Helper()
	a := h.must(status, "POST", "/sdata/Patient/$syncTarget?runName=Full&runStamp=2009-10-14T08:51:02", page)
	if status != 200 {
		if d := sdata.ReadDiagnoses(a.body); len(d) != 1 || d[0].Message == "" {
			h.t.Errorf("the answer has no diagnosis: %s", a.body)
		}
		return sdata.Feed{}
	}
	f, err := sdata.ReadFeed(a.body)
	if err != nil {
		h.t.Fatal(err)
	}
	return f
}

// statuses returns the outcomes of a result feed in their order.
func statuses(f sdata.Feed) []int {
	var out []int
	for _, e := range f.Entries {
		out = append(out, e.Outcome.Status)
	}
	return out
}

func wantStatuses(t *testing.T, f sdata.Feed, want ...int) {
	t.Helper()
	if got := statuses(f); !slices.Equal(got, want) {
		t.Errorf("outcomes %v, want %v: %+v", got, want, f.Entries)
	}
}

// priorities makes the policy that of SData's conflictPriority: n1 strongest.
func priorities(cfg *config.Config) {
	cfg.Conflicts.Default = reconcile.ReplicaPriority
	cfg.Conflicts.Priority = map[string]int{endpoint(1): 1, endpoint(2): 2, endpoint(3): 3}
}

// lastWriter decides every conflict.
func lastWriter(cfg *config.Config) { cfg.Conflicts.Default = reconcile.LastWriterWins }

// select1 posts a digest and returns the first page, with the address of the operation.
func (h *host) select1(digest []byte, more string) (page sdata.Feed, location string, body []byte) {
	h.t.Helper()
	a := h.must(202, "POST", "/sdata/Patient/$syncSource?trackingID="+h.Engine().Store().NewUUID()+"&runName=Full&runStamp=1"+more, digest)
	location = a.header.Get("Location")
	got := h.must(200, "GET", location+strings.Replace(more, "?", "&", 1), nil)
	f, err := sdata.ReadFeed(got.body)
	if err != nil {
		h.t.Fatal(err)
	}
	return f, location, got.body
}

// digestOf writes a digest as a plain peer does.
func digestOf(ticks ...uint64) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `<entry xmlns="http://www.w3.org/2005/Atom"><id>%s/$syncDigest</id><payload xmlns="http://schemas.sage.com/sdata/2008/1"><digest xmlns="http://schemas.sage.com/sdata/sync/2008/1"><origin>%s</origin>`,
		endpoint(1), endpoint(1))
	for i, tick := range ticks {
		fmt.Fprintf(&b, "<digestEntry><endpoint>%s</endpoint><tick>%d</tick><stamp>2008-10-30T19:07:56Z</stamp></digestEntry>", endpoint(i+1), tick)
	}
	b.WriteString("</digest></payload></entry>")
	return []byte(b.String())
}

func newAnswer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}
