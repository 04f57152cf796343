package clients_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/emrtest"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
)

// emr is an OpenMRS with a client of it.
type emr struct {
	*emrtest.Server
	*clients.REST
	t *testing.T
}

func secret(s string) func() (string, error) { return func() (string, error) { return s, nil } }

func newEMR(t *testing.T) emr {
	t.Helper()
	s := emrtest.New()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	opts := clients.RESTOptions{OpenMRS: true, Authorize: clients.Basic(emrtest.User, secret(emrtest.Password))}
	return emr{s, clients.NewREST(srv.URL+"/", opts, srv.Client().Transport), t}
}

func (e emr) read(k fhir.Key) resourcemanager.Copy {
	e.t.Helper()
	got, err := e.Read(e.t.Context(), []resourcemanager.Want{{Key: k}})
	if err != nil || len(got) != 1 || got[0].Key != k {
		e.t.Fatalf("read %s: %+v, %v", k, got, err)
	}
	return got[0]
}

func (e emr) write(edit resourcemanager.Edit) resourcemanager.Answer {
	e.t.Helper()
	got, err := e.Write(e.t.Context(), []resourcemanager.Edit{edit})
	if err != nil || len(got) != 1 {
		e.t.Fatalf("write %s: %+v, %v", edit.Key, got, err)
	}
	return got[0]
}

func (e emr) done(edit resourcemanager.Edit) resourcemanager.Answer {
	e.t.Helper()
	a := e.write(edit)
	if a.Fate != resourcemanager.Done {
		e.t.Fatalf("write %s: %+v", edit.Key, a)
	}
	return a
}

