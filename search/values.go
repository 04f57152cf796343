package search

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/fhir"
)

// Value is one row of the index: the value that a resource has for a search parameter.
type Value struct {
	Name   string // Identifier or Patient
	System string // the identifier's system, empty where it has none
	Value  string // the identifier's value, or the reference
}

// Values returns the index rows of a resource, sorted and without doubles. System and Value went through Key, so neither is
// longer than 200 bytes. The body is that of a parsed resource (fhir.Parse); of one that is no JSON, it returns what stands
// before the fault.
func Values(key fhir.Key, body []byte) []Value {
	w := walk{}
	if hasIdentifier(key.Type) {
		w.want("identifier", Identifier)
		if hasMasterIdentifier(key.Type) {
			w.want("masterIdentifier", Identifier)
		}
	}
	for paths := patientPaths(key.Type); paths != ""; {
		path, rest, _ := strings.Cut(paths, " ")
		w.want(path, Patient)
		paths = rest
	}
	if w.wants == 0 {
		return nil
	}
	// A bytes.Buffer is read in place, without a copy. fhir.Parse has refused doubled names already.
	w.in = jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))
	w.resource()
	slices.SortFunc(w.rows, Value.compare)
	return slices.Compact(w.rows)
}

func (v Value) compare(o Value) int {
	return cmp.Or(strings.Compare(v.Name, o.Name), strings.Compare(v.System, o.System), strings.Compare(v.Value, o.Value))
}

// walk reads a resource once, from its start to the last element that is wanted.
type walk struct {
	in      *jsontext.Decoder
	wanted  [3]want
	wants   int
	rows    []Value
	scratch []byte
}

// want is an element to be read: the name at the top, the name below it (empty where the value stands at the top) and the
// search parameter that it serves.
type want struct{ top, below, parameter string }

func (w *walk) want(path, parameter string) {
	top, below, _ := strings.Cut(path, ".")
	w.wanted[w.wants] = want{top, below, parameter}
	w.wants++
}

func (w *walk) resource() {
	if w.in.PeekKind() != '{' {
		return
	}
	left := w.wants
	w.object(func(name []byte) bool {
		for _, want := range w.wanted[:w.wants] {
			if string(name) == want.top {
				left--
				return w.each(func() bool { return w.element(want) }) && left > 0
			}
		}
		return w.skip()
	})
}

// element reads one object of a wanted element.
func (w *walk) element(want want) bool {
	switch {
	case want.below != "":
		return w.object(func(name []byte) bool {
			if string(name) == want.below {
				want.below = ""
				return w.each(func() bool { return w.element(want) })
			}
			return w.skip()
		})
	case want.parameter == Identifier:
		return w.identifier()
	default:
		return w.reference()
	}
}

func (w *walk) identifier() bool {
	var system, value string
	ok := w.object(func(name []byte) bool {
		switch string(name) {
		case "system":
			return w.text(&system)
		case "value":
			return w.text(&value)
		default:
			return w.skip()
		}
	})
	if v := (Value{Identifier, Key(system), Key(value)}); ok && (v.System != "" || v.Value != "") {
		w.rows = append(w.rows, v)
	}
	return ok
}

func (w *walk) reference() bool {
	var text, declared string
	ok := w.object(func(name []byte) bool {
		switch string(name) {
		case "reference":
			return w.text(&text)
		case "type":
			return w.text(&declared)
		default:
			return w.skip()
		}
	})
	if row, is := patientRow(text, declared); ok && is {
		w.rows = append(w.rows, Value{Name: Patient, Value: Key(row)})
	}
	return ok
}

// object reads the object at hand and calls member with the name of each of its members, to read the value. It stops where
// member answers false, and answers false where the walk is to end.
func (w *walk) object(member func(name []byte) bool) bool {
	if _, err := w.in.ReadToken(); err != nil {
		return false
	}
	for {
		switch w.in.PeekKind() {
		case '"':
			name, ok := w.string()
			if !ok || !member(name) {
				return false
			}
		case '}':
			_, err := w.in.ReadToken()
			return err == nil
		default:
			return false
		}
	}
}

// each calls read for the object at hand, or for each object of the array at hand; everything else is passed over.
func (w *walk) each(read func() bool) bool {
	switch w.in.PeekKind() {
	case '{':
		return read()
	case '[':
		if _, err := w.in.ReadToken(); err != nil {
			return false
		}
		for {
			switch w.in.PeekKind() {
			case ']':
				_, err := w.in.ReadToken()
				return err == nil
			case '{':
				if !read() {
					return false
				}
			default:
				if !w.skip() {
					return false
				}
			}
		}
	default:
		return w.skip()
	}
}

// skip passes over a value. ReadValue, unlike SkipValue, does it without making tokens.
func (w *walk) skip() bool {
	_, err := w.in.ReadValue()
	return err == nil
}

// text reads a string into to; a value that is no string is passed over.
func (w *walk) text(to *string) bool {
	if w.in.PeekKind() != '"' {
		return w.skip()
	}
	b, ok := w.string()
	*to = string(b)
	return ok
}

// string returns the string at hand, valid until the next read.
func (w *walk) string() ([]byte, bool) {
	quoted, err := w.in.ReadValue()
	if err != nil {
		return nil, false
	}
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], true
	}
	w.scratch, err = jsontext.AppendUnquote(w.scratch[:0], quoted)
	return w.scratch, err == nil
}
