package reconcile

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
)

// Side is one of two copies.
type Side int

// The sides. Neither says that nobody has chosen.
const (
	Neither Side = iota
	Left
	Right
)

// Difference is an element in which two copies differ. The values are JSON, nil where the element is absent.
type Difference struct {
	Path     string // as FHIRPath writes it; an element that one side added to a list has the side before its index: name[left:1]
	Words    string // what happened, for people
	Left     []byte
	Right    []byte
	Ancestor []byte
	Clash    bool // both sides changed it, or what belongs to it
	Critical bool // a wrong guess could harm the patient: no policy may choose, only a person
}

// Merge puts two copies together that were made from one ancestor: what one side changed is taken from it, what both changed alike stands
// once. It returns the merged copy, or no copy and the elements that clash. The order of the two copies does not matter. All three are
// compact JSON as stored; a nil ancestor stands for one that is not there any more: then every difference clashes. It works on the bytes:
// number literals, the order of members and of elements, and what no definition knows stay as they are (DESIGN.md 4.2).
func Merge(ancestor, left, right []byte) (merged []byte, clashes []Difference) {
	merged, m := merge(ancestor, left, right, nil, false)
	return merged, m.clashes
}

// MergeChoosing is Merge where pick chooses a side for elements, or Neither to leave it as Merge has it. pick is asked about each
// element in which the copies differ; clashes are those for which it made no choice.
func MergeChoosing(ancestor, left, right []byte, pick func(Difference) Side) (merged []byte, clashes []Difference) {
	return MergeWith(ancestor, left, right, func(d Difference) (Side, []byte) { return pick(d), nil })
}

// MergeWith is MergeChoosing where pick may also return the element as it is to be, as compact JSON, instead of a side.
func MergeWith(ancestor, left, right []byte, pick func(Difference) (Side, []byte)) (merged []byte, clashes []Difference) {
	merged, m := merge(ancestor, left, right, pick, true)
	return merged, m.clashes
}

// Differences returns the elements in which two copies differ, those included that only one side changed.
func Differences(ancestor, left, right []byte) []Difference {
	_, m := merge(ancestor, left, right, nil, true)
	return m.found
}

// merger is one merge. The side that sorts first is called left, so that the order of the arguments does not matter.
type merger struct {
	swapped bool
	blind   bool // there is no ancestor
	detail  bool // look at what one side alone changed, too
	pick    func(Difference) (Side, []byte)
	found   []Difference                // where there is detail
	clashes []Difference                // without a choice
	chosen  int                         // clashes for which there was one
	names   map[string]map[string]label // by type, then as JSON writes them
	groups  map[string][]fhir.Group
	read    [3][]member // by sides
	keys    places      // by members
	spare   []*sides    // that no object uses any more
}

// place is where in the resource a merge is.
type place struct {
	path     string
	critical bool
}

func (p place) element(name string, critical bool) place {
	return place{p.path + "." + name, p.critical || critical}
}

func merge(ancestor, left, right []byte, pick func(Difference) (Side, []byte), detail bool) ([]byte, *merger) {
	m := &merger{
		swapped: bytes.Compare(left, right) > 0, blind: ancestor == nil, detail: detail, pick: pick,
		names: map[string]map[string]label{}, groups: map[string][]fhir.Group{},
	}
	if m.swapped {
		left, right = right, left
	}
	typ := text(left, "resourceType")
	if !fhir.IsType(typ) {
		typ = ""
	}
	at := place{path: typ}
	if typ == "" {
		at.path = "document"
	}
	a, l, r := elem{raw: ancestor}, elem{raw: left}, elem{raw: right}
	out := m.value(at, typ, a, l, r)
	m.contained(at, a, l, r, out)
	if len(m.clashes) > 0 {
		return nil, m
	}
	return out.raw, m
}

// value merges one element.
func (m *merger) value(at place, typ string, a, l, r elem) elem {
	if same(l, r) {
		return l
	}
	return m.differing(at, typ, a, l, r)
}

