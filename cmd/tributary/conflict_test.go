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
	nation.refused(t, 1, []string{"no open conflict"}, "conflict", "resolve", open[0].UUID, "local")
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
