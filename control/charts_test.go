package control_test

import (
	"testing"
	"time"

	"github.com/tributary-sync/tributary/control"
)

// The hours and days of charts are those of the node's zone, also where that is half an hour off and where a day has 23 hours.
func TestCharts(t *testing.T) {
	for _, zone := range []string{"UTC", "Asia/Kathmandu", "America/Santiago"} {
		where, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, "")
		w.Control = control.New(w.eng, w.cfg, nil, control.Deps{Clock: func() time.Time { return w.clock.Now().In(where) }})
		edit(t, w.eng, "1", "Banda")
		w.clock.Add(26 * time.Hour)
		edit(t, w.eng, "2", "Phiri")
		edit(t, w.eng, "3", "Tembo")
		now := w.clock.Now().In(where)
		c, err := w.Charts(t.Context())
		w.must(err)
		if len(c.Day) != 24 || len(c.Month) != 30 || c.Time != now.UnixMilli() {
			t.Fatalf("%s: %d hours, %d days, at %d", zone, len(c.Day), len(c.Month), c.Time)
		}
		var day, month int64
		for _, x := range c.Day {
			day += x.Changes
			if at := time.UnixMilli(x.From).In(where); at.Minute()%15 != 0 || at.Second() != 0 {
				t.Errorf("%s: an hour begins at %s", zone, at)
			}
		}
		for _, x := range c.Month {
			month += x.Changes
			if at := time.UnixMilli(x.From).In(where); at.Hour() != 0 || at.Minute() != 0 {
				t.Errorf("%s: a day begins at %s", zone, at)
			}
		}
		last := time.UnixMilli(c.Day[23].From)
		if day != 2 || month != 3 || c.Day[23].Changes != 2 || now.Sub(last) < 0 || now.Sub(last) >= time.Hour {
			t.Errorf("%s: %d and %d changes, the last hour begins at %s", zone, day, month, last)
		}
	}
}
