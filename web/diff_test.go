package web

import (
	"strings"
	"testing"
)

func TestDifferences(t *testing.T) {
	tests := []struct{ name, left, right, want string }{
		{"equal but for spaces and order", `{"a":1,"b":[2]}`, `{ "b" : [2], "a" : 1 }`, ""},
		{"a value", `{"a":"x"}`, `{"a":"y"}`, "a: x | y"},
		{"a deeper value", `{"name":[{"family":"x"}]}`, `{"name":[{"family":"y"}]}`, "name › 1 › family: x | y"},
		{"a number by its digits", `{"v":1.0}`, `{"v":1.00}`, "v: 1.0 | 1.00"},
		{"only left", `{"a":1,"b":2}`, `{"a":1}`, "b: 2 | "},
		{"only right", `{}`, `{"b":null}`, "b:  | null"},
		{"a longer list", `{"l":[1]}`, `{"l":[1,2]}`, "l › 2:  | 2"},
		{"another kind of value", `{"l":[1]}`, `{"l":{"a":true}}`, "l: [\n  1\n] | {\n  \"a\": true\n}"},
		{"several, by name", `{"b":1,"a":1}`, `{"b":2,"a":2}`, "a: 1 | 2; b: 1 | 2"},
		{"no JSON", `x`, `y`, "everything: x | y"},
		{"the same no JSON", `x`, `x`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, d := range differences([]byte(tt.left), []byte(tt.right)) {
				got = append(got, d.Path+": "+d.Left+" | "+d.Right)
			}
			if g := strings.Join(got, "; "); g != tt.want {
				t.Errorf("got %q, want %q", g, tt.want)
			}
		})
	}
}

func TestLongValuesAreCut(t *testing.T) {
	long := `{"a":"` + strings.Repeat("é", 5000) + `"}`
	d := differences([]byte(long), []byte(`{}`))
	if len(d) != 1 || len(d[0].Left) > 2010 || !strings.HasSuffix(d[0].Left, "é ...") {
		t.Errorf("got %d bytes", len(d[0].Left))
	}
	if p := pretty([]byte(`{"a":"` + strings.Repeat("x", 300_000) + `"}`)); len(p) > 200_100 || !strings.HasSuffix(p, "100 kB more") {
		t.Errorf("got %d bytes, ending %q", len(p), p[len(p)-30:])
	}
}

func TestNumbersInWords(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		if got := number(n); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for n, want := range map[int64]string{1: "1 byte", 999: "999 bytes", 48_231: "48 kB", 2_500_000: "2.5 MB"} {
		if got := size(n); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for s, want := range map[string]string{"": "", "no route": "No route.", "Done.": "Done.", " é": "é."} {
		if got := sentence(s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
