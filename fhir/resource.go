// Package fhir owns the few things that Tributary knows about a FHIR R4 resource: its key, the fields that it routes on, the
// canonical hash by which contents are compared, and the splice of meta on the way out. Resources are bytes and stay bytes:
// nothing here may round-trip them through typed structs, because that loses what the struct does not know.
package fhir

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/syncerr"
)

// MaxDepth is the deepest nesting of objects and arrays that is accepted.
const MaxDepth = 200

// MaxBytes is the size limit of one resource in bytes where the database does not set a smaller one.
const MaxBytes = 16 << 20

// Resource is a resource as bytes, with the places of the fields that are routed on. Body is compact JSON, exactly what
// its author sent apart from white space between tokens.
type Resource struct {
	Key  Key
	Body []byte

	typeEnd     int  // offset behind the resourceType value
	id          span // value of id, empty where absent
	meta        span // value of meta
	versionID   span // member meta.versionId, name and value
	lastUpdated span // member meta.lastUpdated, name and value
	metaOther   bool // meta has other members than those two
	rest        bool // a REST document: it has a uuid, no resourceType, no id and no meta
}

type span struct{ from, to int }

func (s span) empty() bool { return s.to == 0 }

// Parse checks one resource strictly and finds what is routed on. limit is the size limit in bytes. It returns an Invalid
// error, naming the place, for anything that is not one JSON object with a resourceType of FHIR R4: doubled member names,
// invalid UTF-8, nesting over MaxDepth, a malformed id; and a TooLarge error for a body over the limit. The key's id is
// empty where the body has none.
func Parse(body []byte, limit int) (Resource, error) {
	dense, err := compact(body, limit)
	if err != nil {
		return Resource{}, err
	}
	r := Resource{Body: dense}
	if err := r.locate(); err != nil {
		if len(dense) < len(body) { // name the place as the author counts it
			sent := Resource{Body: body}
			if place := sent.locate(); place != nil {
				err = place
			}
		}
		return Resource{}, err
	}
	return r, nil
}

// compact leaves out the white space between tokens, in a new slice if there is any, and looks how large it is and how deep it
// nests. It knows of JSON only where tokens begin and end: what is not JSON stays so.
func compact(b []byte, limit int) ([]byte, error) {
	if limit > 0 && len(b) > limit {
		return nil, syncerr.New(syncerr.TooLarge, "read resource", "%d bytes, the limit is %d", len(b), limit)
	}
	var out []byte
	depth, kept := 0, 0 // out has what b has before kept
	for i := 0; i < len(b); {
		switch b[i] {
		case '"':
			i = stringEnd(b, i)
			continue
		case '{', '[':
			if depth++; depth > MaxDepth {
				return nil, syncerr.New(syncerr.Invalid, "read resource", "nested deeper than %d levels at byte %d", MaxDepth, i)
			}
		case '}', ']':
			depth--
		case ' ', '\t', '\n', '\r':
			if out == nil {
				out = make([]byte, 0, len(b))
			}
			out = append(out, b[kept:i]...)
			for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
				i++
			}
			kept = i
			if len(out) > 0 && i < len(b) && !delimits(out[len(out)-1]) && !delimits(b[i]) {
				out = append(out, ' ') // two literals side by side are an error, and must not become one
			}
			continue
		}
		i++
	}
	if kept == 0 {
		return b, nil
	}
	return append(out, b[kept:]...), nil
}

// stringEnd returns the offset behind the string that begins at from, or the end of b where the string does not end.
func stringEnd(b []byte, from int) int {
	i := from + 1
	for near := min(len(b), from+short); i < near; i++ { // most strings are short: no call is cheaper than one
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	for ; i < len(b); i++ {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			break
		}
		i += n
		slashes := 0
		for b[i-1-slashes] == '\\' { // ends at the quote in front, at the latest
			slashes++
		}
		if slashes%2 == 0 {
			return i + 1
		}
	}
	return len(b)
}

// short is how many bytes of a string are looked at one by one.
const short = 32

func delimits(c byte) bool {
	switch c {
	case '{', '}', '[', ']', ':', ',', '"':
		return true
	}
	return false
}

func jsonError(err error) error {
	if errors.Is(err, io.EOF) {
		err = errors.New("the body is empty")
	} else if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the body ends in the middle of the JSON")
	}
	return &syncerr.Error{Kind: syncerr.Invalid, Op: "read resource as JSON", Err: err}
}

