// Package browsertest looks at the dashboards of a running network with the eyes of people: a real Chromium, driven by Playwright, at
// several languages, colours and widths, with axe for those who do not see. scripts/setup-test.sh installs the npm packages under
// .cache/npm-browsertest; pictures of all that was seen are in the folder screenshots.
package browsertest_test

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/control"
)

// languages are those of the pages.
var languages = []string{"en", "fr", "pt", "es"}

// place is a page of a node.
type place struct {
	name   string
	node   *running
	path   string
	status int // of HTTP; 0 is 200
}

func (w *country) places() []place {
	parked := w.hill.audit(audit.Query{Outcome: audit.Parked})[0]
	sent := w.lake.audit(audit.Query{Operation: audit.Push})[0]
	return []place{
		{name: "home-nation", node: w.nation, path: "/"},
		{name: "home-district", node: w.district, path: "/"},
		{name: "home-clinic", node: w.lake, path: "/"},
		{name: "home-cut-off", node: w.island, path: "/"},
		{name: "network-nation", node: w.nation, path: "/network"},
		{name: "network-district", node: w.district, path: "/network"},
		{name: "network-silent", node: w.district, path: "/network?trouble=silent"},
		{name: "network-clinic", node: w.lake, path: "/network"},
		{name: "charts-district", node: w.district, path: "/charts"},
		{name: "charts-cut-off", node: w.island, path: "/charts"},
		{name: "audit", node: w.district, path: "/audit"},
		{name: "audit-troubles", node: w.hill, path: "/audit?outcome=failures"},
		{name: "audit-nothing", node: w.hill, path: "/audit?type=Media"},
		{name: "audit-unreadable", node: w.hill, path: "/audit?from=tomorrow", status: 400},
		{name: "audit-row-parked", node: w.hill, path: fmt.Sprint("/audit/", parked.ID)},
		{name: "audit-row-sent", node: w.lake, path: fmt.Sprint("/audit/", sent.ID)},
		{name: "conflicts", node: w.district, path: "/conflicts"},
		{name: "conflict-open", node: w.district, path: w.conflict(control.ConflictOpen)},
		{name: "conflict-decided", node: w.district, path: w.conflict(control.ConflictDecided)},
		{name: "conflict-held", node: w.lake, path: "/conflicts/" + url.PathEscape(deferred)},
		{name: "conflicts-by-rule", node: w.district, path: "/conflicts/rule?rule=last-writer-wins"},
		{name: "parked-up", node: w.lake, path: "/parked"},
		{name: "parked-down", node: w.hill, path: "/parked"},
		{name: "parked-none", node: w.nation, path: "/parked"},
		{name: "parked-one", node: w.hill, path: "/parked/" + w.hill.parked()[0].UUID},
		{name: "run", node: w.hill, path: "/runs/" + parked.Run},
		{name: "runs", node: w.lake, path: "/runs"},
		{name: "resource-ask", node: w.lake, path: "/explain"},
		{name: "resource", node: w.district, path: "/explain/" + deferred},
		{name: "resource-parked", node: w.hill, path: "/explain/" + dangling},
		{name: "resource-absent", node: w.lake, path: "/explain/Patient/never-seen"},
		{name: "settings", node: w.lake, path: "/settings"},
		{name: "settings-top", node: w.nation, path: "/settings"},
		{name: "nothing-here", node: w.lake, path: "/conflicts/none", status: 404},
	}
}

// looks are the ways in which a page is looked at: all of them by `make browser`, two by `make test`, which are not the same for
// neighbours.
func looks(n int) []look {
	var all []look
	for _, width := range []int{360, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			for _, lang := range languages {
				all = append(all, look{Lang: lang, Scheme: scheme, Width: width})
			}
		}
	}
	if os.Getenv("BROWSER") == "all" {
		return all
	}
	phone := n % (len(all) / 2)
	return []look{all[phone], all[len(all)-1-phone]}
}

// alike reports whether two languages may say a thing with the same words: "menos de 1 s".
func alike(a, b string) bool {
	return a+b == "espt" || a+b == "ptes"
}

func TestBrowser(t *testing.T) {
	w, d := newCountry(t), startDriver(t)
	for n, p := range w.places() {
		t.Run(p.name, func(t *testing.T) {
			said := map[string]string{} // sentence -> language
			for _, l := range looks(n) {
				l.Origin = p.node.url
				seen := strings.Join([]string{l.Lang, l.Scheme, fmt.Sprint(l.Width)}, "-")
				t.Run(seen, func(t *testing.T) {
					answer := d.take(t, "page", l, record{"path": p.path, "name": p.name + "-" + seen, "status": max(p.status, 200)})
					t.Logf("%v bytes", answer["bytes"])
					sentences, _ := answer["sentences"].([]any)
					for _, s := range sentences {
						if in := said[s.(string)]; in != "" && in != l.Lang && !alike(in, l.Lang) {
							t.Errorf("is in %s as in %s: %q", l.Lang, in, s)
						}
						said[s.(string)] = l.Lang
					}
				})
			}
		})
	}
	t.Run("flows", func(t *testing.T) { w.flows(t, d) })
}
