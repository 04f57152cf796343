package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
)

// holding is the configuration of a node that holds back what refers to nothing that it has.
func holding() engine.Config { return engine.Config{References: engine.References{Hold: true}} }

// refer writes a patient at s whose links are the references, and returns the event.
func (s *site) refer(id string, to ...string) feed.Event {
	s.t.Helper()
	s.edit(engine.Write{Op: engine.Update, Key: fhir.Key{Type: "Patient", ID: id}, Body: referring(s.t, id, to...)})
	return s.event(id)
}

func referring(t *testing.T, id string, to ...string) fhir.Resource {
	t.Helper()
	var links []string
	for _, ref := range to {
		links = append(links, fmt.Sprintf(`{"other":{"reference":%q},"type":"seealso"}`, ref))
	}
	r, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":"Patient","id":%q,"link":[%s]}`, id, strings.Join(links, ",")), 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func results(rs []feed.Receipt) string {
	var out []string
	for _, r := range rs {
		out = append(out, string(r.Result))
	}
	return strings.Join(out, " ")
}

func (s *site) ids() string {
	s.t.Helper()
	var out []string
	for _, row := range s.log() {
		out = append(out, row.Key.ID)
	}
	return strings.Join(out, " ")
}

func (s *site) waits() string {
	s.t.Helper()
	var out []string
	for _, p := range s.parked() {
		out = append(out, p.Key.ID)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// What counts as a reference to something that is not here.
func TestReferencesThatCount(t *testing.T) {
	for _, c := range []struct {
		name, ref string
		held      bool
	}{
		{"never seen", "Patient/x", true},
		{"a version of it", "Patient/x/_history/3", true},
		{"of another type", "Organization/x", true},
		{"itself", "Patient/p", false},
		{"here", "Patient/here", false},
		{"deleted here", "Patient/gone", false},
		{"comes with it", "Patient/later", false},
		{"at another server", "https://other.example/fhir/Patient/x", false},
		{"contained", "#x", false},
		{"urn", "urn:uuid:7f0dbcf0-5b0c-4b0a-9b0a-5f0c6f3b7f0d", false},
		{"conditional", "Patient?identifier=s|x", false},
		{"no type of FHIR", "Thing/x", false},
		{"a path", "images/logo.png", false},
		{"not pulled", "Device/x", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := holding()
			cfg.References.Pulls = func(resourceType string) bool { return resourceType != "Device" }
			low, top := newSite(t, "low", cfg), newSite(t, "top", engine.Config{})
			low.write("here", "H")
			low.write("gone", "G")
			low.edit(remove("gone"))
			rs := low.take(follower(), top.refer("p", c.ref), top.write("later", "L"))
			if held := rs[0].Result == feed.Refused; held != c.held || rs[1].Result != feed.Applied {
				t.Errorf("%s: %+v", c.ref, rs)
			}
			if c.name == "not pulled" { // a child may have it to push
				wantResult(t, low.take(child("top"), top.refer("q", c.ref))[0], feed.Refused)
			}
		})
	}
}

// A document that has no FHIR form waits for nothing: what looks like a link in it may be anything.
func TestReferencesOfRESTDocuments(t *testing.T) {
	low, top := newSite(t, "low", holding()), newSite(t, "top", engine.Config{})
	doc, err := fhir.ParseREST("program", []byte(`{"uuid":"p","links":[{"uri":"Patient/x"}],"reference":"Patient/x"}`), 0)
	if err != nil {
		t.Fatal(err)
	}
	top.edit(engine.Write{Op: engine.Update, Key: doc.Key, Body: doc})
	c, _, err := top.Store().Get(top.ctx, doc.Key)
	if err != nil {
		t.Fatal(err)
	}
	ev := feed.Event{Seq: c.Seq, Key: c.Key, Action: c.Action, Stamp: c.Stamp, Content: c.Body, Size: len(c.Body)}
	wantResult(t, low.take(follower(), ev)[0], feed.Applied)
}

// The modes: accepted as it comes unless the node holds. A pulled copy is parked with its reason and as an exception; a pushed one stays with
// the child, which is told that there is no hurry.
func TestReferencesHeldBack(t *testing.T) {
	top := newSite(t, "top", engine.Config{})
	ev := top.refer("a", "Patient/a", "Patient/b", "Organization/o")
	for _, link := range []engine.Link{follower(), child("top")} {
		wantResult(t, newSite(t, "n", engine.Config{}).take(link, ev)[0], feed.Applied)
	}
	low := newSite(t, "low", holding())
	r := low.take(follower(), ev)[0]
	p := low.parked()
	if r.Result != feed.Refused || len(p) != 1 || p[0].Kind != "unprocessable" || string(p[0].Content) != string(ev.Content) || p[0].NextRetry == 0 ||
		!strings.Contains(p[0].Reason, "not here yet: Organization/o, Patient/b. ") {
		t.Fatalf("%+v %+v", r, p)
	}
	known, err := low.Store().Knowledge(low.ctx, []string{"Patient"})
	if err != nil || len(known) != 1 || len(known[0].Lacks) != 1 || known[0].Lacks[0].ID != "a" {
		t.Errorf("it is no exception: %+v %v", known, err)
	}
	rows, err := low.Store().AuditRecords(low.ctx, audit.Query{Failures: true})
	if err != nil || len(rows) != 1 || rows[0].Outcome != audit.Parked || !strings.Contains(rows[0].Details, "Patient/b") {
		t.Errorf("%+v %v", rows, err)
	}

	hub := newSite(t, "hub", holding())
	r = hub.take(child("top"), ev)[0]
	if r.Result != feed.Refused || r.Retry || !strings.Contains(r.Reason, "Patient/b") || len(hub.parked()) != 0 {
		t.Errorf("%+v", r)
	}
	wantResult(t, hub.take(child("top"), top.write("b", "B"))[0], feed.Applied)
	wantResult(t, hub.take(child("top"), ev)[0], feed.Refused)
	// A local write is never held back, and what it brings counts.
	hub.edit(engine.Write{Op: engine.Update, Key: fhir.Key{Type: "Patient", ID: "mine"}, Body: referring(t, "mine", "Patient/nobody")})
	org, err := fhir.Parse([]byte(`{"resourceType":"Organization","id":"o"}`), 0)
	if err != nil {
		t.Fatal(err)
	}
	hub.edit(engine.Write{Op: engine.Update, Key: org.Key, Body: org})
	wantResult(t, hub.take(child("top"), ev)[0], feed.Applied)
}

// As soon as a batch brings what was waited for, it is taken, and what waited for that; what waits for something else stays.
func TestReferencesAreTakenWhenTheyCome(t *testing.T) {
	low, top := newSite(t, "low", holding()), newSite(t, "top", engine.Config{})
	run := audit.Run{ID: "r"}
	take := func(events ...feed.Event) string {
		t.Helper()
		rs, err := low.Accept(low.ctx, engine.Batch{Link: follower(), Events: events, Run: &run})
		if err != nil {
			t.Fatal(err)
		}
		return results(rs)
	}
	if got := take(top.refer("c", "Patient/b"), top.refer("b", "Patient/a"), top.refer("d", "Patient/a", "Patient/z")); got != "refused refused refused" {
		t.Fatal(got)
	}
	if got := take(top.write("other", "O"), top.refer("a")); got != "applied applied" || low.ids() != "other a b c" || low.waits() != "d" {
		t.Errorf("%s: log %q, parked %q", got, low.ids(), low.waits())
	}
	if p := low.parked(); p[0].Attempts != 1 {
		t.Errorf("it was tried in vain: %+v", p)
	}
	if run.Read != 7 || run.Applied != 4 || run.Parked != 3 {
		t.Errorf("%+v", run)
	}
	// A later version that waits for nothing passes it.
	if got := take(top.refer("d")); got != "applied" || low.waits() != "" {
		t.Errorf("%s, parked %q", got, low.waits())
	}
	if known, err := low.Store().Knowledge(low.ctx, []string{"Patient"}); err != nil || len(known) != 0 && len(known[0].Lacks) != 0 {
		t.Errorf("exceptions are left: %+v %v", known, err)
	}
}

// Copies that refer to each other are taken together, in one transaction, whether they come in one batch or in several.
func TestReferencesInACircle(t *testing.T) {
	top := newSite(t, "top", engine.Config{})
	a, b, c := top.refer("a", "Patient/b"), top.refer("b", "Patient/c"), top.refer("c", "Patient/a")
	wantBoth := func(low *site, log string) {
		t.Helper()
		if low.waits() != "" || low.ids() != log {
			t.Errorf("log %q, parked %q", low.ids(), low.waits())
		}
	}
	for _, order := range [][]feed.Event{{a, b, c}, {c, b, a}, {b, c, a}} {
		low := newSite(t, "low", holding())
		for _, ev := range order[:2] {
			wantResult(t, low.take(follower(), ev)[0], feed.Refused)
		}
		wantResult(t, low.take(follower(), order[2])[0], feed.Applied)
		if low.waits() != "" || len(low.log()) != 3 {
			t.Errorf("log %q, parked %q", low.ids(), low.waits())
		}
	}
	low := newSite(t, "low", holding())
	low.take(follower(), a, b, c)
	wantBoth(low, "a b c")
	hub := newSite(t, "hub", holding())
	wantResult(t, hub.take(child("top"), a)[0], feed.Refused)
	hub.take(child("top"), c, b, a)
	wantBoth(hub, "c b a")

	// A circle that waits for one thing more is taken when that comes.
	d, e := top.refer("d", "Patient/e"), top.refer("e", "Patient/d", "Patient/f")
	low.take(follower(), d)
	low.take(follower(), e)
	wantResult(t, low.take(follower(), top.refer("f"))[0], feed.Applied)
	wantBoth(low, "a b c f e d")
}

// A unit has one fate: one member that waits parks it whole, and it is taken whole.
func TestReferencesOfAUnit(t *testing.T) {
	low, top := newSite(t, "low", holding()), newSite(t, "top", engine.Config{})
	top.edit(engine.Write{Op: engine.Update, Key: fhir.Key{Type: "Patient", ID: "u1"}, Body: referring(t, "u1", "Patient/u2")},
		engine.Write{Op: engine.Update, Key: fhir.Key{Type: "Patient", ID: "u2"}, Body: referring(t, "u2", "Patient/x")}, put(t, "u3", "U"))
	var unit []feed.Event
	for _, row := range top.log() {
		unit = append(unit, row.Event)
	}
	if unit[0].Unit == "" || unit[0].Unit != unit[1].Unit {
		t.Fatalf("no unit: %+v", unit)
	}
	after := top.refer("after", "Patient/u1")
	if got := results(low.take(follower(), append(unit, after)...)); got != "refused refused refused refused" {
		t.Fatal(got)
	}
	wantResult(t, low.take(follower(), top.write("x", "X"))[0], feed.Applied)
	rows := low.log()
	if low.ids() != "x u1 u2 u3 after" || low.waits() != "" || rows[1].Unit == "" || rows[1].Unit != rows[3].Unit || rows[4].Unit != "" {
		t.Errorf("log %q, parked %q, %+v", low.ids(), low.waits(), rows)
	}
}

// What comes by another way than the pull is noticed when the next pull begins, also by a process that has only begun.
func TestReferencesThatComeFromElsewhere(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		low, top := newSite(t, "low", holding()), newSite(t, "top", engine.Config{})
		low.take(follower(), top.refer("a", "Patient/mine"), top.refer("b", "Patient/a"))
		low.take(follower(), top.refer("z", "Patient/nobody"))
		awaited := func() []fhir.Key {
			t.Helper()
			keys, err := low.Awaited(low.ctx)
			if err != nil {
				t.Fatal(err)
			}
			return keys
		}
		if k := awaited(); len(k) != 0 {
			t.Fatalf("nothing has come: %v", k)
		}
		low.write("mine", "M")
		if restarted {
			low.Engine = engine.New(low.Store(), holding())
		}
		run := audit.Run{ID: "r"}
		if err := low.Release(low.ctx, engine.Batch{Link: follower(), Run: &run}, awaited()); err != nil {
			t.Fatal(err)
		}
		if low.ids() != "mine a b" || low.waits() != "z" || run.Applied != 2 {
			t.Errorf("restarted %t: log %q, parked %q, %+v", restarted, low.ids(), low.waits(), run)
		}
		if k := awaited(); len(k) != 0 {
			t.Errorf("again: %v", k)
		}
	}
}

