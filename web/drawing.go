package web

import (
	"fmt"
	"net/url"
	"unicode/utf8"

	"github.com/tributary-sync/tributary/control"
)

// How a tree is drawn: a row a node, each level further to the right, and what is wrong below the name, so that a phone shows it. Sizes are pixels.
const (
	rowHeight   = 26
	wordsHeight = 14
	indent      = 22
	letter      = 8   // about the width of a letter
	mostDrawn   = 120 // rows; more nodes are in the table alone
	wholeUpTo   = 60  // a tree of so many nodes is drawn whole; of a larger one what is well is summed up
	longestName = 32
)

// drawing is a tree as a picture.
type drawing struct {
	Width, Height int
	Rows          []drawnRow
	Left          string // what is not drawn

	skipped int
	sum     bool
}

// drawnRow is a node of the picture, or several that are well. Its shape says the same as its colour.
type drawnRow struct {
	TextX, TextY int
	Line, Mark   string // outlines, as SVG writes paths
	Class        string
	Name, Words  string
	Href         string // to its part of the tree, empty where nothing is below it
}

// draw makes the picture of a node and all below it, nil where nothing is.
func (p page) draw(top control.NetworkNode) *drawing {
	if len(top.Children) == 0 {
		return nil
	}
	d := &drawing{sum: size(top) > wholeUpTo}
	d.add(p, top, 0, 0)
	if d.skipped > 0 {
		d.Left = p.t("network.not_drawn", "n", d.skipped)
	}
	d.Height += 4
	for _, r := range d.Rows {
		d.Width = max(d.Width, r.TextX+letter*(2+max(utf8.RuneCountInString(r.Name), utf8.RuneCountInString(r.Words))))
	}
	return d
}

func (d *drawing) add(p page, n control.NetworkNode, depth, parentY int) {
	if len(d.Rows) >= mostDrawn {
		d.skipped += size(n)
		return
	}
	r := drawnRow{Class: classOK, Name: n.Name}
	if len(n.Troubles) > 0 {
		r.Class, r.Words = troubleClass(n.Troubles[0].Code), p.troubleWords(n.Troubles[0])
	}
	if utf8.RuneCountInString(r.Name) > longestName {
		r.Name = string([]rune(r.Name)[:longestName-1]) + "…"
	}
	if depth > 0 && len(n.Children) > 0 {
		r.Href = "/network?at=" + url.QueryEscape(n.ID)
	}
	y := d.row(r, depth, parentY)
	for i, k := range n.Children {
		rest := n.Children[i:]
		if d.sum && len(rest) > 3 && len(d.Rows) < mostDrawn && allWell(rest) {
			d.row(drawnRow{Class: classOK, Words: p.t("network.more_well", "n", sizes(rest))}, depth+1, y)
			return
		}
		d.add(p, k, depth+1, y)
	}
}

// row adds a row and returns how far down it is.
func (d *drawing) row(r drawnRow, depth, parentY int) int {
	x, y := 12+depth*indent, d.Height+rowHeight/2
	if d.Height += rowHeight; r.Name != "" && r.Words != "" {
		d.Height += wordsHeight
	}
	if depth > 0 {
		r.Line = fmt.Sprintf("M%d %dV%dH%d", x-indent, parentY+8, y, x-9)
	}
	switch r.Class {
	case classBad:
		r.Mark = fmt.Sprintf("M%d %dh12v12h-12z", x-6, y-6)
	case classWarn:
		r.Mark = fmt.Sprintf("M%d %dl7 13h-14z", x, y-7)
	default:
		r.Mark = fmt.Sprintf("M%d %da6 6 0 1 0 12 0a6 6 0 1 0 -12 0z", x-6, y)
	}
	r.TextX, r.TextY = x+14, y+5
	d.Rows = append(d.Rows, r)
	return y
}

// size counts a node and all below it.
func size(n control.NetworkNode) int { return 1 + sizes(n.Children) }

func sizes(list []control.NetworkNode) (out int) {
	for _, n := range list {
		out += size(n)
	}
	return out
}

// allWell reports whether nothing is wrong with any of some nodes and those below them.
func allWell(list []control.NetworkNode) bool {
	for _, n := range list {
		if len(n.Troubles) > 0 || !allWell(n.Children) {
			return false
		}
	}
	return true
}
