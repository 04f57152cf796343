package bench

import "testing"

// BenchmarkLarge measures what is promised of a large store. The store of SIZE generated resources is made once: a million take longer to
// write than all else takes.
func BenchmarkLarge(b *testing.B) {
	count := size(b)
	n := start(b, "large", nil, nil)
	fill(b, n.Node, count)
	b.Run("Memory", func(b *testing.B) { benchmarkMemory(b, n, count) })
	b.Run("Device", func(b *testing.B) { benchmarkDevice(b, n, count) })
	b.Run("Search", func(b *testing.B) { benchmarkSearch(b, n) })
}
