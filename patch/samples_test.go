package patch_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/patch"
)

// place is an element of a resource by its path: a primitive, or a list.
type place struct {
	path string
	raw  string
	list int // how many values it has, 0 for a primitive
}

// places finds every primitive and list of a resource, at most three deep in each list.
func places(path string, v gjson.Result, out []place) []place {
	v.ForEach(func(name, value gjson.Result) bool {
		n := name.String()
		if n == "resourceType" || strings.HasPrefix(n, "_") {
			return true
		}
		at := path + "." + n
		items := []gjson.Result{value}
		if value.IsArray() {
			items = value.Array()
			out = append(out, place{path: at, list: len(items)})
		}
		for i, item := range items[:min(3, len(items))] {
			here := at
			if value.IsArray() {
				here += fmt.Sprintf("[%d]", i)
			}
			switch {
			case item.IsObject():
				out = places(here, item, out)
			case item.Type != gjson.Null:
				out = append(out, place{path: here, raw: item.Raw})
			}
		}
		return true
	})
	return out
}

// Every element of every official example is found by its path. A primitive that is replaced by another and then by itself, and a
// list of which one is moved there and back, leave the resource as it was, byte for byte, but for the extensions of the primitive.
func TestFHIRPathPatchOnSamples(t *testing.T) {
	dir := os.Getenv("SAMPLES_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "fhir-samples")
	}
	files, err := filepath.Glob(filepath.Join(dir, "hl7-r4-examples", "*.json"))
	if err != nil || len(files) < 100 {
		t.Fatalf("the real FHIR data are missing, set SAMPLES_DIR: %d files, %v", len(files), err)
	}
	seen := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		res, err := fhir.Parse(b, 0)
		if err != nil || len(res.Body) > 20_000 {
			continue
		}
		// Extensions of primitives would be lost with their value: they are another test's matter.
		plain := strings.Contains(string(res.Body), `"_`)
		for i, p := range places(res.Key.Type, gjson.ParseBytes(res.Body), nil) {
			if i > 6 && (i+len(file))%13 != 0 {
				continue
			}
			var ops []string
			switch {
			case p.list > 0:
				last := p.list - 1
				ops = []string{op("move", p.path, "source", num(0), "destination", num(last)), op("move", p.path, "source", num(last), "destination", num(0))}
			case plain:
				continue
			default:
				kind := map[byte]string{'"': `"valueString":`, 't': `"valueBoolean":`, 'f': `"valueBoolean":`}[p.raw[0]]
				other := map[byte]string{'"': `"x"`, 't': "false", 'f': "true"}[p.raw[0]]
				if kind == "" {
					kind, other = `"valueDecimal":`, "7"
				}
				for _, t := range []string{"DateTime", "Date", "Uri", "Code", "Canonical", "PositiveInt", "Integer", "Id", "Instant", "Time", "Base64Binary"} {
					if strings.HasSuffix(p.path, t) { // a choice keeps its type
						kind = `"value` + t + `":`
						break
					}
				}
				ops = []string{op("replace", p.path, "value", kind+other), op("replace", p.path, "value", kind+p.raw)}
			}
			out, err := patch.FHIRPath(res.Body, []byte(params(ops...)), 0)
			if err != nil || string(out) != string(res.Body) {
				t.Errorf("%s, %s: %v", filepath.Base(file), p.path, err)
			}
			seen++
		}
	}
	if seen < 3000 {
		t.Errorf("only %d elements were looked at", seen)
	}
}

// model applies a JSON Patch to a tree as plainly as can be: what the bytes become must be the same.
func model(doc any, op map[string]any) (any, bool) {
	path := strings.Split(op["path"].(string), "/")[1:]
	switch op["op"] {
	case "add":
		return modelAdd(doc, path, op["value"])
	case "remove":
		out, _, ok := modelTake(doc, path)
		return out, ok
	case "replace":
		if len(path) == 0 {
			return op["value"], true
		}
		out, _, ok := modelTake(doc, path)
		if !ok {
			return doc, false
		}
		return modelAdd(out, path, op["value"])
	case "copy", "move":
		from := strings.Split(op["from"].(string), "/")[1:]
		out, v, ok := modelTake(doc, from)
		if op["op"] == "copy" && len(from) == 0 {
			v, ok = doc, true
		}
		if !ok {
			return doc, false
		}
		if op["op"] == "copy" {
			out = doc
		}
		return modelAdd(out, path, v)
	default:
		_, v, ok := modelTake(doc, path)
		if len(path) == 0 {
			v, ok = doc, true
		}
		return doc, ok && same(v, op["value"])
	}
}

