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

// source gives its lines, then its error or its end.
type source struct {
	lines []feed.Line
	end   feed.End
	err   error
}

func (s source) Read(_ context.Context, _ feed.Request, take func(feed.Line) error) (feed.End, error) {
	for _, l := range s.lines {
		if err := take(l); err != nil {
			return feed.End{}, err
		}
	}
	return s.end, s.err
}

// ev is a Patient change; unit is "" or "name/size".
func ev(seq uint64, unit string, bytes int) feed.Line {
	e := feed.Event{Seq: seq, Key: fhir.Key{Type: "Patient", ID: fmt.Sprint(seq)}, Content: make([]byte, bytes)}
	if unit != "" {
		name, size, _ := strings.Cut(unit, "/")
		e.Unit = name
		if _, err := fmt.Sscan(size, &e.UnitSize); err != nil {
			panic(err)
		}
	}
	return feed.Line{Event: &e}
}

func name(n string) feed.Line { return feed.Line{Name: &feed.Name{Node: n}} }

func endAt(seq uint64) feed.End { return feed.End{Cursor: feed.Cursor{Epoch: "e", Seq: seq}} }

// text is a batch as "sequences@cursor", with ! on the last and the names ahead.
func text(b feedreader.Batch) string {
	var s strings.Builder
	for _, n := range b.Names {
		s.WriteString(n.Node + " ")
	}
	for i, e := range b.Events {
		if i > 0 {
			s.WriteByte(',')
		}
		fmt.Fprint(&s, e.Seq)
	}
	fmt.Fprintf(&s, "@%d", b.Cursor.Seq)
	if b.Last {
		s.WriteByte('!')
	}
	return s.String()
}

func TestReaderPage(t *testing.T) {
	cut := syncerr.New(syncerr.Transient, "read feed", "the stream was cut")
	broken := syncerr.New(syncerr.Invalid, "read feed", "not JSON")
	basic := feed.Line{Event: &feed.Event{Seq: 2, Key: fhir.Key{Type: "Basic", ID: "b"}}}
	lines := func(l ...feed.Line) []feed.Line { return l }
	otherLog := feed.End{Cursor: feed.Cursor{Epoch: "other", Seq: 9}}
	for _, c := range []struct {
		name          string
		src           source
		events, bytes int
		types         []string
		after         uint64
		want          []string
		kind          syncerr.Kind // 0: no error
	}{
		{name: "empty page", src: source{end: endAt(0)}, want: []string{"@0!"}},
		{name: "empty page further on", src: source{end: endAt(9)}, after: 4, want: []string{"@9!"}},
		{name: "whole", src: source{lines: lines(name("n"), ev(1, "", 1), ev(3, "", 1)), end: endAt(5)}, want: []string{"n 1,3@5!"}},
		{name: "count", src: source{lines: lines(name("n"), ev(1, "", 1), ev(2, "", 1), ev(3, "", 1)), end: endAt(3)}, events: 2, want: []string{"n 1,2@2", "3@3!"}},
		{name: "bytes before count", src: source{lines: lines(ev(1, "", 6), ev(2, "", 6), ev(3, "", 1)), end: endAt(3)}, events: 9, bytes: 10, want: []string{"1@1", "2,3@3!"}},
		{name: "one above the bound behind others", src: source{lines: lines(ev(1, "", 1), ev(2, "", 99), ev(3, "", 1)), end: endAt(3)}, bytes: 10, want: []string{"1@1", "2@2", "3@3!"}},
		{name: "exactly the bytes", src: source{lines: lines(ev(1, "", 5), ev(2, "", 5), ev(3, "", 1)), end: endAt(3)}, bytes: 10, want: []string{"1,2@2", "3@3!"}},
		{name: "one above the bound alone", src: source{lines: lines(ev(1, "", 99), ev(2, "", 1)), end: endAt(2)}, bytes: 10, want: []string{"1@1", "2@2!"}},
		{name: "out of order", src: source{lines: lines(ev(2, "", 1), ev(1, "", 1)), end: endAt(2)}, kind: syncerr.Invalid},
		{name: "twice", src: source{lines: lines(ev(2, "", 1), ev(2, "", 1)), end: endAt(2)}, kind: syncerr.Invalid},
		{name: "behind the cursor", src: source{lines: lines(ev(4, "", 1)), end: endAt(4)}, after: 4, kind: syncerr.Invalid},
		{name: "unwanted type", src: source{lines: lines(ev(1, "", 1), basic), end: endAt(2)}, types: []string{"Patient"}, kind: syncerr.Invalid},
		{name: "wanted type", src: source{lines: lines(ev(1, "", 1), basic), end: endAt(2)}, types: []string{"Patient", "Basic"}, want: []string{"1,2@2!"}},
		{name: "no type wanted", src: source{lines: lines(ev(1, "", 1)), end: endAt(1)}, types: []string{}, kind: syncerr.Invalid},
		{name: "what was flushed before an error stays", src: source{lines: lines(ev(1, "", 1), ev(2, "", 1), ev(1, "", 1)), end: endAt(2)}, events: 1, want: []string{"1@1", "2@2"}, kind: syncerr.Invalid},
		{name: "unit over the count", src: source{lines: lines(ev(1, "", 1), ev(2, "u/3", 1), ev(3, "u/3", 1), ev(4, "u/3", 1), ev(5, "", 1)), end: endAt(5)}, events: 2, want: []string{"1@1", "2,3,4@4", "5@5!"}},
		{name: "unit over the bytes", src: source{lines: lines(ev(2, "u/2", 99), ev(3, "u/2", 1), ev(4, "", 1)), end: endAt(4)}, bytes: 10, want: []string{"2,3@3", "4@4!"}},
		{name: "two units", src: source{lines: lines(ev(1, "u/2", 1), ev(2, "u/2", 1), ev(3, "v/2", 1), ev(4, "v/2", 1)), end: endAt(4)}, events: 1, want: []string{"1,2@2", "3,4@4", "@4!"}},
		{name: "unit with members that are not wanted", src: source{lines: lines(ev(1, "u/3", 1), ev(3, "u/3", 1), ev(4, "", 1)), end: endAt(4)}, events: 2, want: []string{"1,3@3", "4@4!"}},
		{name: "such a unit at the end", src: source{lines: lines(ev(1, "u/3", 1)), end: endAt(3)}, want: []string{"1@3!"}},
		{name: "cut", src: source{lines: lines(name("n"), ev(1, "", 1), ev(2, "", 1)), err: cut}, want: []string{"n 1,2@2"}, kind: syncerr.Transient},
		{name: "cut at once", src: source{err: cut}, kind: syncerr.Transient},
		{name: "cut in a unit", src: source{lines: lines(ev(1, "", 1), ev(2, "u/3", 1), ev(3, "u/3", 1)), err: cut}, want: []string{"1@1"}, kind: syncerr.Transient},
		{name: "cut behind a unit", src: source{lines: lines(ev(2, "u/2", 1), ev(3, "u/2", 1)), err: cut}, want: []string{"2,3@3"}, kind: syncerr.Transient},
		{name: "cut in the first unit", src: source{lines: lines(ev(2, "u/3", 1), ev(3, "u/3", 1)), err: cut}, kind: syncerr.Transient},
		{name: "malformed", src: source{lines: lines(ev(1, "", 1)), err: broken}, kind: syncerr.Invalid},
		{name: "ends behind its events", src: source{lines: lines(ev(5, "", 1)), end: endAt(4)}, kind: syncerr.Invalid},
		{name: "ends behind the cursor", src: source{end: endAt(3)}, after: 4, kind: syncerr.Invalid},
		{name: "ends in another log", src: source{lines: lines(ev(1, "", 1)), end: otherLog}, kind: syncerr.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			r := feedreader.Reader{Source: c.src, Events: c.events, Bytes: c.bytes}
			_, err := r.Page(t.Context(), feed.Request{After: feed.Cursor{Epoch: "e", Seq: c.after}, Types: c.types}, func(b feedreader.Batch) error {
				if b.Cursor.Epoch != "e" {
					t.Errorf("cursor %s", b.Cursor)
				}
				got = append(got, text(b))
				return nil
			})
			if (err != nil) != (c.kind != 0) || err != nil && syncerr.KindOf(err) != c.kind {
				t.Errorf("error %v", err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("batches %q, want %q", got, c.want)
			}
		})
	}
}

