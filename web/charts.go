package web

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/web/messages"
)

// The size of a chart in its own units; the page scales it.
const (
	chartWidth  = 360
	chartHeight = 130
	chartTop    = 16 // above it stands the largest value
	chartFloor  = 112
)

type chartsPage struct {
	page
	Ranges []chartRange
}

// chartRange is a day or a month.
type chartRange struct {
	ID, Title string
	Charts    []chart
	Rows      []chartRow
	First     string // the heading of the table's first column
}

// chart is one drawn chart. Said is what it shows, for those who do not see it.
type chart struct {
	Title, Total, Note, Said, Top string
	Width, Height, Floor, Ceiling int
	Bars                          []bar
	Ticks                         []chartTick
}

// bar is one bar with what it says. A second bar of the same interval stands on the first.
type bar struct {
	X, Y, W, H string
	Class      string
	Words      string
}

// chartTick is a name below the axis; one at the right edge ends there.
type chartTick struct {
	X      int
	Anchor string
	Text   string
}

type chartRow struct {
	When                                             string
	Changes, Arrived, In, Out, Lag, Failures, Broken string
}

// series is what a chart shows of an interval: one value, or two that stand on each other.
type series struct {
	name   string
	values func(control.Interval) [2]int64
	write  func(int64) string
	most   bool  // the largest value says more than the sum
	least  int64 // up to where the scale goes at least: what is small looks small
}

func (w *Web) charts(out http.ResponseWriter, r *http.Request) error {
	c, err := w.ctl.Charts(r.Context())
	if err != nil {
		return err
	}
	p := chartsPage{page: w.page(r, "nav.charts", "/charts")}
	p.Refresh = 2 * refresh
	p.Ranges = []chartRange{
		p.rangeOf("day", c.Day, func(at time.Time) string { return p.say.Clock(at) }, 6),
		p.rangeOf("month", c.Month, func(at time.Time) string { return p.say.Day(at) }, 8), // names of seven days would meet at the right edge of a telephone
	}
	w.show(out, http.StatusOK, "charts", p)
	return nil
}

// rangeOf draws the charts of some intervals; name writes an interval, every is how many of them have one name on the axis.
func (p page) rangeOf(id string, list []control.Interval, name func(time.Time) string, every int) chartRange {
	number := p.say.Number
	size := func(n int64) string { return p.say.Size(messages.Bytes(n)) }
	span := func(n int64) string {
		if n > 0 && n < 1000 {
			return p.t("chart.instant")
		}
		return p.say.Span(time.Duration(n) * time.Millisecond)
	}
	out := chartRange{ID: id, Title: p.t("chart." + id), First: p.t("chart.from_" + id)}
	for _, s := range []series{
		{"changes", func(x control.Interval) [2]int64 { return [2]int64{x.Arrived, x.Changes - x.Arrived} }, number, false, 0},
		{"bytes", func(x control.Interval) [2]int64 { return [2]int64{x.BytesIn, x.BytesOut} }, size, false, 0},
		{"lag", func(x control.Interval) [2]int64 { return [2]int64{x.Lag} }, span, true, 60_000},
		{"failures", func(x control.Interval) [2]int64 { return [2]int64{x.Failures} }, number, false, 5},
	} {
		out.Charts = append(out.Charts, p.chartOf(s, list, name, every))
	}
	for i := range list {
		x := list[len(list)-1-i] // the newest first
		out.Rows = append(out.Rows, chartRow{
			When: name(p.time(x.From)), Changes: number(x.Changes), Arrived: number(x.Arrived), In: size(x.BytesIn), Out: size(x.BytesOut), Lag: span(x.Lag),
			Failures: number(x.Failures), Broken: number(x.Broken),
		})
	}
	return out
}

func (p page) chartOf(s series, list []control.Interval, name func(time.Time) string, every int) chart {
	c := chart{Title: p.t("chart." + s.name), Note: p.t("chart." + s.name + "_note"), Width: chartWidth, Height: chartHeight, Floor: chartFloor, Ceiling: chartTop}
	var sum, top int64
	peak := 0
	for i, x := range list {
		v := s.values(x)
		sum += v[0] + v[1]
		if v[0]+v[1] > top {
			top, peak = v[0]+v[1], i
		}
	}
	c.Total = s.write(sum)
	if s.most {
		c.Total = s.write(top)
	}
	c.Said = p.t("chart.said_nothing", "title", c.Title)
	if top > 0 {
		c.Said = p.t("chart.said", "title", c.Title, "total", c.Total, "top", s.write(top), "when", name(p.time(list[peak].From)))
		top = max(top, s.least)
		c.Top = s.write(top)
	}
	step := float64(chartWidth) / float64(max(1, len(list)))
	unit := func(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) }
	for i, x := range list {
		v := s.values(x)
		words := fmt.Sprintf("%s: %s", name(p.time(x.From)), s.write(v[0]+v[1]))
		floor := float64(chartFloor)
		for n, value := range v {
			if value <= 0 {
				continue
			}
			height := max(1.5, float64(value)/float64(top)*(chartFloor-chartTop))
			floor -= height
			c.Bars = append(c.Bars, bar{unit(float64(i)*step + 1), unit(floor), unit(step - 2), unit(height), s.name + []string{" first", " second"}[n], words})
		}
		if i%every == 0 {
			tick := chartTick{int(float64(i) * step), "start", name(p.time(x.From))}
			if tick.X > chartWidth-45 {
				tick.X, tick.Anchor = chartWidth, "end"
			}
			c.Ticks = append(c.Ticks, tick)
		}
	}
	return c
}
