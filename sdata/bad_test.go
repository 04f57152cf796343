package sdata_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/sdata"
	"github.com/tributary-sync/tributary/version"
)

// TestBadPages: what is no page is refused with a diagnosis and a row in the audit, and nothing of it is taken.
func TestBadPages(t *testing.T) {
	one := change{node: 1, tick: 1, id: "p", text: "x"}
	good := string(pageOf("catchUp", []uint64{2}, "", one))
	own := func(h *host, tick uint64) string {
		return strings.Replace(good, "</digest>", fmt.Sprintf("<digestEntry><endpoint>urn:uuid:%s</endpoint><tick>%d</tick></digestEntry></digest>", h.Engine().Store().Identity().Replica, tick), 1)
	}
	for _, c := range []struct {
		name string
		page func(h *host) string
		says string
	}{
		{"nothing", func(*host) string { return "" }, "empty"},
		{"no XML", func(*host) string { return "hello" }, "outside"},
		{"cut", func(*host) string { return good[:len(good)/2] }, "EOF"},
		{"another root", func(*host) string { return `<rss xmlns="http://www.w3.org/2005/Atom"/>` }, "not an Atom feed"},
		{"another namespace", func(*host) string {
			return strings.Replace(good, "http://www.w3.org/2005/Atom", "http://example.org/Atom", 1)
		}, "not an Atom feed"},
		{"namespaces of SData wrong", func(*host) string { return strings.ReplaceAll(good, "schemas.sage.com", "example.org") }, "no syncMode"},
		{"entities", func(*host) string {
			return `<!DOCTYPE feed [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>` + strings.Replace(good, "<title>x", "<title>&b;", 1)
		}, "document types"},
		{"an entity without a document type", func(*host) string { return strings.Replace(good, "<title>x", "<title>&b;", 1) }, "entity"},
		{"deep", func(*host) string {
			return strings.Replace(good, "<unknown/>", strings.Repeat("<d>", 100)+strings.Repeat("</d>", 100), 1)
		}, "nested deeper"},
		{"attributes", func(*host) string {
			var b strings.Builder
			for i := range 40 {
				fmt.Fprintf(&b, " a%d=''", i)
			}
			return strings.Replace(good, "<unknown/>", "<unknown"+b.String()+"/>", 1)
		}, "attributes"},
		{"two roots", func(*host) string { return good + good }, "more than one root"},
		{"no UTF-8", func(*host) string { return strings.Replace(good, "<title>x", "<title>\xff", 1) }, "UTF-8"},
		{"no digest", func(*host) string {
			a, rest, _ := strings.Cut(good, "<digest ")
			_, rest, _ = strings.Cut(rest, "</digest>")
			return a + rest
		}, "no digest"},
		{"another mode", func(*host) string { return strings.Replace(good, "catchUp", "someTimes", 1) }, "someTimes"},
		{"no syncState", func(*host) string {
			return strings.Replace(strings.Replace(good, "<syncState ", "<other ", 1), "</syncState>", "</other>", 1)
		}, "no syncState"},
		{"a tick that is no number", func(*host) string {
			return strings.Replace(good, "<tick>1<", "<tick>-1<", 1)
		}, "tick"},
		{"an endpoint twice", func(*host) string {
			return strings.Replace(good, "</digest>", "<digestEntry><endpoint>"+endpoint(1)+"</endpoint><tick>3</tick></digestEntry></digest>", 1)
		}, "another entry"},
		{"ticks that go backwards", func(*host) string {
			return string(pageOf("catchUp", []uint64{9}, "", change{node: 1, tick: 5, id: "a", text: "x"}, change{node: 1, tick: 4, id: "b", text: "x"}))
		}, "ascend"},
		{"a tick twice", func(*host) string {
			return string(pageOf("catchUp", []uint64{9}, "", change{node: 1, tick: 5, id: "a", text: "x"}, change{node: 1, tick: 5, id: "b", text: "x"}))
		}, "ascend"},
		{"a feed of another kind", func(*host) string {
			return strings.Replace(good, "http://n1.example/sdata/app/contract/-/patients/$sync", "http://n1.example/sdata/Observation/$sync", 1)
		}, "not one of Patient"},
		{"a digest of another network: it knows changes that this node never made", func(h *host) string { return own(h, 50) }, "claims to know"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, "b", nil)
			a := h.must(400, "POST", "/sdata/Patient/$syncTarget", []byte(c.page(h)))
			d := sdata.ReadDiagnoses(a.body)
			if len(d) != 1 || !strings.Contains(d[0].Message, c.says) || d[0].Severity != sdata.Failure {
				t.Errorf("diagnoses %+v, want one that says %q", d, c.says)
			}
			if h.has("Patient", "p") != "" || h.ticks()["n1"] != 0 {
				t.Error("something of it was taken")
			}
			if rows := h.audit(audit.Query{Failures: true}); len(rows) == 0 {
				t.Error("the audit does not have it")
			}
			if seen := own(h, 1); c.name == "nothing" {
				h.must(200, "POST", "/sdata/Patient/$syncTarget", []byte(seen)) // the good form is taken
			}
		})
	}
}

