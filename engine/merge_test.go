package engine_test

import (
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
)

func merging(next ...reconcile.Policy) engine.Config {
	p := reconcile.Policy(reconcile.Merging)
	for _, n := range next {
		p += "," + n
	}
	return engine.Config{Policies: reconcile.Policies{Default: p}}
}

// says writes a patient with these members and returns the event.
func (s *site) says(id, members string) feed.Event {
	s.t.Helper()
	r, err := fhir.Parse([]byte(`{"resourceType":"Patient","id":"`+id+`",`+members+`}`), 0)
	if err != nil {
		s.t.Fatal(err)
	}
	s.edit(engine.Write{Op: engine.Update, Key: r.Key, Body: r})
	return s.event(id)
}

// reads checks the members of a patient.
func (s *site) reads(id, members string) {
	s.t.Helper()
	if got, want := string(s.copyOf(id).Body), `{"resourceType":"Patient","id":"`+id+`",`+members+`}`; got != want {
		s.t.Errorf("got\n%s, want\n%s", got, want)
	}
}

const (
	began  = `"gender":"male","birthDate":"2000-01-01"`
	gender = `"gender":"female","birthDate":"2000-01-01"`
	birth  = `"gender":"male","birthDate":"2000-01-02"`
	both   = `"gender":"female","birthDate":"2000-01-02"`
)

// apart has a hub and a node that changed one copy each in its own way.
func apart(t *testing.T, cfg engine.Config, hubSays, northSays string) (hub, north *site, ev feed.Event) {
	t.Helper()
	hub, north = newSite(t, "hub", cfg), newSite(t, "north", engine.Config{})
	wantResult(t, hub.take(child("north"), north.says("p", began))[0], feed.Applied)
	hub.says("p", hubSays)
	return hub, north, north.says("p", northSays)
}

// MS4, merge: the arbiter writes a new version of its own that has seen both; nobody finds a conflict in it.
func TestEngineMergesMS4(t *testing.T) {
	hub, north, ev := apart(t, merging(), gender, birth)
	wantResult(t, hub.take(child("north"), ev)[0], feed.Decided)
	hub.reads("p", both)
	s, own := hub.event("p").Stamp, hub.replica()
	if s.Author != own || s.Origin != s.Version || s.Version.Replica != own || !s.Vector.Contains(ev.Stamp.Version) || s.Vector.Tick(own) != s.Version.Tick {
		t.Errorf("%+v", s)
	}
	c := hub.conflicts("")
	if len(c) != 1 || c[0].Winner != engine.Merged || c[0].Rule != "merge" || c[0].Kind != store.KindEdit || !strings.Contains(string(c[0].AncestorContent), "male") || c[0].Decided != s.Version {
		t.Errorf("%+v", c)
	}
	wantResult(t, north.take(follower(), hub.event("p"))[0], feed.Applied)
	north.reads("p", both)
	if len(north.held()) != 0 || len(north.conflicts("")) != 0 {
		t.Error("the child found a conflict in a merge of its own copy")
	}
	// The child edits on what it had pushed, before it has the merge: the ancestor is the copy that never stood at the hub.
	hub, north, ev = apart(t, merging(), gender, birth)
	hub.take(child("north"), ev)
	wantResult(t, hub.take(child("north"), north.says("p", birth+`,"active":true`))[0], feed.Decided)
	hub.reads("p", both+`,"active":true`)
	wantResult(t, hub.take(child("north"), north.says("p", `"gender":"male","birthDate":"2000-01-03","active":true`))[0], feed.Decided)
	hub.reads("p", `"gender":"female","birthDate":"2000-01-03","active":true`)
}

