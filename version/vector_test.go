package version_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/version"
)

func TestParseVector(t *testing.T) {
	a1, b2, c3 := at(ra, 1), at(rb, 2), at(rc, 3)
	for _, want := range []version.Vector{nil, vec(a1), vec(a1, b2), vec(a1, b2, c3)} {
		got, err := version.ParseVector(want.String())
		if err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v", want.String(), got, err)
		}
	}
	a, b := a1.String(), b2.String()
	bad := map[string]string{
		"a blank":          " ",
		"leading blank":    " " + a,
		"trailing blank":   a + " ",
		"two blanks":       a + "  " + b,
		"comma":            a + "," + b,
		"tab":              a + "\t" + b,
		"newline":          a + "\n" + b,
		"out of order":     b + " " + a,
		"doubled":          a + " " + a,
		"replica doubled":  a + " 2-" + string(ra),
		"bad version last": a + " 0-" + string(rb),
		"bad replica":      a + " 1-x",
		"too many":         strings.Repeat("x ", version.MaxVector) + "x",
	}
	for name, text := range bad {
		t.Run(name, func(t *testing.T) {
			got, err := version.ParseVector(text)
			requireInvalid(t, err)
			if got != nil {
				t.Errorf("got %v beside the error", got)
			}
		})
	}
}

func TestParseVectorBound(t *testing.T) {
	var b strings.Builder
	for i := range version.MaxVector {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%d-00000000-0000-4000-8000-%012x", i+1, i)
	}
	got, err := version.ParseVector(b.String())
	if err != nil || len(got) != version.MaxVector || got.String() != b.String() {
		t.Fatalf("got %d entries, %v, want all %d", len(got), err, version.MaxVector)
	}
	_, err = version.ParseVector(b.String() + " 1-" + string(rc))
	requireInvalid(t, err)
}

func TestVectorTable(t *testing.T) {
	x := vec(at(ra, 3), at(rc, 1))
	tests := []struct {
		name string
		v    version.Version
		seen bool
		with version.Vector
	}{
		{"zero", version.Version{}, true, x},
		{"older", at(ra, 2), true, x},
		{"same", at(ra, 3), true, x},
		{"newer", at(ra, 4), false, vec(at(ra, 4), at(rc, 1))},
		{"between", at(rb, 1), false, vec(at(ra, 3), at(rb, 1), at(rc, 1))},
		{"last newer", at(rc, 9), false, vec(at(ra, 3), at(rc, 9))},
		{"before all", at("00000000-0000-4000-8000-000000000000", 1), false, vec(at("00000000-0000-4000-8000-000000000000", 1), at(ra, 3), at(rc, 1))},
		{"behind all", at("f0000000-0000-4000-8000-000000000000", 1), false, vec(at(ra, 3), at(rc, 1), at("f0000000-0000-4000-8000-000000000000", 1))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := x.Contains(tt.v); got != tt.seen {
				t.Errorf("contains: got %t, want %t", got, tt.seen)
			}
			if got := x.With(tt.v); !got.Equal(tt.with) {
				t.Errorf("with: got %v, want %v", got, tt.with)
			}
			if !x.Equal(vec(at(ra, 3), at(rc, 1))) {
				t.Errorf("the receiver became %v", x)
			}
		})
	}
	if got := x.Tick(ra); got != 3 {
		t.Errorf("tick: got %d, want 3", got)
	}
	if got := x.Tick(rb); got != 0 {
		t.Errorf("tick of a stranger: got %d, want 0", got)
	}
}

func TestVectorText(t *testing.T) {
	x := vec(at(ra, 1))
	requireInvalid(t, x.UnmarshalText([]byte("1-"+string(rb)+" bad")))
	if !x.Equal(vec(at(ra, 1))) {
		t.Errorf("a failed read changed the vector to %v", x)
	}
	if err := x.UnmarshalText(nil); err != nil || len(x) != 0 {
		t.Errorf("empty text: got %v, %v, want a vector that has seen nothing", x, err)
	}
}

func FuzzParseVector(f *testing.F) {
	f.Add("")
	f.Add("1-" + string(ra))
	f.Add("1-" + string(ra) + " 9223372036854775807-" + string(rb))
	f.Add("1-" + string(rb) + " 1-" + string(ra))
	f.Add("01-" + string(ra))
	f.Fuzz(func(t *testing.T, s string) {
		x, err := version.ParseVector(s)
		if err != nil {
			requireInvalid(t, err)
			return
		}
		if got := x.String(); got != s {
			t.Fatalf("%q came back as %q", s, got)
		}
		for i, v := range x {
			if !v.Replica.Valid() || v.Tick == 0 || v.Tick > version.MaxTick || !x.Contains(v) || x.Tick(v.Replica) != v.Tick {
				t.Fatalf("entry %v was accepted", v)
			}
			if i > 0 && x[i-1].Replica >= v.Replica {
				t.Fatalf("%v is not sorted", x)
			}
		}
	})
}

// ten returns a vector of ten entries, the size of a tree of four levels that one record has passed through.
func ten(first uint64, ticks uint64) version.Vector {
	var x version.Vector
	for i := range uint64(10) {
		x = append(x, at(version.Replica(fmt.Sprintf("%08x-0000-4000-8000-000000000000", first+i)), ticks))
	}
	return x
}

func BenchmarkUnion(b *testing.B) {
	x, older, other := ten(0, 5), ten(0, 3), ten(5, 7)
	b.Run("seen", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			x.Union(older)
		}
	})
	b.Run("grown", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			x.Union(other)
		}
	})
	b.Run("with", func(b *testing.B) {
		v := at(rc, 1)
		b.ReportAllocs()
		for b.Loop() {
			x.With(v)
		}
	})
}

func BenchmarkParseVector(b *testing.B) {
	s := ten(0, 5).String()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := version.ParseVector(s); err != nil {
			b.Fatal(err)
		}
	}
}
