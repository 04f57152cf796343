package reconcile

import (
	"fmt"
	"slices"

	"github.com/tributary-sync/tributary/fhir"
)

// row is a value of a merged list and where it stands in the three copies; -1 where it does not.
type row struct{ a, l, r int }

// list merges two lists value by value. Values are the same if identity says so; the order of a side is kept.
func (m *merger) list(at place, typ string, a, l, r elem) elem {
	if m.blind {
		return m.settle(at, a, l, r, false)
	}
	as, ls, rs := items(a), items(l), items(r)
	rows, byLeft, byRight := rowsOf(typ, as, ls, rs)
	oneSided := same(l, a) || same(r, a)
	whole := typ == "Dosage" || fhir.IsPrimitive(typ) // their order means something, and a dose is said by all of them
	// The url of an extension is its name, which nobody corrects: another one is another element.
	if !oneSided && (typ == "Dosage" || typ != "Extension" && replaced(rows) || whole && movedTwice(rows)) {
		return m.settle(at, a, l, r, true)
	}
	chosen := m.chosen
	values := make([]elem, len(rows))
	for i, x := range rows {
		values[i] = m.row(at, typ, x, pick(as, x.a), pick(ls, x.l), pick(rs, x.r))
	}
	base, other := byLeft, byRight
	if moved(rows, func(x row) int { return x.r }) && !moved(rows, func(x row) int { return x.l }) {
		base, other = other, base
	}
	var out []elem
	var from []row
	for _, i := range interleave(base, other) {
		if !values[i].absent() {
			out, from = append(out, values[i]), append(from, rows[i])
		}
	}
	if !oneSided {
		out = once(out, from, ls, rs)
	}
	switch {
	case len(out) > 0 || len(ls) == 0 || len(rs) == 0:
	case m.chosen > chosen:
		return m.emptied(at, l, r)
	default:
		return m.settle(at, a, l, r, true) // each side left something
	}
	merged := array(out)
	if same(merged, l) {
		return l
	}
	if same(merged, r) {
		return r
	}
	return merged
}

func pick(values []elem, i int) elem {
	if i < 0 {
		return elem{}
	}
	return values[i]
}

// row merges one value of a list.
func (m *merger) row(at place, typ string, x row, a, l, r elem) elem {
	switch {
	case x.a >= 0:
		at.path = fmt.Sprintf("%s[%d]", at.path, x.a)
	case x.l >= 0:
		at.path = fmt.Sprintf("%s[left:%d]", at.path, x.l)
	default:
		at.path = fmt.Sprintf("%s[right:%d]", at.path, x.r)
	}
	if x.a < 0 && x.l >= 0 && x.r >= 0 && l.kind() == '{' && !same(l, r) && fhir.Composed(typ) && typ != "CodeableConcept" {
		a = elem{raw: []byte("{}")} // both added it: what one of them says more is kept
	}
	return m.value(at, typ, a, l, r)
}

// rows matches three lists, and returns the rows of each side in its order.
func rowsOf(typ string, as, ls, rs []elem) (rows []row, byLeft, byRight []int) {
	toLeft, toRight := match(typ, as, ls), match(typ, as, rs)
	inLeft, inRight := make([]int, len(ls)), make([]int, len(rs))
	for i := range inLeft {
		inLeft[i] = -1
	}
	for i := range inRight {
		inRight[i] = -1
	}
	for i := range as {
		l, r := toLeft[i], toRight[i]
		if l >= 0 {
			inLeft[l] = len(rows)
		}
		if r >= 0 {
			inRight[r] = len(rows)
		}
		rows = append(rows, row{i, l, r})
	}
	missing := func(i int) bool { return i < 0 }
	newLeft, newRight := left(inLeft, missing), left(inRight, missing)
	both := matchAdded(typ, choose(ls, newLeft), choose(rs, newRight))
	for n, i := range newLeft {
		r := -1
		if both[n] >= 0 {
			r = newRight[both[n]]
			inRight[r] = len(rows)
		}
		inLeft[i] = len(rows)
		rows = append(rows, row{-1, i, r})
	}
	for _, i := range newRight {
		if inRight[i] < 0 {
			inRight[i] = len(rows)
			rows = append(rows, row{-1, -1, i})
		}
	}
	return rows, inLeft, inRight
}

func choose(values []elem, at []int) []elem {
	out := make([]elem, len(at))
	for i, n := range at {
		out[i] = values[n]
	}
	return out
}

// replaced reports whether both sides dropped one value where one of them alone put another, as far as can be told in its place: the same
// thing was changed two ways, or changed and deleted.
func replaced(rows []row) bool {
	var dropped, left, right bool
	for _, x := range rows {
		dropped = dropped || x.a >= 0 && x.l < 0 && x.r < 0
		left = left || x.a < 0 && x.r < 0
		right = right || x.a < 0 && x.l < 0
	}
	return dropped && (left || right)
}

// moved reports whether a side has the values that all three copies have in another order than the ancestor.
func moved(rows []row, side func(row) int) bool {
	last := -1
	for _, x := range rows {
		if x.a < 0 || x.l < 0 || x.r < 0 {
			continue
		}
		if side(x) < last {
			return true
		}
		last = side(x)
	}
	return false
}

// movedTwice reports whether both sides reordered what they share, each in its own way.
func movedTwice(rows []row) bool {
	left, right := func(x row) int { return x.l }, func(x row) int { return x.r }
	if !moved(rows, left) || !moved(rows, right) {
		return false
	}
	shared := slices.DeleteFunc(slices.Clone(rows), func(x row) bool { return x.a < 0 || x.l < 0 || x.r < 0 })
	slices.SortFunc(shared, func(x, y row) int { return x.l - y.l })
	return !slices.IsSortedFunc(shared, func(x, y row) int { return x.r - y.r })
}

// once leaves out what one side added and the other side's change of something else has made too: no value stands more often than in a
// copy.
func once(values []elem, from []row, ls, rs []elem) []elem {
	now := map[string]int{} // of the values that were added: how often they stand there
	for i, x := range from {
		if x.a < 0 {
			now[values[i].whole()] = 0
		}
	}
	if len(now) == 0 {
		return values
	}
	count := func(n map[string]int, values []elem) {
		for _, v := range values {
			if lookup(now, v) >= 0 {
				n[v.whole()]++
			}
		}
	}
	left, right := map[string]int{}, map[string]int{}
	count(now, values)
	count(left, ls)
	count(right, rs)
	var out []elem
	for i, v := range values {
		if from[i].a < 0 {
			if k := v.whole(); now[k] > max(left[k], right[k], 1) {
				now[k]--
				continue
			}
		}
		out = append(out, v)
	}
	return out
}
