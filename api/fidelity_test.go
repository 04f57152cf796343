package api_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/fhir"
)

// samplesDir is where real FHIR data lies; its absence fails the test.
func samplesDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SAMPLES_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "fhir-samples")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("SAMPLES_DIR: %v", err)
	}
	return dir
}

// eachSample gives every resource of the samples, the entries of their executable Bundles one by one.
func eachSample(t *testing.T, each func(from string, body []byte)) {
	t.Helper()
	patterns := []string{filepath.Join(samplesDir(t), "*", "*.json"), filepath.Join(samplesDir(t), "*", "*.ndjson")}
	if dir := os.Getenv("TRIBUTARY_TEST_EXAMPLES"); dir != "" {
		patterns = append(patterns, filepath.Join(dir, "*.json"))
	}
	for _, p := range patterns {
		files, err := filepath.Glob(p)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", p, len(files), err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			eachIn(t, f, b, each)
		}
	}
}

func eachIn(t *testing.T, file string, b []byte, each func(string, []byte)) {
	t.Helper()
	name := filepath.Base(file)
	if strings.HasSuffix(name, ".ndjson") {
		lines := bufio.NewScanner(bytes.NewReader(b))
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			each(name, bytes.Clone(lines.Bytes()))
		}
		return
	}
	if !strings.Contains(file, "synthea") {
		if gjson.GetBytes(b, "resourceType").Exists() { // the index of a package has none
			each(name, b)
		}
		return
	}
	var bundle struct {
		Entry []struct{ Resource json.RawMessage }
	}
	must(t, json.Unmarshal(b, &bundle))
	for _, e := range bundle.Entry {
		each(name, e.Resource)
	}
}

// without returns the JSON compact, without meta.versionId and meta.lastUpdated and an empty meta: all that may change. It
// copies token by token and knows nothing of package fhir.
func without(t *testing.T, b []byte) string {
	t.Helper()
	var out bytes.Buffer
	in := jsontext.NewDecoder(bytes.NewReader(b))
	write := jsontext.NewEncoder(&out, jsontext.PreserveRawStrings(true), jsontext.AllowDuplicateNames(false))
	for {
		if p := in.StackPointer(); in.PeekKind() == '"' && in.StackDepth() == 1 {
			kind, n := in.StackIndex(1)
			if kind == '{' && n%2 == 0 {
				name, err := in.ReadValue()
				if err != nil {
					t.Fatal(err, p)
				}
				if string(name) == `"meta"` {
					meta, err := in.ReadValue()
					if err != nil {
						t.Fatal(err)
					}
					if m := metaWithout(t, meta); m != "{}" {
						must(t, write.WriteValue(jsontext.Value(`"meta"`)))
						must(t, write.WriteValue(jsontext.Value(m)))
					}
					continue
				}
				must(t, write.WriteValue(name))
				continue
			}
		}
		if in.StackDepth() == 1 {
			if k := in.PeekKind(); k != '}' {
				v, err := in.ReadValue()
				must(t, err)
				must(t, write.WriteValue(v))
				continue
			}
		}
		tok, err := in.ReadToken()
		if errors.Is(err, io.EOF) {
			return strings.TrimSpace(out.String())
		}
		must(t, err)
		must(t, write.WriteToken(tok))
	}
}

