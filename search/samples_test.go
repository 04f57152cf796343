package search

import (
	"bufio"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
)

// samples calls visit with every resource of the sample data: single files, lines of NDJSON, entries of bundles.
func samples(t testing.TB, visit func(file string, r fhir.Resource)) {
	t.Helper()
	dir := os.Getenv("SAMPLES_DIR")
	if dir == "" {
		dir = "../../shared/fhir-samples"
	}
	read := func(file string, body []byte) {
		r, err := fhir.Parse(body, 0)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		visit(file, r)
		if r.Key.Type != "Bundle" {
			return
		}
		var b struct {
			Entry []struct{ Resource json.RawMessage }
		}
		if err := json.Unmarshal(r.Body, &b); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, e := range b.Entry {
			if len(e.Resource) == 0 {
				continue
			}
			entry, err := fhir.Parse(e.Resource, 0)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			visit(file, entry)
		}
	}
	for _, pattern := range []string{"hl7-r4-examples/*.json", "synthea-2019-bundles/*.json", "synthea-2023-ndjson/*.ndjson"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no sample %s in %s (error %v). set SAMPLES_DIR to the folder of the sample data", pattern, dir, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(file, ".ndjson") {
				read(file, b)
				continue
			}
			lines := bufio.NewScanner(strings.NewReader(string(b)))
			lines.Buffer(nil, 16<<20)
			for lines.Scan() {
				read(file, lines.Bytes())
			}
			if lines.Err() != nil {
				t.Fatal(lines.Err())
			}
		}
	}
}

// at returns what stands at a path of members, lists flattened.
func at(v any, path ...string) []any {
	switch v := v.(type) {
	case []any:
		var out []any
		for _, one := range v {
			out = append(out, at(one, path...)...)
		}
		return out
	case map[string]any:
		if len(path) > 0 {
			if next, ok := v[path[0]]; ok {
				return at(next, path[1:]...)
			}
			return nil
		}
	}
	if len(path) > 0 {
		return nil
	}
	return []any{v}
}

func text(v any, name string) string {
	m, _ := v.(map[string]any)
	s, _ := m[name].(string)
	return s
}

func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`).Replace(strings.TrimRight(s, " "))
}

// searchesFor returns values of the parameter p that have to find a resource with the value v at one of its paths.
func searchesFor(p *parameter, one path, v any) (out []string) {
	token := func(system, value string) {
		if strings.TrimSpace(value) == "" {
			return
		}
		out = append(out, escape(value), escape(system)+"|"+escape(value))
		if system != "" {
			out = append(out, escape(system)+"|")
		}
	}
	plain, isText := v.(string)
	switch one.kind {
	case kindIdentifier:
		token(text(v, "system"), text(v, "value"))
	case kindCode:
		for _, c := range append(at(v, "coding"), v) {
			token(text(c, "system"), text(c, "code"))
		}
		if isText {
			out = append(out, escape(plain), "urn:any|"+escape(plain))
		}
	case kindContact:
		if system := text(v, "system"); text(v, "value") != "" && (one.filter == "" || one.filter == system) {
			out = append(out, escape(text(v, "value")))
		}
	case kindString, kindURI:
		if isText && (one.kind == kindURI || Fold(plain) != "") {
			out = append(out, escape(plain))
		}
	case kindAddress:
		for _, part := range []string{"city", "state", "country", "postalCode"} {
			if Fold(text(v, part)) != "" {
				out = append(out, escape(text(v, part)))
			}
		}
	case kindReference:
		ref := text(v, "reference")
		target, id, relative := strings.Cut(ref, "/")
		if relative && fhir.IsType(target) && fhir.ValidID(id) && (one.filter == "" || one.filter == target) {
			out = append(out, id, ref, "https://h.example/fhir/"+ref, ref+"/_history/4")
		}
	case kindDate:
		for _, d := range []any{plain, text(v, "start"), text(v, "end")} {
			if d, _ := d.(string); d != "" {
				// What begins or ends then overlaps it.
				out = append(out, "ap"+d)
			}
		}
	case kindQuantity:
		if n, ok := v.(map[string]any)["value"].(json.Number); ok {
			out = append(out, n.String(), "ge"+n.String(), n.String()+"||"+escape(text(v, "unit")))
		}
	}
	return out
}

// Every value that stands where a parameter reads is found in the samples.
func TestValuesOfSamples(t *testing.T) {
	resources, searches := 0, map[string]int{}
	samples(t, func(file string, r fhir.Resource) {
		resources++
		var root any
		d := json.NewDecoder(strings.NewReader(string(r.Body)))
		d.UseNumber()
		if err := d.Decode(&root); err != nil {
			t.Fatal(err)
		}
		rows := Values(r.Key, r.Body)
		for i := 1; i < len(rows); i++ {
			if rows[i-1].compare(rows[i]) >= 0 {
				t.Errorf("%s %s: rows are not sorted and unique", file, r.Key)
			}
		}
		table := tables()[r.Key.Type]
		for name, p := range table.parameters {
			for _, one := range p.paths {
				ends := []string{""}
				if _, choice, ok := strings.Cut(strings.TrimSuffix(one.members, "}"), "{"); ok {
					ends = strings.Split(choice, ",")
				}
				for _, end := range ends {
					for _, v := range at(root, strings.Split(one.element+end, ".")...) {
						for _, value := range searchesFor(p, one, v) {
							searches[p.kind]++
							q, err := Parse(r.Key.Type, url.Values{name: {value}}, true)
							if err != nil {
								t.Errorf("%s %s: %s=%s: %v", file, r.Key, name, value, err)
								continue
							}
							if !slices.ContainsFunc(q.Terms[0].Conds, func(c Cond) bool { return slices.ContainsFunc(rows, c.holds) }) {
								t.Errorf("%s %s: not found by %s=%s", file, r.Key, name, value)
							}
						}
					}
				}
			}
		}
	})
	t.Logf("%d resources, searches %v", resources, searches)
	for kind, least := range map[string]int{"token": 50000, "reference": 40000, "string": 3000, "date": 8000, "quantity": 2000} {
		if searches[kind] < least {
			t.Errorf("only %d searches by a %s", searches[kind], kind)
		}
	}
}

// BenchmarkValues reads real resources of 2 to 4 kB: the cost for each written resource.
func BenchmarkValues(b *testing.B) {
	var some []fhir.Resource
	total := 0
	samples(b, func(_ string, r fhir.Resource) {
		if n := len(r.Body); n >= 2000 && n <= 4000 && len(tables()[r.Key.Type].names) > 3 && len(some) < 500 {
			some = append(some, r)
			total += n
		}
	})
	b.SetBytes(int64(total / len(some)))
	b.ReportAllocs()
	b.ResetTimer()
	i := 0
	for b.Loop() {
		Values(some[i].Key, some[i].Body)
		if i++; i == len(some) {
			i = 0
		}
	}
}
