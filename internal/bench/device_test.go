package bench

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	client "github.com/tributary-sync/tributary/clients/device"
)

// benchmarkDevice measures a device that reads and acknowledges everything a node has, page by page: 10,000 resources, and a large store of
// so many. What one item costs must not rise with their number.
func benchmarkDevice(b *testing.B, large *running, count int) {
	const small = 10_000
	n := start(b, "node", nil, nil)
	fill(b, n.Node, small)
	for i := 0; b.Loop(); i++ {
		name := fmt.Sprintf("dashboard%d", i)
		perSmall := float64(readAll(b, n, name, small).Microseconds()) / small
		perLarge := float64(readAll(b, large, name, count).Microseconds()) / float64(count)
		b.ReportMetric(perSmall, "us/item-of-10000")
		b.ReportMetric(perLarge, "us/item")
		b.ReportMetric(perLarge/perSmall, "ratio")
		if perLarge > 3*perSmall {
			b.Errorf("an item costs %.0f us where there are %d, and %.0f us where there are %d", perLarge, count, perSmall, small)
		}
	}
}

// readAll lets a new device read everything, and returns how long that took.
func readAll(b *testing.B, n *running, name string, count int) time.Duration {
	b.Helper()
	ctx := context.Background()
	d, err := n.Control().AddDevice(ctx, name, []string{"*"})
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
	return took
}
