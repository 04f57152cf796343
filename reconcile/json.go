package reconcile

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/fhir"
)

// elem is an element as it stands in JSON: its value and, for primitives, the id and extensions that stand beside it under its name with
// an underscore (FHIR R4 json.html#primitive). Both are nil where the element is absent.
type elem struct{ raw, ext []byte }

func (e elem) absent() bool { return e.raw == nil && e.ext == nil }

func (e elem) kind() byte {
	switch {
	case e.raw != nil:
		return e.raw[0]
	case e.ext != nil:
		return e.ext[0]
	default:
		return 0
	}
}

// member is an element of an object.
type member struct {
	key  string // the element as FHIRPath names it; the name in JSON where no definition says more
	name string // in JSON
	typ  string // of the value; "" where it is not known
	elem
}

// each calls f for what an object or array contains. A member of an array has no name.
func each(raw []byte, f func(name, value []byte)) {
	if raw == nil || raw[0] != '{' && raw[0] != '[' {
		return
	}
	for i := 1; i < len(raw)-1; {
		var name []byte
		if raw[0] == '{' {
			end := fhir.ValueEnd(raw, i)
			name = raw[i:end]
			i = end + 1 // the colon
		}
		end := fhir.ValueEnd(raw, i)
		f(name, raw[i:end])
		i = end + 1 // the comma
	}
}

// text returns what a member of an object says if it is a string, else "".
func text(raw []byte, name string) string {
	if v := field(raw, name); v != nil && v[0] == '"' {
		return fhir.Unquote(v)
	}
	return ""
}

// field returns the value of a member of an object, nil where there is none.
func field(raw []byte, name string) []byte {
	if raw == nil || raw[0] != '{' {
		return nil
	}
	for i := 1; i < len(raw)-1; {
		colon := fhir.ValueEnd(raw, i)
		end := fhir.ValueEnd(raw, colon+1)
		if string(raw[i+1:colon-1]) == name {
			return raw[colon+1 : end]
		}
		i = end + 1
	}
	return nil
}

// members appends the elements of an object of a type.
func (m *merger) members(out []member, owner string, raw []byte) []member {
	if raw == nil || raw[0] != '{' {
		return out
	}
	at, names := &m.keys, m.namesOf(owner)
	at.reset()
	for i := 1; i < len(raw)-1; {
		colon := fhir.ValueEnd(raw, i)
		end := fhir.ValueEnd(raw, colon+1)
		x, ok := names[string(raw[i:colon])]
		if !ok {
			x = m.nameOf(owner, raw[i:colon])
			names[string(raw[i:colon])] = x
		}
		value := raw[colon+1 : end]
		i = end + 1 // the comma
		n := at.of(x.key)
		if n >= 0 && out[n].name != x.name { // two types of one choice: nothing that a definition allows
			x.key = x.name
			n = at.of(x.key)
		}
		if n < 0 {
			n = len(out)
			out = append(out, x.member)
			at.add(x.key)
		}
		if x.beside {
			out[n].ext = value
		} else {
			out[n].raw = value
		}
	}
	return out
}

// few is up to how many keys are found fastest by looking at one after the other.
const few = 16

// places finds keys in the order in which they were added.
type places struct {
	keys []string
	at   map[string]int // where there are many
}

func (p *places) reset() { p.keys, p.at = p.keys[:0], nil }

func (p *places) of(key string) int {
	if p.at != nil {
		if i, ok := p.at[key]; ok {
			return i
		}
		return -1
	}
	return slices.Index(p.keys, key)
}

func (p *places) add(key string) {
	p.keys = append(p.keys, key)
	switch {
	case p.at != nil:
		p.at[key] = len(p.keys) - 1
	case len(p.keys) > few:
		p.at = make(map[string]int, 2*few)
		for i, k := range p.keys {
			p.at[k] = i
		}
	}
}

// label is what the definitions say of a name that JSON has in objects of a type.
type label struct {
	member
	beside bool // it is what stands beside a primitive
}

func (m *merger) namesOf(owner string) map[string]label {
	names, ok := m.names[owner]
	if !ok {
		names = map[string]label{}
		m.names[owner] = names
	}
	return names
}

func (m *merger) nameOf(owner string, quoted []byte) label {
	x := label{member: member{name: fhir.Unquote(quoted)}}
	x.key = x.name
	if owner == "" {
		return x
	}
	el, known := fhir.ElementOf(owner, x.name)
	if without, shadow := strings.CutPrefix(x.name, "_"); !known && shadow {
		if el, known = fhir.ElementOf(owner, without); known {
			x.name, x.beside = without, true
		}
	}
	if known {
		x.key = el.Name
		if len(el.Types) == 1 {
			x.typ = el.Types[0]
		}
	}
	return x
}

