package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
)

// bars shows how work goes on: bars on a terminal, now and then a line elsewhere.
type bars struct {
	out   io.Writer
	clock func() time.Time
	view  progress.Writer // nil where nobody watches
	done  sync.WaitGroup
	said  time.Time
	all   []*bar
}

type bar struct {
	name    string
	unit    string
	value   int64
	total   int64
	tracker *progress.Tracker
}

// lineEvery is how often a line is written where nobody watches.
const lineEvery = 5 * time.Second

// newBars begins; stop ends it.
func (a *app) newBars(out io.Writer, unit string, names ...string) *bars {
	b := &bars{out: out, clock: a.clock, said: a.clock()}
	if terminal(out) {
		b.view = progress.NewWriter()
		b.view.SetOutputWriter(out)
		b.view.SetTrackerLength(30)
		b.view.SetUpdateFrequency(100 * time.Millisecond)
		b.view.SetSortBy(progress.SortByIndex)
		b.view.Style().Visibility.ETA = true
	}
	for i, name := range names {
		one := &bar{name: name, unit: unit}
		if b.view != nil {
			u := progress.UnitsDefault
			if unit == "bytes" {
				u = progress.UnitsBytes
			}
			one.tracker = &progress.Tracker{Message: name, Units: u, Index: uint64(i), AutoStopDisabled: true}
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

func (b *bars) line() {
	for _, one := range b.all {
		if one.unit == "bytes" {
			fmt.Fprintf(b.out, "  %s: %s of %s\n", one.name, bytesText(one.value), bytesText(one.total))
		} else {
			fmt.Fprintf(b.out, "  %s: %s of %s %s\n", one.name, number(one.value), number(one.total), one.unit)
		}
	}
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
