package device_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// A device sees what its scope finds, learns of what leaves it as deleted, and of what comes into it as created.
func TestScope(t *testing.T) {
	each(t, func(w *world) {
		w.put("Organization", "a", "")
		for _, id := range []string{"1", "2", "3"} {
			w.put("Patient", id, `,"managingOrganization":{"reference":"Organization/`+map[string]string{"1": "a", "2": "a", "3": "b"}[id]+`"}`)
		}
		w.put("Observation", "o", `,"status":"final","code":{"text":"x"}`)
		p := w.admit("phone", "Patient?organization=Organization/a")
		want(w.t, p.sync(), "created Patient/1, created Patient/2")
		w.put("Patient", "1", `,"managingOrganization":{"reference":"Organization/b"}`)
		w.put("Patient", "3", `,"managingOrganization":{"reference":"Organization/a"}`)
		w.put("Patient", "4", `,"managingOrganization":{"reference":"Organization/b"}`)
		w.put("Observation", "o", `,"status":"amended","code":{"text":"x"}`)
		want(w.t, p.sync(), "deleted Patient/1, created Patient/3")
		p.nothing()
		w.remove("Patient", "4") // it never had it
		p.nothing()
		w.put("Patient", "1", `,"managingOrganization":{"reference":"Organization/a"}`)
		want(w.t, p.sync(), "created Patient/1")

		// It comes back while its deletion is on the way: the device deletes it, and has to get it again.
		w.remove("Patient", "1")
		got := p.drain(p.start(1, 1))
		want(w.t, text(got), "deleted Patient/1")
		w.put("Patient", "1", `,"managingOrganization":{"reference":"Organization/a"}`)
		p.ack(got...)
		want(w.t, p.sync(), "created Patient/1")
		p.nothing()
	})
}

// A scope that an operator changes is carried out at the next session, also in the middle of one, and acknowledgements of what was given
// before the change count for nothing.
func TestScopeChanges(t *testing.T) {
	each(t, func(w *world) {
		set := func(scope ...string) {
			w.t.Helper()
			if _, err := w.Control().SetDevice(context.Background(), "phone", scope); err != nil {
				w.t.Fatal(err)
			}
		}
		for i := range 3 {
			w.put("Patient", fmt.Sprint(i), fmt.Sprintf(`,"active":%t`, i > 0))
			w.put("Location", fmt.Sprint(i), "")
		}
		p := w.admit("phone", "Patient")
		want(w.t, p.sync(), "created Patient/0, created Patient/1, created Patient/2")
		set("Patient?active=true", "Location?_id=1,2")
		want(w.t, p.sync(), "deleted Patient/0, created Location/1, created Location/2")
		set("*")
		want(w.t, p.sync(), "created Location/0, created Patient/0")
		p.nothing()

		w.put("Patient", "1", `,"active":true,"gender":"other"`)
		s := p.start(1, 1)
		got := p.page(s)
		set("Location", "Patient?_id=1,2")
		p.ack(got.Items...)
		want(w.t, p.sync(), "updated Patient/1, deleted Patient/0")
		p.nothing()
		set("Location")
		gone := p.drain(p.start(1, 2))
		want(w.t, text(gone), "deleted Patient/1, deleted Patient/2")
		set("Location", "Patient")
		p.ack(gone...) // it deleted them, and they are its own again: it must not be taken to have them
		want(w.t, p.sync(), "updated Patient/1, updated Patient/2, created Patient/0")
		p.nothing()
		if _, err := w.Control().SetDevice(context.Background(), "tablet", []string{"*"}); syncerr.KindOf(err) != syncerr.NotFound {
			w.t.Error(err)
		}
	})
}

// A scope that follows references is looked at anew at each session: what comes into it need not have changed itself.
func TestScopeOverReferences(t *testing.T) {
	each(t, func(w *world) {
		patient := func(id, org string) {
			w.put("Patient", id, `,"managingOrganization":{"reference":"Organization/`+org+`"}`)
		}
		patient("1", "a")
		patient("2", "b")
		for _, id := range []string{"1", "2"} {
			w.put("Observation", "o"+id, `,"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/`+id+`"}`)
		}
		p := w.admit("phone", "Observation?subject:Patient.organization=Organization/a")
		want(w.t, p.sync(), "created Observation/o1")
		p.nothing()
		patient("1", "b")
		patient("2", "a")
		want(w.t, p.sync(), "deleted Observation/o1, created Observation/o2")
		p.nothing()
	})
}

// A queue of many types and of more than one step is whole, whichever way the scope finds it.
func TestLargeQueues(t *testing.T) {
	each(t, func(w *world) {
		const each = 1100
		w.fill("Patient", each, "p%04d", func(i int) string { return fmt.Sprintf(`,"active":%t`, i%2 == 0) })
		w.fill("Location", each, "l%04d", nil)
		for scope, count := range map[string]int{"*": 2 * each, "Location": each, "Patient?active=true": each / 2, "Patient?active=true,false": each} {
			p := w.admit(fmt.Sprint("device", len(scope)), scope)
			got := p.drain(p.start((count+99)/100, count))
			if len(got) != count || len(distinct(got)) != count {
				w.t.Errorf("%s: %d items, %d different", scope, len(got), len(distinct(got)))
			}
			p.ack(got...)
			p.nothing()
		}
	})
}

// What was collected from the log is deleted for a device all the same, and a long absence costs it nothing.
func TestAfterCollection(t *testing.T) {
	each(t, func(w *world) {
		p := w.admit("phone", "*")
		w.put("Patient", "1", "")
		w.put("Patient", "2", "")
		w.put("Patient", "3", "")
		p.sync()
		w.remove("Patient", "1")
		w.put("Patient", "2", `,"active":true`)
		w.now = w.now.Add(400 * 24 * time.Hour)
		if err := w.Upkeep(context.Background()); err != nil {
			w.t.Fatal(err)
		}
		w.put("Patient", "4", "")
		if _, ok, err := w.Engine().Store().Get(context.Background(), fhir.Key{Type: "Patient", ID: "1"}); ok || err != nil {
			w.t.Fatal("the deletion was not collected", err)
		}
		want(w.t, p.sync(), "deleted Patient/1, updated Patient/2, created Patient/4")
		p.nothing()
	})
}
