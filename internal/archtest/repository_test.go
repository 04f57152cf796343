package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// maySleep lists the files that may call time.Sleep, each with its reason.
func maySleep() map[string]string {
	return map[string]string{}
}

// mayReadClock lists the files that name the machine's clock as the default of one that is injected.
func mayReadClock() map[string]string {
	const why = "the default where nothing is injected"
	return map[string]string{"control/control.go": why, "store/store.go": why}
}

// TestRepository holds this source tree against every rule.
func TestRepository(t *testing.T) {
	tree, err := Load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("imports", func(t *testing.T) {
		page, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
		if err != nil {
			t.Fatalf("ARCHITECTURE.md must hold the table | folder | owns | imports (ours) | of all packages: %v", err)
		}
		table, err := ParseTable(string(page))
		if err != nil {
			t.Fatalf("ARCHITECTURE.md: %v", err)
		}
		report(t, Imports(tree, table))
	})
	t.Run("chain", func(t *testing.T) {
		longest, problems := Chain(tree)
		t.Logf("longest chain (%d of %d): %s", len(longest), MaxChain, strings.Join(longest, " -> "))
		report(t, problems)
	})
	t.Run("size", func(t *testing.T) {
		median, problems := Sizes(tree)
		if median >= MedianLines {
			t.Logf("warning: the median file of the program has %d lines; keep it below %d, because %s", median, MedianLines, whySize)
		}
		report(t, problems)
	})
	t.Run("init", func(t *testing.T) { report(t, Inits(tree)) })
	t.Run("variables", func(t *testing.T) { report(t, Vars(tree)) })
	t.Run("sleep", func(t *testing.T) { report(t, Sleeps(tree, maySleep())) })
	t.Run("clock", func(t *testing.T) {
		left := mayReadClock()
		var problems []Problem
		for _, p := range Clocks(tree) {
			file, _, _ := strings.Cut(p.Where, ":")
			if left[file] == "" {
				problems = append(problems, p)
			}
			delete(left, file) // one default a file
		}
		report(t, problems)
		for file := range left {
			t.Errorf("%s does not name the machine's clock any more: take it off the list", file)
		}
	})
	t.Run("unfinished", func(t *testing.T) { report(t, Unfinished(tree)) })
}

func report(t *testing.T, problems []Problem) {
	t.Helper()
	for _, p := range problems {
		t.Error(p)
	}
}
