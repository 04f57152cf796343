package fhir_test

import (
	"crypto/sha256"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/fhir"
)

func mustParse(t *rapid.T, body string) fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(body), fhir.MaxBytes)
	if err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return r
}

func TestHashLaws(t *testing.T) {
	t.Run("independent of white space, member order, escapes, versionId and lastUpdated", rapid.MakeCheck(func(t *rapid.T) {
		v := anyResource().Draw(t, "resource")
		a, b := mustParse(t, plain(v)), mustParse(t, shuffled(t, withBookkeeping(t, v)))
		if a.Hash() != b.Hash() {
			t.Fatalf("the hashes differ:\n%s\n%s", a.Body, b.Body)
		}
	}))
	t.Run("that of the general formatter's canonical form", rapid.MakeCheck(func(t *rapid.T) {
		r := mustParse(t, shuffled(t, anyResource().Draw(t, "resource")))
		if r.Hash() != formatted(t, r) {
			t.Fatalf("another hash: %s", r.Body)
		}
	}))
	t.Run("dependent on everything else", rapid.MakeCheck(func(t *rapid.T) {
		v := anyResource().Draw(t, "resource")
		i := rapid.IntRange(2, len(v.members)).Draw(t, "place")
		other := object(append([]member(nil), v.members...)...)
		if i == len(v.members) {
			other.members = append(other.members, member{"added", str("")})
		} else {
			other.members[i].value = change(t, other.members[i].value)
		}
		a, b := mustParse(t, plain(v)), mustParse(t, shuffled(t, other))
		if a.Hash() == b.Hash() {
			t.Fatalf("the hashes are equal:\n%s\n%s", a.Body, b.Body)
		}
	}))
	t.Run("with meta keeps every other byte", rapid.MakeCheck(func(t *rapid.T) {
		v := anyResource().Draw(t, "resource")
		bare := mustParse(t, shuffled(t, withBookkeeping(t, v))).Bare()
		if again := mustParse(t, string(bare.Body)); !reflect.DeepEqual(again, bare) {
			t.Fatalf("the bare form is %+v, read anew it is %+v", bare, again)
		}
		with := string(bare.WithMeta("1-r", "2026-01-02T03:04:05Z"))
		const own = `"versionId":"1-r","lastUpdated":"2026-01-02T03:04:05Z"`
		kept := strings.Replace(with, own+",", "", 1)
		if kept == with {
			kept = strings.Replace(with, `,"meta":{`+own+`}`, "", 1)
		}
		if kept != string(bare.Body) {
			t.Fatalf("got  %s\nfrom %s", with, bare.Body)
		}
		if r := mustParse(t, with); string(r.Bare().Body) != string(bare.Body) || r.Hash() != bare.Hash() {
			t.Fatalf("got  %s\nfrom %s", r.Bare().Body, bare.Body)
		}
	}))
}

// formatted is the hash by jsontext alone.
func formatted(t interface{ Fatal(...any) }, r fhir.Resource) [32]byte {
	b, err := jsontext.AppendFormat(nil, r.Bare().Body, jsontext.ReorderRawObjects(true), jsontext.CanonicalizeRawInts(false),
		jsontext.CanonicalizeRawFloats(false), jsontext.PreserveRawStrings(false), jsontext.EscapeForHTML(false), jsontext.EscapeForJS(false))
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

func TestHashTable(t *testing.T) {
	const p = `{"resourceType":"Basic","x":`
	tests := []struct {
		name, a, b string
		same       bool
	}{
		{"decimal places", p + `1.0}`, p + `1.00}`, false},
		{"integer and decimal", p + `1}`, p + `1.0}`, false},
		{"exponent", p + `100}`, p + `1e2}`, false},
		{"case of exponent", p + `1e2}`, p + `1E2}`, false},
		{"minus zero", p + `0}`, p + `-0}`, false},
		{"beyond a float", p + `12345678901234567890}`, p + `12345678901234567891}`, false},
		{"number and string", p + `1}`, p + `"1"}`, false},
		{"array order", p + `[1,2]}`, p + `[2,1]}`, false},
		{"null and absent", p + `null}`, `{"resourceType":"Basic"}`, false},
		{"case of a string", p + `"a"}`, p + `"A"}`, false},
		{"blank in a string", p + `"a b"}`, p + `"a  b"}`, false},
		{"composed and decomposed", p + `"é"}`, p + `"e\u0301"}`, false},
		{"id", p + `1,"id":"1"}`, p + `1,"id":"2"}`, false},
		{"type", `{"resourceType":"Basic"}`, `{"resourceType":"Group"}`, false},
		{"meta.source", p + `1,"meta":{"source":"a"}}`, p + `1,"meta":{"source":"b"}}`, false},
		{"contained versionId", p + `{"meta":{"versionId":"1"}}}`, p + `{"meta":{"versionId":"2"}}}`, false},
		{"escapes", p + `"\u00e9\/\u000a"}`, p + `"é/\n"}`, true},
		{"surrogates", p + `"\ud83d\ude00"}`, p + `"😀"}`, true},
		{"member order, nested", p + `{"a":1,"b":{"c":1,"d":2}}}`, p + `{"b":{"d":2,"c":1},"a":1}}`, true},
		{"names beyond ASCII, by UTF-16", p + `{"\ufb33":1,"😀":2,"é":3,"e":4}}`, p + `{"e":4,"é":3,"😀":2,"\ufb33":1}}`, true},
		{"escaped names", p + `{"b":1,"\u0061":2}}`, p + `{"a":2,"b":1}}`, true},
		{"a name that begins another", p + `{"ab":1,"a":2,"a b":3}}`, p + `{"a":2,"a b":3,"ab":1}}`, true},
		{"empty things", p + `{"b":[],"a":{},"":""}}`, p + `{"":"","a":{},"b":[]}}`, true},
		{"empty meta", p + `1,"meta":{}}`, p + `1}`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := parse(t, tt.a), parse(t, tt.b)
			if (a.Hash() == b.Hash()) != tt.same {
				t.Errorf("equal hashes: got %t, want %t", !tt.same, tt.same)
			}
			if a.Hash() != formatted(t, a) || b.Hash() != formatted(t, b) {
				t.Error("the general formatter makes another hash")
			}
		})
	}
}