// A document that OpenMRS has at one place is created, changed, voided and brought back at another one, in the form that it takes: with the uuid,
// references by uuid, nothing that may not be set.
func TestOpenMRSDocument(t *testing.T) {
	from, to := newEMR(t), newEMR(t)
	k := fhir.Key{Type: "program", ID: "64f950e6-1b07-4ac0-8e7e-f3e148f3463f"}
	fields := map[string]any{"name": "HIV", "description": "x", "concept": "138405AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
	from.Put("program", k.ID, fields)
	original := from.read(k)
	if original.State != resourcemanager.Present || !strings.HasPrefix(original.Tag, "2023-") || original.Modified.IsZero() || !gjson.GetBytes(original.Content, "concept.display").Exists() {
		t.Fatalf("read: %+v %s", original, original.Content)
	}
	if got := to.read(k); got.State != resourcemanager.Absent {
		t.Fatalf("before: %+v", got)
	}
	made := to.done(resourcemanager.Edit{Key: k, Content: original.Content, Create: true})
	if made.Copy.State != resourcemanager.Present || made.Copy.Tag == "" || gjson.GetBytes(made.Copy.Content, "concept.uuid").String() != fields["concept"] {
		t.Fatalf("made: %+v %s", made, made.Copy.Content)
	}
	if again := to.write(resourcemanager.Edit{Key: k, Content: original.Content, Create: true}); again.Fate != resourcemanager.Stale || again.Copy.Tag != made.Copy.Tag {
		t.Errorf("made twice: %+v", again)
	}

	fields["name"] = "HIV and TB"
	from.Put("program", k.ID, fields)
	changed := to.done(resourcemanager.Edit{Key: k, Content: from.read(k).Content, Base: made.Copy.Tag})
	if gjson.GetBytes(changed.Copy.Content, "name").String() != "HIV and TB" || changed.Copy.Tag == made.Copy.Tag {
		t.Errorf("changed: %+v %s", changed, changed.Copy.Content)
	}
	calls := len(to.Calls())
	same := to.done(resourcemanager.Edit{Key: k, Content: from.read(k).Content, Base: changed.Copy.Tag})
	if same.Copy.Tag != changed.Copy.Tag || slices.ContainsFunc(to.Calls()[calls:], func(c string) bool { return strings.HasPrefix(c, "POST") }) {
		t.Errorf("what is the same already was written: %v", to.Calls()[calls:])
	}
	if stale := to.write(resourcemanager.Edit{Key: k, Content: original.Content, Base: made.Copy.Tag}); stale.Fate != resourcemanager.Stale || stale.Copy.Tag != changed.Copy.Tag {
		t.Errorf("on an old base: %+v", stale)
	}
	if stale := to.write(resourcemanager.Edit{Key: k, Base: made.Copy.Tag}); stale.Fate != resourcemanager.Stale {
		t.Errorf("deleted on an old base: %+v", stale)
	}

	gone := to.done(resourcemanager.Edit{Key: k, Base: changed.Copy.Tag})
	if gone.Copy.State != resourcemanager.Gone || !gjson.GetBytes(to.Full(k.ID), "retired").Bool() {
		t.Errorf("deleted: %+v %s", gone, to.Full(k.ID))
	}
	if calls := strings.Join(to.Calls(), "\n"); !strings.Contains(calls, "DELETE /ws/rest/v1/program/"+k.ID+"?reason=") || strings.Contains(calls, "purge") {
		t.Errorf("deleted by\n%s", calls)
	}
	fields["name"] = "again"
	from.Put("program", k.ID, fields)
	back := to.done(resourcemanager.Edit{Key: k, Content: from.read(k).Content, Base: gone.Copy.Tag, Revive: true})
	if back.Copy.State != resourcemanager.Present || gjson.GetBytes(back.Copy.Content, "name").String() != "again" {
		t.Errorf("brought back: %+v %s", back, back.Copy.Content)
	}
}

// What has an address below a document is written there.
func TestOpenMRSSubResources(t *testing.T) {
	from, to := newEMR(t), newEMR(t)
	k := fhir.Key{Type: "concept", ID: "c1"}
	name := func(id, text string) map[string]any { return map[string]any{"uuid": id, "name": text, "locale": "en"} }
	concept := func(names ...any) map[string]any {
		return map[string]any{"datatype": "d1", "conceptClass": "cc1", "names": names}
	}
	from.Put("concept", k.ID, concept(name("n1", "one"), name("n2", "two"), name("n4", "four")))
	made := to.done(resourcemanager.Edit{Key: k, Content: from.read(k).Content, Create: true})
	from.Put("concept", k.ID, concept(name("n1", "one"), name("n2", "zwei"), name("n3", "three")))
	before := len(to.Calls())
	changed := to.done(resourcemanager.Edit{Key: k, Content: from.read(k).Content, Base: made.Copy.Tag})
	var got []string
	for _, n := range gjson.GetBytes(changed.Copy.Content, "names").Array() {
		got = append(got, n.Get("uuid").String()+"="+n.Get("name").String())
	}
	if slices.Sort(got); strings.Join(got, " ") != "n1=one n2=zwei n3=three" {
		t.Errorf("got %v", got)
	}
	var wrote []string
	for _, c := range to.Calls()[before:] {
		if !strings.HasPrefix(c, "GET") {
			wrote = append(wrote, c)
		}
	}
	want := []string{"POST /ws/rest/v1/concept/c1/name/n2", "POST /ws/rest/v1/concept/c1/name", "DELETE /ws/rest/v1/concept/c1/name/n4"}
	if !slices.Equal(wrote, want) {
		t.Errorf("wrote %v, want %v", wrote, want)
	}
}

const (
	aPatient = `{"resourceType":"Patient","id":"p1","identifier":[{"id":"i1","extension":[{"url":"http://fhir.openmrs.org/ext/patient/identifier#location","valueReference":{"reference":"Location/l1"}}],` +
		`"type":{"coding":[{"code":"05a29f94-c0ed-11e2-94be-8c13b969e334"}]},"value":"10001"}],"name":[{"given":["Betty","B"],"family":"Williams"}],"gender":"female","birthDate":"1972-04"}`
	aLocation = `{"resourceType":"Location","id":"l1","name":"Ward","description":"the first"}`
)

// What FHIR2 cannot create under an id is made over REST first, and is the resource itself afterwards.
func TestOpenMRSCreatesResources(t *testing.T) {
	subject := `"subject":{"reference":"Patient/p1"}`
	for _, c := range []struct{ name, doc, by string }{
		{"Location", aLocation, "location"},
		{"Group", `{"resourceType":"Group","id":"x","name":"Cohort"}`, "cohort"},
		{"Person", `{"resourceType":"Person","id":"x","name":[{"given":["A"],"family":"B"}],"gender":"other"}`, "person"},
		{"Patient", aPatient, "patient"},
		{"Encounter", `{"resourceType":"Encounter","id":"x","type":[{"coding":[{"system":"http://fhir.openmrs.org/code-system/encounter-type","code":"e1"}]}],` + subject + `,"period":{"start":"2020-01-02T03:04:05+00:00"}}`, "encounter"},
		{"visit", `{"resourceType":"Encounter","id":"x","type":[{"coding":[{"system":"http://fhir.openmrs.org/code-system/visit-type","code":"v1"}]}],` + subject + `}`, "visit"},
		{"Observation", `{"resourceType":"Observation","id":"x","code":{"coding":[{"system":"http://loinc.org","code":"1-8"},{"code":"c1"}]},` + subject + `,"effectiveDateTime":"2020-01-02","valueQuantity":{"value":1.5}}`, "obs"},
		{"AllergyIntolerance", `{"resourceType":"AllergyIntolerance","id":"x","category":["food"],"code":{"coding":[{"code":"c1"}]},"patient":{"reference":"Patient/p1"}}`, "patient/p1/allergy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEMR(t)
			if strings.Contains(c.doc, "Patient/p1") {
				e.Put("patient", "p1", nil)
			}
			r, err := fhir.Parse([]byte(c.doc), 0)
			if err != nil {
				t.Fatal(err)
			}
			made := e.done(resourcemanager.Edit{Key: r.Key, Content: r.Body, Create: true})
			got, err := fhir.Parse(made.Copy.Content, 0)
			if err != nil || got.Hash() != r.Hash() {
				t.Errorf("it is %s, %v; want %s", made.Copy.Content, err, r.Body)
			}
			if made.Copy.Tag == "" || made.Copy.Tag != e.read(r.Key).Tag || made.Copy.Modified.IsZero() {
				t.Errorf("%+v", made.Copy)
			}
			calls := e.Calls()
			if i := slices.Index(calls, "POST /ws/rest/v1/"+c.by); i < 0 || !slices.Contains(calls[i:], "PUT /ws/fhir2/R4/"+r.Key.String()) {
				t.Errorf("made by %v", calls)
			}
			changed := e.done(resourcemanager.Edit{Key: r.Key, Content: []byte(strings.Replace(c.doc, `{"r`, `{"language":"fr","r`, 1)), Base: made.Copy.Tag})
			if changed.Copy.Tag == made.Copy.Tag || !strings.Contains(string(changed.Copy.Content), `"fr"`) {
				t.Errorf("changed: %+v %s", changed, changed.Copy.Content)
			}
			gone := e.done(resourcemanager.Edit{Key: r.Key, Base: changed.Copy.Tag})
			if gone.Copy.State != resourcemanager.Gone || e.read(r.Key).State != resourcemanager.Gone {
				t.Errorf("deleted: %+v", gone)
			}
			if c.by == "patient/p1/allergy" {
				return // it has no collection in which it could be brought back
			}
			back := e.done(resourcemanager.Edit{Key: r.Key, Content: r.Body, Revive: true, Base: gone.Copy.Tag})
			if got, err := fhir.Parse(back.Copy.Content, 0); err != nil || got.Hash() != r.Hash() {
				t.Errorf("brought back: %s, %v", back.Copy.Content, err)
			}
		})
	}
}

