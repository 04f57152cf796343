package engine_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// The vectors of reference/seed-protocols.md that are about conflicts, played between engines where the policy is merge. What they say of
// vectors and knowledge alone is in package version, of SData pages in sdata.

// withOthers has A at A5 with I2, I3 and I1 and B at B4 with two of its own, each of which has all (MS1).
func withOthers(t *testing.T, cfg engine.Config) (a, b *site) {
	t.Helper()
	a, b = newSite(t, "a", engine.Config{}), newSite(t, "b", cfg)
	for _, id := range []string{"I2", "I1", "I2", "I3", "I1"} {
		members := began
		if len(a.log()) > 1 {
			members += `,"active":true`
		}
		a.says(id, members)
	}
	for _, family := range []string{"1", "2"} {
		b.write("I104", family)
		b.write("I105", family)
	}
	for _, id := range []string{"I2", "I3", "I1"} {
		wantResult(t, b.take(child("a"), a.event(id))[0], feed.Applied)
	}
	b.learns(child("a"), a.tells())
	for _, id := range []string{"I104", "I105"} {
		wantResult(t, a.take(follower(), b.event(id))[0], feed.Applied)
	}
	a.learns(follower(), b.tells())
	return a, b
}

// knows fails unless a site knows these ticks of A's and B's patients, and lacks versions of these keys.
func (s *site) knows(a, b *site, ofA, ofB uint64, lacks ...string) {
	s.t.Helper()
	k := feed.KnowledgeOf(s.tells())["Patient"]
	if got := k.Vector; got.Tick(a.replica()) != ofA || got.Tick(b.replica()) != ofB {
		s.t.Errorf("knows A%d B%d, want A%d B%d", got.Tick(a.replica()), got.Tick(b.replica()), ofA, ofB)
	}
	var keys []string
	for _, l := range k.Lacks {
		keys = append(keys, l.ID)
	}
	if !slices.Equal(keys, lacks) {
		s.t.Errorf("lacks %v, want %v", keys, lacks)
	}
}

const (
	startI2 = began + `,"active":true`
	byA     = gender + `,"active":true`
	byB     = birth + `,"active":true`
	ofBoth  = both + `,"active":true`
)

// rivalsOfMS3 has A6 and B5 of I2.
func rivalsOfMS3(t *testing.T, cfg engine.Config, sayB string) (a, b *site, a6 feed.Event) {
	t.Helper()
	a, b = withOthers(t, cfg)
	a6 = a.says("I2", byA)
	if b5 := b.says("I2", sayB).Stamp.Version; a6.Stamp.Version != ver(a.replica(), 6) || b5 != ver(b.replica(), 5) {
		t.Fatalf("%v and %v", a6.Stamp.Version, b5)
	}
	return a, b, a6
}

// MS3: neither copy is in what the other side knows. With merge that is a conflict all the same, written down with both sides and the copy
// that both were made from; the elements of one side alone are put together, those of both wait for a person.
func TestMS3(t *testing.T) {
	a, b, a6 := rivalsOfMS3(t, merging(), byB)
	a.knows(a, b, 6, 4)
	b.knows(a, b, 5, 5)
	wantResult(t, b.take(child("a"), a6)[0], feed.Decided)
	c := b.conflicts("")
	if len(c) != 1 || c[0].Local.Version != ver(b.replica(), 5) || c[0].Incoming.Version != a6.Stamp.Version || c[0].Kind != store.KindEdit ||
		c[0].Ancestor != ver(a.replica(), 3) || !strings.Contains(string(c[0].AncestorContent), startI2) {
		t.Errorf("%+v", c)
	}
	a, b, a6 = rivalsOfMS3(t, merging(), strings.Replace(byB, "male", "other", 1))
	wantResult(t, b.take(child("a"), a6)[0], feed.Deferred)
	b.learns(child("a"), a.tells())
	b.knows(a, b, 6, 5, "I2")
	if c := b.conflicts(store.ConflictOpen); len(c) != 1 || !strings.Contains(c[0].Reason, "Patient.gender") {
		t.Errorf("%+v", c)
	}
}

