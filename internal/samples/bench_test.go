package samples

import "testing"

// BenchmarkPatients reports how many resources a second one core makes, and their mean size.
func BenchmarkPatients(b *testing.B) {
	g := New(Config{Seed: 1})
	count, size := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		for _, res := range g.Patient() {
			count++
			size += len(res.JSON)
		}
	}
	b.ReportMetric(float64(count)/b.Elapsed().Seconds(), "resources/s")
	b.ReportMetric(float64(size)/float64(count), "B/resource")
	b.ReportMetric(float64(count)/float64(b.N), "resources/patient")
}
