package version_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/tributary-sync/tributary/version"
)

// scope is the knowledge of a vector without exceptions.
func scope(x version.Vector) version.Knowledge {
	k, err := version.FromSyncFramework(x, nil)
	if err != nil {
		panic("bug: a test made the vector " + x.String())
	}
	return k
}

// item is a copy in a small Sync Framework replica.
type item struct {
	updated, created version.Version
	data             string
	deleted          bool
}

// replica holds items and knowledge and runs one direction of a session with the algebra under test.
type replica struct {
	id     version.Replica
	tick   uint64
	items  map[string]item
	k      version.Knowledge
	log    []version.Version
	policy string          // for conflicts: source, destination, merge or log
	broken map[string]bool // keys whose saving fails
}

func newReplica(id version.Replica) *replica {
	return &replica{id: id, items: map[string]item{}, policy: "source", broken: map[string]bool{}}
}

func (r *replica) mint(t *testing.T, key string) version.Version {
	t.Helper()
	r.tick++
	v := at(r.id, r.tick)
	r.k = learned(t, r.k, key, v)
	return v
}

// write creates or updates an item, or deletes it if the data is empty.
func (r *replica) write(t *testing.T, key, data string) {
	t.Helper()
	v := r.mint(t, key)
	created := r.items[key].created
	if created.IsZero() {
		created = v
	}
	r.items[key] = item{updated: v, created: created, data: data, deleted: data == ""}
}

// pull runs one direction of a session into r and returns the keys that were sent and those in conflict.
func (r *replica) pull(t *testing.T, source *replica) (sent, conflicts []string) {
	t.Helper()
	madeWith, learnt := source.k, source.k
	for _, key := range slices.Sorted(maps.Keys(source.items)) {
		s, d := source.items[key], r.items[key]
		if r.k.Contains(key, s.updated) {
			continue
		}
		sent = append(sent, key)
		switch version.Detect(r.k, madeWith, key, s.updated, d.updated) {
		case version.VerdictIgnore:
			continue
		case version.VerdictApply:
			if r.broken[key] {
				learnt = learnt.Exclude(key)
				continue
			}
			r.items[key] = s
			continue
		}
		conflicts = append(conflicts, key)
		switch r.policy {
		case "source":
			r.items[key] = s
		case "destination":
			d.updated = r.mint(t, key)
			r.items[key] = d
		case "merge":
			d.updated, d.data, d.deleted = r.mint(t, key), d.data+"+"+s.data, false
			r.items[key] = d
		case "log":
			r.log = append(r.log, s.updated)
			learnt = learnt.Exclude(key)
		}
	}
	r.k = r.k.Union(learnt)
	return sent, conflicts
}

