package archtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// MaxChain is the highest number of packages of ours in a line in which each imports the next.
const MaxChain = 10

const (
	whyTable = "the table in ARCHITECTURE.md is how a reader knows where a line belongs and what a change can reach; " +
		"an import beside it makes the table a lie. Move the code to where it may be, or change the row and say so in the same commit."
	whyRow   = "a package without a row has no stated purpose and no limits; it gets its row in the commit that adds it."
	whyChain = "a long chain means that a change at the bottom is felt through many layers, and that a reader must know them all."
)

// Imports checks that every folder with Go files has a row, and that its files import only what the row allows. Tests are left
// out: they may import what they like, internal/testdb and internal/samples above all.
func Imports(tree Tree, table Table) []Problem {
	var problems []Problem
	for _, folder := range tree.folders() {
		if _, ok := table[folder]; !ok {
			problems = append(problems, Problem{folder, "has Go files, but no row in the table of ARCHITECTURE.md", whyRow})
		}
	}
	for _, file := range tree.Files {
		row, ok := table[file.Folder]
		if file.Test || !ok {
			continue
		}
		for _, imp := range tree.ours(file) {
			if !row.allows(imp.folder) {
				what := fmt.Sprintf("%s must not import %s; its row allows: %s", file.Folder, imp.folder, row)
				problems = append(problems, Problem{tree.at(imp.pos), what, whyTable})
			}
		}
	}
	return problems
}

// String writes a row's permissions as the table does.
func (r Row) String() string {
	switch {
	case r.Any:
		return "*"
	case len(r.Folders) == 0:
		return "-"
	}
	return strings.Join(r.Folders, ", ")
}

// Chain checks that no line of imports is longer than MaxChain packages, and returns the longest, importer first. A cycle, which
// the compiler refuses anyway, is a problem and ends the search.
func Chain(tree Tree) (longest []string, problems []Problem) {
	edges := map[string]map[string]bool{}
	for _, file := range tree.Files {
		if file.Test {
			continue
		}
		for _, imp := range tree.ours(file) {
			if edges[file.Folder] == nil {
				edges[file.Folder] = map[string]bool{}
			}
			edges[file.Folder][imp.folder] = true
		}
	}
	done, open := map[string][]string{}, map[string]bool{}
	var walk func(folder string) []string
	walk = func(folder string) []string {
		if chain, ok := done[folder]; ok {
			return chain
		}
		if open[folder] {
			problems = append(problems, Problem{folder, "imports itself through others", whyChain})
			return nil
		}
		open[folder] = true
		var below []string
		for _, next := range slices.Sorted(maps.Keys(edges[folder])) {
			if chain := walk(next); len(chain) > len(below) {
				below = chain
			}
		}
		done[folder] = append([]string{folder}, below...)
		return done[folder]
	}
	for _, folder := range tree.folders() {
		if chain := walk(folder); len(chain) > len(longest) {
			longest = chain
		}
	}
	if len(longest) > MaxChain {
		what := fmt.Sprintf("a chain of %d packages, more than %d: %s", len(longest), MaxChain, strings.Join(longest, " -> "))
		problems = append(problems, Problem{longest[0], what, whyChain})
	}
	return longest, problems
}
