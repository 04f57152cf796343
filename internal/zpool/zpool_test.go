package zpool_test

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/tributary-sync/tributary/internal/zpool"
)

// What is lent again is as new: nothing of an earlier stream is left in it, not of one that was broken or read in part either.
func TestLentAgain(t *testing.T) {
	var p zpool.Pool
	pack := func(text string) []byte {
		var b bytes.Buffer
		z, err := p.Encoder(&b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(z, text); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		p.Put(z)
		return b.Bytes()
	}
	first, second := strings.Repeat("first ", 1000), strings.Repeat("second ", 2000)
	a, b := pack(first), pack(second)
	if len(a) > 200 || len(b) > 200 {
		t.Errorf("%d and %d bytes", len(a), len(b))
	}
	for _, c := range []struct {
		name  string
		in    []byte
		read  int64 // bytes; -1 for all
		want  string
		wrong bool
	}{
		{"whole", a, -1, first, false},
		{"in part", b, 10, second[:10], false},
		{"after one in part", a, -1, first, false},
		{"cut", b[:len(b)-8], -1, "", true},
		{"no zstd", []byte("not at all"), -1, "", true},
		{"after broken ones", b, -1, second, false},
	} {
		r, err := p.Decoder(bytes.NewReader(c.in))
		if err != nil {
			t.Fatal(err)
		}
		from := io.Reader(r)
		if c.read >= 0 {
			from = io.LimitReader(r, c.read)
		}
		got, err := io.ReadAll(from)
		if (err != nil) != c.wrong || !c.wrong && string(got) != c.want {
			t.Errorf("%s: %d bytes, %v", c.name, len(got), err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := r.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: it is read after it was given back", c.name)
		}
	}
}

// Who gives one back twice does not make it two: it would be lent to two readers at once.
func TestGivenBackTwice(t *testing.T) {
	var p zpool.Pool
	var packed bytes.Buffer
	z, err := p.Encoder(&packed)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("text ", 1000)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	lend := func() io.ReadCloser {
		t.Helper()
		r, err := p.Decoder(bytes.NewReader(packed.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	once := lend()
	for range 2 {
		if err := once.Close(); err != nil {
			t.Fatal(err)
		}
	}
	a, b := lend(), lend()
	for _, r := range []io.ReadCloser{a, b} {
		if got, err := io.ReadAll(r); err != nil || string(got) != text {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	var p zpool.Pool
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			text := strings.Repeat(string(rune('a'+i)), 10_000)
			var b bytes.Buffer
			z, err := p.Encoder(&b)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := io.WriteString(z, text); err != nil {
				t.Error(err)
			}
			if err := z.Close(); err != nil {
				t.Error(err)
			}
			p.Put(z)
			r, err := p.Decoder(&b)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := io.ReadAll(r); err != nil || string(got) != text {
				t.Errorf("%d: %d bytes, %v", i, len(got), err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
