package web_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/web"
)

// wellFormed reads a page as XML: every element is closed, every attribute quoted, every reference known.
func wellFormed(t *testing.T, what, body string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(body))
	d.Strict = true
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Errorf("%s is not well formed: %v", what, err)
			return
		}
	}
}

// contains looks for texts on a page, whose spaces may be such as do not break a line.
func contains(t *testing.T, what, body string, parts ...string) {
	t.Helper()
	body = strings.ReplaceAll(body, "\u00a0", " ")
	bare := regexp.MustCompile(`</?time[^>]*>`).ReplaceAllString(body, "")
	for _, p := range parts {
		if p = strings.ReplaceAll(p, "\u00a0", " "); !strings.Contains(body, p) && !strings.Contains(bare, p) {
			t.Errorf("%s does not contain %q:\n%s", what, p, body)
		}
	}
}

func TestOverview(t *testing.T) {
	w, uuid := busy(t, "clinic-a")
	body := w.page("/")
	contains(t, "the overview", body,
		">clinic-a</h1>", "syncs with its parent, district-hospital; 3 other nodes sync with it", "https://district.example",
		"in touch", "listening", "Last pull 40 s ago, last push 2 min ago, ", "changes to send", "outpost-lake", "outpost-hill", "never came",
		"1 conflict waits for a person", `is right. <a href="/conflicts">Conflicts</a>`, `href="/conflicts/`+uuid+`"`, "AllergyIntolerance/0b7c4e9a-41d2-4c55-9a3e-6f0d2a7b8c91", "waits for a person",
		"Observation</th><td class=\"num\">46", `href="/explain/Patient/d-9"`, "A call was turned away", "(10:2", "Times are those of this node (UTC)",
		"Tributary 0.1.0", "SHA256:", "http-equiv=\"refresh\"",
	)
	for _, private := range []string{"Banda", "Phiri", "Penicillin", "Peanuts", "1991-04-02"} {
		if strings.Contains(body, private) {
			t.Errorf("the overview shows %q of a record", private)
		}
	}
}

func TestOverviewOfOtherNodes(t *testing.T) {
	t.Run("alone", func(t *testing.T) {
		w := newWorld(t, "island", "")
		contains(t, "the overview", w.page("/"), "stands alone", "All is well", "This node has no parent", "None yet.", "Nothing has happened yet")
	})
	t.Run("a parent not met yet", func(t *testing.T) {
		w := newWorld(t, "clinic-b", "https://district.example")
		contains(t, "the overview", w.page("/"), "The parent has not been met yet", "Last pull never, last push never, nothing waiting.")
	})
	t.Run("a parent out of reach", func(t *testing.T) {
		w := newWorld(t, "clinic-b", "https://district.example")
		w.edit(w.eng, patient("1", "Banda"))
		w.run(control.Pull, "failed", "no route to host", nil)
		w.passes.links = []control.LinkState{
			{Direction: control.Pull, Enabled: true, LastError: "no route to host", NextAttempt: w.ctl.Now() + 40_000, Backoff: 64_000},
			{Direction: control.Push, Enabled: true},
		}
		contains(t, "the overview", w.page("/"), "Out of touch with the parent", "nothing is lost", "out of touch",
			"The last attempt:", "No route to host.", "Next attempt in 40 s", "it waits 64 s after a failure", "1 change waits to be sent.")
	})
	t.Run("both directions off", func(t *testing.T) {
		w := newWorld(t, "clinic-b", "https://district.example")
		w.passes.links = []control.LinkState{{Direction: control.Pull}, {Direction: control.Push}}
		contains(t, "the overview", w.page("/"), "both are off in the configuration")
	})
}

