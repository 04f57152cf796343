package reconcile

import "strings"

// settle takes one side of an element as a whole. Where both changed it, or where what belongs to it was changed on the other side
// (bound), that is a clash.
func (m *merger) settle(at place, a, l, r elem, bound bool) elem {
	d := Difference{Path: at.path, Left: l.shown(), Right: r.shown(), Ancestor: a.shown(), Critical: at.critical}
	byLeft, byRight := m.blind || !same(l, a), m.blind || !same(r, a)
	d.Clash = bound || byLeft && byRight
	side := Neither
	if !d.Clash && byLeft {
		side = Left
	} else if !d.Clash {
		side = Right
	}
	told, own := d, []byte(nil)
	if m.swapped {
		told.Left, told.Right, told.Path = d.Right, d.Left, swapPath(d.Path)
		byLeft, byRight = byRight, byLeft
	}
	told.Words = words(a, told, byLeft, byRight, m.blind, bound)
	if m.pick != nil {
		var picked Side
		switch picked, own = m.pick(told); {
		case own != nil:
			side = Left
		case picked == Left || picked == Right:
			side = m.side(picked)
		}
		if d.Clash && side != Neither {
			m.chosen++
		}
	}
	if side == Neither {
		m.clashes = append(m.clashes, told)
	}
	if m.detail {
		m.found = append(m.found, told)
	}
	switch {
	case own != nil:
		return elem{raw: own}
	case side == Right:
		return r
	}
	return l
}

// emptied returns what is left of an element of which nothing was to stay, by what was chosen in it: nothing. What one side removed does not come
// back by a choice about something else, only where somebody takes the element whole.
func (m *merger) emptied(at place, l, r elem) elem {
	d := Difference{Path: at.path, Left: l.shown(), Right: r.shown(), Critical: at.critical, Words: "nothing of it stays"}
	if m.swapped {
		d.Left, d.Right, d.Path = d.Right, d.Left, swapPath(d.Path)
	}
	switch picked, own := m.pick(d); {
	case own != nil:
		return elem{raw: own}
	case picked == Left || picked == Right:
		if m.side(picked) == Left {
			return l
		}
		return r
	}
	return elem{}
}

// side says which side of the merge one of the arguments is.
func (m *merger) side(s Side) Side {
	if m.swapped {
		return Left + Right - s
	}
	return s
}

func swapPath(path string) string {
	return strings.NewReplacer("[left:", "[right:", "[right:", "[left:").Replace(path)
}

// shown returns an element as one JSON value for people.
func (e elem) shown() []byte {
	if e.ext == nil {
		return e.raw
	}
	return object([]member{{name: "value", elem: elem{raw: e.raw, ext: e.ext}}})
}

func words(a elem, d Difference, byLeft, byRight, blind, bound bool) string {
	did := func(now []byte) string {
		switch {
		case now == nil:
			return "removed"
		case a.absent():
			return "added"
		default:
			return "changed"
		}
	}
	switch {
	case blind && d.Left == nil:
		return "only on the right"
	case blind && d.Right == nil:
		return "only on the left"
	case blind:
		return "differs"
	case byLeft && byRight && did(d.Left) == did(d.Right):
		return did(d.Left) + " on both sides, differently"
	case byLeft && byRight:
		return did(d.Left) + " on the left, " + did(d.Right) + " on the right"
	}
	side, what := "left", did(d.Left)
	if byRight {
		side, what = "right", did(d.Right)
	}
	if bound {
		return what + " on the " + side + "; what belongs to it was changed on the other side"
	}
	return what + " on the " + side
}
