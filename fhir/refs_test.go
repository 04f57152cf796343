package fhir_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
)

func TestReferences(t *testing.T) {
	const p = `{"resourceType":"Basic",`
	const x = "urn:uuid:0a000000-0000-4000-8000-000000000001"
	tests := []struct {
		name, body string
		want       []string
	}{
		{"none", p + `"id":"1"}`, nil},
		{"reference", p + `"subject":{"reference":"` + x + `"}}`, []string{x}},
		{"fragments and keys too", p + `"a":{"reference":"#c"},"b":{"reference":"Patient/1/_history/2"}}`, []string{"#c", "Patient/1/_history/2"}},
		{"in lists, in order", p + `"b":[{"reference":"B/2"},{"reference":"A/1"}],"a":{"reference":"C/3"}}`, []string{"B/2", "A/1", "C/3"}},
		{"contained", p + `"contained":[{"resourceType":"Basic","subject":{"reference":"` + x + `"}}]}`, []string{x}},
		{"uri, url, oid, uuid", p + `"url":"u","uri":"v","valueUri":"w","valueUrl":"x","valueUuid":"y","valueOid":"z"}`, []string{"u", "v", "w", "x", "y", "z"}},
		{"identifier values are names", p + `"identifier":[{"system":"urn:ietf:rfc:3986","value":"` + x + `"}]}`, nil},
		{"display and other text", p + `"subject":{"display":"` + x + `"},"text":{"div":"` + x + `"},"valueString":"` + x + `"}`, nil},
		{"a member called reference that is no string", p + `"reference":["` + x + `"],"a":{"reference":{"value":"` + x + `"}},"b":{"reference":null},"c":{"reference":1}}`, nil},
		{"a string behind such a member", p + `"reference":[],"a":"` + x + `"}`, nil},
		{"a value that reads reference", p + `"a":"reference","b":"` + x + `"}`, nil},
		{"list behind the name", p + `"url":["` + x + `",{"a":"b"},"` + x + `"]}`, nil},
		{"name of another case", p + `"Reference":"` + x + `"}`, nil},
		{"name with escapes", p + `"a":{"r\u0065ference":"` + x + `"}}`, []string{x}},
		{"value with escapes", p + `"a":{"reference":"Patient\/\u0031\ud83d\ude00"}}`, []string{"Patient/1😀"}},
		{"empty", p + `"a":{"reference":""}}`, []string{""}},
		{"bundle in a bundle", `{"resourceType":"Bundle","entry":[{"fullUrl":"` + x + `","resource":{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Basic","subject":{"reference":"` + x + `"}},"request":{"method":"PUT","url":"Basic/1"}}]}}]}`, []string{x, "Basic/1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, r := range fhir.References(parse(t, tt.body).Body) {
				got = append(got, r.Text)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRewriteReferences(t *testing.T) {
	const p = `{"resourceType":"Basic",`
	to := func(text string) (string, bool) {
		switch text {
		case "urn:1":
			return "Patient/1", true
		case "urn:long":
			return strings.Repeat("x", 100), true
		case "urn:quote":
			return "a\"b\\c\n<é", true
		case "urn:bad":
			return "\xff", true
		case "urn:same":
			return text, true
		case "urn:no":
			return "unwanted", false
		}
		return "", false
	}
	tests := []struct {
		name, body, want string
	}{
		{"one", p + `"a":{"reference":"urn:1"}}`, p + `"a":{"reference":"Patient/1"}}`},
		{"several, longer and shorter", p + `"a":{"reference":"urn:long"},"b":1.00,"c":[{"reference":"urn:1"},{"url":"urn:1"}]}`, p + `"a":{"reference":"` + strings.Repeat("x", 100) + `"},"b":1.00,"c":[{"reference":"Patient/1"},{"url":"Patient/1"}]}`},
		{"only those that are answered", p + `"a":{"reference":"urn:1"},"b":{"reference":"urn:2"},"c":{"reference":"urn:no"}}`, p + `"a":{"reference":"Patient/1"},"b":{"reference":"urn:2"},"c":{"reference":"urn:no"}}`},
		{"quotes in the answer", p + `"a":{"reference":"urn:quote"}}`, p + `"a":{"reference":"a\"b\\c\n<é"}}`},
		{"invalid UTF-8 in the answer is not written", p + `"a":{"reference":"urn:bad"},"b":{"reference":"urn:1"}}`, p + `"a":{"reference":"urn:bad"},"b":{"reference":"Patient/1"}}`},
		{"escaped link", p + `"a":{"reference":"\u0075rn:1"}}`, p + `"a":{"reference":"Patient/1"}}`},
		{"escaped, answered with the same", p + `"a":{"reference":"\u0075rn:same"}}`, p + `"a":{"reference":"\u0075rn:same"}}`},
		{"other escapes stay", p + `"x":"\u0041","a":{"reference":"urn:1"},"y":"\/"}`, p + `"x":"\u0041","a":{"reference":"Patient/1"},"y":"\/"}`},
		{"identifier value stays", p + `"identifier":[{"value":"urn:1"}],"a":{"reference":"urn:1","identifier":{"value":"urn:1"}}}`, p + `"identifier":[{"value":"urn:1"}],"a":{"reference":"Patient/1","identifier":{"value":"urn:1"}}}`},
		{"nothing to do", p + `"a":{"reference":"Patient/2"}}`, p + `"a":{"reference":"Patient/2"}}`},
		{"nested bundle", `{"resourceType":"Bundle","entry":[{"fullUrl":"urn:1","resource":{"resourceType":"Basic","subject":{"reference":"urn:1"}}}]}`, `{"resourceType":"Bundle","entry":[{"fullUrl":"urn:1","resource":{"resourceType":"Basic","subject":{"reference":"Patient/1"}}}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := parse(t, tt.body).Body
			if got := string(fhir.RewriteReferences(body, to)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if string(body) != tt.body {
				t.Errorf("the given body became %s", body)
			}
		})
	}
}

func TestLocalKey(t *testing.T) {
	key := fhir.Key{Type: "Patient", ID: "1"}
	for ref, want := range map[string]fhir.Key{
		"Patient/1": key, "Patient/1/_history/7": key, "": {}, "#c": {}, "Patient": {}, "Patient/": {}, "/1": {}, "Horse/1": {},
		"Patient/a_b": {}, "Patient/1/2": {}, "Patient/1/history/7": {}, "urn:uuid:x": {}, "http://x/Patient/1": {},
		"Patient?identifier=a|b": {}, "/Patient/1": {}, "Patient/1#x": {},
	} {
		got, ok := fhir.LocalKey(ref)
		if ok != (want != fhir.Key{}) || ok && got != want {
			t.Errorf("%q: got %v, %t, want %v", ref, got, ok, want)
		}
	}
}
