package fhir_test

import (
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

func TestMeta(t *testing.T) {
	// v and l are what a client may have sent; m is what WithMeta writes.
	const (
		p = `{"resourceType":"Patient"`
		v = `"versionId":"9"`
		l = `"lastUpdated":"2001-01-01T00:00:00Z"`
		m = `"versionId":"1-r","lastUpdated":"2026-01-02T03:04:05.678Z"`
	)
	tests := []struct {
		name, body, bare, with string
	}{
		{"no meta", p + `}`, p + `}`, p + `,"meta":{` + m + `}}`},
		{"no meta, type last", `{"id":"1","resourceType":"Patient"}`, `{"id":"1","resourceType":"Patient"}`, `{"id":"1","resourceType":"Patient","meta":{` + m + `}}`},
		{"empty meta", p + `,"meta":{},"id":"1"}`, p + `,"id":"1"}`, p + `,"meta":{` + m + `},"id":"1"}`},
		{"only versionId", p + `,"meta":{` + v + `}}`, p + `}`, p + `,"meta":{` + m + `}}`},
		{"only lastUpdated", p + `,"meta":{` + l + `}}`, p + `}`, p + `,"meta":{` + m + `}}`},
		{"only both", p + `,"meta":{` + l + `,` + v + `}}`, p + `}`, p + `,"meta":{` + m + `}}`},
		{"meta first member", `{"meta":{` + v + `},"resourceType":"Patient"}`, `{"resourceType":"Patient"}`, p + `,"meta":{` + m + `}}`},
		{"meta first member, kept", `{"meta":{` + v + `,"tag":[]},"resourceType":"Patient"}`, `{"meta":{"tag":[]},"resourceType":"Patient"}`, `{"meta":{` + m + `,"tag":[]},"resourceType":"Patient"}`},
		{"meta last member", p + `,"id":"1","meta":{` + v + `}}`, p + `,"id":"1"}`, p + `,"meta":{` + m + `},"id":"1"}`},
		{"meta in the middle", p + `,"a":1,"meta":{` + v + `},"b":2}`, p + `,"a":1,"b":2}`, p + `,"meta":{` + m + `},"a":1,"b":2}`},
		{"neither of the two", p + `,"meta":{"tag":[1.00]}}`, p + `,"meta":{"tag":[1.00]}}`, p + `,"meta":{` + m + `,"tag":[1.00]}}`},
		{"versionId first", p + `,"meta":{` + v + `,"a":1,"b":2}}`, p + `,"meta":{"a":1,"b":2}}`, p + `,"meta":{` + m + `,"a":1,"b":2}}`},
		{"versionId middle", p + `,"meta":{"a":1,` + v + `,"b":2}}`, p + `,"meta":{"a":1,"b":2}}`, p + `,"meta":{` + m + `,"a":1,"b":2}}`},
		{"versionId last", p + `,"meta":{"a":1,"b":2,` + v + `}}`, p + `,"meta":{"a":1,"b":2}}`, p + `,"meta":{` + m + `,"a":1,"b":2}}`},
		{"both first", p + `,"meta":{` + v + `,` + l + `,"a":1}}`, p + `,"meta":{"a":1}}`, p + `,"meta":{` + m + `,"a":1}}`},
		{"both last", p + `,"meta":{"a":1,` + v + `,` + l + `}}`, p + `,"meta":{"a":1}}`, p + `,"meta":{` + m + `,"a":1}}`},
		{"around another", p + `,"meta":{` + l + `,"a":1,` + v + `}}`, p + `,"meta":{"a":1}}`, p + `,"meta":{` + m + `,"a":1}}`},
		{"between others", p + `,"meta":{"a":1,` + l + `,"b":2,` + v + `,"c":3}}`, p + `,"meta":{"a":1,"b":2,"c":3}}`, p + `,"meta":{` + m + `,"a":1,"b":2,"c":3}}`},
		{"extensions of the two stay", p + `,"meta":{` + v + `,"_versionId":{"id":"x"}}}`, p + `,"meta":{"_versionId":{"id":"x"}}}`, p + `,"meta":{` + m + `,"_versionId":{"id":"x"}}}`},
		{"values of any kind", p + `,"meta":{"versionId":{"a":[1,"}"]},"lastUpdated":null}}`, p + `}`, p + `,"meta":{` + m + `}}`},
		{"commas and braces in the value", p + `,"meta":{"versionId":"\",}{\\","a":",}"}}`, p + `,"meta":{"a":",}"}}`, p + `,"meta":{` + m + `,"a":",}"}}`},
		{"escaped name of meta", p + `,"m\u0065ta":{` + v + `},"id":"1"}`, p + `,"id":"1"}`, p + `,"meta":{` + m + `},"id":"1"}`},
		{"escaped name of versionId", p + `,"meta":{"version\u0049d":"9"}}`, p + `}`, p + `,"meta":{` + m + `}}`},
		{"escaped names beside another", p + `,"meta":{"a":1,"version\u0049d":"9","\u006castUpdated":"x"}}`, p + `,"meta":{"a":1}}`, p + `,"meta":{` + m + `,"a":1}}`},
		{"meta of a contained resource stays", p + `,"contained":[{"meta":{` + v + `}}]}`, p + `,"contained":[{"meta":{` + v + `}}]}`, p + `,"meta":{` + m + `},"contained":[{"meta":{` + v + `}}]}`},
		{"the two in an extension of meta stay", p + `,"meta":{"x":{` + v + `}}}`, p + `,"meta":{"x":{` + v + `}}}`, p + `,"meta":{` + m + `,"x":{` + v + `}}}`},
		{"names elsewhere stay", p + `,` + v + `,` + l + `}`, p + `,` + v + `,` + l + `}`, p + `,"meta":{` + m + `},` + v + `,` + l + `}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := parse(t, tt.body)
			bare := r.Bare()
			if got := string(bare.Body); got != tt.bare {
				t.Errorf("bare:\ngot  %s\nwant %s", got, tt.bare)
			}
			if got := string(bare.Bare().Body); got != tt.bare {
				t.Errorf("bare twice:\ngot  %s\nwant %s", got, tt.bare)
			}
			if got := string(r.WithMeta("1-r", "2026-01-02T03:04:05.678Z")); got != tt.with {
				t.Errorf("with meta:\ngot  %s\nwant %s", got, tt.with)
			}
			if got := string(bare.WithMeta("1-r", "2026-01-02T03:04:05.678Z")); got != tt.with {
				t.Errorf("with meta, from bare:\ngot  %s\nwant %s", got, tt.with)
			}
			if got := string(parse(t, tt.with).Bare().Body); got != tt.bare {
				t.Errorf("bare again:\ngot  %s\nwant %s", got, tt.bare)
			}
			if string(r.Body) != tt.body {
				t.Errorf("the resource itself became %s", r.Body)
			}
			if bare.Key != r.Key || r.Hash() != bare.Hash() {
				t.Errorf("bare has key %s and hash %x, want %s and %x", bare.Key, bare.Hash(), r.Key, r.Hash())
			}
		})
	}
}

func TestWithID(t *testing.T) {
	tests := []struct {
		name, body, want string
	}{
		{"no id", `{"resourceType":"Patient"}`, `{"resourceType":"Patient","id":"new.1-A"}`},
		{"no id, type last", `{"x":1,"resourceType":"Patient"}`, `{"x":1,"resourceType":"Patient","id":"new.1-A"}`},
		{"no id, type first", `{"resourceType":"Patient","x":1.00}`, `{"resourceType":"Patient","id":"new.1-A","x":1.00}`},
		{"replaced", `{"resourceType":"Patient","id":"1","x":1}`, `{"resourceType":"Patient","id":"new.1-A","x":1}`},
		{"replaced before the type", `{"id":"a-much-longer-one","resourceType":"Patient"}`, `{"id":"new.1-A","resourceType":"Patient"}`},
		{"same", `{"resourceType":"Patient","id":"new.1-A"}`, `{"resourceType":"Patient","id":"new.1-A"}`},
		{"escaped", `{"resourceType":"Patient","\u0069d":"\u0031"}`, `{"resourceType":"Patient","\u0069d":"new.1-A"}`},
		{"ids inside stay", `{"resourceType":"Patient","contained":[{"id":"c"}],"_id":{"id":"e"}}`, `{"resourceType":"Patient","id":"new.1-A","contained":[{"id":"c"}],"_id":{"id":"e"}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := parse(t, tt.body)
			got, err := r.WithID("new.1-A")
			if err != nil || string(got.Body) != tt.want || got.Key != (fhir.Key{Type: "Patient", ID: "new.1-A"}) {
				t.Errorf("got %s, %s, %v\nwant %s", got.Key, got.Body, err, tt.want)
			}
			if string(r.Body) != tt.body {
				t.Errorf("the resource itself became %s", r.Body)
			}
			again, err := got.WithID("x")
			if err != nil || again.Key.ID != "x" || parse(t, string(again.Body)).Key.ID != "x" {
				t.Errorf("a second id: got %s, %v", again.Body, err)
			}
		})
	}
	for _, bad := range []string{"", "a/b", `a"`, "é", strings.Repeat("x", 65)} {
		if _, err := parse(t, `{"resourceType":"Patient"}`).WithID(bad); syncerr.KindOf(err) != syncerr.Invalid || err == nil {
			t.Errorf("%q: got %v, want an invalid error", bad, err)
		}
	}
	// A given id must not move the places of meta that are found once.
	r, err := parse(t, `{"resourceType":"Patient","meta":{"versionId":"9","tag":[]}}`).WithID("abc")
	if err != nil || string(r.Bare().Body) != `{"resourceType":"Patient","id":"abc","meta":{"tag":[]}}` {
		t.Errorf("got %s, %v", r.Bare().Body, err)
	}
}
