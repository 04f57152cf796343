package fhir_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// What HL7 publishes as examples is valid, but for one that lacks ids of its questions.
func TestCheckTakesTheExamplesOfHL7(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(samplesDir(t), "hl7-r4-examples", "*.json"))
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	checked := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := fhir.Parse(b, 0)
		if err != nil {
			continue
		}
		checked++
		err = fhir.Check(r)
		if name := filepath.Base(file); (name == "Questionnaire-qs1.json") != (err != nil && strings.Contains(err.Error(), "linkId is missing")) || name != "Questionnaire-qs1.json" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if checked < 100 {
		t.Errorf("only %d", checked)
	}
}

func TestCheck(t *testing.T) {
	const observation = `{"resourceType":"Observation","status":"final","code":{"text":"a"},`
	for _, c := range []struct{ name, body, want string }{
		{"good", `{"resourceType":"Patient","gender":"male","_gender":{"id":"x"},"name":[{"given":["A",null],"_given":[null,{"id":"y"}]}]}`, ""},
		{"a choice", observation + `"valueQuantity":{"value":1.50,"unit":"kg"}}`, ""},
		{"contained", `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"O"}],"managingOrganization":{"reference":"#o"}}`, ""},
		{"an extension", `{"resourceType":"Patient","extension":[{"url":"urn:a","valueAddress":{"city":"B"}}]}`, ""},
		{"unknown element", `{"resourceType":"Patient","famly":"A"}`, "Patient.famly: Patient has no such element"},
		{"unknown deep within", `{"resourceType":"Patient","contact":[{"name":{"famly":"A"}}]}`, "Patient.contact[0].name.famly: HumanName has no such element"},
		{"unknown in a contained resource", `{"resourceType":"Patient","contained":[{"resourceType":"Organization","gender":"male"}]}`, "Patient.contained[0].gender: Organization has no such"},
		{"contained without a type", `{"resourceType":"Patient","contained":[{"id":"a"}]}`, "Patient.contained[0]: resourceType is missing"},
		{"a choice without its type", observation + `"value":"a"}`, "Observation.value: Observation has no such element"},
		{"a type that the choice has not", observation + `"valueAddress":{"city":"a"}}`, "Observation.valueAddress: Observation has no such element"},
		{"two types of one choice", observation + `"valueString":"a","valueInteger":1}`, "Observation.valueInteger: valueString is there already"},
		{"a code of another set", `{"resourceType":"Patient","gender":"woman"}`, "Patient.gender: must be one of male, female, other, unknown"},
		{"one of its codes", `{"resourceType":"HealthcareService","availableTime":[{"daysOfWeek":["mon","Mon"]}]}`, "daysOfWeek[1]: must be one of"},
		{"missing", `{"resourceType":"Observation","code":{"text":"a"}}`, "Observation: status is missing"},
		{"missing deep within", `{"resourceType":"Patient","link":[{"type":"seealso"}]}`, "Patient.link[0]: other is missing"},
		{"a list of one said without a list", `{"resourceType":"Patient","name":{"family":"A"}}`, "Patient.name: may stand several times and must be a list, this is an object"},
		{"a list where one may stand", `{"resourceType":"Patient","gender":["male"]}`, "Patient.gender: may stand once and must be no list"},
		{"a list with nothing in it", `{"resourceType":"Patient","name":[]}`, "Patient.name: must not be empty"},
		{"an object with nothing in it", `{"resourceType":"Patient","name":[{}]}`, "Patient.name[0]: must not be empty"},
		{"nothing said", `{"resourceType":"Patient","gender":" "}`, "Patient.gender: must not be empty"},
		{"null", `{"resourceType":"Patient","gender":null}`, "Patient.gender: null is no value"},
		{"null in a list", `{"resourceType":"Patient","name":[{"given":["A",null]}]}`, "Patient.name[0].given[1]: null is no value"},
		{"lists of two lengths", `{"resourceType":"Patient","name":[{"given":["A"],"_given":[null,{"id":"y"}]}]}`, "Patient.name[0].given: must have as many values"},
		{"a string for a boolean", `{"resourceType":"Patient","active":"true"}`, "Patient.active: a boolean is written as a boolean, this is a string"},
		{"a number for a string", `{"resourceType":"Patient","birthDate":2000}`, "Patient.birthDate: a date is written as a string, this is a number"},
		{"a string for an object", `{"resourceType":"Patient","maritalStatus":"M"}`, "Patient.maritalStatus: must be an object, this is a string"},
		{"an object for a string", `{"resourceType":"Patient","gender":{"a":1}}`, "Patient.gender: a code is written as a string, this is an object"},
		{"beside what is no primitive", `{"resourceType":"Patient","_name":[{"id":"a"}]}`, "only a primitive"},
		{"beside it another thing", `{"resourceType":"Patient","_gender":{"code":"a"}}`, "Patient.gender.code: Element has no such element"},
		{"a day that no month has", `{"resourceType":"Patient","birthDate":"2000-01-32"}`, "Patient.birthDate: has not the form of a date"},
		{"a moment without a zone", `{"resourceType":"Observation","status":"final","code":{"text":"a"},"effectiveDateTime":"2000-01-01T10:00:00"}`, "effectiveDateTime: has not the form of a dateTime"},
		{"a number with a comma", `{"resourceType":"Patient","multipleBirthInteger":1.5}`, "multipleBirthInteger: has not the form of an integer"},
		{"a text that is no XHTML", `{"resourceType":"Patient","text":{"status":"generated","div":"hello"}}`, "Patient.text.div: has not the form"},
		{"an extension without a name", `{"resourceType":"Patient","extension":[{"valueString":"a"}]}`, "Patient.extension[0]: url is missing"},
		{"more than can be said", `{"resourceType":"Patient","a":1,"b":1,"c":1,"d":1,"e":1,"f":1}`, "; and more"},
	} {
		r, err := fhir.Parse([]byte(c.body), 0)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		err = fhir.Check(r)
		switch {
		case c.want == "" && err != nil, c.want != "" && err == nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (!strings.Contains(err.Error(), c.want) || syncerr.KindOf(err) != syncerr.Invalid):
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	r, err := fhir.ParseAs("program", []byte(`{"uuid":"u","famly":[]}`), 0)
	if err != nil || fhir.Check(r) != nil {
		t.Errorf("a document without FHIR form: %v %v", err, fhir.Check(r))
	}
}
