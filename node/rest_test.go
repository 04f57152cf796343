package node_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
)

const program = "/rest/v1/program/64f950e6-1b07-4ac0-8e7e-f3e148f3463f"

// rest calls the REST API of a node as an application beside it does, and returns status, ETag and body.
func (r *running) rest(t *testing.T, method, path, body string) (status int, tag, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, r.cfg.Node.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("ETag"), string(b)
}

// wrote carries out a write and returns what the node has then.
func (r *running) wrote(t *testing.T, method, path, body string) (tag, answer string) {
	t.Helper()
	status, tag, answer := r.rest(t, method, path, body)
	if status/100 != 2 {
		t.Fatalf("%s %s %s: %d %s", r.cfg.Node.Name, method, path, status, answer)
	}
	return tag, answer
}

// awaitREST waits until a node has a document in a version, byte for byte, or has deleted it where body is empty.
func (r *running) awaitREST(t *testing.T, path, tag, body string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); ; <-tick.C {
		status, got, answer := r.rest(t, http.MethodGet, path, "")
		if got == tag && (body != "" && status == 200 && answer == body || body == "" && status == http.StatusGone) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s has %d %s %s at %s, want %s %s", r.cfg.Node.Name, status, got, answer, path, tag, body)
		}
	}
}

// A document that has no FHIR form goes up two levels and down to a sibling byte for byte, with its version; so do changes and deletions
// from any of them.
func TestRESTDocumentsTravel(t *testing.T) {
	nation := start(t, "nation", nil, node.Deps{}, nil)
	district := start(t, "district", nation, node.Deps{}, nil)
	a := start(t, "clinic-a", district, node.Deps{}, nil)
	b := start(t, "clinic-b", district, node.Deps{}, nil)
	const doc = `{"uuid":"64f950e6-1b07-4ac0-8e7e-f3e148f3463f","name":"H\u0049V \/ é","meta":{"versionId":"x"},"id":7,"weight":1.00,"links":[{"uri":"Patient/nobody"}]}`
	tag, got := a.wrote(t, http.MethodPost, "/rest/v1/program", doc)
	if got != doc {
		t.Fatalf("the clinic keeps %s", got)
	}
	nation.awaitREST(t, program, tag, doc)
	b.awaitREST(t, "/ws"+program, tag, doc)

	tag, got = nation.wrote(t, http.MethodPost, program, `{"name":"TB"}`)
	if want := strings.Replace(doc, `"H\u0049V \/ é"`, `"TB"`, 1); got != want {
		t.Fatalf("the nation keeps %s", got)
	}
	a.awaitREST(t, program, tag, got)
	b.awaitREST(t, program, tag, got)

	tag, _ = b.wrote(t, http.MethodDelete, program, "")
	nation.awaitREST(t, program, tag, "")
	a.awaitREST(t, program, tag, "")

	tag, got = a.wrote(t, http.MethodPost, program, `{"deleted":"false"}`)
	nation.awaitREST(t, program, tag, got)
	b.awaitREST(t, program, tag, got)
}

// Types of REST documents are chosen like those of FHIR, one by one or all but some.
func TestRESTTypesAreSwitched(t *testing.T) {
	off := false
	for _, c := range []struct {
		name string
		pull []config.TypeRule
	}{
		{"by name", []config.TypeRule{{Type: "program"}, {Type: "Patient"}}},
		{"all but some", []config.TypeRule{{Type: config.AllTypes}, {Type: "visittype", Enabled: &off}, {Type: "Basic", Enabled: &off}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			parent := start(t, "parent", nil, node.Deps{}, nil)
			child := start(t, "child", parent, node.Deps{}, func(cfg *config.Config) {
				cfg.Pull.Types, cfg.Push.Types = c.pull, []config.TypeRule{{Type: "location-tag"}}
			})
			parent.wrote(t, http.MethodPut, "/rest/v1/visittype/v", `{}`)
			parent.write(t, "Basic", "b", "x")
			child.wrote(t, http.MethodPut, "/rest/v1/visittype/w", `{}`)
			up, upBody := child.wrote(t, http.MethodPut, "/rest/v1/location-tag/l", `{}`)
			down, downBody := parent.wrote(t, http.MethodPut, "/rest/v1/program/p", `{}`)
			child.awaitREST(t, "/rest/v1/program/p", down, downBody)
			parent.awaitREST(t, "/rest/v1/location-tag/l", up, upBody)
			for r, path := range map[*running]string{child: "/rest/v1/visittype/v", parent: "/rest/v1/visittype/w"} {
				if status, _, body := r.rest(t, http.MethodGet, path, ""); status != http.StatusNotFound {
					t.Errorf("%s has %s: %d %s", r.cfg.Node.Name, path, status, body)
				}
			}
			v := child.verify(t, true)
			if expect(t, v); !v.Equal {
				t.Errorf("%+v", v)
			}
			child.harm(t, "DELETE FROM resource WHERE type = 'program'")
			parent.harm(t, "DELETE FROM resource WHERE type = 'location-tag'")
			v = child.verify(t, true)
			if expect(t, v, "location-tag/l: not at the parent (repaired)", "program/p: not here (repaired)"); !v.Equal {
				t.Errorf("%+v", v)
			}
			child.awaitREST(t, "/rest/v1/program/p", down, downBody)
		})
	}
}

