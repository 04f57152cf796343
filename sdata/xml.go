package sdata

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

// element is a part of a document that was read.
type element struct {
	name     xml.Name
	attrs    []xml.Attr
	text     string // its own, white space around it taken off
	children []*element
}

func bad(format string, args ...any) error {
	return syncerr.New(syncerr.Invalid, "read SData document", format, args...)
}

// parse reads a document of UTF-8 XML strictly: no document type, so no entities but those of XML, and within the limits. It returns an
// Invalid error for anything else.
func parse(body []byte) (*element, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(body) {
		return nil, bad("it is not in UTF-8")
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	var top *element
	var open []*element
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
			return nil, syncerr.Wrap(syncerr.Invalid, "read SData document", err)
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
			e := &element{name: t.Name, attrs: slices.Clone(t.Attr)}
			if top == nil {
				top = e
			} else {
				parent := open[len(open)-1]
				parent.children = append(parent.children, e)
			}
			open, texts = append(open, e), append(texts, &strings.Builder{})
		case xml.EndElement:
			last := len(open) - 1
			open[last].text = strings.TrimSpace(texts[last].String())
			open, texts = open[:last], texts[:last]
		}
	}
}

// ours reports whether a namespace is one of SData in some version of it. Those of an unknown one are ignored, like unknown elements.
func ours(space string) bool {
	return strings.HasPrefix(space, "http://schemas.sage.com/sdata/") || strings.HasPrefix(space, "https://schemas.sage.com/sdata/")
}

// child returns the first child of SData with that name, case ignored.
func (e *element) child(name string) *element {
	if e == nil {
		return nil
	}
	for _, c := range e.children {
		if ours(c.name.Space) && strings.EqualFold(c.name.Local, name) {
			return c
		}
	}
	return nil
}

// all returns the children of SData with that name.
func (e *element) all(name string) []*element {
	var out []*element
	for _, c := range e.children {
		if ours(c.name.Space) && strings.EqualFold(c.name.Local, name) {
			out = append(out, c)
		}
	}
	return out
}

// in returns the first child with that name in a namespace.
func (e *element) in(space, name string) *element {
	if e == nil {
		return nil
	}
	for _, c := range e.children {
		if c.name.Space == space && c.name.Local == name {
			return c
		}
	}
	return nil
}

// value returns the text of the first child of SData with that name.
func (e *element) value(name string) string {
	if c := e.child(name); c != nil {
		return c.text
	}
	return ""
}

// attr returns an attribute by its local name in the namespaces of SData or none, case ignored.
func (e *element) attr(name string) string {
	if e == nil {
		return ""
	}
	for _, a := range e.attrs {
		if (a.Name.Space == "" || ours(a.Name.Space)) && strings.EqualFold(a.Name.Local, name) {
			return a.Value
		}
	}
	return ""
}
