package search

import (
	"strings"
	"time"
)

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
