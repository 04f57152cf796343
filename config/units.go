package config

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// Duration is a time span that reads and writes Go's form with days and weeks added: 30s, 1h30m, 90d, 2w, 1d12h. A day is
// 24 hours.
type Duration time.Duration

// Std returns the duration as Go's own type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String returns the shortest form that ParseDuration reads back as the same value; 0 is "0s".
func (d Duration) String() string {
	t := time.Duration(d)
	switch {
	case t <= 0:
		return t.String()
	case t%week == 0:
		return strconv.FormatInt(int64(t/week), 10) + "w"
	case t < day:
		return trimUnits(t)
	case t%day == 0:
		return strconv.FormatInt(int64(t/day), 10) + "d"
	default:
		return strconv.FormatInt(int64(t/day), 10) + "d" + trimUnits(t%day)
	}
}

// trimUnits drops the zero units that Go writes: 1h30m0s becomes 1h30m.
func trimUnits(t time.Duration) string {
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// ParseDuration reads weeks (w), then days (d), then what time.ParseDuration reads; 0 needs no unit. Its error says what is
// wrong in words that follow the value.
func ParseDuration(s string) (Duration, error) {
	const example = "write for example 30s, 5m, 12h, 90d or 2w"
	text := strings.TrimSpace(s)
	if text == "0" {
		return 0, nil
	}
	if text == "" || text[0] == '-' || text[0] == '+' {
		return 0, fmt.Errorf("%.40q is not a time span; %s", s, example)
	}
	var sum time.Duration
	for _, unit := range []struct {
		letter string
		hours  time.Duration
	}{{"w", 7 * 24}, {"d", 24}} {
		number, rest, ok := strings.Cut(text, unit.letter)
		if !ok {
			continue
		}
		if number == "" || strings.Trim(number, "0123456789.") != "" {
			return 0, fmt.Errorf("%.40q is not a time span; %s", s, example)
		}
		n, err := time.ParseDuration(number + "h")
		if err != nil {
			return 0, fmt.Errorf("%.40q is not a time span; %s", s, example)
		}
		if n > math.MaxInt64/unit.hours || n*unit.hours > math.MaxInt64-sum {
			return 0, fmt.Errorf("%.40q is longer than 292 years; use 0 for no limit", s)
		}
		sum, text = sum+n*unit.hours, rest
	}
	if text == "" {
		return Duration(sum), nil
	}
	if strings.Trim(text, "0123456789.") == "" {
		return 0, fmt.Errorf("%.40q has no unit; %s", s, example)
	}
	rest, err := time.ParseDuration(text)
	if err != nil || rest < 0 || text[0] == '+' {
		return 0, fmt.Errorf("%.40q is not a time span; %s", s, example)
	}
	if rest > math.MaxInt64-sum {
		return 0, fmt.Errorf("%.40q is longer than 292 years; use 0 for no limit", s)
	}
	return Duration(sum + rest), nil
}

// MarshalText writes String's form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads ParseDuration's form.
func (d *Duration) UnmarshalText(b []byte) error {
	p, err := ParseDuration(string(b))
	if err == nil {
		*d = p
	}
	return err
}

// Size is a number of bytes that reads 1048576, 512KiB, 16MiB, 1GiB and 16MB, and writes the largest binary unit that fits.
type Size int64

// sizeUnits lists the units, longest suffix first.
func sizeUnits() []struct {
	suffix string
	bytes  int64
} {
	return []struct {
		suffix string
		bytes  int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}
}

// String returns a form that ParseSize reads back as the same value.
func (z Size) String() string {
	for _, u := range sizeUnits()[:3] {
		if z != 0 && int64(z)%u.bytes == 0 {
			return strconv.FormatInt(int64(z)/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(z), 10)
}

// ParseSize reads a number of bytes with an optional unit. Its error says what is wrong in words that follow the value.
func ParseSize(s string) (Size, error) {
	number, bytes := strings.TrimSpace(s), int64(1)
	for _, u := range sizeUnits() {
		if n, ok := strings.CutSuffix(number, u.suffix); ok {
			number, bytes = strings.TrimSpace(n), u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || n > uint64(math.MaxInt64/bytes) {
		return 0, fmt.Errorf("%.40q is not a size; write for example 16MiB, 512KiB or a number of bytes", s)
	}
	return Size(n) * Size(bytes), nil
}

// MarshalText writes String's form.
func (z Size) MarshalText() ([]byte, error) { return []byte(z.String()), nil }

// UnmarshalText reads ParseSize's form.
func (z *Size) UnmarshalText(b []byte) error {
	p, err := ParseSize(string(b))
	if err == nil {
		*z = p
	}
	return err
}

// CIDR is a network of addresses (RFC 4632 section 3.1). Bits behind the prefix are cleared.
type CIDR struct{ netip.Prefix }

// UnmarshalText reads 10.0.0.0/8 or fd00::/8.
func (c *CIDR) UnmarshalText(b []byte) error {
	p, err := netip.ParsePrefix(strings.TrimSpace(string(b)))
	if err != nil {
		return fmt.Errorf("%.60q is not a network; write for example 10.0.0.0/8, or 192.168.1.7/32 for one machine", b)
	}
	c.Prefix = p.Masked()
	return nil
}
