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
		if r.Hash() != formatted(t, r) {
			t.Fatalf("the general formatter makes another hash of %q", r.Body)
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

// A REST document that is taken is passed on as it is, whatever it says: read again it is the same, and only its uuid is ever set.
func FuzzParseREST(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"uuid":"a"}`, `{ "name" : "x" , "uuid" : "a" }`, `{"u\u0075id":"a","meta":{"versionId":1},"id":[],"resourceType":null}`, `{"a":1.00,"b":[{"uuid":"c"}]}`, `[]`, `{"uuid":1}`,
	} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, given, other string) {
		r, err := fhir.ParseREST("program", []byte(given), 0)
		if err != nil {
			if syncerr.KindOf(err) != syncerr.Invalid {
				t.Fatalf("%q: %v", given, err)
			}
			return
		}
		again, err := fhir.ParseAs(r.Key.Type, r.Body, 0)
		if err != nil || !reflect.DeepEqual(again, r) || again.Hash() != r.Hash() || string(r.Bare().Body) != string(r.Body) || string(r.WithMeta("1-r", "x")) != string(r.Body) {
			t.Fatalf("%q is %+v, read again %+v, %v", given, r, again, err)
		}
		set, err := r.WithID("new")
		if err != nil || set.Key.ID != "new" || !json.Valid(set.Body) {
			t.Fatalf("with a uuid: %s, %v", set.Body, err)
		}
		if back, err := set.WithID(r.Key.ID); r.Key.ID != "" && (err != nil || string(back.Body) != string(r.Body)) && !strings.Contains(given, "\\") {
			t.Fatalf("with its own uuid again: %s, %v; it was %s", back.Body, err, r.Body)
		}
		o, err := fhir.ParseREST("program", []byte(other), 0)
		if err != nil {
			return
		}
		both, err := r.Merge(o)
		if err != nil {
			t.Fatalf("%s and %s: %v", r.Body, o.Body, err)
		}
		if twice, err := both.Merge(o); err != nil || string(twice.Body) != string(both.Body) {
			t.Fatalf("%s and %s: once %s, twice %s, %v", r.Body, o.Body, both.Body, twice.Body, err)
		}
	})
}
