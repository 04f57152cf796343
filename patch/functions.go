package patch

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
)

func (x call) eval(e *evaluator, focus []*node) ([]*node, error) {
	switch x.function {
	case "first":
		return focus[:min(1, len(focus))], nil
	case "last":
		return focus[max(0, len(focus)-1):], nil
	case "tail":
		return focus[min(1, len(focus)):], nil
	case "single":
		if len(focus) > 1 {
			return nil, cannot("the path asks for a single element, there are %d", len(focus))
		}
		return focus, nil
	case "skip", "take":
		return x.part(e, focus)
	case "empty":
		return truth(len(focus) == 0), nil
	case "not":
		v, ok, err := boolean(focus)
		if err != nil || !ok {
			return nil, err
		}
		return truth(!v), nil
	case "count":
		return []*node{{typ: "integer", raw: []byte(strconv.Itoa(len(focus)))}}, nil
	case "hasValue":
		return truth(len(focus) == 1 && focus[0].raw != nil && fhir.IsPrimitive(focus[0].typ)), nil
	case "where":
		return x.where(e, focus)
	case "exists", "all":
		if len(x.args) == 0 {
			return truth(len(focus) > 0), nil
		}
		kept, err := x.where(e, focus)
		if err != nil {
			return nil, err
		}
		return truth(x.function == "exists" && len(kept) > 0 || x.function == "all" && len(kept) == len(focus)), nil
	case "ofType", "as", "is":
		t, err := typeOf(x.args[0])
		if err != nil {
			return nil, err
		}
		return ofType(x.function, focus, t)
	case "extension":
		where := call{"where", []expr{binary{"=", name{"url"}, x.args[0]}}}
		return invoke{name{"extension"}, where}.eval(e, focus)
	default:
		return x.compare(e, focus)
	}
}

// where keeps the nodes for which the argument is true.
func (x call) where(e *evaluator, focus []*node) ([]*node, error) {
	var out []*node
	for _, n := range focus {
		if err := e.d.spend(0); err != nil {
			return nil, err
		}
		found, err := x.args[0].eval(e, []*node{n})
		if err != nil {
			return nil, err
		}
		if v, ok, err := boolean(found); err != nil {
			return nil, err
		} else if ok && v {
			out = append(out, n)
		}
	}
	return out, nil
}

func (x call) part(e *evaluator, focus []*node) ([]*node, error) {
	arg, err := x.args[0].eval(e, focus)
	if err != nil {
		return nil, err
	}
	n := -1
	if len(arg) == 1 {
		if i, err := strconv.Atoi(string(arg[0].raw)); err == nil && i >= 0 {
			n = min(i, len(focus))
		}
	}
	switch {
	case n < 0:
		return nil, cannot("the path calls %s without a number", x.function)
	case x.function == "skip":
		return focus[n:], nil
	default:
		return focus[:n], nil
	}
}

// compare runs startsWith, endsWith and contains.
func (x call) compare(e *evaluator, focus []*node) ([]*node, error) {
	arg, err := x.args[0].eval(e, focus)
	if err != nil || len(focus) == 0 || len(arg) == 0 {
		return nil, err
	}
	s, ok := text(focus)
	part, has := text(arg)
	if !ok || !has {
		return nil, cannot("the path calls %s of what is not one string", x.function)
	}
	switch x.function {
	case "startsWith":
		return truth(strings.HasPrefix(s, part)), nil
	case "endsWith":
		return truth(strings.HasSuffix(s, part)), nil
	default:
		return truth(strings.Contains(s, part)), nil
	}
}

// typeOf returns the type that an argument names, as in ofType(FHIR.Quantity).
func typeOf(x expr) (string, error) {
	switch x := x.(type) {
	case name:
		return x.text, nil
	case invoke:
		if base, ok := x.base.(name); ok && (base.text == "FHIR" || base.text == "System") {
			return typeOf(x.step)
		}
	}
	return "", cannot("the path names no type where it needs one")
}

// text returns what a single string says.
func text(nodes []*node) (string, bool) {
	if len(nodes) != 1 || len(nodes[0].raw) == 0 || nodes[0].raw[0] != '"' {
		return "", false
	}
	return fhir.Unquote(nodes[0].raw), true
}

// boolean reads a condition: of one node that is no boolean it is true (FHIRPath, singleton evaluation); of none it is neither.
func boolean(nodes []*node) (v, ok bool, err error) {
	switch {
	case len(nodes) == 0:
		return false, false, nil
	case len(nodes) > 1:
		return false, false, cannot("a condition of the path finds %d values", len(nodes))
	}
	return string(nodes[0].raw) != "false", true, nil
}

func (x binary) eval(e *evaluator, focus []*node) ([]*node, error) {
	left, err := e.begin(x.left, focus)
	if err != nil {
		return nil, err
	}
	right, err := e.begin(x.right, focus)
	if err != nil {
		return nil, err
	}
	switch x.op {
	case "and", "or", "xor":
		return logic(x.op, left, right)
	}
	if len(left) == 0 || len(right) == 0 {
		return nil, nil
	}
	for _, n := range left {
		if err := e.d.spend(len(n.raw)); err != nil {
			return nil, err
		}
	}
	switch x.op {
	case "=", "!=", "~", "!~":
		same := len(left) == len(right)
		for i := 0; same && i < len(left); i++ {
			same = left[i].raw != nil && right[i].raw != nil && equal(left[i].raw, right[i].raw)
			if a, ok := text(left[i : i+1]); ok && strings.HasSuffix(x.op, "~") {
				b, ok := text(right[i : i+1])
				same = ok && strings.EqualFold(a, b)
			}
		}
		return truth(same == (x.op[0] != '!')), nil
	}
	return order(x.op, left, right)
}

// logic is that of three values: true, false and empty (FHIRPath, boolean logic).
func logic(op string, left, right []*node) ([]*node, error) {
	a, hasA, err := boolean(left)
	if err != nil {
		return nil, err
	}
	b, hasB, err := boolean(right)
	if err != nil {
		return nil, err
	}
	switch {
	case op == "and" && (hasA && !a || hasB && !b):
		return truth(false), nil
	case op == "or" && (hasA && a || hasB && b):
		return truth(true), nil
	case !hasA || !hasB:
		return nil, nil
	case op == "xor":
		return truth(a != b), nil
	default:
		return truth(op == "and"), nil
	}
}

// order compares two strings, which dates are, too, or two numbers.
func order(op string, left, right []*node) ([]*node, error) {
	var c int
	if a, ok := text(left); ok {
		b, ok := text(right)
		if !ok {
			return nil, cannot("the path compares a string with what is none")
		}
		c = strings.Compare(a, b)
	} else {
		if len(left) != 1 || len(right) != 1 {
			return nil, cannot("the path compares %d values with %d by %s", len(left), len(right), op)
		}
		a, bad := strconv.ParseFloat(string(left[0].raw), 64)
		b, bad2 := strconv.ParseFloat(string(right[0].raw), 64)
		if bad != nil || bad2 != nil {
			return nil, cannot("the path compares by %s what has no order", op)
		}
		c = cmp.Compare(a, b)
	}
	switch op {
	case "<":
		return truth(c < 0), nil
	case ">":
		return truth(c > 0), nil
	case "<=":
		return truth(c <= 0), nil
	default:
		return truth(c >= 0), nil
	}
}
