package feed

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

func encode(tb testing.TB, write func(*Encoder) error) string {
	tb.Helper()
	var b bytes.Buffer
	if err := write(NewEncoder(&b)); err != nil {
		tb.Fatalf("encode: %v", err)
	}
	return b.String()
}

// readPage reads to the end or the first error.
func readPage(r io.Reader, maxLine int) (events []Event, names []Name, end *End, err error) {
	d := NewDecoder(r, maxLine)
	for {
		l, err := d.Next()
		if err == io.EOF {
			return events, names, end, nil
		}
		if err != nil {
			return events, names, end, err
		}
		switch {
		case l.Event != nil:
			events = append(events, *l.Event)
		case l.Name != nil:
			names = append(names, *l.Name)
		default:
			end = l.End
		}
	}
}

func TestCompactForm(t *testing.T) {
	v3 := version.Version{Replica: rA, Tick: 3}
	w7 := version.Version{Replica: rB, Tick: 7}
	whole := Event{
		Seq: 12, Key: fhir.Key{Type: "Patient", ID: "1"}, Action: Updated,
		Stamp: version.Stamp{
			Version: v3, Vector: version.Vector{v3, w7}, Author: rB, Authored: 5, Origin: w7, Hash: version.Hash{0xab},
		},
		Unit: "tx\"1", UnitSize: 3, Committed: 6, Content: []byte(`{"resourceType":"Patient","id":"1"}`), Size: 35,
	}
	gone := sample(13)
	gone.Action, gone.Stamp.Deleted, gone.Stamp.Hash, gone.Size = Deleted, true, version.Hash{}, 0
	out := sample(14)
	hash := "ab" + strings.Repeat("0", 62)
	got := encode(t, func(e *Encoder) error {
		return errors.Join(e.Name(Name{Replica: rB, Node: "clinic-b"}), e.Event(whole), e.Event(gone), e.Event(out),
			e.End(End{Cursor: Cursor{Epoch: epoch, Seq: 14}, More: true, Skipped: 2, Limit: 100, Backlog: 9}))
	})
	want := `{"name":{"id":"` + string(rB) + `","name":"clinic-b"}}
{"seq":12,"key":"Patient/1","action":"UPDATED","version":"3-` + string(rA) + `","vector":"3-` + string(rA) + ` 7-` + string(rB) +
		`","author":"` + string(rB) + `","authored":5,"origin":"7-` + string(rB) + `","hash":"` + hash +
		`","unit":"tx\"1","unitSize":3,"committed":6,"content":{"resourceType":"Patient","id":"1"}}
{"seq":13,"key":"Patient/p13","action":"DELETED","version":"13-` + string(rA) + `","deleted":true,"committed":1700000000013}
{"seq":14,"key":"Patient/p14","action":"CREATED","version":"14-` + string(rA) + `","hash":"010203` + strings.Repeat("0", 58) +
		`","committed":1700000000014,"size":20}
{"end":{"cursor":"` + epoch + `:14","more":true,"skipped":2,"limit":100,"backlog":9}}
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	events, names, end, err := readPage(strings.NewReader(got), 0)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(events, []Event{whole, gone, out}) || len(names) != 1 || end == nil || !end.More || end.Backlog != 9 {
		t.Errorf("read back %+v %+v %+v", events, names, end)
	}
}

func TestCompactRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := genEvents(6).Draw(t, "events")
		if rapid.Bool().Draw(t, "without a log") {
			for i := range events {
				events[i].Seq = 0
			}
		}
		want := End{Cursor: Cursor{Epoch: epoch, Seq: rapid.Uint64Range(1, version.MaxTick).Draw(t, "seq")}, More: rapid.Bool().Draw(t, "more")}
		var b bytes.Buffer
		e := NewEncoder(&b)
		for _, ev := range events {
			if err := e.Event(ev); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.End(want); err != nil {
			t.Fatal(err)
		}
		got, _, end, err := readPage(iotest.OneByteReader(&b), 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(events) || *end != want {
			t.Fatalf("%d events and %+v, want %d and %+v", len(got), end, len(events), want)
		}
		for i := range got {
			if !reflect.DeepEqual(got[i], events[i]) {
				t.Fatalf("event %d\n got %+v\nwant %+v", i, got[i], events[i])
			}
		}
	})
}

// Wherever a stream is cut, the whole lines before the cut arrive and the cut is told.
func TestCompactCut(t *testing.T) {
	page := encode(t, func(e *Encoder) error {
		return errors.Join(e.Event(sample(1)), e.Event(sample(2)), e.End(End{}))
	})
	for i := range page {
		events, _, end, err := readPage(strings.NewReader(page[:i]), 0)
		whole := strings.Count(page[:i], "\n")
		if i == len(page)-1 {
			if err != nil || end == nil {
				t.Fatalf("a whole end line without its newline: %v", err)
			}
			continue
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) || syncerr.KindOf(err) != syncerr.Transient {
			t.Fatalf("cut at %d: error %v, want a transient unexpected EOF", i, err)
		}
		if len(events) < whole || len(events) > whole+1 {
			t.Fatalf("cut at %d: %d events of %d whole lines", i, len(events), whole)
		}
	}
}

func TestCompactContentIsOwnAndCompact(t *testing.T) {
	line := strings.TrimSuffix(encode(t, func(e *Encoder) error { return e.Event(sample(1)) }), "}\n")
	in := []byte(line + `,"content": { "a" : "x \" y\\" , "b":[ 1.00 , 2 ] } }` + "\r\n\n" + `{"end":{"cursor":""}}` + "\n")
	events, _, _, err := readPage(bytes.NewReader(in), 0)
	if err != nil {
		t.Fatal(err)
	}
	clear(in)
	if got, want := string(events[0].Content), `{"a":"x \" y\\","b":[1.00,2]}`; got != want || events[0].Size != len(want) {
		t.Errorf("content %s of size %d, want %s", got, events[0].Size, want)
	}
	ev := sample(2)
	ev.Content = []byte("{\n \"a\": 1\r\n}")
	if got := encode(t, func(e *Encoder) error { return e.Event(ev) }); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"content":{"a":1}}`) {
		t.Errorf("a content with newlines became %q", got)
	}
}

