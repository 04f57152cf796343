package peertest_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// atLeast is how many requests the comparison has; fewer are a mistake in a file.
const atLeast = 300

// The node and Medplum's server in memory get the same requests. Each difference between their answers stands in
// docs/differences.md, with the sentence of the specification that decides; nothing else stands there.
func TestDifferences(t *testing.T) {
	t.Parallel()
	medplum := startMedplum(t)
	var found []difference
	names := map[string]bool{}
	for _, file := range requestFiles(t) {
		node, peer := fresh(t, medplum)
		for _, r := range readRequests(t, file) {
			if names[r.name] {
				t.Fatalf("%s: two requests are named %s", file, r.name)
			}
			names[r.name] = true
			ordered := strings.Contains(r.path, "_sort=")
			status, body := node.send(t, r)
			ours := read(status, body, ordered)
			status, body = peer.send(t, r)
			found = append(found, compare(r.name, ours, read(status, body, ordered))...)
		}
	}
	if len(names) < atLeast {
		t.Errorf("%d requests, at least %d are wanted", len(names), atLeast)
	}
	listed := readList(t, names)
	var missing []string
	seen := map[difference]bool{}
	for _, d := range found {
		everywhere := difference{everyRequest, d.facet, d.node, d.peer}
		switch {
		case listed[d]:
			seen[d] = true
		case listed[everywhere]:
			seen[everywhere] = true
		default:
			missing = append(missing, d.row())
		}
	}
	var gone []string
	for d := range listed {
		if !seen[d] {
			gone = append(gone, d.row())
		}
	}
	slices.Sort(gone)
	if len(missing) > 0 {
		t.Errorf("%d differences are not in %s. Find the sentence of the specification that decides, and add under it:\n%s",
			len(missing), listFile, strings.Join(missing, "\n"))
	}
	if len(gone) > 0 {
		t.Errorf("%d differences of %s are there no more. Take them out:\n%s", len(gone), listFile, strings.Join(gone, "\n"))
	}
}

const (
	listFile     = "../../docs/differences.md" // the list of known differences
	everyRequest = "*"                         // in a row: whichever request shows it
)

// row is a difference as a line of the list.
func (d difference) row() string {
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	return fmt.Sprintf("| %s | %s | %s | %s |", d.request, cell.Replace(d.facet), cell.Replace(d.node), cell.Replace(d.peer))
}

var barOfCells = regexp.MustCompile(`[^\\]\|`)

// readList reads docs/differences.md: sections with a quotation ("> ..."), a line "Right: ...", and rows of four cells: requests,
// facet, node, Medplum. The first may name several requests with a comma between them, or * for whichever shows the difference.
func readList(t *testing.T, names map[string]bool) map[difference]bool {
	t.Helper()
	text, err := os.ReadFile(listFile)
	if err != nil {
		t.Fatal(err)
	}
	all := map[difference]bool{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		title, _, _ := strings.Cut(section, "\n")
		rows := 0
		for _, line := range strings.Split(section, "\n") {
			if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| request") || strings.HasPrefix(line, "| ---") {
				continue
			}
			cells := cellsOf(line)
			if len(cells) != 4 {
				t.Errorf("%s: %q: the row has %d cells, not 4: %s", listFile, title, len(cells), line)
				continue
			}
			for _, name := range strings.Split(cells[0], ", ") {
				d := difference{name, cells[1], cells[2], cells[3]}
				if !names[name] && name != everyRequest || all[d] {
					t.Errorf("%s: %q: no request, or one that is listed twice: %s", listFile, title, d.row())
				}
				all[d] = true
				rows++
			}
		}
		if rows > 0 && (!strings.Contains(section, "\n> ") || !strings.Contains(section, "\nRight: ")) {
			t.Errorf("%s: %q names no sentence of the specification (> ...), or does not say who is right (Right: ...)", listFile, title)
		}
	}
	return all
}

func cellsOf(line string) []string {
	line = strings.TrimSpace(line)
	var cells []string
	start := 1
	for _, at := range barOfCells.FindAllStringIndex(line[1:], -1) {
		end := 1 + at[1] - 1
		cells = append(cells, strings.ReplaceAll(strings.TrimSpace(line[start:end]), `\|`, "|"))
		start = end + 1
	}
	return cells
}
