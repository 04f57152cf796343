package archtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Row says what a folder may import of ours.
type Row struct {
	Any     bool     // "*"
	Folders []string // exact, or with /... for a folder and all below it
}

// Table maps a folder to its row.
type Table map[string]Row

// isHeader recognises the beginning of the table of packages; other tables of the page are left alone.
func isHeader(cells []string) bool {
	return len(cells) == 3 && cells[0] == "folder" && cells[1] == "owns" && cells[2] == "imports (ours)"
}

// ParseTable reads the table of packages out of a Markdown page: rows of | folder | owns | imports (ours) |. A folder cell may
// name several folders, the imports cell is a list of folders, "-" for none or "*" for all; both are separated by commas and
// may stand in backticks. It is an error if there is no such table, if a folder has two rows, or if an import names a folder that has none.
func ParseTable(markdown string) (Table, error) {
	table := Table{}
	inside, found := false, false
	number := 0
	for line := range strings.Lines(markdown) {
		number++
		cells := splitRow(line)
		switch {
		case cells == nil:
			inside = false
			continue
		case isHeader(cells):
			inside, found = true, true
			continue
		case !inside || isRule(cells):
			continue
		case len(cells) != 3:
			return nil, fmt.Errorf("line %d: a row of the table of packages has 3 cells, this one has %d", number, len(cells))
		}
		row := Row{}
		for _, name := range list(cells[2]) {
			switch name {
			case "-":
			case "*":
				row.Any = true
			default:
				row.Folders = append(row.Folders, name)
			}
		}
		folders := list(cells[0])
		if len(folders) == 0 || len(list(cells[2])) == 0 {
			return nil, fmt.Errorf("line %d: a row needs a folder and its imports (- for none)", number)
		}
		for _, folder := range folders {
			if _, twice := table[folder]; twice {
				return nil, fmt.Errorf("line %d: %s has a row already", number, folder)
			}
			table[folder] = row
		}
	}
	if !found {
		return nil, errors.New("there is no table with the header | folder | owns | imports (ours) |")
	}
	return table, table.closed()
}

// closed checks that every import names something that has a row, so that a misspelt folder is not a silent permission.
func (t Table) closed() error {
	for _, folder := range slices.Sorted(maps.Keys(t)) {
		for _, name := range t[folder].Folders {
			base, tree := strings.CutSuffix(name, "/...")
			known := false
			for other := range t {
				known = known || other == base || tree && strings.HasPrefix(other, base+"/")
			}
			if !known {
				return fmt.Errorf("the row of %s allows %s, which has no row", folder, name)
			}
		}
	}
	return nil
}

// allows tells whether the row permits the import of a folder.
func (r Row) allows(folder string) bool {
	if r.Any {
		return true
	}
	for _, name := range r.Folders {
		base, tree := strings.CutSuffix(name, "/...")
		if folder == base || tree && strings.HasPrefix(folder, base+"/") {
			return true
		}
	}
	return false
}

// splitRow returns the trimmed cells of a Markdown table row, nil if the line is none. \| is a bar inside a cell.
func splitRow(line string) []string {
	line = strings.TrimSpace(line)
	if len(line) < 2 || line[0] != '|' || !strings.HasSuffix(line, "|") {
		return nil
	}
	var cells []string
	cell := strings.Builder{}
	for i := 1; i < len(line); i++ {
		switch {
		case line[i] == '\\' && i+1 < len(line) && line[i+1] == '|':
			cell.WriteByte('|')
			i++
		case line[i] == '|':
			cells = append(cells, strings.TrimSpace(cell.String()))
			cell.Reset()
		default:
			cell.WriteByte(line[i])
		}
	}
	return cells
}

// isRule recognises the line of dashes under the header.
func isRule(cells []string) bool {
	return strings.Trim(strings.Join(cells, ""), "-: ") == "" && strings.Contains(cells[0], "---")
}

// list splits a cell at its commas.
func list(cell string) []string {
	var all []string
	for _, name := range strings.Split(cell, ",") {
		if name = strings.Trim(name, " `"); name != "" {
			all = append(all, name)
		}
	}
	return all
}
