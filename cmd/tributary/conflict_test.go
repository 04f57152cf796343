package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/control"
)

func (m machine) get(t *testing.T, key string) string {
	t.Helper()
	res, err := http.Get(m.url() + "/fhir/R4/" + key)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// A conflict that waits for a person is seen, shown with both copies, resolved, and then the same everywhere.
func TestConflictResolvedByAPerson(t *testing.T) {
	nation := newMachine(t, "nation", "")
	nation.env = []string{"TRIBUTARY_CONFLICTS__DEFAULT=defer"}
	nation.serve(t)
	clinic := newMachine(t, "clinic", nation.url())
	clinic.write(t, "data/parent.token", nation.must(t, "child", "add", "clinic"))

	nation.put(t, "Patient/x", `{"resourceType":"Patient","id":"x"}`)
	clinic.must(t, "sync")
	clinic.must(t, "load", clinic.write(t, "x.json", `{"resourceType":"Patient","id":"x","gender":"male"}`))
	nation.put(t, "Patient/x", `{"resourceType":"Patient","id":"x","gender":"female"}`)
	if r := clinic.do(t, "sync"); r.code != 3 || !strings.Contains(r.out, "waits for the parent's decision") {
		t.Errorf("sync with a conflict: got exit code %d, want 3:\n%s%s", r.code, r.out, r.err)
	}

	var open []control.Conflict
	nation.value(t, &open, "conflict", "list", "--open", "--resource", "Patient/x")
	if len(open) != 1 || open[0].Status != "open" {
		t.Fatalf("got %+v", open)
	}
	shown := nation.must(t, "conflict", "show", open[0].UUID)
	for _, want := range []string{"It waits for a person", `"gender": "male"`, `"gender": "female"`, "resolve " + open[0].UUID} {
		if !strings.Contains(shown, want) {
			t.Errorf("conflict show does not say %q:\n%s", want, shown)
		}
	}
	nation.refused(t, 2, []string{"local, incoming"}, "conflict", "resolve", open[0].UUID, "both")
	nation.must(t, "conflict", "resolve", open[0].UUID, "incoming")
	nation.refused(t, 2, []string{"is none of pull, push, receive"}, "parked", "list", "--direction", "up")
	nation.refused(t, 1, []string{"nothing waits for a decision"}, "conflict", "resolve", open[0].UUID, "local")
	if shown := nation.must(t, "conflict", "show", open[0].UUID); !strings.Contains(shown, "The incoming copy won") {
		t.Errorf("got\n%s", shown)
	}

	clinic.must(t, "sync")
	clinic.serve(t)
	for _, m := range []machine{nation, clinic} {
		if body := m.get(t, "Patient/x"); !strings.Contains(body, `"gender":"male"`) {
			t.Errorf("got %s", body)
		}
	}
}

// Clinic and district edit one patient while the link is down: what each changed is merged, shown and explained. What both changed is decided
// field by field, by a file, by a rule, at the district or at the clinic.
func TestConflictMerged(t *testing.T) {
	district := newMachine(t, "district", "")
	district.serve(t)
	clinic := newMachine(t, "clinic", district.url())
	clinic.write(t, "data/parent.token", district.must(t, "child", "add", "clinic"))
	// apart lets both sides change a patient that both have, and meet again.
	apart := func(id, at, there string) {
		t.Helper()
		began := `{"resourceType":"Patient","id":"` + id + `","gender":"male","birthDate":"2000-01-01"}`
		district.put(t, "Patient/"+id, began)
		clinic.must(t, "sync")
		clinic.must(t, "load", clinic.write(t, id+".json", strings.Replace(began, `"gender":"male","birthDate":"2000-01-01"`, at, 1)))
		district.put(t, "Patient/"+id, strings.Replace(began, `"gender":"male","birthDate":"2000-01-01"`, there, 1))
		clinic.do(t, "sync")
	}
	same := func(id, want string) {
		t.Helper()
		clinic.do(t, "sync") // what it brings may be held until the answer to what it takes away
		if r := clinic.do(t, "sync"); r.code != 0 {
			t.Errorf("sync: %d\n%s%s", r.code, r.out, r.err)
		}
		var here, there control.Explanation
		clinic.value(t, &here, "explain", "Patient/"+id)
		district.value(t, &there, "explain", "Patient/"+id)
		if here.Current == nil || there.Current == nil || here.Current.Version != there.Current.Version || len(here.Held) != 0 {
			t.Errorf("%s: the clinic has %+v, the district %+v", id, here.Current, there.Current)
		}
		if body := district.get(t, "Patient/"+id); !strings.Contains(body, want) {
			t.Errorf("%s: got %s", id, body)
		}
		for _, c := range there.Conflicts {
			if c.Status != "decided" {
				t.Errorf("%s: a conflict is %s", id, c.Status)
			}
		}
	}
	open := func(id string) string {
		t.Helper()
		var list []control.Conflict
		district.value(t, &list, "conflict", "list", "--open", "--resource", "Patient/"+id)
		if len(list) != 1 {
			t.Fatalf("%s: %+v", id, list)
		}
		return list[0].UUID
	}

	apart("merged", `"gender":"female","birthDate":"2000-01-01"`, `"gender":"male","birthDate":"2000-01-02"`)
	same("merged", `"gender":"female","birthDate":"2000-01-02"`)
	var list []control.Conflict
	district.value(t, &list, "conflict", "list", "--resource", "Patient/merged")
	shown := district.must(t, "conflict", "show", list[0].UUID)
	for _, want := range []string{"were put together (merge)", "Patient.gender", "changed on the right", "Common ancestor", `"birthDate": "2000-01-01"`} {
		if !strings.Contains(shown, want) {
			t.Errorf("conflict show does not say %q:\n%s", want, shown)
		}
	}
	if told := district.must(t, "explain", "Patient/merged"); !strings.Contains(told, "were put together by the rule merge") {
		t.Errorf("got\n%s", told)
	}

	const mine, theirs = `"gender":"female","birthDate":"2000-01-01","active":true`, `"gender":"other","birthDate":"2000-01-02"`
	apart("fields", mine, theirs)
	id := open("fields")
	district.refused(t, 1, []string{"both sides changed Patient.gender"}, "conflict", "resolve", id, "--take", "Patient.active=local")
	district.refused(t, 1, []string{"do not differ at Patient.name"}, "conflict", "resolve", id, "--take", "Patient.name=local")
	district.must(t, "conflict", "resolve", id, "--take", "Patient.gender=incoming", "--why", "asked the mother")
	same("fields", `"gender":"female","birthDate":"2000-01-02","active":true`)
	if said := district.must(t, "audit", "--type", "Patient", "--id", "fields"); !strings.Contains(said, "RESOLVE") || !strings.Contains(said, "asked the mother") {
		t.Errorf("the audit says\n%s", said)
	}

	apart("file", mine, theirs)
	id = open("file")
	var conflict control.ShownConflict
	district.value(t, &conflict, "conflict", "show", id)
	merged := district.write(t, "merged.json", `{"resourceType":"Patient","id":"file","gender":"unknown"}`)
	other := district.write(t, "other.json", `{"resourceType":"Patient","id":"else"}`)
	wrong := district.write(t, "wrong.json", `{"resourceType":"Patient","id":"file","gender":"a","gender":"b"}`)
	odd := district.write(t, "odd.json", `{"resourceType":"Patient","id":"file","gender":["unknown"],"name":[{"famly":"A"}]}`)
	district.refused(t, 2, []string{"needs --basis"}, "conflict", "resolve", id, "--file", merged)
	district.refused(t, 1, []string{"it is Patient/else"}, "conflict", "resolve", id, "--file", other, "--basis", conflict.Basis)
	district.refused(t, 1, []string{"gender"}, "conflict", "resolve", id, "--file", wrong, "--basis", conflict.Basis)
	district.refused(t, 1, []string{"Patient.gender: may stand once", "Patient.name[0].famly"}, "conflict", "resolve", id, "--file", odd, "--basis", conflict.Basis)
	district.put(t, "Patient/file", `{"resourceType":"Patient","id":"file","gender":"other","birthDate":"2000-01-03"}`)
	district.refused(t, 1, []string{"was changed since"}, "conflict", "resolve", id, "--file", merged, "--basis", conflict.Basis)
	district.value(t, &conflict, "conflict", "show", id)
	district.must(t, "conflict", "resolve", id, "--file", merged, "--basis", conflict.Basis)
	same("file", `"gender":"unknown"`)

	apart("clinic", mine, theirs)
	clinic.value(t, &list, "conflict", "list", "--open")
	if len(list) != 1 || list[0].Status != "held" {
		t.Errorf("at the clinic: %+v", list)
	}
	shown = clinic.must(t, "conflict", "show", "Patient/clinic")
	for _, want := range []string{"Patient.gender", "changed on both sides, differently", "Patient.active", "added on the left", "Common ancestor", " by clinic\n", " by district\n"} {
		if !strings.Contains(shown, want) {
			t.Errorf("conflict show at the clinic does not say %q:\n%s", want, shown)
		}
	}
	clinic.must(t, "conflict", "resolve", "Patient/clinic", "incoming")
	same("clinic", `"gender":"other"`)

	apart("both", mine, theirs)
	clinic.must(t, "conflict", "resolve", "Patient/both", "incoming")
	district.must(t, "conflict", "resolve", open("both"), "incoming")
	same("both", `"gender":"`)

	apart("rule", mine, theirs)
	district.refused(t, 1, []string{"no rule that decides"}, "conflict", "resolve", "--rule", "defer")
	said := district.must(t, "conflict", "resolve", "--rule", "merge,source-wins", "--dry-run")
	if !strings.Contains(said, "1 would be decided") || !strings.Contains(district.get(t, "Patient/rule"), "other") {
		t.Errorf("got\n%s", said)
	}
	if said := district.must(t, "conflict", "resolve", "--rule", "merge", "--type", "Patient"); !strings.Contains(said, "1 left open") {
		t.Errorf("got\n%s", said)
	}
	district.must(t, "conflict", "resolve", "--rule", "merge,source-wins", "--type", "Patient")
	same("rule", `"gender":"female","birthDate":"2000-01-02","active":true`)
}
