package feed

import (
	"bytes"
	"io"
	"testing"
)

func benchEvent(b *testing.B) Event {
	ev := sample(0)
	ev.Stamp.Version.Tick = 9
	ev.Stamp.Vector[0].Tick = 9
	ev.Stamp.Origin.Tick = 9
	ev.Content = bigContent(b)
	ev.Size = len(ev.Content)
	return ev
}

func BenchmarkCompactEncode(b *testing.B) {
	ev := benchEvent(b)
	e := NewEncoder(io.Discard)
	b.SetBytes(int64(ev.Size))
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Event(ev); err != nil {
			b.Fatal(err)
		}
	}
}

// repeat gives a page n times, then its end.
type repeat struct {
	page []byte
	n    int
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.page[r.at:])
	if r.at += n; r.at == len(r.page) {
		r.at = 0
		r.n--
	}
	return n, nil
}

func BenchmarkCompactDecode(b *testing.B) {
	ev := benchEvent(b)
	var page bytes.Buffer
	if err := NewEncoder(&page).Event(ev); err != nil {
		b.Fatal(err)
	}
	d := NewDecoder(&repeat{page: page.Bytes(), n: -1}, 0)
	b.SetBytes(int64(page.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Next(); err != nil {
			b.Fatal(err)
		}
	}
}
