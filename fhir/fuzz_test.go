package fhir_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

func addBodies(f *testing.F) {
	f.Helper()
	for _, s := range []string{
		"", "{", "[]", `{"resourceType":"Patient"}`, `{ "meta" : { "versionId":"1", "tag":[] } , "resourceType":"Patient" }`,
		`{"resourceType":"Patient","id":"1","m\u0065ta":{"version\u0049d":1,"lastUpdated":"","x":1.00}}`,
		`{"resourceType":"Basic","subject":{"reference":"urn:uuid:1"},"url":["a",{"r\u0065ference":"\u0041"}],"contained":[{"uri":""}]}`,
		`{"resourceType":"Patient","x":"\ud83d"}`, `{"resourceType":"Patient","x":1,"x":1}`, "{\"resourceType\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
}

func FuzzParse(f *testing.F) {
	addBodies(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		given := bytes.Clone(body)
		r, err := fhir.Parse(body, 1<<16)
		if !bytes.Equal(body, given) {
			t.Fatalf("the caller's bytes changed from %q to %q", given, body)
		}
		if err != nil {
			if k := syncerr.KindOf(err); k != syncerr.Invalid && k != syncerr.TooLarge {
				t.Fatalf("got a %s error: %v", k, err)
			}
			return
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, given); err != nil || !bytes.Equal(compact.Bytes(), r.Body) {
			t.Fatalf("the body of %q is %q, another reader makes it %q, %v", given, r.Body, compact.Bytes(), err)
		}
		bare := r.Bare()
		with := bare.WithMeta("1-r", "2026-01-02T03:04:05Z")
		for _, b := range [][]byte{r.Body, bare.Body, with} {
			again, err := fhir.Parse(b, 0)
			if err != nil {
				t.Fatalf("%q from %q: %v", b, given, err)
			}
			if again.Key != r.Key || again.Hash() != r.Hash() || !bytes.Equal(again.Bare().Body, bare.Body) {
				t.Fatalf("%q from %q: another key, hash or bare form", b, given)
			}
		}
		set, err := r.WithID("new")
		if err != nil || set.Key.ID != "new" || set.Key.Type != r.Key.Type {
			t.Fatalf("with id: got %s, %v", set.Body, err)
		}
		for _, e := range []fhir.Resource{bare, set, set.Bare()} {
			if again, err := fhir.Parse(e.Body, 0); err != nil || !reflect.DeepEqual(again, e) {
				t.Fatalf("an edit of %q left %+v, read anew it is %+v, %v", given, e, again, err)
			}
		}
	})
}

func FuzzRewriteReferences(f *testing.F) {
	addBodies(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := fhir.Parse(body, 1<<16)
		if err != nil {
			return
		}
		before := fhir.References(r.Body)
		out := fhir.RewriteReferences(r.Body, func(s string) (string, bool) { return s + "\"x", !strings.HasPrefix(s, "#") })
		again, err := fhir.Parse(out, 0)
		if err != nil {
			t.Fatalf("%q became %q: %v", r.Body, out, err)
		}
		after := fhir.References(again.Body)
		if len(after) != len(before) {
			t.Fatalf("%q became %q: %d links instead of %d", r.Body, out, len(after), len(before))
		}
		for i := range before {
			want := before[i].Text
			if !strings.HasPrefix(want, "#") {
				want += "\"x"
			}
			if after[i].Text != want {
				t.Fatalf("link %d of %q: got %q, want %q", i, r.Body, after[i].Text, want)
			}
		}
		if same := fhir.RewriteReferences(r.Body, func(string) (string, bool) { return "", false }); !bytes.Equal(same, r.Body) {
			t.Fatalf("nothing was to be done, and %q became %q", r.Body, same)
		}
	})
}
