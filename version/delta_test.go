package version_test

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/version"
)

// step changes a knowledge in one of the ways in which a node does, at the next revision.
func step(t *rapid.T, k version.Knowledge) version.Knowledge {
	key := rapid.SampledFrom(keys()).Draw(t, "key")
	k = k.At(k.Revision() + 1)
	switch rapid.IntRange(0, 5).Draw(t, "step") {
	case 0:
		k, _ = k.Learn(key, smallVersion(t, "learn"))
	case 1:
		k = k.Except(key, smallVersion(t, "except"))
	case 2:
		k = k.Settle(key, smallVector(t, "settle"))
	case 3:
		k = k.Forget(smallVersion(t, "forget"))
	case 4:
		k = k.Union(anyKnowledge().Draw(t, "union"))
	default:
		own := smallVector(t, "own")
		k = k.Merge(anyKnowledge().Draw(t, "merge").Since(0), func(string) version.Vector { return own })
	}
	return k
}

// requireMirror compares what can be seen of both, revisions included.
func requireMirror(t *rapid.T, got, want version.Knowledge) {
	t.Helper()
	same(t, got, want)
	if !reflect.DeepEqual(got.Entries(), want.Entries()) || !reflect.DeepEqual(got.Exceptions(), want.Exceptions()) ||
		!got.Forgotten().Equal(want.Forgotten()) || got.Revision() != want.Revision() {
		t.Fatalf("the mirror has %s, the node %s", got, want)
	}
}

func TestDeltaLaws(t *testing.T) {
	check(t, "deltas of any split give the whole", func(t *rapid.T) {
		var k, mirror, late version.Knowledge
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			k = step(t, k)
			var err error
			if rapid.Bool().Draw(t, "cut") {
				if mirror, err = mirror.Apply(k.Since(mirror.Revision())); err != nil {
					t.Fatal(err)
				}
				requireMirror(t, mirror, k)
			}
			if rapid.IntRange(0, 3).Draw(t, "prune") == 0 {
				k = k.Prune(rapid.Uint64Range(0, k.Revision()).Draw(t, "up to"))
			}
			// A mirror behind what was pruned gets the whole, and overlapping deltas do no harm.
			if rapid.IntRange(0, 3).Draw(t, "late") == 0 {
				if late, err = late.Apply(k.Since(rapid.Uint64Range(0, late.Revision()).Draw(t, "from"))); err != nil {
					t.Fatal(err)
				}
				requireMirror(t, late, k)
			}
		}
		text, err := version.ParseDelta(k.Since(mirror.Revision()).String())
		if err != nil {
			t.Fatal(err)
		}
		if mirror, err = mirror.Apply(text); err != nil {
			t.Fatal(err)
		}
		requireMirror(t, mirror, k)
	})
	check(t, "merge claims nothing that neither side knows or the copy has seen", func(t *rapid.T) {
		x, y := anyKnowledge().Draw(t, "x"), anyKnowledge().Draw(t, "y")
		copies := map[string]version.Vector{}
		for _, key := range keys() {
			copies[key] = smallVector(t, "own")
		}
		got := x.Merge(y.Since(0), func(key string) version.Vector { return copies[key] })
		mx, my := meaning(x), meaning(y)
		for e := range meaning(got) {
			if !mx[e] && !my[e] && !copies[e.key].Contains(e.v) {
				t.Fatalf("%s with %s gives %s, which claims %v", x, y, got, e)
			}
		}
		if !got.Vector().Equal(x.Vector().Union(y.Vector())) {
			t.Fatalf("the vector is %v", got.Vector())
		}
		for _, e := range x.Exceptions() {
			for _, l := range e.Lacks {
				if !copies[e.Key].Contains(l) && got.Contains(e.Key, l) {
					t.Fatalf("%s ended although no copy has it", l)
				}
			}
		}
		for _, e := range y.Exceptions() {
			for _, l := range e.Lacks {
				if !copies[e.Key].Contains(l) && got.Contains(e.Key, l) {
					t.Fatalf("%s of the peer was not taken over", l)
				}
			}
		}
		for _, f := range y.Forgotten() {
			if !x.Vector().Contains(f) && !got.Forgotten().Contains(f) {
				t.Fatalf("%s was never here and is not remembered as forgotten", f)
			}
		}
	})
}

