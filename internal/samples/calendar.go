package samples

import (
	"strconv"
	"time"
)

// Days are counted from 1970-01-01, instants in seconds from there in UTC.

func civil(day int) (year int, month time.Month, dayOfMonth int) {
	return time.Unix(int64(day)*daySeconds, 0).UTC().Date()
}

// date returns a FHIR date (FHIR R4 section 2.24.0.1).
func date(day int) string {
	var b [16]byte
	return string(appendDate(b[:0], day))
}

func appendDate(b []byte, day int) []byte {
	y, m, d := civil(day)
	b = strconv.AppendInt(b, int64(y), 10)
	return append(b, '-', byte('0'+m/10), byte('0'+m%10), '-', byte('0'+d/10), byte('0'+d%10))
}

// moment returns a FHIR dateTime, which is a valid instant too, in the local time of the region (FHIR R4 section
// 2.24.0.1).
func (g *region) moment(at int64) string {
	off := g.offset
	if g.summer != nil && g.summer(at) {
		off += 60
	}
	local := at + int64(off)*60
	day, sec := int(local/daySeconds), int(local%daySeconds)
	if sec < 0 {
		day, sec = day-1, sec+daySeconds
	}
	b := make([]byte, 0, 32)
	b = appendDate(b, day)
	b = append(b, 'T')
	b = appendClock(b, sec/3600, sec/60%60)
	b = append(b, ':', byte('0'+sec%60/10), byte('0'+sec%10))
	sign := byte('+')
	if off < 0 {
		sign, off = '-', -off
	}
	return string(appendClock(append(b, sign), off/60, off%60))
}

func appendClock(b []byte, hour, minute int) []byte {
	return append(b, byte('0'+hour/10), byte('0'+hour%10), ':', byte('0'+minute/10), byte('0'+minute%10))
}

// europeanSummer: from the last Sunday of March to that of October, changing at 01:00 UTC (Directive 2000/84/EC).
func europeanSummer(at int64) bool {
	year, _, _ := civil(int(at / daySeconds))
	return at >= sundayBefore(year, time.April)+3600 && at < sundayBefore(year, time.November)+3600
}

// americanSummer: from the second Sunday of March to the first of November, changing at 02:00 local time, as Haiti does
// (tz database, America/Port-au-Prince).
func americanSummer(at int64) bool {
	year, _, _ := civil(int(at / daySeconds))
	return at >= sundayBefore(year, time.March)+14*daySeconds+7*3600 && at < sundayBefore(year, time.November)+7*daySeconds+6*3600
}

// sundayBefore returns the start, in UTC, of the last Sunday before the first day of the month.
func sundayBefore(year int, month time.Month) int64 {
	last := time.Date(year, month, 0, 0, 0, 0, 0, time.UTC)
	return last.Unix() - int64(last.Weekday())*daySeconds
}