// object writes members as JSON.
func object(members []member) []byte {
	n := 2
	for _, x := range members {
		n += 2*len(x.name) + len(x.raw) + len(x.ext) + 9
	}
	out := append(make([]byte, 0, n), '{')
	add := func(name string, value []byte) {
		if value == nil {
			return
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, quoted(name)...), ':'), value...)
	}
	for _, x := range members {
		add(x.name, x.raw)
		add("_"+x.name, x.ext)
	}
	return append(out, '}')
}

// items returns the values of a list.
func items(e elem) []elem {
	var out []elem
	each(e.raw, func(_, value []byte) { out = append(out, elem{raw: value}) })
	if e.ext == nil {
		return out
	}
	i := 0
	each(e.ext, func(_, value []byte) {
		if i == len(out) {
			out = append(out, elem{})
		}
		if string(value) != "null" {
			out[i].ext = value
			if string(out[i].raw) == "null" {
				out[i].raw = nil
			}
		}
		i++
	})
	return out
}

// array writes values as a list, both parts absent if there are none.
func array(values []elem) elem {
	if len(values) == 0 {
		return elem{}
	}
	raws, exts := make([][]byte, len(values)), make([][]byte, len(values))
	var raw, ext bool
	for i, v := range values {
		raws[i], exts[i] = v.raw, v.ext
		raw, ext = raw || v.raw != nil, ext || v.ext != nil
	}
	var e elem
	if raw {
		e.raw = listed(raws)
	}
	if ext {
		e.ext = listed(exts)
	}
	return e
}

func listed(values [][]byte) []byte {
	for i, v := range values {
		if v == nil {
			values[i] = []byte("null")
		}
	}
	return append(append([]byte{'['}, bytes.Join(values, []byte(","))...), ']')
}

// same compares elements by what they say: objects without regard to the order of members, strings without regard to how they are
// escaped, number literals as they are, because FHIR decimals keep their precision (FHIR R4 datatypes.html#decimal).
func same(a, b elem) bool { return sameJSON(a.raw, b.raw) && sameJSON(a.ext, b.ext) }

func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if len(a) == 0 || len(b) == 0 || a[0] != b[0] {
		return false
	}
	switch a[0] {
	case '"':
		return (bytes.IndexByte(a, '\\') >= 0 || bytes.IndexByte(b, '\\') >= 0) && fhir.Unquote(a) == fhir.Unquote(b)
	case '[':
		return sameItems(a, b)
	case '{':
		return sameMembers(a, b)
	}
	return false
}

func sameItems(a, b []byte) bool {
	i, j := 1, 1
	for i < len(a)-1 && j < len(b)-1 {
		m, n := fhir.ValueEnd(a, i), fhir.ValueEnd(b, j)
		if !sameJSON(a[i:m], b[j:n]) {
			return false
		}
		i, j = m+1, n+1
	}
	return i >= len(a)-1 && j >= len(b)-1
}

func sameMembers(a, b []byte) bool {
	i, j := 1, 1
	for i < len(a)-1 && j < len(b)-1 {
		m, n := fhir.ValueEnd(a, i), fhir.ValueEnd(b, j)
		if !bytes.Equal(a[i:m], b[j:n]) {
			return sameInAnyOrder(a, b)
		}
		end, other := fhir.ValueEnd(a, m+1), fhir.ValueEnd(b, n+1)
		if !sameJSON(a[m+1:end], b[n+1:other]) {
			return false
		}
		i, j = end+1, other+1
	}
	return i >= len(a)-1 && j >= len(b)-1
}

func sameInAnyOrder(a, b []byte) bool {
	values := map[string][]byte{}
	each(a, func(name, value []byte) { values[fhir.Unquote(name)] = value })
	n, equal := 0, true
	each(b, func(name, value []byte) {
		v, ok := values[fhir.Unquote(name)]
		equal = equal && ok && sameJSON(v, value)
		n++
	})
	return equal && n == len(values)
}

// quoted returns a name as JSON writes it.
func quoted(name string) []byte {
	b, err := jsontext.AppendQuote(nil, name)
	if err != nil {
		panic("bug: a name of parsed JSON is not UTF-8")
	}
	return b
}
