package version_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/version"
)

func anyStamp() *rapid.Generator[version.Stamp] {
	return rapid.Custom(func(t *rapid.T) version.Stamp {
		v, origin := anyVersion().Draw(t, "version"), anyVersion().Draw(t, "origin")
		s := version.Stamp{
			Version:  v,
			Vector:   anyVector().Draw(t, "vector").With(v).With(origin),
			Author:   origin.Replica,
			Authored: rapid.Int64().Draw(t, "authored"),
			Origin:   origin,
			Deleted:  rapid.Bool().Draw(t, "deleted"),
		}
		if !s.Deleted {
			s.Hash[rapid.IntRange(0, 31).Draw(t, "place")] = rapid.ByteMin(1).Draw(t, "hash")
		}
		return s
	})
}

func requireSame(t interface {
	Helper()
	Fatalf(string, ...any)
}, got, want version.Stamp,
) {
	t.Helper()
	if !got.Vector.Equal(want.Vector) {
		t.Fatalf("got vector %v, want %v", got.Vector, want.Vector)
	}
	if got.Version != want.Version || got.Author != want.Author || got.Authored != want.Authored || got.Origin != want.Origin ||
		got.Deleted != want.Deleted || got.Hash != want.Hash {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

func goodStamp() version.Stamp {
	return version.Stamp{
		Version: at(rb, 2), Vector: vec(at(ra, 1), at(rb, 2)), Author: ra, Authored: 1_700_000_000_000, Origin: at(ra, 1),
		Hash: version.Hash{1},
	}
}

func TestStampValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*version.Stamp)
		good   bool
	}{
		{"good", func(*version.Stamp) {}, true},
		{"deleted", func(s *version.Stamp) { s.Deleted, s.Hash = true, version.Hash{} }, true},
		{"seen more", func(s *version.Stamp) { s.Vector = s.Vector.With(at(rc, 9)) }, true},
		{"newest tick", func(s *version.Stamp) { *s = s.Seeing(vec(at(rb, version.MaxTick))); s.Version.Tick = version.MaxTick }, true},
		{"before 1970", func(s *version.Stamp) { s.Authored = -1 }, true},
		{"nothing at all", func(s *version.Stamp) { *s = version.Stamp{} }, false},
		{"no version", func(s *version.Stamp) { s.Version = version.Version{} }, false},
		{"version with tick 0", func(s *version.Stamp) { s.Version.Tick = 0 }, false},
		{"version over 63 bits", func(s *version.Stamp) { s.Version.Tick = version.MaxTick + 1; s.Vector[1].Tick = s.Version.Tick }, false},
		{"version of no replica", func(s *version.Stamp) { s.Version.Replica = "b"; *s = s.Seeing(vec(s.Version)) }, false},
		{"no vector", func(s *version.Stamp) { s.Vector = nil }, false},
		{"vector without version", func(s *version.Stamp) { s.Vector = vec(at(ra, 1)) }, false},
		{"vector behind version", func(s *version.Stamp) { s.Vector[1].Tick = 1 }, false},
		{"no origin", func(s *version.Stamp) { s.Origin = version.Version{} }, false},
		{"origin with tick 0", func(s *version.Stamp) { s.Origin.Tick = 0 }, false},
		{"vector without origin", func(s *version.Stamp) { s.Origin = at(rc, 1) }, false},
		{"vector behind origin", func(s *version.Stamp) { s.Origin.Tick = 2 }, false},
		{"no author", func(s *version.Stamp) { s.Author = "" }, false},
		{"author of no form", func(s *version.Stamp) { s.Author = "Ada" }, false},
		{"content under a deletion", func(s *version.Stamp) { s.Deleted = true }, false},
		{"neither content nor deletion", func(s *version.Stamp) { s.Hash = version.Hash{} }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := goodStamp()
			tt.change(&s)
			if err := s.Validate(); tt.good && err != nil {
				t.Errorf("got %v", err)
			} else if !tt.good {
				requireInvalid(t, err)
			}
		})
	}
}

func TestStampJSON(t *testing.T) {
	s := goodStamp()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"version":"2-` + string(rb) + `","vector":"1-` + string(ra) + ` 2-` + string(rb) + `","author":"` + string(ra) +
		`","authored":1700000000000,"origin":"1-` + string(ra) + `","hash":"01` + strings.Repeat("0", 62) + `"}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	s.Deleted, s.Hash = true, version.Hash{}
	b, err = json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(b), `,"deleted":true}`) {
		t.Errorf("a deleted copy has no hash: got %s", b)
	}
	bad := map[string]string{
		"version":  `{"version":"0-` + string(ra) + `"}`,
		"vector":   `{"vector":"x"}`,
		"origin":   `{"origin":"x"}`,
		"hash":     `{"hash":"00"}`,
		"authored": `{"authored":"now"}`,
	}
	for name, text := range bad {
		var got version.Stamp
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s: %s was accepted as %+v", name, text, got)
		}
	}
}

func TestHashText(t *testing.T) {
	h := version.Hash{0: 0xab, 31: 0x01}
	text := "ab" + strings.Repeat("0", 60) + "01"
	if got := h.String(); got != text {
		t.Errorf("got %s, want %s", got, text)
	}
	var got version.Hash
	if err := got.UnmarshalText([]byte(text)); err != nil || got != h {
		t.Errorf("got %v, %v, want %v", got, err, h)
	}
	if err := got.UnmarshalText(nil); err != nil || got != (version.Hash{}) || got.String() != "" {
		t.Errorf("empty text: got %q, %v, want the zero hash", got, err)
	}
	bad := map[string]string{
		"short":      text[:63],
		"long":       text + "0",
		"upper case": strings.ToUpper(text),
		"no digits":  strings.Repeat("g", 64),
		"bad last":   "cd" + text[2:63] + "x",
		"all zero":   strings.Repeat("0", 64),
	}
	for name, text := range bad {
		t.Run(name, func(t *testing.T) {
			got := h
			requireInvalid(t, got.UnmarshalText([]byte(text)))
			if got != h {
				t.Errorf("a failed read changed the hash to %s", got)
			}
		})
	}
}

func TestStampSmall(t *testing.T) {
	s := goodStamp()
	if s.IsZero() || !(version.Stamp{}).IsZero() {
		t.Error("only the empty stamp is zero")
	}
	grown := s.Seeing(vec(at(rc, 3)))
	if !grown.Vector.Equal(vec(at(ra, 1), at(rb, 2), at(rc, 3))) || len(s.Vector) != 2 {
		t.Errorf("got %v from %v", grown.Vector, s.Vector)
	}
	deleted, other := s, s
	deleted.Deleted, deleted.Hash = true, version.Hash{}
	other.Hash[31]++
	moved := s
	moved.Version, moved.Origin, moved.Author, moved.Authored = at(rc, 1), at(rc, 1), rc, 0
	for name, tt := range map[string]struct {
		o    version.Stamp
		want bool
	}{"itself": {s, true}, "written elsewhere": {moved, true}, "other content": {other, false}, "deleted": {deleted, false}} {
		if s.SameContent(tt.o) != tt.want || tt.o.SameContent(s) != tt.want {
			t.Errorf("%s: got %t, want %t", name, s.SameContent(tt.o), tt.want)
		}
	}
	if !deleted.SameContent(version.Stamp{Version: at(rc, 1), Deleted: true}) {
		t.Error("two deleted copies hold the same content")
	}
}
