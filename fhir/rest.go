package fhir

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// CategoryAll is the feed of all types (DESIGN.md section 6); no type is called so.
const CategoryAll = "all"

// IsREST reports whether name is a REST type: one for documents that have no FHIR form, named as OpenMRS names its REST
// resources, [a-z][a-z0-9-]{0,31}. Feed categories ignore case, so a REST type is not called like a type of FHIR.
func IsREST(name string) bool {
	if len(name) == 0 || len(name) > 32 || name[0] < 'a' || name[0] > 'z' || name == CategoryAll {
		return false
	}
	for i := 1; i < len(name); i++ {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	for t := range strings.FieldsSeq(typeNames) {
		if strings.EqualFold(t, name) {
			return false
		}
	}
	return true
}

// IsKind reports whether a key may have the type: one of FHIR R4, or a REST type.
func IsKind(name string) bool { return IsType(name) || IsREST(name) }

// CategoryType returns the type whose feed has the category: an R4 type with case ignored, or a REST type.
func CategoryType(category string) (string, bool) {
	if t, ok := CanonicalType(category); ok {
		return t, true
	}
	return category, IsREST(category)
}

// ParseAs checks a document of a type: as Parse does one of FHIR, as ParseREST does one of a REST type.
func ParseAs(kind string, body []byte, limit int) (Resource, error) {
	if IsREST(kind) {
		return ParseREST(kind, body, limit)
	}
	return Parse(body, limit)
}

// ParseREST checks a document of a REST type as strictly as Parse does a resource, by the same limits. It is one JSON object; its
// uuid, where it has one, becomes the key's id. Nothing else in it has a meaning here, and nothing is ever written into it but a
// uuid where that is missing: there is no meta. The errors are those of Parse.
func ParseREST(kind string, body []byte, limit int) (Resource, error) {
	if !IsREST(kind) {
		return Resource{}, invalid("%.60q is no type of REST documents", kind)
	}
	dense, err := compact(body, limit)
	if err != nil {
		return Resource{}, err
	}
	r := Resource{Body: dense, Key: Key{Type: kind}, rest: true}
	if err := r.locate(); err != nil {
		return Resource{}, err
	}
	return r, nil
}

// withUUID returns a REST document with its uuid set, as the first member where it had none.
func (r Resource) withUUID(id string) (Resource, error) {
	out := Resource{Key: Key{Type: r.Key.Type}, rest: true}
	switch {
	case !r.id.empty():
		out.Body = splice(r.Body, r.id, `"`+id+`"`)
	case len(r.Body) == len("{}"):
		out.Body = []byte(`{"uuid":"` + id + `"}`)
	default:
		out.Body = splice(r.Body, span{1, 1}, `"uuid":"`+id+`",`)
	}
	return out, out.locate()
}

// Merge returns the document with the top-level members of another one in the place of its own of the same name, as OpenMRS updates:
// members that other does not have keep their bytes, new ones stand at the end. The key's id is the receiver's. Both are REST documents.
func (r Resource) Merge(other Resource) (Resource, error) {
	mine, err := members(r.Body)
	if err != nil {
		return Resource{}, err
	}
	theirs, err := members(other.Body)
	if err != nil {
		return Resource{}, err
	}
	at := make(map[string]int, len(mine))
	for i, m := range mine {
		at[m.name] = i
	}
	for _, m := range theirs {
		if i, ok := at[m.name]; ok {
			mine[i] = m
		} else {
			mine = append(mine, m)
		}
	}
	b := []byte{'{'}
	for i, m := range mine {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, m.text...)
	}
	out := Resource{Body: append(b, '}'), Key: Key{Type: r.Key.Type}, rest: true}
	return out, out.locate()
}

// Member returns the JSON text of a top-level member; nil where there is none.
func (r Resource) Member(name string) []byte {
	all, err := members(r.Body)
	if err != nil {
		return nil
	}
	for _, m := range all {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

type member struct {
	name  string
	text  []byte // name and value as they stand
	value []byte
}

// members returns the top-level members of a compact object.
func members(body []byte) ([]member, error) {
	d := jsontext.NewDecoder(bytes.NewReader(body))
	if _, err := d.ReadToken(); err != nil {
		return nil, jsonError(err)
	}
	var out []member
	for d.PeekKind() != '}' {
		name, err := d.ReadValue()
		if err != nil {
			return nil, jsonError(err)
		}
		m := member{name: unquoted(name)}
		from := int(d.InputOffset()) - len(name)
		v, err := d.ReadValue()
		if err != nil {
			return nil, jsonError(err)
		}
		end := int(d.InputOffset())
		m.text, m.value = body[from:end], body[end-len(v):end]
		out = append(out, m)
	}
	return out, nil
}
