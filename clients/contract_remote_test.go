package clients_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/emrtest"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
)

// The contract of a resourcemanager.Remote: what every client does that moves single documents, to a node and to OpenMRS.

// site is a server as the contract uses it.
type site struct {
	resourcemanager.Remote
	faults  *faults
	key     func(id string) fhir.Key
	refused []byte // a document that the server does not take; %s is its id
	reason  string // what it says about that
	old     bool   // it keeps old versions
	batches bool   // the client writes several at once: what was done before a fault is not known
}

type remote struct {
	name string
	open func(t *testing.T) *site
}

func contractRemotes() []remote {
	ofType := func(kind string) func(string) fhir.Key {
		return func(id string) fhir.Key { return fhir.Key{Type: kind, ID: id} }
	}
	node := func(kind, refused string) func(t *testing.T) *site {
		return func(t *testing.T) *site {
			p := newParent(t)
			opts := clients.RESTOptions{Authorize: clients.Bearer(secret(operatorToken)), Limit: maxDoc}
			return &site{
				Remote: clients.NewREST(p.url, opts, p.faults), faults: p.faults, key: ofType(kind), old: true,
				refused: []byte(strings.Replace(refused, "LARGE", strings.Repeat("x", maxDoc), 1)), reason: fmt.Sprint(maxDoc),
			}
		}
	}
	openMRS := func(kind, refused, reason string) func(t *testing.T) *site {
		return func(t *testing.T) *site {
			f := &faults{server: emrtest.New()}
			srv := httptest.NewServer(f)
			t.Cleanup(srv.Close)
			opts := clients.RESTOptions{OpenMRS: true, Authorize: clients.Basic(emrtest.User, secret(emrtest.Password)), Limit: maxDoc}
			return &site{
				Remote: clients.NewREST(srv.URL, opts, f), faults: f, key: ofType(kind), refused: []byte(refused), reason: reason,
			}
		}
	}
	fhirs := func(t *testing.T) *site {
		p := newParent(t)
		return &site{
			Remote: clients.NewFHIR(p.url+"/fhir/R4", secret(operatorToken), p.faults, p.faults.now), faults: p.faults, key: ofType("Basic"), old: true, batches: true,
			refused: fmt.Appendf(nil, `{"resourceType":"Basic","id":"%%s","a":"%s"}`, strings.Repeat("x", maxDoc)), reason: fmt.Sprint(maxDoc),
		}
	}
	return []remote{
		{"fhir to a node", fhirs},
		{"rest to a node with a document", node("program", `{"uuid":"%s","a":"LARGE"}`)},
		{"rest to a node with a resource", node("Basic", `{"resourceType":"Basic","id":"%s","a":"LARGE"}`)},
		{"rest to OpenMRS with a document", openMRS("program", `{"uuid":"%s","name":"no concept"}`, "concept")},
		{"rest to OpenMRS with a resource", openMRS("Location", `{"resourceType":"Location","id":"%s","description":"no name"}`, "name is missing")},
	}
}

func forEachRemote(t *testing.T, test func(t *testing.T, s *site)) {
	for _, r := range contractRemotes() {
		t.Run(r.name, func(t *testing.T) { test(t, r.open(t)) })
	}
}

// one carries out one edit.
func (s *site) one(t *testing.T, e resourcemanager.Edit) resourcemanager.Answer {
	t.Helper()
	got, err := s.Write(t.Context(), []resourcemanager.Edit{e})
	if err != nil || len(got) != 1 {
		t.Fatalf("write %s: %+v, %v", e.Key, got, err)
	}
	return got[0]
}

// must carries out one edit that has nothing against it, and returns the copy that is there then.
func (s *site) must(t *testing.T, e resourcemanager.Edit) resourcemanager.Copy {
	t.Helper()
	a := s.one(t, e)
	if a.Fate != resourcemanager.Done {
		t.Fatalf("write %s: %+v", e.Key, a)
	}
	return a.Copy
}

func (s *site) create(k fhir.Key, text string) resourcemanager.Edit {
	return resourcemanager.Edit{Key: k, Content: docOf(k, text), Create: true}
}

