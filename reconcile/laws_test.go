package reconcile_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/version"
)

// history draws the copies of one record that some nodes made: each step one node writes, or decides between its copy and
// another's. Ticks are given once, and a node's vector contains what it took: stamps as correct nodes make them.
func history() *rapid.Generator[[]version.Stamp] {
	return rapid.Custom(func(t *rapid.T) []version.Stamp {
		replicas := []version.Replica{ra, rb, rc, rd}
		node := rapid.IntRange(0, len(replicas)-1)
		held, ticks := make([]version.Stamp, len(replicas)), make([]uint64, len(replicas))
		var all []version.Stamp
		for range rapid.IntRange(1, 16).Draw(t, "steps") {
			i := node.Draw(t, "node")
			ticks[i]++
			v := at(replicas[i], ticks[i])
			content := byte(rapid.IntRange(0, 3).Draw(t, "content"))
			s := stamp(v, v, content, held[i].Vector...)
			s.Authored = rapid.Int64Range(1, 3).Draw(t, "authored")
			if other := held[node.Draw(t, "other")]; !other.IsZero() && rapid.Bool().Draw(t, "takes another's") {
				if rapid.Bool().Draw(t, "decides") {
					s.Origin, s.Author, s.Authored, s.Deleted, s.Hash = other.Origin, other.Author, other.Authored, other.Deleted, other.Hash
				}
				s = s.Seeing(other.Vector)
			}
			held[i] = s
			all = append(all, s)
		}
		return all
	})
}

func pair(t *rapid.T) (a, b version.Stamp) {
	all := history().Draw(t, "history")
	a, b = rapid.SampledFrom(all).Draw(t, "a"), rapid.SampledFrom(all).Draw(t, "b")
	for _, s := range []version.Stamp{a, b} {
		if err := s.Validate(); err != nil {
			t.Fatalf("the history made a bad stamp: %v", err)
		}
	}
	return a, b
}

func ahead(a, b version.Stamp) bool {
	return a.Vector.Tick(b.Origin.Replica) > b.Vector.Tick(b.Origin.Replica)
}

func TestDecideLaws(t *testing.T) {
	t.Run("equal stamps are already", rapid.MakeCheck(func(t *rapid.T) {
		a, _ := pair(t)
		if got := reconcile.Decide(a, a); got != reconcile.Already {
			t.Fatalf("got %s", got)
		}
	}))
	t.Run("swapping the copies swaps the verdict", rapid.MakeCheck(func(t *rapid.T) {
		a, b := pair(t)
		got, swapped := reconcile.Decide(a, b), reconcile.Decide(b, a)
		want := got
		switch got {
		case reconcile.Apply:
			want = reconcile.Superseded
		case reconcile.Superseded:
			want = reconcile.Apply
		case reconcile.IncomingOrigin:
			want = reconcile.LocalOrigin
		case reconcile.LocalOrigin:
			want = reconcile.IncomingOrigin
			if a.Vector.Contains(b.Origin) && b.Vector.Contains(a.Origin) && ahead(a, b) == ahead(b, a) {
				want = reconcile.LocalOrigin
			}
		}
		if swapped != want {
			t.Fatalf("%+v\n%+v\ngot %s, swapped %s, want %s", a, b, got, swapped, want)
		}
	}))
	t.Run("a copy that has seen another is never its rival", rapid.MakeCheck(func(t *rapid.T) {
		a, b := pair(t)
		if a.Version == b.Version || !b.Vector.Contains(a.Version) {
			b = write(at("e0000000-0000-4000-8000-000000000005", 1), 9, a.Vector...)
		}
		if got := reconcile.Decide(a, b); got != reconcile.Apply || got.Rival() {
			t.Fatalf("got %s", got)
		}
	}))
	t.Run("what was decided ends the conflict on both sides", rapid.MakeCheck(func(t *rapid.T) {
		a, b := pair(t)
		decided := stamp(at("e0000000-0000-4000-8000-000000000005", 1), b.Origin, 9, a.Vector.Union(b.Vector)...)
		for _, s := range []version.Stamp{a, b} {
			if got := reconcile.Decide(s, decided); got != reconcile.Apply {
				t.Fatalf("%v: got %s", s.Version, got)
			}
		}
	}))
	t.Run("the copy of equal ones that stands is the same on both sides", rapid.MakeCheck(func(t *rapid.T) {
		a, b := pair(t)
		if a.Version != b.Version && reconcile.Prefer(a, b) == reconcile.Prefer(b, a) {
			t.Fatalf("%v against %v: both sides keep %t", a.Version, b.Version, reconcile.Prefer(a, b))
		}
		if reconcile.Prefer(a, a) {
			t.Fatal("a copy is preferred to itself")
		}
	}))
}

func TestPrefer(t *testing.T) {
	for _, tt := range []struct {
		name            string
		local, incoming version.Version
		want            bool
	}{
		{"higher tick", at(rb, 1), at(ra, 2), true},
		{"lower tick", at(ra, 2), at(rb, 1), false},
		{"same tick, higher replica", at(ra, 1), at(rb, 1), true},
		{"same tick, lower replica", at(rb, 1), at(ra, 1), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := reconcile.Prefer(write(tt.local, 1), write(tt.incoming, 1)); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

func TestVerdictWords(t *testing.T) {
	for _, tt := range []struct {
		v     reconcile.Verdict
		word  string
		rival bool
	}{
		{0, "none", false},
		{reconcile.Already, "already", false},
		{reconcile.Apply, "apply", false},
		{reconcile.Superseded, "superseded", false},
		{reconcile.Equal, "equal", true},
		{reconcile.IncomingOrigin, "incoming-origin", true},
		{reconcile.LocalOrigin, "local-origin", true},
		{reconcile.Conflict, "conflict", true},
	} {
		if tt.v.String() != tt.word || tt.v.Rival() != tt.rival {
			t.Errorf("got %s, rival %t, want %s, %t", tt.v, tt.v.Rival(), tt.word, tt.rival)
		}
	}
}

// rivals returns two copies of ten entries each, in conflict: Decide has to look at everything before it knows.
func rivals() (a, b version.Stamp) {
	var x, y version.Vector
	for i := range 10 {
		r := version.Replica(fmt.Sprintf("%08x-0000-4000-8000-000000000000", i))
		x, y = x.With(at(r, 5)), y.With(at(r, 5))
	}
	x[8].Tick, y[9].Tick = 6, 6
	a, b = write(x[8], 1, x...), write(y[9], 2, y...)
	return a, b
}

func TestDecideAllocatesNothing(t *testing.T) {
	a, b := rivals()
	if len(a.Vector) != 10 || len(b.Vector) != 10 || reconcile.Decide(a, b) != reconcile.Conflict {
		t.Fatalf("%d and %d entries, %s: want 10, 10, conflict", len(a.Vector), len(b.Vector), reconcile.Decide(a, b))
	}
	if n := testing.AllocsPerRun(100, func() { reconcile.Decide(a, b) }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	local, incoming := rivals()
	b.ReportAllocs()
	for b.Loop() {
		reconcile.Decide(local, incoming)
	}
}
