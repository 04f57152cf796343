package messages_test

import (
	"html/template"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/web/messages"
)

func load(t *testing.T) *messages.Languages {
	t.Helper()
	l, err := messages.Load()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// same says what two languages do not have in common: keys, and placeholders of a text.
func same(a, b *messages.Language) []string {
	holes := func(s string) []string {
		return slices.Compact(slices.Sorted(slices.Values(regexp.MustCompile(`\{\w*\}`).FindAllString(s, -1))))
	}
	var out []string
	for _, key := range a.Keys() {
		if !b.Has(key) {
			out = append(out, key+": only in "+a.Tag())
		}
		// A language may count where another has one form for all numbers.
		for _, form := range slices.Sorted(maps.Keys(b.Forms(key))) {
			if want, got := holes(a.Forms(key)["other"]), holes(b.Forms(key)[form]); !slices.Equal(got, want) {
				out = append(out, key+": "+b.Tag()+" has the placeholders "+strings.Join(got, " ")+" instead of "+strings.Join(want, " "))
			}
		}
	}
	return out
}

func TestLanguagesSayTheSame(t *testing.T) {
	all := load(t).All()
	if len(all) != 4 || len(all[0].Keys()) < 100 {
		t.Fatalf("got %d languages, %d texts", len(all), len(all[0].Keys()))
	}
	for _, l := range all[1:] {
		for _, problem := range slices.Concat(same(all[0], l), same(l, all[0])) {
			t.Error(problem)
		}
	}
	for _, l := range all {
		if n := len(strings.Fields(l.Text("time.months"))); n != 12 {
			t.Errorf("%s: %d months", l.Tag(), n)
		}
		for _, key := range l.Keys() {
			for form, text := range l.Forms(key) {
				if text == "" || (strings.TrimSpace(text) == "" && key != "number.group") {
					t.Errorf("%s: %s has no text for %s", l.Tag(), key, form)
				}
			}
		}
	}
}

func TestDifferencesBetweenLanguagesAreFound(t *testing.T) {
	parse := func(tag, text string) *messages.Language {
		l, err := messages.Parse(tag, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	a := parse("en", `{"a":{"b":"x {n}","c":"y","d":{"one":"{n} z","other":"{n} zs"}}}`)
	for _, tt := range []struct{ name, text, want string }{
		{"a key is missing", `{"a":{"b":"x {n}","d":{"one":"{n} z","other":"{n} zs"}}}`, "a.c: only in en"},
		{"a placeholder is missing", `{"a":{"b":"x","c":"y","d":{"one":"{n} z","other":"{n} zs"}}}`, "a.b: fr has the placeholders  instead of {n}"},
		{"in one form", `{"a":{"b":"x {n}","c":"y","d":{"one":"z","other":"{n} zs"}}}`, "a.d: fr has the placeholders  instead of {n}"},
		{"other forms", `{"a":{"b":"x {n}","c":{"one":"y","other":"ys"},"d":"{n} zz"}}`, ""},
		{"the same", `{"a":{"b":"{n} X","c":"Y","d":{"one":"{n} Z","other":"{n} Zs"}}}`, ""},
	} {
		if got := strings.Join(same(a, parse("fr", tt.text)), "\n"); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	for _, bad := range []string{`{`, `{"a":1}`, `{"a":{"other":"x","one":2}}`} {
		if _, err := messages.Parse("en", []byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestChoosingALanguage(t *testing.T) {
	for _, tt := range []struct{ chosen, accept, want string }{
		{"", "", "en"},
		{"", "fr-CD,fr;q=0.9,en;q=0.5", "fr"},
		{"", "pt-MZ", "pt"},
		{"", "es-GT;q=0.8, sw", "es"},
		{"", "sw", "en"},
		{"", "en;q=0.1, es;q=0.9", "es"},
		{"", "nonsense;;;q=q", "en"},
		{"pt", "fr", "pt"},
		{"xx", "fr", "fr"},
	} {
		if got := load(t).Choose(tt.chosen, tt.accept).Tag(); got != tt.want {
			t.Errorf("chosen %q, Accept-Language %q: got %s, want %s", tt.chosen, tt.accept, got, tt.want)
		}
	}
}

func TestValuesByLanguage(t *testing.T) {
	l := load(t)
	en, fr, pt, es := l.By("en"), l.By("fr"), l.By("pt"), l.By("es")
	at := time.Date(2026, 3, 1, 8, 5, 0, 0, time.UTC)
	for _, tt := range []struct{ got, want string }{
		{en.Number(0), "0"},
		{en.Number(1234567), "1,234,567"},
		{en.Number(-1234), "-1,234"},
		{en.Number(-123), "-123"},
		{fr.Number(1234567), "1\u202f234\u202f567"},
		{pt.Number(1234), "1234"},
		{pt.Number(12345), "12\u202f345"},
		{es.Number(12345), "12.345"},
		{fr.Decimal(2.55), "2,5"},
		{en.Decimal(-0.4), "-0.4"},
		{en.Size(1), "1 byte"},
		{en.Size(999), "999 bytes"},
		{en.Size(48_231), "48\u00a0kB"},
		{fr.Size(2_500_000), "2,5\u00a0Mo"},
		{es.Size(3_240_000_000), "3,2\u00a0GB"},
		{en.Size(999_700), "1.0\u00a0MB"},
		{en.Ago(10_000, 0), "never"},
		{en.Ago(10_000, 9_000), "just now"},
		{en.Ago(100_000, 60_000), "40\u00a0s ago"},
		{fr.Ago(600_000, 1), "il y a 9\u00a0min"},
		{es.Ago(1, 40_001), "en 40\u00a0s"},
		{pt.Span(72 * time.Hour), "3 dias"},
		{en.Span(89 * time.Second), "89\u00a0s"},
		{en.Span(35 * time.Hour), "35\u00a0h"},
		{en.Moment(at), "1 Mar 2026, 08:05"},
		{fr.Moment(at), "1 mars 2026 à 08:05"},
		{fr.Text("child.lag", "n", 0), "0 modification"},
		{en.Text("child.lag", "n", 0), "0 changes"},
		{en.Text("child.lag", "n", uint64(1200)), "1,200 changes"},
		{es.Text("child.lag", "n", int64(1)), "1 cambio"},
		{en.Text("no.such.text"), "no.such.text"},
		{string(en.HTML("change.sent", "record", template.HTML("<a>P</a>"), "peer", "<b>")), "<a>P</a> was sent to &lt;b&gt;"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
