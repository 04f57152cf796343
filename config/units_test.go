package config

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDuration(t *testing.T) {
	rows := []struct {
		text  string
		want  time.Duration
		print string
	}{
		{"0", 0, "0s"},
		{"0s", 0, "0s"},
		{"0d", 0, "0s"},
		{" 30s ", 30 * time.Second, "30s"},
		{"90m", 90 * time.Minute, "1h30m"},
		{"1h", time.Hour, "1h"},
		{"10m", 10 * time.Minute, "10m"},
		{"1h0m5s", time.Hour + 5*time.Second, "1h0m5s"},
		{"20h", 20 * time.Hour, "20h"},
		{"24h", day, "1d"},
		{"36h", day + 12*time.Hour, "1d12h"},
		{"1.5d", 36 * time.Hour, "1d12h"},
		{"90d", 90 * day, "90d"},
		{"365d", 365 * day, "365d"},
		{"2w", 14 * day, "2w"},
		{"7d", week, "1w"},
		{"1w2d3h4ms", week + 2*day + 3*time.Hour + 4*time.Millisecond, "9d3h0m0.004s"},
		{"1.5ms", 1500 * time.Microsecond, "1.5ms"},
	}
	for _, r := range rows {
		got, err := ParseDuration(r.text)
		if err != nil || got.Std() != r.want || got.String() != r.print {
			t.Errorf("%q: got %v (%s), %v, want %v (%s)", r.text, got.Std(), got, err, r.want, r.print)
		}
	}
	for text, want := range map[string]string{
		"": "not a time span", "-1s": "not a time span", "+1d": "not a time span", "30": "has no unit", "1d30": "has no unit", "1.5": "has no unit",
		"d": "not a time span", "1d2w": "not a time span", "1d-2h": "not a time span", "1d+2h": "not a time span", "x": "not a time span", "1h2d": "not a time span",
		"1..5d": "not a time span", "1y": "not a time span", "15251w": "longer than 292 years", "15250w7d": "longer than 292 years",
		"106751d24h": "longer than 292 years", "2562048h": "not a time span", strings.Repeat("9", 99) + "d": "not a time span",
	} {
		if got, err := ParseDuration(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v, want %q", text, got, err, want)
		}
	}
}

func TestDurationReadsWhatItPrints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]int64{1, 1e3, 1e9, 60e9, 3600e9, int64(day), int64(week)}).Draw(t, "unit")
		d := Duration(rapid.Int64Range(0, math.MaxInt64/unit).Draw(t, "n") * unit)
		if got, err := ParseDuration(d.String()); err != nil || got != d {
			t.Fatalf("%d prints as %s, which reads as %d, %v", d, d, got, err)
		}
	})
}

func TestSize(t *testing.T) {
	for _, r := range []struct {
		text  string
		want  Size
		print string
	}{
		{"0", 0, "0"},
		{"1023", 1023, "1023"},
		{"512B", 512, "512"},
		{"16MiB", 16 << 20, "16MiB"},
		{"16 MiB", 16 << 20, "16MiB"},
		{"1024KiB", 1 << 20, "1MiB"},
		{"1GiB", 1 << 30, "1GiB"},
		{"5MB", 5e6, "5000000"},
		{"2kB", 2000, "2000"},
		{"1GB", 1e9, "1000000000"},
	} {
		got, err := ParseSize(r.text)
		if err != nil || got != r.want || got.String() != r.print {
			t.Errorf("%q: got %d (%s), %v, want %d (%s)", r.text, got, got, err, r.want, r.print)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5MiB", "16mib", "16M", "9999999999999999999", "9999999999GiB", "1 2"} {
		if got, err := ParseSize(text); err == nil || !strings.Contains(err.Error(), "is not a size; write for example") {
			t.Errorf("%q: got %d, %v", text, got, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		z := Size(rapid.Int64Min(0).Draw(t, "bytes"))
		if got, err := ParseSize(z.String()); err != nil || got != z {
			t.Fatalf("%d prints as %s, which reads as %d, %v", z, z, got, err)
		}
	})
}

func TestCIDR(t *testing.T) {
	for text, want := range map[string]string{"10.1.2.3/8": "10.0.0.0/8", " 192.168.1.7/32": "192.168.1.7/32", "fd00::1/8": "fd00::/8"} {
		var c CIDR
		if err := c.UnmarshalText([]byte(text)); err != nil || c.String() != want {
			t.Errorf("%q: got %s, %v, want %s", text, c, err, want)
		}
	}
	for _, text := range []string{"", "10.0.0.1", "10.0.0.0/33", "example.org/8"} {
		var c CIDR
		if err := c.UnmarshalText([]byte(text)); err == nil || c.IsValid() {
			t.Errorf("%q: got %s, want an error", text, c)
		}
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"name", "listen", "credential_file", "Patient"}
	for word, want := range map[string]string{
		"nmae": "name", "lisen": "listen", "credentialfile": "credential_file", "PATIENT": "Patient", "patients": "Patient",
		"xyz": "", "": "", strings.Repeat("n", 61): "",
	} {
		if got := suggest(word, known); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