// What is lost of all types is found by a comparison of everything, where REST types have no list.
func TestRESTVerifyOfEverything(t *testing.T) {
	parent := start(t, "parent", nil, node.Deps{}, nil)
	child := start(t, "child", parent, node.Deps{}, nil)
	tag, body := parent.wrote(t, http.MethodPut, "/rest/v1/program/p", `{}`)
	child.awaitREST(t, "/rest/v1/program/p", tag, body)
	tag, body = child.wrote(t, http.MethodPut, "/rest/v1/form/f", `{}`)
	parent.awaitREST(t, "/rest/v1/form/f", tag, body)
	child.harm(t, "DELETE FROM resource WHERE type = 'program'")
	parent.harm(t, "DELETE FROM resource WHERE type = 'form'")
	v := child.verify(t, true)
	if expect(t, v, "form/f: not at the parent (repaired)", "program/p: not here (repaired)"); !v.Equal || len(v.Types) != 2 {
		t.Errorf("%+v", v)
	}
}

// A type that is wanted later is caught up with by knowledge, both ways.
func TestRESTCatchUp(t *testing.T) {
	parent := start(t, "parent", nil, node.Deps{}, nil)
	patients := []config.TypeRule{{Type: "Patient"}}
	child := start(t, "child", parent, node.Deps{}, func(c *config.Config) { c.Pull.Types, c.Push.Types = patients, patients })
	down, downBody := parent.wrote(t, http.MethodPut, "/rest/v1/program/p", `{"name":"there before"}`)
	parent.wrote(t, http.MethodPut, "/rest/v1/program/q", `{"name":"deleted before"}`)
	gone, _ := parent.wrote(t, http.MethodDelete, "/rest/v1/program/q", "")
	up, upBody := child.wrote(t, http.MethodPut, "/rest/v1/program/c", `{"name":"here before"}`)
	parent.write(t, "Patient", "p", "x")
	child.write(t, "Patient", "c", "x")
	child.await(t, "Patient", "p")
	parent.await(t, "Patient", "c")
	child.stop()
	programs := append(patients, config.TypeRule{Type: "program"})
	cfg := child.cfg
	cfg.Pull.Types, cfg.Push.Types = programs, programs
	l, err := net.Listen("tcp", cfg.Node.Listen)
	if err != nil {
		t.Fatal(err)
	}
	child = serve(t, cfg, node.Deps{}, l)
	child.awaitREST(t, "/rest/v1/program/p", down, downBody)
	child.awaitREST(t, "/rest/v1/program/q", gone, "")
	parent.awaitREST(t, "/rest/v1/program/c", up, upBody)
}

// line is a link to the parent that can be cut.
type line struct{ cut atomic.Bool }

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.cut.Load() {
		return nil, errors.New("the line is cut")
	}
	return http.DefaultTransport.RoundTrip(r)
}