func same(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func copied(v any) any {
	b, _ := json.Marshal(v)
	var out any
	_ = json.Unmarshal(b, &out)
	return out
}

func index(token string, n int) (int, bool) {
	for i := range n {
		if token == fmt.Sprint(i) {
			return i, true
		}
	}
	return 0, false
}

func modelAdd(doc any, path []string, v any) (any, bool) {
	doc, v = copied(doc), copied(v)
	if len(path) == 0 {
		return v, true
	}
	switch d := doc.(type) {
	case map[string]any:
		if len(path) == 1 {
			d[path[0]] = v
			return d, true
		}
		below, ok := d[path[0]]
		if !ok {
			return doc, false
		}
		d[path[0]], ok = modelAdd(below, path[1:], v)
		return d, ok
	case []any:
		if len(path) == 1 {
			i, ok := index(path[0], len(d)+1)
			if path[0] == "-" {
				i, ok = len(d), true
			}
			if !ok {
				return doc, false
			}
			return append(d[:i:i], append([]any{v}, d[i:]...)...), true
		}
		i, ok := index(path[0], len(d))
		if !ok {
			return doc, false
		}
		d[i], ok = modelAdd(d[i], path[1:], v)
		return d, ok
	}
	return doc, false
}

func modelTake(doc any, path []string) (left, taken any, ok bool) {
	doc = copied(doc)
	if len(path) == 0 {
		return doc, nil, false
	}
	switch d := doc.(type) {
	case map[string]any:
		below, ok := d[path[0]]
		if !ok {
			return doc, nil, false
		}
		if len(path) == 1 {
			delete(d, path[0])
			return d, below, true
		}
		d[path[0]], taken, ok = modelTake(below, path[1:])
		return d, taken, ok
	case []any:
		i, ok := index(path[0], len(d))
		if !ok {
			return doc, nil, false
		}
		if len(path) == 1 {
			return append(d[:i:i], d[i+1:]...), d[i], true
		}
		d[i], taken, ok = modelTake(d[i], path[1:])
		return d, taken, ok
	}
	return doc, nil, false
}

func TestJSONPatchIsTheModel(t *testing.T) {
	token := rapid.SampledFrom([]string{"a", "b", "0", "1", "2", "-", "é"})
	pointer := rapid.Custom(func(t *rapid.T) string {
		out := ""
		for _, tok := range rapid.SliceOfN(token, 0, 3).Draw(t, "tokens") {
			out += "/" + tok
		}
		return out
	})
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		scalar := rapid.SampledFrom([]any{nil, true, "x", "é\"\\/", 1.5, 10.0, ""})
		if depth == 0 {
			return scalar
		}
		return rapid.OneOf(scalar, rapid.Custom(func(t *rapid.T) any {
			return rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "array")
		}), rapid.Custom(func(t *rapid.T) any {
			return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "é", "0"}), value(depth-1), 0, 3).Draw(t, "object")
		}))
	}
	rapid.Check(t, func(t *rapid.T) {
		doc := copied(value(3).Draw(t, "doc"))
		ops := []any{}
		for range rapid.IntRange(1, 4).Draw(t, "operations") {
			ops = append(ops, map[string]any{
				"op":   rapid.SampledFrom([]string{"add", "add", "remove", "replace", "copy", "move", "test"}).Draw(t, "op"),
				"path": pointer.Draw(t, "path"), "from": pointer.Draw(t, "from"), "value": copied(value(2).Draw(t, "value")),
			})
		}
		body, _ := json.Marshal(doc)
		sent, _ := json.Marshal(ops)
		want, ok := doc, true
		for _, o := range ops {
			op := o.(map[string]any)
			if op["op"] == "move" && strings.HasPrefix(op["path"].(string), op["from"].(string)+"/") {
				ok = false // RFC 6902 section 4.4
			}
			if op["op"] == "move" && op["from"] == op["path"] { // no effect
				_, _, found := modelTake(want, strings.Split(op["path"].(string), "/")[1:])
				ok = ok && (found || op["path"] == "")
				continue
			}
			var fits bool
			want, fits = model(want, op)
			ok = ok && fits
		}
		got, err := patch.JSON(body, sent, 0)
		if (err == nil) != ok {
			t.Fatalf("%s\n%s: error %v, but it fits: %v", body, sent, err, ok)
		}
		if !ok {
			return
		}
		var tree any
		if err := json.Unmarshal(got, &tree); err != nil || !same(tree, want) || !jsontext.Value(got).IsValid() {
			t.Fatalf("%s\n%s:\ngot  %s\nwant %v", body, sent, got, want)
		}
	})
}
