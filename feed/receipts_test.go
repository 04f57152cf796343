package feed

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

func genReceipt() *rapid.Generator[Receipt] {
	return rapid.Custom(func(t *rapid.T) Receipt {
		r := Receipt{
			Key: genKey().Draw(t, "key"), Version: genVersion().Draw(t, "version"),
			Result: rapid.SampledFrom([]Result{Applied, Same, EqualCopy, Superseded, Decided, Deferred, Held, Refused}).Draw(t, "result"),
			Reason: rapid.String().Draw(t, "reason"), Retry: rapid.Bool().Draw(t, "retry"),
		}
		if rapid.Bool().Draw(t, "has stamp") {
			r.Stamp = genStamp().Draw(t, "stamp")
		}
		return r
	})
}

func TestReceiptsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(genReceipt(), 0, 5).Draw(t, "receipts")
		var b bytes.Buffer
		if err := WriteReceipts(&b, want, End{Limit: 7}); err != nil {
			t.Fatal(err)
		}
		got, end, err := ReadReceipts(&b, 0, 5)
		if err != nil || end.Limit != 7 {
			t.Fatalf("%+v %v", end, err)
		}
		if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("\n got %+v\nwant %+v", got, want)
		}
	})
}

func TestRefsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 5).Draw(t, "refs")
		var want []Ref
		for range n {
			want = append(want, Ref{Key: genKey().Draw(t, "key"), Version: genVersion().Draw(t, "version")})
			if rapid.Bool().Draw(t, "current") {
				want[len(want)-1].Version = version.Version{}
			}
		}
		var b bytes.Buffer
		if err := WriteRefs(&b, want); err != nil {
			t.Fatal(err)
		}
		got, err := ReadRefs(&b, 0, 5)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, got, want)
		}
	})
}

func TestReceiptsHostile(t *testing.T) {
	r := Receipt{Key: sample(1).Key, Version: version.Version{Replica: rA, Tick: 1}, Result: Applied, Stamp: sample(1).Stamp}
	line := encode(t, func(e *Encoder) error { return e.Receipt(r) })
	end := `{"end":{"cursor":""}}` + "\n"
	swap := func(old, new string) string {
		if !strings.Contains(line, old) {
			t.Fatalf("%q is not in %s", old, line)
		}
		return strings.Replace(line, old, new, 1)
	}
	tests := []struct {
		name string
		in   string
		want syncerr.Kind
		read int
	}{
		{"nothing", "", syncerr.Transient, 0},
		{"no end", line + line, syncerr.Transient, 2},
		{"cut in a line", line + line[:50], syncerr.Transient, 1},
		{"too many", line + line + line + end, syncerr.TooLarge, 2},
		{"unknown result", line + swap("applied", "loved") + end, syncerr.Invalid, 1},
		{"no key", swap(`"key":"Patient/p1",`, "") + end, syncerr.Invalid, 0},
		{"no version", swap(`"version":"1-`+string(rA)+`","result"`, `"result"`) + end, syncerr.Invalid, 0},
		{"bad stamp", swap(`"author":"0a`, `"author":"xx`) + end, syncerr.Invalid, 0},
		{"stamp without a version", swap(`"stamp":{"version":"1-`+string(rA)+`",`, `"stamp":{`) + end, syncerr.Invalid, 0},
		{"doubled name", swap(`"result"`, `"retry":true,"retry":true,"result"`) + end, syncerr.Invalid, 0},
		{"wrong type", swap(`"applied"`, `1`) + end, syncerr.Invalid, 0},
		{"behind the end", end + line, syncerr.Invalid, 0},
		{"an event", encode(t, func(e *Encoder) error { return e.Event(sample(1)) }) + end, syncerr.Invalid, 0},
		{"error line", line + `{"error":{"kind":"storage-full","text":"x"}}` + "\n", syncerr.StorageFull, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := ReadReceipts(strings.NewReader(tt.in), 1<<20, 2)
			if err == nil || syncerr.KindOf(err) != tt.want || len(got) != tt.read {
				t.Errorf("%d receipts, error %v of kind %s; want %d and %s", len(got), err, syncerr.KindOf(err), tt.read, tt.want)
			}
		})
	}
	ref := encode(t, func(e *Encoder) error { return e.Ref(Ref{Key: r.Key, Version: r.Version}) })
	if _, err := ReadRefs(strings.NewReader(ref+ref+ref+end), 0, 2); syncerr.KindOf(err) != syncerr.TooLarge {
		t.Errorf("three refs of two gave %v", err)
	}
	if _, err := ReadRefs(strings.NewReader(line+end), 0, 2); syncerr.KindOf(err) != syncerr.Invalid {
		t.Errorf("a receipt among refs gave %v", err)
	}
	if refs, err := ReadRefs(strings.NewReader(ref), 0, 2); len(refs) != 1 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a cut list gave %d refs and %v", len(refs), err)
	}
}
