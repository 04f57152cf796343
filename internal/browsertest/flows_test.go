package browsertest_test

import (
	"testing"

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
	flow("a conflict is resolved at the district and its clinic has the result", func(t *testing.T) {
		path, before := w.conflict(control.ConflictOpen), w.lake.get(deferred)
		d.take(t, "resolve", at(w.district), record{"path": path, "keep": "clinic-lake", "remark": "Confirmed by the ward sister"})
		w.until("clinic-lake has the decision", func() bool {
			return same(w.lake.get(deferred), w.district.get(deferred)) && !same(w.lake.get(deferred), before)
		})
		d.take(t, "shows", at(w.lake), record{"path": "/explain/" + deferred, "words": []string{"district"}, "name": "flow-decision-at-the-clinic"})
	})
}

// reportTo has what the network waits for and asks fail another test.
func (w *country) reportTo(t *testing.T) {
	w.t = t
	for _, n := range w.nodes {
		n.t = t
	}
}

// conflict returns the path of the page of the only conflict that stands like that.
func (w *country) conflict(status string) string {
	w.t.Helper()
	list := w.district.conflicts(control.ConflictQuery{Status: status})
	if len(list) != 1 {
		w.t.Fatalf("%d conflicts are %s, want 1", len(list), status)
	}
	return "/conflicts/" + list[0].UUID
}
