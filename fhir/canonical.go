package fhir

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// canonical returns the canonical form of compact, valid JSON: members sorted by name (RFC 8785 section 3.2.3), strings in their shortest form
// (section 3.2.2.2), numbers as they are written. What it does not know how to sort goes to the general formatter, which takes ten times as long.
func canonical(b []byte) ([]byte, error) {
	var open [64]memberAt
	c := canonicalizer{in: b, members: open[:0], out: make([]byte, 0, 2*len(b))} // the second half is where members change their places
	if end := c.value(0, 0); end == len(b) {
		return c.out, nil
	}
	return jsontext.AppendFormat(make([]byte, 0, len(b)), b,
		jsontext.ReorderRawObjects(true), jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false),
		jsontext.PreserveRawStrings(false), jsontext.EscapeForHTML(false), jsontext.EscapeForJS(false))
}

type canonicalizer struct {
	in, out []byte
	members []memberAt // of the objects that are open
}

// memberAt is where a member of an object stands in the output, and its name without the quotes in the input. It has no pointers: it is made and
// moved for each member of each resource.
type memberAt struct{ from, to, name, nameEnd int }

func (c *canonicalizer) less(a, b memberAt) bool {
	return bytes.Compare(c.in[a.name:a.nameEnd], c.in[b.name:b.nameEnd]) < 0
}

// stuck is the offset behind a value that cannot be told.
const stuck = -1

// value appends the value that begins at i and returns the offset behind it; stuck for what is left to the general formatter.
func (c *canonicalizer) value(i, depth int) int {
	if i >= len(c.in) || depth > MaxDepth {
		return stuck
	}
	switch c.in[i] {
	case '{':
		return c.object(i, depth)
	case '[':
		return c.array(i, depth)
	case '"':
		return c.text(i)
	}
	end := i
	for end < len(c.in) && literal(c.in[end]) {
		end++
	}
	if end == i {
		return stuck
	}
	c.out = append(c.out, c.in[i:end]...)
	return end
}

// literal reports whether a byte stands in a number, true, false or null.
func literal(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b == '-' || b == '+' || b == '.' || b == 'E'
}

func (c *canonicalizer) text(i int) int {
	end := stringEnd(c.in, i)
	raw := c.in[i:end]
	if bytes.IndexByte(raw, '\\') < 0 {
		c.out = append(c.out, raw...)
		return end
	}
	says, err := jsontext.AppendUnquote(nil, raw)
	if err == nil {
		c.out, err = jsontext.AppendQuote(c.out, says)
	}
	if err != nil {
		return stuck
	}
	return end
}

func (c *canonicalizer) array(i, depth int) int {
	c.out = append(c.out, '[')
	for i++; i < len(c.in) && c.in[i] != ']'; {
		if i = c.value(i, depth+1); i == stuck || i >= len(c.in) {
			return stuck
		}
		if c.in[i] == ',' {
			c.out = append(c.out, ',')
			i++
		}
	}
	c.out = append(c.out, ']')
	return i + 1
}

func (c *canonicalizer) object(i, depth int) int {
	outer, begin := len(c.members), len(c.out)+1
	sorted := true
	c.out = append(c.out, '{')
	for i++; i < len(c.in) && c.in[i] != '}'; {
		if c.in[i] != '"' {
			return stuck
		}
		end := stringEnd(c.in, i)
		m := memberAt{from: len(c.out), name: i + 1, nameEnd: max(end-1, i+1)}
		for _, b := range c.in[m.name:m.nameEnd] {
			if b == '\\' || b >= 0x80 { // sorted by UTF-16 of what it says
				return stuck
			}
		}
		c.out = append(c.out, c.in[i:end]...)
		c.out = append(c.out, ':')
		if end >= len(c.in) || c.in[end] != ':' {
			return stuck
		}
		if i = c.value(end+1, depth+1); i == stuck || i >= len(c.in) {
			return stuck
		}
		m.to = len(c.out)
		sorted = sorted && (len(c.members) == outer || c.less(c.members[len(c.members)-1], m))
		c.members = append(c.members, m)
		if c.in[i] == ',' {
			c.out = append(c.out, ',')
			i++
		}
	}
	if !sorted {
		c.sort(begin, c.members[outer:])
	}
	c.members = c.members[:outer]
	c.out = append(c.out, '}')
	return i + 1
}

// sort brings the members of an object, which end the output, into their order.
func (c *canonicalizer) sort(begin int, members []memberAt) {
	if len(members) > 32 {
		slices.SortFunc(members, func(a, b memberAt) int { return bytes.Compare(c.in[a.name:a.nameEnd], c.in[b.name:b.nameEnd]) })
	} else {
		for i := 1; i < len(members); i++ {
			m, at := members[i], i
			for ; at > 0 && c.less(m, members[at-1]); at-- {
				members[at] = members[at-1]
			}
			members[at] = m
		}
	}
	end := len(c.out)
	for i, m := range members {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = append(c.out, c.out[m.from:m.to]...)
	}
	copy(c.out[begin:], c.out[end:])
	c.out = c.out[:end]
}