// MS4: what stands at B and what B knows after each policy, and that the way back finds no conflict but where it is left open. Here the
// arbiter writes a version whoever wins (DESIGN.md 4.2), so that B's is B6 also where the source wins.
func TestMS4(t *testing.T) {
	const bothChanged = `"gender":"other","birthDate":"2000-01-02","active":true`
	for _, c := range []struct {
		name, sayB, want string
		cfg              engine.Config
		origin           string // whose write the content is
	}{
		{"source", byB, byA, engine.Config{Policies: reconcile.Policies{Default: reconcile.SourceWins}}, "a"},
		{"destination", byB, byB, engine.Config{Policies: reconcile.Policies{Default: reconcile.DestinationWins}}, "b"},
		{"merge", byB, ofBoth, merging(), "merge"},
		{"merge, then source", bothChanged, ofBoth, merging(reconcile.SourceWins), "merge"},
		{"merge, then destination", bothChanged, bothChanged, merging(reconcile.DestinationWins), "b"},
		{"log", bothChanged, bothChanged, merging(reconcile.Defer), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b, a6 := rivalsOfMS3(t, c.cfg, c.sayB)
			result := b.take(child("a"), a6)[0].Result
			b.learns(child("a"), a.tells())
			b.reads("I2", c.want)
			s := b.event("I2").Stamp
			if c.origin == "" {
				b.knows(a, b, 6, 5, "I2")
				if result != feed.Deferred || s.Version != ver(b.replica(), 5) || s.Vector.Contains(a6.Stamp.Version) {
					t.Errorf("%s, %+v", result, s)
				}
				wantResult(t, a.take(follower(), b.event("I2"))[0], feed.Held)
				a.reads("I2", byA)
				return
			}
			b.knows(a, b, 6, 6)
			origin := map[string]version.Version{"a": a6.Stamp.Version, "b": ver(b.replica(), 5), "merge": ver(b.replica(), 6)}[c.origin]
			if result != feed.Decided || s.Version != ver(b.replica(), 6) || s.Origin != origin || s.Author != origin.Replica || !s.Vector.Contains(a6.Stamp.Version) {
				t.Errorf("%s, %+v", result, s)
			}
			wantResult(t, a.take(follower(), b.event("I2"))[0], feed.Applied)
			a.reads("I2", c.want)
			if len(a.conflicts("")) != 0 || len(a.held()) != 0 {
				t.Error("A found a conflict on the way back")
			}
		})
	}
}

// MS9: A deletes I3 as A7, which B takes; where B edited it as B6 unaware, that is a conflict of its own kind, which merge does not touch:
// the edit stands and is flagged, or the deletion where the configuration says so.
func TestMS9(t *testing.T) {
	for _, wins := range []bool{false, true} {
		cfg := merging()
		cfg.Policies.DeletesWin = wins
		a, b := withOthers(t, cfg)
		a.says("I2", byA)
		a.edit(remove("I3"))
		a7 := a.event("I3")
		if a7.Stamp.Version != ver(a.replica(), 7) || !a7.Stamp.Deleted {
			t.Fatalf("%+v", a7.Stamp)
		}
		b.says("I1", gender)
		b.says("I3", gender)
		wantResult(t, b.take(child("a"), a7)[0], feed.Decided)
		c := b.conflicts("")
		if len(c) != 1 || c[0].Kind != store.KindDeletion || c[0].Flagged == wins || c[0].Local.Version != ver(b.replica(), 6) {
			t.Errorf("deletes win %t: %+v", wins, c)
		}
		if s := b.event("I3").Stamp; s.Deleted != wins || !s.Vector.Contains(a7.Stamp.Version) {
			t.Errorf("deletes win %t: %+v", wins, s)
		}
		wantResult(t, a.take(follower(), b.event("I3"))[0], feed.Applied)
		if a.event("I3").Stamp.Deleted != wins {
			t.Errorf("deletes win %t: A has %+v", wins, a.event("I3").Stamp)
		}
	}
	a, b := withOthers(t, merging())
	a.edit(remove("I3"))
	wantResult(t, b.take(child("a"), a.event("I3"))[0], feed.Applied) // nobody had edited it: no conflict
	if len(b.conflicts("")) != 0 || !b.event("I3").Stamp.Deleted {
		t.Errorf("%+v", b.conflicts(""))
	}
}

// MS12: one side changes the name, the other the phone. The elements are the change units of merge: nothing waits and both changes stand.
// Without units (another policy) it is a conflict that one side loses.
func TestMS12(t *testing.T) {
	const start, name, phone, all = `"name":[{"family":"A"}],"telecom":[{"system":"phone","value":"1"}]`, `"name":[{"family":"B"}],"telecom":[{"system":"phone","value":"1"}]`,
		`"name":[{"family":"A"}],"telecom":[{"system":"phone","value":"2"}]`, `"name":[{"family":"B"}],"telecom":[{"system":"phone","value":"2"}]`
	for policy, want := range map[reconcile.Policy]string{reconcile.Merging: all, reconcile.SourceWins: name, reconcile.DestinationWins: phone} {
		a, b := withOthers(t, engine.Config{Policies: reconcile.Policies{Default: policy}})
		b.says("I1", start)
		wantResult(t, a.take(follower(), b.event("I1"))[0], feed.Applied)
		a6 := a.says("I1", name)
		b.says("I1", phone)
		wantResult(t, b.take(child("a"), a6)[0], feed.Decided)
		b.reads("I1", want)
		if c := b.conflicts(""); len(c) != 1 || c[0].Status != store.ConflictDecided {
			t.Errorf("%s: %+v", policy, c)
		}
		wantResult(t, a.take(follower(), b.event("I1"))[0], feed.Applied)
		a.reads("I1", want)
	}
}

