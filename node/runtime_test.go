package node_test

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/tributary-sync/tributary/node"
)

func TestFitRuntimeIsUndone(t *testing.T) {
	state := func() [2]int {
		percent := debug.SetGCPercent(100)
		debug.SetGCPercent(percent)
		return [2]int{runtime.GOMAXPROCS(0), percent}
	}
	before := state()
	for _, own := range []string{"", "GOGC", "GOMAXPROCS"} {
		undo := node.FitRuntime(func(variable string) bool { return variable == own })
		now := state()
		if places, garbage := now[0] != before[0], now[1] != before[1]; places != (own != "GOMAXPROCS") || garbage != (own != "GOGC") {
			t.Errorf("where %q is given, %v becomes %v", own, before, now)
		}
		if undo(); state() != before {
			t.Errorf("where %q is given, %v is left instead of %v", own, state(), before)
		}
	}
}
