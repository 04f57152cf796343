package feed

import (
	"bytes"
	"encoding/xml"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

var update = flag.Bool("update", false, "write the golden pages anew")

const base = "https://nation.example:8443/sync"

// goldenPages are seven changes in pages of three, and an empty feed.
func goldenPages() map[string]AtomPage {
	events := make([]Event, 7)
	for i := range events {
		events[i] = sample(uint64(i) + 1)
		events[i].Ordinal = uint64(i) + 1
	}
	other := version.Version{Replica: rB, Tick: 4}
	events[1].Action, events[1].Stamp.Origin, events[1].Stamp.Author = Updated, other, rB
	events[1].Stamp.Vector = events[1].Stamp.Vector.With(other)
	events[1].Unit, events[1].UnitSize = "tx-1", 2
	events[2].Unit, events[2].UnitSize = "tx-1", 2
	events[2].Key = fhir.Key{Type: "Observation", ID: "o-1.2"}
	events[4].Action, events[4].Stamp.Deleted, events[4].Stamp.Hash = Deleted, true, version.Hash{}
	p := AtomPage{
		Base: base, Category: CategoryAll, Epoch: epoch, NodeName: "Zürich <nation> & \"co\" 国", PageSize: 3,
		Rest: map[string]string{"Patient": "patient"},
	}
	first, archive, recent := p, p, p
	first.Number, first.Events = 1, events[:3]
	archive.Number, archive.Events = 2, events[3:6]
	recent.Number, recent.Events, recent.Recent = 3, events[6:], true
	empty := AtomPage{
		Base: base, Category: "patient", Epoch: epoch, NodeName: "nation", PageSize: 3, Number: 1, Recent: true,
		Updated: 1700000000000,
	}
	last := empty
	last.Recent, last.Last, last.Events = false, true, events[:1]
	return map[string]AtomPage{
		"first": first, "archive": archive, "recent": recent, "empty": empty, "last": last,
	}
}

func write(tb testing.TB, p AtomPage) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := WriteAtom(&b, p); err != nil {
		tb.Fatalf("write page: %v", err)
	}
	return b.Bytes()
}

func TestAtomGolden(t *testing.T) {
	for name, p := range goldenPages() {
		file := filepath.Join("..", "testdata", "feed", name+".atom")
		got := write(t, p)
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from %s:\n%s", name, file, got)
		}
	}
}

// jing checks files against the grammar of RFC 4287 appendix B.
func jing(t *testing.T, files ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("jing")
	if err != nil {
		t.Fatal("jing, the RELAX NG validator, is missing; run `make test`, which installs it")
	}
	out, err := exec.CommandContext(t.Context(), path, append([]string{"-c", filepath.Join("..", "testdata", "feed", "atom.rnc")}, files...)...).CombinedOutput()
	return string(out), err
}