func TestCompactFail(t *testing.T) {
	for k := syncerr.Internal; k <= syncerr.Usage; k++ {
		page := encode(t, func(e *Encoder) error {
			return errors.Join(e.Event(sample(1)), e.Fail(syncerr.New(k, "read log", "secret of %s", k)))
		})
		events, _, _, err := readPage(strings.NewReader(page), 0)
		if syncerr.KindOf(err) != k || len(events) != 1 {
			t.Errorf("%s: got kind %s (%v) after %d events", k, syncerr.KindOf(err), err, len(events))
		}
		if shown := strings.Contains(err.Error(), "secret"); shown == (k == syncerr.Internal) {
			t.Errorf("%s: text %q", k, err)
		}
	}
}

func TestEncoderRefuses(t *testing.T) {
	bad := sample(5)
	bad.Stamp.Vector = nil
	broken := sample(6)
	broken.Content = []byte("{\n")
	tests := []struct {
		name  string
		write func(*Encoder) error
	}{
		{"bad stamp", func(e *Encoder) error { return e.Event(bad) }},
		{"broken content", func(e *Encoder) error { return e.Event(broken) }},
		{"same sequence", func(e *Encoder) error { _ = e.Event(sample(5)); return e.Event(sample(5)) }},
		{"event after end", func(e *Encoder) error { _ = e.End(End{}); return e.Event(sample(5)) }},
		{"end after error", func(e *Encoder) error { _ = e.Fail(io.EOF); return e.End(End{}) }},
		{"name without node", func(e *Encoder) error { return e.Name(Name{Replica: rA}) }},
		{"unknown result", func(e *Encoder) error {
			return e.Receipt(Receipt{Key: sample(1).Key, Version: sample(1).Stamp.Version, Result: "x"})
		}},
		{"ref with half a version", func(e *Encoder) error { return e.Ref(Ref{Key: sample(1).Key, Version: version.Version{Tick: 1}}) }},
		{"bad cursor", func(e *Encoder) error { return e.End(End{Cursor: Cursor{Epoch: `"`, Seq: 1}}) }},
		{"no cause", func(e *Encoder) error { return e.Fail(nil) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.write(NewEncoder(io.Discard)); syncerr.KindOf(err) != syncerr.Internal || err == nil {
				t.Errorf("error %v, want an internal one", err)
			}
		})
	}
	full := NewEncoder(failingWriter{})
	if err := full.Event(sample(1)); syncerr.KindOf(err) != syncerr.Transient {
		t.Errorf("a failed write gave %v", err)
	}
	if err := full.End(End{}); err == nil {
		t.Error("the stream went on behind a failed write")
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
