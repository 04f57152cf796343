package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/api"
	"github.com/tributary-sync/tributary/clients"
	client "github.com/tributary-sync/tributary/clients/control"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// digested is a node with patients, the credential of a child of it, and the child's client.
func digested(t *testing.T) (w *world, credential string, c *clients.Node) {
	t.Helper()
	w = newWorld(t)
	for i := range 100 {
		w.do("PUT", fmt.Sprintf("/fhir/R4/Patient/p%02d", i), fmt.Sprintf(`{"resourceType":"Patient","id":"p%02d"}`, i)).want(201)
	}
	w.do("DELETE", "/fhir/R4/Patient/p50", "").want(204)
	child := w.do("POST", "/control/v1/children", `{"name":"outpost"}`, header("Authorization", "Bearer "+adminToken)).want(201)
	var made control.NewChild
	if err := json.Unmarshal(child.body, &made); err != nil {
		t.Fatal(err)
	}
	self := clients.Self{Node: "outpost", Replica: func() string { return "11111111-1111-4111-8111-111111111111" }, PublicKey: "k"}
	return w, made.Credential, clients.NewNode("http://clinic.example:8080", func() (string, error) { return made.Credential, nil }, self, carried{w.mux})
}

// The client gets over HTTP what the store answers, to every kind of question.
func TestDigestOverHTTP(t *testing.T) {
	w, _, c := digested(t)
	for _, q := range []feed.DigestQuery{
		{},
		{Types: []string{"Observation"}},
		{Types: []string{"Observation", "Patient"}},
		{Type: "Patient", Ranges: []feed.Range{{}}},
		{Type: "Patient", Ranges: []feed.Range{{}}, Parts: 64, List: 64},
		{Type: "Patient", Ranges: []feed.Range{{To: "p10"}, {From: "p45", To: "p99"}, {From: "p99"}}, Parts: 3, List: 20},
		{Type: "Patient", IDs: []string{"p99", "none", "p50"}},
		{Type: "Basic", Ranges: []feed.Range{{}}, List: 1},
	} {
		want, err := w.st.Digest(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Digest(t.Context(), q)
		if err != nil || len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: got %+v, %v, want %+v", q, got, err, want)
		}
	}
}

// It is for those who may sync, and what it reads has an end.
func TestDigestIsGuarded(t *testing.T) {
	w, credential, _ := digested(t)
	child, node := header("Authorization", "Bearer "+credential), header("Tributary-Protocol", fmt.Sprint(feed.Protocol))
	self := header("Tributary-Replica", "11111111-1111-4111-8111-111111111111")
	w.do("POST", "/sync/digest", `{}`, child, node, self).want(http.StatusOK)
	w.do("POST", "/sync/digest", `{}`, node, self).want(http.StatusUnauthorized)
	w.do("POST", "/sync/digest", `{}`, child, self).want(http.StatusBadRequest)
	for _, body := range []string{"x", `[]`, `{"type":"Patent"}`, `{"type":"Patient","ids":["a b"]}`, `{"ranges":[{}]}`, strings.Repeat(" ", 70_000) + `{}`} {
		if a := w.do("POST", "/sync/digest", body, child, node, self); a.status != http.StatusBadRequest && a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%.60q: got %d: %s", body, a.status, a.body)
		}
	}
}

// verified is a node that was compared.
type verified struct{ repair *bool }

func (v verified) Verify(_ context.Context, repair bool) (control.Verification, error) {
	*v.repair = repair
	return control.Verification{Remaining: 1, Differences: []control.Difference{{Key: fhir.Key{Type: "Patient", ID: "p"}, Finding: "not here"}}}, nil
}

func (verified) Verifying() control.Verifying {
	return control.Verifying{Running: true, Done: 1, Total: 2}
}

func TestVerifyOverHTTP(t *testing.T) {
	_, ctl, there := operated(t)
	if _, err := there.Verify(t.Context(), false); syncerr.KindOf(err) == syncerr.Internal || err == nil || !strings.Contains(err.Error(), "does not run") {
		t.Errorf("a node that does not run: %v", err)
	}
	if s := ctl.Verifying(); s.Running {
		t.Errorf("got %+v", s)
	}
	repair := false
	w := newWorld(t)
	cfg := config.Default()
	cfg.Parent.URL = "https://district.example"
	w.serve(w.eng, func(d *api.Deps) { d.Control = control.New(w.eng, cfg, nil, control.Deps{Verifier: verified{&repair}}) })
	there = client.New("http://clinic.example:8080/", adminToken, carried{w.mux})
	for _, want := range []bool{true, false} {
		v, err := there.Verify(t.Context(), want)
		if err != nil || repair != want || v.Remaining != 1 || v.Differences[0].Finding != "not here" || v.Types == nil {
			t.Errorf("got %+v, repair %v, %v", v, repair, err)
		}
	}
	if s, err := there.Verifying(t.Context()); err != nil || s != (control.Verifying{Running: true, Done: 1, Total: 2}) {
		t.Errorf("got %+v, %v", s, err)
	}
	w.do("POST", "/control/v1/verify", `{"repiar":true}`, header("Authorization", "Bearer "+adminToken)).want(http.StatusBadRequest)
	w.do("POST", "/control/v1/verify", "", header("Authorization", "Bearer nobody")).want(http.StatusUnauthorized)
}
