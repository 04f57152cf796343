package node

import (
	"runtime"
	"runtime/debug"
)

const (
	// garbage is how much memory may be waiting to be used again, in percent of what is in use: a clinic's computer has more time than memory.
	garbage = 35
	// ballast is counted as in use though it is never touched and so takes no memory. With it a small heap is not swept ten times a second; a heap of 75 MB,
	// as a large catch-up has, may have as much garbage as without it at 50 percent.
	ballast = 32 << 20
	// forDisk is how many goroutines more may run than there are processors: the one that is in the middle of a flush to disk keeps its place among those that
	// run until it is taken away, and when the disk has answered it waits for another. On one processor a place more is twice as many writes a second.
	forDisk = 1
)

// FitRuntime fits Go's runtime to a small computer with a slow disk, and returns what undoes it. own reports whether the environment has a variable of Go's:
// GOGC and GOMAXPROCS go before what is chosen here. It is for whoever runs one node in a process.
func FitRuntime(own func(variable string) bool) (undo func()) {
	undo = func() {}
	if !own("GOGC") {
		percent := debug.SetGCPercent(garbage)
		weight := make([]byte, ballast)
		undo = func() {
			debug.SetGCPercent(percent)
			runtime.KeepAlive(weight)
		}
	}
	if own("GOMAXPROCS") {
		return undo
	}
	before, collector := runtime.GOMAXPROCS(runtime.GOMAXPROCS(0)+forDisk), undo
	return func() {
		runtime.GOMAXPROCS(before)
		collector()
	}
}