// SD5: the table of states. A feed of SData has no vectors: its digest stands in for the vector of each entry, with ticks that are not yet
// known (D_N1 = 1:6, 2:7, 3:9 and D_N2 = 1:5, 2:8, 3:8 are 1:5, 2:6, 3:8 and 1:4, 2:7, 3:7 known). With merge the conflicts c and e are put
// together whoever would win by priority.
func TestSD5(t *testing.T) {
	n := []version.Replica{"", "a0000000-0000-4000-8000-000000000001", "a0000000-0000-4000-8000-000000000002", "a0000000-0000-4000-8000-000000000003"}
	digest := func(one, two, three uint64) version.Vector {
		return version.Vector{}.With(ver(n[1], one)).With(ver(n[2], two)).With(ver(n[3], three))
	}
	type state struct {
		node int
		tick uint64
	}
	for _, c := range []struct {
		name           string
		source, target state
		want           feed.Result
		members        string
	}{
		{"a", state{1, 5}, state{1, 4}, feed.Applied, byA},
		{"b", state{1, 5}, state{2, 6}, feed.Applied, byA},
		{"c", state{1, 5}, state{2, 7}, feed.Decided, ofBoth},
		{"d", state{1, 5}, state{3, 7}, feed.Applied, byA},
		{"e", state{3, 8}, state{2, 7}, feed.Decided, ofBoth},
	} {
		t.Run(c.name, func(t *testing.T) {
			pen, target := newSite(t, "pen", engine.Config{}), newSite(t, "target", merging())
			made := func(s state, members string, seen version.Vector) feed.Event {
				ev := pen.says("p", members)
				v := ver(n[s.node], s.tick)
				ev.Stamp.Version, ev.Stamp.Origin, ev.Stamp.Author, ev.Stamp.Vector = v, v, v.Replica, seen.With(v)
				return ev
			}
			wantResult(t, target.take(child("n2"), made(state{3, 1}, startI2, nil))[0], feed.Applied)
			wantResult(t, target.take(child("n2"), made(c.target, byB, version.Vector{ver(n[3], 1)}))[0], feed.Applied)
			wantResult(t, target.take(child("n1"), made(c.source, byA, digest(5, 6, 8)))[0], c.want)
			target.reads("p", c.members)
			if got := len(target.conflicts("")); (got == 1) != (c.want == feed.Decided) {
				t.Errorf("%d conflicts", got)
			}
		})
	}
}

// A record that a person typed is valid R4, or nothing is changed and the answer says where it is not; what arrives from elsewhere is not
// looked at so.
func TestEngineResolveRefusesWhatIsNotR4(t *testing.T) {
	hub, _, ev := apart(t, deferring(), gender, `"famly":"F",`+birth)
	wantResult(t, hub.take(child("north"), ev)[0], feed.Deferred)
	c, err := hub.Waiting(hub.ctx, "Patient/p")
	if err != nil {
		t.Fatal(err)
	}
	typed := func(members string) error {
		_, err := hub.Resolve(hub.ctx, "Patient/p", engine.Resolution{Document: []byte(`{"resourceType":"Patient","id":"p",` + members + `}`), Basis: c.Basis()}, "ann")
		return err
	}
	for members, want := range map[string]string{
		`"famly":"A"`:                          "Patient.famly",
		`"gender":["male"]`:                    "Patient.gender",
		`"name":{"family":"A"}`:                "Patient.name",
		`"active":"true"`:                      "Patient.active",
		`"link":[{"type":"seealso"}]`:          "Patient.link[0]: other is missing",
		`"birthDate":"01/02/2000"`:             "Patient.birthDate",
		`"contained":[{"resourceType":"Pat"}]`: "Patient.contained[0]",
	} {
		err := typed(members)
		wantKind(t, err, syncerr.Invalid)
		if err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", members, err)
		}
	}
	hub.reads("p", gender)
	if err := typed(both); err != nil {
		t.Error(err)
	}
	hub.reads("p", both)
}
