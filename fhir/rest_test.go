package fhir_test

import (
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

func TestIsREST(t *testing.T) {
	for _, c := range []struct {
		name string
		want bool
	}{
		{"program", true},
		{"visittype", true},
		{"a", true},
		{"concept-source2", true},
		{strings.Repeat("a", 32), true},
		{strings.Repeat("a", 33), false},
		{"", false},
		{"2nd", false},
		{"-x", false},
		{"drug_order", false},
		{"Program", false},
		{"prögram", false},
		{"a/b", false},
		{"a.b", false},
		{"all", false},     // the feed of everything
		{"patient", false}, // the category of Patient
		{"operationoutcome", false},
		{"Patient", false},
	} {
		if got := fhir.IsREST(c.name); got != c.want {
			t.Errorf("IsREST(%q) = %v", c.name, got)
		}
		if got := fhir.IsKind(c.name); got != (c.want || c.name == "Patient") {
			t.Errorf("IsKind(%q) = %v", c.name, got)
		}
		if kind, got := fhir.CategoryType(c.name); got != (c.want || strings.EqualFold(c.name, "patient") || c.name == "operationoutcome") {
			t.Errorf("CategoryType(%q) = %q, %v", c.name, kind, got)
		}
	}
}

func restDoc(t testing.TB, body string) fhir.Resource {
	t.Helper()
	r, err := fhir.ParseREST("program", []byte(body), 0)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return r
}

// What a REST document says under the names that mean something in FHIR is its own affair, and nothing is written into it.
func TestRESTBytes(t *testing.T) {
	const body = `{"uuid":"64f950e6-1b07-4ac0-8e7e-f3e148f3463f","resourceType":5,"id":7,"meta":[1.00,{"versionId":"x"}],"name":"H\u0049V \/ é"}`
	spaced := strings.ReplaceAll(strings.ReplaceAll(body, ":", " : "), ",", " ,\n")
	r := restDoc(t, spaced)
	if want := "program/64f950e6-1b07-4ac0-8e7e-f3e148f3463f"; r.Key.String() != want {
		t.Errorf("the key is %s, want %s", r.Key, want)
	}
	if string(r.Body) != body {
		t.Errorf("got  %s\nwant %s", r.Body, body)
	}
	if got := string(r.Bare().Body); got != body {
		t.Errorf("bare: got %s", got)
	}
	if got := string(r.WithMeta("1-r", "2026-01-02T03:04:05Z")); got != body {
		t.Errorf("with meta: got %s", got)
	}
	same := restDoc(t, `{"name":"HIV / é","meta":[1.00,{"versionId":"x"}],"id":7,"resourceType":5,"uuid":"64f950e6-1b07-4ac0-8e7e-f3e148f3463f"}`)
	if same.Hash() != r.Hash() {
		t.Error("the order of members and the way in which strings are written change the hash")
	}
	if other := restDoc(t, strings.Replace(body, `"versionId":"x"`, `"versionId":"y"`, 1)); other.Hash() == r.Hash() {
		t.Error("a version in a document that is not FHIR is content, and does not change the hash")
	}
	again, err := fhir.ParseAs("program", r.Body, 0)
	if err != nil || again.Key != r.Key {
		t.Errorf("ParseAs: %v, %v", again.Key, err)
	}
	if _, err := fhir.ParseAs("Patient", r.Body, 0); syncerr.KindOf(err) != syncerr.Invalid {
		t.Errorf("it passes for a Patient: %v", err)
	}
}

func TestRESTWithID(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"empty", `{}`, `{"uuid":"u1"}`},
		{"without", `{"name":"x"}`, `{"uuid":"u1","name":"x"}`},
		{"another", `{"name":"x","uuid":"u2","y":{"uuid":"z"}}`, `{"name":"x","uuid":"u1","y":{"uuid":"z"}}`},
		{"escaped name", `{"u\u0075id":"u2"}`, `{"u\u0075id":"u1"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := restDoc(t, c.body).WithID("u1")
			if err != nil || string(got.Body) != c.want || got.Key.String() != "program/u1" {
				t.Errorf("got %s %s, %v; want %s", got.Key, got.Body, err, c.want)
			}
		})
	}
	if _, err := restDoc(t, `{}`).WithID("a b"); err == nil {
		t.Error("a uuid with a blank is taken")
	}
}

func TestRESTMerge(t *testing.T) {
	for _, c := range []struct{ name, into, with, want string }{
		{"nothing", `{"a":1.0,"b":[1]}`, `{}`, `{"a":1.0,"b":[1]}`},
		{"into nothing", `{}`, `{"a":1}`, `{"a":1}`},
		{"replace, keep and add", `{"a":1.0,"b":{"x":1},"c":"\u0041"}`, `{"b":{"y":2},"d":null}`, `{"a":1.0,"b":{"y":2},"c":"\u0041","d":null}`},
		{"escaped name", `{"\u0061":1}`, `{"a":2}`, `{"a":2}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := restDoc(t, c.into).Merge(restDoc(t, c.with))
			if err != nil || string(got.Body) != c.want {
				t.Errorf("got %s, %v; want %s", got.Body, err, c.want)
			}
		})
	}
	r := restDoc(t, `{"a":[1, 2],"b":"x"}`)
	if got := string(r.Member("a")); got != "[1,2]" {
		t.Errorf("member a: %q", got)
	}
	if got := r.Member("c"); got != nil {
		t.Errorf("member c: %q", got)
	}
}

