package fhir

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// referenceName names the members whose value may point at another entry of a bundle (FHIR R4 http.html#trules: references,
// uri, url, oid, uuid). Identifier.value and the like are names that somebody gave, not links, and are left alone.
func referenceName(n string) bool {
	switch n {
	case "reference", "url", "uri", "valueUri", "valueUrl", "valueUuid", "valueOid":
		return true
	}
	return false
}

// Reference is one link found in a resource: its text and the byte offsets of the quoted JSON string.
type Reference struct {
	Text string
	at   span
}

// References returns the links of a resource in the order in which they stand. The body must have been parsed.
func References(body []byte) []Reference {
	var out []Reference
	d := jsontext.NewDecoder(bytes.NewBuffer(body)) // a Buffer is read in place
	name := ""
	for {
		k := d.PeekKind()
		if k == jsontext.KindInvalid {
			return out
		}
		if k != '"' {
			if _, err := d.ReadToken(); err != nil {
				return out
			}
			continue
		}
		kind, n := d.StackIndex(d.StackDepth())
		isName := kind == '{' && n%2 == 0
		v, err := d.ReadValue()
		if err != nil {
			return out
		}
		if isName {
			name = unquoted(v)
			continue
		}
		if kind == '{' && referenceName(name) {
			end := int(d.InputOffset())
			text, err := jsontext.AppendUnquote(nil, v)
			if err == nil {
				out = append(out, Reference{Text: string(text), at: span{end - len(v), end}})
			}
		}
	}
}

// RewriteReferences returns the body with each link replaced for which to answers true, keeping all other bytes. A fragment
// or version behind the link is the caller's concern: to sees the whole text.
func RewriteReferences(body []byte, to func(text string) (string, bool)) []byte {
	out, last := []byte(nil), 0
	for _, r := range References(body) {
		text, ok := to(r.Text)
		if !ok || text == r.Text {
			continue
		}
		quoted, err := jsontext.AppendQuote(nil, text)
		if err != nil {
			continue
		}
		out = append(out, body[last:r.at.from]...)
		out = append(out, quoted...)
		last = r.at.to
	}
	if out == nil {
		return body
	}
	return append(out, body[last:]...)
}

// LocalKey returns the key that a relative reference names: "Type/id", also with a version behind it.
func LocalKey(ref string) (Key, bool) {
	parts := strings.Split(ref, "/")
	if len(parts) == 4 && parts[2] == "_history" {
		parts = parts[:2]
	}
	if len(parts) != 2 {
		return Key{}, false
	}
	k := Key{Type: parts[0], ID: parts[1]}
	return k, IsType(k.Type) && ValidID(k.ID) // images/logo.png is no reference, and a REST document none that FHIR knows
}
