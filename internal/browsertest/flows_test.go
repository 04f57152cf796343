package browsertest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/control"
)

// flows are what people do. They share one network and go one after the other, those that change it last.
func (w *country) flows(t *testing.T, d *driver) {
	no := false
	at := func(n *running) look { return look{Origin: n.url, Width: 1280} }
	flow := func(name string, steps func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			w.reportTo(t)
			steps(t)
		})
	}
	defer w.reportTo(w.t)

	flow("keyboard", func(t *testing.T) {
		for _, path := range []string{"/", "/audit", w.conflict(control.ConflictOpen)} {
			d.take(t, "keyboard", at(w.district), record{"path": path, "to": "/parked"})
		}
	})
	flow("languages", func(t *testing.T) {
		d.take(t, "languages", at(w.lake), record{"path": "/parked", "other": "/", "names": record{
			"fr": "Français", "pt": "Português", "es": "Español", "en": "English",
		}})
	})
	flow("without script", func(t *testing.T) {
		paths := map[*running][]string{}
		for _, p := range w.places() {
			if p.status == 0 {
				paths[p.node] = append(paths[p.node], p.path)
			}
		}
		for n, list := range paths {
			l := at(n)
			l.Script = &no
			d.take(t, "plain", l, record{"paths": list})
		}
	})
	flow("a record is found", func(t *testing.T) {
		d.take(t, "search", at(w.lake), record{"path": "/explain", "key": settled})
	})
	flow("Home renews itself", func(t *testing.T) {
		d.take(t, "live", at(w.lake), record{"record": record{"resourceType": "SupplyDelivery", "id": "vaccines", "status": "completed"}})
	})
	flow("the audit is filtered, taken along, and explains itself", func(t *testing.T) {
		d.take(t, "audit", at(w.hill), record{
			"path": "/audit", "type": "Encounter", "outcome": "parked", "rows": len(w.hill.audit(audit.Query{Type: "Encounter", Outcome: audit.Parked})),
			"cause": "The change could not be taken over then",
		})
	})
	flow("what is parked is tried again, given up and taken up", func(t *testing.T) {
		parked := func() control.Parked { return w.hill.parked()[0] }
		path, tries := "/parked/"+parked().UUID, parked().Attempts
		d.take(t, "press", at(w.hill), record{"path": path, "button": "Try again now", "words": []string{dangling}, "name": "flow-parked-retried"})
		w.hill.sync() // a round comes by itself when the parent has held the one before for long enough
		w.until("it was tried again", func() bool { return parked().Attempts > tries })
		d.take(t, "press", at(w.hill), record{
			"path": path, "button": "Give up", "fill": record{"Why give it up": "Entered twice"}, "words": []string{"Entered twice", "Take it up again"}, "name": "flow-parked-given-up",
		})
		d.take(t, "shows", at(w.hill), record{"path": "/parked", "words": []string{"Given up", "Entered twice"}, "name": "flow-parked-with-one-given-up"})
		d.take(t, "press", at(w.hill), record{"path": path, "button": "Take it up again", "words": []string{"Try again now"}, "name": "flow-parked-taken-up"})
		w.lake.put(patient(awaited, "+255 700 000 009", "3 Station Street"))
		w.until("clinic-hill has what waited", func() bool { return w.hill.get(dangling) != nil })
		d.take(t, "shows", at(w.hill), record{"path": "/parked", "words": []string{"Nothing is set aside"}, "name": "flow-parked-done"})
	})
	flow("all that is parked of one cause is tried again at once", func(t *testing.T) {
		const patients = 2
		for n := range patients {
			w.district.put(encounter(fmt.Sprint("Encounter/waiting-", n), fmt.Sprint("Patient/late-", n)))
		}
		w.until("clinic-hill has parked them", func() bool { return len(w.hill.parked()) == patients })
		tries := func() (least int) {
			for i, p := range w.hill.parked() {
				if i == 0 || p.Attempts < least {
					least = p.Attempts
				}
			}
			return least
		}
		before := tries()
		d.take(t, "press", at(w.hill), record{
			"path": "/parked", "button": "Try all 2 like this now", "words": []string{"2 changes:", "at the next round"}, "name": "flow-parked-all-retried",
		})
		w.hill.sync()
		w.until("both were tried again", func() bool { return tries() > before })
		for n := range patients {
			w.district.put(patient(fmt.Sprint("Patient/late-", n), "+255 700 000 011", "9 Lake View"))
		}
		w.until("clinic-hill has what waited", func() bool { return len(w.hill.parked()) == 0 })
	})
	flow("a conflict is resolved field by field at the district and its clinic has the result", func(t *testing.T) {
		d.take(t, "merge", at(w.district), record{
			"path": w.conflict(control.ConflictOpen), "remark": "Confirmed by the ward sister", "name": "flow-conflict-merged",
			"take": record{"code": record{"side": "incoming"}, "criticality": record{"own": "unable-to-assess"}},
		})
		w.until("clinic-lake has the decision", func() bool { return same(w.lake.get(deferred), w.district.get(deferred)) })
		if got := w.lake.get(deferred); got["criticality"] != "unable-to-assess" || got["code"].(map[string]any)["text"] != "Penicillin V" {
			t.Errorf("clinic-lake has %v, the district %v", got, w.district.get(deferred))
		}
		d.take(t, "shows", at(w.lake), record{"path": "/explain/" + deferred, "words": []string{"district"}, "name": "flow-decision-at-the-clinic"})
	})
	flow("a conflict is resolved by taking a side", func(t *testing.T) {
		w.rival(allergy(deferred, "Latex", "low"), allergy(deferred, "Peanuts", "high"))
		d.take(t, "resolve", at(w.district), record{
			"path": w.conflict(control.ConflictOpen), "keep": "Keep the other copy", "remark": "The mother was asked", "name": "flow-conflict-one-side",
		})
		w.until("all clinics have the decision", func() bool {
			return same(w.lake.get(deferred), w.district.get(deferred)) && same(w.hill.get(deferred), w.district.get(deferred))
		})
		if got := w.hill.get(deferred); got["code"].(map[string]any)["text"] != "Latex" {
			t.Errorf("clinic-hill has %v", got["code"])
		}
	})
	flow("conflicts are resolved by a rule, after a look at what it would do", func(t *testing.T) {
		w.rival(allergy(deferred, "Aspirin", "low"), allergy(deferred, "Ibuprofen", "high"))
		d.take(t, "byRule", at(w.district), record{
			"path": "/conflicts", "rule": "last-writer-wins", "type": "AllergyIntolerance", "remark": "Agreed at the weekly meeting",
			"would": []string{"It would decide 1 conflict.", "Nothing was changed yet.", deferred}, "did": []string{"1 conflict was decided."}, "name": "flow-conflicts-by-rule",
		})
		w.until("all clinics have the decision", func() bool {
			return same(w.lake.get(deferred), w.district.get(deferred)) && same(w.hill.get(deferred), w.district.get(deferred))
		})
		if got := w.lake.get(deferred); got["code"].(map[string]any)["text"] != "Ibuprofen" {
			t.Errorf("clinic-lake has %v", got["code"])
		}
	})
	flow("what is synchronised is changed after a look at what that would do", func(t *testing.T) {
		d.take(t, "settings", at(w.lake), record{
			"path": "/settings", "type": "Observation", "other": "Patient", "client": "fhir", "done": "The settings are changed and in force.",
			"would": []string{"Observation: not sent to the parent any more.", "Patient: goes to the parent by: FHIR interface."},
		})
		changed := w.lake.audit(audit.Query{Operation: audit.Admin, Limit: 1})[0]
		d.take(t, "shows", at(w.lake), record{
			"path": fmt.Sprint("/audit/", changed.ID), "words": []string{"The settings were changed", "Push of Observation: on -> off", "dashboard"}, "name": "flow-settings-audited",
		})
		w.lake.put(record{"resourceType": "Observation", "id": "kept", "status": "final", "code": record{"text": "Weight"}})
		w.lake.put(patient("Patient/after-the-settings", "+255 700 000 010", "5 Hill Road"))
		w.until("the district has what was written last", func() bool { return w.district.get("Patient/after-the-settings") != nil })
		if w.district.get("Observation/kept") != nil {
			t.Error("the district has an Observation that is not sent any more")
		}
	})
	flow("a clinic is cut off and the nation's Network page names it in time", func(t *testing.T) {
		heard := func() {
			w.lake.sync()
			w.district.sync()
		}
		w.hill.cable.cut.Store(true)
		defer w.hill.cable.cut.Store(false)
		w.district.put(patient("Patient/ends-the-waiting", "+255 700 000 011", "6 Hill Road")) // whoever waits for news is answered
		w.until("clinic-hill's last request has come before the time goes on", func() bool { return w.hill.cable.flying.Load() == 0 })
		w.clock.pass(23 * time.Hour) // of the 24 after which a node counts as silent
		heard()
		w.until("only clinic-island is silent", func() bool { return slices.Equal(w.nation.silent(), []string{"clinic-island"}) })
		d.take(t, "shows", at(w.nation), record{"path": "/network?trouble=silent", "words": []string{"1 silent", "clinic-island"}, "name": "flow-network-before"})
		w.clock.pass(time.Hour + time.Minute)
		heard()
		w.until("clinic-hill is silent", func() bool { return slices.Equal(w.nation.silent(), []string{"clinic-hill", "clinic-island"}) })
		d.take(t, "shows", at(w.nation), record{"path": "/network", "words": []string{"2 silent", "clinic-hill", "clinic-island"}, "name": "flow-network-names-it"})
	})
}

// reportTo has what the network waits for and asks fail another test.
func (w *country) reportTo(t *testing.T) {
	w.t = t
	for _, n := range w.nodes {
		n.t = t
	}
}

// conflict returns the path of the page of the latest conflict that stands like that.
func (w *country) conflict(status string) string {
	w.t.Helper()
	list := w.district.conflicts(control.ConflictQuery{Status: status})
	if len(list) == 0 {
		w.t.Fatalf("no conflict is %s", status)
	}
	return "/conflicts/" + list[0].UUID
}
