package version_test

import (
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

const (
	ra = version.Replica("0a000000-0000-4000-8000-000000000001")
	rb = version.Replica("0b000000-0000-4000-8000-000000000002")
	rc = version.Replica("c0000000-0000-4000-8000-000000000003")
)

func at(r version.Replica, tick uint64) version.Version {
	return version.Version{Replica: r, Tick: tick}
}

func vec(vs ...version.Version) version.Vector { return version.Vector(vs) }

func requireInvalid(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("got no error, want an invalid one")
	}
	if got := syncerr.KindOf(err); got != syncerr.Invalid {
		t.Errorf("got a %s error (%v), want an invalid one", got, err)
	}
}

func TestReplicaValid(t *testing.T) {
	tests := []struct {
		name string
		r    version.Replica
		want bool
	}{
		{"good", ra, true},
		{"all digits", "01234567-89ab-cdef-0123-456789abcdef", true},
		{"empty", "", false},
		{"upper case", "0A000000-0000-4000-8000-000000000001", false},
		{"short", ra[:35], false},
		{"long", ra + "0", false},
		{"no dash", "0a000000000000-4000-8000-000000000001", false},
		{"dash elsewhere", "0a00000-00000-4000-8000-000000000001", false},
		{"dash too many", "0a000000-0000-4000-8000-00000000-001", false},
		{"braces", "{a000000-0000-4000-8000-00000000000}", false},
		{"letter g", "0g000000-0000-4000-8000-000000000001", false},
		{"not ascii", "0a000000-0000-4000-8000-0000000000é", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.r.Valid(); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	good := []struct {
		text string
		want version.Version
	}{
		{"1-" + string(ra), at(ra, 1)},
		{"42-" + string(rc), at(rc, 42)},
		{"9223372036854775807-" + string(rb), at(rb, version.MaxTick)},
	}
	for _, tt := range good {
		got, err := version.Parse(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("%s: got %v, %v, want %v", tt.text, got, err, tt.want)
		}
		if got.String() != tt.text {
			t.Errorf("%s came back as %s", tt.text, got)
		}
	}
	bad := map[string]string{
		"empty":          "",
		"no dash":        "1",
		"no tick":        "-" + string(ra),
		"no replica":     "1-",
		"only replica":   string(ra),
		"tick zero":      "0-" + string(ra),
		"leading zero":   "01-" + string(ra),
		"plus":           "+1-" + string(ra),
		"minus":          "-1-" + string(ra),
		"underscore":     "1_0-" + string(ra),
		"hexadecimal":    "0x1-" + string(ra),
		"over 63 bits":   "9223372036854775808-" + string(ra),
		"over 64 bits":   "18446744073709551616-" + string(ra),
		"fraction":       "1.0-" + string(ra),
		"blank before":   " 1-" + string(ra),
		"blank behind":   "1-" + string(ra) + " ",
		"upper case":     "1-" + strings.ToUpper(string(ra)),
		"replica short":  "1-" + string(ra[:35]),
		"other digits":   "١-" + string(ra),
		"two versions":   "1-" + string(ra) + " 2-" + string(rb),
		"reversed order": string(ra) + "-1",
		"nul":            "1-" + string(ra[:35]) + "\x00",
	}
	for name, text := range bad {
		t.Run(name, func(t *testing.T) {
			got, err := version.Parse(text)
			requireInvalid(t, err)
			if !got.IsZero() {
				t.Errorf("got %v beside the error", got)
			}
		})
	}
}

func TestVersionText(t *testing.T) {
	var zero version.Version
	if got := zero.String(); got != "" || !zero.IsZero() {
		t.Errorf("the zero version is %q, IsZero %t", got, zero.IsZero())
	}
	v := at(ra, 7)
	if err := v.UnmarshalText(nil); err != nil || !v.IsZero() {
		t.Errorf("empty text: got %v, %v, want the zero version", v, err)
	}
	v = at(ra, 7)
	requireInvalid(t, v.UnmarshalText([]byte("x")))
	if v != at(ra, 7) {
		t.Errorf("a failed read changed the version to %v", v)
	}
}

func TestCompare(t *testing.T) {
	sorted := []version.Version{{}, at(ra, 1), at(rb, 1), at(rc, 1), at(ra, 2), at(rb, 10), at(ra, version.MaxTick)}
	for i, x := range sorted {
		for j, y := range sorted {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := x.Compare(y); got != want {
				t.Errorf("%v against %v: got %d, want %d", x, y, got, want)
			}
		}
	}
}
