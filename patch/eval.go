package patch

import (
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
)

// node is what an expression finds: a place in the resource, or a value that was computed.
type node struct {
	typ    string // of FHIR, "" where it is not known
	raw    []byte // the JSON value; nil for a primitive that has extensions only
	value  span
	parent *node  // nil for the resource itself and for computed values
	member string // under which it stands in the parent
	index  int    // in the list of that name; -1 where it is not in one
	placed bool   // it is a place in the resource
}

// pointer returns where the node is, as the tokens of a JSON Pointer.
func (n *node) pointer() []string {
	if n.parent == nil {
		return nil
	}
	p := append(n.parent.pointer(), n.member)
	if n.index >= 0 {
		p = append(p, strconv.Itoa(n.index))
	}
	return p
}

// element returns what the parent's type says of the node.
func (n *node) element() (fhir.Element, bool) {
	if n.parent == nil {
		return fhir.Element{}, false
	}
	e, ok := fhir.ElementOf(n.parent.typ, n.member)
	if ok && e.Choice {
		e, ok = fhir.ElementOf(n.parent.typ, e.Name)
	}
	return e, ok
}

func truth(v bool) []*node {
	if v {
		return []*node{{typ: "boolean", raw: []byte("true")}}
	}
	return []*node{{typ: "boolean", raw: []byte("false")}}
}

type evaluator struct {
	d    *doc
	root *node
}

func newEvaluator(d *doc) (*evaluator, error) {
	root := &node{raw: d.b, value: d.root(), placed: true, index: -1}
	t, err := d.resourceType(root.value)
	root.typ = t
	return &evaluator{d: d, root: root}, err
}

// resourceType returns the type of a resource in the document.
func (d *doc) resourceType(at span) (string, error) {
	c, ok, err := d.member(at, "resourceType")
	if err != nil || !ok || d.b[c.value.from] != '"' {
		return "", err
	}
	return fhir.Unquote(d.at(c.value)), nil
}

// element returns the values of an element of a node.
func (e *evaluator) element(n *node, name string) ([]*node, error) {
	if !n.placed {
		return nil, nil
	}
	if n.typ == "" || fhir.IsPrimitive(n.typ) && name != "id" && name != "extension" {
		return nil, cannot("%s has no element %.60s", described(n.typ), name)
	}
	if fhir.IsPrimitive(n.typ) {
		shadow, err := e.shadow(n)
		if err != nil || shadow == nil {
			return nil, err
		}
		n = shadow
	}
	el, ok := fhir.ElementOf(n.typ, name)
	if !ok {
		return nil, cannot("%s has no element %.60s", described(n.typ), name)
	}
	types := map[string]string{} // by the name in JSON
	for _, t := range el.Types {
		types[el.Member(t)] = t
	}
	var out []*node
	var failure error
	values := map[string]bool{}
	err := e.d.children(n.value, func(c child) bool {
		member, shadow := strings.CutPrefix(c.name, "_")
		t, ok := types[member]
		if !ok && el.Types == nil && strings.HasPrefix(member, el.Name) {
			t, ok = fhir.ValueType(member[len(el.Name):])
		}
		if !ok {
			return true
		}
		if shadow {
			values[member] = values[member] || false
			return true
		}
		values[member] = true
		var more []*node
		if more, failure = e.values(n, member, t, c.value); failure != nil {
			return false
		}
		out = append(out, more...)
		return true
	})
	if err == nil {
		err = failure
	}
	for member, has := range values {
		if !has { // extensions without a value
			t := types[member]
			if t == "" {
				t, _ = fhir.ValueType(member[len(el.Name):])
			}
			if fhir.IsPrimitive(t) && !el.Repeats {
				out = append(out, &node{typ: t, parent: n, member: member, index: -1, placed: true})
			}
		}
	}
	return out, err
}

func described(t string) string {
	if t == "" {
		return "what the path finds there"
	}
	return t
}

