package patch_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/patch"
	"github.com/tributary-sync/tributary/syncerr"
)

// op writes an operation: parts as name, and value[x] or parts as JSON without the braces.
func op(kind, path string, more ...string) string {
	out := fmt.Sprintf(`{"name":"operation","part":[{"name":"type","valueCode":%q},{"name":"path","valueString":%s}`, kind, quoted(path))
	for i := 0; i+1 < len(more); i += 2 {
		out += fmt.Sprintf(`,{"name":%q,%s}`, more[i], more[i+1])
	}
	return out + "]}"
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func params(ops ...string) string {
	return `{"resourceType":"Parameters","parameter":[` + strings.Join(ops, ",") + `]}`
}

func str(s string) string { return `"valueString":` + quoted(s) }
func num(n int) string    { return fmt.Sprintf(`"valueInteger":%d`, n) }

func with(members string) string {
	if members == "" {
		return `{"resourceType":"Patient"}`
	}
	return `{"resourceType":"Patient",` + members + `}`
}

// ids writes identifiers of one system.
func ids(values ...int) string {
	var out []string
	for _, v := range values {
		out = append(out, fmt.Sprintf(`{"system":"http://example.org","value":"value %d"}`, v))
	}
	return `"identifier":[` + strings.Join(out, ",") + `]`
}

// The official cases of R4 (github.com/FHIR/fhir-test-cases, r4/patch/fhir-path-tests.xml) as JSON; without its last one, whose
// outcome does not follow from its input. An empty outcome means that the patch must fail.
func TestFHIRPathPatch(t *testing.T) {
	third := `"valueIdentifier":{"system":"http://example.org","value":"value 3"}`
	move := func(from, to int) string {
		return op("move", "Patient.identifier", "source", num(from), "destination", num(to))
	}
	full := `"id":"example","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Peter James <b>Chalmers%[1]s</b></div>"},` +
		`"active":true,"name":[{"use":"official","family":"Chalmers%[1]s","given":["Peter","James"]},{"use":"usual","given":["Jim"]}],` +
		`"birthDate":"1974-12-25","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime",` +
		`"valueDateTime":"1974-12-25T14:35:45-05:00"}]},"deceasedBoolean":false`
	for _, tt := range []struct{ name, in, patch, want string }{
		{"no difference", with(`"birthDate":"1920-01-01"`), `{"resourceType":"Parameters"}`, with(`"birthDate":"1920-01-01"`)},
		{"replace primitive", with(`"birthDate":"1920-01-01"`), params(op("replace", "Patient.birthDate", "value", `"valueDate":"1930-01-01"`)), with(`"birthDate":"1930-01-01"`)},
		{"delete primitive", with(`"birthDate":"1920-01-01"`), params(op("delete", "Patient.birthDate")), with("")},
		{"add primitive", with(""), params(op("add", "Patient", "name", str("birthDate"), "value", `"valueDate":"1930-01-01"`)), with(`"birthDate":"1930-01-01"`)},
		{
			"replace nested primitive #1", with(`"contact":[{"name":{"text":"a name"},"gender":"male"}]`),
			params(op("replace", "Patient.contact[0].gender", "value", `"valueCode":"female"`)), with(`"contact":[{"name":{"text":"a name"},"gender":"female"}]`),
		},
		{
			"replace nested primitive #2", with(`"contact":[{"name":{"text":"a name"},"gender":"male"}]`),
			params(op("replace", "Patient.contact[0].name.text", "value", str("the name"))), with(`"contact":[{"name":{"text":"the name"},"gender":"male"}]`),
		},
		{
			"delete nested primitive #1", with(`"contact":[{"name":{"text":"a name"},"gender":"male"}]`),
			params(op("delete", "Patient.contact[0].gender")), with(`"contact":[{"name":{"text":"a name"}}]`),
		},
		{
			"delete nested primitive #2", with(`"contact":[{"name":{"text":"a name"},"gender":"male"}]`),
			params(op("delete", "Patient.contact[0].name.text")), with(`"contact":[{"gender":"male"}]`),
		},
		{
			"add nested primitive", with(`"contact":[{"name":{"text":"a name"}}]`),
			params(op("add", "Patient.contact[0]", "name", str("gender"), "value", `"valueCode":"male"`)), with(`"contact":[{"name":{"text":"a name"},"gender":"male"}]`),
		},
		{
			"add complex", with(""), params(op("add", "Patient", "name", str("maritalStatus"), "value", `"valueCodeableConcept":{"text":"married"}`)),
			with(`"maritalStatus":{"text":"married"}`),
		},
		{
			"replace complex", with(`"maritalStatus":{"id":"1","text":"married"}`),
			params(op("replace", "Patient.maritalStatus", "value", `"valueCodeableConcept":{"id":"2","text":"not married"}`)), with(`"maritalStatus":{"id":"2","text":"not married"}`),
		},
		{"delete complex", with(`"maritalStatus":{"text":"married"}`), params(op("delete", "Patient.maritalStatus")), with("")},
		{
			"add anonymous type", with(""),
			params(op("add", "Patient", "name", str("contact"), "value", `"part":[{"name":"name","valueHumanName":{"text":"a name"}}]`)),
			with(`"contact":[{"name":{"text":"a name"}}]`),
		},
		{"delete anonymous type", with(`"contact":[{"name":{"text":"a name"}}]`), params(op("delete", "Patient.contact[0]")), with("")},
		{"list unchanged", with(ids(1, 2)), `{"resourceType":"Parameters"}`, with(ids(1, 2))},
		{
			"list unchanged, contents changed", with(ids(1, 2)),
			params(op("replace", "Patient.identifier[0].value", "value", str("value 2")), op("replace", "Patient.identifier[1].value", "value", str("value 1"))), with(ids(2, 1)),
		},
		{"add to list", with(ids(1, 2)), params(op("insert", "Patient.identifier", "index", num(2), "value", third)), with(ids(1, 2, 3))},
		{"insert in list #1", with(ids(1, 2)), params(op("insert", "Patient.identifier", "index", num(1), "value", third)), with(ids(1, 3, 2))},
		{"insert in list #2", with(ids(1, 2)), params(op("insert", "Patient.identifier", "index", num(0), "value", third)), with(ids(3, 1, 2))},
		{"delete from list #1", with(ids(1, 2, 3)), params(op("delete", "Patient.identifier[0]")), with(ids(2, 3))},
		{"delete from list #2", with(ids(1, 2, 3)), params(op("delete", "Patient.identifier[1]")), with(ids(1, 3))},
		{"delete from list #3", with(ids(1, 2, 3)), params(op("delete", "Patient.identifier[2]")), with(ids(1, 2))},
		{"reorder list #1", with(ids(1, 2, 3, 4)), params(move(3, 1)), with(ids(1, 4, 2, 3))},
		{"reorder list #2", with(ids(1, 2, 3, 4)), params(move(3, 0)), with(ids(4, 1, 2, 3))},
		{"reorder list #3", with(ids(1, 2, 3, 4)), params(move(3, 2)), with(ids(1, 2, 4, 3))},
		{"reorder list #4", with(ids(1, 2, 3, 4)), params(move(0, 3)), with(ids(2, 3, 4, 1))},
		{"reorder list #5", with(ids(1, 2, 3, 4)), params(move(1, 0), move(2, 1)), with(ids(2, 3, 1, 4))},
		{"reorder list #6", with(ids(1, 2, 3, 4)), params(move(3, 0), move(3, 1), move(3, 2)), with(ids(4, 3, 2, 1))},
		{
			"operation on missing element", with(`"identifier":[{"use":"official","value":"123"}]`),
			params(op("add", "Patient.identifier.where(use = 'official').period", "name", str("end"), "value", `"valueDate":"2021-12-01"`)), "",
		},
		{"operation on missing element #2", with(""), params(op("add", "Patient", "name", str("identifier"), "value", third)), with(ids(3))},
		{"full resource", with(fmt.Sprintf(full, "")), params(
			op("replace", "Patient.text.div", "value", str(`<div xmlns="http://www.w3.org/1999/xhtml">Peter James <b>Chalmers1</b></div>`)),
			op("replace", "Patient.name[0].family", "value", str("Chalmers1"))), with(fmt.Sprintf(full, "1"))},
	} {
		t.Run(tt.name, func(t *testing.T) { checkFHIRPath(t, tt.in, tt.patch, tt.want) })
	}
}

func checkFHIRPath(t *testing.T, in, parameters, want string) {
	t.Helper()
	got, err := patch.FHIRPath([]byte(in), []byte(parameters), 0)
	if want == "" {
		if k := syncerr.KindOf(err); err == nil || k != syncerr.Unprocessable || !strings.Contains(err.Error(), "operation[") {
			t.Fatalf("got %s and error %v", got, err)
		}
		return
	}
	var a, b any
	if json.Unmarshal(got, &a) != nil || json.Unmarshal([]byte(want), &b) != nil || fmt.Sprint(a) != fmt.Sprint(b) || len(got) != len(want) && !strings.Contains(want, `\"`) {
		t.Errorf("got %s and error %v, want %s", got, err, want)
	}
}

// What the official cases leave open: types, choices, ids and extensions of primitives, conditions in paths.
func TestFHIRPathPatchFurther(t *testing.T) {
	given := func(values, shadows string) string {
		out := `"name":[{"given":` + values
		if shadows != "" {
			out += `,"_given":` + shadows
		}
		return with(out + `}]`)
	}
	names := with(`"name":[{"use":"usual","given":["Jim"]},{"use":"official","family":"A","period":{"start":"2001-02"}}]`)
	quantity := func(v string) string { return `{"resourceType":"Observation",` + v + `}` }
	ext := `{"url":"u","valueString":"x"}`
	family := func(path string) string { return params(op("replace", path, "value", str("B"))) }
	officialB := strings.Replace(names, `"A"`, `"B"`, 1)
	for _, tt := range []struct{ name, in, patch, want string }{
		{"numbers keep their form", quantity(`"valueQuantity":{"value":1.00,"unit":"kg"}`), params(op("replace", "Observation.value.unit", "value", str("g"))), quantity(`"valueQuantity":{"value":1.00,"unit":"g"}`)},
		{"a choice changes its type", quantity(`"valueQuantity":{"value":1}`), params(op("replace", "Observation.value", "value", str("x"))), quantity(`"valueString":"x"`)},
		{"a choice by its name in JSON", quantity(`"valueQuantity":{"value":1}`), params(op("delete", "Observation.valueQuantity")), `{"resourceType":"Observation"}`},
		{"add a choice", `{"resourceType":"Observation"}`, params(op("add", "Observation", "name", str("value"), "value", `"valueQuantity":{"value":2.50}`)), quantity(`"valueQuantity":{"value":2.50}`)},
		{"add a second value of a choice", quantity(`"valueString":"x"`), params(op("add", "Observation", "name", str("value"), "value", `"valueInteger":2`)), ""},
		{"add what does not repeat twice", with(`"gender":"male"`), params(op("add", "Patient", "name", str("gender"), "value", `"valueCode":"female"`)), ""},
		{"a type that a choice has not", quantity(`"valueString":"x"`), params(op("replace", "Observation.value", "value", `"valueHumanName":{"text":"x"}`)), ""},
		{"a wrong type", with(""), params(op("add", "Patient", "name", str("active"), "value", str("true"))), ""},
		{"a complex value for a primitive", with(""), params(op("add", "Patient", "name", str("gender"), "value", `"valueCoding":{"code":"male"}`)), ""},
		{"parts for a primitive", with(""), params(op("add", "Patient", "name", str("gender"), "value", `"part":[{"name":"code","valueCode":"x"}]`)), ""},
		{"an age for a quantity", `{"resourceType":"Observation"}`, params(op("add", "Observation", "name", str("value"), "value", `"valueAge":{"value":2}`)), quantity(`"valueQuantity":{"value":2}`)},
		{"no such element", with(""), params(op("add", "Patient", "name", str("colour"), "value", str("x"))), ""},
		{"no such element in the path", with(""), params(op("delete", "Patient.colour")), ""},
		{"another type's path", with(`"active":true`), params(op("delete", "Observation.status")), ""},
		{"without the type's name", with(`"active":true`), params(op("delete", "active")), with("")},
		{"delete nothing", with(`"active":true`), params(op("delete", "Patient.gender")), with(`"active":true`)},
		{"delete two", names, params(op("delete", "Patient.name")), ""},
		{"delete everything", names, params(op("delete", "Patient")), ""},
		{"replace nothing", with(""), family("Patient.name.family"), ""},

		{"where", names, family("Patient.name.where(use = 'official').family"), officialB},
		{"where with and", names, family("Patient.name.where(use != 'usual' and period.start >= @2001).family"), officialB},
		{"where with exists", names, family("Patient.name.where(family.exists() or given.count() > 5).family"), officialB},
		{"where not", names, family("Patient.name.where((use = 'usual').not()).family"), officialB},
		{"where empty", names, family("Patient.name.where(given.empty()).family"), officialB},
		{"where by a function of strings", names, family("Patient.name.where(use.startsWith('off')).single().family"), officialB},
		{"all", names, family("Patient.name.where(given.all($this = 'Bob') and family.exists()).family"), officialB},
		{"last", names, family("Patient.name.last().family"), officialB},
		{"tail and first", names, family("Patient.name.tail().first().family"), officialB},
		{"skip and take", names, family("Patient.name.skip(1).take(1).family"), officialB},
		{"back quotes", names, family("Patient.`name`[1].`family`"), officialB},
		{"equivalent", names, family("Patient.name.where(use ~ 'OFFICIAL').family"), officialB},
		{"the resource by name", names, family("%resource.name[1].family"), officialB},
		{"a condition of two values", names, family("Patient.name.where(%resource.name).family"), ""},
		{"a function that is none of ours", names, family("Patient.name.where(use.matches('o.*')).family"), ""},
		{"resolve", with(`"managingOrganization":{"reference":"Organization/o"}`), params(op("delete", "Patient.managingOrganization.resolve().name")), ""},
		{"a computed value", names, family("Patient.name.count()"), ""},
		{"a malformed path", names, family("Patient.name["), ""},
		{"an unfinished path", names, family("Patient.name."), ""},
		{"an unfinished string", names, family("Patient.name.where(use = 'o"), ""},
		{"deep parentheses", names, family(strings.Repeat("(", 500) + "Patient.name[1].family" + strings.Repeat(")", 500)), ""},
		{"parentheses", names, family("((Patient.name)[1].family)"), officialB},
		{"ofType", quantity(`"valueQuantity":{"value":1,"unit":"kg"}`), params(op("delete", "Observation.value.ofType(Quantity).unit")), quantity(`"valueQuantity":{"value":1}`)},
		{"as", quantity(`"valueQuantity":{"value":1,"unit":"kg"}`), params(op("delete", "(Observation.value as Quantity).unit")), quantity(`"valueQuantity":{"value":1}`)},
		{"is", quantity(`"valueQuantity":{"value":1}`), params(op("delete", "Observation.where(value is Quantity).value")), `{"resourceType":"Observation"}`},
		{"as another type", quantity(`"valueQuantity":{"value":1}`), params(op("replace", "Observation.value.as(string)", "value", str("x"))), ""},

		{"insert into a list with extensions", given(`["A","B"]`, `[null,{"id":"b"}]`), params(op("insert", "Patient.name[0].given", "index", num(1), "value", str("N"))), given(`["A","N","B"]`, `[null,null,{"id":"b"}]`)},
		{"delete from a list with extensions", given(`["A","B"]`, `[null,{"id":"b"}]`), params(op("delete", "Patient.name[0].given[0]")), given(`["B"]`, `[{"id":"b"}]`)},
		{"the last extension goes", given(`["A","B"]`, `[null,{"id":"b"}]`), params(op("delete", "Patient.name[0].given[1]")), given(`["A"]`, "")},
		{"move in a list with extensions", given(`["A","B"]`, `[null,{"id":"b"}]`), params(op("move", "Patient.name[0].given", "source", num(1), "destination", num(0))), given(`["B","A"]`, `[{"id":"b"},null]`)},
		{"a new list of primitives", with(`"name":[{"use":"usual"}]`), params(op("insert", "Patient.name[0].given", "index", num(0), "value", str("A"))), with(`"name":[{"use":"usual","given":["A"]}]`)},
		{"replace takes the extensions away", with(`"birthDate":"1970","_birthDate":{"id":"x"}`), params(op("replace", "Patient.birthDate", "value", `"valueDate":"1971"`)), with(`"birthDate":"1971"`)},
		{"replace with extensions", with(`"birthDate":"1970"`), params(op("replace", "Patient.birthDate", "value", `"valueDate":"1971","_valueDate":{"id":"x"}`)), with(`"birthDate":"1971","_birthDate":{"id":"x"}`)},
		{"delete takes the extensions along", with(`"birthDate":"1970","_birthDate":{"id":"x"}`), params(op("delete", "Patient.birthDate")), with("")},
		{"add an extension to a primitive", with(`"birthDate":"1970"`), params(op("add", "Patient.birthDate", "name", str("extension"), "value", `"valueExtension":`+ext)), with(`"birthDate":"1970","_birthDate":{"extension":[` + ext + `]}`)},
		{"add an extension to one of a list", given(`["A","B"]`, ""), params(op("add", "Patient.name[0].given[1]", "name", str("extension"), "value", `"valueExtension":`+ext)), given(`["A","B"]`, `[null,{"extension":[`+ext+`]}]`)},
		{"a second extension", with(`"birthDate":"1970","_birthDate":{"extension":[` + ext + `]}`), params(op("add", "Patient.birthDate", "name", str("extension"), "value", `"valueExtension":`+ext)), with(`"birthDate":"1970","_birthDate":{"extension":[` + ext + `,` + ext + `]}`)},
		{"an extension by parts", with(""), params(op("add", "Patient", "name", str("extension"), "value", `"part":[{"name":"url","valueUri":"u"},{"name":"value","valueString":"x"}]`)), with(`"extension":[` + ext + `]`)},
		{"delete an extension of a primitive", with(`"birthDate":"1970","_birthDate":{"extension":[` + ext + `]}`), params(op("delete", "Patient.birthDate.extension('u')")), with(`"birthDate":"1970"`)},
		{"delete an extension of one of a list", given(`["A","B"]`, `[{"extension":[`+ext+`]},{"id":"b"}]`), params(op("delete", "Patient.name[0].given[0].extension.where(url='u')")), given(`["A","B"]`, `[null,{"id":"b"}]`)},
		{"replace in an extension", with(`"extension":[` + ext + `]`), params(op("replace", "Patient.extension('u').value", "value", `"valueCode":"c"`)), with(`"extension":[{"url":"u","valueCode":"c"}]`)},
		{"parts below parts", with(""), params(op("add", "Patient", "name", str("contact"), "value",
			`"part":[{"name":"relationship","valueCodeableConcept":{"text":"a"}},{"name":"name","part":[{"name":"given","valueString":"G"},{"name":"given","valueString":"H"}]},`+
				`{"name":"relationship","valueCodeableConcept":{"text":"b"}}]`)), with(`"contact":[{"relationship":[{"text":"a"},{"text":"b"}],"name":{"given":["G","H"]}}]`)},
		{"add a contained resource", with(""), params(op("add", "Patient", "name", str("contained"), "value", `"resource":{"resourceType":"Organization","id":"o"}`)), with(`"contained":[{"resourceType":"Organization","id":"o"}]`)},
		{"change a contained resource", with(`"contained":[{"resourceType":"Organization","id":"o"}]`), params(op("add", "Patient.contained.ofType(Organization)", "name", str("name"), "value", str("O"))), with(`"contained":[{"resourceType":"Organization","id":"o","name":"O"}]`)},
		{"insert behind the end", with(ids(1)), params(op("insert", "Patient.identifier", "index", num(2), "value", `"valueIdentifier":{}`)), ""},
		{"insert into what does not repeat", with(""), params(op("insert", "Patient.gender", "index", num(0), "value", `"valueCode":"male"`)), ""},
		{"insert into several lists", names, params(op("insert", "Patient.name.given", "index", num(0), "value", str("A"))), ""},
		{"insert by a condition", names, params(op("insert", "Patient.name.where(use='usual')", "index", num(0), "value", `"valueHumanName":{}`)), ""},
		{"move from behind the end", with(ids(1, 2)), params(op("move", "Patient.identifier", "source", num(2), "destination", num(0))), ""},
		{"a later operation fails", with(ids(1)), params(op("delete", "Patient.identifier"), op("replace", "Patient.identifier", "value", `"valueIdentifier":{}`)), ""},
		{"in a reference of content", `{"resourceType":"Questionnaire","item":[{"linkId":"1","item":[{"linkId":"1.1"}]}]}`, params(op("add", "Questionnaire.item[0].item[0]", "name", str("text"), "value", str("T"))), `{"resourceType":"Questionnaire","item":[{"linkId":"1","item":[{"linkId":"1.1","text":"T"}]}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) { checkFHIRPath(t, tt.in, tt.patch, tt.want) })
	}
}

func TestFHIRPathPatchMalformed(t *testing.T) {
	for _, tt := range []struct{ name, patch, word string }{
		{"no JSON", `<Parameters/>`, "JSON"},
		{"a JSON Patch", `[]`, "json-patch"},
		{"another resource", with(""), "Parameters"},
		{"no operation", `{"resourceType":"Parameters","parameter":[{"name":"other"}]}`, "operation"},
		{"no type", `{"resourceType":"Parameters","parameter":[{"name":"operation"}]}`, "type"},
		{"no object", `{"resourceType":"Parameters","parameter":[3]}`, "object"},
		{"no list", `{"resourceType":"Parameters","parameter":3}`, "list"},
		{"unknown type", params(op("upsert", "Patient")), "upsert"},
		{"no path", params(op("delete", "")), "path"},
		{"add without a name", params(op("add", "Patient", "value", str("x"))), "name"},
		{"add without a value", params(op("add", "Patient", "name", str("gender"))), "value"},
		{"insert without an index", params(op("insert", "Patient.identifier", "value", str("x"))), "index"},
		{"a negative index", params(op("insert", "Patient.identifier", "index", num(-1), "value", str("x"))), "index"},
		{"move without a source", params(op("move", "Patient.identifier", "destination", num(0))), "source"},
		{"an unknown part", params(op("delete", "Patient.active", "colour", str("x"))), "colour"},
		{"two values", params(op("replace", "Patient.active", "value", `"valueString":"x","valueInteger":1`)), "value"},
		{"a value of no type", params(op("replace", "Patient.active", "value", `"valueUnicorn":"x"`)), "valueUnicorn"},
		{"a value that is not of its type", params(op("replace", "Patient.active", "value", `"valueBoolean":"x"`)), "boolean"},
		{"a value and parts", params(op("replace", "Patient.active", "value", `"valueBoolean":true,"part":[{"name":"x"}]`)), "parts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := patch.FHIRPath([]byte(with("")), []byte(tt.patch), 0)
			if err == nil || syncerr.KindOf(err) != syncerr.Invalid || !strings.Contains(err.Error(), tt.word) {
				t.Errorf("got %v", err)
			}
		})
	}
}
