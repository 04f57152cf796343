package control

import (
	"fmt"
	"time"
)

// plural returns "1 thing" or "5 things".
func plural[N int | int64 | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Ago says in words how long before now a time was, both in milliseconds since 1970 UTC: "just now", "2 min ago", "3 h ago",
// "5 days ago", "in 30 s" for what is to come, and "never" for 0.
func Ago(now, at int64) string {
	if at == 0 {
		return "never"
	}
	d := time.Duration(now-at) * time.Millisecond
	switch {
	case d > -time.Second && d < 5*time.Second:
		return "just now"
	case d < 0:
		return "in " + Span(-d)
	}
	return Span(d) + " ago"
}

// Span says in words how long something takes, in the unit that a person would use: "5 s", "2 min", "3 h", "5 days".
func Span(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return fmt.Sprintf("%d s", int64(d/time.Second))
	case d < 90*time.Minute:
		return fmt.Sprintf("%d min", int64(d/time.Minute))
	case d < 36*time.Hour:
		return fmt.Sprintf("%d h", int64(d/time.Hour))
	}
	return plural(int64(d/(24*time.Hour)), "day", "days")
}

// UTC writes a time in milliseconds since 1970 as "2026-01-31 08:15:09 UTC", empty for 0.
func UTC(at int64) string {
	if at == 0 {
		return ""
	}
	return time.UnixMilli(at).UTC().Format("2006-01-02 15:04:05") + " UTC"
}

// SpanOf is Span for milliseconds, with a minus before what is negative.
func SpanOf(ms int64) string {
	if ms < 0 {
		return "-" + Span(time.Duration(-ms)*time.Millisecond)
	}
	return Span(time.Duration(ms) * time.Millisecond)
}