// differing merges an element in which the copies differ.
func (m *merger) differing(at place, typ string, a, l, r elem) elem {
	if !m.detail && !m.blind {
		switch {
		case same(l, a):
			return r
		case same(r, a):
			return l
		}
	}
	if list(a) && list(l) && list(r) {
		return m.list(at, typ, a, l, r)
	}
	if l.kind() == '{' && r.kind() == '{' && m.composed(typ, a, l, r) {
		if a.kind() != '{' {
			a = elem{raw: []byte("{}")}
		}
		return m.object(at, typ, a, l, r)
	}
	return m.settle(at, a, l, r, false)
}

func list(e elem) bool { return e.absent() || e.kind() == '[' }

// composed reports whether objects are merged element by element.
func (m *merger) composed(typ string, a, l, r elem) bool {
	if typ == "Resource" || fhir.IsType(typ) {
		return text(l.raw, "resourceType") == text(r.raw, "resourceType")
	}
	if !fhir.Composed(typ) || a.absent() && typ != "Meta" && !m.blind {
		return false
	}
	return typ != "CodeableConcept" || m.blind || onlyTranslated(a, l, r)
}

// object merges the elements of two objects.
func (m *merger) object(at place, typ string, a, l, r elem) elem {
	owner := typ
	if fhir.IsType(typ) || typ == "Resource" {
		owner = text(l.raw, "resourceType")
	}
	o := m.sides(owner, a.raw, l.raw, r.raw)
	defer func() { m.spare = append(m.spare, o) }()
	bound := o.bound(m, owner)
	out := o.out[:0]
	allLeft, allRight, chosen := true, true, m.chosen
	resource := fhir.IsType(owner)
	story := -1 // the narrative's place in out
	for _, i := range o.order {
		x := &o.entries[i]
		if resource && x.key == "text" {
			story = len(out)
			continue
		}
		if !x.differ {
			if !x.l.absent() {
				out = append(out, x.l)
			}
			continue
		}
		v := m.member(at.element(x.key, m.critical(owner, x.key)), owner, x, slices.Contains(bound, x.key))
		allLeft = allLeft && v.name == x.l.name && same(v.elem, x.l.elem)
		allRight = allRight && v.name == x.r.name && same(v.elem, x.r.elem)
		if !v.absent() {
			out = append(out, v)
		}
	}
	if story >= 0 {
		x := o.of("text")
		if v := m.narrative(at.element("text", false), x, allLeft, allRight); !v.absent() {
			allLeft, allRight = allLeft && same(v.elem, x.l.elem), allRight && same(v.elem, x.r.elem)
			out = slices.Insert(out, story, v)
		} else {
			allLeft, allRight = allLeft && x.l.absent(), allRight && x.r.absent()
		}
	}
	o.out = out
	switch {
	case allLeft:
		return l
	case allRight:
		return r
	case len(out) == 0 && m.chosen > chosen: // nothing of it was to stay
		return m.emptied(at, l, r)
	case len(out) == 0: // JSON of FHIR has no empty objects (FHIR R4 json.html)
		return m.settle(at, a, l, r, true)
	}
	return elem{raw: object(out)}
}

// entry is an element in the three copies.
type entry struct {
	key     string
	a, l, r member
	differ  bool // the two copies say different things
}

func (x *entry) changed() (byLeft, byRight bool) {
	return x.l.name != x.a.name || !same(x.l.elem, x.a.elem), x.r.name != x.a.name || !same(x.r.elem, x.a.elem)
}

// sides is an object in the three copies.
type sides struct {
	entries []entry
	order   []int // of the merged object
	at      places
	blind   bool
	out     []member // of the merged object
}

// of returns the entry of an element, nil where it is in no copy.
func (o *sides) of(key string) *entry {
	i := o.at.of(key)
	if i < 0 {
		return nil
	}
	return &o.entries[i]
}

