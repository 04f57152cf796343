package bench

import (
	"context"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/config"
)

// BenchmarkPull: an empty child pulls 100,000 generated resources, both nodes on this machine with durable SQLite. The figure is
// held against a bare loop that inserts the very rows that the pull wrote, in transactions of 500 resources.
func BenchmarkPull(b *testing.B) {
	const count = 100_000
	parent := start(b, "parent", nil, nil)
	fill(b, parent.Node, count)
	for b.Loop() {
		b.StopTimer()
		child, l := prepare(b, "child", parent, func(c *config.Config) { c.Push.Enabled = false })
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		begin := time.Now()
		runs, err := child.Sync(context.Background(), "pull")
		if err != nil || len(runs) != 1 || runs[0].Applied != count {
			b.Fatalf("%+v %v", runs, err)
		}
		pulled := time.Since(begin)
		b.StopTimer()
		if err := child.Close(); err != nil {
			b.Fatal(err)
		}
		bare, _ := bareLoop(b, child.cfg.Store.DSN, 500, false)
		b.ReportMetric(count/pulled.Seconds(), "resources/s")
		b.ReportMetric(count/bare.Seconds(), "bare-loop/s")
		b.ReportMetric(bare.Seconds()/pulled.Seconds(), "of-bare-loop(>=0.5)")
		b.ReportMetric(float64(runs[0].BytesIn)/count, "wire-bytes/resource")
		b.StartTimer()
	}
}