func invalid(format string, args ...any) error {
	return syncerr.New(syncerr.Invalid, "read resource", format, args...)
}

func (r *Resource) locate() error {
	d := jsontext.NewDecoder(bytes.NewBuffer(r.Body)) // a Buffer is read in place
	if k := d.PeekKind(); k != '{' {
		if _, err := d.ReadToken(); err != nil {
			return jsonError(err)
		}
		return invalid("a resource is a JSON object, this is %s", kindName(k))
	}
	if _, err := d.ReadToken(); err != nil {
		return jsonError(err)
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return jsonError(err)
		}
		switch n := name.String(); {
		case r.rest && n == "uuid":
			err = readString(d, "uuid", &r.Key.ID, &r.id)
		case r.rest:
			err = d.SkipValue()
		case n == "resourceType":
			if err = readString(d, "resourceType", &r.Key.Type, nil); err == nil {
				r.typeEnd = int(d.InputOffset())
			}
		case n == "id":
			err = readString(d, "id", &r.Key.ID, &r.id)
		case n == "meta":
			err = r.locateMeta(d)
		default:
			err = d.SkipValue()
		}
		if err != nil {
			return asInvalid(err)
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return jsonError(err)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return invalid("there is more after the resource, at byte %d", d.InputOffset())
	}
	switch {
	case r.rest && !r.id.empty() && !ValidID(r.Key.ID):
		return invalid("uuid: %.100q is not one (1 to 64 of A-Z a-z 0-9 - .)", r.Key.ID)
	case r.rest:
	case r.Key.Type == "":
		return invalid("resourceType is missing")
	case !IsType(r.Key.Type):
		return invalid("resourceType: %.60q is not a resource type of FHIR R4", r.Key.Type)
	case !r.id.empty() && !ValidID(r.Key.ID):
		return invalid("id: %.100q is not a FHIR id (1 to 64 of A-Z a-z 0-9 - .)", r.Key.ID)
	}
	return nil
}

func asInvalid(err error) error {
	var e *syncerr.Error
	if errors.As(err, &e) {
		return err
	}
	return jsonError(err)
}

func readString(d *jsontext.Decoder, name string, to *string, at *span) error {
	if k := d.PeekKind(); k != '"' {
		if _, err := d.ReadValue(); err != nil {
			return err
		}
		return invalid("%s: must be a string, this is %s", name, kindName(k))
	}
	v, err := d.ReadValue()
	if err != nil {
		return err
	}
	end := int(d.InputOffset())
	if at != nil {
		*at = span{end - len(v), end}
	}
	b, err := jsontext.AppendUnquote(nil, v)
	*to = string(b)
	return err
}

func (r *Resource) locateMeta(d *jsontext.Decoder) error {
	if k := d.PeekKind(); k != '{' {
		if _, err := d.ReadValue(); err != nil {
			return err
		}
		return invalid("meta: must be an object, this is %s", kindName(k))
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	r.meta.from = int(d.InputOffset()) - 1
	for d.PeekKind() != '}' {
		nv, err := d.ReadValue()
		if err != nil {
			return err
		}
		from := int(d.InputOffset()) - len(nv)
		name := unquoted(nv)
		if err := d.SkipValue(); err != nil {
			return err
		}
		switch name {
		case "versionId":
			r.versionID = span{from, int(d.InputOffset())}
		case "lastUpdated":
			r.lastUpdated = span{from, int(d.InputOffset())}
		default:
			r.metaOther = true
		}
	}
	_, err := d.ReadToken()
	r.meta.to = int(d.InputOffset())
	return err
}

// unquoted returns what a member's name says: a name may be written with escapes too (RFC 8259 section 8.3).
func unquoted(name jsontext.Value) string {
	if bytes.IndexByte(name, '\\') < 0 {
		return string(name[1 : len(name)-1])
	}
	b, err := jsontext.AppendUnquote(nil, name)
	if err != nil {
		panic(fmt.Sprintf("bug: the decoder let a malformed name through: %v", err))
	}
	return string(b)
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "no JSON value"
	}
}

