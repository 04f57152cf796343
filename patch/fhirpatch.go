package patch

import (
	"fmt"

	"github.com/tributary-sync/tributary/fhir"
)

// FHIRPath applies a FHIRPath Patch (FHIR R4 fhirpatch.html), a Parameters resource, to a resource, and returns what it becomes, of at
// most limit bytes (0 for any size). A path may use what parsePath reads. It returns Invalid where the patch itself is malformed,
// Unprocessable where an operation cannot be applied to this resource, TooLarge where the outcome or the work is over the limits;
// the errors name the operation by index and path.
func FHIRPath(body, parameters []byte, limit int) ([]byte, error) {
	changes, err := readParameters(parameters)
	if err != nil {
		return nil, err
	}
	d, err := newDoc(body, limit)
	if err != nil {
		return nil, err
	}
	for i, c := range changes {
		if err := c.apply(d); err != nil {
			return nil, fmt.Errorf("operation[%d] %s %.200q: %w", i, c.kind, c.path, err)
		}
	}
	return d.b, nil
}

func (c change) apply(d *doc) error {
	path, err := parsePath(c.path)
	if err != nil {
		return err
	}
	e, err := newEvaluator(d)
	if err != nil {
		return err
	}
	switch c.kind {
	case "insert", "move":
		l, err := e.list(path)
		if err != nil {
			return err
		}
		if c.kind == "insert" {
			return c.insert(l)
		}
		return c.move(l)
	}
	found, err := e.begin(path, []*node{e.root})
	if err != nil {
		return err
	}
	switch {
	case len(found) == 0 && c.kind == "delete":
		return nil // there is nothing to delete
	case len(found) == 0:
		return cannot("the path finds nothing")
	case len(found) > 1:
		return cannot("the path finds %d elements, it must find one", len(found)).WithHint("Narrow it with where(), first() or an index")
	case !found[0].placed:
		return cannot("the path finds a computed value, not an element of the resource")
	}
	at := found[0]
	if c.kind != "add" && at.parent == nil {
		return cannot("a patch changes elements of the resource, not the whole of it")
	}
	switch c.kind {
	case "add":
		return c.add(e, at)
	case "replace":
		return c.replace(e, at)
	default:
		return e.remove(at)
	}
}

func (c change) add(e *evaluator, at *node) error {
	if fhir.IsPrimitive(at.typ) {
		return c.addToPrimitive(e, at)
	}
	if at.typ == "" || e.d.b[at.value.from] != '{' {
		return cannot("nothing can be added to %s", described(at.typ))
	}
	el, ok := fhir.ElementOf(at.typ, c.name)
	if !ok {
		return cannot("%s has no element %.60s", at.typ, c.name)
	}
	v, err := c.value.as(el)
	if err != nil {
		return err
	}
	l := list{e: e, owner: at.pointer(), el: el, member: el.Member(v.typ)}
	if el.Repeats {
		n, err := l.count()
		if err != nil {
			return err
		}
		return l.insert(n, v)
	}
	there, err := e.element(at, el.Name)
	if err != nil {
		return err
	}
	if len(there) > 0 {
		return cannot("%s has %s already, which does not repeat", at.typ, el.Name).WithHint("Replace it")
	}
	return l.set(v)
}

// addToPrimitive adds an id or extension to a value that JSON cannot hold beside it (FHIR R4 json.html#primitive).
func (c change) addToPrimitive(e *evaluator, at *node) error {
	shadow, err := e.shadow(at)
	if err != nil || shadow != nil {
		if err == nil {
			err = c.add(e, shadow)
		}
		return err
	}
	el, ok := fhir.ElementOf("Element", c.name)
	if !ok {
		return cannot("%s has no element %.60s", at.typ, c.name)
	}
	v, err := c.value.as(el)
	if err != nil {
		return err
	}
	text := string(v.raw)
	if el.Repeats {
		text = "[" + text + "]"
	}
	object := []byte(`{"` + el.Name + `":` + text + `}`)
	owner := at.parent.pointer()
	if at.index < 0 {
		return e.d.addAt(append(owner, "_"+at.member), object)
	}
	l := list{e: e, owner: owner, member: at.member}
	return l.setShadow(at.index, object)
}

func (c change) replace(e *evaluator, at *node) error {
	el, ok := at.element()
	if !ok {
		return cannot("%s has no element %.60s", described(at.parent.typ), at.member)
	}
	v, err := c.value.as(el)
	if err != nil {
		return err
	}
	l := list{e: e, owner: at.parent.pointer(), el: el, member: at.member}
	if at.index >= 0 {
		return l.replace(at.index, v)
	}
	if to := el.Member(v.typ); to != at.member { // a choice takes another type
		if err := l.unset(); err != nil {
			return err
		}
		l.member = to
	}
	return l.set(v)
}

func (c change) insert(l list) error {
	n, err := l.count()
	if err != nil {
		return err
	}
	if c.index > n {
		return cannot("index %d is behind the end of a list of %d", c.index, n)
	}
	v, err := c.value.as(l.el)
	if err != nil {
		return err
	}
	return l.insert(c.index, v)
}

func (c change) move(l list) error {
	n, err := l.count()
	if err != nil {
		return err
	}
	if c.source >= n || c.destination >= n {
		return cannot("source %d and destination %d are not both in a list of %d", c.source, c.destination, n)
	}
	return l.move(c.source, c.destination)
}
