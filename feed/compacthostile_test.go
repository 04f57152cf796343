package feed

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tributary-sync/tributary/syncerr"
)

// endless repeats its text for ever.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.text[e.at%len(e.text)]
		e.at++
	}
	return len(p), nil
}

func TestCompactHostile(t *testing.T) {
	line := func(old, new string) string {
		s := encode(t, func(e *Encoder) error { return e.Event(sample(5)) })
		if !strings.Contains(s, old) {
			t.Fatalf("%q is not in %s", old, s)
		}
		return strings.Replace(s, old, new, 1)
	}
	good := line("", "")
	six := encode(t, func(e *Encoder) error { return e.Event(sample(6)) })
	zero := strings.Replace(six, `"seq":6`, `"seq":0`, 1)
	end := `{"end":{"cursor":""}}` + "\n"
	deep := strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000)
	tests := []struct {
		name string
		in   string
		want syncerr.Kind
	}{
		{"nothing", "", syncerr.Transient},
		{"only blank lines", "\n\n \n", syncerr.Transient},
		{"no end", good, syncerr.Transient},
		{"not JSON", "hello\n" + end, syncerr.Invalid},
		{"a web page", "<html></html>\n", syncerr.Invalid},
		{"a number", "12\n" + end, syncerr.Invalid},
		{"an array", "[]\n" + end, syncerr.Invalid},
		{"null", "null\n" + end, syncerr.Invalid},
		{"empty object", "{}\n" + end, syncerr.Invalid},
		{"half a line with a newline", good[:40] + "\n" + end, syncerr.Invalid},
		{"two objects on a line", strings.TrimSuffix(good, "\n") + six + end, syncerr.Invalid},
		{"member doubled", line(`"seq":5`, `"seq":5,"seq":5`) + end, syncerr.Invalid},
		{"unknown member doubled", line(`"seq":5`, `"seq":5,"x":1,"x":2`) + end, syncerr.Invalid},
		{"name doubled in the content", line(`"size":20`, `"content":{"a":1,"a":2}`) + end, syncerr.Invalid},
		{"invalid UTF-8", line(`"size":20`, "\"content\":{\"a\":\"\xff\"}") + end, syncerr.Invalid},
		{"key without a slash", line("Patient/p5", "Patient") + end, syncerr.Invalid},
		{"unknown type", line("Patient/p5", "Patiens/p5") + end, syncerr.Invalid},
		{"bad id", line("Patient/p5", "Patient/p_5") + end, syncerr.Invalid},
		{"key is a number", line(`"Patient/p5"`, "5") + end, syncerr.Invalid},
		{"unknown action", line("CREATED", "VOIDED") + end, syncerr.Invalid},
		{"deletion of a live copy", line("CREATED", "DELETED") + end, syncerr.Invalid},
		{"no key", line(`"key":"Patient/p5",`, "") + end, syncerr.Invalid},
		{"no committed", line(`"committed":1700000000005,`, "") + end, syncerr.Invalid},
		{"no version", line(`"version":"5-`+string(rA)+`",`, "") + end, syncerr.Invalid},
		{"tick 0", line(`"version":"5-`, `"version":"0-`) + end, syncerr.Invalid},
		{"vector without the version", line(`"hash"`, `"vector":"4-`+string(rA)+`","hash"`) + end, syncerr.Invalid},
		{"vector out of order", line(`"hash"`, `"vector":"1-`+string(rB)+` 5-`+string(rA)+`","hash"`) + end, syncerr.Invalid},
		{"vector empty", line(`"hash"`, `"vector":"","hash"`) + end, syncerr.Invalid},
		{"origin unseen", line(`"hash"`, `"origin":"1-`+string(rB)+`","hash"`) + end, syncerr.Invalid},
		{"author is no replica", line(`"hash"`, `"author":"me","hash"`) + end, syncerr.Invalid},
		{"deleted with a hash", line(`"hash"`, `"deleted":true,"hash"`) + end, syncerr.Invalid},
		{"deleted is a word", line(`"hash"`, `"deleted":"yes","hash"`) + end, syncerr.Invalid},
		{"no hash", line(`"hash"`, `"hush"`) + end, syncerr.Invalid},
		{"short hash", line(`"hash":"01`, `"hash":"`) + end, syncerr.Invalid},
		{"content is null", line(`"size":20`, `"content":null`) + end, syncerr.Invalid},
		{"content is text", line(`"size":20`, `"content":"{}"`) + end, syncerr.Invalid},
		{"content too deep for a parser", line(`"size":20`, `"content":`+deep) + end, syncerr.Invalid},
		{"size negative", line(`"size":20`, `"size":-1`) + end, syncerr.Invalid},
		{"size with a fraction", line(`"size":20`, `"size":2.5`) + end, syncerr.Invalid},
		{"size beyond all", line(`"size":20`, `"size":99999999999999999999`) + end, syncerr.Invalid},
		{"unit without a size", line(`"size"`, `"unit":"u","size"`) + end, syncerr.Invalid},
		{"size without a unit", line(`"size"`, `"unitSize":2,"size"`) + end, syncerr.Invalid},
		{"sequence negative", line(`"seq":5`, `"seq":-5`) + end, syncerr.Invalid},
		{"sequence doubled", good + good + end, syncerr.Invalid},
		{"sequence falls", six + good + end, syncerr.Invalid},
		{"sequence 0 behind another", good + zero + end, syncerr.Invalid},
		{"sequence behind 0", zero + good + end, syncerr.Invalid},
		{"event behind the end", end + good, syncerr.Invalid},
		{"end doubled", end + end, syncerr.Invalid},
		{"event and end at once", line(`{"seq"`, `{"end":{"cursor":""},"seq"`), syncerr.Invalid},
		{"name and end at once", `{"name":{"id":"` + string(rA) + `","name":"a"},"end":{"cursor":""}}` + "\n", syncerr.Invalid},
		{"end is null", `{"end":null}` + "\n", syncerr.Invalid},
		{"bad cursor", `{"end":{"cursor":"x:1"}}` + "\n", syncerr.Invalid},
		{"negative count", `{"end":{"cursor":"","skipped":-1}}` + "\n", syncerr.Invalid},
		{"name of nobody", `{"name":{"id":"x","name":"a"}}` + "\n" + end, syncerr.Invalid},
		{"a receipt", `{"receipt":{"key":"Patient/1","version":"1-` + string(rA) + `","result":"applied"}}` + "\n" + end, syncerr.Invalid},
		{"a ref", `{"ref":{"key":"Patient/1","version":"1-` + string(rA) + `"}}` + "\n" + end, syncerr.Invalid},
		{"error of a new kind", `{"error":{"kind":"tired","text":"later"}}` + "\n", syncerr.Internal},
		{"long line", line(`"size":20`, `"content":{"a":"`+strings.Repeat("x", 70000)+`"}`) + end, syncerr.TooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			limit := 1 << 20
			if tt.want == syncerr.TooLarge {
				limit = 70000
			}
			d := NewDecoder(strings.NewReader(tt.in), limit)
			var err error
			for err == nil {
				_, err = d.Next()
			}
			if err == io.EOF || syncerr.KindOf(err) != tt.want {
				t.Errorf("error %v of kind %s, want %s", err, syncerr.KindOf(err), tt.want)
			}
			if _, again := d.Next(); again != err {
				t.Errorf("after the error the decoder went on: %v", again)
			}
		})
	}
}

