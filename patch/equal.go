package patch

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// equal compares two JSON values as a test does (RFC 6902 section 4.6): objects without regard to order, strings by what they say,
// numbers by their value.
func equal(a, b []byte) bool {
	da, db := canonical(a), canonical(b)
	if da == nil || db == nil {
		return false
	}
	for {
		ta, err := da.ReadToken()
		if err != nil {
			_, err := db.ReadToken()
			return err != nil
		}
		tb, err := db.ReadToken()
		if err != nil || ta.Kind() != tb.Kind() {
			return false
		}
		switch ta.Kind() {
		case '"':
			if ta.String() != tb.String() {
				return false
			}
		case '0':
			if !sameNumber(ta.String(), tb.String()) {
				return false
			}
		}
	}
}

func canonical(v []byte) *jsontext.Decoder {
	sorted, err := jsontext.AppendFormat(nil, v, jsontext.ReorderRawObjects(true), jsontext.CanonicalizeRawInts(false),
		jsontext.CanonicalizeRawFloats(false), jsontext.PreserveRawStrings(false))
	if err != nil {
		return nil
	}
	return jsontext.NewDecoder(bytes.NewReader(sorted))
}

// sameNumber compares two JSON number literals by value, without a limit of precision and without making large numbers.
func sameNumber(a, b string) bool {
	an, ad, ae := decimal(a)
	bn, bd, be := decimal(b)
	return an == bn && ad == bd && ae == be
}

// decimal returns a number literal as sign, digits without zeros at either end, and the power of ten of the first digit; zero has
// no sign.
func decimal(text string) (negative bool, digits string, power int) {
	text, negative = strings.CutPrefix(text, "-")
	at := strings.IndexAny(text, "eE")
	exponent := 0
	if at >= 0 {
		n, err := strconv.ParseInt(text[at+1:], 10, 32)
		if err != nil {
			n = math.MaxInt32
			if text[at+1] == '-' {
				n = math.MinInt32
			}
		}
		text, exponent = text[:at], int(n)
	}
	whole, fraction, _ := strings.Cut(text, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	power = len(whole) + exponent - (len(whole) + len(fraction) - len(digits))
	digits = strings.TrimRight(digits, "0")
	if digits == "" {
		return false, "", 0
	}
	return negative, digits, power
}
