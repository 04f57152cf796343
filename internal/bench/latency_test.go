package bench

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/fhir"
)

// BenchmarkEditToNation: from an edit at a clinic to the moment at which the nation answers a read with it, over two hops of an
// idle network with real sockets.
func BenchmarkEditToNation(b *testing.B) {
	nation := start(b, "nation", nil, nil)
	district := start(b, "district", nation, nil)
	clinic := start(b, "clinic", district, nil)
	ctx := context.Background()
	var took []time.Duration
	const edits = 50
	for b.Loop() {
		for i := range edits {
			k := fhir.Key{Type: "Basic", ID: fmt.Sprintf("e%d-%d", len(took), i)}
			begin := time.Now()
			edit(b, clinic.Node, k.ID, i)
			await(b, time.Millisecond, 10*time.Second, func() bool {
				_, ok, err := nation.Engine().Store().Get(ctx, k)
				return err == nil && ok
			})
			took = append(took, time.Since(begin))
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms(<100)")
	b.ReportMetric(float64(took[len(took)*9/10].Microseconds())/1000, "p90-ms")
}

// BenchmarkSmallPass measures a pass that finds 10 changes in a store of 10,000 resources and in a large one, round by round in turn, so
// that what else the machine does weighs on both.
func BenchmarkSmallPass(b *testing.B) {
	small, large := 10_000, size(b)
	ctx := context.Background()
	world := func(count int) func(round int) time.Duration {
		parent := start(b, "parent", nil, nil)
		b.Cleanup(parent.stop)
		fill(b, parent.Node, count)
		child, l := prepare(b, "child", parent, func(c *config.Config) { c.Push.Enabled = false })
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = child.Close() })
		if _, err := child.Sync(ctx, "pull"); err != nil {
			b.Fatal(err)
		}
		return func(round int) time.Duration {
			for i := range 10 {
				edit(b, parent.Node, fmt.Sprintf("s%d-%d", round, i), i)
			}
			begin := time.Now()
			runs, err := child.Sync(ctx, "pull")
			if err != nil || len(runs) != 1 || runs[0].Applied != 10 {
				b.Fatalf("%+v %v", runs, err)
			}
			return time.Since(begin)
		}
	}
	for b.Loop() {
		s, l := world(small), world(large)
		var took [2][]time.Duration
		for round := range 60 {
			took[0], took[1] = append(took[0], s(round)), append(took[1], l(round))
		}
		for i := range took {
			slices.Sort(took[i])
		}
		of := func(i int) float64 { return float64(took[i][len(took[i])/2].Microseconds()) / 1000 }
		b.ReportMetric(of(0), "ms-in-10k")
		b.ReportMetric(of(1), fmt.Sprintf("ms-in-%dk", large/1000))
		b.ReportMetric(of(1)/of(0), "ratio(<=1.3)")
	}
}
