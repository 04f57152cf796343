package capture_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/capture"
	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/emrtest"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/store"
)

// clinic is a node with an OpenMRS beside it, whose users work over HTTP as the node does.
type clinic struct {
	*testing.T
	eng  *engine.Engine
	emr  *emrtest.Server
	feed *emrtest.AtomFeed
	link *capture.Link
	url  string
}

func newClinic(t *testing.T) *clinic {
	t.Helper()
	c := &clinic{T: t, emr: emrtest.New(), feed: &emrtest.AtomFeed{}}
	srv := httptest.NewServer(emrtest.WithFeed(c.emr, c.feed))
	t.Cleanup(srv.Close)
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	clock := func() time.Time { now = now.Add(time.Second); return now }
	st, err := store.Create(t.Context(), store.Options{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "n.db"), Clock: clock, Volatile: true}, "clinic", 100)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	c.url = srv.URL
	c.eng = engine.New(st, engine.Config{URL: "http://clinic", Policies: reconcile.Policies{Default: reconcile.SourceWins}})
	secret := func() (string, error) { return emrtest.Password, nil }
	rest := clients.NewREST(srv.URL, clients.RESTOptions{OpenMRS: true, Authorize: clients.Basic(emrtest.User, secret)}, srv.Client().Transport)
	account := func() (string, error) { return emrtest.User + ":" + emrtest.Password, nil }
	feeds := []string{srv.URL + "/ws/atomfeed/patient/recent", srv.URL + "/ws/atomfeed/program/recent"}
	c.link = capture.New(c.eng, capture.Server{
		Source: clients.NewAtom(feeds, account, srv.Client().Transport, clock), Traffic: rest.Traffic,
		Remote: func(string) (resourcemanager.Remote, error) { return rest, nil },
	}, capture.Config{
		Name: "emr", URL: srv.URL, Pulls: []string{"Patient", "program"}, Pushes: []string{"Patient", "program"},
		Client: func(string) string { return "rest" }, Clock: clock,
	})
	return c
}

