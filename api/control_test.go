package api_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/api"
	"github.com/tributary-sync/tributary/audit"
	client "github.com/tributary-sync/tributary/clients/control"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/syncerr"
)

// carried lets a client call a handler in process, from an address that is not this machine's.
type carried struct{ http.Handler }

func (c carried) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	in.RemoteAddr, in.Host = "198.51.100.7:40000", r.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := httptest.NewRecorder()
	c.ServeHTTP(out, in)
	return out.Result(), nil
}

// quietPasses is a node whose passes find nothing.
type quietPasses struct{}

func (quietPasses) Sync(_ context.Context, direction string) ([]audit.Run, error) {
	return []audit.Run{{ID: "1", Direction: direction, Outcome: "done"}}, nil
}

func (quietPasses) LinkState() []control.LinkState {
	return []control.LinkState{{Direction: control.Pull, Enabled: true, Backoff: 5}}
}

// operated is a node with an open conflict and a client for its operator.
func operated(t *testing.T) (*world, *control.Control, *client.Client) {
	t.Helper()
	w := newWorld(t)
	cfg := config.Default()
	cfg.Node.Name, cfg.Parent.URL, cfg.Parent.Credential = "clinic", "https://district.example", "the-childs-secret"
	eng := engine.New(w.st, engine.Config{Policies: reconcile.Policies{Default: reconcile.Defer}})
	fixed := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	ctl := control.New(eng, cfg, quietPasses{}, control.Deps{Clock: func() time.Time { return fixed }, Rand: rand.Reader, Version: "test"})
	w.serve(eng, func(d *api.Deps) { d.Control = ctl })
	w.do("PUT", "/fhir/R4/Patient/1", `{"resourceType":"Patient","id":"1","name":[{"family":"Banda"}]}`).want(201)
	other := newWorld(t)
	other.do("PUT", "/fhir/R4/Patient/1", `{"resourceType":"Patient","id":"1","name":[{"family":"Phiri"}]}`).want(201)
	c, _, err := other.st.Get(t.Context(), fhir.Key{Type: "Patient", ID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = eng.Accept(t.Context(), engine.Batch{Link: engine.Link{Child: "c", Peer: "outpost"}, Events: []feed.Event{{Key: c.Key, Action: c.Action, Stamp: c.Stamp, Content: c.Body}}})
	if err != nil {
		t.Fatal(err)
	}
	return w, ctl, client.New("http://clinic.example:8080/", adminToken, carried{w.mux})
}

// same calls both and wants the same value of them, or an error of the same kind: the wire changes nothing.
func same[T any](t *testing.T, what string, there, here func() (T, error)) {
	t.Helper()
	want, err := here()
	got, other := there()
	if (err == nil) != (other == nil) || err != nil && syncerr.KindOf(err) != syncerr.KindOf(other) {
		t.Fatalf("%s: %v, over HTTP %v", what, err, other)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: over HTTP came\n%+v\nwant\n%+v", what, got, want)
	}
}

// written returns a value as its JSON, by which both ends are compared.
func written[T any](value func() (T, error)) func() (string, error) {
	return func() (string, error) {
		v, err := value()
		if err != nil {
			return "", err
		}
		b, err := json.Marshal(v)
		return string(b), err
	}
}

// steady leaves out of a doctor's answer how much of the disk is free, which others change meanwhile.
func steady(ctx context.Context, doctor func(context.Context, bool) ([]control.Check, error)) func() ([]control.Check, error) {
	return func() ([]control.Check, error) {
		checks, err := doctor(ctx, false)
		for i := range checks {
			if name := checks[i].Name; name == "disk" || name == "integrity" { // bytes that others use, too
				checks[i] = control.Check{Name: name}
			}
		}
		return checks, err
	}
}

func TestControlOverHTTPIsTheSame(t *testing.T) {
	_, here, there := operated(t)
	ctx, key := t.Context(), fhir.Key{Type: "Patient", ID: "1"}
	same(t, "status", written(func() (control.Status, error) { return there.Status(ctx) }), written(func() (control.Status, error) { return here.Status(ctx) }))
	same(t, "runs", func() ([]audit.Run, error) { return there.Runs(ctx, control.Pull, 5) }, func() ([]audit.Run, error) { return here.Runs(ctx, control.Pull, 5) })
	for _, q := range []audit.Query{
		{},
		{Operation: audit.Receive},
		{Failures: true, Limit: 1},
		{Type: "Patient", ID: "1", Outcome: audit.Applied, Peer: "local", From: 1, To: 1 << 50, Before: 100},
		{Run: "none"},
	} {
		same(t, "audit", func() ([]audit.Record, error) { return there.Audit(ctx, q) }, func() ([]audit.Record, error) { return here.Audit(ctx, q) })
	}
	same(t, "conflicts", func() ([]control.Conflict, error) {
		return there.Conflicts(ctx, control.ConflictQuery{Status: "open", Key: key})
	},
		func() ([]control.Conflict, error) {
			return here.Conflicts(ctx, control.ConflictQuery{Status: "open", Key: key})
		})
	same(t, "parked", func() ([]control.Parked, error) {
		return there.Parked(ctx, control.ParkedQuery{Direction: control.Push})
	},
		func() ([]control.Parked, error) {
			return here.Parked(ctx, control.ParkedQuery{Direction: control.Push})
		})
	same(t, "held", func() ([]control.Held, error) { return there.Held(ctx, 3) }, func() ([]control.Held, error) { return here.Held(ctx, 3) })
	same(t, "explain", written(func() (control.Explanation, error) { return there.Explain(ctx, key) }),
		written(func() (control.Explanation, error) { return here.Explain(ctx, key) }))
	same(t, "doctor", steady(ctx, there.Doctor), steady(ctx, here.Doctor))
	same(t, "sync", func() ([]audit.Run, error) { return there.Sync(ctx, control.Push) }, func() ([]audit.Run, error) { return here.Sync(ctx, control.Push) })
	same(t, "config", func() (string, error) { return there.ConfigText(ctx) }, func() (string, error) { return here.ConfigText(ctx) })
	same(t, "retry", func() (int, error) { return there.RetryParked(ctx, control.ParkedChoice{All: true}) }, func() (int, error) { return here.RetryParked(ctx, control.ParkedChoice{All: true}) })

	all, err := here.Audit(ctx, audit.Query{})
	if err != nil || len(all) < 2 {
		t.Fatal(len(all), err)
	}
	same(t, "an audit row", func() (control.ShownRecord, error) { return there.ShowAudit(ctx, all[1].ID) }, func() (control.ShownRecord, error) { return here.ShowAudit(ctx, all[1].ID) })
	same(t, "no audit row", func() (control.ShownRecord, error) { return there.ShowAudit(ctx, 1<<40) }, func() (control.ShownRecord, error) { return here.ShowAudit(ctx, 1<<40) })
	same(t, "no run", func() (audit.Run, error) { return there.RunRecord(ctx, "none") }, func() (audit.Run, error) { return here.RunRecord(ctx, "none") })
	same(t, "give up", func() (int, error) { return there.GiveUpParked(ctx, control.ParkedChoice{UUID: "none", Why: "x"}) },
		func() (int, error) { return here.GiveUpParked(ctx, control.ParkedChoice{UUID: "none", Why: "x"}) })
	same(t, "take up", func() (int, error) { return there.TakeUpParked(ctx, control.ParkedChoice{All: true}) },
		func() (int, error) { return here.TakeUpParked(ctx, control.ParkedChoice{All: true}) })
	for _, limit := range []int{0, 1} {
		var got []audit.Record
		err := there.EachAudit(ctx, audit.Query{Limit: limit}, func(r audit.Record) error {
			got = append(got, r)
			return nil
		})
		want := len(all)
		if limit > 0 {
			want = limit
		}
		if err != nil || len(got) != want || got[0] != all[0] {
			t.Errorf("each, at most %d: %d records, %v", limit, len(got), err)
		}
	}

	open, err := there.Conflicts(ctx, control.ConflictQuery{})
	if err != nil || len(open) != 1 {
		t.Fatalf("got %+v, %v", open, err)
	}
	same(t, "conflict", func() (control.ShownConflict, error) { return there.Conflict(ctx, open[0].UUID) }, func() (control.ShownConflict, error) { return here.Conflict(ctx, open[0].UUID) })
	shown, err := there.Conflict(ctx, open[0].UUID)
	if err != nil || shown.Basis == "" || len(shown.Differences) == 0 {
		t.Errorf("got %+v, %v", shown, err)
	}
	decided, err := there.ResolveConflict(ctx, open[0].UUID, control.Resolution{Choice: "incoming", Basis: shown.Basis})
	if err != nil || decided.Winner != "incoming" || !strings.Contains(string(decided.LocalContent), "Banda") {
		t.Errorf("got %+v, %v", decided, err)
	}
}

func TestChildrenOverHTTP(t *testing.T) {
	w, _, c := operated(t)
	ctx := t.Context()
	child, err := c.AddChild(ctx, "outpost", "its key")
	if err != nil || !strings.HasPrefix(child.Credential, "trib_") || child.PublicKey != "its key" {
		t.Fatalf("got %+v, %v", child, err)
	}
	list, err := c.Children(ctx)
	if err != nil || len(list) != 1 || list[0] != child.Child {
		t.Errorf("got %+v, %v", list, err)
	}
	if body := string(w.do("GET", "/control/v1/children", "").want(200).body); strings.Contains(body, "trib_") {
		t.Errorf("the list shows a credential: %s", body)
	}
	asChild := client.New("http://clinic.example:8080", child.Credential, carried{w.mux})
	if _, err := asChild.Status(ctx); syncerr.KindOf(err) != syncerr.Denied {
		t.Errorf("a child sees the status: %v", err)
	}
	if _, err := asChild.AddChild(ctx, "friend", ""); syncerr.KindOf(err) != syncerr.Denied {
		t.Errorf("a child adds a child: %v", err)
	}
	if _, err := c.AddChild(ctx, "outpost", ""); syncerr.KindOf(err) != syncerr.Conflict || !strings.Contains(err.Error(), "child remove outpost") {
		t.Errorf("got %v", err)
	}
	if err := c.RemoveChild(ctx, "outpost"); err != nil {
		t.Error(err)
	}
	if err := c.RemoveChild(ctx, "outpost"); syncerr.KindOf(err) != syncerr.NotFound {
		t.Errorf("got %v", err)
	}
	records, err := c.Audit(ctx, audit.Query{Operation: audit.Admin})
	if err != nil || len(records) != 2 || records[0].Peer != "operator" {
		t.Errorf("got %+v, %v", records, err)
	}
}

func TestControlIsForOperators(t *testing.T) {
	w, _, _ := operated(t)
	stranger := client.New("http://clinic.example:8080", "", carried{w.mux})
	if _, err := stranger.Status(t.Context()); syncerr.KindOf(err) != syncerr.Denied || !strings.Contains(err.Error(), "operator's credential") {
		t.Errorf("got %v", err)
	}
	for _, call := range []string{
		"GET status", "GET runs", "GET audit", "GET conflicts", "GET conflicts/1", "POST conflicts/1/resolve", "GET parked",
		"POST parked/retry", "GET held", "GET children", "POST children", "DELETE children/x", "GET explain/Patient/1", "GET doctor", "POST sync", "GET config",
	} {
		method, path, _ := strings.Cut(call, " ")
		w.do(method, "/control/v1/"+path, "", func(r *http.Request) { r.RemoteAddr = "198.51.100.7:1" }).want(401).issue("security")
	}
}

func TestControlRefusesWhatItCannotRead(t *testing.T) {
	w, _, c := operated(t)
	for _, tt := range []struct {
		call, body string
		status     int
		code       string
	}{
		{"GET runs?limit=many", "", 400, "invalid"},
		{"GET runs?direction=up", "", 400, "invalid"},
		{"GET audit?before=-1", "", 400, "invalid"},
		{"GET conflicts?resource=Foo/1", "", 400, "invalid"},
		{"GET parked?resource=nonsense", "", 400, "invalid"},
		{"GET conflicts/none", "", 404, "not-found"},
		{"GET explain/Foo/1", "", 400, "invalid"},
		{"POST conflicts/none/resolve", `{"choice":"local"}`, 404, "not-found"},
		{"POST conflicts/none/resolve", `{"choise":"local"}`, 400, "invalid"},
		{"POST conflicts/none/resolve", `{"choice":"local"} {}`, 400, "invalid"},
		{"POST parked/retry", `[`, 400, "invalid"},
		{"POST parked/retry", `{"uuid":"none"}`, 404, "not-found"},
		{"POST children", `{"name":"` + strings.Repeat("x", 70_000) + `"}`, 413, "too-long"},
		{"POST sync", `{"direction":"sideways"}`, 400, "invalid"},
	} {
		method, path, _ := strings.Cut(tt.call, " ")
		w.do(method, "/control/v1/"+path, tt.body).want(tt.status).issue(tt.code)
	}
	if _, err := c.Explain(t.Context(), fhir.Key{Type: "Foo", ID: "../1"}); syncerr.KindOf(err) != syncerr.Invalid {
		t.Errorf("got %v", err)
	}
	answer := w.do("GET", "/control/v1/status", "").want(200)
	if answer.header.Get("Cache-Control") != "no-store" || answer.header.Get("Content-Type") != "application/json" {
		t.Errorf("got headers %v", answer.header)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
