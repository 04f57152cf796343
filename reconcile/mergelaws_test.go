package reconcile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/patch"
	"github.com/tributary-sync/tributary/reconcile"
)

// samples returns HL7's official examples of up to 12 kB.
func samples(t testing.TB) [][]byte {
	t.Helper()
	dir := os.Getenv("SAMPLES_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "fhir-samples")
	}
	files, err := filepath.Glob(filepath.Join(dir, "hl7-r4-examples", "*.json"))
	if err != nil || len(files) < 100 {
		t.Fatalf("the real FHIR data are missing, set SAMPLES_DIR: %d files, %v", len(files), err)
	}
	var out [][]byte
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := fhir.Parse(b, 0); err == nil && len(r.Body) < 12_000 {
			out = append(out, r.Bare().Body)
		}
	}
	return out
}

// spot is a place in a document, as a JSON Pointer.
type spot struct {
	at   string
	raw  string
	item bool // of a list
	of   int  // how many values a list has
}

func spots(at string, v gjson.Result, item bool, out []spot) []spot {
	if name := at[strings.LastIndexByte(at, '/')+1:]; name != "" && name != "resourceType" && name != "div" && name != "url" && !strings.HasPrefix(name, "_") {
		s := spot{at: at, raw: v.Raw, item: item}
		if v.IsArray() {
			s.of = len(v.Array())
		}
		out = append(out, s)
	}
	if !v.IsObject() && !v.IsArray() {
		return out
	}
	n := 0
	v.ForEach(func(name, value gjson.Result) bool {
		key := name.String()
		if v.IsArray() {
			key = fmt.Sprint(n)
		}
		n++
		if !strings.HasPrefix(key, "_") {
			out = spots(at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(key), value, v.IsArray(), out)
		}
		return true
	})
	return out
}

var year = regexp.MustCompile(`^"[0-9]{4}-`)

// other returns a primitive of the same form.
func other(t *rapid.T, raw string) string {
	n := rapid.IntRange(0, 3).Draw(t, "value")
	switch {
	case raw == "true":
		return "false"
	case raw == "false":
		return "true"
	case raw[0] != '"':
		return fmt.Sprint(n + 1)
	case year.MatchString(raw):
		return fmt.Sprintf(`"20%02d-%s`, n, raw[6:])
	default:
		return raw[:len(raw)-1] + fmt.Sprint(n) + `"`
	}
}

// edit changes a document in some places.
func edit(t *rapid.T, doc []byte, label string) []byte {
	for range rapid.IntRange(1, 3).Draw(t, label) {
		all := spots("", gjson.ParseBytes(doc), false, nil)
		if len(all) == 0 {
			return doc
		}
		s := rapid.SampledFrom(all).Draw(t, "spot")
		leaf := func(within spot) (string, string) {
			inner := slices.DeleteFunc(spots("x", gjson.Parse(within.raw), false, nil), func(s spot) bool { return strings.ContainsAny(s.raw[:1], "{[") })
			if len(inner) == 0 {
				return "", ""
			}
			in := rapid.SampledFrom(inner).Draw(t, "leaf")
			return in.at[1:], other(t, in.raw)
		}
		var ops string
		switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); {
		case kind < 5:
			if at, value := leaf(s); value != "" {
				ops = fmt.Sprintf(`{"op":"replace","path":%q,"value":%s}`, s.at+at, value)
			}
		case kind < 7:
			ops = fmt.Sprintf(`{"op":"remove","path":%q}`, s.at)
		case kind < 9 && s.item:
			list := s.at[:strings.LastIndexByte(s.at, '/')]
			if at, value := leaf(s); value != "" {
				ops = fmt.Sprintf(`{"op":"copy","from":%q,"path":%q},{"op":"replace","path":%q,"value":%s}`, s.at, list+"/0", list+"/0"+at, value)
			}
		case s.of > 1:
			from, to := rapid.IntRange(0, s.of-1).Draw(t, "from"), rapid.IntRange(0, s.of-1).Draw(t, "to")
			ops = fmt.Sprintf(`{"op":"move","from":"%s/%d","path":"%s/%d"}`, s.at, from, s.at, to)
		}
		if ops == "" {
			continue
		}
		out, err := patch.JSON(doc, []byte("["+ops+"]"), 0)
		if err != nil {
			t.Fatalf("%s: %v", ops, err)
		}
		if bytes.Contains(out, []byte("{}")) || bytes.Contains(out, []byte("[]")) {
			continue // FHIR has none
		}
		doc = out
	}
	return doc
}

// leaves counts the primitives of a document by their path without indexes, those of narratives left out.
func leaves(doc []byte) map[string]int {
	out := map[string]int{}
	var walk func(path string, v gjson.Result)
	walk = func(path string, v gjson.Result) {
		if strings.HasSuffix(path, "/text") && v.Get("div").Exists() {
			return
		}
		if !v.IsObject() && !v.IsArray() {
			out[path+"="+v.Raw]++
			return
		}
		v.ForEach(func(name, value gjson.Result) bool {
			at := path
			if v.IsObject() {
				at += "/" + name.String()
			}
			walk(at, value)
			return true
		})
	}
	walk("", gjson.ParseBytes(doc))
	return out
}

