package bench

import (
	"context"
	"net/http"
	"testing"
	"time"

	client "github.com/tributary-sync/tributary/clients/device"
)

// BenchmarkDevice measures a device that reads and acknowledges everything a node has, page by page: 10,000 resources, and a large store.
// What one item costs must not rise with their number.
func BenchmarkDevice(b *testing.B) {
	const small = 10_000
	ctx := context.Background()
	read := func(count int) time.Duration {
		n := start(b, "node", nil, nil)
		fill(b, n.Node, count)
		d, err := n.Control().AddDevice(ctx, "dashboard", []string{"*"})
		if err != nil {
			b.Fatal(err)
		}
		rt := &http.Transport{}
		defer rt.CloseIdleConnections()
		c := client.New(n.url, d.Credential, "bench", rt)
		begin := time.Now()
		got, err := c.Sync(ctx, func(context.Context, []client.Item) error { return nil })
		took := time.Since(begin)
		if err != nil || got != count {
			b.Fatal(got, err)
		}
		if s, err := c.Start(ctx); s != nil || err != nil {
			b.Fatal("something still waits", s, err)
		}
		n.stop()
		return took
	}
	large := size(b)
	for b.Loop() {
		s, l := read(small), read(large)
		perSmall, perLarge := float64(s.Microseconds())/small, float64(l.Microseconds())/float64(large)
		b.ReportMetric(perSmall, "us/item-of-10000")
		b.ReportMetric(perLarge, "us/item")
		b.ReportMetric(perLarge/perSmall, "ratio")
		if perLarge > 3*perSmall {
			b.Errorf("an item costs %.0f us where there are %d, and %.0f us where there are %d", perLarge, large, perSmall, small)
		}
	}
}