func requireKeys(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

func requireKnows(t *testing.T, r *replica, scopeWant version.Vector, itemsWant map[string]version.Vector) {
	t.Helper()
	gotScope, gotItems := r.k.ToSyncFramework()
	if !gotScope.Equal(scopeWant) || !maps.EqualFunc(gotItems, itemsWant, version.Vector.Equal) {
		t.Fatalf("knows %v except %v, want %v except %v", gotScope, gotItems, scopeWant, itemsWant)
	}
}

func requireItem(t *testing.T, r *replica, key string, v version.Version, data string) {
	t.Helper()
	if got, ok := r.items[key]; !ok || got.updated != v || got.data != data {
		t.Fatalf("%s is %+v, %t, want %s %q", key, got, ok, v, data)
	}
}

func ab(a, b uint64) version.Vector { return vec(at(ra, a), at(rb, b)) }

// pair gives A and B of MS1, before their session.
func pair(t *testing.T) (a, b *replica) {
	t.Helper()
	a, b = newReplica(ra), newReplica(rb)
	a.write(t, "I1", "one")
	a.write(t, "I2", "two")
	a.write(t, "I2", "two again")
	a.write(t, "I3", "three")
	a.write(t, "I1", "one again")
	b.write(t, "I104", "b1")
	b.write(t, "I104", "b2")
	b.write(t, "I105", "b3")
	b.write(t, "I105", "b4")
	return a, b
}

// synced gives both after it.
func synced(t *testing.T) (a, b *replica) {
	t.Helper()
	a, b = pair(t)
	b.pull(t, a)
	a.pull(t, b)
	return a, b
}

func TestMS1(t *testing.T) {
	a, b := pair(t)
	requireKnows(t, a, vec(at(ra, 5)), nil)
	requireKnows(t, b, vec(at(rb, 4)), nil)
	sent, _ := b.pull(t, a)
	requireKeys(t, "A sent", sent, "I1", "I2", "I3")
	requireKnows(t, b, ab(5, 4), nil)
	sent, _ = a.pull(t, b)
	requireKeys(t, "B sent", sent, "I104", "I105")
	requireKnows(t, a, ab(5, 4), nil)
	if !maps.Equal(a.items, b.items) || len(a.items) != 5 {
		t.Fatalf("A has %v, B has %v", a.items, b.items)
	}
}

func TestMS2(t *testing.T) {
	a, b := synced(t)
	there, _ := b.pull(t, a)
	back, _ := a.pull(t, b)
	requireKeys(t, "sent again", slices.Concat(there, back))
}

// rivals gives A and B of MS3: both updated I2.
func rivals(t *testing.T) (a, b *replica) {
	t.Helper()
	a, b = synced(t)
	a.write(t, "I2", "by A")
	b.write(t, "I2", "by B")
	return a, b
}

func TestMS3(t *testing.T) {
	a, b := rivals(t)
	requireKnows(t, a, ab(6, 4), nil)
	requireKnows(t, b, ab(5, 5), nil)
	if got := version.Detect(b.k, a.k, "I2", at(ra, 6), at(rb, 5)); got != version.VerdictConflict {
		t.Fatalf("got %s", got)
	}
	sent, conflicts := b.pull(t, a)
	requireKeys(t, "sent", sent, "I2")
	requireKeys(t, "conflicts", conflicts, "I2")
}

func TestMS4(t *testing.T) {
	for _, tt := range []struct {
		policy   string
		v        version.Version
		data     string
		scope    version.Vector
		items    map[string]version.Vector
		back     []string
		conflict []string
	}{
		{"source", at(ra, 6), "by A", ab(6, 5), nil, nil, nil},
		{"destination", at(rb, 6), "by B", ab(6, 6), nil, []string{"I2"}, nil},
		{"merge", at(rb, 6), "by B+by A", ab(6, 6), nil, []string{"I2"}, nil},
		{"log", at(rb, 5), "by B", ab(6, 5), map[string]version.Vector{"I2": ab(5, 5)}, []string{"I2"}, []string{"I2"}},
	} {
		t.Run(tt.policy, func(t *testing.T) {
			a, b := rivals(t)
			a.policy, b.policy = "log", tt.policy
			b.pull(t, a)
			requireItem(t, b, "I2", tt.v, tt.data)
			requireKnows(t, b, tt.scope, tt.items)
			if tt.policy == "log" && !slices.Equal(b.log, vec(at(ra, 6))) {
				t.Fatalf("logged %v", b.log)
			}
			sent, conflicts := a.pull(t, b)
			requireKeys(t, "back", sent, tt.back...)
			// What B knows of I2 decides, not the whole scope: with the scope, A would take B's copy for one that has seen its own.
			requireKeys(t, "conflicts", conflicts, tt.conflict...)
			if tt.conflict == nil {
				requireItem(t, a, "I2", tt.v, tt.data)
			}
		})
	}
	// In exceptions by version, the logged change is one.
	_, b := rivals(t)
	k := b.k.Except("I2", at(ra, 6))
	if x, _ := k.Exception("I2"); k.Contains("I2", at(ra, 6)) || !k.Contains("I2", at(rb, 5)) || !k.Contains("I1", at(ra, 6)) || !slices.Equal(x.Lacks, vec(at(ra, 6))) {
		t.Fatalf("got %s", k)
	}
	if _, items := k.ToSyncFramework(); !items["I2"].Equal(ab(5, 5)) {
		t.Fatalf("got %v", items)
	}
}

func TestMS5(t *testing.T) {
	if got := version.Detect(scope(vec(at(ra, 5))), scope(vec(at(ra, 9))), "I1", at(ra, 4), at(rb, 1)); got != version.VerdictIgnore {
		t.Fatalf("got %s", got)
	}
}

func TestMS6(t *testing.T) {
	if got := version.Detect(scope(ab(5, 4)), scope(ab(6, 4)), "I1", at(ra, 6), at(rb, 4)); got != version.VerdictApply {
		t.Fatalf("got %s", got)
	}
}

func TestMS7(t *testing.T) {
	a, b := pair(t)
	b.broken["I1"] = true
	b.pull(t, a)
	requireKnows(t, b, ab(5, 4), map[string]version.Vector{"I1": vec(at(rb, 4))})
	if _, has := b.items["I1"]; has {
		t.Fatal("I1 was saved")
	}
	sent, _ := b.pull(t, a)
	requireKeys(t, "next pass", sent, "I1")
	b.broken["I1"] = false
	sent, _ = b.pull(t, a)
	requireKeys(t, "the pass that works", sent, "I1")
	requireKnows(t, b, ab(5, 4), nil)
	requireItem(t, b, "I1", at(ra, 5), "one again")

	// By version: only the refused one is lacking, and it ends with the copy's vector.
	k := scope(ab(4, 4)).Except("I1", at(ra, 5))
	if !k.Wants("I1", at(ra, 5), nil) || k.Wants("I3", at(ra, 4), nil) {
		t.Fatalf("got %s", k)
	}
	if k = k.Settle("I1", vec(at(ra, 5))); !k.Equal(scope(ab(5, 4))) {
		t.Fatalf("got %s", k)
	}
}

func TestMS8(t *testing.T) {
	a, b := pair(t)
	b.broken["I1"] = true
	b.pull(t, a)
	c := newReplica(rc)
	sent, _ := c.pull(t, b)
	requireKeys(t, "B sent", sent, "I104", "I105", "I2", "I3")
	if c.k.Contains("I1", at(ra, 5)) {
		t.Fatal("C claims I1")
	}
	sent, _ = c.pull(t, a)
	requireKeys(t, "A sent", sent, "I1")
	requireKnows(t, c, ab(5, 4), nil)

	// By version, at the end of a pass: C takes B's exception over, unless its own copy has seen the version.
	relay := scope(ab(4, 4)).Except("I1", at(ra, 5)).Since(0)
	got := version.Knowledge{}.Merge(relay, func(string) version.Vector { return nil })
	if got.Contains("I1", at(ra, 5)) || !got.Contains("I2", at(ra, 5)) {
		t.Fatalf("got %s", got)
	}
	got = version.Knowledge{}.Merge(relay, func(string) version.Vector { return vec(at(ra, 5)) })
	if !got.Equal(scope(ab(5, 4))) {
		t.Fatalf("got %s", got)
	}
}

func TestMS9(t *testing.T) {
	a, b := synced(t)
	a.write(t, "I2", "six")
	a.write(t, "I3", "")
	if got := a.items["I3"]; got.updated != at(ra, 7) || got.created != at(ra, 4) || !got.deleted {
		t.Fatalf("the tombstone is %+v", got)
	}
	unaware := newReplica(rb)
	unaware.items, unaware.k, unaware.tick = maps.Clone(b.items), b.k, b.tick
	b.pull(t, a)
	if got := b.items["I3"]; got != a.items["I3"] {
		t.Fatalf("B holds %+v", got)
	}
	unaware.write(t, "other", "five")
	unaware.write(t, "I3", "edited")
	_, conflicts := unaware.pull(t, a)
	requireKeys(t, "delete against update of B6", conflicts, "I3")
}

func TestMS10(t *testing.T) {
	a, b := synced(t)
	c := newReplica(rc)
	c.pull(t, b)
	requireKnows(t, c, ab(5, 4), nil)
	c.write(t, "I200", "own")
	c.write(t, "I2", "edited at C")
	a.write(t, "I2", "")
	a.write(t, "I3", "")
	for _, key := range []string{"I2", "I3"} {
		a.k = a.k.Forget(a.items[key].updated)
		delete(a.items, key)
	}
	if got := a.k.Forgotten(); !got.Equal(vec(at(ra, 7))) {
		t.Fatalf("A forgot %v", got)
	}
	if keys, whole := c.k.Lacks(a.k.Forgotten()); !whole || keys != nil {
		t.Fatalf("C was away, but lacks %v, %t", keys, whole)
	}
	want := map[string]version.Fate{
		"I3": version.FateRemove, "I2": version.FateConflict, "I200": version.FateKeep,
	}
	for key, copied := range c.items {
		if _, listed := a.items[key]; listed {
			continue
		}
		if got := version.Unlisted(a.k, key, copied.updated, copied.created); got != want[key] {
			t.Errorf("%s: %s, want %s", key, got, want[key])
		}
		// What A could not take is not judged by what A knows.
		if got := version.Unlisted(a.k.Except(key, at(ra, 3)), key, copied.updated, copied.created); got != version.FateKeep {
			t.Errorf("%s excepted at A: %s", key, got)
		}
		delete(want, key)
	}
	if len(want) != 0 {
		t.Errorf("not compared: %v", want)
	}
	full := c.k.Merge(a.k.Since(0), func(string) version.Vector { return nil })
	if _, whole := full.Lacks(a.k.Forgotten()); whole || !full.Forgotten().Contains(at(ra, 7)) {
		t.Errorf("after the comparison C knows %s", full)
	}
	if !full.Forgot("I3", at(ra, 4)) || full.Forgot("I3", at(ra, 8)) || full.Forgot("I200", at(rc, 1)) || full.Except("I3", at(ra, 4)).Forgot("I3", at(ra, 4)) {
		t.Errorf("%s takes the wrong late copies for deleted", full)
	}
	// The partial choice: C learns of the items that were sent, and goes on lacking what was forgotten.
	a.write(t, "I1", "once more")
	partial := c.k.Union(a.k.Project("I1"))
	if _, whole := partial.Lacks(a.k.Forgotten()); !whole || !partial.Contains("I1", at(ra, 8)) || partial.Contains("I3", at(ra, 7)) || !partial.Vector().Equal(c.k.Vector()) {
		t.Errorf("partially, C knows %s", partial)
	}
	// With exceptions below what was forgotten, only these keys are compared.
	k := scope(ab(7, 4)).Except("I3", at(ra, 4)).Except("I1", at(rb, 4)).Exclude("I9")
	if keys, whole := k.Lacks(a.k.Forgotten()); whole || fmt.Sprint(keys) != "[I3 I9]" {
		t.Errorf("got %v, %t", keys, whole)
	}
}

func TestMS11(t *testing.T) {
	a, b := synced(t)
	backup, items, tick := b.k, maps.Clone(b.items), b.tick
	b.write(t, "I104", "five")
	b.write(t, "I105", "six")
	a.pull(t, b)
	requireKnows(t, a, ab(5, 6), nil)

	lost := newReplica(rb)
	lost.items, lost.k, lost.tick = maps.Clone(items), backup, tick
	lost.write(t, "I300", "after the restore")
	requireItem(t, lost, "I300", at(rb, 5), "after the restore")
	for range 3 {
		sent, _ := a.pull(t, lost)
		requireKeys(t, "the reused version is never sent", sent)
	}
	if _, has := a.items["I300"]; has {
		t.Fatal("the premise is wrong: A has I300")
	}
	// A's knowledge of B goes beyond B's own: that is how it shows.
	if a.k.Vector().Tick(rb) <= lost.k.Vector().Tick(rb) {
		t.Fatalf("A knows %s, B %s", a.k, lost.k)
	}

	healed := newReplica(rc)
	healed.items, healed.k = maps.Clone(items), backup
	healed.write(t, "I300", "after the restore")
	requireItem(t, healed, "I300", at(rc, 1), "after the restore")
	sent, conflicts := a.pull(t, healed)
	requireKeys(t, "sent under the new id", sent, "I300")
	requireKeys(t, "conflicts", conflicts)
	sent, _ = healed.pull(t, a)
	requireKeys(t, "what the backup did not have comes back", sent, "I104", "I105")
	if !maps.Equal(a.items, healed.items) || !a.k.Equal(healed.k) {
		t.Fatalf("A has %v, B %v", a.items, healed.items)
	}
}

func TestMS12(t *testing.T) {
	prepare := func(nameKey, phoneKey string) (a, b *replica) {
		a, b = newReplica(ra), newReplica(rb)
		for i := range 5 {
			a.write(t, "Iother", fmt.Sprint(i))
		}
		for i := range 4 {
			b.write(t, "Iold", fmt.Sprint(i))
		}
		base := newReplica(rc)
		base.write(t, nameKey, "base")
		if phoneKey != nameKey {
			base.write(t, phoneKey, "base")
		}
		a.pull(t, base)
		b.pull(t, base)
		a.write(t, nameKey, "new name")
		b.write(t, phoneKey, "new phone")
		requireItem(t, a, nameKey, at(ra, 6), "new name")
		requireItem(t, b, phoneKey, at(rb, 5), "new phone")
		return a, b
	}
	a, b := prepare("I1#name", "I1#phone")
	_, there := b.pull(t, a)
	_, back := a.pull(t, b)
	requireKeys(t, "conflicts with units", slices.Concat(there, back))
	for _, r := range []*replica{a, b} {
		requireItem(t, r, "I1#name", at(ra, 6), "new name")
		requireItem(t, r, "I1#phone", at(rb, 5), "new phone")
	}
	a, b = prepare("I1", "I1")
	_, there = b.pull(t, a)
	requireKeys(t, "conflicts without", there, "I1")
}

func TestSyncFrameworkForms(t *testing.T) {
	k, err := version.FromSyncFramework(ab(5, 4), map[string]version.Vector{"I1": vec(at(rb, 4)), "I2": ab(5, 4), "I3": nil})
	if err != nil {
		t.Fatal(err)
	}
	if k.Contains("I1", at(ra, 1)) || !k.Contains("I1", at(rb, 4)) || k.Contains("I3", at(rb, 1)) || !k.Contains("I2", at(ra, 5)) || len(k.Exceptions()) != 2 {
		t.Fatalf("got %s", k)
	}
	if _, items := k.ToSyncFramework(); len(items) != 2 || !items["I1"].Equal(vec(at(rb, 4))) || len(items["I3"]) != 0 {
		t.Fatalf("got %v", items)
	}
	_, items := scope(ab(5, 4)).Except("I1", at(ra, 4)).Except("I1", at(ra, 2)).Except("I2", at(rb, 1)).ToSyncFramework()
	if !items["I1"].Equal(ab(1, 4)) || !items["I2"].Equal(vec(at(ra, 5))) {
		t.Fatalf("got %v", items)
	}
	bad := vec(at(rb, 1), at(ra, 1))
	_, err = version.FromSyncFramework(bad, nil)
	requireInvalid(t, err)
	_, err = version.FromSyncFramework(nil, map[string]version.Vector{"I1": bad})
	requireInvalid(t, err)
}

// Two forms of the same, and forms that only look alike.
func TestContainsByMeaning(t *testing.T) {
	form := func(items map[string]version.Vector) version.Knowledge {
		k, err := version.FromSyncFramework(vec(at(ra, 5)), items)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	three := form(map[string]version.Vector{"I1": vec(at(ra, 3))})
	for _, tt := range []struct {
		name string
		k    version.Knowledge
		want bool
	}{
		{"lacking all beyond", form(nil).Except("I1", at(ra, 4)).Except("I1", at(ra, 5)), true},
		{"lacking one beyond", form(nil).Except("I1", at(ra, 5)), false},
		{"lacking what no vector reaches", form(map[string]version.Vector{"I1": vec(at(ra, 4))}).Except("I1", at(ra, 5)), false},
		{"lacking of another replica", form(map[string]version.Vector{"I1": ab(4, 1)}).Except("I1", at(rb, 1)), false},
		{"lacking below", form(map[string]version.Vector{"I1": vec(at(ra, 4))}).Except("I1", at(ra, 3)), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := three.ContainsKnowledge(tt.k); got != tt.want {
				t.Errorf("contained: %t, want %t", got, tt.want)
			}
			if got := three.Equal(tt.k); got != tt.want {
				t.Errorf("equal: %t, want %t", got, tt.want)
			}
		})
	}
	if three.ContainsKnowledge(form(nil)) || three.Except("I1", at(ra, 2)).ContainsKnowledge(three) {
		t.Error("a key that knows less contains all")
	}
}