func TestCompactEndless(t *testing.T) {
	for name, text := range map[string]string{
		"line": `{"a":"aaaa`, "blank lines": "\n", "unknown lines": `{"ping":{}}` + "\n", "spaces": "  ",
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, _, err := readPage(&endless{text: text}, 1<<16); syncerr.KindOf(err) != syncerr.TooLarge {
				t.Errorf("error %v, want too large", err)
			}
		})
	}
}

func TestCompactNewerPeer(t *testing.T) {
	in := strings.Replace(encode(t, func(e *Encoder) error { return e.Event(sample(1)) }), `{"seq"`, `{"later":[{"x":1}],"s\u0065q"`, 1) +
		"\n\r\n" + `{"progress":{"of":100}}` + "\n" +
		`{"later":1,"name":{"id":"` + string(rB) + `","name":"b","colour":"red"}}` + "\n" +
		` { "later":true, "end":{"cursor":"","mood":"good"} } `
	events, names, end, err := readPage(strings.NewReader(in), 0)
	if err != nil || len(events) != 1 || events[0].Seq != 1 || len(names) != 1 || end == nil {
		t.Errorf("%+v %+v %+v %v", events, names, end, err)
	}
}

func TestCompactReadError(t *testing.T) {
	boom := errors.New("connection reset")
	in := io.MultiReader(strings.NewReader(encode(t, func(e *Encoder) error { return e.Event(sample(1)) })+`{"seq"`), iotest.ErrReader(boom))
	events, _, _, err := readPage(in, 0)
	if len(events) != 1 || !errors.Is(err, boom) || syncerr.KindOf(err) != syncerr.Transient {
		t.Errorf("%d events, error %v", len(events), err)
	}
	denied := syncerr.New(syncerr.Denied, "read", "no")
	if _, _, _, err := readPage(iotest.ErrReader(denied), 0); syncerr.KindOf(err) != syncerr.Denied {
		t.Errorf("the source's own kind was lost: %v", err)
	}
}

// A line whose length is exactly the limit passes, also around the size of the read buffer.
func TestCompactLineLimit(t *testing.T) {
	for _, size := range []int{readBuffer - 1, readBuffer, readBuffer + 1, 3 * readBuffer} {
		ev := sample(1)
		line := encode(t, func(e *Encoder) error { return e.Event(ev) })
		pad := size - (len(line) - 1) - len(`"content":{"a":""}`) + len(`"size":20`)
		ev.Content = []byte(`{"a":"` + strings.Repeat("x", pad) + `"}`)
		page := encode(t, func(e *Encoder) error { return errors.Join(e.Event(ev), e.End(End{})) })
		if got := strings.IndexByte(page, '\n'); got != size {
			t.Fatalf("the line has %d bytes, want %d", got, size)
		}
		if events, _, _, err := readPage(strings.NewReader(page), size); err != nil || len(events) != 1 || len(events[0].Content) != len(ev.Content) {
			t.Errorf("limit %d: %v", size, err)
		}
		if _, _, _, err := readPage(strings.NewReader(page), size-1); syncerr.KindOf(err) != syncerr.TooLarge {
			t.Errorf("limit %d: %v, want too large", size-1, err)
		}
	}
}
