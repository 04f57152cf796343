package search

import (
	"math"
	"strings"
	"time"
)

// readDate reads a value of a date parameter on an instant: a prefix and a date that may be partial, which stands for the whole
// span of it (FHIR R4 search.html#prefix and #date). A date without a time zone is one in UTC. A fraction of a second is read to
// the millisecond, the precision in which instants are kept.
func readDate(name, text string) (Alternative, error) {
	prefix, date := "eq", text
	if len(text) > 2 && text[0] >= 'a' && text[0] <= 'z' {
		prefix, date = text[:2], text[2:]
	}
	from, to, ok := dateSpan(date)
	if !ok {
		return Alternative{}, invalid("%s: %.60q is no date. write it as 2026, 2026-01, 2026-01-31 or 2026-01-31T12:00:00Z, "+
			"with a prefix eq, ne, gt, ge, lt, le, sa or eb", name, text)
	}
	a := Alternative{From: math.MinInt64, To: math.MaxInt64}
	switch prefix {
	case "eq":
		a.From, a.To = from, to
	case "ne":
		a.From, a.To, a.Not = from, to, true
	case "gt", "sa":
		a.From = to
	case "ge":
		a.From = from
	case "lt", "eb":
		a.To = from
	case "le":
		a.To = to
	default:
		return Alternative{}, invalid("%s: the prefix %q is not supported. use eq, ne, gt, ge, lt, le, sa or eb", name, prefix)
	}
	return a, nil
}

// dateSpan returns the half-open span of a date in milliseconds since 1970 UTC.
func dateSpan(text string) (from, to int64, ok bool) {
	layout := ""
	switch len(text) {
	case len("2006"):
		layout = "2006"
	case len("2006-01"):
		layout = "2006-01"
	case len("2006-01-02"):
		layout = "2006-01-02"
	default:
		return timeSpan(text)
	}
	t, err := time.Parse(layout, text)
	if err != nil {
		return 0, 0, false
	}
	end := t.AddDate(0, 0, 1)
	switch layout {
	case "2006":
		end = t.AddDate(1, 0, 0)
	case "2006-01":
		end = t.AddDate(0, 1, 0)
	}
	return t.UnixMilli(), end.UnixMilli(), true
}

func timeSpan(text string) (from, to int64, ok bool) {
	// Unescaped, the + of an offset reaches the server as a blank (application/x-www-form-urlencoded); nothing else can be meant.
	if n := len(text) - len("+02:00"); n > 0 && text[n] == ' ' {
		text = text[:n] + "+" + text[n+1:]
	}
	const minute, second = "2006-01-02T15:04", "2006-01-02T15:04:05"
	// time.Parse would take an hour of one digit and a decimal comma.
	if len(text) < len(minute) || text[len("2006-01-02T15")] != ':' || strings.Contains(text, ",") {
		return 0, 0, false
	}
	layout, span := minute, time.Minute
	if len(text) > len(minute) && text[len(minute)] == ':' {
		layout, span = second, time.Second
		if len(text) > len(second) && text[len(second)] == '.' {
			span = time.Millisecond
		}
	}
	// The fraction needs no place in the layout: time.Parse reads one behind the seconds of any layout.
	t, err := time.Parse(layout+"Z07:00", text)
	if err != nil {
		if t, err = time.Parse(layout, text); err != nil {
			return 0, 0, false
		}
	}
	from = t.UnixMilli()
	return from, from + span.Milliseconds(), true
}
