package main

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/syncerr"
)

func TestSentences(t *testing.T) {
	one := syncerr.New(syncerr.Usage, "a", "is wrong").WithHint("Mend it")
	tests := []struct {
		name string
		err  error
		want []string
	}{
		{"one", one, []string{"a: is wrong. Mend it"}},
		{"wrapped", fmt.Errorf("b: %w", one), []string{"b: a: is wrong. Mend it"}},
		{"joined", errors.Join(one, errors.New("c")), []string{"a: is wrong. Mend it", "c"}},
		{"joined twice", errors.Join(errors.Join(one, errors.New("c")), errors.New("d")), []string{"a: is wrong. Mend it", "c", "d"}},
		{"two causes in one sentence", fmt.Errorf("%w and %w", one, errors.New("c")), []string{"a: is wrong. Mend it and c"}},
		{"lines", errors.New("a\n\tb"), []string{"a b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := sentences(tt.err); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWords(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	a := &app{clock: func() time.Time { return now }}
	before := func(d time.Duration) int64 { return now.Add(-d).UnixMilli() }
	tests := []struct{ name, got, want string }{
		{"number", number(1234567), "1,234,567"},
		{"negative", number(-1234), "-1,234"},
		{"small", number(999), "999"},
		{"one", counted(1, "file", "files"), "1 file"},
		{"many", counted(2000, "file", "files"), "2,000 files"},
		{"never", a.ago(0), "never"},
		{"now", a.ago(before(0)), "just now"},
		{"a clock that is ahead", a.ago(before(-time.Hour)), "just now"},
		{"seconds", a.ago(before(90 * time.Second)), "90 s ago"},
		{"minutes", a.ago(before(90 * time.Minute)), "90 min ago"},
		{"hours", a.ago(before(30 * time.Hour)), "30 h ago"},
		{"days", a.ago(before(72 * time.Hour)), "3 days ago"},
		{"when", a.when(before(time.Second)), "2026-05-04 11:59:59"},
		{"no time", a.when(0), "-"},
		{"short", short("a\n b  c", 10), "a b c"},
		{"cut", short("äbcdef", 4), "äbc…"},
		{"any address", dialAddress(":8080"), "127.0.0.1:8080"},
		{"any address 4", dialAddress("0.0.0.0:80"), "127.0.0.1:80"},
		{"any address 6", dialAddress("[::]:80"), "[::1]:80"},
		{"one address", dialAddress("10.0.0.1:80"), "10.0.0.1:80"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestSince(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	a := &app{clock: func() time.Time { return now }}
	tests := []struct {
		text string
		want time.Time
	}{
		{"24h", now.Add(-24 * time.Hour)},
		{"7d", now.Add(-7 * 24 * time.Hour)},
		{"2026-01-31", time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)},
		{"2026-01-31T08:30", time.Date(2026, 1, 31, 8, 30, 0, 0, time.UTC)},
	}
	for _, tt := range tests {
		if got, err := a.moment("--since", tt.text); err != nil || got != tt.want.UnixMilli() {
			t.Errorf("%s: got %d (%v), want %d", tt.text, got, err, tt.want.UnixMilli())
		}
	}
	for _, text := range []string{"yesterday", "-1h", "0s"} {
		if _, err := a.moment("--since", text); syncerr.KindOf(err) != syncerr.Usage {
			t.Errorf("%s: got %v, want a usage error", text, err)
		}
	}
}
