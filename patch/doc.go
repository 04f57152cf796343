// Package patch owns the two languages in which FHIR changes a part of a resource: JSON Patch (RFC 6902) and FHIRPath Patch (FHIR R4
// fhirpatch.html). Both work on the bytes by splices: what a patch does not touch stays as it is, number literals and the order of
// members included (DESIGN.md, invariant 4). It is pure: bytes in, bytes out, all operations or none.
package patch

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

const (
	// MaxOperations bounds the operations of one patch.
	MaxOperations = 10_000
	// maxWork bounds the bytes that one patch may make this node look at and move: some seconds of work.
	maxWork = 1 << 30
)

// doc is a document under change: compact and valid JSON, of at most limit bytes.
type doc struct {
	b     []byte
	limit int
	work  int
}

// newDoc takes a document that is JSON; limit bounds, in bytes, what it may become, 0 for no limit.
func newDoc(body []byte, limit int) (*doc, error) {
	b, err := compact(body)
	if err != nil {
		return nil, err
	}
	return &doc{b: b, limit: limit}, nil
}

// span is a place in the document: the bytes of one value, or of a name and its value.
type span struct{ from, to int }

func (d *doc) at(s span) []byte { return d.b[s.from:s.to] }

func (d *doc) root() span { return span{0, len(d.b)} }

// spend counts work in bytes, and refuses more of it than a patch may make.
func (d *doc) spend(n int) error {
	if d.work += n + 64; d.work > maxWork {
		return syncerr.New(syncerr.TooLarge, "patch", "it takes more than this node does for one patch").
			WithHint("Send the whole resource as an update, or several smaller patches")
	}
	return nil
}

// splice puts text in the place of a span.
func (d *doc) splice(s span, text ...[]byte) error {
	n := len(d.b) - (s.to - s.from)
	for _, t := range text {
		n += len(t)
	}
	if d.limit > 0 && n > d.limit {
		return syncerr.New(syncerr.TooLarge, "patch", "it makes the resource larger than the %d bytes that this node takes", d.limit)
	}
	if err := d.spend(n); err != nil {
		return err
	}
	d.b = slices.Concat(d.b[:s.from], bytes.Join(text, nil), d.b[s.to:])
	return nil
}

// child is one member or element of a value.
type child struct {
	name  string // of a member
	index int    // in its container
	whole span   // name and value
	value span
}

// children calls f for what an object or array contains until it returns false. Other values contain nothing.
func (d *doc) children(s span, f func(child) bool) error {
	if err := d.spend(s.to - s.from); err != nil {
		return err
	}
	open := d.b[s.from]
	if open != '{' && open != '[' {
		return nil
	}
	for i, n := s.from+1, 0; i < s.to-1; n++ {
		c := child{index: n}
		c.whole.from = i
		if open == '{' {
			end := fhir.ValueEnd(d.b, i)
			c.name = fhir.Unquote(d.b[i:end])
			i = end + 1 // the colon
		}
		c.value = span{i, fhir.ValueEnd(d.b, i)}
		c.whole.to = c.value.to
		if !f(c) {
			return nil
		}
		i = c.value.to + 1 // the comma
	}
	return nil
}

// member finds a member of an object.
func (d *doc) member(s span, name string) (found child, ok bool, err error) {
	if d.b[s.from] != '{' {
		return child{}, false, nil
	}
	err = d.children(s, func(c child) bool {
		if c.name == name {
			found, ok = c, true
		}
		return !ok
	})
	return found, ok, err
}

// item finds an element of an array, and returns how many it has.
func (d *doc) item(s span, index int) (found child, n int, err error) {
	if d.b[s.from] != '[' {
		return child{}, 0, nil
	}
	err = d.children(s, func(c child) bool {
		if n++; c.index == index {
			found = c
		}
		return true
	})
	return found, n, err
}

// insert puts a value before the element of an array that has the index, or behind the last one.
func (d *doc) insert(array span, index int, value []byte) error {
	next, n, err := d.item(array, index)
	switch {
	case err != nil:
		return err
	case n == 0:
		return d.splice(span{array.from + 1, array.from + 1}, value)
	case index < n:
		return d.splice(span{next.value.from, next.value.from}, value, []byte(","))
	default:
		return d.splice(span{array.to - 1, array.to - 1}, []byte(","), value)
	}
}

// put sets a member of an object: in its place where there is one, else behind the last one.
func (d *doc) put(object span, name string, value []byte) error {
	c, ok, err := d.member(object, name)
	switch {
	case err != nil:
		return err
	case ok:
		return d.splice(c.value, value)
	}
	quoted, err := jsontext.AppendQuote(nil, name)
	if err != nil {
		return syncerr.New(syncerr.Invalid, "patch", "a name is not valid UTF-8")
	}
	comma := []byte(",")
	if object.to-object.from == 2 {
		comma = nil
	}
	return d.splice(span{object.to - 1, object.to - 1}, comma, quoted, []byte(":"), value)
}

// remove takes out a member or element, and one comma beside it.
func (d *doc) remove(c child) error {
	s := c.whole
	if d.b[s.to] == ',' {
		s.to++
	} else if d.b[s.from-1] == ',' {
		s.from--
	}
	return d.splice(s)
}

// compact checks a JSON value strictly (no doubled names, UTF-8, not deeper than a resource may be) and takes the white space out.
func compact(body []byte) ([]byte, error) {
	v := jsontext.Value(bytes.Clone(body))
	if err := v.Compact(); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			err = errors.New("it ends in the middle")
		}
		return nil, &syncerr.Error{Kind: syncerr.Invalid, Op: "read as JSON", Err: err}
	}
	depth := 0
	for i := 0; i < len(v); i++ {
		switch v[i] {
		case '"':
			i = fhir.ValueEnd(v, i) - 1
		case '{', '[':
			if depth++; depth > fhir.MaxDepth {
				return nil, syncerr.New(syncerr.Invalid, "read as JSON", "nested deeper than %d levels", fhir.MaxDepth)
			}
		case '}', ']':
			depth--
		}
	}
	return v, nil
}
