package feed

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
)

// What the decoder accepts, the encoder writes, and it reads the same again.
func FuzzCompact(f *testing.F) {
	ev := sample(3)
	ev.Content = bigContent(f)
	f.Add([]byte(encode(f, func(e *Encoder) error {
		return errors.Join(e.Name(Name{Replica: rA, Node: "a"}), e.Event(sample(1)), e.Event(ev), e.End(End{Cursor: Cursor{epoch, 3}}))
	})))
	f.Add([]byte(encode(f, func(e *Encoder) error { return errors.Join(e.Event(sample(1)), e.Fail(io.ErrNoProgress)) })))
	f.Add([]byte("\n{\"x\":{}}\n{\"end\":{\"cursor\":\"\"}}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		events, names, end, err := readPage(bytes.NewReader(in), 1<<16)
		if err == nil && end == nil {
			t.Fatal("a page without an end was taken for whole")
		}
		var b bytes.Buffer
		e := NewEncoder(&b)
		for _, n := range names {
			if err := e.Name(n); err != nil {
				t.Fatal(err)
			}
		}
		for _, ev := range events {
			if err := e.Event(ev); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.End(End{}); err != nil {
			t.Fatal(err)
		}
		again, names2, _, err := readPage(&b, 0)
		if err != nil || !reflect.DeepEqual(again, events) || !reflect.DeepEqual(names2, names) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, again, events)
		}
	})
}

func FuzzReceipts(f *testing.F) {
	r := Receipt{Key: sample(1).Key, Version: sample(1).Stamp.Version, Result: Refused, Reason: "bad", Retry: true, Stamp: sample(1).Stamp}
	f.Add([]byte(encode(f, func(e *Encoder) error { return errors.Join(e.Receipt(r), e.End(End{})) })))
	f.Add([]byte(encode(f, func(e *Encoder) error { return errors.Join(e.Ref(Ref{Key: r.Key, Version: r.Version}), e.End(End{})) })))
	f.Fuzz(func(t *testing.T, in []byte) {
		receipts, _, _ := ReadReceipts(bytes.NewReader(in), 1<<16, 100)
		var b bytes.Buffer
		if err := WriteReceipts(&b, receipts, End{}); err != nil {
			t.Fatal(err)
		}
		if again, _, err := ReadReceipts(&b, 0, 100); err != nil || !reflect.DeepEqual(again, receipts) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, again, receipts)
		}
		refs, _ := ReadRefs(bytes.NewReader(in), 1<<16, 100)
		b.Reset()
		if err := WriteRefs(&b, refs); err != nil {
			t.Fatal(err)
		}
		if again, err := ReadRefs(&b, 0, 100); err != nil || !reflect.DeepEqual(again, refs) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, again, refs)
		}
	})
}

func FuzzReadAtom(f *testing.F) {
	for _, p := range goldenPages() {
		f.Add(write(f, p))
	}
	f.Add([]byte(openmrs(openmrsEntry(`<category term="patient"/>`, `<content>/ws/rest/v1/patient/1</content>`))))
	f.Fuzz(func(t *testing.T, in []byte) {
		page, err := ReadAtom(bytes.NewReader(in), 1<<16)
		if err != nil {
			return
		}
		for _, e := range page.Entries {
			if e.ID == "" || !e.Stamp.IsZero() && (e.Stamp.Validate() != nil || e.Seq == 0) {
				t.Fatalf("entry %+v was accepted", e)
			}
		}
	})
}
