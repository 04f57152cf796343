package version_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/version"
)

// example has one of everything that a text can say.
func example() string {
	a, b := string(ra), string(rb)
	return "5-" + a + "@3 7-" + b + ";2-" + a + ";Obs/1:4-" + a + "@2 Obs/2: Obs/3!4-" + a + ",5-" + a + ",7-" + b + " Obs/4@3 a%20%C3%A9:1-" + a + "!1-" + a + ";3;1"
}

func TestKnowledgeText(t *testing.T) {
	k, err := version.ParseKnowledge(example())
	if err != nil || k.String() != example() {
		t.Fatalf("got %s, %v", k, err)
	}
	for _, tt := range []struct {
		key  string
		v    version.Version
		want bool
	}{
		{"Pat/1", at(ra, 5), true},
		{"Pat/1", at(ra, 6), false},
		{"Obs/1", at(ra, 4), true},
		{"Obs/1", at(ra, 5), false},
		{"Obs/2", at(ra, 1), false},
		{"Obs/3", at(ra, 3), true},
		{"Obs/3", at(ra, 4), false},
		{"Obs/3", at(rb, 7), false},
		{"Obs/4", at(rb, 7), true},
		{"a é", at(ra, 1), false},
	} {
		if got := k.Contains(tt.key, tt.v); got != tt.want {
			t.Errorf("%s %s: got %t", tt.key, tt.v, got)
		}
	}
	if got := (version.Knowledge{}).String(); got != "" {
		t.Errorf("nothing is written as %q", got)
	}
	if got := (version.Delta{}).String(); got != "" {
		t.Errorf("nothing is written as %q", got)
	}
}

func TestKnowledgeTextRefuses(t *testing.T) {
	a, b := string(ra), string(rb)
	bad := map[string]string{
		"nothing, at length":     ";;;0;0",
		"few parts":              ";;;1",
		"many parts":             ";;;1;1;",
		"no version":             "x;;;1;0",
		"tick 0":                 "0-" + a + ";;;1;0",
		"leading zero":           "01-" + a + ";;;1;0",
		"entries out of order":   "1-" + b + " 1-" + a + ";;;1;0",
		"entry doubled":          "1-" + a + " 1-" + a + ";;;1;0",
		"two blanks":             "1-" + a + "  1-" + b + ";;;1;0",
		"revision 0":             "1-" + a + "@0;;;1;0",
		"no revision":            "1-" + a + "@;;;1;0",
		"revision with a sign":   "1-" + a + "@+1;;;1;0",
		"later than itself":      "1-" + a + "@2;;;1;0",
		"forgotten out of order": ";1-" + b + " 1-" + a + ";;1;0",
		"floor above revision":   ";;;1;2",
		"revision too high":      ";;;9223372036854775808;0",
		"key without anything":   ";;x;1;0",
		"key empty, no mark":     ";; ;1;0",
		"lacks nothing":          ";;x!;1;0",
		"lacks out of order":     ";;x!2-" + a + ",1-" + a + ";1;0",
		"lacks doubled":          ";;x!1-" + a + ",1-" + a + ";1;0",
		"lacks badly":            ";;x!1;1;0",
		"limited out of order":   ";;x:1-" + b + ",1-" + a + ";1;0",
		"limited replica twice":  ";;x:1-" + a + ",2-" + a + ";1;0",
		"limited badly":          ";;x:1;1;0",
		"marks out of order":     ";;x!1-" + a + ":1-" + a + ";1;0",
		"keys out of order":      ";;y!1-" + a + " x!1-" + a + ";1;0",
		"key doubled":            ";;x!1-" + a + " x!2-" + a + ";1;0",
		"escape cut":             ";;x%2!1-" + a + ";1;0",
		"escape no hex":          ";;x%zz!1-" + a + ";1;0",
		"escape lower case":      ";;x%c3!1-" + a + ";1;0",
		"escape without need":    ";;%41!1-" + a + ";1;0",
		"not escaped":            ";;é!1-" + a + ";1;0",
		"exception from later":   ";;x!1-" + a + "@2;1;0",
		"exception, no revision": ";;x!1-" + a + "@;1;0",
		"too many entries":       strings.Repeat("x ", version.MaxVector) + "x;;;1;0",
		"too many exceptions":    ";;" + strings.Repeat("x ", version.MaxExceptions) + "x;1;0",
		"end no number":          ";;;1;x",
	}
	for name, text := range bad {
		t.Run(name, func(t *testing.T) {
			k, err := version.ParseKnowledge(text)
			requireInvalid(t, err)
			if k.String() != "" {
				t.Errorf("got %s beside the error", k)
			}
			_, err = version.ParseDelta(text)
			requireInvalid(t, err)
		})
	}
	for _, target := range []any{new(version.Knowledge), new(version.Delta)} {
		if err := json.Unmarshal([]byte(`";;;1"`), target); err == nil {
			t.Errorf("%T was read from a bad text", target)
		}
	}
}