// What both sides changed goes by the next policy, or to a person; what only one changed is never lost for it.
func TestEngineMergeClashes(t *testing.T) {
	const mine, theirs = `"gender":"female","birthDate":"2000-01-02"`, `"gender":"other","birthDate":"2000-01-01","active":true`
	for _, c := range []struct {
		name string
		cfg  engine.Config
		want string
		rule string
	}{
		{"alone", merging(), "", "merge"},
		{"then defer", merging(reconcile.Defer), "", "merge"},
		{"then source", merging(reconcile.SourceWins), `"gender":"other","birthDate":"2000-01-02","active":true`, "merge,source-wins"},
		{"then destination", merging(reconcile.DestinationWins), `"gender":"female","birthDate":"2000-01-02","active":true`, "merge,destination-wins"},
		{"then the last writer", merging(reconcile.LastWriterWins), `"gender":"other","birthDate":"2000-01-02","active":true`, "merge,last-writer-wins"},
	} {
		t.Run(c.name, func(t *testing.T) {
			hub, _, ev := apart(t, c.cfg, mine, theirs)
			got := hub.take(child("north"), ev)[0]
			row := hub.conflicts("")[0]
			if row.Rule != c.rule || !strings.Contains(row.Reason, "Patient.gender") {
				t.Errorf("%s: %s", row.Rule, row.Reason)
			}
			if c.want == "" {
				wantResult(t, got, feed.Deferred)
				hub.reads("p", mine)
				return
			}
			wantResult(t, got, feed.Decided)
			hub.reads("p", c.want)
		})
	}
	// A critical element is left to a person whatever the next policy says.
	hub, _, ev := apart(t, merging(reconcile.SourceWins), began+`,"deceasedBoolean":true`, began+`,"deceasedBoolean":false`)
	wantResult(t, hub.take(child("north"), ev)[0], feed.Deferred)
	if c := hub.conflicts(store.ConflictOpen)[0]; !strings.Contains(c.Reason, "only a person") {
		t.Error(c.Reason)
	}
}

// Two nodes that make one Type/id each may mean two patients: that is a kind of conflict of its own, and not merged.
func TestEngineIdentityCollision(t *testing.T) {
	hub, north := newSite(t, "hub", merging(reconcile.SourceWins)), newSite(t, "north", engine.Config{})
	hub.says("p", began)
	wantResult(t, hub.take(child("north"), north.says("p", birth+`,"active":true`))[0], feed.Deferred)
	if c := hub.conflicts(store.ConflictOpen)[0]; c.Kind != store.KindIdentity || !strings.Contains(c.Reason, "independently") {
		t.Errorf("%+v", c)
	}
	hub.reads("p", began)
	hub, north = newSite(t, "hub", engine.Config{}), newSite(t, "north", engine.Config{})
	hub.says("p", began)
	wantResult(t, hub.take(child("north"), north.says("p", birth))[0], feed.Decided)
	if c := hub.conflicts("")[0]; c.Kind != store.KindIdentity {
		t.Errorf("where a policy decides: %+v", c)
	}
}

// MS9: a deletion against an edit that has not seen it. The edit is kept and flagged.
func TestEngineDeletionAgainstEditMS9(t *testing.T) {
	hub, north, _ := apart(t, merging(), gender, birth)
	north.edit(engine.Write{Op: engine.Delete, Key: north.event("p").Key})
	wantResult(t, hub.take(child("north"), north.event("p"))[0], feed.Decided)
	hub.reads("p", gender)
	if c := hub.conflicts("")[0]; c.Kind != store.KindDeletion || !c.Flagged {
		t.Errorf("%+v", c)
	}
}

// What history has no more cannot be an ancestor: the differences are for a person, and the conflict says so.
func TestEngineMergeWithoutAncestor(t *testing.T) {
	hub, _, ev := apart(t, merging(reconcile.SourceWins), gender, birth)
	hub.gone()
	wantResult(t, hub.take(child("north"), ev)[0], feed.Deferred)
	if c := hub.conflicts(store.ConflictOpen)[0]; c.AncestorContent != nil || !strings.Contains(c.Reason, "history does not have") {
		t.Errorf("%+v", c)
	}
}

// Both sides made the same changes, one of them more: that copy wins as it is.
func TestEngineMergeThatIsOneSide(t *testing.T) {
	hub, _, ev := apart(t, merging(), gender, both)
	wantResult(t, hub.take(child("north"), ev)[0], feed.Decided)
	hub.reads("p", both)
	if s := hub.event("p").Stamp; s.Origin != ev.Stamp.Origin || s.Author != ev.Stamp.Author || hub.conflicts("")[0].Winner != "incoming" {
		t.Errorf("%+v", s)
	}
}
