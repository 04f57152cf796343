package archtest

import (
	"go/ast"
	"maps"
	"slices"
	"strings"
)

const (
	whySleep = "a sleep in a test is either too short on a busy machine or wasted on an idle one, and in the program it cannot be cancelled; " +
		"wait for the event itself, or for a timer of the injected clock together with the context."
	whyNow = "the simulator runs days in seconds on clocks that it sets wrong on purpose; a package that reads the machine's clock " +
		"escapes it. Take the clock as a parameter: node injects it."
)

// Sleeps finds time.Sleep in all files, tests included, but for those that allowed names by path; its value is the reason. A
// permission for a file that does not sleep (any more) is a problem too.
func Sleeps(tree Tree, allowed map[string]string) []Problem {
	var problems []Problem
	unused := map[string]bool{}
	for name := range allowed {
		unused[name] = true
	}
	for _, file := range tree.Files {
		for _, node := range uses(file, "Sleep") {
			if allowed[file.Path] == "" {
				problems = append(problems, Problem{tree.at(node.Pos()), "time.Sleep", whySleep})
			}
			delete(unused, file.Path)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unused)) {
		problems = append(problems, Problem{name, "may sleep, but does not: take it off the list", whySleep})
	}
	return problems
}

// Clocks finds readings of the machine's clock (time.Now, and Since and Until, which call it) outside tests, cmd, node and internal.
func Clocks(tree Tree) []Problem {
	var problems []Problem
	for _, file := range tree.Files {
		top, _, _ := strings.Cut(file.Folder, "/")
		if file.Test || top == "cmd" || top == "node" || top == "internal" {
			continue
		}
		for _, name := range []string{"Now", "Since", "Until"} {
			for _, node := range uses(file, name) {
				problems = append(problems, Problem{tree.at(node.Pos()), "time." + name, whyNow})
			}
		}
	}
	return problems
}

// uses finds a function of package time in a file, called or passed on. Under a dot import every such name counts.
func uses(file File, name string) []ast.Node {
	local := file.localName("time")
	if local == "" {
		return nil
	}
	var found []ast.Node
	ast.Inspect(file.ast, func(node ast.Node) bool {
		if id, ok := node.(*ast.Ident); ok && local == "." && id.Name == name || file.isSelector(node, "time", name) {
			found = append(found, node)
		}
		return true
	})
	return found
}
