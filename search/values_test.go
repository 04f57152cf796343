package search

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tributary-sync/tributary/fhir"
)

func TestValues(t *testing.T) {
	row := func(element string, k kind, value string, space int64) Value {
		rt, element, _ := strings.Cut(element, ".")
		return Value{Param: rowID(rt, element, byte(k)), Value: value, Space: space}
	}
	beside := func(v Value, k byte) Value {
		v.Param = variant(&path{id: v.Param}, k)
		return v
	}
	identifier := func(system, v string) Value { return row("Patient.identifier", kindIdentifier, v, space(system)) }
	system := func(s string) Value { return beside(identifier("", s), rowSystem) }
	subject := func(v, names string) Value { return row("Observation.subject", kindReference, v, space(names)) }
	for _, c := range []struct {
		name, resourceType, body string
		want                     []Value
	}{
		{"none", "Patient", `{}`, nil},
		{"array", "Patient", `{"identifier":[{"system":"b","value":"1"},{"value":"2"}]}`, []Value{identifier("b", "1"), identifier("", "2"), system("b")}},
		{"single", "Patient", `{"identifier":{"system":"a","value":"1"}}`, []Value{identifier("a", "1"), system("a")}},
		{"doubles", "Patient", `{"identifier":[{"value":"1"},{"value":"1","use":"old"}]}`, []Value{identifier("", "1")}},
		{"half", "Patient", `{"identifier":[{"system":"a"},{"value":"1"},{"use":"old"},{"value":""}]}`, []Value{identifier("", "1"), system("a")}},
		{"escapes", "Patient", `{"identifier":[{"\u0073ystem":"\u0061\"","value":"\u00e9\n"}]}`, []Value{identifier(`a"`, "é\n"), system(`a"`)}},
		{
			"wrong types", "Patient", `{"identifier":[1,null,[{"value":"x"}],{"system":5,"value":{"value":"x"}},{"value":"ok"}],"gender":5,"birthDate":{},"name":"x","active":"yes","telecom":[[]]}`,
			[]Value{identifier("", "ok"), row("Patient.active", kindCode, "yes", spaceImplied)},
		},
		{"nested are not its own", "Patient", `{"contained":[{"resourceType":"Patient","identifier":[{"value":"c"}]}],"identifier":[{"value":"p","assigner":{"identifier":{"value":"a"}}}]}`, []Value{identifier("", "p")}},
		{"not a resource type", "Nothing", `{"identifier":[{"value":"1"}]}`, nil},
		{"subject", "Observation", `{"subject":{"reference":"Patient/1"}}`, []Value{subject("1", "Patient")}},
		{"group", "Observation", `{"subject":{"reference":"Group/1"}}`, []Value{subject("1", "Group")}},
		{"url", "Observation", `{"subject":{"reference":"http://h/Patient/1"}}`, []Value{subject("http://h/Patient/1", "Patient")}},
		{"version", "Observation", `{"subject":{"reference":"Patient/1/_history/3"}}`, []Value{subject("1", "Patient")}},
		{"contained", "Observation", `{"subject":{"reference":"#p"}}`, nil},
		{"urn", "Observation", `{"subject":{"reference":"urn:uuid:1"}}`, []Value{subject("urn:uuid:1", "")}},
		{"urn of a type", "Observation", `{"subject":{"type":"Group","reference":"urn:uuid:1"}}`, []Value{subject("urn:uuid:1", "Group")}},
		{"conditional", "Observation", `{"subject":{"reference":"Patient?identifier=a|b"}}`, []Value{subject("Patient?identifier=a|b", "Patient")}},
		{"logical", "Observation", `{"subject":{"type":"Patient","identifier":{"value":"1"}}}`, []Value{beside(subject("1", ""), rowLogical)}},
		{
			"of the compartment only", "AllergyIntolerance", `{"recorder":{"reference":"Practitioner/1"},"asserter":{"reference":"Patient/2"}}`,
			[]Value{row("AllergyIntolerance.asserter", kindReference, "2", space("Patient"))},
		},
		{
			"below", "Appointment", `{"participant":[{"actor":{"reference":"Patient/1"}},{"actor":{"reference":"Location/1"}}]}`,
			[]Value{row("Appointment.participant.actor", kindReference, "1", space("Patient")), row("Appointment.participant.actor", kindReference, "1", space("Location"))},
		},
		{"a month has its end beside it", "Patient", `{"birthDate":"1980"}`, []Value{
			row("Patient.birthDate", kindDate, instantKey(315532800000), 347155200000),
			beside(row("Patient.birthDate", kindDate, instantKey(347155200000), 315532800000), rowEnd),
		}},
		{"bad dates", "Patient", `{"birthDate":"1980-13"}`, nil},
		{"not json", "Patient", `{"identifier":[{"value":"1"}`, []Value{identifier("", "1")}},
		{"not an object", "Patient", `[{"identifier":[{"value":"1"}]}]`, nil},
		{"empty", "Patient", ``, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			slices.SortFunc(c.want, Value.compare)
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

func FuzzValues(f *testing.F) {
	for _, s := range []struct{ resourceType, body string }{
		{"Patient", `{"resourceType":"Patient","identifier":[{"system":"a","value":"b"}],"name":[{"family":"é","given":["a b"]}],"birthDate":"1980","telecom":[{"system":"phone","value":"+1 2"}]}`},
		{"Appointment", `{"resourceType":"Appointment","participant":[{"actor":{"reference":"Patient/1"}}],"identifier":{}}`},
		{"AuditEvent", `{"resourceType":"AuditEvent","agent":[{"who":{"reference":"#a"}}],"entity":{"what":[{"type":"Group"}]}}`},
		{"DocumentReference", `{"resourceType":"DocumentReference","masterIdentifier":{"value":"\u00e9"},"subject":null}`},
		{"Observation", `{"resourceType":"Observation","valueQuantity":{"value":1e400,"code":"mg"},"effectiveTiming":{"repeat":{"boundsPeriod":{"start":"2024"}}},"code":{"coding":[{"code":"a"}]}}`},
	} {
		f.Add(s.resourceType, []byte(s.body))
	}
	f.Fuzz(func(t *testing.T, resourceType string, body []byte) {
		rows := Values(fhir.Key{Type: resourceType, ID: "x"}, body)
		for i, v := range rows {
			if i > 0 && rows[i-1].compare(v) >= 0 {
				t.Fatalf("not sorted and unique: %+v", rows)
			}
			if _, err := fhir.Parse(body, 0); err == nil && (len(v.Value) > maxKey || !utf8.ValidString(v.Value) || v.Value == "" || strings.HasSuffix(v.Value, " ")) {
				t.Fatalf("no row for an index: %+v", v)
			}
		}
	})
}
