package archtest

import (
	"fmt"
	"sort"
)

// MaxLines is the hard limit of a file that people write; MedianLines is what the median of the program's files should stay below.
const (
	MaxLines    = 600
	MedianLines = 150
)

const whySize = "a file is the unit that a person reads at once; one that is longer has more than one subject and is split by subject."

// Sizes checks the length of every file that is not generated, and returns the median length of those that are no tests either.
func Sizes(tree Tree) (median int, problems []Problem) {
	var lines []int
	for _, file := range tree.Files {
		if file.Generated {
			continue
		}
		if file.Lines > MaxLines {
			problems = append(problems, Problem{file.Path, fmt.Sprintf("%d lines, more than %d", file.Lines, MaxLines), whySize})
		}
		if !file.Test {
			lines = append(lines, file.Lines)
		}
	}
	sort.Ints(lines)
	if len(lines) > 0 {
		median = lines[len(lines)/2]
	}
	return median, problems
}
