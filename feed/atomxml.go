package feed

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

// The limits of a page beside its size in bytes.
const (
	maxAtomDepth      = 64
	maxAtomElements   = 200_000
	maxAtomAttributes = 32 // of one element
)

// aside is what the strict pass keeps of an entry: the parts that gofeed does not return as they were written.
type aside struct {
	content strings.Builder
	stamp   []xml.Attr
}

func xmlInvalid(format string, args ...any) error {
	return syncerr.New(syncerr.Invalid, "read feed as XML", format, args...)
}

// utf8Body returns the page in UTF-8 without its XML declaration. Bytes that are not UTF-8 are taken for ISO-8859-1 even where
// UTF-8 is declared, because Spring's default string converter sends that.
func utf8Body(body []byte) ([]byte, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	label := "utf-8"
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = func(l string, r io.Reader) (io.Reader, error) {
		label = strings.ToLower(l)
		return r, nil
	}
	first, err := d.RawToken()
	if err != nil && err != io.EOF {
		return nil, xmlError(err)
	}
	if pi, ok := first.(xml.ProcInst); ok && pi.Target == "xml" {
		body = body[d.InputOffset():]
	}
	switch label {
	case "utf-8", "utf8":
		if utf8.Valid(body) {
			return body, nil
		}
	case "iso-8859-1", "latin1", "us-ascii", "ascii", "windows-1252":
	default:
		return nil, syncerr.New(syncerr.Unsupported, "read feed as XML", "its encoding %.40q is not spoken here; UTF-8 and ISO-8859-1 are", label)
	}
	out := make([]byte, 0, len(body)+len(body)/8)
	for _, c := range body {
		out = utf8.AppendRune(out, rune(c))
	}
	return out, nil
}

func xmlError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return xmlInvalid("the page ends in the middle")
	}
	return &syncerr.Error{Kind: syncerr.Invalid, Op: "read feed as XML", Err: err}
}

// checkXML passes once over the whole page, strictly, because gofeed repairs what it should refuse: malformed XML, entities,
// another root or namespace, elements without end. It returns what it kept of each entry, in order.
func checkXML(body []byte) ([]*aside, error) {
	c := xmlCheck{kind: "Atom", roots: []xml.Name{{Space: atomNamespace, Local: "feed"}}}
	err := c.all(xml.NewDecoder(bytes.NewReader(body)))
	return c.entries, err
}

func (c *xmlCheck) all(d *xml.Decoder) error {
	for {
		t, err := d.Token()
		if err == io.EOF {
			if !c.rooted {
				return xmlInvalid("the page is empty")
			}
			return nil
		}
		if err != nil {
			return xmlError(err)
		}
		if err := c.take(t); err != nil {
			return err
		}
	}
}

type xmlCheck struct {
	kind     string     // of the feed, for people
	roots    []xml.Name // that it may have
	entries  []*aside
	path     []xml.Name // the open elements, as deep as they matter here
	depth    int
	elements int
	rooted   bool
	root     xml.Name
}

func (c *xmlCheck) take(t xml.Token) error {
	switch t := t.(type) {
	case xml.Directive:
		return xmlInvalid("document types and entities are refused")
	case xml.ProcInst:
		if t.Target == "xml" {
			return xmlInvalid("an XML declaration stands behind the start")
		}
	case xml.CharData:
		if c.depth == 0 && len(bytes.TrimSpace(t)) > 0 {
			return xmlInvalid("text stands outside of the feed")
		}
		if c.inContent() {
			c.entries[len(c.entries)-1].content.Write(t)
		}
	case xml.StartElement:
		return c.open(t)
	case xml.EndElement:
		c.depth--
		c.path = c.path[:min(len(c.path), c.depth)]
	}
	return nil
}

func (c *xmlCheck) open(e xml.StartElement) error {
	c.depth++
	c.elements++
	switch {
	case c.depth > maxAtomDepth:
		return xmlInvalid("elements are nested deeper than %d", maxAtomDepth)
	case c.elements > maxAtomElements:
		return xmlInvalid("it has more than %d elements", maxAtomElements)
	case len(e.Attr) > maxAtomAttributes:
		return xmlInvalid("an element has more than %d attributes", maxAtomAttributes)
	case c.depth == 1 && c.rooted:
		return xmlInvalid("it has more than one root")
	case c.depth == 1 && !slices.Contains(c.roots, e.Name):
		return xmlInvalid("the root is %.60s in namespace %.100q, not an %s feed", e.Name.Local, e.Name.Space, c.kind)
	}
	if !c.rooted {
		c.rooted, c.root = true, e.Name
	}
	for i, a := range e.Attr {
		for _, b := range e.Attr[:i] {
			if a.Name == b.Name {
				return xmlInvalid("attribute %.60s is doubled", a.Name.Local)
			}
		}
	}
	if len(c.path) < 3 && len(c.path) == c.depth-1 {
		c.path = append(c.path, e.Name)
	}
	if c.depth == 2 && c.inEntry() {
		c.entries = append(c.entries, &aside{})
	}
	if c.depth == 3 && c.inEntry() && (e.Name == xml.Name{Space: stampNamespace, Local: "stamp"}) {
		in := c.entries[len(c.entries)-1]
		if in.stamp != nil {
			return xmlInvalid("an entry has two stamps")
		}
		in.stamp = append([]xml.Attr{}, e.Attr...)
	}
	return nil
}

func (c *xmlCheck) inEntry() bool {
	return len(c.path) >= 2 && c.path[1] == xml.Name{Space: atomNamespace, Local: "entry"}
}

func (c *xmlCheck) inContent() bool {
	return c.depth == 3 && c.inEntry() && c.path[2] == xml.Name{Space: atomNamespace, Local: "content"}
}