// More copies than are taken in one transaction wait for one thing.
func TestReferencesOfMany(t *testing.T) {
	low, top := newSite(t, "low", holding()), newSite(t, "top", engine.Config{})
	var all []feed.Event
	for i := range 450 {
		all = append(all, top.refer(fmt.Sprintf("p%03d", i), "Patient/x"))
	}
	low.take(follower(), all...)
	low.take(follower(), top.write("x", "X"))
	if n := len(low.log()); n != 451 || low.waits() != "" {
		t.Errorf("%d rows, parked %q", n, low.waits())
	}
}

// What is here already is not held back when it comes again, and a hold that the node decides itself is no new copy.
func TestReferencesOfWhatIsHere(t *testing.T) {
	low, top := newSite(t, "low", engine.Config{}), newSite(t, "top", engine.Config{})
	ev := top.refer("a", "Patient/b")
	wantResult(t, low.take(follower(), ev)[0], feed.Applied)
	low.write("p", "own")
	wantResult(t, low.take(follower(), top.refer("p", "Patient/c"))[0], feed.Held)
	low.Engine = engine.New(low.Store(), holding())
	wantResult(t, low.take(follower(), ev)[0], feed.Same)
	wantResult(t, low.take(follower(), seen(ev, ver(replicaX, 1)))[0], feed.Same)
	if err := low.DecideHolds(low.ctx, arbiter()); err != nil || len(low.held()) != 0 || low.waits() != "" {
		t.Errorf("held %v, parked %q, %v", low.held(), low.waits(), err)
	}
}

// What another log of the parent delivered is not marked as delivered by the present one: a push offers it.
func TestReferencesOfAnotherLog(t *testing.T) {
	low, top := newSite(t, "low", holding()), newSite(t, "top", engine.Config{})
	before, now := follower(), follower()
	before.Epoch = "99999999-0000-4000-8000-000000000009"
	low.take(before, top.refer("old", "Patient/x"))
	low.take(now, top.refer("new", "Patient/x"))
	low.take(now, top.write("x", "X"))
	for id, want := range map[string]string{"x": now.Epoch, "new": now.Epoch, "old": ""} {
		if got := low.copyOf(id).Delivered; got != want {
			t.Errorf("%s is marked as delivered in %q, want %q", id, got, want)
		}
	}
}
