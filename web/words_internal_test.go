package web

import (
	"strings"
	"testing"
)

func TestLongValuesAreCut(t *testing.T) {
	if c := clip(strings.Repeat("é", 5000)); len(c) > 2010 || !strings.HasSuffix(c, "é ...") {
		t.Errorf("got %d bytes", len(c))
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