// Two edits of one document that did not know of each other meet as those of a resource do: one stands on both sides, the other one is
// kept, and a person may decide.
func TestRESTConflicts(t *testing.T) {
	const at = "/rest/v1/program/p"
	for _, c := range []struct {
		policy reconcile.Policy
		want   string
	}{
		{reconcile.SourceWins, `{"uuid":"p","by":"child"}`},
		{reconcile.DestinationWins, `{"uuid":"p","by":"parent"}`},
		{reconcile.Defer, `{"uuid":"p","by":"child"}`},
	} {
		t.Run(string(c.policy), func(t *testing.T) {
			parent := start(t, "parent", nil, node.Deps{}, func(cfg *config.Config) {
				cfg.Conflicts.Types = map[string]reconcile.Policy{"program": c.policy}
			})
			link := &line{}
			child := start(t, "child", parent, node.Deps{Transport: link}, nil)
			tag, body := parent.wrote(t, http.MethodPut, at, `{"by":"nobody"}`)
			child.awaitREST(t, at, tag, body)
			link.cut.Store(true)
			child.wrote(t, http.MethodPost, at, `{"by":"child"}`)
			parent.wrote(t, http.MethodPost, at, `{"by":"parent"}`)
			link.cut.Store(false)
			if _, err := child.Control().Sync(context.Background(), control.Push); err != nil {
				t.Fatal(err)
			}
			list, err := parent.Control().Conflicts(context.Background(), control.ConflictQuery{Key: fhir.Key{Type: "program", ID: "p"}})
			if err != nil || len(list) != 1 {
				t.Fatalf("conflicts at the parent: %+v, %v", list, err)
			}
			if c.policy == reconcile.Defer {
				if list[0].Status != store.ConflictOpen {
					t.Errorf("%+v", list[0])
				}
				if _, err := parent.Control().ResolveConflict(context.Background(), list[0].UUID, control.Resolution{Choice: "incoming"}); err != nil {
					t.Fatal(err)
				}
			}
			_, tag, got := parent.rest(t, http.MethodGet, at, "")
			if got != c.want {
				t.Errorf("the parent has %s, want %s", got, c.want)
			}
			if _, err := child.Control().Sync(context.Background(), control.Pull); err != nil {
				t.Fatal(err)
			}
			child.awaitREST(t, at, tag, c.want)
			whole, err := parent.Control().Conflict(context.Background(), list[0].UUID)
			if err != nil || !strings.Contains(string(whole.LocalContent), `"by":"parent"`) || !strings.Contains(string(whole.IncomingContent), `"by":"child"`) {
				t.Errorf("what met is not kept: %+v, %v", whole, err)
			}
		})
	}
}

// A clinic that was away for longer than tombstones are kept does not bring back a document that was deleted meanwhile, and keeps what it
// wrote (MS10, for a type that is in no list).
func TestRESTAwayForLongerThanTombstonesStay(t *testing.T) {
	cal := &calendar{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	nation := newStill(t, cal, "nation", nil)
	clinic := newStill(t, cal, "clinic", nation)
	key := func(id string) fhir.Key { return fhir.Key{Type: "program", ID: id} }
	put := func(s *still, id string, live bool) {
		t.Helper()
		w := engine.Write{Op: engine.Delete, Key: key(id)}
		if live {
			doc, err := fhir.ParseREST("program", []byte(`{"uuid":"`+id+`"}`), 0)
			if err != nil {
				t.Fatal(err)
			}
			w.Op, w.Body = engine.Update, doc
		}
		if _, err := s.Engine().Author(context.Background(), "test", []engine.Write{w}); err != nil {
			t.Fatal(err)
		}
	}
	has := func(s *still, what string, want string) {
		t.Helper()
		got := ""
		for _, id := range []string{"stays", "deleted", "new"} {
			if c, ok, err := s.Engine().Store().Get(context.Background(), key(id)); err != nil {
				t.Fatal(err)
			} else if ok && !c.Stamp.Deleted {
				got += id + " "
			}
		}
		if strings.TrimSpace(got) != want {
			t.Errorf("%s: %s has %s, want %s", what, s.cfg.Node.Name, got, want)
		}
	}
	put(nation, "stays", true)
	put(nation, "deleted", true)
	exchange(t, clinic)
	has(clinic, "before", "stays deleted")
	if err := nation.Control().RemoveChild(t.Context(), "clinic"); err != nil {
		t.Fatal(err)
	}
	put(clinic, "new", true)
	put(nation, "deleted", false)
	nation.collect()
	if _, ok, err := nation.Engine().Store().Get(t.Context(), key("deleted")); ok || err != nil {
		t.Fatalf("the nation still has the tombstone: the test proves nothing (%v)", err)
	}
	clinic.close()
	clinic.admittedBy(nation)
	clinic.open()
	exchange(t, clinic, clinic)
	has(clinic, "at the end", "stays new")
	has(nation, "at the end", "stays new")
}