// The laws of Merge on edits of real resources.
func TestMergeLaws(t *testing.T) {
	docs := samples(t)
	merges, clean := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SampledFrom(docs).Draw(t, "ancestor")
		l, r := edit(t, a, "left"), edit(t, a, "right")
		for _, same := range [][3][]byte{{a, a, a}, {a, l, l}, {a, l, a}, {a, a, l}, {l, l, l}} {
			want := same[1]
			if bytes.Equal(want, same[0]) {
				want = same[2]
			}
			if out, clashes := reconcile.Merge(same[0], same[1], same[2]); !bytes.Equal(out, want) || clashes != nil {
				t.Fatalf("a copy and its ancestor or itself:\n%s\n%s\n%s\n%v", same[0], out, want, clashes)
			}
		}
		out, clashes := reconcile.Merge(a, l, r)
		turned, mirrored := reconcile.Merge(a, r, l)
		if !bytes.Equal(out, turned) || len(clashes) != len(mirrored) {
			t.Fatalf("the order of the copies matters:\n%s\n%s\n%s\n%s\n%s", a, l, r, out, turned)
		}
		for i, d := range clashes {
			m := mirrored[i]
			if !bytes.Equal(d.Left, m.Right) || !bytes.Equal(d.Right, m.Left) || !bytes.Equal(d.Ancestor, m.Ancestor) || d.Critical != m.Critical {
				t.Fatalf("%+v, %+v", d, m)
			}
		}
		merges++
		if chosen, left := reconcile.MergeChoosing(a, l, r, func(reconcile.Difference) reconcile.Side { return reconcile.Neither }); !bytes.Equal(leafList(chosen), leafList(out)) || len(left) != len(clashes) {
			t.Fatalf("looking at every difference makes another merge:\n%s\n%s", chosen, out)
		}
		if (out == nil) != (len(clashes) > 0) {
			t.Fatalf("%s %v", out, clashes)
		}
		if out == nil {
			return
		}
		clean++
		lawsOfLeaves(t, a, l, r, out)
	})
	if clean < merges/4 {
		t.Errorf("only %d of %d merges were without a clash", clean, merges)
	}
}

func leafList(doc []byte) []byte {
	b, err := json.Marshal(leaves(doc))
	if err != nil {
		panic(err)
	}
	return b
}

// lawsOfLeaves: nothing is invented, and what one side alone changed is there as that side has it.
func lawsOfLeaves(t *rapid.T, a, l, r, out []byte) {
	was, left, right, now := leaves(a), leaves(l), leaves(r), leaves(out)
	all := map[string]bool{}
	for _, m := range []map[string]int{was, left, right, now} {
		for k := range m {
			all[k] = true
		}
	}
	for k := range all {
		switch {
		case now[k] > 0 && left[k] == 0 && right[k] == 0:
			t.Fatalf("%s is invented\n%s\n%s\n%s\n%s", k, a, l, r, out)
		case changedAlone(was[k], left[k], right[k]) && now[k] != left[k], changedAlone(was[k], right[k], left[k]) && now[k] != right[k]:
			t.Fatalf("%s: %d in the ancestor, %d left, %d right, %d in the merge\n%s\n%s\n%s\n%s", k, was[k], left[k], right[k], now[k], a, l, r, out)
		}
	}
}

// changedAlone reports whether one side alone brought a primitive in or took it out altogether. Of one that stands several times the number
// says less: both sides may have written the same thing in two ways.
func changedAlone(was, here, there int) bool {
	return there == was && here != was && (was == 0 || here == 0)
}

// A merge of two valid resources is a valid one, says a validator that knows nothing of this package.
func TestMergesAreValid(t *testing.T) {
	docs := samples(t)
	var in bytes.Buffer
	merges := 0
	put := func(doc []byte, what string) {
		tree := map[string]any{}
		d := json.NewDecoder(bytes.NewReader(doc))
		d.UseNumber()
		if err := d.Decode(&tree); err != nil {
			t.Fatal(err)
		}
		tree["id"] = fmt.Sprintf("%s-%d", what, merges)
		b, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(b, '\n'))
	}
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SampledFrom(docs).Draw(t, "ancestor")
		for range 8 {
			l, r := edit(t, a, "left"), edit(t, a, "right")
			if out, _ := reconcile.Merge(a, l, r); out != nil && !bytes.Equal(out, l) && !bytes.Equal(out, r) {
				put(l, "left")
				put(r, "right")
				put(out, "merged")
				merges++
			}
		}
	})
	cmd := exec.CommandContext(t.Context(), "node", "validate.mjs")
	cmd.Dir = filepath.Join("..", "internal", "samples", "validate")
	cmd.Stdin = bytes.NewReader(in.Bytes())
	out, err := cmd.CombinedOutput()
	if !strings.Contains(string(out), fmt.Sprintf("%d resources checked", 3*merges)) {
		t.Fatalf("%v (is it installed? npm ci --prefix internal/samples/validate)\n%.4000s", err, out)
	}
	bad := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, problem, ok := strings.Cut(line, ": "); ok {
			bad[name[strings.IndexByte(name, '/')+1:]] = problem
		}
	}
	checked := 0
	for i := range merges {
		id := func(what string) string { return fmt.Sprintf("%s-%d", what, i) }
		if bad[id("left")] != "" || bad[id("right")] != "" {
			continue
		}
		checked++
		if problem := bad[id("merged")]; problem != "" {
			t.Errorf("two valid copies, and the merge is not: %s", problem)
			for line := range strings.Lines(in.String()) {
				if strings.Contains(line, `-`+fmt.Sprint(i)+`"`) {
					t.Logf("%.3000s", line)
				}
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d of %d merges had two valid sides", checked, merges)
	}
}
