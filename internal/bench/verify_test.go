package bench

import (
	"context"
	"testing"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/fhir"
)

// BenchmarkVerify: a node and its parent with SIZE equal resources compare themselves, both on this machine with durable SQLite. The
// figures are those of the issue: at a million less than 64 kB over the link in less than 10 s. Then one resource
// is edited at the child, and what it takes to find and push it is reported too.
func BenchmarkVerify(b *testing.B) {
	ctx := context.Background()
	count := size(b)
	parent := start(b, "parent", nil, nil)
	fill(b, parent.Node, count)
	child, l := prepare(b, "child", parent, func(c *config.Config) { c.Pull.Page = 5_000 })
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	defer child.Close()
	if runs, err := child.Sync(ctx, "pull"); err != nil || len(runs) != 1 || runs[0].Applied != int64(count) {
		b.Fatalf("%+v %v", runs, err)
	}
	for n := 0; b.Loop(); n++ {
		v, err := child.Control().Verify(ctx, false)
		if err != nil || !v.Equal {
			b.Fatalf("%d differ, %v", v.Remaining, err)
		}
		b.ReportMetric(float64(v.Duration)/1000, "seconds(<10-at-a-million)")
		b.ReportMetric(float64(v.BytesIn+v.BytesOut), "wire-bytes(<65536)")

		b.StopTimer()
		edit(b, child.Node, "edited", n)
		v, err = child.Control().Verify(ctx, true)
		if err != nil || !v.Equal || v.Repaired != 1 || v.Differences[0].Key != (fhir.Key{Type: "Basic", ID: "edited"}) {
			b.Fatalf("%+v, %v", v, err)
		}
		b.ReportMetric(float64(v.BytesIn+v.BytesOut), "one-differs-wire-bytes")
		b.StartTimer()
	}
}