// TestLiberalReading: the texts of the specification contradict each other, and both sides are read (reference: section 1.11).
func TestLiberalReading(t *testing.T) {
	good := string(pageOf("catchUp", []uint64{3}, "", change{node: 1, tick: 1, id: "p", text: "x"}, change{node: 1, tick: 2, id: "q"}))
	for name, page := range map[string]string{
		"as in 5.8":                         good,
		"prefixes":                          strings.ReplaceAll(strings.ReplaceAll(good, "sdata:uuid", "q:uuid"), "xmlns:sdata=", "xmlns:q="),
		"isDeleted of sync":                 strings.Replace(good, `xmlns:s="http://schemas.sage.com/sdata/2008/1"`, `xmlns:s="http://schemas.sage.com/sdata/sync/2008/1"`, 1),
		"older namespaces":                  strings.ReplaceAll(good, "sdata/2008/1", "sdata/2008"),
		"case of the mode":                  strings.Replace(good, "catchUp", "CATCHUP", 1),
		"unknown elements":                  strings.Replace(good, "<syncMode ", "<x:y xmlns:x='urn:x'><tick>7</tick></x:y><syncMode ", 1),
		"comments and processing":           "<?pi x?><!-- c -->" + good,
		"a byte order mark and white space": "\ufeff\n" + good,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, "b", nil)
			wantStatuses(t, h.apply(200, []byte(page)), 201, 200)
			if h.has("Patient", "p") != "x" || h.has("Patient", "q") != "gone" {
				t.Errorf("p %q, q %q", h.has("Patient", "p"), h.has("Patient", "q"))
			}
			h.wantTicks(map[string]uint64{"n1": 3})
		})
	}
}

func TestBadRequests(t *testing.T) {
	h := newHost(t, "b", nil)
	h.write("Patient", "p", "x")
	h.write("Patient", "q", "x")
	first, location, _ := h.select1(digestOf(), "&count=1")
	second, _, _ := h.select1(digestOf(5), "&count=1")
	id := func(next string) string {
		_, rest, _ := strings.Cut(next, "('")
		a, _, _ := strings.Cut(rest, "'")
		return a
	}
	crossed := strings.Replace(first.Next, id(first.Next), id(second.Next), 1)
	h.must(200, "GET", first.Next, nil)
	h.must(200, "GET", crossed, nil) // both froze the same log: the place is one of that list too
	h.write("Patient", "r", "x")
	third, _, _ := h.select1(digestOf(), "&count=1")
	for _, c := range []struct {
		name, method, path string
		body               []byte
		status             int
	}{
		{"a page of another pass", "GET", strings.Replace(first.Next, id(first.Next), id(third.Next), 1), nil, 400},
		{"a page of another run", "GET", strings.Replace(first.Next, "runName=Full", "runName=Other", 1), nil, 409},
		{"a page without its place", "GET", location + "&startIndex=2", nil, 400},
		{"a place that is none", "GET", location + "&at=hello", nil, 400},
		{"an unknown operation", "GET", "/sdata/Patient/$syncSource('a1')", nil, 404},
		{"an operation of the other kind", "GET", strings.Replace(location, "$syncSource", "$syncTarget", 1), nil, 409},
		{"an operation of another type", "GET", strings.Replace(location, "/Patient/", "/Observation/", 1), nil, 409},
		{"a trackingID that is none", "POST", "/sdata/Patient/$syncSource?trackingID=a/b", digestOf(), 400},
		{"no such kind", "GET", "/sdata/Foo/$syncDigest", nil, 404},
		{"no such operation", "GET", "/sdata/Patient/$sync", nil, 404},
		{"an id that is none", "GET", "/sdata/Patient/$syncSource('a b')", nil, 400},
		{"a method that is none", "PUT", "/sdata/Patient/$syncDigest", nil, 405},
		{"no digest", "POST", "/sdata/Patient/$syncSource", []byte("<entry xmlns='http://www.w3.org/2005/Atom'/>"), 400},
		{"a digest of another kind", "POST", "/sdata/Patient/$syncSource", h.must(200, "GET", "/sdata/Observation/$syncDigest", nil).body, 400},
		{"a count that is none", "POST", "/sdata/Patient/$syncSource?trackingID=a&count=x", digestOf(), 400},
		{"results that are none", "POST", "/sdata/Patient/$syncResults", []byte("{}"), 400},
		{"nothing here", "GET", "/sdata/", nil, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.t = t
			path := strings.ReplaceAll(c.path, " ", "%20")
			a := h.must(c.status, c.method, path, c.body)
			if d := sdata.ReadDiagnoses(a.body); len(d) == 0 || d[0].Message == "" {
				t.Errorf("no diagnosis: %s", a.body)
			}
		})
	}
}

