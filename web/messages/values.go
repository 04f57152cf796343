package messages

import (
	"strconv"
	"strings"
	"time"
)

// Bytes is a size.
type Bytes int64

// Number writes a whole number with the separators of the language: 1,234,567.
func (l *Language) Number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	if least, err := strconv.Atoi(l.Text("number.grouped_from")); err == nil && len(digits) < least {
		return sign + digits
	}
	separator := l.Text("number.group")
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteString(separator)
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// Decimal writes a number with one digit behind the decimal sign.
func (l *Language) Decimal(x float64) string {
	whole, rest, _ := strings.Cut(strconv.FormatFloat(x, 'f', 1, 64), ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return whole + l.Text("number.decimal") + rest
	}
	if sign := ""; n == 0 && strings.HasPrefix(whole, "-") {
		sign = "-"
		return sign + "0" + l.Text("number.decimal") + rest
	}
	return l.Number(n) + l.Text("number.decimal") + rest
}

// Size writes a number of bytes as people do, in units of a thousand: "48 kB", "2.5 MB".
func (l *Language) Size(b Bytes) string {
	switch {
	case b < 1000:
		return l.Text("size.bytes", "n", int64(b))
	case b < 999_500:
		return l.Text("size.kb", "x", l.Number(int64(b+500)/1000))
	case b < 999_950_000:
		return l.Text("size.mb", "x", l.Decimal(float64(b)/1e6))
	}
	return l.Text("size.gb", "x", l.Decimal(float64(b)/1e9))
}

// Span says how long something takes, in the unit that a person would use: "5 s", "2 min", "3 h", "5 days".
func (l *Language) Span(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return l.Text("time.seconds", "n", int64(d/time.Second))
	case d < 90*time.Minute:
		return l.Text("time.minutes", "n", int64(d/time.Minute))
	case d < 36*time.Hour:
		return l.Text("time.hours", "n", int64(d/time.Hour))
	}
	return l.Text("time.days", "n", int64(d/(24*time.Hour)))
}

// Ago says how long before now a time was, both in milliseconds since 1970 UTC, and "never" for 0.
func (l *Language) Ago(now, at int64) string {
	if at == 0 {
		return l.Text("time.never")
	}
	d := time.Duration(now-at) * time.Millisecond
	switch {
	case d > -time.Second && d < 5*time.Second:
		return l.Text("time.now")
	case d < 0:
		return l.Text("time.in", "span", -d)
	}
	return l.Text("time.ago", "span", d)
}

// Clock writes the time of a day: "08:15".
func (l *Language) Clock(t time.Time) string { return t.Format("15:04") }

// Date writes a day: "1 Mar 2026".
func (l *Language) Date(t time.Time) string {
	return l.Text("time.date", "day", strconv.Itoa(t.Day()), "month", l.month(t), "year", strconv.Itoa(t.Year()))
}

// Day writes a day of this year: "1 Mar".
func (l *Language) Day(t time.Time) string {
	return l.Text("time.day", "day", strconv.Itoa(t.Day()), "month", l.month(t))
}

func (l *Language) month(t time.Time) string {
	return strings.Fields(l.Text("time.months"))[int(t.Month())-1]
}

// Moment writes a day and a time: "1 Mar 2026, 08:15".
func (l *Language) Moment(t time.Time) string {
	return l.Text("time.moment", "date", l.Date(t), "clock", l.Clock(t))
}
