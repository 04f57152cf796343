package fhir_test

import (
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

func parse(t testing.TB, body string) fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(body), fhir.MaxBytes)
	if err != nil {
		t.Fatalf("%.200s: %v", body, err)
	}
	return r
}

// nested returns a resource whose deepest value stands under n objects and arrays, itself counted.
func nested(n int, open, shut string) string {
	return `{"resourceType":"Basic","x":` + strings.Repeat(open, n-1) + `1` + strings.Repeat(shut, n-1) + `}`
}

func TestParse(t *testing.T) {
	tests := []struct {
		name, body string
		key        fhir.Key
		compact    string // "" where it equals body
	}{
		{"least", `{"resourceType":"Patient"}`, fhir.Key{Type: "Patient"}, ""},
		{"with id", `{"resourceType":"Patient","id":"a-1.B"}`, fhir.Key{Type: "Patient", ID: "a-1.B"}, ""},
		{"type last", `{"id":"1","x":{"resourceType":"Group","id":"2"},"resourceType":"Patient"}`, fhir.Key{Type: "Patient", ID: "1"}, ""},
		{"id of 64", `{"resourceType":"Patient","id":"` + strings.Repeat("x", 64) + `"}`, fhir.Key{Type: "Patient", ID: strings.Repeat("x", 64)}, ""},
		{"blanks", " {\n\t\"resourceType\" : \"Patient\" ,\r\n \"a b\" : [ 1 , 2.00 ] } \n", fhir.Key{Type: "Patient"}, `{"resourceType":"Patient","a b":[1,2.00]}`},
		{"blanks in strings stay", `{"resourceType":"Patient", "x":" \" { [ : , "}`, fhir.Key{Type: "Patient"}, `{"resourceType":"Patient","x":" \" { [ : , "}`},
		{"escapes stay", `{"resourceType":"Patient", "x":"\u0041\/\ud83d\ude00\\"}`, fhir.Key{Type: "Patient"}, `{"resourceType":"Patient","x":"\u0041\/\ud83d\ude00\\"}`},
		{"escaped names and values", `{"r\u0065sourceType":"P\u0061tient","\u0069d":"\u0031"}`, fhir.Key{Type: "Patient", ID: "1"}, ""},
		{"number literals stay", `{"resourceType":"Basic","x":[1.0,1.00,-0,1e2,1E+02,12345678901234567890.123456789]}`, fhir.Key{Type: "Basic"}, ""},
		{"unknown members", `{"resourceType":"Basic","_id":{"extension":[]},"ID":5,"":null}`, fhir.Key{Type: "Basic"}, ""},
		{"200 objects deep", nested(200, `{"x":`, `}`), fhir.Key{Type: "Basic"}, ""},
		{"200 arrays deep", nested(200, `[`, `]`), fhir.Key{Type: "Basic"}, ""},
		{"many brackets side by side", `{"resourceType":"Basic","x":[` + strings.Repeat("[],", 300) + `[]]}`, fhir.Key{Type: "Basic"}, ""},
		{"brackets in a string", `{"resourceType":"Basic","x":"` + strings.Repeat("[{", 300) + `"}`, fhir.Key{Type: "Basic"}, ""},
		{"same name at different places", `{"resourceType":"Basic","x":{"a":1},"y":{"a":1},"z":[{"a":1},{"a":1}]}`, fhir.Key{Type: "Basic"}, ""},
		{"names that differ in case", `{"resourceType":"Basic","a":1,"A":2}`, fhir.Key{Type: "Basic"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			given := []byte(tt.body)
			r, err := fhir.Parse(given, fhir.MaxBytes)
			if err != nil {
				t.Fatal(err)
			}
			want := tt.compact
			if want == "" {
				want = tt.body
			}
			if string(r.Body) != want || r.Key != tt.key {
				t.Errorf("got %s, %s\nwant %s, %s", r.Key, r.Body, tt.key, want)
			}
			if string(given) != tt.body {
				t.Errorf("the caller's bytes became %s", given)
			}
			if b, err := r.MarshalJSON(); err != nil || string(b) != want {
				t.Errorf("as JSON: got %s, %v", b, err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	const p = `{"resourceType":"Patient"`
	tests := []struct {
		name, body, says string
	}{
		{"empty", "", "empty"},
		{"blanks only", " \n\t", ""},
		{"not JSON", "hello", "JSON"},
		{"XML", `<Patient xmlns="http://hl7.org/fhir"/>`, "JSON"},
		{"byte order mark", "\ufeff" + p + `}`, "JSON"},
		{"array", `[` + p + `}]`, "an array"},
		{"string", `"Patient"`, "a string"},
		{"number", `1`, "a number"},
		{"boolean", `true`, "a boolean"},
		{"null", `null`, "null"},
		{"empty object", `{}`, "resourceType is missing"},
		{"truncated behind the brace", `{`, "ends in the middle"},
		{"truncated in a name", `{"resou`, "ends in the middle"},
		{"truncated behind a value", p, "ends in the middle"},
		{"truncated in a value", p + `,"x":[1,`, "ends in the middle"},
		{"truncated with blanks", `{ "resourceType" : "Patient"`, "ends in the middle"},
		{"trailing word", p + `}x`, "more after"},
		{"trailing resource", p + `}` + p + `}`, "more after"},
		{"trailing brace", p + `}}`, "more after"},
		{"trailing nul", p + "}\x00", "more after"},
		{"trailing comma", p + `,}`, ""},
		{"comma missing", p + ` "x":1}`, ""},
		{"colon missing", p + `,"x" 1}`, ""},
		{"blank in a number", p + `,"x":1 2}`, "after object value"},
		{"blank in a word", p + `,"x":tr ue}`, ""},
		{"blanks in a list", p + `,"x":[1 ` + "\n\t" + `2]}`, ""},
		{"blank behind a sign", p + `,"x":- 1}`, ""},
		{"place as it was sent", p + `  ,  "x"  :  [  1  ,  ]  }`, "offset 44"},
		{"comment", p + `/* x */}`, ""},
		{"single quotes", `{'resourceType':'Patient'}`, ""},
		{"leading zero", p + `,"x":01}`, ""},
		{"bare decimal point", p + `,"x":1.}`, ""},
		{"not a number", p + `,"x":NaN}`, ""},
		{"control character in a string", p + ",\"x\":\"a\nb\"}", ""},
		{"bad escape", p + `,"x":"\x41"}`, ""},
		{"brackets crossed", p + `,"x":[{]}}`, ""},

		{"doubled resourceType", `{"resourceType":"Patient","resourceType":"Patient"}`, "resourceType"},
		{"doubled id", p + `,"id":"1","id":"1"}`, "id"},
		{"doubled meta", p + `,"meta":{},"meta":{}}`, "meta"},
		{"doubled other", p + `,"x":1,"y":2,"x":1}`, "x"},
		{"doubled with an escape", p + `,"x":1,"\u0078":1}`, "duplicate"},
		{"doubled in meta", p + `,"meta":{"versionId":"1","versionId":"2"}}`, "versionId"},
		{"doubled deep", p + `,"x":[{"y":{"z":1,"z":1}}]}`, `"z" within "/x/0/y"`},
		{"doubled deep, with blanks", p + `, "x":[{"y":{"z":1,"z":1}}]}`, `"z" within "/x/0/y"`},

		{"invalid UTF-8 in a value", p + ",\"x\":\"\xff\"}", "UTF-8"},
		{"invalid UTF-8 in a name", p + ",\"\xc3\x28\":1}", "UTF-8"},
		{"invalid UTF-8, with blanks", p + ", \"x\":\"\xff\"}", "UTF-8"},
		{"UTF-16 surrogate in UTF-8", p + ",\"x\":\"\xed\xa0\x80\"}", "UTF-8"},
		{"lone high surrogate", p + `,"x":"\ud83d"}`, "surrogate"},
		{"lone low surrogate", p + `,"x":"\ude00"}`, "surrogate"},
		{"surrogates turned round", p + `,"x":"\ude00\ud83d"}`, "surrogate"},
		{"lone surrogate, with blanks", p + `, "x":"\ud83d"}`, "surrogate"},

		{"201 objects deep", nested(201, `{"x":`, `}`), "deeper than 200"},
		{"201 arrays deep", nested(201, `[`, `]`), "deeper than 200"},
		{"100,000 deep", strings.Repeat(`[`, 100_000), "deeper than 200"},

		{"resourceType missing", `{"id":"1"}`, "resourceType is missing"},
		{"resourceType of another case", `{"ResourceType":"Patient"}`, "resourceType is missing"},
		{"resourceType only inside", `{"x":{"resourceType":"Patient"}}`, "resourceType is missing"},
		{"resourceType empty", `{"resourceType":""}`, "resourceType"},
		{"resourceType unknown", `{"resourceType":"Horse"}`, "Horse"},
		{"resourceType in lower case", `{"resourceType":"patient"}`, "patient"},
		{"resourceType abstract", `{"resourceType":"DomainResource"}`, "DomainResource"},
		{"resourceType of R5", `{"resourceType":"Transport"}`, "Transport"},
		{"resourceType a part of a name", `{"resourceType":"Medic"}`, "Medic"},
		{"resourceType two names", `{"resourceType":"Basic Binary"}`, "Basic Binary"},
		{"resourceType with blank", `{"resourceType":"Patient "}`, "resourceType"},
		{"resourceType a number", `{"resourceType":1}`, "resourceType: must be a string, this is a number"},
		{"resourceType null", `{"resourceType":null}`, "resourceType: must be a string, this is null"},
		{"resourceType an object", `{"resourceType":{}}`, "resourceType: must be a string, this is an object"},
		{"id a number", p + `,"id":17}`, "id: must be a string, this is a number"},
		{"id null", p + `,"id":null}`, "id: must be a string, this is null"},
		{"id a list", p + `,"id":["1"]}`, "id: must be a string, this is an array"},
		{"id empty", p + `,"id":""}`, "id:"},
		{"id with underscore", p + `,"id":"a_b"}`, "a_b"},
		{"id with slash", p + `,"id":"a/b"}`, "a/b"},
		{"id with blank", p + `,"id":"a b"}`, "a b"},
		{"id not ascii", p + `,"id":"é"}`, "id:"},
		{"id too long", p + `,"id":"` + strings.Repeat("x", 65) + `"}`, "id:"},
		{"meta a list", p + `,"meta":[]}`, "meta: must be an object, this is an array"},
		{"meta a string", p + `,"meta":"x"}`, "meta: must be an object, this is a string"},
		{"meta null", p + `,"meta":null}`, "meta: must be an object, this is null"},
		{"meta truncated", p + `,"meta":{"versionId":`, "ends in the middle"},
		{"meta broken", p + `,"meta":{"versionId"}}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := fhir.Parse([]byte(tt.body), fhir.MaxBytes)
			if err == nil {
				t.Fatalf("it was accepted as %s", r.Key)
			}
			if got := syncerr.KindOf(err); got != syncerr.Invalid {
				t.Errorf("got a %s error, want an invalid one: %v", got, err)
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q does not say %q", err, tt.says)
			}
			if r.Body != nil {
				t.Errorf("got a resource beside the error: %s", r.Body)
			}
		})
	}
}

func TestParseLimit(t *testing.T) {
	body := []byte(`{"resourceType":"Patient"}`)
	for _, tt := range []struct {
		name  string
		limit int
		good  bool
	}{{"none", 0, true}, {"just enough", len(body), true}, {"one too few", len(body) - 1, false}} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := fhir.Parse(body, tt.limit)
			if tt.good && err != nil {
				t.Errorf("got %v", err)
			}
			if !tt.good && syncerr.KindOf(err) != syncerr.TooLarge {
				t.Errorf("got %v, want a too-large error", err)
			}
		})
	}
}
