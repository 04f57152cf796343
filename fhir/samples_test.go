package fhir_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// samplesDir returns the folder of real FHIR data that tests read in place.
func samplesDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SAMPLES_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "fhir-samples")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("the real FHIR data are missing, set SAMPLES_DIR: %v", err)
	}
	return dir
}

// jsonTree reads JSON with its number literals kept, by another reader than the code under test.
func jsonTree(t *testing.T, b []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

const (
	sampleVersion = "7-0a000000-0000-4000-8000-000000000001"
	sampleUpdated = "2026-01-02T03:04:05.678Z"
)

// parseSample proves that a resource comes back as it was sent, byte for byte but for white space and the two members of meta that
// are the node's own.
func parseSample(t *testing.T, body []byte) fhir.Resource {
	t.Helper()
	r, err := fhir.Parse(body, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(r.WithMeta(sampleVersion, sampleUpdated), sampleWithMeta(t, body)) {
		t.Errorf("%s is not the same any more", r.Key)
	}
	if r.Hash() != formatted(t, r) {
		t.Errorf("the general formatter makes another hash of %s", r.Key)
	}
	return r
}

// sampleWithMeta makes what WithMeta must give, by other readers of JSON than the code under test.
func sampleWithMeta(t *testing.T, body []byte) []byte {
	t.Helper()
	b := jsontext.Value(bytes.Clone(body))
	if err := b.Compact(); err != nil {
		t.Fatal(err)
	}
	own, kept := `"versionId":"`+sampleVersion+`","lastUpdated":"`+sampleUpdated+`"`, ""
	meta := gjson.GetBytes(b, "meta")
	meta.ForEach(func(name, value gjson.Result) bool {
		if n := name.String(); n != "versionId" && n != "lastUpdated" {
			kept += "," + name.Raw + ":" + value.Raw
		}
		return true
	})
	if kept != "" {
		return slices.Concat(b[:meta.Index], []byte("{"+own+kept+"}"), b[meta.Index+len(meta.Raw):])
	}
	if meta.Exists() { // nothing of it is the author's
		b = bytes.Replace(b, []byte(`,"meta":`+meta.Raw), nil, 1)
	}
	kind := gjson.GetBytes(b, "resourceType")
	end := kind.Index + len(kind.Raw)
	return slices.Concat(b[:end], []byte(`,"meta":{`+own+"}"), b[end:])
}

// checkSample is parseSample and, for one in oneIn of the samples, the laws of hash, bare form and links on real data. n counts the
// samples of a test.
func checkSample(t *testing.T, n int, body []byte) fhir.Resource {
	t.Helper()
	r := parseSample(t, body)
	if n%oneIn == 0 {
		checkLaws(t, r)
	}
	return r
}

func checkLaws(t *testing.T, r fhir.Resource) {
	t.Helper()
	with, hash := r.WithMeta(sampleVersion, sampleUpdated), r.Hash()
	again, err := fhir.Parse(with, 0)
	if err != nil || again.Key != r.Key || again.Hash() != hash || !bytes.Equal(again.Bare().Body, r.Bare().Body) {
		t.Errorf("%s: read again as %s, %v: another key, hash or bare form", r.Key, again.Key, err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, with, " ", "\t"); err != nil {
		t.Fatal(err)
	}
	if other, err := fhir.Parse(indented.Bytes(), 0); err != nil || other.Hash() != hash || !bytes.Equal(other.Body, with) {
		t.Errorf("%s: white space changed it, %v", r.Key, err)
	}
	checkLinks(t, r)
}

// checkLinks compares References with a walk over the tree, and rewrites each link to another one and back.
func checkLinks(t *testing.T, r fhir.Resource) {
	t.Helper()
	want := map[string]int{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, e := range v {
				if s, ok := e.(string); ok && name == "reference" {
					want[s]++
				}
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(jsonTree(t, r.Body))
	refs := fhir.References(r.Body)
	for _, ref := range refs {
		if want[ref.Text] > 0 {
			want[ref.Text]--
		}
	}
	for text, n := range want {
		if n > 0 {
			t.Errorf("%s: %d references to %q were not found", r.Key, n, text)
		}
	}
	marked := fhir.RewriteReferences(r.Body, func(s string) (string, bool) { return "mark:" + s, true })
	back := fhir.RewriteReferences(marked, func(s string) (string, bool) { return strings.CutPrefix(s, "mark:") })
	same := bytes.Equal(back, r.Body) || reflect.DeepEqual(jsonTree(t, back), jsonTree(t, r.Body))
	if !same || len(fhir.References(marked)) != len(refs) {
		t.Errorf("%s: rewriting links and back changed something else", r.Key)
	}
}

func files(t *testing.T, dir, ext string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ext && !strings.HasPrefix(d.Name(), ".") && d.Name() != "package.json" {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// requireCount guards against a folder that is there but empty.
func requireCount(t *testing.T, n, least int) {
	t.Helper()
	if n < least {
		t.Errorf("only %d resources were checked, at least %d are in the folder", n, least)
	}
}

func TestSamplesBundles(t *testing.T) {
	n := 0
	for _, path := range files(t, filepath.Join(samplesDir(t), "synthea-2019-bundles"), ".json") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			body := read(t, path)
			checkSample(t, 1, body) // its entries follow
			var bundle struct {
				Entry []struct {
					Resource json.RawMessage `json:"resource"`
				} `json:"entry"`
			}
			if err := json.Unmarshal(body, &bundle); err != nil {
				t.Fatal(err)
			}
			for _, e := range bundle.Entry {
				if r := checkSample(t, n, e.Resource); r.Key.ID == "" {
					t.Errorf("a %s of Synthea has an id, none was found", r.Key.Type)
				}
				n++
			}
		})
	}
	requireCount(t, n, 1739)
}

func TestSamplesLines(t *testing.T) {
	n := 0
	for _, path := range files(t, filepath.Join(samplesDir(t), "synthea-2023-ndjson"), ".ndjson") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			lines := bufio.NewScanner(bytes.NewReader(read(t, path)))
			lines.Buffer(nil, fhir.MaxBytes)
			for lines.Scan() {
				r := checkSample(t, n, lines.Bytes())
				if want, _, _ := strings.Cut(filepath.Base(path), "."); r.Key.Type != want {
					t.Errorf("got %s, want a %s", r.Key, want)
				}
				n++
			}
			if err := lines.Err(); err != nil {
				t.Fatal(err)
			}
		})
	}
	requireCount(t, n, 5945)
}

func TestSamplesExamples(t *testing.T) {
	checkFolder(t, filepath.Join(samplesDir(t), "hl7-r4-examples"), 720, checkSample)
}

// TestOfficialExamples reads the whole package hl7.fhir.r4.examples where the environment says that it was unpacked. It is 190 MB
// large; the 720 examples that TestSamplesExamples always reads, and looks at more closely, are a part of it.
func TestOfficialExamples(t *testing.T) {
	dir := os.Getenv("TRIBUTARY_TEST_EXAMPLES")
	if dir == "" {
		t.Log("TRIBUTARY_TEST_EXAMPLES names no folder: make test sets it")
		return
	}
	checkFolder(t, dir, 5306, func(t *testing.T, _ int, body []byte) fhir.Resource { return parseSample(t, body) })
}

// checkFolder checks each file; but for one, their names are Type-id.json.
func checkFolder(t *testing.T, dir string, least int, check func(t *testing.T, n int, body []byte) fhir.Resource) {
	t.Helper()
	paths := files(t, dir, ".json")
	for n, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		t.Run(name, func(t *testing.T) {
			body := read(t, path)
			kind, id, _ := strings.Cut(name, "-")
			if len(id) > 64 {
				// HL7 published one example whose id breaks the rule of 64 characters. It is refused, and good with a shorter id.
				if _, err := fhir.Parse(body, 0); syncerr.KindOf(err) != syncerr.Invalid || err == nil {
					t.Errorf("an id of %d characters: got %v, want an invalid error", len(id), err)
				}
				body, id = bytes.Replace(body, []byte(`"`+id+`"`), []byte(`"`+id[:64]+`"`), 1), id[:64]
			}
			if name == "ig-r4" {
				kind, id = "ImplementationGuide", "fhir"
			}
			if r := check(t, n, body); r.Key != (fhir.Key{Type: kind, ID: id}) {
				t.Errorf("got %s", r.Key)
			}
		})
	}
	requireCount(t, len(paths), least)
}