func TestApplyRefuses(t *testing.T) {
	k := learned(t, version.Knowledge{}.At(1), "I1", at(ra, 1))
	k = learned(t, k.At(2), "I2", at(ra, 2)).Forget(at(ra, 1))
	mirror, err := version.Knowledge{}.Apply(k.Since(0))
	if err != nil {
		t.Fatal(err)
	}
	next := learned(t, k.At(3), "I3", at(ra, 3))
	entry := func(v version.Version, revision uint64) []version.Entry {
		return []version.Entry{{Version: v, Revision: revision}}
	}
	bad := map[string]version.Delta{
		"a gap":               learned(t, next.At(4), "I4", at(ra, 4)).Since(3),
		"older":               version.Knowledge{}.At(1).Since(0),
		"older, same content": {Entries: entry(at(ra, 2), 1), Forgotten: entry(at(ra, 1), 1), To: 1},
		"from beyond its end": {From: 9, To: 2},
		"tick goes back":      {Entries: entry(at(ra, 1), 3), From: 2, To: 3},
		"whole, replica gone": {Entries: entry(at(rb, 1), 3), Forgotten: entry(at(ra, 1), 2), To: 3},
		"whole, remembers":    {Entries: entry(at(ra, 2), 3), To: 3},
		"tick 0":              {Entries: entry(at(ra, 0), 3), From: 2, To: 3},
		"no replica":          {Entries: entry(at("x", 1), 3), From: 2, To: 3},
		"later than its end":  {Entries: entry(at(ra, 3), 9), From: 2, To: 3},
		"doubled":             {Entries: append(entry(at(ra, 3), 3), entry(at(ra, 4), 3)...), From: 2, To: 3},
		"keys out of order": {Exceptions: []version.Exception{
			{Key: "b", Lacks: vec(at(ra, 1)), Revision: 3}, {Key: "a", Lacks: vec(at(ra, 1)), Revision: 3},
		}, From: 2, To: 3},
		"versions out of order": {Exceptions: []version.Exception{{Key: "a", Lacks: vec(at(ra, 2), at(ra, 1)), Revision: 3}}, From: 2, To: 3},
		"says nothing":          {Exceptions: []version.Exception{{Key: "a"}}, From: 2, To: 3},
		"vector without limit":  {Exceptions: []version.Exception{{Key: "a", Lacks: vec(at(ra, 2)), Only: vec(at(ra, 1))}}, From: 2, To: 3},
		"bad limit":             {Exceptions: []version.Exception{{Key: "a", Limited: true, Only: vec(at(rb, 1), at(ra, 1))}}, From: 2, To: 3},
		"exception from later":  {Exceptions: []version.Exception{{Key: "a", Lacks: vec(at(ra, 1)), Revision: 4}}, From: 2, To: 3},
	}
	for name, d := range bad {
		t.Run(name, func(t *testing.T) {
			got, err := mirror.Apply(d)
			requireInvalid(t, err)
			if got.String() != mirror.String() {
				t.Errorf("refused, but the mirror changed to %s", got)
			}
		})
	}
	got, err := mirror.Apply(next.Since(2))
	if err != nil || !got.Equal(next) {
		t.Errorf("got %s, %v, want %s", got, err, next)
	}
}

func learned(t testing.TB, k version.Knowledge, key string, v version.Version) version.Knowledge {
	t.Helper()
	got, ok := k.Learn(key, v)
	if !ok {
		t.Fatalf("%s does not learn %s of %s", k, v, key)
	}
	return got
}

func TestRise(t *testing.T) {
	k := learned(t, learned(t, version.Knowledge{}, "I1", at(ra, 1)), "I2", at(ra, 2))
	for _, v := range []version.Version{at(ra, 4), at(rb, 2), at("x", 1), at(ra, version.MaxTick+1), {}} {
		if got, ok := k.Learn("I9", v); ok || got.String() != k.String() {
			t.Errorf("%v: got %s, %t", v, got, ok)
		}
	}
	for _, v := range []version.Version{at("x", 1), at(ra, version.MaxTick+1), {}} {
		if got := k.Except("I9", v); got.String() != k.String() {
			t.Errorf("except %v: got %s", v, got)
		}
	}
	if got := learned(t, k, "I3", at(ra, 3)).Vector(); !got.Equal(vec(at(ra, 3))) {
		t.Errorf("got %v", got)
	}
	// A version that was refused is a step as well, and taking it later ends its exception.
	parked := k.Except("I3", at(ra, 3))
	if !parked.Vector().Equal(vec(at(ra, 3))) || parked.Contains("I3", at(ra, 3)) || !parked.Contains("I2", at(ra, 3)) {
		t.Errorf("got %s", parked)
	}
	if got := learned(t, parked, "I3", at(ra, 3)); len(got.Exceptions()) != 0 {
		t.Errorf("got %s", got)
	}
	// A key that knows less than the vector does not skip what lies between.
	limited := k.Exclude("I1")
	if got, ok := limited.Learn("I1", at(ra, 3)); ok {
		t.Errorf("got %s", got)
	}
	got, ok := limited.Learn("I1", at(ra, 1))
	if e, _ := got.Exception("I1"); !ok || !e.Only.Equal(vec(at(ra, 1))) {
		t.Errorf("got %s, %t", got, ok)
	}
}

