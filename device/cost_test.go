package device_test

import (
	"sync/atomic"
	"testing"

	"github.com/tributary-sync/tributary/internal/testdb"
)

// Reading and acknowledging a queue takes statements in proportion to its items. Each of them seeks (store.TestDevicePlans), so that the cost is
// that of the items; internal/bench measures it.
func TestCostIsThatOfTheItems(t *testing.T) {
	statements := func(count int) (n int64) {
		w := newWorld(t, "sqlite", testdb.SQLite(t))
		w.fill("Patient", count, "p%05d", nil)
		p := w.admit("phone", "*")
		var points atomic.Int64
		w.hook.Store(&points)
		s := p.start((count+99)/100, count)
		for got := p.page(s); got != nil; got = p.page(s) {
			p.ack(got.Items...)
		}
		p.nothing()
		return points.Load()
	}
	small, large := statements(1000), statements(4000)
	if small == 0 || large > 5*small {
		t.Errorf("%d statements for 1000 items, %d for 4000", small, large)
	}
	t.Logf("%d statements for 1000 items, %d for 4000", small, large)
}
