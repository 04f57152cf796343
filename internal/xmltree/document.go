package xmltree

import (
	"bytes"
	"encoding/xml"
	"strings"
	"unicode/utf8"
)

// Document is an XML document in the making; the zero value is empty. Names are written as they are given, with the prefixes that the root
// declares.
type Document struct {
	bytes.Buffer
	open []string
}

// Begin opens an element; attrs are names and values in turn, those without a value are left out.
func (d *Document) Begin(name string, attrs ...string) {
	if d.Len() == 0 {
		d.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	}
	d.tag(name, attrs)
	d.WriteString(">")
	d.open = append(d.open, name)
}

func (d *Document) tag(name string, attrs []string) {
	if len(d.open) > 0 {
		d.WriteString("\n" + strings.Repeat(" ", len(d.open)))
	}
	d.WriteString("<" + name)
	for i := 0; i+1 < len(attrs); i += 2 {
		if attrs[i+1] == "" {
			continue
		}
		d.WriteString(" " + attrs[i] + `="`)
		_ = xml.EscapeText(d, []byte(attrs[i+1])) // a buffer takes everything
		d.WriteString(`"`)
	}
}

// End closes the innermost element.
func (d *Document) End() {
	last := len(d.open) - 1
	d.WriteString("\n" + strings.Repeat(" ", last) + "</" + d.open[last] + ">")
	d.open = d.open[:last]
}

// Text writes an element that holds text.
func (d *Document) Text(name, value string, attrs ...string) {
	d.tag(name, attrs)
	if value == "" {
		d.WriteString("/>")
		return
	}
	d.WriteString(">")
	_ = xml.EscapeText(d, []byte(value))
	d.WriteString("</" + name + ">")
}

// Done closes what is open and returns the document.
func (d *Document) Done() []byte {
	for len(d.open) > 0 {
		d.End()
	}
	_ = d.WriteByte('\n') // a buffer takes everything
	return d.Bytes()
}

// Some is text for what is left out where it is empty.
func (d *Document) Some(name, value string) {
	if value != "" {
		d.Text(name, value)
	}
}

// Printable reports whether XML 1.0 can carry the text as it is (section 2.2, Char).
func Printable(b []byte) bool {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		switch {
		case r == utf8.RuneError && n == 1, r < 0x20 && r != '\t' && r != '\n', r == 0xFFFE, r == 0xFFFF:
			return false
		}
		i += n
	}
	return true
}