// An error of flush stops the page as it is, also where it looks like a cut stream, and nothing more is flushed.
func TestReaderFlushFails(t *testing.T) {
	full := syncerr.New(syncerr.Transient, "write", "the disk is full")
	for at := 1; at <= 2; at++ {
		n := 0
		r := feedreader.Reader{Source: source{lines: []feed.Line{ev(1, "", 1), ev(2, "", 1), ev(3, "", 1)}, end: endAt(3)}, Events: 2}
		_, err := r.Page(t.Context(), feed.Request{After: feed.Cursor{Epoch: "e"}}, func(feedreader.Batch) error {
			if n++; n == at {
				return full
			}
			return nil
		})
		if !errors.Is(err, full) || n != at {
			t.Errorf("%v after %d batches", err, n)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := feedreader.Reader{Source: source{lines: []feed.Line{ev(1, "", 1)}, err: syncerr.Wrap(syncerr.Transient, "read feed", ctx.Err())}}
	_, err := r.Page(ctx, feed.Request{After: feed.Cursor{Epoch: "e"}}, func(b feedreader.Batch) error {
		t.Errorf("flushed %s after the end of the context", text(b))
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestReaderBacklog(t *testing.T) {
	end := endAt(3)
	end.Backlog = 7
	var got []uint64
	r := feedreader.Reader{Source: source{lines: []feed.Line{ev(1, "", 1), ev(2, "", 1), ev(3, "", 1)}, end: end}, Events: 2}
	after, err := r.Page(t.Context(), feed.Request{After: feed.Cursor{Epoch: "e"}}, func(b feedreader.Batch) error {
		got = append(got, b.Backlog)
		return nil
	})
	if err != nil || after != end || !slices.Equal(got, []uint64{0, 7}) {
		t.Errorf("%v %v %v", after, got, err)
	}
}