// at sends what a user of the EMR does.
func (c *clinic) at(method, path, body string) {
	c.Helper()
	req, err := http.NewRequestWithContext(c.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	req.SetBasicAuth(emrtest.User, emrtest.Password)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if answer, _ := io.ReadAll(res.Body); res.StatusCode >= 300 {
		c.Fatalf("%s %s: %d %s", method, path, res.StatusCode, answer)
	}
}

func (c *clinic) write(op engine.Op, k fhir.Key, body string) {
	c.Helper()
	w := engine.Write{Op: op, Key: k}
	if body != "" {
		r, err := fhir.ParseAs(k.Type, []byte(body), 0)
		if err != nil {
			c.Fatal(err)
		}
		w.Body = r
	}
	if _, err := c.eng.Author(c.Context(), "test", []engine.Write{w}); err != nil {
		c.Fatal(err)
	}
}

// sync lets both ways run until nothing moves.
func (c *clinic) sync() {
	c.Helper()
	for n := 0; ; n++ {
		before, calls := c.head(), c.writes()
		if _, err := c.link.Pull(c.Context()); err != nil {
			c.Fatal(err)
		}
		if _, err := c.link.Push(c.Context()); err != nil {
			c.Fatal(err)
		}
		if c.head() == before && c.writes() == calls {
			break
		}
		if n > 5 {
			c.Fatalf("it goes on: %s", strings.Join(c.emr.Calls(), "\n"))
		}
	}
	if parked, err := c.eng.Store().Parked(c.Context(), store.ParkedFilter{Peer: "emr"}); err != nil || len(parked) > 0 {
		c.Errorf("parked: %+v %v", parked, err)
	}
}

func (c *clinic) head() string {
	h, err := c.eng.Store().Head(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	return h.String()
}

// writes counts the requests that changed the EMR.
func (c *clinic) writes() (n int) {
	for _, call := range c.emr.Calls() {
		if !strings.HasPrefix(call, http.MethodGet) {
			n++
		}
	}
	return n
}

// here returns a member of the node's copy, "gone" where it is deleted.
func (c *clinic) here(k fhir.Key, path string) string {
	c.Helper()
	got, ok, err := c.eng.Store().Get(c.Context(), k)
	switch {
	case err != nil:
		c.Fatal(err)
	case !ok:
		return "absent"
	case got.Stamp.Deleted:
		return "gone"
	}
	return gjson.GetBytes(got.Body, path).String()
}

// there is the same of the EMR's copy, as its users see it over HTTP.
func (c *clinic) there(k fhir.Key, path string) string {
	c.Helper()
	to := "/ws/fhir2/R4/" + k.String()
	if fhir.IsREST(k.Type) {
		to = "/ws/rest/v1/" + k.String() + "?v=full"
	}
	req, err := http.NewRequestWithContext(c.Context(), http.MethodGet, c.url+to, nil)
	if err != nil {
		c.Fatal(err)
	}
	req.SetBasicAuth(emrtest.User, emrtest.Password)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		c.Fatal(err)
	case res.StatusCode == http.StatusNotFound:
		return "absent"
	case res.StatusCode == http.StatusGone, gjson.GetBytes(body, "voided").Bool(), gjson.GetBytes(body, "retired").Bool():
		return "gone"
	}
	return gjson.GetBytes(body, path).String()
}

func (c *clinic) both(k fhir.Key, path, want string) {
	c.Helper()
	if here, there := c.here(k, path), c.there(k, path); here != want || there != want {
		c.Errorf("%s: here %q, at the EMR %q, want %q", k, here, there, want)
	}
}

const emrIdentifier = `"identifier":[{"value":"10001V","type":{"coding":[{"code":"05a29f94-c0ed-11e2-94be-8c13b969e334"}]},` +
	`"extension":[{"url":"http://fhir.openmrs.org/ext/patient/identifier#location","valueReference":{"reference":"Location/8d6c993e-c2cc-11de-8d13-0010c6dffd0f"}}]}]`

func emrPatient(k fhir.Key, family string) string {
	return `{"resourceType":"Patient","id":"` + k.ID + `","active":true,` + emrIdentifier + `,"name":[{"family":"` + family + `","given":["Achieng"]}],"gender":"female"}`
}

// A patient and a document of OpenMRS live at both places: made, changed, voided and brought back at each, found by the Atom feeds.
func TestOpenMRSBothWays(t *testing.T) {
	c := newClinic(t)
	p := fhir.Key{Type: "Patient", ID: "5946f880-b197-400b-9caa-a3c661570001"}
	person := `{"uuid":"` + p.ID + `","person":{"names":[{"familyName":"Otieno"}],"gender":"F"},"identifiers":[{"identifier":"10001V"}]}`
	c.at("POST", "/ws/rest/v1/patient", person)
	c.at("PUT", "/ws/fhir2/R4/"+p.String(), emrPatient(p, "Otieno"))
	c.sync()
	c.both(p, "name.0.family", "Otieno")

	c.write(engine.Update, p, emrPatient(p, "Odhiambo"))
	c.sync()
	c.both(p, "name.0.family", "Odhiambo")
	c.at("PUT", "/ws/fhir2/R4/"+p.String(), emrPatient(p, "Okoth"))
	c.sync()
	c.both(p, "name.0.family", "Okoth")

	c.at("DELETE", "/ws/rest/v1/patient/"+p.ID+"?reason=twice", "")
	c.sync()
	c.both(p, "name.0.family", "gone")
	c.at("POST", "/ws/rest/v1/patient/"+p.ID, `{"deleted":"false"}`)
	c.sync()
	c.both(p, "name.0.family", "Okoth")
	c.write(engine.Delete, p, "")
	c.sync()
	c.both(p, "name.0.family", "gone")
	c.write(engine.Update, p, emrPatient(p, "Omondi"))
	c.sync()
	c.both(p, "name.0.family", "Omondi")

	// And one that began at the node, and a document that has no FHIR form.
	q := fhir.Key{Type: "Patient", ID: "5946f880-b197-400b-9caa-a3c661570002"}
	c.write(engine.Update, q, emrPatient(q, "Wanjiru"))
	k := fhir.Key{Type: "program", ID: "64f950e6-1b07-4ac0-8e7e-f3e148f3463f"}
	c.at("POST", "/ws/rest/v1/program", `{"uuid":"`+k.ID+`","name":"HIV","concept":"138405AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`)
	c.sync()
	c.both(q, "name.0.family", "Wanjiru")
	c.both(k, "name", "HIV")
	c.at("DELETE", "/ws/rest/v1/program/"+k.ID+"?reason=old", "")
	c.at("PUT", "/ws/fhir2/R4/"+q.String(), emrPatient(q, "Wangari"))
	c.sync()
	c.both(q, "name.0.family", "Wangari")
	c.both(k, "name", "gone")
	c.at("POST", "/ws/rest/v1/program/"+k.ID, `{"deleted":"false"}`)
	c.sync()
	c.both(k, "name", "HIV")
}

// OpenMRS refuses a record of the node, and what was begun of it there is purged: the feed says so, and the node keeps its record. A record that the
// EMR was known to have goes when it is purged there.
func TestOpenMRSPurge(t *testing.T) {
	c := newClinic(t)
	k := fhir.Key{Type: "Patient", ID: "5946f880-b197-400b-9caa-a3c661570003"}
	c.write(engine.Update, k, emrPatient(k, "Wanjiru"))
	c.emr.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		w.Header().Set("Content-Type", "application/fhir+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"processing","diagnostics":"Identifier 10001V is not valid"}]}`)
		return true
	}
	for range 3 {
		if _, err := c.link.Push(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.link.Pull(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if c.here(k, "name.0.family") != "Wanjiru" || c.there(k, "id") != "absent" {
		t.Fatalf("here %q, at the EMR %q", c.here(k, "name.0.family"), c.there(k, "id"))
	}
	if rows, err := c.eng.Store().Conflicts(t.Context(), store.ConflictFilter{Limit: 10}); err != nil || len(rows) != 0 {
		t.Errorf("conflicts: %+v %v", rows, err)
	}
	c.emr.Before = nil
	c.write(engine.Update, k, emrPatient(k, "Wangari"))
	c.sync()
	c.both(k, "name.0.family", "Wangari")
	c.at("DELETE", "/ws/rest/v1/patient/"+k.ID+"?purge=true", "")
	if _, err := c.link.Pull(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := c.here(k, "id"); got != "gone" {
		t.Errorf("purged at the EMR, here %q", got)
	}
}
