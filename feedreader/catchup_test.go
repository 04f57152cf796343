package feedreader_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// lister gives its lines, then its error or its end.
type lister source

func (l lister) CatchUp(ctx context.Context, _ feed.CatchUp, take func(feed.Line) error) (feed.End, error) {
	return source(l).Read(ctx, feed.Request{}, take)
}

// copyLine is a copy of a Patient in a list.
func copyLine(id string, bytes int) feed.Line {
	return feed.Line{Event: &feed.Event{Key: fhir.Key{Type: "Patient", ID: id}, Content: make([]byte, bytes)}}
}

func mark(at string) feed.Line { return feed.Line{Mark: &feed.Mark{At: at}} }

// partText is a part as "ids>place" or, for the last one, "ids@sequence".
func partText(p feedreader.Part) string {
	var s strings.Builder
	for _, n := range p.Names {
		s.WriteString(n.Node + " ")
	}
	for i, e := range p.Events {
		if i > 0 {
			s.WriteByte(',')
		}
		s.WriteString(e.Key.ID)
	}
	if p.Last {
		return s.String() + fmt.Sprint("@", p.Cursor.Seq)
	}
	return s.String() + ">" + p.Resume
}

func TestReaderList(t *testing.T) {
	cut := syncerr.New(syncerr.Transient, "read feed", "the stream was cut")
	broken := syncerr.New(syncerr.Invalid, "read feed", "not JSON")
	a, b, c := copyLine("a", 1), copyLine("b", 1), copyLine("c", 1)
	more := feed.End{More: true}
	row, unit, other := copyLine("a", 1), copyLine("a", 1), copyLine("a", 1)
	row.Event.Seq, unit.Event.Unit, other.Event.Key.Type = 7, "u", "Basic"
	endless := make([]feed.Line, 100)
	for i := range endless {
		endless[i] = copyLine(fmt.Sprint(i), 1<<20)
	}
	for _, c := range []struct {
		name   string
		lines  []feed.Line
		end    feed.End
		err    error
		events int
		resume string
		want   []string
		more   bool
		kind   syncerr.Kind // 0: no error
	}{
		{name: "empty list", end: endAt(9), want: []string{"@9"}},
		{name: "whole", lines: []feed.Line{name("n"), a, b}, end: endAt(9), events: 9, want: []string{"n a,b@9"}},
		{name: "marks where nothing need be flushed", lines: []feed.Line{a, mark("1"), b}, end: endAt(9), events: 9, want: []string{"a,b@9"}},
		{name: "flushed at the marks", lines: []feed.Line{name("n"), a, mark("1"), b, mark("2"), name("m"), c}, end: endAt(9), events: 1, want: []string{"n a>1", "b>2", "m c@9"}},
		{name: "over the count behind a mark", lines: []feed.Line{a, b, c, mark("3"), a}, end: endAt(9), events: 2, want: []string{"a,b,c>3", "a@9"}},
		{name: "over the bytes", lines: []feed.Line{copyLine("x", 5<<20), mark("1"), a, mark("2")}, end: endAt(9), events: 9, want: []string{"x>1", "a@9"}},
		{name: "more", lines: []feed.Line{a, b, mark("2")}, end: more, events: 9, want: []string{"a,b>2"}, more: true},
		{name: "more, and nothing in it", lines: []feed.Line{mark("2")}, end: more, resume: "1", want: []string{">2"}, more: true},
		{name: "more without a mark", lines: []feed.Line{a}, end: more, kind: syncerr.Invalid},
		{name: "more without anything", end: more, kind: syncerr.Invalid},
		{name: "more behind the last mark", lines: []feed.Line{a, mark("1"), b}, end: more, events: 9, kind: syncerr.Invalid},
		{name: "more and no further", lines: []feed.Line{mark("1")}, end: more, resume: "1", kind: syncerr.Invalid},
		{name: "another log", lines: []feed.Line{a}, end: feed.End{Cursor: feed.Cursor{Epoch: "other", Seq: 1}}, kind: syncerr.Invalid},
		{name: "no log", lines: []feed.Line{a}, kind: syncerr.Invalid},
		{name: "cut", lines: []feed.Line{a, mark("1"), b}, err: cut, events: 9, want: []string{"a>1"}, kind: syncerr.Transient},
		{name: "cut before the first mark", lines: []feed.Line{a, b}, err: cut, kind: syncerr.Transient},
		{name: "cut at once", err: cut, kind: syncerr.Transient},
		{name: "malformed", lines: []feed.Line{a, mark("1")}, err: broken, events: 9, kind: syncerr.Invalid},
		{name: "a row of a log", lines: []feed.Line{a, mark("1"), row}, events: 1, want: []string{"a>1"}, end: endAt(9), kind: syncerr.Invalid},
		{name: "a member of a unit", lines: []feed.Line{unit}, end: endAt(9), kind: syncerr.Invalid},
		{name: "another type", lines: []feed.Line{other}, end: endAt(9), kind: syncerr.Invalid},
		{name: "another type before a mark", lines: []feed.Line{a, other, mark("2")}, events: 1, end: endAt(9), kind: syncerr.Invalid},
		{name: "copies without an end or a mark", lines: endless, end: endAt(9), kind: syncerr.TooLarge},
		{name: "a place that is no place", lines: []feed.Line{a, mark(strings.Repeat("x", 301))}, end: more, kind: syncerr.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			r := feedreader.Reader{Events: c.events}
			req := feed.CatchUp{Types: []string{"Patient"}, Resume: c.resume}
			goesOn, err := r.List(t.Context(), lister{lines: c.lines, end: c.end, err: c.err}, req, "e", func(p feedreader.Part) error {
				got = append(got, partText(p))
				return nil
			})
			if (err != nil) != (c.kind != 0) || err != nil && syncerr.KindOf(err) != c.kind || goesOn != c.more {
				t.Errorf("more is %v, error %v", goesOn, err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// The error of whoever takes a part ends the list at once and comes back as it is; a cut is not used for another try.
func TestReaderListStops(t *testing.T) {
	full := errors.New("the disk is full")
	lines := []feed.Line{copyLine("a", 1), mark("1"), copyLine("b", 1), mark("2")}
	for _, end := range []struct {
		name  string
		lines []feed.Line
		err   error
		end   feed.End
	}{
		{"at a mark", lines, nil, endAt(9)},
		{"at the end", nil, nil, endAt(9)},
		{"at a cut", lines[:2], syncerr.New(syncerr.Transient, "read feed", "the stream was cut"), endAt(9)},
	} {
		calls := 0
		_, err := feedreader.Reader{Events: 1}.List(t.Context(), lister{lines: end.lines, end: end.end, err: end.err}, feed.CatchUp{}, "e", func(feedreader.Part) error {
			calls++
			return full
		})
		if !errors.Is(err, full) || calls != 1 {
			t.Errorf("%s: got %v after %d parts", end.name, err, calls)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := feedreader.Reader{Events: 9}.List(ctx, lister{lines: lines, err: syncerr.New(syncerr.Transient, "read feed", "the stream was cut")}, feed.CatchUp{}, "e",
		func(p feedreader.Part) error {
			t.Errorf("%s was given to one who is gone", partText(p))
			return nil
		})
	if syncerr.KindOf(err) != syncerr.Transient {
		t.Errorf("got %v", err)
	}
}
