package load

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
)

// shelf answers like a node's FHIR endpoint and keeps what it was sent.
type shelf struct {
	mu      sync.Mutex
	bodies  map[string]json.RawMessage
	bundles []string // "type n" of each bundle, in order
	refuse  func(key string) int
	search  string // answer to every search
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodGet {
		fmt.Fprint(w, s.search)
		return
	}
	var b struct {
		Type  string
		Entry []struct {
			Resource json.RawMessage
			Request  struct{ Method, URL string }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.bundles = append(s.bundles, fmt.Sprintf("%s %d", b.Type, len(b.Entry)))
	var out []string
	for _, e := range b.Entry {
		if s.refuse != nil {
			if status := s.refuse(e.Request.URL); status != 0 {
				outcome := fhir.OutcomeInfo("this one is not wanted")
				if b.Type == "transaction" || status >= 500 {
					w.WriteHeader(status)
					_, _ = w.Write(outcome)
					return
				}
				out = append(out, fmt.Sprintf(`{"response":{"status":"%d","outcome":%s}}`, status, outcome))
				continue
			}
		}
		if e.Request.Method == "DELETE" {
			delete(s.bodies, e.Request.URL)
		} else {
			s.bodies[e.Request.URL] = e.Resource
		}
		out = append(out, `{"response":{"status":"201 Created"}}`)
	}
	fmt.Fprintf(w, `{"resourceType":"Bundle","type":"%s-response","entry":[%s]}`, b.Type, strings.Join(out, ","))
}

// fill writes files given by name and loads the folder.
func fill(t *testing.T, s *shelf, files map[string]string, change func(*Options)) (Report, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return run(t, s, []string{dir}, change)
}

func run(t *testing.T, s *shelf, paths []string, change func(*Options)) (Report, error) {
	t.Helper()
	s.bodies = map[string]json.RawMessage{}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	o := Options{Base: srv.URL, Client: srv.Client()}
	if change != nil {
		change(&o)
	}
	return Run(t.Context(), paths, o)
}

const (
	uuidA = "11111111-1111-4111-8111-111111111111"
	uuidB = "22222222-2222-4222-8222-222222222222"
)

func bundle(kind string, entries ...string) string {
	return `{"resourceType":"Bundle","type":"` + kind + `","entry":[` + strings.Join(entries, ",") + `]}`
}

func post(fullURL, resource string) string {
	return `{"fullUrl":"` + fullURL + `","resource":` + resource + `,"request":{"method":"POST","url":"x"}}`
}

func TestResolve(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		as    bool
		// want is what is there afterwards: the body by key, "" where only the key counts.
		want     map[string]string
		refused  []string // parts of the reasons
		kept     []string // references that stay
		skipped  int
		searched string
	}{
		{
			name:  "a fullUrl becomes the id, and a reference forward and from another file finds it",
			files: map[string]string{"a.json": bundle("transaction", post("", `{"resourceType":"Observation","id":"o","subject":{"reference":"urn:uuid:`+uuidA+`"}}`)), "b.json": bundle("transaction", post("urn:uuid:"+uuidA, `{"resourceType":"Patient"}`))},
			want:  map[string]string{"Observation/o": `{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/` + uuidA + `"}}`, "Patient/" + uuidA: ""},
		},
		{
			name:  "the resource's own id goes before the fullUrl",
			files: map[string]string{"a.json": bundle("collection", post("urn:uuid:"+uuidA, `{"resourceType":"Patient","id":"p"}`), post("urn:uuid:"+uuidB, `{"resourceType":"Encounter","subject":{"reference":"urn:uuid:`+strings.ToUpper(uuidA)+`"}}`))},
			want:  map[string]string{"Patient/p": "", "Encounter/" + uuidB: `{"resourceType":"Encounter","id":"` + uuidB + `","subject":{"reference":"Patient/p"}}`},
		},
		{
			name: "an identifier in NDJSON, plain and percent-encoded",
			files: map[string]string{
				"1.ndjson":     `{"resourceType":"Encounter","id":"e","serviceProvider":{"reference":"Organization?identifier=http://x.example/s|a+b"}}` + "\n\n" + `{"resourceType":"Encounter","id":"f","serviceProvider":{"reference":"Organization?identifier=http%3A%2F%2Fx.example%2Fs%7Ca%2Bb"}}`,
				"sub/2.ndjson": `{"resourceType":"Organization","id":"org","identifier":[{"system":"http://x.example/s","value":"a+b"}]}` + "\n",
			},
			want: map[string]string{
				"Organization/org": "", "Encounter/e": `{"resourceType":"Encounter","id":"e","serviceProvider":{"reference":"Organization/org"}}`,
				"Encounter/f": `{"resourceType":"Encounter","id":"f","serviceProvider":{"reference":"Organization/org"}}`,
			},
		},
		{
			name:  "two that share an identifier are not guessed",
			files: map[string]string{"a.ndjson": `{"resourceType":"Organization","id":"a","identifier":[{"system":"s","value":"v"}]}` + "\n" + `{"resourceType":"Organization","id":"b","identifier":[{"system":"s","value":"v"}]}` + "\n" + `{"resourceType":"Encounter","id":"e","serviceProvider":{"reference":"Organization?identifier=s|v"}}`},
			want:  map[string]string{"Organization/a": "", "Organization/b": "", "Encounter/e": `{"resourceType":"Encounter","id":"e","serviceProvider":{"reference":"Organization?identifier=s|v"}}`},
			kept:  []string{"Organization?identifier=s|v"},
		},
		{
			name:     "what the files do not have, the node may have",
			files:    map[string]string{"a.json": `{"resourceType":"Encounter","id":"e","serviceProvider":{"reference":"Organization?identifier=s|v"}}`},
			searched: `{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Organization","id":"there"}}]}`,
			want:     map[string]string{"Encounter/e": `{"resourceType":"Encounter","id":"e","serviceProvider":{"reference":"Organization/there"}}`},
		},
		{
			name:  "nothing answers: kept and counted",
			files: map[string]string{"a.json": `{"resourceType":"Encounter","id":"e","subject":{"reference":"urn:uuid:` + uuidA + `"},"serviceProvider":{"reference":"Organization?name=x"}}`},
			want:  map[string]string{"Encounter/e": `{"resourceType":"Encounter","id":"e","subject":{"reference":"urn:uuid:` + uuidA + `"},"serviceProvider":{"reference":"Organization?name=x"}}`},
			kept:  []string{"urn:uuid:" + uuidA, "Organization?name=x"},
		},
		{
			name:  "an id that is none gives way to the fullUrl",
			files: map[string]string{"a.json": bundle("batch", post("urn:uuid:"+uuidA, `{"resourceType":"Patient","id":"not an id","active":true}`))},
			want:  map[string]string{"Patient/" + uuidA: `{"resourceType":"Patient","id":"` + uuidA + `","active":true}`},
		},
		{
			name:  "the bytes of a resource are kept, its type may stand last, and the bundle's too",
			files: map[string]string{"a.json": `{"entry":[{"resource":{"valueDecimal":1.00,"_x":{"id":"é"},"id":"b","resourceType":"Basic"}}],"type":"collection","resourceType":"Bundle"}`},
			want:  map[string]string{"Basic/b": `{"valueDecimal":1.00,"_x":{"id":"é"},"id":"b","resourceType":"Basic"}`},
		},
		{
			name:  "a document is stored, and with --as-is every bundle",
			files: map[string]string{"a.json": `{"resourceType":"Bundle","id":"d","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"p"}}]}`},
			as:    true,
			want:  map[string]string{"Bundle/d": ""},
		},
		{
			name:  "a message is a document",
			files: map[string]string{"a.json": `{"resourceType":"Bundle","id":"d","type":"message","entry":[]}`},
			want:  map[string]string{"Bundle/d": ""},
		},
		{
			name:  "PUT, DELETE, and GET which is passed over",
			files: map[string]string{"a.json": bundle("batch", `{"resource":{"resourceType":"Patient"},"request":{"method":"PUT","url":"Patient/x"}}`, `{"request":{"method":"DELETE","url":"Patient/y"}}`, `{"request":{"method":"GET","url":"Patient/z"}}`)},
			want:  map[string]string{"Patient/x": `{"resourceType":"Patient","id":"x"}`}, skipped: 1,
		},
		{
			name: "one bad entry, line or file refuses only itself",
			files: map[string]string{
				"a.json":   bundle("batch", post("", `{"resourceType":"Nonsense","id":"n"}`), post("", `{"resourceType":"Patient","id":"p"}`), `{"resource":{"resourceType":"Patient","id":"q"},"request":{"method":"PATCH","url":"Patient/q"}}`, `{"fullUrl":"urn:uuid:`+uuidA+`"}`),
				"b.ndjson": "{\"resourceType\":\"Patient\",\"id\":\"r\",\"id\":\"r\"}\nrubbish\n{\"resourceType\":\"Patient\",\"id\":\"s\"}\n",
				"c.json":   bundle("collection", post("", `{"resourceType":"Patient","id":"t"}`))[:60],
				"d.json":   "", "e.json": "[]", "ignored.txt": "x", ".hidden.json": "x",
			},
			want:    map[string]string{"Patient/p": "", "Patient/s": ""},
			refused: []string{"not a resource type", "PATCH", "no resource", "duplicate", "invalid character", "ends in the middle", "empty", "JSON object"},
		},
		{
			name:  "a PUT whose url and id differ",
			files: map[string]string{"a.json": bundle("batch", `{"resource":{"resourceType":"Patient","id":"a"},"request":{"method":"PUT","url":"Patient/b"}}`)}, want: map[string]string{},
			refused: []string{"PUT Patient/b"},
		},
		{
			name:  "a transaction with a bad entry is refused as a whole",
			files: map[string]string{"a.json": bundle("transaction", post("", `{"resourceType":"Patient","id":"a"}`), post("", `{"resourceType":"Nonsense"}`))}, want: map[string]string{},
			refused: []string{"not a resource type", "belongs to the transaction of entry 2"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &shelf{search: tt.searched}
			if s.search == "" {
				s.search = `{"resourceType":"Bundle","type":"searchset"}`
			}
			r, err := fill(t, s, tt.files, func(o *Options) { o.AsIs = tt.as })
			if err != nil {
				t.Fatal(err)
			}
			for key, want := range tt.want {
				got, ok := s.bodies[key]
				if !ok || (want != "" && string(got) != want) {
					t.Errorf("%s: got %s, want %s", key, got, want)
				}
			}
			if len(s.bodies) != len(tt.want) {
				t.Errorf("got %d resources, want %d: %v", len(s.bodies), len(tt.want), s.bodies)
			}
			compare(t, "refusals", r.Refused, len(r.Refusals), tt.refused, func(i int) string { return r.Refusals[i].Reason })
			compare(t, "kept references", r.Unsolved, len(r.Kept), tt.kept, func(i int) string { return r.Kept[i].To })
			if r.Skipped != tt.skipped {
				t.Errorf("got %d skipped, want %d", r.Skipped, tt.skipped)
			}
		})
	}
}

// compare wants as many lines as parts, and each part in one of the lines.
func compare(t *testing.T, what string, count, listed int, parts []string, line func(int) string) {
	t.Helper()
	var all []string
	for i := range listed {
		all = append(all, line(i))
	}
	if count != len(parts) || listed != len(parts) {
		t.Errorf("%s: got %d (%d listed), want %d:\n%s", what, count, listed, len(parts), strings.Join(all, "\n"))
	}
	for _, p := range parts {
		if !strings.Contains(strings.Join(all, "\n"), p) {
			t.Errorf("%s: nothing says %q:\n%s", what, p, strings.Join(all, "\n"))
		}
	}
}

// A resource without any id gets one, to which references by identifier lead; a conditional create gets the same id each time.
func TestMadeIDs(t *testing.T) {
	once := `{"resource":{"resourceType":"Device"},"request":{"method":"POST","url":"Device","ifNoneExist":"identifier=s|v"}}`
	files := map[string]string{
		"a.json": bundle("batch", `{"resource":{"resourceType":"Organization","identifier":[{"system":"s","value":"v"}]}}`, once),
		"b.json": `{"resourceType":"Encounter","id":"e","serviceProvider":{"reference":"Organization?identifier=s|v"}}`,
	}
	keys := func() (organization, device, encounter string) {
		s := &shelf{}
		if _, err := fill(t, s, files, nil); err != nil {
			t.Fatal(err)
		}
		for k := range s.bodies {
			switch {
			case strings.HasPrefix(k, "Organization/"):
				organization = k
			case strings.HasPrefix(k, "Device/"):
				device = k
			}
		}
		return organization, device, string(s.bodies["Encounter/e"])
	}
	org, device, encounter := keys()
	if org == "" || !strings.Contains(encounter, `"`+org+`"`) {
		t.Errorf("the reference to %q was not found: %s", org, encounter)
	}
	org2, device2, _ := keys()
	if device == "" || device != device2 {
		t.Errorf("a conditional create made %q and then %q", device, device2)
	}
	if org == org2 {
		t.Errorf("a resource that nothing names got the same id twice: %s", org)
	}
}

func TestBundlesThatAreSent(t *testing.T) {
	patients := func(kind string, n int) string {
		entries := make([]string, n)
		for i := range entries {
			entries[i] = post("", fmt.Sprintf(`{"resourceType":"Patient","id":"p%d"}`, i))
		}
		return bundle(kind, entries...)
	}
	twice := post("", `{"resourceType":"Patient","id":"p"}`)
	tests := []struct {
		name, text string
		dry        bool
		refuse     func(string) int
		want       []string
		loaded     int
		refused    int
	}{
		{"a transaction travels as one", patients("transaction", 500), false, nil, []string{"transaction 500"}, 500, 0},
		{"a large one in pieces", patients("transaction", 501), false, nil, []string{"batch 200", "batch 200", "batch 101"}, 501, 0},
		{"a collection in pieces", patients("collection", 201), false, nil, []string{"batch 200", "batch 1"}, 201, 0},
		{"nothing on a dry run", patients("collection", 201), true, nil, nil, 201, 0},
		{"a key that stands twice", bundle("batch", twice, twice), false, nil, []string{"batch 1", "batch 1"}, 2, 0},
		{"a key that stands in a transaction twice", bundle("transaction", twice, twice), false, nil, []string{"batch 1", "batch 1"}, 2, 0},
		{"a transaction that the node refuses", patients("transaction", 3), false, func(k string) int { return map[string]int{"Patient/p1": 422}[k] }, []string{"transaction 3"}, 0, 3},
		{"an entry that the node refuses", patients("batch", 3), false, func(k string) int { return map[string]int{"Patient/p1": 413}[k] }, []string{"batch 3"}, 2, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &shelf{refuse: tt.refuse}
			r, err := fill(t, s, map[string]string{"a.json": tt.text}, func(o *Options) { o.DryRun = tt.dry })
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(s.bundles) // several are under way at once
			slices.Reverse(s.bundles)
			if got := strings.Join(s.bundles, ", "); got != strings.Join(tt.want, ", ") {
				t.Errorf("sent %s, want %s", got, strings.Join(tt.want, ", "))
			}
			if got := r.Total(); got.Loaded != tt.loaded || got.Refused != tt.refused || r.Refused != tt.refused {
				t.Errorf("got %+v, want %d loaded and %d refused", got, tt.loaded, tt.refused)
			}
			for _, f := range r.Refusals {
				if !strings.Contains(f.Reason, "this one is not wanted") {
					t.Errorf("the node's own words are missing: %s", f.Reason)
				}
			}
		})
	}
}