// values returns the nodes of a member: those of the list that it has.
func (e *evaluator) values(parent *node, member, t string, at span) ([]*node, error) {
	one := func(at span, index int) (*node, error) {
		n := &node{typ: t, raw: e.d.at(at), value: at, parent: parent, member: member, index: index, placed: true}
		if t == "Resource" {
			var err error
			if n.typ, err = e.d.resourceType(at); err != nil {
				return nil, err
			}
		}
		if string(n.raw) == "null" {
			n.raw = nil
		}
		return n, nil
	}
	if e.d.b[at.from] != '[' {
		n, err := one(at, -1)
		return []*node{n}, err
	}
	var out []*node
	var failure error
	err := e.d.children(at, func(c child) bool {
		var n *node
		n, failure = one(c.value, c.index)
		if out = append(out, n); failure == nil && len(out) > maxItems {
			failure = tooLong(member)
		}
		return failure == nil
	})
	if err == nil {
		err = failure
	}
	return out, err
}

// shadow returns where id and extensions of a primitive stand (FHIR R4 json.html#primitive); nil where there are none.
func (e *evaluator) shadow(n *node) (*node, error) {
	if n.parent == nil {
		return nil, nil
	}
	c, ok, err := e.d.member(n.parent.value, "_"+n.member)
	if err != nil || !ok {
		return nil, err
	}
	at := c.value
	if n.index >= 0 {
		item, count, err := e.d.item(at, n.index)
		if err != nil || n.index >= count {
			return nil, err
		}
		at = item.value
	}
	if e.d.b[at.from] != '{' {
		return nil, nil
	}
	return &node{typ: "Element", raw: e.d.at(at), value: at, parent: n.parent, member: "_" + n.member, index: n.index, placed: true}, nil
}

func (x literal) eval(*evaluator, []*node) ([]*node, error) {
	t := "string"
	switch c := x.raw[0]; {
	case c == 't' || c == 'f':
		t = "boolean"
	case c != '"' && strings.IndexByte(string(x.raw), '.') >= 0:
		t = "decimal"
	case c != '"':
		t = "integer"
	}
	return []*node{{typ: t, raw: x.raw}}, nil
}

func (nothing) eval(*evaluator, []*node) ([]*node, error) { return nil, nil }

func (this) eval(_ *evaluator, focus []*node) ([]*node, error) { return focus, nil }

func (resource) eval(e *evaluator, _ []*node) ([]*node, error) { return []*node{e.root}, nil }

func (x name) eval(e *evaluator, focus []*node) ([]*node, error) {
	var out []*node
	for _, n := range focus {
		more, err := e.element(n, x.text)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

func (x invoke) eval(e *evaluator, focus []*node) ([]*node, error) {
	base, err := e.begin(x.base, focus)
	if err != nil {
		return nil, err
	}
	return x.step.eval(e, base)
}

// begin evaluates the beginning of a path, which may be the name of the type of what it is looked at from.
func (e *evaluator) begin(x expr, focus []*node) ([]*node, error) {
	if first, ok := x.(name); ok && len(focus) == 1 && focus[0].placed && focus[0] == e.root && isType(e.root.typ, first.text) {
		return focus, nil
	}
	return x.eval(e, focus)
}

func (x indexed) eval(e *evaluator, focus []*node) ([]*node, error) {
	base, err := e.begin(x.base, focus)
	if err != nil || x.at >= len(base) {
		return nil, err
	}
	return base[x.at : x.at+1], nil
}

func (x typed) eval(e *evaluator, focus []*node) ([]*node, error) {
	of, err := e.begin(x.of, focus)
	if err != nil {
		return nil, err
	}
	return ofType(x.op, of, x.name)
}

func ofType(op string, of []*node, t string) ([]*node, error) {
	if op == "is" {
		if len(of) != 1 {
			return nil, nil
		}
		return truth(isType(of[0].typ, t)), nil
	}
	var out []*node
	for _, n := range of {
		if isType(n.typ, t) {
			out = append(out, n)
		}
	}
	return out, nil
}

// isType reports whether a type is that of a name, or derived from it.
func isType(typ, name string) bool {
	return strings.EqualFold(typ, name) && (typ == name || fhir.IsPrimitive(typ)) || name == "Resource" && fhir.BaseOf(typ) != "BackboneElement" ||
		name == "DomainResource" && fhir.BaseOf(typ) == "DomainResource" || strings.Contains(typ, ".") && name == "BackboneElement"
}