func TestEveryPageIsWellFormedAndGuarded(t *testing.T) {
	w, uuid := busy(t, "clinic-a")
	for path, want := range map[string]int{
		"/": 200, "/network": 200, "/charts": 200, "/audit": 200, "/audit?outcome=failures": 200, "/audit?before=x": 400, "/conflicts": 200, "/conflicts/" + uuid: 200,
		"/conflicts/none": 404, "/parked": 200, "/runs": 200, "/explain": 200, "/explain?resource=Foo": 200,
		"/explain/Patient/p-5": 200, "/explain/Patient/never": 200, "/explain/Foo/1": 400, "/assets/none.js": 404,
	} {
		out := w.get(path)
		if out.Code != want {
			t.Errorf("%s: status %d, want %d", path, out.Code, want)
		}
		body := out.Body.String()
		wellFormed(t, path, body)
		h := out.Header()
		if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; form-action") ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: headers %v", path, h)
		}
		for _, bad := range []string{"<script>", "style=", "src=\"http", "href=\"http", "onclick"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s contains %s", path, bad)
			}
		}
		contains(t, path, body, `name="viewport"`, `lang="en"`)
	}
	for _, name := range []string{"style.css", "icon.svg", "live.js"} {
		if out := w.get("/assets/" + name); out.Code != 200 || out.Body.Len() < 100 || strings.Contains(out.Body.String(), "url(http") {
			t.Errorf("%s: status %d, %d bytes", name, out.Code, out.Body.Len())
		}
	}
}

// Every page but the style sheet's address is asked of protect.
func TestEveryRouteIsProtected(t *testing.T) {
	w := newWorld(t, "clinic-a", "")
	mux := http.NewServeMux()
	web.New(w.ctl, nil).Register(mux, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { out.WriteHeader(http.StatusTeapot) })
	})
	for _, path := range []string{"/", "/network", "/charts", "/audit", "/conflicts", "/conflicts/1", "/parked", "/runs", "/explain", "/explain/Patient/1", "/assets/style.css"} {
		out := httptest.NewRecorder()
		mux.ServeHTTP(out, httptest.NewRequest(http.MethodGet, path, nil))
		if out.Code != http.StatusTeapot {
			t.Errorf("%s: status %d without asking", path, out.Code)
		}
	}
}

func TestNamesFromOutsideAreEscaped(t *testing.T) {
	hostile := `<img src=x onerror=alert(1)>"'&`
	w := newWorld(t, hostile, "https://district.example")
	r := w.edit(w.district, patient("1", hostile))
	bad := r
	bad.Content = []byte(`{"resourceType":"Patient","id":"1","x":"` + "</pre><script>alert(2)</script>" + `"}`)
	w.pull(false, nil, bad)
	w.passes.links = []control.LinkState{{Direction: control.Pull, Enabled: true, LastError: hostile}}
	w.edit(w.eng, allergy("a", "</pre><script>alert(3)</script>"))
	w.pull(false, nil, w.edit(w.district, allergy("a", hostile)))
	list, err := w.ctl.Conflicts(t.Context(), control.ConflictQuery{})
	w.must(err)
	for _, path := range []string{"/", "/audit?type=" + url.QueryEscape(hostile), "/conflicts", "/conflicts/" + list[0].UUID, "/parked", "/runs", "/explain/Patient/1", "/explain?resource=" + url.QueryEscape(hostile)} {
		out := w.get(path)
		body := out.Body.String()
		if strings.Contains(body, "<img src=x") || strings.Contains(body, "<script>") || !strings.Contains(body, "&lt;img src=x") {
			t.Errorf("%s (status %d): something hostile came through:\n%s", path, out.Code, body)
		}
		wellFormed(t, path, body)
	}
}