func TestAtomGrammar(t *testing.T) {
	var files []string
	for name, p := range goldenPages() {
		file := filepath.Join(t.TempDir(), name+".atom")
		if err := os.WriteFile(file, write(t, p), 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	if out, err := jing(t, files...); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	bad := filepath.Join(t.TempDir(), "bad.atom")
	page := strings.Replace(string(write(t, goldenPages()["first"])), "<title>Patient</title>", "", 1)
	if err := os.WriteFile(bad, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := jing(t, bad); err == nil || !strings.Contains(out, "title") {
		t.Errorf("an entry without a title passed: %v %s", err, out)
	}
}

// The rules of the Java client that a schema cannot say.
func TestAtomRules(t *testing.T) {
	page := func(n int) string { return fmt.Sprintf("%s/ws/atomfeed/all/%d?epoch=%s", base, n, epoch) }
	recent := base + "/ws/atomfeed/all/recent"
	want := map[string]AtomFeed{
		"first":   {Self: page(1), Via: page(1), Current: recent, NextArchive: page(2)},
		"archive": {Self: page(2), Via: page(2), Current: recent, PrevArchive: page(1), NextArchive: page(3)},
		"recent":  {Self: recent, Via: page(3), PrevArchive: page(2)},
		"empty":   {Self: strings.ReplaceAll(recent, "all", "patient"), Via: strings.ReplaceAll(page(1), "all", "patient")},
		"last": {
			Self: strings.ReplaceAll(page(1), "all", "patient"), Via: strings.ReplaceAll(page(1), "all", "patient"),
			Current: strings.ReplaceAll(recent, "all", "patient"),
		},
	}
	ids := map[string]bool{}
	for name, p := range goldenPages() {
		text := string(write(t, p))
		got, err := ReadAtom(strings.NewReader(text), 1<<20)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		links := AtomFeed{Self: got.Self, Via: got.Via, Current: got.Current, PrevArchive: got.PrevArchive, NextArchive: got.NextArchive}
		if !reflect.DeepEqual(links, want[name]) {
			t.Errorf("%s: links %+v, want %+v", name, links, want[name])
		}
		if suffix := fmt.Sprintf("+%d", p.Number); !strings.HasPrefix(got.ID, "urn:uuid:") || !strings.HasSuffix(got.ID, suffix) {
			t.Errorf("%s: feed id %s", name, got.ID)
		}
		ids[got.ID] = true
		if archived := strings.Contains(text, "<fh:archive>"); archived != (name == "first" || name == "archive") {
			t.Errorf("%s: archive mark is %v", name, archived)
		}
		if i := strings.IndexFunc(text, func(r rune) bool { return r > 126 }); i >= 0 {
			t.Errorf("%s: not ASCII at %d", name, i)
		}
		if strings.Contains(text, `label=""`) || strings.Contains(text, `scheme=""`) {
			t.Errorf("%s: an empty label or scheme", name)
		}
		if n := strings.Count(text, `<content type="application/vnd.atomfeed+xml"><![CDATA[{"`); n != len(p.Events) || strings.Count(text, `"}]]></content>`) != n {
			t.Errorf("%s: %d contents of %d have their CDATA without blanks around it", name, n, len(p.Events))
		}
		for _, s := range strings.Split(text, "<![CDATA[")[1:] {
			if c, _, _ := strings.Cut(s, "]]>"); strings.Contains(c, "&") {
				t.Errorf("%s: an ampersand in content %s", name, c)
			}
		}
		if strings.Index(text, `rel="via"`) > strings.Index(text+"<entry>", "<entry>") {
			t.Errorf("%s: links stand behind the first entry", name)
		}
	}
	if len(ids) != 4 { // empty and last are the same page
		t.Errorf("feed ids %v", ids)
	}
	if a, b := EntryID(epoch, 1), EntryID(epoch, 2); a != "urn:uuid:c0da400c-2db7-5f4a-bf8b-93a0e62be5d8" || a == b {
		t.Errorf("the id of event 1 is %s, which must never change", a)
	}
}

func TestAtomRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := AtomPage{
			Base: base, Category: CategoryAll, Number: rapid.IntRange(1, 1<<30).Draw(t, "page"), Recent: rapid.Bool().Draw(t, "recent"),
			Last: rapid.Bool().Draw(t, "last"), Epoch: string(genReplica().Draw(t, "epoch")), PageSize: 5,
			NodeName: rapid.StringN(1, 10, 40).Draw(t, "node"), Events: genEvents(5).Draw(t, "events"),
		}
		if rapid.Bool().Draw(t, "rest") {
			p.Rest = map[string]string{"Patient": "patient", "Basic": "bahmnicore/thing"}
		}
		var b bytes.Buffer
		if err := WriteAtom(&b, p); err != nil {
			t.Fatal(err)
		}
		if err := xml.Unmarshal(b.Bytes(), new(struct{})); err != nil {
			t.Fatalf("not XML: %v", err)
		}
		got, err := ReadAtom(&b, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Entries) != len(p.Events) {
			t.Fatalf("%d entries of %d events", len(got.Entries), len(p.Events))
		}
		for i, e := range p.Events {
			g := got.Entries[i]
			want := AtomEntry{
				ID: EntryID(p.Epoch, e.Seq), Updated: max(e.Committed, -62135596800000), Action: e.Action, Category: strings.ToLower(e.Key.Type),
				Categories: []string{string(e.Action), strings.ToLower(e.Key.Type)}, Key: e.Key, Seq: e.Seq, Stamp: e.Stamp,
				Unit: e.Unit, UnitSize: e.UnitSize, ContentLinks: map[string]string{"fhir": "/ws/fhir2/R4/" + e.Key.String()},
			}
			if c := p.Rest[e.Key.Type]; c != "" {
				want.ContentLinks["rest"] = "/ws/rest/v1/" + c + "/" + e.Key.ID + "?v=full"
			}
			if !reflect.DeepEqual(g, want) {
				t.Fatalf("entry %d\n got %+v\nwant %+v", i, g, want)
			}
		}
		if n, ok := AtomPageNumber(got.Via); !ok || n != p.Number {
			t.Fatalf("page %d of %s", n, got.Via)
		}
	})
}

func TestWriteAtomRefuses(t *testing.T) {
	tests := []struct {
		name string
		edit func(*AtomPage)
	}{
		{"relative base", func(p *AtomPage) { p.Base = "/sync" }},
		{"slash at the end", func(p *AtomPage) { p.Base += "/" }},
		{"unknown category", func(p *AtomPage) { p.Category = "people" }},
		{"category in capitals", func(p *AtomPage) { p.Category = "Patient" }},
		{"event of another category", func(p *AtomPage) { p.Category = "encounter" }},
		{"page 0", func(p *AtomPage) { p.Number = 0 }},
		{"no epoch", func(p *AtomPage) { p.Epoch = "" }},
		{"no name", func(p *AtomPage) { p.NodeName = "" }},
		{"too many events", func(p *AtomPage) { p.PageSize = 2 }},
		{"newest first", func(p *AtomPage) { p.Events = []Event{p.Events[1], p.Events[0]} }},
		{"event of another page", func(p *AtomPage) { p.Number = 2 }},
		{"bad stamp", func(p *AtomPage) { p.Events = []Event{{Seq: 1, Key: sample(1).Key, Action: Created}} }},
		{"bad collection", func(p *AtomPage) { p.Rest = map[string]string{"Patient": "a&b"} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := goldenPages()["first"]
			tt.edit(&p)
			var b bytes.Buffer
			if err := WriteAtom(&b, p); err == nil || syncerr.KindOf(err) != syncerr.Internal || b.Len() > 0 {
				t.Errorf("error %v after %d bytes", err, b.Len())
			}
		})
	}
	if err := WriteAtom(failingWriter{}, goldenPages()["first"]); syncerr.KindOf(err) != syncerr.Transient {
		t.Errorf("a failed write gave %v", err)
	}
}