// now reads what the server has.
func (s *site) now(t *testing.T, keys ...fhir.Key) []resourcemanager.Copy {
	t.Helper()
	var wants []resourcemanager.Want
	for _, k := range keys {
		wants = append(wants, resourcemanager.Want{Key: k})
	}
	got, err := s.Read(t.Context(), wants)
	if err != nil || len(got) != len(keys) {
		t.Fatalf("read: %+v, %v", got, err)
	}
	for i, c := range got {
		if c.Key != keys[i] {
			t.Fatalf("copy %d is of %s, %s was asked for", i, c.Key, keys[i])
		}
	}
	return got
}

func TestRemoteLife(t *testing.T) {
	forEachRemote(t, func(t *testing.T, s *site) {
		k := s.key("k")
		if got := s.now(t, k)[0]; got.State != resourcemanager.Absent || got.Tag != "" || got.Content != nil {
			t.Fatalf("before: %+v", got)
		}
		state := func(what string, written resourcemanager.Copy, state resourcemanager.State, text string) {
			t.Helper()
			read := s.now(t, k)[0]
			for from, c := range map[string]resourcemanager.Copy{"the answer": written, "a read": read} {
				if c.State != state || c.Tag != read.Tag || state == resourcemanager.Present && (c.Tag == "" || textOf(c.Content) != text) || state != resourcemanager.Present && c.Content != nil {
					t.Fatalf("%s: %s is %+v %s, want state %d, tag %q, %q", what, from, c, c.Content, state, read.Tag, text)
				}
			}
		}
		made := s.must(t, s.create(k, "one"))
		state("made", made, resourcemanager.Present, "one")
		if made.Modified.IsZero() {
			t.Error("made at no time")
		}
		changed := s.must(t, resourcemanager.Edit{Key: k, Content: docOf(k, "two"), Base: made.Tag})
		state("changed", changed, resourcemanager.Present, "two")
		if changed.Tag == made.Tag {
			t.Errorf("a change has the tag %s of what was before", made.Tag)
		}
		old, err := s.Read(t.Context(), []resourcemanager.Want{{Key: k, Tag: made.Tag}, {Key: k, Tag: changed.Tag}})
		switch {
		case err != nil || old[1].State != resourcemanager.Present || textOf(old[1].Content) != "two":
			t.Errorf("the present version by its tag: %+v, %v", old, err)
		case s.old && textOf(old[0].Content) != "one", !s.old && old[0].State != resourcemanager.Absent:
			t.Errorf("the version before: %+v %s", old[0], old[0].Content)
		}
		gone := s.must(t, resourcemanager.Edit{Key: k, Base: changed.Tag})
		state("deleted", gone, resourcemanager.Gone, "")
		back := s.must(t, resourcemanager.Edit{Key: k, Content: docOf(k, "three"), Base: gone.Tag, Revive: true})
		state("brought back", back, resourcemanager.Present, "three")
		if in, out := s.Traffic(); in == 0 || out == 0 {
			t.Errorf("traffic: %d in, %d out", in, out)
		}
	})
}

func TestRemoteReadsInOrder(t *testing.T) {
	forEachRemote(t, func(t *testing.T, s *site) {
		var keys []fhir.Key
		for i := range 20 {
			k := s.key(fmt.Sprintf("k%02d", i))
			if keys = append(keys, k); i%3 > 0 {
				s.must(t, s.create(k, k.ID))
			}
		}
		for i, c := range s.now(t, keys...) {
			if got := textOf(c.Content); i%3 > 0 && got != keys[i].ID || i%3 == 0 && c.State != resourcemanager.Absent {
				t.Errorf("%s: %+v", keys[i], c)
			}
		}
		if got := s.now(t); len(got) != 0 {
			t.Errorf("nothing asked: %+v", got)
		}
	})
}

