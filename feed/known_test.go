package feed

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

func genVector() *rapid.Generator[version.Vector] {
	return rapid.Custom(func(t *rapid.T) (x version.Vector) {
		for _, v := range rapid.SliceOfN(genVersion(), 0, 5).Draw(t, "entries") {
			x = x.With(v)
		}
		return x
	})
}

func genKnown() *rapid.Generator[Known] {
	return rapid.Custom(func(t *rapid.T) Known {
		k := Known{Type: rapid.SampledFrom(fhir.Types()).Draw(t, "type"), Vector: genVector().Draw(t, "vector"), Forgotten: genVector().Draw(t, "forgotten")}
		for range rapid.IntRange(0, 3).Draw(t, "lacks") {
			k.Lacks = append(k.Lacks, Lack{ID: genKey().Draw(t, "key").ID, Version: genVersion().Draw(t, "lacked"), Seen: genVector().Draw(t, "seen")})
		}
		return k
	})
}

// readKnown returns the lines of knowledge and the marks of a stream.
func readKnown(in []byte) (known []Known, marks []Mark, err error) {
	d := NewDecoder(bytes.NewReader(in), 1<<16)
	for {
		l, err := d.Next()
		if err != nil || l.End != nil {
			return known, marks, err
		}
		if l.Known != nil {
			known = append(known, *l.Known)
		}
		if l.Mark != nil {
			marks = append(marks, *l.Mark)
		}
	}
}

func writeKnown(known []Known, marks []Mark) ([]byte, error) {
	var b bytes.Buffer
	e := NewEncoder(&b)
	var err error
	for _, k := range known {
		err = errors.Join(err, e.Known(k))
	}
	for _, m := range marks {
		err = errors.Join(err, e.Mark(m.At))
	}
	err = errors.Join(err, e.End(End{}))
	return b.Bytes(), err
}

// What a node says of its knowledge arrives as it was said.
func TestKnownComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		known := rapid.SliceOfN(genKnown(), 0, 3).Draw(t, "known")
		marks := []Mark{{At: rapid.String().Draw(t, "place")}, {At: "7/Patient/1/" + string(rA) + "/3/k1"}}
		b, err := writeKnown(known, marks)
		if err != nil {
			t.Fatal(err)
		}
		got, places, err := readKnown(b)
		if err != nil || len(got) != len(known) || !slices.Equal(places, marks) {
			t.Fatalf("%d of %d parts, the places %q, %v", len(got), len(known), places, err)
		}
		for i := range got {
			if !reflect.DeepEqual(got[i], known[i]) {
				t.Fatalf("got %+v\nwant %+v", got[i], known[i])
			}
		}
	})
}

// What no node can mean is refused by the reader, and by the writer before it is sent.
func TestKnownThatCannotBe(t *testing.T) {
	a1 := version.Version{Replica: rA, Tick: 1}
	never := version.Version{Replica: rA, Tick: version.MaxTick + 1}
	for name, k := range map[string]Known{
		"no type":               {Vector: version.Vector{a1}},
		"another type":          {Type: "Nobody", Vector: version.Vector{a1}},
		"a tick of none":        {Type: "Patient", Vector: version.Vector{{Replica: rA}}},
		"a tick out of range":   {Type: "Patient", Vector: version.Vector{never}},
		"forgotten the like":    {Type: "Patient", Forgotten: version.Vector{never}},
		"an exception of no id": {Type: "Patient", Lacks: []Lack{{Version: a1}}},
		"one of a bad id":       {Type: "Patient", Lacks: []Lack{{ID: "a b", Version: a1}}},
		"one of no version":     {Type: "Patient", Lacks: []Lack{{ID: "a"}}},
		"one that is too late":  {Type: "Patient", Lacks: []Lack{{ID: "a", Version: never}}},
		"seen what cannot be":   {Type: "Patient", Lacks: []Lack{{ID: "a", Version: a1, Seen: version.Vector{never}}}},
	} {
		if _, err := writeKnown([]Known{k}, nil); err == nil || syncerr.KindOf(err) != syncerr.Internal {
			t.Errorf("%s: written, %v", name, err)
		}
	}
	uuid := string(rA)
	for name, line := range map[string]string{
		"no type":               `{"known":{"vector":"1-` + uuid + `"}}`,
		"another type":          `{"known":{"type":"Nobody"}}`,
		"no vector":             `{"known":{"type":"Patient","vector":"1"}}`,
		"a tick of none":        `{"known":{"type":"Patient","vector":"0-` + uuid + `"}}`,
		"doubled":               `{"known":{"type":"Patient","vector":"1-` + uuid + ` 2-` + uuid + `"}}`,
		"seen what cannot be":   `{"known":{"type":"Patient","lacks":[{"id":"a","version":"1-` + uuid + `","seen":"0-` + uuid + `"}]}}`,
		"an exception of no id": `{"known":{"type":"Patient","lacks":[{"version":"1-` + uuid + `"}]}}`,
		"a mark as well":        `{"known":{"type":"Patient"},"mark":{"at":"x"}}`,
		"a mark that is no one": `{"mark":"x"}`,
	} {
		if known, marks, err := readKnown([]byte(line + "\n")); err == nil || syncerr.KindOf(err) != syncerr.Invalid {
			t.Errorf("%s: read as %+v %+v, %v", name, known, marks, err)
		}
	}
}

// Whatever is read as knowledge or as a mark is written, and read the same again.
func FuzzKnown(f *testing.F) {
	seed, err := writeKnown([]Known{
		{Type: "Patient", Vector: version.Vector{{Replica: rA, Tick: 3}, {Replica: rB, Tick: 9}}, Forgotten: version.Vector{{Replica: rA, Tick: 1}}},
		{Type: "Basic", Lacks: []Lack{{ID: "b", Version: version.Version{Replica: rA, Tick: 3}, Seen: version.Vector{{Replica: rB, Tick: 9}}}, {ID: "a", Version: version.Version{Replica: rC, Tick: 1}}}},
	}, []Mark{{At: "7/Patient/1/" + string(rA) + "/3/k1"}, {}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(strings.Replace(string(seed), "3-0a", "0-0a", 1)))
	f.Add([]byte(`{"known":{"type":"Patient","lacks":null,"vector":""}}` + "\n" + `{"mark":{}}` + "\n"))
	f.Add([]byte(`{"mark":{"at":"\u0000\ud800"}}` + "\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		known, marks, _ := readKnown(in)
		b, err := writeKnown(known, marks)
		if err != nil {
			t.Fatal(err)
		}
		again, places, err := readKnown(b)
		if err != nil && len(b) < 1<<16 {
			t.Fatal(err)
		}
		for i := range min(len(again), len(known)) {
			if again[i].Type != known[i].Type || !again[i].Vector.Equal(known[i].Vector) || !again[i].Forgotten.Equal(known[i].Forgotten) ||
				!slices.EqualFunc(again[i].Lacks, known[i].Lacks, func(a, b Lack) bool { return a.ID == b.ID && a.Version == b.Version && a.Seen.Equal(b.Seen) }) {
				t.Fatalf("got %+v\nwant %+v", again[i], known[i])
			}
		}
		if err == nil && (len(again) != len(known) || !slices.Equal(places, marks)) {
			t.Fatalf("%d of %d, places %q of %q", len(again), len(known), places, marks)
		}
	})
}
