package search

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tributary-sync/tributary/fhir"
)

func TestValues(t *testing.T) {
	ident := func(system, v string) Value { return Value{Identifier, system, v} }
	patient := func(v string) Value { return Value{Patient, "", v} }
	for _, c := range []struct {
		name, resourceType, body string
		want                     []Value
	}{
		{"none", "Patient", `{}`, nil},
		{"array", "Patient", `{"identifier":[{"system":"b","value":"1"},{"system":"a","value":"2"}]}`, []Value{ident("a", "2"), ident("b", "1")}},
		{"single", "Bundle", `{"identifier":{"system":"a","value":"1"}}`, []Value{ident("a", "1")}},
		{"doubles", "Patient", `{"identifier":[{"value":"1"},{"value":"1","use":"old"}]}`, []Value{ident("", "1")}},
		{"half", "Patient", `{"identifier":[{"system":"a"},{"value":"1"},{"use":"old"},{"value":""}]}`, []Value{ident("", "1"), ident("a", "")}},
		{"escapes", "Patient", `{"identifier":[{"\u0073ystem":"\u0061\"","value":"\u00e9\n"}]}`, []Value{ident(`a"`, "é\n")}},
		{"wrong types", "Patient", `{"identifier":[1,null,[{"value":"x"}],{"system":5,"value":{"value":"x"}},{"value":"ok"}]}`, []Value{ident("", "ok")}},
		{"nested are not its own", "Patient", `{"contained":[{"resourceType":"Patient","identifier":[{"value":"c"}]}],"identifier":[{"value":"p","assigner":{"identifier":{"value":"a"}}}]}`, []Value{ident("", "p")}},
		{"master", "DocumentReference", `{"masterIdentifier":{"value":"m"},"identifier":[{"value":"i"}]}`, []Value{ident("", "i"), ident("", "m")}},
		{"not in R4", "AuditEvent", `{"identifier":[{"value":"1"}]}`, nil},
		{"not a resource type", "Nothing", `{"identifier":[{"value":"1"}]}`, nil},
		{"subject", "Observation", `{"subject":{"reference":"Patient/1"},"performer":[{"reference":"Patient/2"}]}`, []Value{patient("Patient/1")}},
		{"of another type", "Observation", `{"subject":{"reference":"Group/1"}}`, nil},
		{"url of another type", "Observation", `{"subject":{"reference":"http://h/Group/1"}}`, nil},
		{"url", "Observation", `{"subject":{"reference":"http://h/Patient/1"}}`, []Value{patient("http://h/Patient/1")}},
		{"version", "Observation", `{"subject":{"reference":"Patient/1/_history/3"}}`, []Value{patient("Patient/1")}},
		{"contained", "Observation", `{"subject":{"reference":"#p"}}`, nil},
		{"urn", "Observation", `{"subject":{"reference":"urn:uuid:1"}}`, []Value{patient("urn:uuid:1")}},
		{"urn of another type", "Observation", `{"subject":{"type":"Group","reference":"urn:uuid:1"}}`, nil},
		{"conditional", "Observation", `{"subject":{"reference":"Patient?identifier=a|b"}}`, []Value{patient("Patient?identifier=a|b")}},
		{"conditional of another type", "Observation", `{"subject":{"reference":"Group?identifier=a|b"}}`, nil},
		{"logical", "Observation", `{"subject":{"type":"Patient","identifier":{"value":"1"}}}`, nil},
		{"patient", "Immunization", `{"patient":{"reference":"Patient/1"},"identifier":[{"value":"v"}]}`, []Value{ident("", "v"), patient("Patient/1")}},
		{"below", "Appointment", `{"participant":[{"actor":{"reference":"Patient/1"}},{"actor":{"reference":"Location/1"}},{"actor":{"reference":"Patient/2"}}]}`, []Value{patient("Patient/1"), patient("Patient/2")}},
		{"two paths", "AuditEvent", `{"entity":[{"what":{"reference":"Patient/2"}}],"agent":[{"who":{"reference":"Patient/1"}}]}`, []Value{patient("Patient/1"), patient("Patient/2")}},
		{"list", "Provenance", `{"target":[{"reference":"Patient/1"},{"reference":"Observation/1"}]}`, []Value{patient("Patient/1")}},
		{"link", "Person", `{"link":[{"target":{"reference":"Patient/1"}}]}`, []Value{patient("Patient/1")}},
		{"task", "Task", `{"for":{"reference":"Patient/1"}}`, []Value{patient("Patient/1")}},
		{"not json", "Patient", `{"identifier":[{"value":"1"},`, []Value{ident("", "1")}},
		{"not an object", "Patient", `[{"identifier":[{"value":"1"}]}]`, nil},
		{"empty", "Patient", ``, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Values(fhir.Key{Type: c.resourceType, ID: "x"}, []byte(c.body)); !reflect.DeepEqual(got, c.want) && len(got)+len(c.want) > 0 {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestKey(t *testing.T) {
	long := strings.Repeat("a", 201)
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"short", "abc", "abc"},
		{"padded", " a  ", " a"},
		{"longest", long[:200], long[:200]},
		// head -c 201 /dev/zero | tr '\0' a | sha256sum
		{"long", long, long[:160] + "#a92efd82109373e58f9a2056dee01e80"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Key(c.in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	for shift := range 5 {
		v := strings.Repeat("x", shift) + strings.Repeat("é😀", 60)
		k := Key(v)
		if !utf8.ValidString(k) || len(k) > 193 || Key(k) != k || k == Key(v+"é") {
			t.Errorf("shift %d: %q", shift, k)
		}
	}
}

// naive reads the index rows the slow way: the whole resource as maps, every path spelled out by walking the tree.
func naive(t testing.TB, resourceType string, body []byte) []Value {
	t.Helper()
	var root map[string]any
	if err := json.Unmarshal(body, &root); err != nil {
		t.Fatalf("read the resource: %v", err)
	}
	text := func(v any, name string) string {
		m, _ := v.(map[string]any)
		s, _ := m[name].(string)
		return s
	}
	var out []Value
	names := map[string]bool{"identifier": hasIdentifier(resourceType), "masterIdentifier": hasMasterIdentifier(resourceType)}
	for name, on := range names {
		for _, v := range at(root, name) {
			if s, id := Key(text(v, "system")), Key(text(v, "value")); on && s+id != "" {
				out = append(out, Value{Identifier, s, id})
			}
		}
	}
	for _, path := range strings.Fields(patientPaths(resourceType)) {
		for _, v := range at(root, strings.Split(path, ".")...) {
			if row, ok := patientRow(text(v, "reference"), text(v, "type")); ok {
				out = append(out, Value{Patient, "", Key(row)})
			}
		}
	}
	slices.SortFunc(out, Value.compare)
	return slices.Compact(out)
}

// at returns the objects at a path, arrays flattened once a level.
func at(v any, path ...string) []any {
	if list, ok := v.([]any); ok {
		var out []any
		for _, e := range list {
			if m, ok := e.(map[string]any); ok {
				out = append(out, at(m, path...)...)
			}
		}
		return out
	}
	m, ok := v.(map[string]any)
	switch {
	case !ok:
		return nil
	case len(path) == 0:
		return []any{m}
	default:
		return at(m[path[0]], path[1:]...)
	}
}

func FuzzValues(f *testing.F) {
	for _, s := range []struct{ resourceType, body string }{
		{"Patient", `{"resourceType":"Patient","identifier":[{"system":"a","value":"b"}]}`},
		{"Appointment", `{"resourceType":"Appointment","participant":[{"actor":{"reference":"Patient/1"}}],"identifier":{}}`},
		{"AuditEvent", `{"resourceType":"AuditEvent","agent":[{"who":{"reference":"#a"}}],"entity":{"what":[{"type":"Group"}]}}`},
		{"DocumentReference", `{"resourceType":"DocumentReference","masterIdentifier":{"value":"\u00e9"},"subject":null}`},
	} {
		f.Add(s.resourceType, []byte(s.body))
	}
	f.Fuzz(func(t *testing.T, resourceType string, body []byte) {
		rows := Values(fhir.Key{Type: resourceType, ID: "x"}, body)
		if !slices.IsSortedFunc(rows, Value.compare) || len(slices.Compact(slices.Clone(rows))) != len(rows) {
			t.Fatalf("not sorted and unique: %+v", rows)
		}
		for _, v := range rows {
			if len(v.System) > maxKey || len(v.Value) > maxKey || !utf8.ValidString(v.System+v.Value) || v.System+v.Value == "" {
				t.Fatalf("no row for an index: %+v", v)
			}
		}
		r, err := fhir.Parse(body, 0)
		if err != nil {
			return
		}
		got, want := Values(r.Key, r.Body), naive(t, r.Key.Type, r.Body)
		if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}
