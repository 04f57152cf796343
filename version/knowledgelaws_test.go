package version_test

import (
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/version"
)

// A small world, so that the meaning of a knowledge can be written out in full: every version of every key, and of one key
// more that no exception speaks of.
const highest = 5

func keys() []string { return []string{"Patient/1", "Patient/1#name", "é %;"} }

func replicas() []version.Replica { return []version.Replica{ra, rb, rc} }

func smallVersion(t *rapid.T, label string) version.Version {
	return at(rapid.SampledFrom(replicas()).Draw(t, label), rapid.Uint64Range(1, highest).Draw(t, label))
}

func smallVector(t *rapid.T, label string) version.Vector {
	var x version.Vector
	for _, r := range replicas() {
		if tick := rapid.Uint64Range(0, highest).Draw(t, label); tick > 0 {
			x = append(x, at(r, tick))
		}
	}
	return x
}

func entriesOf(t *rapid.T, x version.Vector, revision uint64) []version.Entry {
	var out []version.Entry
	for _, v := range x {
		out = append(out, version.Entry{Version: v, Revision: rapid.Uint64Range(0, revision).Draw(t, "revision")})
	}
	return out
}

func anyKnowledge() *rapid.Generator[version.Knowledge] {
	return rapid.Custom(func(t *rapid.T) version.Knowledge {
		r := version.Rows{Revision: rapid.Uint64Range(0, 4).Draw(t, "revision")}
		r.Floor = rapid.Uint64Range(0, r.Revision).Draw(t, "floor")
		r.Entries = entriesOf(t, smallVector(t, "vector"), r.Revision)
		r.Forgotten = entriesOf(t, smallVector(t, "forgotten"), r.Revision)
		for _, key := range keys() {
			e := version.Exception{Key: key, Revision: rapid.Uint64Range(0, r.Revision).Draw(t, "changed")}
			if rapid.Bool().Draw(t, "lacks") {
				e.Lacks = rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) version.Version { return smallVersion(t, "lack") }), 0, 4, rapid.ID).Draw(t, "versions")
			}
			if rapid.IntRange(0, 2).Draw(t, "limited") == 0 {
				e.Limited, e.Only = true, smallVector(t, "only")
			}
			if !e.Ended() || e.Revision > 0 {
				r.Exceptions = append(r.Exceptions, e)
			}
		}
		k, err := version.FromRows(r)
		if err != nil {
			t.Fatal(err)
		}
		return k
	})
}

type known struct {
	key string
	v   version.Version
}

// meaning writes out what a knowledge knows, by the exported rows and without the code under test.
func meaning(k version.Knowledge) map[known]bool {
	out := map[known]bool{}
	rows := k.Rows()
	for _, key := range append(keys(), "another") {
		reach := map[version.Replica]uint64{}
		for _, e := range rows.Entries {
			reach[e.Version.Replica] = e.Version.Tick
		}
		var lacks []version.Version
		for _, e := range rows.Exceptions {
			if e.Key != key {
				continue
			}
			lacks = e.Lacks
			if e.Limited {
				reach = map[version.Replica]uint64{}
				for _, v := range e.Only {
					reach[v.Replica] = v.Tick
				}
			}
		}
		for _, r := range replicas() {
			for tick := uint64(1); tick <= highest; tick++ {
				if v := at(r, tick); tick <= reach[r] && !slices.Contains(lacks, v) {
					out[known{key, v}] = true
				}
			}
		}
	}
	return out
}

func within(x, y map[known]bool) bool {
	for e := range x {
		if !y[e] {
			return false
		}
	}
	return true
}

func requireMeans(t *rapid.T, got version.Knowledge, want map[known]bool) {
	t.Helper()
	if m := meaning(got); !within(m, want) || !within(want, m) {
		t.Fatalf("%s means %v, want %v", got, m, want)
	}
}

func same(t *rapid.T, got, want version.Knowledge) {
	t.Helper()
	if !got.Equal(want) {
		t.Fatalf("got %s, want %s", got, want)
	}
	requireMeans(t, got, meaning(want))
}

func TestKnowledgeContainsLaws(t *testing.T) {
	k := anyKnowledge()
	check(t, "contains agrees with the meaning", func(t *rapid.T) {
		x := k.Draw(t, "x")
		m := meaning(x)
		for _, key := range append(keys(), "another") {
			for _, r := range replicas() {
				for tick := uint64(1); tick <= highest; tick++ {
					if got, want := x.Contains(key, at(r, tick)), m[known{key, at(r, tick)}]; got != want {
						t.Fatalf("%s contains %q %v: %t, want %t", x, key, at(r, tick), got, want)
					}
				}
			}
		}
		if !x.Contains("another", version.Version{}) {
			t.Fatal("the zero version is not known")
		}
	})
	check(t, "reflexive", func(t *rapid.T) {
		if x := k.Draw(t, "x"); !x.ContainsKnowledge(x) || !x.Equal(x) {
			t.Fatalf("%s does not contain itself", x)
		}
	})
	check(t, "containing is the subset of meanings, so antisymmetric and transitive", func(t *rapid.T) {
		x, y := k.Draw(t, "x"), k.Draw(t, "y")
		if rapid.Bool().Draw(t, "above") {
			x = x.Union(y)
		}
		mx, my := meaning(x), meaning(y)
		if got, want := x.ContainsKnowledge(y), within(my, mx); got != want {
			t.Fatalf("%s contains %s: %t, want %t", x, y, got, want)
		}
		if got, want := x.Equal(y), within(my, mx) && within(mx, my); got != want {
			t.Fatalf("%s equals %s: %t, want %t", x, y, got, want)
		}
	})
	check(t, "transitive", func(t *rapid.T) {
		z := k.Draw(t, "z")
		y := z.Union(k.Draw(t, "above z"))
		x := y.Union(k.Draw(t, "above y"))
		if !x.ContainsKnowledge(y) || !y.ContainsKnowledge(z) || !x.ContainsKnowledge(z) {
			t.Fatalf("%s, %s, %s: a union does not contain its parts", x, y, z)
		}
	})
}