func metaWithout(t *testing.T, meta jsontext.Value) string {
	t.Helper()
	in := jsontext.NewDecoder(bytes.NewReader(meta))
	if _, err := in.ReadToken(); err != nil {
		t.Fatal(err)
	}
	var kept []string
	for in.PeekKind() == '"' {
		name, err := in.ReadValue()
		must(t, err)
		text := string(name)
		v, err := in.ReadValue()
		must(t, err)
		if text == `"versionId"` || text == `"lastUpdated"` {
			continue
		}
		must(t, v.Compact())
		kept = append(kept, text+":"+string(v))
	}
	return "{" + strings.Join(kept, ",") + "}"
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What a client sent comes back, byte for byte but for white space and the two members that a server sets: each of the samples, or
// one in oneIn of them under the race detector, where package fhir reads every one by itself.
func TestFidelity(t *testing.T) {
	w := newWorld(t)
	all, n, large, named := 0, 0, 0, 0
	eachSample(t, func(from string, body []byte) {
		if all++; all%oneIn != 0 {
			return
		}
		kind, id := gjson.GetBytes(body, "resourceType").String(), gjson.GetBytes(body, "id").String()
		url := "/fhir/R4/" + kind + "/" + id
		want := without(t, body)
		put := w.do("PUT", url, string(body), header("Prefer", "return=minimal"))
		switch {
		case put.status == 413 && len(want) > fhir.MaxBytes:
			large++ // HL7 published one Bundle that is
			return
		case put.status == 400 && len(id) > 64:
			named++ // and one id that breaks the rule
			return
		case put.status != 200 && put.status != 201:
			t.Fatalf("%s %s: got %d: %.300s", from, url, put.status, put.body)
		}
		if got := without(t, w.do("GET", url, "").want(200).body); got != want {
			t.Fatalf("%s %s: came back changed\n got %.2000s\nwant %.2000s", from, url, got, want)
		}
		n++
	})
	if all < 8000 || n+large+named != all/oneIn || large > 1 || named > 1 {
		t.Errorf("%d resources of %d, %d refused as too large, %d for their id", n, all, large, named)
	}
	t.Logf("%d resources of %d", n, all)
}

// The Bundles of a generator are executed as they come, and no link of theirs is left that points nowhere.
func TestLoadSyntheaBundles(t *testing.T) {
	w := newWorld(t)
	files, err := filepath.Glob(filepath.Join(samplesDir(t), "synthea-2019-bundles", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	entries := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		must(t, err)
		out := w.do("POST", "/fhir/R4", string(b)).bundle("transaction-response")
		entries += len(out.Entry)
		for i, e := range out.Entry {
			if e.Response.Status != "201 Created" {
				t.Errorf("%s: entry %d: %s", f, i, e.Response.Status)
			}
		}
	}
	rows := w.logged()
	if len(rows) != entries || entries < 1000 {
		t.Errorf("%d entries made %d changes", entries, len(rows))
	}
	for _, row := range rows {
		for _, ref := range fhir.References(row.Content) {
			if strings.HasPrefix(ref.Text, "urn:uuid:") {
				t.Fatalf("%s still has the link %s", row.Key, ref.Text)
			}
			if k, ok := fhir.LocalKey(ref.Text); ok {
				if _, there, err := w.st.Get(t.Context(), k); err != nil || !there {
					t.Fatalf("%s links to %s, which is not there (%v)", row.Key, k, err)
				}
			}
		}
	}
}

// Unusual but valid input that a typed model loses.
func TestFidelityOfOddities(t *testing.T) {
	w := newWorld(t)
	for name, body := range map[string]string{
		"decimals":           `{"resourceType":"Observation","id":"x","valueQuantity":{"value":1.00,"low":1e-10,"high":12345678901234567890.123}}`,
		"escapes":            `{"resourceType":"Basic","id":"x","a":"\u00e9 \/ \" < > & ` + "\u2028" + ` \ud83d\ude00"}`,
		"primitive siblings": `{"resourceType":"Patient","id":"x","_birthDate":{"extension":[{"url":"u","valueDateTime":"1970-01-01T00:00:00Z"}]},"given":["A",null],"_given":[null,{"id":"g"}]}`,
		"order":              `{"id":"x","zzz":{"b":1,"a":2},"resourceType":"Basic","contained":[{"resourceType":"Patient","id":"c"}]}`,
		"meta last":          `{"resourceType":"Basic","id":"x","meta":{"tag":[{"code":"t"}],"versionId":"5","profile":["p"]}}`,
		"empty and null":     `{"resourceType":"Basic","id":"x","a":null,"b":[],"c":{},"":"d"}`,
	} {
		t.Run(name, func(t *testing.T) {
			var k struct{ ResourceType string }
			must(t, json.Unmarshal([]byte(body), &k))
			w.do("PUT", "/fhir/R4/"+k.ResourceType+"/x", body)
			got := w.do("GET", "/fhir/R4/"+k.ResourceType+"/x", "").want(200)
			if without(t, got.body) != without(t, []byte(body)) {
				t.Errorf("got %s, sent %s", got.body, body)
			}
			found := w.do("GET", "/fhir/R4/"+k.ResourceType+"?_id=x", "").want(200)
			if !bytes.Contains(found.body, got.body) {
				t.Errorf("a search shows it differently: %s", found.body)
			}
			if history := w.do("GET", "/fhir/R4/"+k.ResourceType+"/x/_history", "").want(200); !bytes.Contains(history.body, got.body) {
				t.Errorf("a history shows it differently: %s", history.body)
			}
		})
	}
}
