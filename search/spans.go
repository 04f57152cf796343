package search

import (
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// longSpan is how long a span of time may be, in milliseconds, to be found by its beginning where a search asks for its end. A
// longer one has a row for its end, too.
const longSpan = 32 * 24 * 3600 * 1000

// Bounds of instants in milliseconds since 1970 UTC: years 0000 to 9999, and ends that are open.
const (
	minInstant int64 = -62_167_219_200_000
	maxInstant int64 = 253_402_300_800_000
)

// digits sort as their values do, byte by byte.
const digits = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"

// sortable writes the lowest bits of a number so that the texts sort as the numbers do.
func sortable(n uint64, length int) string {
	var b [11]byte
	for i := length - 1; i >= 0; i-- {
		b[i] = digits[n&63]
		n >>= 6
	}
	return string(b[:length])
}

// instantKey is the form in which an instant stands in Value.Value.
func instantKey(millis int64) string {
	return sortable(uint64(min(max(millis, minInstant), maxInstant)-minInstant), 9)
}

// numberKey is the form in which a number stands in Value.Value.
func numberKey(f float64) string {
	if f == 0 {
		f = 0 // and not minus zero
	}
	bits := math.Float64bits(f)
	if bits>>63 == 1 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	return sortable(bits, 11)
}

func (w *walk) date(v gjson.Result, p *path) {
	switch {
	case v.Type == gjson.String:
		if from, to, ok := dateSpan(v.Str); ok {
			w.span(from, to, p)
		}
	case v.IsObject():
		start, end := member(v, "start"), member(v, "end")
		if start != "" || end != "" {
			w.period(start, end, p)
			return
		}
		for _, e := range v.Get("event").Array() {
			if e.Type == gjson.String {
				w.date(e, p)
			}
		}
		if bounds := v.Get("repeat.boundsPeriod"); bounds.IsObject() {
			w.period(member(bounds, "start"), member(bounds, "end"), p)
		}
	}
}

// period reads a Period; an end that is absent is open (FHIR R4 datatypes.html#Period).
func (w *walk) period(start, end string, p *path) {
	from, to := minInstant, maxInstant
	if start != "" {
		f, _, ok := dateSpan(start)
		if !ok {
			return
		}
		from = f
	}
	if end != "" {
		_, t, ok := dateSpan(end)
		if !ok {
			return
		}
		to = t
	}
	w.span(from, to, p)
}

func (w *walk) span(from, to int64, p *path) {
	from, to = max(from, minInstant), min(to, maxInstant)
	if from >= to {
		return
	}
	w.add(p.id, instantKey(from), to)
	if to-from > longSpan {
		w.add(variant(p, rowEnd), instantKey(to), from)
	}
}

// quantity reads a Quantity: its number under its code, with the system of the code, and under its unit, where that is another.
func (w *walk) quantity(v gjson.Result, id int32) {
	if !v.IsObject() {
		return
	}
	number := v.Get("value")
	f, err := strconv.ParseFloat(number.Raw, 64)
	if number.Type != gjson.Number || err != nil {
		return
	}
	code, unit := member(v, "code"), member(v, "unit")
	if code != "" || unit == "" {
		w.add(id, numberKey(f), unitSpace(member(v, "system"), code))
	}
	if unit != "" && unit != code {
		w.add(id, numberKey(f), unitSpace("", unit))
	}
}

// unitSpace is the number of a unit: 32 bits of its code, then 31 of its system.
func unitSpace(system, code string) int64 {
	if system == "" && code == "" {
		return 0
	}
	return unitBase(code) | space(system)>>32
}

// unitBase is the lowest unitSpace of a code, in whatever system; 1<<32-1 more is the highest.
func unitBase(code string) int64 { return space(code) >> 32 << 32 }

// decimalSpan returns the numbers that a decimal stands for by its precision: 5.4 is 5.35 to 5.45 (FHIR R4 search.html#quantity).
func decimalSpan(text string) (value, from, to float64, ok bool) {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(value, 0) || math.IsNaN(value) || strings.ContainsAny(text, "xXpP_iInN") {
		return 0, 0, 0, false
	}
	mantissa, exponent := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa = text[:i]
		if exponent, err = strconv.Atoi(text[i+1:]); err != nil {
			return 0, 0, 0, false
		}
	}
	if _, fraction, ok := strings.Cut(mantissa, "."); ok {
		exponent -= len(fraction)
	}
	// In decimals, because 5.4-0.05 in binary is not 5.35.
	whole, err := strconv.ParseInt(strings.Replace(mantissa, ".", "", 1), 10, 64)
	if err != nil || whole > math.MaxInt64/20 || whole < math.MinInt64/20 {
		return value, value, math.Nextafter(value, math.Inf(1)), true
	}
	edge := func(shift int64) float64 {
		f, err := strconv.ParseFloat(strconv.FormatInt(whole*10+shift, 10)+"e"+strconv.Itoa(exponent-1), 64)
		if err != nil {
			return value
		}
		return f
	}
	// More digits than a float has leave the edges at the number itself, or round beyond it.
	return value, min(edge(-5), value), max(edge(5), math.Nextafter(value, math.Inf(1))), true
}