func TestConflictPage(t *testing.T) {
	w, uuid := busy(t, "clinic-a")
	body := w.page("/conflicts/" + uuid)
	contains(t, "the conflict", body, "AllergyIntolerance/0b7c4e9a-41d2-4c55-9a3e-6f0d2a7b8c91", ">AllergyIntolerance.code.text</span>", ">Penicillin</span>", ">Peanuts</span>", "made on both sides independently", "Keep this node&#39;s copy", "Keep the other copy", "The copy from district-hospital",
		"Written at clinic-a", "Written at district-hospital", `&#34;criticality&#34;: &#34;high&#34;`)
	if strings.Contains(body, ">AllergyIntolerance.criticality</span>") {
		t.Error("what is equal is listed as a difference")
	}
	post := func(choice, origin string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "http://clinic.example:8080/conflicts/"+uuid, strings.NewReader(url.Values{"choice": {choice}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", origin)
		return w.do(r)
	}
	if out := post("incoming", "https://evil.example"); out.Code != http.StatusForbidden {
		t.Errorf("a button of another site: status %d", out.Code)
	}
	if out := post("both", "http://clinic.example:8080"); out.Code != http.StatusBadRequest {
		t.Errorf("another choice: status %d", out.Code)
	}
	contains(t, "the conflict", w.page("/conflicts/"+uuid), "Keep the other copy")
	if out := post("incoming", "http://clinic.example:8080"); out.Code != http.StatusSeeOther || out.Header().Get("Location") != "/conflicts/"+uuid {
		t.Errorf("status %d to %q", out.Code, out.Header().Get("Location"))
	}
	body = w.page("/conflicts/" + uuid)
	contains(t, "the decided conflict", body, "The other copy was kept", "not chosen", "Penicillin")
	if strings.Contains(body, "Keep the other copy") {
		t.Error("a decided conflict can be decided again")
	}
	if out := post("local", "http://clinic.example:8080"); out.Code != http.StatusNotFound {
		t.Errorf("decided twice: status %d", out.Code)
	}
	contains(t, "the list", w.page("/conflicts"), "None. Nobody has to decide anything.", "the other copy was kept")
}

// send posts a form of the page itself.
func (w *world) send(path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://clinic.example:8080"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "http://clinic.example:8080")
	return w.do(r)
}

// A person merges field by field, with a value of their own; what was looked at must be what stands.
func TestMergeOnThePage(t *testing.T) {
	w, uuid := busy(t, "clinic-a")
	basis := regexp.MustCompile(`name="basis" value="(\w+)"`).FindStringSubmatch(w.page("/conflicts/" + uuid))[1]
	form := url.Values{"choice": {"merge"}, "basis": {"000000"}, "path.0": {"AllergyIntolerance.code.text"}, "text.0": {"1"}, "take.0": {"own"}, "value.0": {"Tree nuts"}, "remark": {"she said so"}}
	if out := w.send("/conflicts/"+uuid, form); out.Code != http.StatusConflict || !strings.Contains(out.Body.String(), "changed in the meantime") {
		t.Errorf("of other copies: status %d\n%s", out.Code, out.Body)
	}
	form.Set("basis", basis)
	form.Set("value.0", "")
	if out := w.send("/conflicts/"+uuid, form); out.Code != http.StatusBadRequest {
		t.Errorf("no value: status %d", out.Code)
	}
	bad := url.Values{"choice": {"merge"}, "basis": {basis}, "path.0": {"AllergyIntolerance.code.text"}, "take.0": {"own"}, "value.0": {"5"}}
	if out := w.send("/conflicts/"+uuid, bad); out.Code != http.StatusBadRequest || !strings.Contains(out.Body.String(), "code.text") {
		t.Errorf("a number where a text belongs: status %d\n%s", out.Code, out.Body)
	}
	form.Set("value.0", "Tree nuts")
	if out := w.send("/conflicts/"+uuid, form); out.Code != http.StatusSeeOther || out.Header().Get("Location") != "/conflicts/"+uuid {
		t.Fatalf("status %d\n%s", out.Code, out.Body)
	}
	contains(t, "the decided conflict", w.page("/conflicts/"+uuid), "was put together", "Both copies stay readable here.", "dashboard decided it", "She said so")
	c, _, err := w.eng.Store().Get(t.Context(), fhir.Key{Type: "AllergyIntolerance", ID: "0b7c4e9a-41d2-4c55-9a3e-6f0d2a7b8c91"})
	w.must(err)
	if !strings.Contains(string(c.Body), `"text":"Tree nuts"`) {
		t.Errorf("the record is %s", c.Body)
	}
}

// A rule shows what it would do, and does it when it is told to.
func TestRuleOnThePage(t *testing.T) {
	w, uuid := busy(t, "clinic-a")
	contains(t, "the preview", w.page("/conflicts/rule?rule=destination-wins"), "It would decide 1 conflict.", "Nothing was changed yet", "badge ok\">this node&#39;s copy", "Decide them like this")
	contains(t, "the preview of another type", w.page("/conflicts/rule?rule=destination-wins&type=Patient"), "It would decide 0 conflicts.")
	contains(t, "the conflict", w.page("/conflicts/"+uuid), "Keep the other copy")
	if out := w.send("/conflicts/rule", url.Values{"rule": {"destination-wins"}, "remark": {"agreed"}}); out.Code != http.StatusOK || !strings.Contains(out.Body.String(), "1 conflict was decided.") {
		t.Errorf("status %d\n%s", out.Code, out.Body)
	}
	contains(t, "the decided conflict", w.page("/conflicts/"+uuid), "copy was kept", "Agreed")
	if out := w.get("/conflicts/rule?rule=whoever"); out.Code != http.StatusBadRequest {
		t.Errorf("a rule that is none: status %d", out.Code)
	}
}

// What is set aside is tried again, given up for a reason, and taken up.
func TestParkedPages(t *testing.T) {
	w, _ := busy(t, "clinic-a")
	list, err := w.ctl.Parked(t.Context(), control.ParkedQuery{})
	w.must(err)
	one := "/parked/" + list[0].UUID
	contains(t, "the list", w.page("/parked"), `href="`+one+`"`, "By cause", `name="cause" value="`+list[0].Cause+`"`)
	contains(t, "one", w.page(one), "Try again now", "Why give it up")
	for _, step := range []struct{ do, why, says string }{
		{"retry", "", "at the next round"},
		{"give-up", "made twice", "given up by dashboard"},
		{"take-up", "", "Why give it up"},
	} {
		if out := w.send("/parked", url.Values{"do": {step.do}, "uuid": {list[0].UUID}, "why": {step.why}}); out.Code != http.StatusSeeOther || out.Header().Get("Location") != one {
			t.Fatalf("%s: status %d\n%s", step.do, out.Code, out.Body)
		}
		contains(t, step.do, w.page(one), step.says, step.why)
	}
	if out := w.send("/parked", url.Values{"do": {"give-up"}, "uuid": {list[0].UUID}}); out.Code != http.StatusBadRequest {
		t.Errorf("without a reason: status %d", out.Code)
	}
	contains(t, "the activity", w.page("/audit?resource="+list[0].Key.String()), "gave up a change to", "took up again")
	contains(t, "of the cause", w.page("/parked?cause="+list[0].Cause), "All that is set aside")
	if out := w.get("/parked/none"); out.Code != http.StatusNotFound {
		t.Errorf("what is not there: status %d", out.Code)
	}
}

// A row and a round have pages of their own, and all filters stand in the address.
func TestRowAndRunPages(t *testing.T) {
	w, _ := busy(t, "clinic-a")
	all, err := w.ctl.Audit(t.Context(), audit.Query{})
	w.must(err)
	for _, r := range all {
		contains(t, "a row", w.page(fmt.Sprintf("/audit/%d", r.ID)), "What to do", r.UUID)
	}
	runs, err := w.ctl.Runs(t.Context(), "", 10)
	w.must(err)
	contains(t, "a round", w.page("/runs/"+runs[0].ID), runs[0].ID, "changes read", "received")
	body := w.page("/audit?from=2026-01-01T00:00&to=2099-01-01&operation=LOCAL&outcome=applied&type=Observation&peer=nobody&run=x&resource=Observation/1")
	contains(t, "the filters", body, `name="from" value="2026-01-01T00:00"`, `value="LOCAL" selected`, `value="applied" selected`, `value="nobody" selected`, `name="run" value="x"`, "format=csv", "Show everything")
	for _, bad := range []string{"/audit?from=yesterday", "/audit?resource=x", "/audit?type=Nothing", "/audit/x", "/audit/export?format=xml"} {
		if out := w.get(bad); out.Code != http.StatusBadRequest {
			t.Errorf("%s: status %d", bad, out.Code)
		}
	}
	out := w.get("/audit/export?format=csv&operation=LOCAL")
	if lines := strings.Split(strings.TrimSpace(out.Body.String()), "\n"); out.Code != http.StatusOK || len(lines) < 3 || !strings.HasPrefix(lines[0], "id,uuid,timestamp") {
		t.Errorf("export: status %d, %.300q", out.Code, out.Body)
	}
}

func TestAuditPages(t *testing.T) {
	w := newWorld(t, "clinic-a", "")
	for i := range 120 {
		id := "p-" + string(rune('a'+i/26)) + string(rune('a'+i%26))
		w.edit(w.eng, patient(id, "Banda"))
	}
	seen, path := 0, "/audit?operation=LOCAL&type=Patient"
	for range 5 {
		body := w.page(path)
		seen += strings.Count(body, "was created here")
		_, rest, ok := strings.Cut(body, `class="button" href="`)
		if !ok {
			break
		}
		path, _, _ = strings.Cut(rest, `"`)
		path = strings.ReplaceAll(path, "&amp;", "&")
		if !strings.Contains(path, "operation=LOCAL") || !strings.Contains(path, "type=Patient") {
			t.Fatalf("the next page forgets the filter: %s", path)
		}
	}
	if seen != 120 {
		t.Errorf("saw %d rows, want 120", seen)
	}
	contains(t, "another type", w.page("/audit?type=Observation"), "Nothing of this kind.")
	contains(t, "what needs a look", w.page("/audit?outcome=failures"), "Nothing of this kind.", `value="failures" selected`)
}

func TestOtherPages(t *testing.T) {
	w, _ := busy(t, "clinic-a")
	contains(t, "parked", w.page("/parked"), "Patient/d-9", "could not be taken over", "hash of its stamp", "1 try so far", "at the next round", ">Its content does not have the hash", "Waiting for the parent", "Patient/p-5")
	contains(t, "runs", w.page("/runs"), "Fetched from district-hospital: 3 changes, ", "Sent to district-hospital: nothing new", "48 kB", "took 3 s")
	contains(t, "explain", w.page("/explain/Patient/p-5"), "has a copy of Patient/p-5", "written at clinic-a", "waits here until the parent has decided", "was changed here")
	contains(t, "explain", w.page("/explain/Patient/d-1"), "came here from the parent", "came from district-hospital")
	out := w.get("/explain?resource=Patient/d-1")
	if out.Code != http.StatusSeeOther || out.Header().Get("Location") != "/explain/Patient/d-1" {
		t.Errorf("status %d to %q", out.Code, out.Header().Get("Location"))
	}
	contains(t, "find", w.page("/explain?resource=nonsense"), "for example Patient/123", `value="nonsense"`)
}

func TestPagesWhenTheDatabaseIsAway(t *testing.T) {
	w := newWorld(t, "clinic-a", "")
	w.must(w.eng.Store().Close())
	for _, path := range []string{"/", "/network", "/charts", "/audit", "/conflicts", "/parked", "/runs", "/explain/Patient/1"} {
		out := w.get(path)
		if out.Code < 500 {
			t.Errorf("%s: status %d", path, out.Code)
		}
		contains(t, path, out.Body.String(), "clinic-a", "cannot be shown now", "Back to the first page")
		wellFormed(t, path, out.Body.String())
	}
}

func TestSettingsSayWhatMovesATypeAndWhatServersHave(t *testing.T) {
	w, _ := busy(t, "clinic-a")
	page := strings.ReplaceAll(w.page("/settings"), "\n", "")
	contains(t, "settings", page, `<details class="ways" open="open"><summary>By which interface</summary>`, `<select name="push-by.Media" aria-label="By which interface to the parent: Media" disabled="disabled">`,
		`<option value="rest" selected="selected">OpenMRS interface</option>`, `<code translate="no">Patient</code>, OpenMRS interface`, `<code translate="no">Location</code>, FHIR interface`)
	if top := newWorld(t, "nation", "").page("/settings"); strings.Contains(top, "By which interface") {
		t.Error("a node without a parent lets choose what moves a type to it")
	}
}