// What OpenMRS will not take is refused with its reason, leaves nothing half there, and does not stop the rest.
func TestOpenMRSRefuses(t *testing.T) {
	e := newEMR(t)
	e.Put("patient", "p1", nil)
	program := func(id, body string) resourcemanager.Edit {
		return resourcemanager.Edit{Key: fhir.Key{Type: "program", ID: id}, Content: []byte(body), Create: true}
	}
	resource := func(doc string) resourcemanager.Edit {
		r, err := fhir.Parse([]byte(doc), 0)
		if err != nil {
			t.Fatal(err)
		}
		return resourcemanager.Edit{Key: r.Key, Content: r.Body, Create: true}
	}
	cases := []struct {
		edit resourcemanager.Edit
		want string // empty for what is taken
	}{
		{program("good1", `{"uuid":"good1","name":"a","concept":"c"}`), ""},
		{program("bad1", `{"uuid":"bad1","name":"a"}`), "required properties are missing: concept"},
		{resourcemanager.Edit{Key: fhir.Key{Type: "nosuchthing", ID: "x"}, Content: []byte(`{"uuid":"x"}`), Create: true}, "Unknown resource"},
		{resource(strings.NewReplacer(`"p1"`, `"p2"`, `"identifier"`, `"identifiers"`).Replace(aPatient)), "identifier is missing"},
		{resource(strings.NewReplacer(`"p1"`, `"p2"`, `"coding"`, `"codings"`).Replace(aPatient)), "uuid of its type"},
		{resource(`{"resourceType":"Observation","id":"o","code":{"text":"x"}}`), "subject is missing"},
		{resource(`{"resourceType":"AllergyIntolerance","id":"a","patient":{"reference":"Patient/.."}}`), "patient is missing"},
		{resource(`{"resourceType":"Claim","id":"c"}`), "HAPI-0302"},
		{resource(`{"resourceType":"Condition","id":"c"}`), "not known"},
		{resource(`{"resourceType":"Basic","id":".."}`), "no address"},
		{program("good2", `{"uuid":"good2","name":"a","concept":{"uuid":"c","display":"C"}}`), ""},
	}
	var edits []resourcemanager.Edit
	for _, c := range cases {
		edits = append(edits, c.edit)
	}
	got, err := e.Write(t.Context(), edits)
	if err != nil || len(got) != len(cases) {
		t.Fatalf("%d answers, %v", len(got), err)
	}
	for i, c := range cases {
		switch {
		case c.want == "" && got[i].Fate != resourcemanager.Done,
			c.want != "" && (got[i].Fate != resourcemanager.Refused || !strings.Contains(got[i].Reason, c.want) || strings.Contains(got[i].Reason, "org.openmrs")):
			t.Errorf("%s: %+v, want %q", c.edit.Key, got[i], c.want)
		}
	}

	// Half of a resource is taken back: FHIR2 refuses what REST made.
	l := resource(strings.Replace(aLocation, `"Ward"`, `"Ward","status":"broken"`, 1))
	e.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		w.Header().Set("Content-Type", "application/fhir+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","diagnostics":"status is not one"}]}`)
		return true
	}
	if a := e.write(l); a.Fate != resourcemanager.Refused || !strings.Contains(a.Reason, "status is not one") {
		t.Errorf("%+v", a)
	}
	if e.Full("l1") != nil {
		t.Errorf("a location is left that has nothing but a name: %s", e.Full("l1"))
	}
}

// Errors of fields are in the reason; what may not be set is never sent.
func TestOpenMRSUpdateErrors(t *testing.T) {
	e := newEMR(t)
	e.Put("program", "p", map[string]any{"name": "a", "concept": "c"})
	now := e.read(fhir.Key{Type: "program", ID: "p"})
	for _, c := range []struct{ body, want string }{
		{`{"uuid":"p","name":"","concept":"c"}`, "Name cannot be empty"},
		{`{"uuid":"p","name":"a","concept":"other"}`, "not allowed to be set: concept"},
	} {
		a := e.write(resourcemanager.Edit{Key: now.Key, Content: []byte(c.body), Base: now.Tag})
		if a.Fate != resourcemanager.Refused || !strings.Contains(a.Reason, c.want) {
			t.Errorf("%s: %+v", c.body, a)
		}
	}
	if got := e.read(now.Key); got.Tag != now.Tag {
		t.Errorf("it was changed: %s", got.Content)
	}
}

// The session that OpenMRS opens is used again, and another one is opened when it has ended.
func TestOpenMRSSessions(t *testing.T) {
	e := newEMR(t)
	e.Put("program", "p", map[string]any{"name": "a", "concept": "c"})
	for range 5 {
		e.read(fhir.Key{Type: "program", ID: "p"})
	}
	if n := e.Logins(); n != 1 {
		t.Errorf("%d logins for five requests", n)
	}
	e.Expire()
	e.read(fhir.Key{Type: "program", ID: "p"})
	if n := e.Logins(); n != 2 {
		t.Errorf("%d logins after the session ended", n)
	}
	_, err := clients.NewREST("http://emr.example", clients.RESTOptions{OpenMRS: true, Authorize: clients.Basic("a", secret("b:c"))}, nil).
		Read(t.Context(), []resourcemanager.Want{{Key: fhir.Key{Type: "program", ID: "p"}}})
	if syncerr.KindOf(err) != syncerr.Usage || !strings.Contains(err.Error(), "colon") {
		t.Errorf("a password that OpenMRS cuts: %v", err)
	}
	for text, want := range map[string]string{"token": "Bearer token", "ann:secret": "Basic YW5uOnNlY3JldA==", "": ""} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if err := clients.Credential(secret(text))(r); err != nil || r.Header.Get("Authorization") != want {
			t.Errorf("%q: %q, %v", text, r.Header.Get("Authorization"), err)
		}
	}
}

// A version that OpenMRS no longer has is not taken for the present one.
func TestOpenMRSHasNoHistory(t *testing.T) {
	e := newEMR(t)
	k := fhir.Key{Type: "program", ID: "p"}
	e.Put("program", "p", map[string]any{"name": "a", "concept": "c"})
	old := e.read(k)
	e.Put("program", "p", map[string]any{"name": "b", "concept": "c"})
	got, err := e.Read(t.Context(), []resourcemanager.Want{{Key: k, Tag: old.Tag}, {Key: k, Tag: e.read(k).Tag}})
	if err != nil || got[0].State != resourcemanager.Absent || got[1].State != resourcemanager.Present {
		t.Errorf("%+v, %v", got, err)
	}
	if !json.Valid(got[1].Content) {
		t.Error("no content")
	}
}
