package version_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/version"
)

// anyVersion draws from few replicas and ticks, so that versions and vectors meet often.
func anyVersion() *rapid.Generator[version.Version] {
	return rapid.Custom(func(t *rapid.T) version.Version {
		r := rapid.Uint64Range(0, 11).Draw(t, "replica")
		tick := rapid.OneOf(rapid.Uint64Range(1, 4), rapid.SampledFrom([]uint64{version.MaxTick - 1, version.MaxTick})).Draw(t, "tick")
		return at(version.Replica(fmt.Sprintf("%08x-0000-4000-8000-000000000000", r*0x1111_1111%0xffff_fff1)), tick)
	})
}

// anyVector builds vectors of 0 to 12 entries without the code under test: both sides of find's size limit are drawn.
func anyVector() *rapid.Generator[version.Vector] {
	return rapid.Custom(func(t *rapid.T) version.Vector {
		vs := rapid.SliceOfNDistinct(anyVersion(), 0, 12, func(v version.Version) version.Replica { return v.Replica }).Draw(t, "versions")
		slices.SortFunc(vs, func(a, b version.Version) int {
			if a.Replica < b.Replica {
				return -1
			}
			return 1
		})
		return vs
	})
}

func check(t *testing.T, name string, prop func(*rapid.T)) {
	t.Helper()
	t.Run(name, rapid.MakeCheck(prop))
}

func equal(t *rapid.T, got, want version.Vector) {
	t.Helper()
	if !got.Equal(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestUnionLaws(t *testing.T) {
	v := anyVector()
	check(t, "associative", func(t *rapid.T) {
		x, y, z := v.Draw(t, "x"), v.Draw(t, "y"), v.Draw(t, "z")
		equal(t, x.Union(y).Union(z), x.Union(y.Union(z)))
	})
	check(t, "commutative", func(t *rapid.T) {
		x, y := v.Draw(t, "x"), v.Draw(t, "y")
		equal(t, x.Union(y), y.Union(x))
	})
	check(t, "idempotent", func(t *rapid.T) {
		x, y := v.Draw(t, "x"), v.Draw(t, "y")
		equal(t, x.Union(x), x)
		equal(t, x.Union(y).Union(y), x.Union(y))
	})
	check(t, "nothing is its unit", func(t *rapid.T) {
		x := v.Draw(t, "x")
		equal(t, x.Union(nil), x)
		equal(t, version.Vector(nil).Union(x), x)
	})
	check(t, "the maximum for each replica, sorted, and the arguments stay", func(t *rapid.T) {
		x, y := v.Draw(t, "x"), v.Draw(t, "y")
		x0, y0 := slices.Clone(x), slices.Clone(y)
		u := x.Union(y)
		for _, w := range slices.Concat(x, y) {
			if got, want := u.Tick(w.Replica), max(x.Tick(w.Replica), y.Tick(w.Replica)); got != want {
				t.Fatalf("%s: got tick %d, want %d", w.Replica, got, want)
			}
		}
		for i, w := range u {
			if i > 0 && u[i-1].Replica >= w.Replica {
				t.Fatalf("%v is not sorted", u)
			}
			if !slices.Contains(x0, w) && !slices.Contains(y0, w) {
				t.Fatalf("%v came from nowhere", w)
			}
		}
		equal(t, x, x0)
		equal(t, y, y0)
	})
	check(t, "with is the union with a singleton", func(t *rapid.T) {
		x, w := v.Draw(t, "x"), anyVersion().Draw(t, "w")
		x0 := slices.Clone(x)
		equal(t, x.With(w), x.Union(version.Vector{w}))
		if !x.With(w).Contains(w) {
			t.Fatalf("%v with %v does not contain it", x, w)
		}
		equal(t, x, x0)
	})
}

func TestContainsLaws(t *testing.T) {
	v := anyVector()
	check(t, "reflexive", func(t *rapid.T) {
		if x := v.Draw(t, "x"); !x.ContainsAll(x) {
			t.Fatalf("%v does not contain itself", x)
		}
	})
	check(t, "antisymmetric", func(t *rapid.T) {
		x, y := v.Draw(t, "x"), v.Draw(t, "y")
		if both := x.ContainsAll(y) && y.ContainsAll(x); both != x.Equal(y) {
			t.Fatalf("each contains the other: %t; equal: %t", both, x.Equal(y))
		}
	})
	check(t, "transitive", func(t *rapid.T) {
		z := v.Draw(t, "z")
		y := z.Union(v.Draw(t, "above z"))
		x := y.Union(v.Draw(t, "above y"))
		if !x.ContainsAll(y) || !y.ContainsAll(z) || !x.ContainsAll(z) {
			t.Fatalf("%v, %v, %v: a union does not contain its parts", x, y, z)
		}
	})
	check(t, "containing all is containing each, and the union adds nothing", func(t *rapid.T) {
		x, y := v.Draw(t, "x"), v.Draw(t, "y")
		each := true
		for _, w := range y {
			each = each && x.Tick(w.Replica) >= w.Tick
		}
		if x.ContainsAll(y) != each || x.Union(y).Equal(x) != each {
			t.Fatalf("contains all %t, union adds nothing %t, want %t", x.ContainsAll(y), x.Union(y).Equal(x), each)
		}
	})
	check(t, "tick agrees with the entries", func(t *rapid.T) {
		x, w := v.Draw(t, "x"), anyVersion().Draw(t, "w")
		want := uint64(0)
		for _, e := range x {
			if e.Replica == w.Replica {
				want = e.Tick
			}
		}
		if got := x.Tick(w.Replica); got != want || x.Contains(w) != (w.Tick <= want) {
			t.Fatalf("got tick %d, contains %t, want tick %d", got, x.Contains(w), want)
		}
	})
}

func TestTextLaws(t *testing.T) {
	check(t, "version", func(t *rapid.T) {
		v := anyVersion().Draw(t, "v")
		got, err := version.Parse(v.String())
		if err != nil || got != v {
			t.Fatalf("got %v, %v, want %v", got, err, v)
		}
	})
	check(t, "vector", func(t *rapid.T) {
		x := anyVector().Draw(t, "x")
		got, err := version.ParseVector(x.String())
		if err != nil {
			t.Fatal(err)
		}
		equal(t, got, x)
	})
	check(t, "stamp as JSON", func(t *rapid.T) {
		s := anyStamp().Draw(t, "s")
		if err := s.Validate(); err != nil {
			t.Fatalf("the generator made a bad stamp: %v", err)
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var got version.Stamp
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		requireSame(t, got, s)
	})
}

func TestVersionOrderLaws(t *testing.T) {
	v := anyVersion()
	check(t, "total", func(t *rapid.T) {
		x, y, z := v.Draw(t, "x"), v.Draw(t, "y"), v.Draw(t, "z")
		if x.Compare(y) != -y.Compare(x) || (x.Compare(y) == 0) != (x == y) {
			t.Fatalf("%v against %v: %d and %d", x, y, x.Compare(y), y.Compare(x))
		}
		if x.Compare(y) <= 0 && y.Compare(z) <= 0 && x.Compare(z) > 0 {
			t.Fatalf("%v <= %v <= %v, but not %v <= %v", x, y, z, x, z)
		}
	})
}