// WithID returns the resource with its id, or the uuid of a REST document, set, keeping all other bytes. It returns an Invalid error for a malformed id.
func (r Resource) WithID(id string) (Resource, error) {
	if !ValidID(id) {
		return Resource{}, invalid("id: %.100q is not a FHIR id", id)
	}
	if r.rest {
		return r.withUUID(id)
	}
	if r.Key.Type == "" {
		return Resource{}, invalid("there is no resource to give the id %q", id)
	}
	at, text := r.id, `"`+id+`"`
	if at.empty() {
		at, text = span{r.typeEnd, r.typeEnd}, `,"id":"`+id+`"`
	}
	out := r.edited(at, text)
	out.Key.ID = id
	out.id = span{at.from + len(text) - len(id) - 2, at.from + len(text)}
	return out, nil
}

// Bare returns the resource without meta.versionId and meta.lastUpdated, and without meta where nothing else is in it: the
// form that is stored, hashed and sent between nodes (DESIGN.md section 2, stamp).
func (r Resource) Bare() Resource {
	if r.meta.empty() {
		return r
	}
	if !r.metaOther {
		out := r.edited(widen(r.Body, span{r.memberStart(r.meta.from), r.meta.to}), "")
		out.meta, out.versionID, out.lastUpdated = span{}, span{}, span{}
		return out
	}
	out := r
	if !out.versionID.empty() {
		out = out.edited(widen(out.Body, out.versionID), "")
		out.versionID = span{}
	}
	if !out.lastUpdated.empty() {
		out = out.edited(widen(out.Body, out.lastUpdated), "")
		out.lastUpdated = span{}
	}
	return out
}

// memberStart returns the offset of the name whose value starts at the given one: compact JSON has `"meta":` before it.
func (r Resource) memberStart(value int) int {
	return bytes.LastIndexByte(r.Body[:value-2], '"')
}

// widen takes in one of the commas beside a member, so that what is left is JSON.
func widen(b []byte, s span) span {
	switch {
	case s.to < len(b) && b[s.to] == ',':
		s.to++
	case s.from > 0 && b[s.from-1] == ',':
		s.from--
	}
	return s
}

// edited returns the resource with other text at a place, and with the offsets that the text moves. What the place itself was
// is for the caller to say.
func (r Resource) edited(at span, text string) Resource {
	by := len(text) - (at.to - at.from)
	moved := func(offset int) int {
		if offset > at.from {
			return offset + by
		}
		return offset
	}
	both := func(s span) span { return span{moved(s.from), moved(s.to)} }
	out := r
	out.Body, out.typeEnd, out.id, out.meta = splice(r.Body, at, text), moved(r.typeEnd), both(r.id), both(r.meta)
	out.versionID, out.lastUpdated = both(r.versionID), both(r.lastUpdated)
	return out
}

// WithMeta returns the body with meta.versionId and meta.lastUpdated (an RFC 3339 instant) set, all other bytes kept.
// A REST document has no meta and stays as it is.
func (r Resource) WithMeta(versionID, lastUpdated string) []byte {
	if r.rest {
		return r.Body
	}
	bare := r.Bare()
	m := `"versionId":"` + versionID + `","lastUpdated":"` + lastUpdated + `"`
	if bare.meta.empty() {
		return splice(bare.Body, span{bare.typeEnd, bare.typeEnd}, `,"meta":{`+m+`}`)
	}
	at := bare.meta.from + 1
	return splice(bare.Body, span{at, at}, m+",")
}

func splice(b []byte, at span, text string) []byte {
	out := make([]byte, 0, len(b)-(at.to-at.from)+len(text))
	out = append(out, b[:at.from]...)
	out = append(out, text...)
	return append(out, b[at.to:]...)
}

// Hash returns the SHA-256 of the canonical form of the bare resource: members sorted by name (RFC 8785 section 3.2.3),
// strings in their shortest form, number literals untouched, because FHIR decimals keep their precision (FHIR R4
// datatypes, decimal).
func (r Resource) Hash() [32]byte {
	bare := r.Bare()
	b, err := canonical(bare.Body)
	if err != nil {
		panic(fmt.Sprintf("bug: a parsed resource has no canonical form: %v", err))
	}
	return sha256.Sum256(b)
}

// MarshalJSON writes the body as it is.
func (r Resource) MarshalJSON() ([]byte, error) { return json.RawMessage(r.Body), nil }
