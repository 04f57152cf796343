package archtest

import "regexp"

// unfinished matches the words by which people mark what they left for later.
var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)

const whyUnfinished = "what is missing belongs where it can be planned and closed, in an issue; in the source it is read by " +
	"everyone and done by nobody. Finish it, or leave it out and open an issue."

// Unfinished finds comments that mark unfinished work.
func Unfinished(tree Tree) []Problem {
	var problems []Problem
	for _, file := range tree.Files {
		for _, group := range file.ast.Comments {
			for _, line := range group.List {
				if word := unfinished.FindString(line.Text); word != "" {
					problems = append(problems, Problem{tree.at(line.Pos()), word + " in a comment", whyUnfinished})
				}
			}
		}
	}
	return problems
}