func TestFromRows(t *testing.T) {
	entry := func(v version.Version) version.Entry { return version.Entry{Version: v, Revision: 2} }
	k, err := version.FromRows(version.Rows{
		Entries: []version.Entry{entry(at(rb, 7)), entry(at(ra, 5))},
		Exceptions: []version.Exception{
			{Key: "y", Lacks: vec(at(rb, 6), at(ra, 5)), Revision: 1},
			{Key: "x", Lacks: vec(at(ra, 3)), Revision: 1},
			{Key: "x", Lacks: vec(at(ra, 2)), Revision: 2},
			{Key: "x", Limited: true, Only: vec(at(ra, 4)), Revision: 1},
		},
		Revision: 2,
	})
	want := fmt.Sprintf("5-%[1]s@2 7-%[2]s@2;;x:4-%[1]s!2-%[1]s,3-%[1]s@2 y!5-%[1]s,6-%[2]s@1;2;0", ra, rb)
	if err != nil || k.String() != want {
		t.Fatalf("got %s, %v, want %s", k, err, want)
	}
	bad := map[string]version.Rows{
		"replica twice": {Entries: []version.Entry{{Version: at(ra, 1)}, {Version: at(ra, 2)}}},
		"limited twice": {Exceptions: []version.Exception{{Key: "x", Limited: true}, {Key: "x", Limited: true}}},
		"from later":    {Entries: []version.Entry{entry(at(ra, 1))}, Revision: 1},
		"says nothing":  {Exceptions: []version.Exception{{Key: "x"}}},
		"floor":         {Floor: 1},
		"too high":      {Entries: []version.Entry{{Version: at(ra, version.MaxTick+1)}}},
		"many entries":  {Entries: make([]version.Entry, version.MaxVector+1)},
		"large limit":   {Exceptions: []version.Exception{{Key: "x", Limited: true, Only: make(version.Vector, version.MaxVector+1)}}},
	}
	for name, r := range bad {
		t.Run(name, func(t *testing.T) {
			_, err := version.FromRows(r)
			requireInvalid(t, err)
		})
	}
}

func FuzzParseKnowledge(f *testing.F) {
	f.Add(example())
	f.Add("")
	f.Add(";;;1;0")
	f.Add(";;x@1;1;1")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := version.ParseKnowledge(s)
		if err != nil {
			requireInvalid(t, err)
		} else {
			if k.String() != s {
				t.Fatalf("%q was read as %q", s, k)
			}
			if !k.Equal(k) || !k.Union(k).Equal(k) || !k.Project("x").Union(k.Exclude("x")).Equal(k) {
				t.Fatalf("%q breaks a law", s)
			}
			mirror, err := version.Knowledge{}.Apply(k.Since(0))
			if err != nil || !mirror.Equal(k) {
				t.Fatalf("%q: its own delta gives %q, %v", s, mirror, err)
			}
			if y, err := version.FromSData(k.ToSData()); err != nil || !k.ContainsKnowledge(y) {
				t.Fatalf("%q: its digest claims more, %v", s, err)
			}
		}
		d, err := version.ParseDelta(s)
		if err != nil {
			requireInvalid(t, err)
		} else if d.String() != s {
			t.Fatalf("%q was read as %q", s, d)
		}
	})
}
