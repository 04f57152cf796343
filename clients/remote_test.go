package clients_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/emrtest"
	"github.com/tributary-sync/tributary/resourcemanager"
)

// peer is a FHIR server with a client of it.
type peer struct {
	resourcemanager.Remote
	t         *testing.T
	emr       *emrtest.FHIRServer // nil for a node
	versioned bool                // it names versions and checks conditions
	exclusive bool                // it knows If-None-Match: *
}

func newFHIRServer(t *testing.T, set func(*emrtest.FHIRServer)) (*emrtest.FHIRServer, *clients.FHIR) {
	t.Helper()
	s := &emrtest.FHIRServer{}
	if set != nil {
		set(s)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, clients.NewFHIR(srv.URL+"/fhir/", secret(""), srv.Client().Transport, time.Now)
}

// newNodePeer is the API of a node over a database of its own.
func newNodePeer(t *testing.T) peer {
	t.Helper()
	_, mux := atomNode(t)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	f := clients.NewFHIR(srv.URL+"/fhir/R4", secret(""), srv.Client().Transport, time.Now)
	return peer{Remote: f, t: t, versioned: true, exclusive: true}
}

// remotes are the servers that the contract is held against.
func remotes() map[string]func(*testing.T) peer {
	server := func(set func(*emrtest.FHIRServer)) func(*testing.T) peer {
		return func(t *testing.T) peer {
			s, f := newFHIRServer(t, set)
			return peer{Remote: f, t: t, emr: s, versioned: !s.NoVersioning, exclusive: !s.IgnoreIfNone && !s.RefuseIfNone}
		}
	}
	return map[string]func(*testing.T) peer{
		"node":                        newNodePeer,
		"server":                      server(nil),
		"no batch":                    server(func(s *emrtest.FHIRServer) { s.NoBatch = true }),
		"not modified":                server(func(s *emrtest.FHIRServer) { s.NotModified = true }),
		"not modified, no batch":      server(func(s *emrtest.FHIRServer) { s.NotModified, s.NoBatch = true, true }),
		"transactions and batches":    server(func(s *emrtest.FHIRServer) { s.OnlyTransaction = true }),
		"only transactions":           server(func(s *emrtest.FHIRServer) { s.OnlyTransaction, s.NoBatch = true, true }),
		"no search":                   server(func(s *emrtest.FHIRServer) { s.NoSearch = true }),
		"no batch, search or HEAD":    server(func(s *emrtest.FHIRServer) { s.NoBatch, s.NoSearch, s.NoHead = true, true, true }),
		"no _elements, small pages":   server(func(s *emrtest.FHIRServer) { s.NoElements, s.Page = true, 3 }),
		"no versions":                 server(func(s *emrtest.FHIRServer) { s.NoVersioning = true }),
		"no versions, no batch":       server(func(s *emrtest.FHIRServer) { s.NoVersioning, s.NoBatch = true, true }),
		"strong tags":                 server(func(s *emrtest.FHIRServer) { s.ETag = "strong" }),
		"no tags":                     server(func(s *emrtest.FHIRServer) { s.ETag = "none" }),
		"no tags, no batch":           server(func(s *emrtest.FHIRServer) { s.ETag, s.NoBatch = "none", true }),
		"says nothing on writes":      server(func(s *emrtest.FHIRServer) { s.Silent = true }),
		"says nothing, no batch":      server(func(s *emrtest.FHIRServer) { s.Silent, s.NoBatch = true, true }),
		"no gzip":                     server(func(s *emrtest.FHIRServer) { s.NoGzip = true }),
		"no If-None-Match":            server(func(s *emrtest.FHIRServer) { s.IgnoreIfNone = true }),
		"bad If-None-Match":           server(func(s *emrtest.FHIRServer) { s.RefuseIfNone = true }),
		"bad If-None-Match, no batch": server(func(s *emrtest.FHIRServer) { s.RefuseIfNone, s.NoBatch = true, true }),
	}
}

func patientKey(id string) fhir.Key { return fhir.Key{Type: "Patient", ID: id} }

// document has what a typed struct would lose: an unknown member, a decimal's zeros, an escape.
func document(k fhir.Key, family string) []byte {
	return fmt.Appendf(nil, `{"resourceType":%q,"id":%q,"name":[{"family":%q,"_given":[null]}],"x":1.00,"text":{"div":"a\u0062"}}`, k.Type, k.ID, family)
}

func (p peer) read(wants ...resourcemanager.Want) []resourcemanager.Copy {
	p.t.Helper()
	got, err := p.Read(p.t.Context(), wants)
	if err != nil || len(got) != len(wants) {
		p.t.Fatalf("read %v: %+v, %v", wants, got, err)
	}
	return got
}

func (p peer) get(k fhir.Key) resourcemanager.Copy {
	p.t.Helper()
	return p.read(resourcemanager.Want{Key: k})[0]
}

func (p peer) write(edits ...resourcemanager.Edit) []resourcemanager.Answer {
	p.t.Helper()
	got, err := p.Write(p.t.Context(), edits)
	if err != nil || len(got) != len(edits) {
		p.t.Fatalf("write: %+v, %v", got, err)
	}
	return got
}

func (p peer) fate(want resourcemanager.Fate, e resourcemanager.Edit) resourcemanager.Answer {
	p.t.Helper()
	a := p.write(e)[0]
	if a.Fate != want || a.Copy.Key != e.Key {
		p.t.Fatalf("%s: %+v, want fate %d", e.Key, a, want)
	}
	return a
}

// has checks what the server has by reading it.
func (p peer) has(k fhir.Key, state resourcemanager.State, body []byte) resourcemanager.Copy {
	p.t.Helper()
	c := p.get(k)
	if c.Key != k || c.State != state {
		p.t.Fatalf("%s is %+v, want state %d", k, c, state)
	}
	if state != resourcemanager.Present {
		return c
	}
	res, err := fhir.ParseAs(k.Type, c.Content, 0)
	if err != nil || string(res.Bare().Body) != string(body) {
		p.t.Fatalf("%s: got %s, %v, want %s", k, c.Content, err, body)
	}
	if p.versioned == (c.Tag == "") || c.Modified.IsZero() {
		p.t.Errorf("%s has the tag %q of %s", k, c.Tag, c.Modified)
	}
	return c
}

// The contract of resourcemanager.Remote, as every FHIR server has to keep it through the client.
func TestRemote(t *testing.T) {
	behaviours := map[string]func(peer){
		"absent": func(p peer) {
			p.has(patientKey("nobody"), resourcemanager.Absent, nil)
			p.has(patientKey(".."), resourcemanager.Absent, nil)
			p.fate(resourcemanager.Refused, resourcemanager.Edit{Key: patientKey("."), Content: document(patientKey("."), "x"), Create: true})
		},
		"create": func(p peer) {
			k := patientKey("a")
			made := p.fate(resourcemanager.Done, resourcemanager.Edit{Key: k, Content: document(k, "one"), Create: true})
			c := p.has(k, resourcemanager.Present, document(k, "one"))
			if made.Copy.Tag != c.Tag && made.Copy.Tag != "" || made.Copy.State != resourcemanager.Present || made.Copy.Content != nil && string(made.Copy.Content) != string(c.Content) {
				p.t.Errorf("it said %+v and has %+v", made, c)
			}
			if p.emr == nil && (made.Copy.Content == nil || made.Copy.Tag == "" || made.Copy.Modified.IsZero()) {
				p.t.Errorf("a node did not say what it has: %+v", made)
			}
			if p.exclusive {
				p.fate(resourcemanager.Stale, resourcemanager.Edit{Key: k, Content: document(k, "two"), Create: true})
				p.has(k, resourcemanager.Present, document(k, "one"))
			}
		},
		"update": func(p peer) {
			k := patientKey("a")
			p.fate(resourcemanager.Done, resourcemanager.Edit{Key: k, Content: document(k, "one"), Create: true})
			first := p.get(k)
			p.fate(resourcemanager.Done, resourcemanager.Edit{Key: k, Content: document(k, "two"), Base: first.Tag})
			second := p.has(k, resourcemanager.Present, document(k, "two"))
			p.fate(resourcemanager.Done, resourcemanager.Edit{Key: k, Content: document(k, "two"), Base: second.Tag})
			second = p.has(k, resourcemanager.Present, document(k, "two"))
			if !p.versioned {
				p.fate(resourcemanager.Done, resourcemanager.Edit{Key: k, Content: document(k, "three"), Base: "a tag of former days"})
				return
			}
			if second.Tag == first.Tag {
				p.t.Errorf("both versions have the tag %q", first.Tag)
			}
			p.fate(resourcemanager.Stale, resourcemanager.Edit{Key: k, Content: document(k, "three"), Base: first.Tag})
			p.fate(resourcemanager.Stale, resourcemanager.Edit{Key: k, Base: first.Tag})
			p.has(k, resourcemanager.Present, document(k, "two"))
			old := p.read(resourcemanager.Want{Key: k, Tag: first.Tag}, resourcemanager.Want{Key: k, Tag: second.Tag}, resourcemanager.Want{Key: k, Tag: "77"})
			if string(old[0].Content) != string(first.Content) || old[0].Tag != first.Tag || string(old[1].Content) != string(second.Content) || old[2].State != resourcemanager.Absent {
				p.t.Errorf("versions: %+v", old)
			}
		},
		"delete and bring back": func(p peer) {
			k := patientKey("a")
			p.fate(resourcemanager.Done, resourcemanager.Edit{Key: k, Content: document(k, "one"), Create: true})
			gone := p.fate(resourcemanager.Done, resourcemanager.Edit{Key: k, Base: p.get(k).Tag})
			c := p.has(k, resourcemanager.Gone, nil)
			if gone.Copy.State != resourcemanager.Gone || gone.Copy.Tag != c.Tag || p.emr == nil && c.Tag == "" {
				p.t.Errorf("it said %+v and has %+v", gone, c)
			}
			many := p.read(resourcemanager.Want{Key: patientKey("b")}, resourcemanager.Want{Key: k})
			if many[1].State != resourcemanager.Gone || many[1].Tag != c.Tag {
				p.t.Errorf("read with another one: %+v", many)
			}
			if p.fate(resourcemanager.Done, resourcemanager.Edit{Key: patientKey("nobody")}); p.versioned {
				p.fate(resourcemanager.Stale, resourcemanager.Edit{Key: k, Content: document(k, "late"), Base: "1"})
			}
			p.fate(resourcemanager.Done, resourcemanager.Edit{Key: k, Content: document(k, "two"), Base: c.Tag, Revive: true})
			p.has(k, resourcemanager.Present, document(k, "two"))
			if p.exclusive {
				p.fate(resourcemanager.Stale, resourcemanager.Edit{Key: k, Content: document(k, "three"), Base: c.Tag, Revive: true})
				p.has(k, resourcemanager.Present, document(k, "two"))
			}
		},
		"many": func(p peer) {
			var edits []resourcemanager.Edit
			var keys []fhir.Key
			var wants []resourcemanager.Want
			for i := range 130 {
				k := fhir.Key{Type: []string{"Patient", "Observation"}[i%2], ID: fmt.Sprintf("m%d", i)}
				keys, wants = append(keys, k), append(wants, resourcemanager.Want{Key: k})
				if i%10 != 3 {
					edits = append(edits, resourcemanager.Edit{Key: k, Content: document(k, fmt.Sprint(i)), Create: true})
				}
			}
			for i, a := range p.write(edits...) {
				if a.Fate != resourcemanager.Done || a.Copy.Key != edits[i].Key {
					p.t.Fatalf("%d: %+v", i, a)
				}
			}
			copies := p.read(wants...)
			for i, k := range keys {
				state := resourcemanager.Present
				if i%10 == 3 {
					state = resourcemanager.Absent
				}
				if copies[i].Key != k || copies[i].State != state {
					p.t.Fatalf("%d: %+v", i, copies[i])
				}
				if state == resourcemanager.Present && !strings.Contains(string(copies[i].Content), fmt.Sprintf(`"family":"%d"`, i)) {
					p.t.Fatalf("%d: %s", i, copies[i].Content)
				}
			}
			if in, out := p.Traffic(); in < 1000 || out < 1000 {
				p.t.Errorf("%d bytes came and %d went", in, out)
			}
		},
		"one by one in their order": func(p peer) {
			k, other := patientKey("a"), patientKey("b")
			got := p.write(
				resourcemanager.Edit{Key: k, Content: document(k, "one"), Create: true},
				resourcemanager.Edit{Key: other, Content: document(other, "other"), Create: true},
				resourcemanager.Edit{Key: k},
				resourcemanager.Edit{Key: k, Content: document(k, "two"), Revive: true},
			)
			if i := slices.IndexFunc(got, func(a resourcemanager.Answer) bool { return a.Fate != resourcemanager.Done }); i >= 0 {
				p.t.Errorf("%d: %+v", i, got[i])
			}
			p.has(k, resourcemanager.Present, document(k, "two"))
			p.has(other, resourcemanager.Present, document(other, "other"))
		},
		"nothing": func(p peer) {
			if len(p.read()) != 0 || len(p.write()) != 0 {
				p.t.Error("something")
			}
		},
	}
	for name, open := range remotes() {
		for what, check := range behaviours {
			t.Run(name+"/"+what, func(t *testing.T) {
				p := open(t)
				p.t = t
				check(p)
			})
		}
	}
}
