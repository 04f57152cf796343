package main

import (
	"os"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// width returns how many characters a line of the terminal has, 0 where nobody watches: a script gets whole lines. COLUMNS goes before it.
func (a *app) width() int {
	if n, err := strconv.Atoi(a.variable("COLUMNS")); err == nil && n > 0 {
		return n
	}
	f, ok := a.display().(*os.File)
	if !ok || !terminal(f) {
		return 0
	}
	n, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return n
}

// narrowest is how far a column may be folded.
const narrowest = 10

// fit folds the widest columns of a table until it is as narrow as the terminal, those with sentences before those with names, and puts numbers to the right.
func fit(header table.Row, rows []table.Row, width int) []table.ColumnConfig {
	widths, folds, numbers := make([]int, len(header)), make([]bool, len(header)), make([]bool, len(header))
	for i := range header {
		widths[i], numbers[i] = text.LongestLineLen(cellText(header[i])), len(rows) > 0
		for _, r := range rows {
			c := cellText(r[i])
			widths[i] = max(widths[i], text.LongestLineLen(c))
			folds[i] = folds[i] || strings.ContainsAny(c, " ")
			numbers[i] = numbers[i] && strings.Trim(c, "0123456789,.-") == ""
		}
	}
	room := width - 3*len(header) - 1
	for total := sum(widths); width > 0 && total > room; total = sum(widths) {
		widest := -1
		for _, sentences := range []bool{true, false} {
			for i := range widths {
				if widest < 0 && widths[i] > narrowest && (folds[i] || !sentences) || widest >= 0 && widths[i] > widths[widest] && (folds[i] || !sentences) {
					widest = i
				}
			}
			if widest >= 0 {
				break
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	out := make([]table.ColumnConfig, len(header))
	for i := range out {
		out[i] = table.ColumnConfig{Number: i + 1, WidthMax: widths[i], WidthMaxEnforcer: text.WrapSoft}
		if numbers[i] {
			out[i].Align, out[i].AlignHeader = text.AlignRight, text.AlignRight
		}
	}
	return out
}

func sum(widths []int) int {
	total := 0
	for _, w := range widths {
		total += w
	}
	return total
}

// tint marks words that say how something stands.
func (a *app) tint(rows []table.Row) {
	if !a.coloured() {
		return
	}
	for _, r := range rows {
		for i, c := range r {
			switch word := cellText(c); word {
			case "failed", "refused", "interrupted", "silent":
				r[i] = a.colour(red, word)
			case "parked", "open", "held", "deferred", "differs", "off":
				r[i] = a.colour(yellow, word)
			case "done", "applied", "equal", "decided", "running":
				r[i] = a.colour(green, word)
			}
		}
	}
}
