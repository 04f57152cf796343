package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
)

// bars shows how work goes on: bars on a terminal, now and then a line elsewhere.
type bars struct {
	out   io.Writer
	unit  string // bytes, or what is counted
	clock func() time.Time
	view  progress.Writer // nil where nobody watches
	done  sync.WaitGroup
	said  time.Time
	all   []*bar
}

type bar struct {
	name    string
	value   int64
	total   int64
	tracker *progress.Tracker
}

// lineEvery is how often a line is written where nobody watches.
const lineEvery = 5 * time.Second

// newBars begins; stop ends it.
func (a *app) newBars(out io.Writer, unit string, names ...string) *bars {
	b := &bars{out: out, unit: unit, clock: a.clock, said: a.clock()}
	if terminal(out) {
		b.view = progress.NewWriter()
		b.view.SetOutputWriter(out)
		b.view.SetTrackerLength(30)
		b.view.SetTrackerPosition(progress.PositionRight)
		b.view.SetUpdateFrequency(100 * time.Millisecond)
		b.view.SetSortBy(progress.SortByIndex)
		style := progress.StyleBlocks
		style.Visibility.ETA, style.Visibility.ETAOverall, style.Visibility.TrackerOverall = unit == "bytes", false, false
		style.Options.TimeInProgressPrecision, style.Options.TimeDonePrecision, style.Options.ETAPrecision = time.Second, 100*time.Millisecond, time.Second
		style.Options.Separator, style.Options.DoneString = " ", "done"
		b.view.SetStyle(style)
	}
	for i, name := range names {
		one := &bar{name: name}
		if b.view != nil {
			u := progress.Units{Formatter: b.amount}
			one.tracker = &progress.Tracker{Message: "   " + name, Units: u, Index: uint64(i), AutoStopDisabled: true}
			b.view.AppendTracker(one.tracker)
		}
		b.all = append(b.all, one)
	}
	if b.view != nil {
		b.done.Go(b.view.Render)
	}
	return b
}

// set moves a bar.
func (b *bars) set(i int, value, total int64) {
	one := b.all[i]
	one.value, one.total = value, total
	if one.tracker != nil {
		one.tracker.UpdateTotal(total)
		one.tracker.SetValue(value)
		return
	}
	if now := b.clock(); now.Sub(b.said) >= lineEvery {
		b.said = now
		b.line()
	}
}

// line writes one line for all bars.
func (b *bars) line() {
	var parts []string
	total := int64(0)
	for _, one := range b.all {
		parts, total = append(parts, one.name+" "+b.amount(one.value)), max(total, one.total)
	}
	fmt.Fprintf(b.out, "   %s of %s\n", strings.Join(parts, ", "), b.amount(total))
}

func (b *bars) amount(n int64) string {
	if b.unit == "bytes" {
		return bytesText(n)
	}
	return number(n)
}

// stop draws the last state and returns when nothing is drawn any more. It may be called twice.
func (b *bars) stop() {
	if b.view == nil {
		return
	}
	for _, one := range b.all {
		one.tracker.MarkAsDone()
	}
	// Render begins in its own goroutine: a Stop before that would be lost.
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for i := 0; i < 100 && b.view.LengthActive() > 0; i++ {
		<-t.C
	}
	b.view.Stop()
	b.done.Wait()
	b.view = nil
}
