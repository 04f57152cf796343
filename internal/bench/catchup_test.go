package bench

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/config"
)

// BenchmarkCatchUp measures a pass whose cursor does not fit, so that it asks by knowledge, and finds 10 missing resources: in a store of
// 10,000 resources and in a large one, round by round in turn.
func BenchmarkCatchUp(b *testing.B) {
	const small, missing, rounds = 10_000, 10, 60
	ctx := context.Background()
	world := func(count int) func(round int) (time.Duration, int64) {
		parent := start(b, "parent", nil, nil)
		b.Cleanup(parent.stop)
		fill(b, parent.Node, small)
		child, l := prepare(b, "child", parent, func(c *config.Config) { c.Push.Enabled = false })
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = child.Close() })
		if _, err := child.Sync(ctx, "pull"); err != nil {
			b.Fatal(err)
		}
		multiply(b, parent.cfg.Store.DSN, count/small)
		db, err := sql.Open("sqlite", child.cfg.Store.DSN+"?_pragma=busy_timeout(10000)")
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = db.Close() })
		return func(round int) (time.Duration, int64) {
			for i := range missing {
				edit(b, parent.Node, fmt.Sprintf("c%d-%d", round, i), i)
			}
			if _, err := db.Exec("DELETE FROM sync_cursor"); err != nil {
				b.Fatal(err)
			}
			begin := time.Now()
			runs, err := child.Sync(ctx, "pull")
			if err != nil || len(runs) != 1 || runs[0].Applied != missing || runs[0].Read != missing {
				b.Fatalf("%+v %v", runs, err)
			}
			return time.Since(begin), runs[0].BytesIn + runs[0].BytesOut
		}
	}
	large := size(b)
	for b.Loop() {
		s, l := world(small), world(large)
		var took [2][]time.Duration
		var bytes int64
		for round := range rounds {
			d, _ := s(round)
			took[0] = append(took[0], d)
			d, bytes = l(round)
			took[1] = append(took[1], d)
		}
		for i := range took {
			slices.Sort(took[i])
		}
		of := func(i int) float64 { return float64(took[i][rounds/2].Microseconds()) / 1000 }
		b.ReportMetric(of(0), "ms-in-10k")
		b.ReportMetric(of(1), fmt.Sprintf("ms-in-%dk", large/1000))
		b.ReportMetric(of(1)/of(0), "ratio(<=1.3)")
		b.ReportMetric(float64(bytes), "wire-bytes")
	}
}
