package search

import (
	"net/url"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
)

// Each row says what FHIR R4 says of one kind of parameter (search.html), on one resource.
func TestRules(t *testing.T) {
	long := strings.Repeat("abcdefghi ", 9)
	for _, c := range []struct {
		body string
		yes  string // searches that find it, parted by blanks
		no   string
	}{
		{
			`{"resourceType":"Patient","name":[{"family":"O'Brien-Müller","given":["Ánna Maria","李"],"prefix":["Dr."]}]}`,
			"name=anna name=Anna name=ANN name=maria name=obrien name=o'brien name=muller name=mull name=dr name=李 family=muller given=mar name:exact=Ánna+Maria name:contains=rie " +
				"family:contains=n+mu name:missing=false name=xyz,maria family:exact=O'Brien-Müller name=maria&name=brien,obr",
			"name=nna name=rie family=anna given=obrien name:exact=Anna+Maria name:exact=Ánna name:contains=xyz name:missing=true name=maria&name=xyz name=ler",
		},
		{
			`{"resourceType":"Patient","name":[{"text":"` + long + `end"}],"gender":"female","active":true,"birthDate":"1980-05"}`,
			"name=" + url.QueryEscape(long) + "end name=" + url.QueryEscape(long) + " name:exact=" + url.QueryEscape(long) + "end gender=female gender=male,female gender:not=male active=true " +
				"birthdate=1980 birthdate=1980-05 birthdate=lt1981 birthdate=ge1980-05-02 birthdate=le1980-05-02 birthdate=ge1980-05 birthdate=le1980-05 birthdate=ne1980-05-02 birthdate=ap1980-05-02 " +
				"gender=http://hl7.org/fhir/administrative-gender|female gender=|female",
			"name=" + url.QueryEscape(long) + "else name:exact=" + url.QueryEscape(long) + "end2 gender=Female gender:not=female active=false birthdate=1980-05-02 birthdate=gt1980-05 birthdate=lt1980-05 " +
				"birthdate=sa1980 birthdate=eb1980-05 birthdate=ne1980 birthdate=1979",
		},
		{
			`{"resourceType":"Patient","telecom":[{"system":"phone","value":"+254 (700) 123-456"},{"system":"email","value":"A@B.example"}],` +
				`"address":[{"line":["12 Kenyatta Road"],"city":"Nairobi","postalCode":"00100"}]}`,
			"phone=%2B254700123456 phone=%2B254+700+123+456 email=a@b.EXAMPLE telecom=a@b.example telecom=email|a@b.example address=nairobi address=12+kenyatta address=001 phone:missing=false",
			"phone=254700123456 phone=a@b.example email=%2B254700123456 telecom=phone|a@b.example address=robi",
		},
		{
			`{"resourceType":"Patient","telecom":[{"system":"email","value":"A@B.example"}]}`,
			"phone:missing=true email:missing=false", "phone:missing=false email:missing=true",
		},
		{
			`{"resourceType":"Encounter","status":"finished","period":{"start":"2024-02-01","end":"2024-06-30"},"subject":{"reference":"http://h/fhir/Patient/p1"}}`,
			"date=ge2024-06-01 date=gt2024-06-29 date=lt2024-02-02 date=le2024-02-02 date=sa2024-01-31 date=eb2024-07-01 date=2024 date=ap2024-03 date=ne2024-03 date=gt2024-01 status=http://x|finished " +
				"subject=http://h/fhir/Patient/p1 date=le2024-03&date=ge2024-05",
			"date=le2024-02-01 date=gt2024-06-30 date=lt2024-02-01 date=2024-03 date=sa2024-02-01 date=eb2024-06-30 date=ne2024 date=ap2024-09 subject=p1 subject=http://other/fhir/Patient/p1",
		},
		{
			`{"resourceType":"Encounter","period":{"start":"2024-02-01"}}`,
			"date=gt2030 date=ge2024-03 date=lt2024-02-02 date=sa2024-01 date=ne2024", "date=2024 date=eb2100 date=lt2024-02-01 date=sa2024-02-01",
		},
		{
			`{"resourceType":"Encounter","period":{"end":"2024-02-01T10:00:00+02:00"}}`,
			"date=lt1900 date=gt2024-02-01T07:59:00Z date=eb2024-02-02 date=ne2024", "date=gt2024-02-01T08:00:01Z date=sa1900 date=2024",
		},
		{
			`{"resourceType":"Observation","code":{"coding":[{"system":"http://loinc.org","code":"1-2"},{"code":"x"}],"text":"Weight"},"effectiveTiming":{"event":["2024-01-01","2024-03-01"]}}`,
			"code=1-2 code=http://loinc.org|1-2 code=http://loinc.org| code=|x code=x,y code:not=z date=2024-01 date=2024-03 date=gt2024-02",
			"code=http://snomed.info/sct|1-2 code=|1-2 code=Weight code:not=x,z code=http://snomed.info/sct| date=2024-02 date=gt2024-04",
		},
		{
			`{"resourceType":"Observation","valueQuantity":{"value":5.40,"unit":"milligram","system":"http://unitsofmeasure.org","code":"mg"}}`,
			"value-quantity=5.4 value-quantity=5.40 value-quantity=5 value-quantity=gt5.3 value-quantity=ge5.4 value-quantity=le5.4 value-quantity=lt5.5 value-quantity=ap5.5 value-quantity=ne6 " +
				"value-quantity=5.4|http://unitsofmeasure.org|mg value-quantity=5.4||mg value-quantity=5.4||milligram value-quantity=54e-1",
			"value-quantity=5.5 value-quantity=gt5.4 value-quantity=lt5.4 value-quantity=ne5.4 value-quantity=5.4||g value-quantity=5.4|urn:x|mg value-quantity=5.401 value-quantity=ap9",
		},
		{
			`{"resourceType":"Observation","valueQuantity":{"value":-0.0},"subject":{"reference":"urn:uuid:1"},"performer":[{"reference":"Practitioner/a"},{"type":"Organization","identifier":{"system":"urn:s","value":"o"}}]}`,
			"value-quantity=0 value-quantity=ge0 value-quantity=le0 value-quantity=gt-1 subject=urn:uuid:1 patient=urn:uuid:1 performer=a performer=Practitioner/a performer:Practitioner=a " +
				"performer:identifier=urn:s|o performer:identifier=o performer:identifier=urn:s|",
			"value-quantity=lt0 value-quantity=-1 performer=Organization/a performer:Organization=a performer:identifier=urn:t|o performer=o performer:identifier=urn:t|",
		},
		{
			`{"resourceType":"Organization","name":"St. Mary's Clinic","alias":["Old Ward"]}`,
			"name=mary name=marys name=clinic name=st+marys name=ward name:exact=Old+Ward", "name=s+clinic name:exact=Clinic",
		},
		{
			`{"resourceType":"DocumentReference","content":[{"attachment":{"url":"http://h/a"}}],"masterIdentifier":{"system":"urn:s","value":"m"}}`,
			"location=http://h/a identifier=m identifier=urn:s|", "location=http://h/ identifier=urn:t|",
		},
	} {
		r, err := fhir.Parse([]byte(strings.Replace(c.body, "{", `{"id":"x",`, 1)), 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, list := range []string{c.yes, c.no} {
			for query := range strings.FieldsSeq(list) {
				if got := mustParse(t, r.Key.Type, query).Match(r.Key, r.Body, 0); got != (i == 0) {
					t.Errorf("%s?%s: found %v: %s", r.Key.Type, query, got, r.Body)
				}
			}
		}
	}
}

func TestFold(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"  Anna  MARIA ", "anna maria"},
		{"Ångström", "angstrom"},
		{"Łukasz Żółć", "lukasz zolc"},
		{"Straße", "strasse"},
		{"O’Neill", "oneill"},
		{"Jean-Luc", "jean luc"},
		{"...", ""},
		{"Nguyễn Văn", "nguyen van"},
		{"Ибрагимов", "ибрагимов"},
		{"مُحَمَّد", "محمد"},
		{"山田", "山田"},
		{"İstanbul", "istanbul"},
		{"Æther Œuvre Đặng Ɓala", "aether oeuvre dang bala"},
		{"a\x00b\x01", "a b"},
	} {
		if got := Fold(c.in); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
		if got := Fold(c.want); got != c.want {
			t.Errorf("%q folds on to %q", c.want, got)
		}
	}
}

// The texts by which instants and numbers are compared sort as they do.
func TestSortableKeys(t *testing.T) {
	instants := []int64{minInstant - 1, minInstant, -1, 0, 1, 63, 64, 1 << 40, maxInstant - 1, maxInstant}
	for i := 2; i < len(instants); i++ {
		if a, b := instantKey(instants[i-1]), instantKey(instants[i]); a >= b || len(a) != len(b) {
			t.Errorf("%d is %s, %d is %s", instants[i-1], a, instants[i], b)
		}
	}
	numbers := []float64{-1e300, -2, -1, -1e-300, 0, 1e-300, 1, 1.0000001, 2, 1e300}
	for i := 1; i < len(numbers); i++ {
		if a, b := numberKey(numbers[i-1]), numberKey(numbers[i]); a >= b || len(a) != len(b) {
			t.Errorf("%g is %s, %g is %s", numbers[i-1], a, numbers[i], b)
		}
	}
}