func TestKnowledgeUnionLaws(t *testing.T) {
	k := anyKnowledge()
	check(t, "associative", func(t *rapid.T) {
		x, y, z := k.Draw(t, "x"), k.Draw(t, "y"), k.Draw(t, "z")
		same(t, x.Union(y).Union(z), x.Union(y.Union(z)))
	})
	check(t, "commutative", func(t *rapid.T) {
		x, y := k.Draw(t, "x"), k.Draw(t, "y")
		same(t, x.Union(y), y.Union(x))
		if !x.Union(y).Forgotten().Equal(x.Forgotten().Union(y.Forgotten())) {
			t.Fatal("the union forgets something else than its parts")
		}
	})
	check(t, "idempotent, with nothing as its unit", func(t *rapid.T) {
		x := k.Draw(t, "x")
		same(t, x.Union(x), x)
		same(t, x.Union(version.Knowledge{}), x)
		same(t, version.Knowledge{}.Union(x), x)
	})
	check(t, "exact, and its arguments stay", func(t *rapid.T) {
		x, y := k.Draw(t, "x"), k.Draw(t, "y")
		tx, ty := x.String(), y.String()
		want := meaning(x)
		for e := range meaning(y) {
			want[e] = true
		}
		requireMeans(t, x.Union(y), want)
		if x.String() != tx || y.String() != ty {
			t.Fatal("an argument changed")
		}
	})
}

func TestKnowledgeProjectLaws(t *testing.T) {
	k, some := anyKnowledge(), rapid.SliceOf(rapid.SampledFrom(append(keys(), "nothing said")))
	check(t, "project and exclude partition", func(t *rapid.T) {
		x, ks := k.Draw(t, "x"), some.Draw(t, "keys")
		in, out := map[known]bool{}, map[known]bool{}
		for e := range meaning(x) {
			if slices.Contains(ks, e.key) {
				in[e] = true
			} else {
				out[e] = true
			}
		}
		requireMeans(t, x.Project(ks...), in)
		requireMeans(t, x.Exclude(ks...), out)
		same(t, x.Project(ks...).Union(x.Exclude(ks...)), x)
		same(t, x.Exclude(ks...).Union(x.Project(ks...)), x)
		if x.Project(ks...).Forgotten() != nil || !x.Exclude(ks...).Forgotten().Equal(x.Forgotten()) {
			t.Fatal("what was forgotten is not said of single keys")
		}
	})
	check(t, "of a project", func(t *rapid.T) {
		x, a, b := k.Draw(t, "x"), some.Draw(t, "a"), some.Draw(t, "b")
		same(t, x.Project(a...).Union(x.Project(b...)), x.Project(append(a, b...)...))
		same(t, x.Exclude(a...).Exclude(b...), x.Exclude(append(a, b...)...))
		same(t, x.Project(a...).Exclude(a...), version.Knowledge{})
	})
}

