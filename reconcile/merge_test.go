package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/reconcile"
)

// patient returns a Patient with further members.
func patient(members string) string { return `{"resourceType":"Patient","id":"p",` + members + `}` }

type mergeCase struct {
	name                  string
	ancestor, left, right string
	want                  string   // the merged copy; "" where it clashes
	clashes               []string // paths; with ! in front where only a person may choose
}

const (
	phone   = `"telecom":[{"system":"phone","value":"1","use":"home"},{"system":"phone","value":"2","use":"mobile"}]`
	phone3  = `"telecom":[{"system":"phone","value":"1","use":"home"},{"system":"phone","value":"3","use":"mobile"}]`
	address = `"address":[{"use":"home","line":["Road 1"],"city":"A"}]`
	moved   = `"address":[{"use":"home","line":["Road 2"],"city":"B"}]`
)

// The cases that people meet.
func TestMerge(t *testing.T) {
	t.Run("MS12 change units", func(t *testing.T) { // name changed on one side and phone on the other
		run(t, []mergeCase{{
			"name and phone", patient(`"name":[{"family":"A"}],` + phone), patient(`"name":[{"family":"B"}],` + phone), patient(`"name":[{"family":"A"}],` + phone3),
			patient(`"name":[{"family":"B"}],` + phone3), nil,
		}, {
			"the same name", patient(`"name":[{"family":"A"}],` + phone), patient(`"name":[{"family":"B"}],` + phone), patient(`"name":[{"family":"C"}],` + phone), "",
			[]string{"Patient.name[0].family"},
		}})
	})
	run(t, []mergeCase{
		{
			"phone changed at the clinic, address at the district", patient(phone + "," + address), patient(phone3 + "," + address), patient(phone + "," + moved),
			patient(phone3 + "," + moved), nil,
		}, {
			"two identifiers added on two sides",
			patient(`"identifier":[{"system":"a","value":"1"}]`), patient(`"identifier":[{"system":"a","value":"1"},{"system":"b","value":"2"}]`),
			patient(`"identifier":[{"system":"a","value":"1"},{"system":"c","value":"3"}]`),
			patient(`"identifier":[{"system":"a","value":"1"},{"system":"b","value":"2"},{"system":"c","value":"3"}]`), nil,
		}, {
			"the same identifier added on both", patient(`"active":true`), patient(`"active":true,"identifier":[{"system":"a","value":"1"}]`),
			patient(`"active":true,"identifier":[{"system":"a","value":"1","use":"official"}]`),
			patient(`"active":true,"identifier":[{"system":"a","value":"1","use":"official"}]`), nil,
		}, {
			"an allergy's status changed both ways",
			`{"resourceType":"AllergyIntolerance","clinicalStatus":{"coding":[{"system":"s","code":"active"}]},"patient":{"reference":"Patient/p"}}`,
			`{"resourceType":"AllergyIntolerance","clinicalStatus":{"coding":[{"system":"s","code":"inactive"}]},"patient":{"reference":"Patient/p"}}`,
			`{"resourceType":"AllergyIntolerance","clinicalStatus":{"coding":[{"system":"s","code":"resolved"}]},"patient":{"reference":"Patient/p"}}`,
			"",
			[]string{"!AllergyIntolerance.clinicalStatus"},
		}, {
			"an allergy resolved on one side, found to be worse on the other",
			`{"resourceType":"AllergyIntolerance","clinicalStatus":{"coding":[{"system":"s","code":"active"}]},"criticality":"low"}`,
			`{"resourceType":"AllergyIntolerance","clinicalStatus":{"coding":[{"system":"s","code":"resolved"}]},"criticality":"low"}`,
			`{"resourceType":"AllergyIntolerance","clinicalStatus":{"coding":[{"system":"s","code":"active"}]},"criticality":"high"}`,
			"",
			[]string{"!AllergyIntolerance.clinicalStatus", "!AllergyIntolerance.criticality"},
		}, {
			"an Observation corrected while a note was added",
			`{"resourceType":"Observation","status":"final","valueQuantity":{"value":36.60,"unit":"Cel"}}`,
			`{"resourceType":"Observation","status":"corrected","valueQuantity":{"value":39.60,"unit":"Cel"}}`,
			`{"resourceType":"Observation","status":"final","valueQuantity":{"value":36.60,"unit":"Cel"},"note":[{"text":"after lunch"}]}`,
			`{"resourceType":"Observation","status":"corrected","valueQuantity":{"value":39.60,"unit":"Cel"},"note":[{"text":"after lunch"}]}`, nil,
		}, {
			"a medication stopped on one side, its dose changed on the other",
			`{"resourceType":"MedicationRequest","status":"active","dosageInstruction":[{"text":"1 daily"}]}`,
			`{"resourceType":"MedicationRequest","status":"stopped","dosageInstruction":[{"text":"1 daily"}]}`,
			`{"resourceType":"MedicationRequest","status":"active","dosageInstruction":[{"text":"2 daily"}]}`,
			"",
			[]string{"!MedicationRequest.status", "!MedicationRequest.dosageInstruction"},
		}, {
			"a dose changed on both sides",
			`{"resourceType":"MedicationRequest","status":"active","dosageInstruction":[{"sequence":1,"text":"1 daily"}]}`,
			`{"resourceType":"MedicationRequest","status":"active","dosageInstruction":[{"sequence":1,"text":"2 daily"}]}`,
			`{"resourceType":"MedicationRequest","status":"active","dosageInstruction":[{"sequence":1,"text":"1 daily"},{"sequence":2,"text":"at night"}]}`,
			"",
			[]string{"!MedicationRequest.dosageInstruction"},
		}, {
			"a patient marked deceased while a visit's edit touched the address",
			patient(`"deceasedBoolean":false,` + address), patient(`"deceasedDateTime":"2026-01-02",` + address), patient(`"deceasedBoolean":false,` + moved),
			patient(`"deceasedDateTime":"2026-01-02",` + moved), nil,
		}, {
			"deceased said two ways", patient(`"active":true`), patient(`"active":true,"deceasedBoolean":true`), patient(`"active":true,"deceasedDateTime":"2026-01-02"`),
			"",
			[]string{"!Patient.deceased"},
		}, {
			"an element deleted on one side and changed on the other", patient(phone), patient(phone[:strings.Index(phone, ",{")] + "]"), patient(phone3),
			"",
			[]string{"Patient.telecom[1]"},
		}, {
			"an element deleted on one side, another changed on the other", patient(phone + `,"gender":"male"`), patient(`"gender":"male"`), patient(phone + `,"gender":"female"`),
			patient(`"gender":"female"`), nil,
		}, {
			"both sides reorder a list",
			patient(`"identifier":[{"system":"a","value":"1"},{"system":"b","value":"2"},{"system":"c","value":"3"}]`),
			patient(`"identifier":[{"system":"b","value":"2"},{"system":"a","value":"1"},{"system":"c","value":"3"}]`),
			patient(`"identifier":[{"system":"c","value":"3"},{"system":"a","value":"1"},{"system":"b","value":"2"}]`),
			patient(`"identifier":[{"system":"b","value":"2"},{"system":"a","value":"1"},{"system":"c","value":"3"}]`), nil,
		}, {
			"one side reorders a list, the other changes and adds",
			patient(`"identifier":[{"system":"a","value":"1"},{"system":"b","value":"2"}]`),
			patient(`"identifier":[{"system":"b","value":"2"},{"system":"a","value":"1"}]`),
			patient(`"identifier":[{"system":"a","value":"1","use":"old"},{"system":"c","value":"3"},{"system":"b","value":"2"}]`),
			patient(`"identifier":[{"system":"b","value":"2"},{"system":"a","value":"1","use":"old"},{"system":"c","value":"3"}]`), nil,
		}, {
			"given names in two orders", patient(`"name":[{"given":["A","B","C"]}]`), patient(`"name":[{"given":["B","A","C"]}]`), patient(`"name":[{"given":["A","C","B"]}]`),
			"",
			[]string{"Patient.name[0].given"},
		}, {
			"a list of one is changed both ways", patient(`"name":[{"given":["Ana"]}]`), patient(`"name":[{"given":["Anna"]}]`), patient(`"name":[{"given":["Anne"]}]`),
			"",
			[]string{"Patient.name[0].given"},
		}, {
			"a value and its unit stay together",
			`{"resourceType":"Basic","extension":[{"url":"w","valueQuantity":{"value":70,"unit":"kg"}}]}`,
			`{"resourceType":"Basic","extension":[{"url":"w","valueQuantity":{"value":154,"unit":"kg"}}]}`,
			`{"resourceType":"Basic","extension":[{"url":"w","valueQuantity":{"value":70,"unit":"[lb_av]"}}]}`,
			"",
			[]string{"Basic.extension[0].value"},
		}, {
			"start and end of a period stay together", `{"resourceType":"Encounter","status":"planned","period":{"start":"2026-01-01","end":"2026-01-02"}}`,
			`{"resourceType":"Encounter","status":"planned","period":{"start":"2026-01-01","end":"2026-01-03"}}`,
			`{"resourceType":"Encounter","status":"planned","period":{"start":"2026-01-05","end":"2026-01-06"}}`, "",
			[]string{"Encounter.period"},
		}, {
			"a code and its display stay together",
			`{"resourceType":"Basic","code":{"coding":[{"system":"s","code":"a","display":"A"}]}}`,
			`{"resourceType":"Basic","code":{"coding":[{"system":"s","code":"b","display":"B"}]}}`,
			`{"resourceType":"Basic","code":{"coding":[{"system":"s","code":"a","display":"An a"}]}}`, "",
			[]string{"Basic.code"},
		}, {
			"codes of two systems are added to a text", `{"resourceType":"Basic","code":{"text":"malaria"}}`,
			`{"resourceType":"Basic","code":{"coding":[{"system":"sct","code":"1"}],"text":"malaria"}}`,
			`{"resourceType":"Basic","code":{"coding":[{"system":"icd","code":"2"}],"text":"malaria"}}`,
			`{"resourceType":"Basic","code":{"coding":[{"system":"icd","code":"2"},{"system":"sct","code":"1"}],"text":"malaria"}}`, nil,
		}, {
			"two codes of one system are added to a text", `{"resourceType":"Basic","code":{"text":"malaria"}}`,
			`{"resourceType":"Basic","code":{"coding":[{"system":"sct","code":"1"}],"text":"malaria"}}`,
			`{"resourceType":"Basic","code":{"coding":[{"system":"sct","code":"2"}],"text":"malaria"}}`, "",
			[]string{"Basic.code"},
		}, {
			"what a person wrote stays, what was generated goes",
			patient(`"text":{"status":"generated","div":"<div>1</div>"},"gender":"male","active":true`),
			patient(`"text":{"status":"generated","div":"<div>2</div>"},"gender":"female","active":true`),
			patient(`"text":{"status":"generated","div":"<div>3</div>"},"gender":"male","active":false`),
			patient(`"gender":"female","active":false`), nil,
		}, {
			"an additional text", patient(`"text":{"status":"additional","div":"<div>1</div>"},"gender":"male","active":true`),
			patient(`"text":{"status":"additional","div":"<div>2</div>"},"gender":"female","active":true`),
			patient(`"text":{"status":"additional","div":"<div>1</div>"},"gender":"male","active":false`),
			patient(`"text":{"status":"additional","div":"<div>2</div>"},"gender":"female","active":false`), nil,
		}, {
			"a text stays with the side whose elements the resource has", patient(`"text":{"status":"generated","div":"<div>1</div>"},"gender":"male","active":true`),
			patient(`"text":{"status":"generated","div":"<div>2</div>"},"gender":"female","active":false`),
			patient(`"text":{"status":"generated","div":"<div>3</div>"},"gender":"male","active":false`),
			patient(`"text":{"status":"generated","div":"<div>2</div>"},"gender":"female","active":false`), nil,
		}, {
			"extensions of a primitive stay with it", patient(`"birthDate":"2000-01-01","_birthDate":{"extension":[{"url":"t","valueDateTime":"2000-01-01T10:00:00Z"}]}`),
			patient(`"birthDate":"2000-01-02","_birthDate":{"extension":[{"url":"t","valueDateTime":"2000-01-01T10:00:00Z"}]}`),
			patient(`"birthDate":"2000-01-01","_birthDate":{"extension":[{"url":"t","valueDateTime":"2000-01-01T11:00:00Z"}]}`), "",
			[]string{"Patient.birthDate"},
		}, {
			"extensions in a list of primitives", patient(`"name":[{"given":["A","B"],"_given":[null,{"id":"x"}]}]`),
			patient(`"name":[{"given":["A","B","C"],"_given":[null,{"id":"x"},null]}]`), patient(`"name":[{"given":["B"],"_given":[{"id":"x"}]}]`),
			patient(`"name":[{"given":["B","C"],"_given":[{"id":"x"},null]}]`), nil,
		}, {
			"a contained resource that one side gave up and the other refers to",
			patient(`"contained":[{"resourceType":"Organization","id":"o"}],"managingOrganization":{"reference":"#o"},"active":true`),
			patient(`"active":true`),
			patient(`"contained":[{"resourceType":"Organization","id":"o"}],"managingOrganization":{"reference":"#o"},"active":true,"generalPractitioner":[{"reference":"#o"}]`),
			"",
			[]string{"Patient.contained"},
		}, {
			"two people write the same extension", patient(`"active":true`), patient(`"active":true,"extension":[{"url":"r","valueCode":"a"}]`),
			patient(`"active":true,"extension":[{"url":"r","valueString":"a"}]`), "",
			[]string{"Patient.extension[left:0].value"},
		}, {
			"both sides drop an extension, one adds another", patient(`"extension":[{"url":"a","valueCode":"1"}],"active":true`), patient(`"active":false`),
			patient(`"extension":[{"url":"b","valueCode":"2"}],"active":true`), patient(`"extension":[{"url":"b","valueCode":"2"}],"active":false`), nil,
		}, {
			"a document without FHIR form", `{"uuid":"u","name":"A","states":[{"uuid":"1","n":1},{"uuid":"2","n":null}]}`,
			`{"uuid":"u","name":"B","states":[{"uuid":"1","n":1},{"uuid":"2","n":null}]}`, `{"uuid":"u","name":"A","states":[{"uuid":"2","n":2.0},{"uuid":"1","n":1}]}`,
			`{"uuid":"u","name":"B","states":[{"uuid":"2","n":2.0},{"uuid":"1","n":1}]}`, nil,
		}, {
			"a name that begins with an underscore and stands beside nothing", `{"uuid":"u","_v":1,"n":1,"m":1}`, `{"uuid":"u","_v":2,"n":2,"m":1}`, `{"uuid":"u","_v":1,"n":1,"m":2}`,
			`{"uuid":"u","_v":2,"n":2,"m":2}`, nil,
		}, {
			"no ancestor any more", "", patient(`"active":true,"gender":"male"`), patient(`"gender":"female"`), "", []string{"Patient.active", "Patient.gender"},
		},
	})
}

func run(t *testing.T, cases []mergeCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var ancestor []byte
			if c.ancestor != "" {
				ancestor = []byte(c.ancestor)
			}
			for _, turned := range []bool{false, true} {
				l, r := c.left, c.right
				if turned {
					l, r = r, l
				}
				merged, clashes := reconcile.Merge(ancestor, []byte(l), []byte(r))
				if string(merged) != c.want {
					t.Errorf("turned %v: got\n%s, want\n%s", turned, merged, c.want)
				}
				var paths []string
				for _, d := range clashes {
					p := strings.ReplaceAll(d.Path, "right:", "left:")
					if d.Critical {
						p = "!" + p
					}
					paths = append(paths, p)
					if d.Words == "" || !d.Clash {
						t.Errorf("%+v", d)
					}
				}
				if !slices.Equal(paths, c.clashes) {
					t.Errorf("turned %v: clashes %q, want %q", turned, paths, c.clashes)
				}
			}
		})
	}
}