// TestTooLong: a document that the node does not take for its length is refused with how long one may be.
func TestTooLong(t *testing.T) {
	p := newHost(t, "b", nil).start()
	for _, path := range []string{"$syncTarget", "$syncSource", "$syncResults"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/sdata/Patient/"+path, strings.NewReader(strings.Repeat("x", 3<<20)))
		r.Body = http.MaxBytesReader(w, r.Body, 2<<20)
		p.ServeHTTP(w, r)
		if d := sdata.ReadDiagnoses(w.Body.Bytes()); w.Code != http.StatusRequestEntityTooLarge || len(d) != 1 || !strings.Contains(d[0].Message, "longer than 2 MiB") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// FuzzRead: whatever comes, the readers end, and what they return can be written and read again.
func FuzzRead(f *testing.F) {
	f.Add(pageOf("catchUp", []uint64{2}, "", change{node: 1, tick: 1, id: "p", text: "x"}))
	f.Add(digestOf(1, 2))
	f.Add([]byte(`<sdata:tracking xmlns:sdata="http://schemas.sage.com/sdata/2008/1"><sdata:progress>1</sdata:progress></sdata:tracking>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		sdata.ReadDiagnoses(body)
		sdata.ReadTracking(body)
		if g, err := sdata.ReadDigest(body); err == nil {
			if _, err := sdata.ReadDigest(sdata.WriteDigest("i", "t", 0, g)); err != nil {
				t.Fatalf("%v of %+v", err, g)
			}
		}
		in, err := sdata.ReadFeed(body)
		if err != nil {
			return
		}
		out, err := sdata.ReadFeed(sdata.WriteFeed(in))
		if err != nil || len(out.Entries) != len(in.Entries) {
			t.Fatalf("%v: %d entries of %d", err, len(out.Entries), len(in.Entries))
		}
	})
}

// TestDocumentsGoThrough: what XML cannot carry as it is goes all the same, byte for byte.
func TestDocumentsGoThrough(t *testing.T) {
	for _, doc := range []string{
		`{"resourceType":"Patient","id":"p","x":"<a>&amp;]]>\"'"}`, "{\"resourceType\":\"Patient\",\"id\":\"p\",\"x\":\"\ufffe \uffff\"}",
		`{"resourceType":"Patient","id":"p","x":" \u0000 é 😀 "}`,
	} {
		e := sdata.Entry{Title: "Patient", ID: "p", UUID: sdata.UUIDOf("Patient", "p"), Document: []byte(doc), State: sdata.SyncState{Endpoint: "x", Tick: 1}}
		f, err := sdata.ReadFeed(sdata.WriteFeed(sdata.Feed{Mode: version.CatchUp, Entries: []sdata.Entry{e}}))
		if err != nil || len(f.Entries) != 1 || !bytes.Equal(f.Entries[0].Document, []byte(doc)) {
			t.Errorf("%s became %+v, %v", doc, f, err)
		}
	}
}
