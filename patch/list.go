package patch

import (
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// list is an element of an object by its name in JSON, together with the ids and extensions of its values, if they are primitive,
// which stand beside it under another name (FHIR R4 json.html#primitive).
type list struct {
	e      *evaluator
	owner  []string // pointer of the object
	el     fhir.Element
	member string
}

// list finds the list that a path ends with; it may be empty.
func (e *evaluator) list(path expr) (list, error) {
	base, last := []*node{e.root}, path
	if x, ok := path.(invoke); ok {
		var err error
		if base, err = e.begin(x.base, base); err != nil {
			return list{}, err
		}
		last = x.step
	}
	n, ok := last.(name)
	switch {
	case !ok:
		return list{}, cannot("the path does not end with the name of a list").WithHint("Write for example Patient.identifier, with the place in index")
	case len(base) != 1 || !base[0].placed:
		return list{}, cannot("the path finds %d elements that may have the list, it must find one", len(base)).WithHint("Narrow it with where(), first() or an index")
	}
	owner := base[0]
	if fhir.IsPrimitive(owner.typ) {
		shadow, err := e.shadow(owner)
		if err != nil {
			return list{}, err
		}
		if shadow == nil {
			return list{}, cannot("%s has no extensions yet", owner.typ).WithHint("Add the first one with add")
		}
		owner = shadow
	}
	el, ok := fhir.ElementOf(owner.typ, n.text)
	if !ok {
		return list{}, cannot("%s has no element %.60s", described(owner.typ), n.text)
	}
	if !el.Repeats {
		return list{}, cannot("%s of %s does not repeat", el.Name, owner.typ).WithHint("Use add or replace")
	}
	return list{e: e, owner: owner.pointer(), el: el, member: el.Name}, nil
}

// get returns a member of the owner as it now stands; false where there is none.
func (l list) get(member string) (child, bool, error) {
	owner, err := l.e.d.find(l.owner)
	if err != nil {
		return child{}, false, err
	}
	return l.e.d.member(owner.value, member)
}

func (l list) put(member string, raw []byte) error {
	owner, err := l.e.d.find(l.owner)
	if err != nil {
		return err
	}
	return l.e.d.put(owner.value, member, raw)
}

func (l list) drop(member string) error {
	c, ok, err := l.get(member)
	if err != nil || !ok {
		return err
	}
	return l.e.d.remove(c)
}

// set puts the value of an element that does not repeat.
func (l list) set(v value) error {
	if v.raw == nil {
		if err := l.drop(l.member); err != nil {
			return err
		}
	} else if err := l.put(l.member, v.raw); err != nil {
		return err
	}
	if v.shadow == nil {
		return l.drop("_" + l.member)
	}
	return l.put("_"+l.member, v.shadow)
}

// unset takes an element out.
func (l list) unset() error {
	if err := l.drop(l.member); err != nil {
		return err
	}
	return l.drop("_" + l.member)
}

// maxItems bounds the lists that a FHIRPath Patch takes apart.
const maxItems = 100_000

func tooLong(member string) error {
	return syncerr.New(syncerr.TooLarge, "patch", "%s has more than %d values", member, maxItems).WithHint("Use a JSON Patch or an update")
}

// items returns what a member has in its list; one value counts as a list.
func (l list) items(member string) ([][]byte, error) {
	c, ok, err := l.get(member)
	if err != nil || !ok {
		return nil, err
	}
	if l.e.d.b[c.value.from] != '[' {
		return [][]byte{l.e.d.at(c.value)}, nil
	}
	var out [][]byte
	err = l.e.d.children(c.value, func(c child) bool {
		out = append(out, l.e.d.at(c.value)) // a splice makes a new document: these bytes stay
		return len(out) <= maxItems
	})
	if len(out) > maxItems {
		return nil, tooLong(member)
	}
	return out, err
}

// count returns how many values the list has.
func (l list) count() (int, error) {
	values, err := l.items(l.member)
	if err != nil {
		return 0, err
	}
	shadows, err := l.items("_" + l.member)
	return max(len(values), len(shadows)), err
}

// edit changes the list and the one beside it alike.
func (l list) edit(change func(items [][]byte, shadow bool) [][]byte) error {
	n, err := l.count()
	if err != nil {
		return err
	}
	for _, member := range []string{l.member, "_" + l.member} {
		items, err := l.items(member)
		if err != nil {
			return err
		}
		for len(items) < n {
			items = append(items, []byte("null"))
		}
		items = change(items, member != l.member)
		if allNull(items) {
			err = l.drop(member)
		} else {
			err = l.put(member, array(items))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func allNull(items [][]byte) bool {
	for _, raw := range items {
		if string(raw) != "null" {
			return false
		}
	}
	return true
}

func (l list) insert(at int, v value) error {
	return l.edit(func(items [][]byte, shadow bool) [][]byte {
		raw := orNull(v.raw)
		if shadow {
			raw = orNull(v.shadow)
		}
		return append(items[:at:at], append([][]byte{raw}, items[at:]...)...)
	})
}

func (l list) replace(at int, v value) error {
	return l.edit(func(items [][]byte, shadow bool) [][]byte {
		if items[at] = orNull(v.raw); shadow {
			items[at] = orNull(v.shadow)
		}
		return items
	})
}

func (l list) setShadow(at int, raw []byte) error {
	return l.edit(func(items [][]byte, shadow bool) [][]byte {
		if shadow {
			items[at] = raw
		}
		return items
	})
}

func (l list) remove(at int) error {
	return l.edit(func(items [][]byte, _ bool) [][]byte { return append(items[:at:at], items[at+1:]...) })
}

func (l list) move(from, to int) error {
	return l.edit(func(items [][]byte, _ bool) [][]byte {
		moved := items[from]
		items = append(items[:from:from], items[from+1:]...)
		return append(items[:to:to], append([][]byte{moved}, items[to:]...)...)
	})
}

// remove deletes an element, and what is empty without it: JSON of FHIR has no empty objects and lists (FHIR R4 json.html).
func (e *evaluator) remove(n *node) error {
	l := list{e: e, owner: n.parent.pointer(), member: n.member}
	var err error
	if n.index >= 0 {
		err = l.remove(n.index)
	} else {
		err = l.unset()
	}
	if err != nil {
		return err
	}
	return e.prune(n.parent)
}

func (e *evaluator) prune(n *node) error {
	if n.parent == nil {
		return nil
	}
	at, err := e.d.find(n.pointer())
	if err != nil || at.value.to-at.value.from > 2 {
		return err
	}
	if shadowed := n.member[0] == '_'; shadowed && n.index >= 0 {
		items := list{e: e, owner: n.parent.pointer(), member: n.member[1:]}
		if err := items.setShadow(n.index, []byte("null")); err != nil {
			return err
		}
		return e.prune(n.parent)
	}
	return e.remove(n)
}
