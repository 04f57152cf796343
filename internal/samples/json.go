package samples

import (
	"strconv"
	"unicode/utf8"
)

// writer appends compact JSON to b. It sets commas by itself: outside of a string the last byte tells whether a value
// came before.
type writer struct{ b []byte }

func (w *writer) key(key string) {
	if n := len(w.b); n > 0 {
		if c := w.b[n-1]; c != '{' && c != '[' {
			w.b = append(w.b, ',')
		}
	}
	if key != "" {
		w.b = append(w.b, '"')
		w.b = append(w.b, key...)
		w.b = append(w.b, '"', ':')
	}
}

// open starts an object: a member of an object, or with the key "" an element of a list.
func (w *writer) open(key string) {
	w.key(key)
	w.b = append(w.b, '{')
}

func (w *writer) close() { w.b = append(w.b, '}') }

func (w *writer) list(key string) {
	w.key(key)
	w.b = append(w.b, '[')
}

func (w *writer) closeList() { w.b = append(w.b, ']') }

func (w *writer) str(key, value string) {
	w.key(key)
	w.b = append(w.b, '"')
	w.b = appendEscaped(w.b, value)
	w.b = append(w.b, '"')
}

// raw writes a value that is JSON already: true, false or a number.
func (w *writer) raw(key, value string) {
	w.key(key)
	w.b = append(w.b, value...)
}

func (w *writer) num(key string, value int) {
	w.key(key)
	w.b = strconv.AppendInt(w.b, int64(value), 10)
}

// dec writes value / 10^places with exactly that many decimal places.
func (w *writer) dec(key string, value, places int) {
	w.key(key)
	w.b = appendDecimal(w.b, value, places)
}

func appendDecimal(b []byte, value, places int) []byte {
	if value < 0 {
		b, value = append(b, '-'), -value
	}
	div := 1
	for range places {
		div *= 10
	}
	b = strconv.AppendInt(b, int64(value/div), 10)
	if places > 0 {
		b = append(b, '.')
		for div /= 10; div > 0; div /= 10 {
			b = append(b, byte('0'+value/div%10))
		}
	}
	return b
}

func decimal(value, places int) string {
	var b [24]byte
	return string(appendDecimal(b[:0], value, places))
}

// appendEscaped appends s as the inside of a JSON string (RFC 8259 section 7). Bytes that are not UTF-8 become U+FFFD.
func appendEscaped(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
			b = append(append(b, s[start:i]...), "\uFFFD"...)
			i++
			start = i
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	return append(b, s[start:]...)
}

// xhtml appends s as character data inside of a JSON string: what XML reserves becomes an entity, and what
// XML 1.0 section 2.2 forbids is left out.
func (w *writer) xhtml(s string) {
	start := 0
	for i := range len(s) {
		var entity string
		switch c := s[i]; {
		case c == '&':
			entity = "&amp;"
		case c == '<':
			entity = "&lt;"
		case c == '>':
			entity = "&gt;"
		case c == '"':
			entity = "&quot;"
		case c < ' ' && c != '\n':
		default:
			continue
		}
		w.b = appendEscaped(w.b, s[start:i])
		w.b = append(w.b, entity...)
		start = i + 1
	}
	w.b = appendEscaped(w.b, s[start:])
}

// narrative starts the resource's text (FHIR R4 section 2.1.4.1, Narrative); endNarrative ends it.
func (w *writer) narrative(title string) {
	w.b = append(w.b, `,"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><h3>`...)
	w.xhtml(title)
	w.b = append(w.b, `</h3><table><tbody>`...)
}

func (w *writer) row(label string, parts ...string) {
	w.b = append(w.b, `<tr><th>`...)
	w.xhtml(label)
	w.b = append(w.b, `</th><td>`...)
	for _, p := range parts {
		w.xhtml(p)
	}
	w.b = append(w.b, `</td></tr>`...)
}

func (w *writer) endNarrative(remark string) {
	w.b = append(w.b, `</tbody></table>`...)
	if remark != "" {
		w.b = append(w.b, `<p>`...)
		w.xhtml(remark)
		w.b = append(w.b, `</p>`...)
	}
	w.b = append(w.b, `</div>"}`...)
}