// What the server has changed meanwhile is left alone, whatever was to be done to it, and so is what must not be there.
func TestRemoteOnOldBase(t *testing.T) {
	forEachRemote(t, func(t *testing.T, s *site) {
		k := s.key("k")
		first := s.must(t, s.create(k, "one"))
		second := s.must(t, resourcemanager.Edit{Key: k, Content: docOf(k, "two"), Base: first.Tag})
		for name, e := range map[string]resourcemanager.Edit{
			"created":      s.create(k, "mine"),
			"changed":      {Key: k, Content: docOf(k, "mine"), Base: first.Tag},
			"deleted":      {Key: k, Base: first.Tag},
			"changed, bad": {Key: k, Content: docOf(k, "mine"), Base: "77-99999999-9999-4999-8999-999999999999"},
		} {
			if a := s.one(t, e); a.Fate != resourcemanager.Stale {
				t.Errorf("%s: %+v", name, a)
			}
			if got := s.now(t, k)[0]; textOf(got.Content) != "two" || got.Tag != second.Tag {
				t.Errorf("%s: it is %+v %s", name, got, got.Content)
			}
		}
	})
}

// A document that the server does not take is refused with its words, and the rest is done.
func TestRemoteIsRefused(t *testing.T) {
	forEachRemote(t, func(t *testing.T, s *site) {
		bad := resourcemanager.Edit{Key: s.key("bad"), Content: []byte(strings.Replace(string(s.refused), "%s", "bad", 1)), Create: true}
		got, err := s.Write(t.Context(), []resourcemanager.Edit{s.create(s.key("a"), "one"), bad, s.create(s.key("b"), "two")})
		if err != nil || len(got) != 3 {
			t.Fatalf("%+v, %v", got, err)
		}
		if got[0].Fate != resourcemanager.Done || got[2].Fate != resourcemanager.Done {
			t.Errorf("the others: %+v", got)
		}
		if got[1].Fate != resourcemanager.Refused || !strings.Contains(got[1].Reason, s.reason) || got[1].Status < 400 {
			t.Errorf("refused: %+v, want %q", got[1], s.reason)
		}
		now := s.now(t, s.key("a"), s.key("bad"), s.key("b"))
		if textOf(now[0].Content) != "one" || now[1].State != resourcemanager.Absent || textOf(now[2].Content) != "two" {
			t.Errorf("there is %+v", now)
		}
	})
}

// What goes wrong in the exchange says nothing about the documents; what was done before it is told.
func TestRemoteFaults(t *testing.T) {
	forEachRemote(t, func(t *testing.T, s *site) {
		k := s.key("k")
		s.must(t, s.create(k, "one"))
		for i, f := range faultsOfExchanges() {
			t.Run(f.name, func(t *testing.T) {
				s.faults.set(f.before)
				got, err := s.Read(t.Context(), []resourcemanager.Want{{Key: k}, {Key: s.key("other")}})
				if f.check(t, err); len(got) > 0 {
					t.Errorf("read %+v", got)
				}
				if n := s.faults.taken.Load(); n > mostTaken {
					t.Errorf("%d bytes of an answer were taken for a document of at most %d", n, maxDoc)
				}
				s.faults.heal()

				// The first is written, then it breaks.
				fresh, next := s.key(fmt.Sprintf("first%d", i)), s.key(fmt.Sprintf("second%d", i))
				s.faults.set(func(w http.ResponseWriter, r *http.Request) bool {
					return (strings.HasSuffix(r.URL.Path, next.ID) || s.batches && r.Method == http.MethodPost) && f.before(w, r)
				})
				edits := []resourcemanager.Edit{s.create(fresh, "one"), s.create(next, "two")}
				answers, err := s.Write(t.Context(), edits)
				if err == nil || !s.batches && len(answers) != 1 || len(answers) > 1 || len(answers) == 1 && answers[0].Fate != resourcemanager.Done {
					t.Fatalf("%+v, %v", answers, err)
				}
				if syncerr.KindOf(err) != f.kinds[0] && !strings.Contains(fmt.Sprint(f.kinds), syncerr.KindOf(err).String()) {
					t.Errorf("%v is %s", err, syncerr.KindOf(err))
				}
				s.faults.heal()
				if now := s.now(t, fresh, next); len(answers) == 1 && textOf(now[0].Content) != "one" || now[1].State != resourcemanager.Absent {
					t.Errorf("there is %+v", now)
				}
				s.must(t, edits[1])
			})
		}
	})
}