func TestRevisions(t *testing.T) {
	k := learned(t, version.Knowledge{}.At(5), "I1", at(ra, 1)).At(4)
	if k.Revision() != 5 {
		t.Errorf("the revision went back to %d", k.Revision())
	}
	k = learned(t, k.At(7), "I2", at(rb, 1)).Except("I3", at(ra, 2))
	d := k.Since(5)
	if len(d.Entries) != 2 || d.Entries[1] != (version.Entry{Version: at(rb, 1), Revision: 7}) || len(d.Exceptions) != 1 || d.From != 5 || d.To != 7 {
		t.Errorf("got %s", d)
	}
	k = k.At(8).Settle("I3", vec(at(ra, 2)))
	if d = k.Since(7); len(d.Entries) != 0 || len(d.Exceptions) != 1 || !d.Exceptions[0].Ended() || d.Exceptions[0].Revision != 8 {
		t.Errorf("the end of an exception is not in the delta: %s", d)
	}
	if d = k.Since(0); len(d.Exceptions) != 0 {
		t.Errorf("the whole has an exception that ended: %s", d)
	}
	if d = k.Prune(8).Since(7); d.From != 0 || len(d.Entries) != 2 {
		t.Errorf("got %s after the end was pruned, want the whole", d)
	}
	if d = k.Prune(7).Since(7); d.From != 7 || len(d.Exceptions) != 1 {
		t.Errorf("got %s, but nothing was to be pruned", d)
	}
	// Who does not count revisions keeps no ended exception.
	plain := version.Knowledge{}.Except("I1", at(ra, 1)).Settle("I1", vec(at(ra, 1)))
	if rows := plain.Rows(); len(rows.Exceptions) != 0 {
		t.Errorf("got %v", rows.Exceptions)
	}
}

func TestDeltaOfLimited(t *testing.T) {
	nowhere := func(string) version.Vector { return nil }
	k := learned(t, version.Knowledge{}.At(1), "I1", at(ra, 1)).At(2).Exclude("I1").At(3)
	k = learned(t, k, "I2", at(ra, 2))
	// The key's own vector did not change after revision 2, but the vector that does not hold for it did.
	d := k.Since(2)
	if len(d.Exceptions) != 1 || d.Exceptions[0].Key != "I1" {
		t.Fatalf("got %s", d)
	}
	got := scope(vec(at(ra, 1))).Merge(d, nowhere)
	if !got.Contains("I1", at(ra, 1)) || got.Contains("I1", at(ra, 2)) || !got.Contains("I2", at(ra, 2)) {
		t.Fatalf("got %s", got)
	}
	// The copy of a limited key may have seen more than both sides say.
	got = version.Knowledge{}.Merge(d, func(string) version.Vector { return vec(at(ra, 2), at(rb, 9)) })
	if !got.Equal(scope(vec(at(ra, 2)))) {
		t.Fatalf("got %s", got)
	}
}

func TestMergeForgotten(t *testing.T) {
	peer := scope(ab(5, 4)).Forget(at(ra, 3)).Forget(at(rb, 2)).Since(0)
	got := scope(ab(1, 4)).Merge(peer, func(string) version.Vector { return nil })
	// B2 was known here before, so what the peer collected of it may still stand here.
	if !got.Forgotten().Equal(vec(at(ra, 3))) {
		t.Fatalf("got %v", got.Forgotten())
	}
}

// What was not recorded from its beginning cannot tell what ended before: it gives the whole.
func TestSinceGivesTheWhole(t *testing.T) {
	k := learned(t, version.Knowledge{}.At(1), "I1", at(ra, 1)).At(5).Except("I2", at(ra, 2)).At(6).Settle("I2", vec(at(ra, 2)))
	mirror, err := version.Knowledge{}.Apply(k.Since(0))
	if err != nil {
		t.Fatal(err)
	}
	if d := mirror.Since(5); d.From != 0 || len(d.Entries) != 1 {
		t.Errorf("a mirror: %s", d)
	}
	if d := mirror.Since(6); d.From != 6 || len(d.Entries) != 0 {
		t.Errorf("a mirror, from its own revision on: %s", d)
	}
	if d := k.Project("I1").Since(5); d.From != 0 || len(d.Exceptions) != 1 {
		t.Errorf("a projection: %s", d)
	}
}