func TestKnowledgeStepLaws(t *testing.T) {
	k := anyKnowledge()
	check(t, "learn", func(t *rapid.T) {
		x, key, v := k.Draw(t, "x"), rapid.SampledFrom(keys()).Draw(t, "key"), smallVersion(t, "v")
		got, ok := x.Learn(key, v)
		if !ok {
			if got.String() != x.String() {
				t.Fatalf("a refused step changed %s to %s", x, got)
			}
			if e, _ := x.Exception(key); x.Vector().Tick(v.Replica)+1 >= v.Tick && !e.Limited {
				t.Fatalf("%s refuses %v", x, v)
			}
			return
		}
		if !got.Contains(key, v) {
			t.Fatalf("%s does not contain %v", got, v)
		}
		if got.Vector().Tick(v.Replica) > x.Vector().Tick(v.Replica)+1 {
			t.Fatalf("from %s to %s is more than one", x, got)
		}
		// Only the version itself came to be known, at whatever key: it is this key's.
		for e := range meaning(got) {
			if !meaning(x)[e] && e.v != v {
				t.Fatalf("%s came from nowhere", e.v)
			}
		}
	})
	check(t, "except", func(t *rapid.T) {
		x, key, v := k.Draw(t, "x"), rapid.SampledFrom(keys()).Draw(t, "key"), smallVersion(t, "v")
		got := x.Except(key, v)
		if got.Contains(key, v) || got.Vector().Tick(v.Replica) > x.Vector().Tick(v.Replica)+1 {
			t.Fatalf("%s", got)
		}
		if again := got.Except(key, v); again.String() != got.String() {
			t.Fatalf("twice: %s, want %s", again, got)
		}
		if got.Merge(version.Delta{Entries: []version.Entry{{Version: at(v.Replica, highest)}}}, func(string) version.Vector { return nil }).Contains(key, v) {
			t.Fatal("the end of the pass claims what was excepted in it")
		}
	})
	check(t, "settle ends what the copy has seen, and nothing else", func(t *rapid.T) {
		x, key, own := k.Draw(t, "x"), rapid.SampledFrom(keys()).Draw(t, "key"), smallVector(t, "own")
		got := x.Settle(key, own)
		want := meaning(x)
		before, _ := x.Exception(key)
		for _, r := range replicas() {
			for tick := uint64(1); tick <= own.Tick(r); tick++ {
				if x.Vector().Contains(at(r, tick)) || before.Only.Contains(at(r, tick)) {
					want[known{key, at(r, tick)}] = true
				}
			}
		}
		requireMeans(t, got, want)
		if e, _ := got.Exception(key); slices.ContainsFunc(e.Lacks, own.Contains) {
			t.Fatalf("%s still lacks what %v contains", got, own)
		}
	})
	check(t, "wants", func(t *rapid.T) {
		x, key, v, own := k.Draw(t, "x"), rapid.SampledFrom(keys()).Draw(t, "key"), smallVersion(t, "v"), smallVector(t, "own")
		_, excepted := x.Exception(key)
		want := !x.Vector().Contains(v)
		if excepted {
			want = !own.Contains(v)
		}
		if got := x.Wants(key, v, own); got != want {
			t.Fatalf("got %t, want %t", got, want)
		}
	})
}

func TestKnowledgeTextLaws(t *testing.T) {
	check(t, "knowledge", func(t *rapid.T) {
		x := anyKnowledge().Draw(t, "x")
		got, err := version.ParseKnowledge(x.String())
		if err != nil || got.String() != x.String() || !got.Equal(x) || got.Revision() != x.Revision() {
			t.Fatalf("got %s, %v, want %s", got, err, x)
		}
		again, err := version.FromRows(x.Rows())
		if err != nil || again.String() != x.String() {
			t.Fatalf("rows: got %s, %v, want %s", again, err, x)
		}
	})
	check(t, "JSON", func(t *rapid.T) {
		type page struct {
			Whole version.Knowledge `json:"whole"`
			Delta version.Delta     `json:"delta"`
		}
		x := anyKnowledge().Draw(t, "x")
		in := page{x, x.Since(rapid.Uint64Range(0, 4).Draw(t, "since"))}
		if in.Delta.From > in.Delta.To {
			in.Delta = x.Since(0)
		}
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out page
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if out.Whole.String() != x.String() || out.Delta.String() != in.Delta.String() {
			t.Fatalf("%s came back as %s and %s", b, out.Whole, out.Delta)
		}
	})
	check(t, "sync framework", func(t *rapid.T) {
		x := anyKnowledge().Draw(t, "x")
		scope, items := x.ToSyncFramework()
		y, err := version.FromSyncFramework(scope, items)
		if err != nil || !x.ContainsKnowledge(y) {
			t.Fatalf("%s became %s, %v, which claims more", x, y, err)
		}
		if len(x.Exceptions()) == 0 && !y.Equal(x) {
			t.Fatalf("%s became %s", x, y)
		}
		scope2, items2 := y.ToSyncFramework()
		z, err := version.FromSyncFramework(scope2, items2)
		if err != nil || !z.Equal(y) {
			t.Fatalf("%s became %s, %v", y, z, err)
		}
	})
	check(t, "sdata", func(t *rapid.T) {
		x := anyKnowledge().Draw(t, "x")
		y, err := version.FromSData(x.ToSData())
		if err != nil || !x.ContainsKnowledge(y) {
			t.Fatalf("%s became %s, %v, which claims more", x, y, err)
		}
		if len(x.Exceptions()) == 0 && !y.Equal(x) {
			t.Fatalf("%s became %s", x, y)
		}
		if len(y.ToSData().Select(x.ToSData())) != 0 {
			t.Fatal("a digest that came back selects changes")
		}
	})
	check(t, "feedsync", func(t *rapid.T) {
		x, v := anyVector().Draw(t, "x"), anyVersion().Draw(t, "v")
		h := version.History(v, x.With(v))
		got, err := version.FromFeedSync(h)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, got, x.With(v))
		if h[0].By != v.Replica || h[0].Sequence != v.Tick {
			t.Fatalf("the topmost update of %v is not %v", h, v)
		}
		back, err := version.FromFeedSync(rapid.Permutation(h).Draw(t, "order"))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, back, got)
	})
}
