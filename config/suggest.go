package config

import (
	"strings"

	"github.com/tributary-sync/tributary/syncerr"
)

// problem is one thing that is wrong with the configuration: where, what, and what to do.
func problem(path, hint, format string, args ...any) error {
	return syncerr.New(syncerr.Usage, path, format, args...).WithHint("%s", hint)
}

// suggest returns the known word that was probably meant, or "".
func suggest(word string, known []string) string {
	best, least := "", max(1, len(word)/3)+1
	if len(word) > 60 {
		return ""
	}
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove, replace or swap with their neighbour to turn a into b (optimal
// string alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
