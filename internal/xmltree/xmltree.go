// Package xmltree reads small XML documents of peers strictly, as trees, and writes them. It owns the limits that keep hostile documents out, and
// knows nothing of what the elements mean.
package xmltree

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tributary-sync/tributary/syncerr"
)

// The limits of a document beside its size in bytes.
const (
	maxDepth      = 64
	maxElements   = 400_000
	maxAttributes = 32 // of one element
)

// Element is a part of a document that was read. Child, All, Value and Attr find names in those namespaces that the reader takes for its own.
type Element struct {
	Name     xml.Name
	Attrs    []xml.Attr
	Text     string // its own, white space around it taken off
	Children []*Element
	ours     func(space string) bool
}

func bad(format string, args ...any) error {
	return syncerr.New(syncerr.Invalid, "read XML", format, args...)
}

// Parse reads a document of UTF-8 XML strictly: no document type, so no entities but those of XML, and within the limits. It returns an
// Invalid error for anything else.
func Parse(body []byte, ours func(space string) bool) (*Element, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(body) {
		return nil, bad("it is not in UTF-8")
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	var top *Element
	var open []*Element
	var texts []*strings.Builder
	elements := 0
	for {
		t, err := d.Token()
		if err == io.EOF && top != nil && len(open) == 0 {
			return top, nil
		}
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil, bad("it is empty or ends in the middle")
			}
			return nil, syncerr.Wrap(syncerr.Invalid, "read XML", err)
		}
		switch t := t.(type) {
		case xml.Directive:
			return nil, bad("document types and entities are refused")
		case xml.CharData:
			if len(open) > 0 {
				texts[len(texts)-1].Write(t)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, bad("text stands outside of the document")
			}
		case xml.StartElement:
			elements++
			switch {
			case len(open) >= maxDepth:
				return nil, bad("elements are nested deeper than %d", maxDepth)
			case elements > maxElements:
				return nil, bad("it has more than %d elements", maxElements)
			case len(t.Attr) > maxAttributes:
				return nil, bad("an element has more than %d attributes", maxAttributes)
			case top != nil && len(open) == 0:
				return nil, bad("it has more than one root")
			}
			e := &Element{Name: t.Name, Attrs: slices.Clone(t.Attr), ours: ours}
			if top == nil {
				top = e
			} else {
				parent := open[len(open)-1]
				parent.Children = append(parent.Children, e)
			}
			open, texts = append(open, e), append(texts, &strings.Builder{})
		case xml.EndElement:
			last := len(open) - 1
			open[last].Text = strings.TrimSpace(texts[last].String())
			open, texts = open[:last], texts[:last]
		}
	}
}

// Child returns the first own child with that name, case ignored.
func (e *Element) Child(name string) *Element {
	if e == nil {
		return nil
	}
	for _, c := range e.Children {
		if e.ours(c.Name.Space) && strings.EqualFold(c.Name.Local, name) {
			return c
		}
	}
	return nil
}

// All returns the own children with that name.
func (e *Element) All(name string) []*Element {
	var out []*Element
	for _, c := range e.Children {
		if e.ours(c.Name.Space) && strings.EqualFold(c.Name.Local, name) {
			out = append(out, c)
		}
	}
	return out
}

// In returns the first child with that name in a namespace.
func (e *Element) In(space, name string) *Element {
	if e == nil {
		return nil
	}
	for _, c := range e.Children {
		if c.Name.Space == space && c.Name.Local == name {
			return c
		}
	}
	return nil
}

// Value returns the text of the first own child with that name.
func (e *Element) Value(name string) string {
	if c := e.Child(name); c != nil {
		return c.Text
	}
	return ""
}

// Attr returns an attribute by its local name in the own namespaces or none, case ignored.
func (e *Element) Attr(name string) string {
	if e == nil {
		return ""
	}
	for _, a := range e.Attrs {
		if (a.Name.Space == "" || e.ours(a.Name.Space)) && strings.EqualFold(a.Name.Local, name) {
			return a.Value
		}
	}
	return ""
}