func TestParseRESTRefuses(t *testing.T) {
	deep := strings.Repeat("[", fhir.MaxDepth) + strings.Repeat("]", fhir.MaxDepth)
	for _, c := range []struct {
		name, kind, body string
		limit            int
		want             syncerr.Kind
	}{
		{"type of FHIR", "Patient", `{}`, 0, syncerr.Invalid},
		{"no type", "a_b", `{}`, 0, syncerr.Invalid},
		{"empty", "program", ``, 0, syncerr.Invalid},
		{"list", "program", `[]`, 0, syncerr.Invalid},
		{"string", "program", `"x"`, 0, syncerr.Invalid},
		{"cut", "program", `{"uuid":"u1"`, 0, syncerr.Invalid},
		{"more behind it", "program", `{}{}`, 0, syncerr.Invalid},
		{"twice the same", "program", `{"a":1,"a":2}`, 0, syncerr.Invalid},
		{"twice the same below", "program", `{"a":{"b":1,"b":2}}`, 0, syncerr.Invalid},
		{"uuid is a number", "program", `{"uuid":1}`, 0, syncerr.Invalid},
		{"uuid is empty", "program", `{"uuid":""}`, 0, syncerr.Invalid},
		{"uuid with a slash", "program", `{"uuid":"a/b"}`, 0, syncerr.Invalid},
		{"invalid UTF-8", "program", "{\"a\":\"\xff\"}", 0, syncerr.Invalid},
		{"too deep", "program", `{"a":` + deep + `}`, 0, syncerr.Invalid},
		{"too large", "program", `{"a":"xxxxxxxxxxxx"}`, 10, syncerr.TooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := fhir.ParseREST(c.kind, []byte(c.body), c.limit)
			if err == nil {
				t.Fatalf("it is taken as %s", r.Key)
			}
			if syncerr.KindOf(err) != c.want {
				t.Errorf("got %v: %v", syncerr.KindOf(err), err)
			}
		})
	}
}

func TestSelection(t *testing.T) {
	for _, c := range []struct {
		name  string
		types []string
		yes   []string
		no    []string
	}{
		{"all", nil, []string{"Patient", "program"}, nil},
		{"none", []string{}, nil, []string{"Patient", "program"}},
		{"named", []string{"Patient", "program"}, []string{"Patient", "program"}, []string{"Media", "visittype"}},
		{"REST types", []string{"Patient", fhir.AnyREST}, []string{"Patient", "program"}, []string{"Media", fhir.AnyREST + "x"}},
		{"REST types but one", []string{fhir.AnyREST, fhir.Without("program")}, []string{"visittype"}, []string{"program", "Patient"}},
		{"nothing to take out of", []string{"visittype", fhir.Without("program")}, []string{"visittype"}, []string{"program"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			of := fhir.Selection(c.types)
			for want, list := range map[bool][]string{true: c.yes, false: c.no} {
				for _, x := range list {
					if fhir.Selected(c.types, x) != want || of(x) != want {
						t.Errorf("%s: got %v and %v, want %v", x, fhir.Selected(c.types, x), of(x), want)
					}
				}
			}
		})
	}
	for s, want := range map[string]bool{"Patient": true, "program": true, fhir.AnyREST: true, "-program": true, "-Patient": false, "-": false, "*": false, "patient": false} {
		if got := fhir.IsSelector(s); got != want {
			t.Errorf("IsSelector(%q) = %v", s, got)
		}
	}
}