// sides lays the elements of three objects beside each other: in the order of the left one, those that only the right one has behind the
// same neighbours as there.
func (m *merger) sides(owner string, a, l, r []byte) *sides {
	var o *sides
	if n := len(m.spare) - 1; n >= 0 {
		o, m.spare = m.spare[n], m.spare[:n]
	} else {
		o = &sides{}
	}
	o.entries, o.order, o.blind = o.entries[:0], o.order[:0], m.blind
	o.at.reset()
	for i, raw := range [...][]byte{a, l, r} {
		m.read[i] = m.members(m.read[i][:0], owner, raw)
	}
	am, lm, rm := m.read[0], m.read[1], m.read[2]
	place := func(key string) (int, bool) {
		if i := o.at.of(key); i >= 0 {
			return i, false
		}
		o.at.add(key)
		o.entries = append(o.entries, entry{key: key})
		return len(o.entries) - 1, true
	}
	left, right := o.order, make([]int, 0, len(rm))
	for _, x := range lm {
		i, _ := place(x.key)
		o.entries[i].l = x
		left = append(left, i)
	}
	mixed := false
	for _, x := range rm {
		i, alone := place(x.key)
		o.entries[i].r = x
		right = append(right, i)
		mixed = mixed || alone
	}
	for _, x := range am {
		i, alone := place(x.key)
		o.entries[i].a = x
		if alone {
			left = append(left, i) // gone on both sides: it tells what was removed
		}
	}
	for i := range o.entries {
		x := &o.entries[i]
		x.differ = x.l.name != x.r.name || !same(x.l.elem, x.r.elem)
	}
	if o.order = left; mixed {
		o.order = interleave(left, right)
	}
	return o
}

// interleave returns base with what only other has: behind the neighbour that it has there, and behind what only base has at that place.
// Both have each number once.
func interleave(base, other []int) []int {
	size := 0
	for _, x := range base {
		size = max(size, x+1)
	}
	for _, x := range other {
		size = max(size, x+1)
	}
	head := size
	next := make([]int, size+1)
	in, shared := make([]bool, size), make([]bool, size+1)
	for _, x := range other {
		shared[x] = true
	}
	last := head
	for _, x := range base {
		next[last], last = x, x
		in[x] = true
	}
	next[last] = head
	prev, n := head, len(base)
	for _, x := range other {
		if in[x] {
			prev = x
			continue
		}
		for next[prev] != head && !shared[next[prev]] {
			prev = next[prev]
		}
		next[x] = next[prev]
		next[prev] = x
		in[x] = true
		prev = x
		n++
	}
	out := make([]int, 0, n)
	for x := next[head]; x != head && len(out) < n; x = next[x] {
		out = append(out, x)
	}
	return out
}

// member merges one element of an object.
func (m *merger) member(at place, owner string, x *entry, bound bool) member {
	if bound && x.differ {
		return m.oneOf(at, x, true)
	}
	shape := x.l
	if shape.absent() {
		shape = x.r
	}
	if shape.absent() {
		return member{}
	}
	for _, y := range [...]*member{&x.a, &x.r} {
		if !y.absent() && y.name != shape.name { // a choice that took another type (FHIR R4 formats.html#choice)
			return m.oneOf(at, x, false)
		}
	}
	if !x.differ {
		return x.l
	}
	if shape.elem = m.differing(at, shape.typ, x.a.elem, x.l.elem, x.r.elem); !shape.absent() {
		return shape
	}
	if e, ok := fhir.ElementOf(owner, x.key); ok && e.Required && !x.l.absent() && !x.r.absent() {
		return m.oneOf(at, x, true) // without it the resource is none
	}
	return member{}
}

// oneOf takes an element from one side, with its name.
func (m *merger) oneOf(at place, x *entry, bound bool) member {
	if !x.differ {
		return x.l
	}
	label := func(y member) elem { // so that a value that changed its type alone differs
		if y.absent() || y.name == y.key {
			return y.elem
		}
		return elem{raw: object([]member{y})}
	}
	l, r := label(x.l), label(x.r)
	switch v := m.settle(at, label(x.a), l, r, bound); {
	case same(v, l):
		return x.l
	case same(v, r):
		return x.r
	default:
		return x.written(v)
	}
}

// written returns the element as a person wrote it, who took neither side's: of a choice of types as an object that names the type, as
// the copies are shown, or the value alone, which is of the type that stands there.
func (x *entry) written(v elem) member {
	out := x.l
	if out.absent() {
		out = x.r
	}
	out.elem = v
	var names []string
	var value []byte
	each(v.raw, func(name, of []byte) {
		names, value = append(names, fhir.Unquote(name)), of
	})
	if out.name != out.key && v.kind() == '{' && len(names) == 1 && strings.HasPrefix(names[0], x.key) {
		out.name, out.elem = names[0], elem{raw: value}
	}
	return out
}

// bound returns the elements of which no side can be taken alone, because the two sides changed different ones that say one thing
// together, or because one side removed something where the other removed something else.
func (o *sides) bound(m *merger, owner string) []string {
	var out []string
	for _, g := range m.together(owner) {
		if owner == "HumanName" && o.parts() {
			continue
		}
		var touched []string
		left, right := false, false
		for _, key := range g.Elements {
			x := o.of(key)
			if x == nil || !x.differ {
				continue
			}
			byLeft, byRight := x.changed()
			touched, left, right = append(touched, key), left || byLeft, right || byRight
		}
		if left && right && len(touched) > 1 {
			out = append(out, touched...)
		}
	}
	if owner == "" || o.blind || fhir.IsType(owner) {
		return out
	}
	var gone [2][]string
	for i := range o.entries {
		x := &o.entries[i]
		if !x.a.absent() && x.l.absent() != x.r.absent() {
			i := 0
			if x.r.absent() {
				i = 1
			}
			gone[i] = append(gone[i], x.key)
		}
	}
	if gone[0] != nil && gone[1] != nil {
		out = slices.Concat(out, gone[0], gone[1])
	}
	return out
}

// parts reports whether a name differs in its parts alone and has no text that says all of them: then they are merged one by one.
func (o *sides) parts() bool {
	for i := range o.entries {
		x := &o.entries[i]
		whole := x.key == "text" || x.key == "use" || x.key == "period"
		if whole && x.differ || x.key == "text" && !(x.l.absent() && x.r.absent()) {
			return false
		}
	}
	return true
}

func (m *merger) together(owner string) []fhir.Group {
	g, ok := m.groups[owner]
	if !ok {
		g = fhir.Together(owner)
		m.groups[owner] = g
	}
	return g
}

func (m *merger) critical(owner, key string) bool {
	return slices.ContainsFunc(m.together(owner), func(g fhir.Group) bool { return g.Critical && slices.Contains(g.Elements, key) })
}

// onlyTranslated reports whether two sides did nothing to a concept but add codes of further systems: any other change of one side
// changes what is meant, and what the other side added would be a translation of something else.
func onlyTranslated(a, l, r elem) bool {
	if !sameJSON(field(l.raw, "text"), field(a.raw, "text")) || !sameJSON(field(r.raw, "text"), field(a.raw, "text")) {
		return false
	}
	added := func(now elem) (systems []string, ok bool) {
		have := map[string]int{}
		each(field(a.raw, "coding"), func(_, v []byte) { have[string(v)]++ })
		each(field(now.raw, "coding"), func(_, v []byte) {
			if have[string(v)]--; have[string(v)] < 0 {
				systems = append(systems, text(v, "system"))
			}
		})
		for _, n := range have {
			if n > 0 {
				return nil, false
			}
		}
		return systems, true
	}
	ls, ok := added(l)
	rs, also := added(r)
	return ok && also && !slices.ContainsFunc(ls, func(s string) bool { return slices.Contains(rs, s) })
}
