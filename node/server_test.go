package node_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/emrtest"
	"github.com/tributary-sync/tributary/node"
)

// beside is a FHIR server beside a clinic.
type beside struct {
	*emrtest.FHIRServer
	t *testing.T
}

// await waits until the server has a language under a key, "" for a deletion.
func (s beside) await(k fhir.Key, language string) {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); ; <-tick.C {
		body, ok := s.Get(k)
		if ok == (language != "") && (!ok || strings.Contains(string(body), fmt.Sprintf("%q", language))) {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s: the server has %s, want %q", k, body, language)
		}
	}
}

func (s beside) write(k fhir.Key, language string) {
	s.Put(k, fmt.Appendf(nil, `{"resourceType":%q,"id":%q,"language":%q}`, k.Type, k.ID, language))
}

// is waits until a node has a language under a key, "" for a deletion.
func (r *running) is(t *testing.T, k fhir.Key, language string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); ; <-tick.C {
		c, ok, err := r.Engine().Store().Get(context.Background(), k)
		if err != nil {
			t.Fatal(err)
		}
		if live := ok && !c.Stamp.Deleted; live == (language != "") && (!live || strings.Contains(string(c.Body), fmt.Sprintf("%q", language))) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %s has %s, want %q", k, r.cfg.Node.Name, c.Body, language)
		}
	}
}

// A clinic keeps its FHIR server: what is written there reaches the nation, what comes from the nation reaches it, and what was written on both
// sides at once is decided at the clinic (DESIGN.md section 7). One server has a history, the other only searches.
func TestServerBesideANode(t *testing.T) {
	for _, changes := range []config.Changes{config.FromHistory, config.FromLatest} {
		t.Run(string(changes), func(t *testing.T) {
			s := beside{&emrtest.FHIRServer{Credential: "Bearer secret", NoHistory: changes == config.FromLatest, Clock: time.Now}, t}
			web := httptest.NewServer(s)
			defer web.Close()
			token := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			nation := start(t, "nation", nil, node.Deps{}, nil)
			clinic := start(t, "clinic", nation, node.Deps{}, func(c *config.Config) {
				types := []config.TypeRule{{Type: "Patient"}}
				c.Servers = map[string]config.Server{"emr": {
					URL: web.URL + "/fhir", Changes: changes, CredentialFile: token, Every: config.Duration(20 * time.Millisecond), Pull: types, Push: types,
				}}
			})
			a, b, other := fhir.Key{Type: "Patient", ID: "a"}, fhir.Key{Type: "Patient", ID: "b"}, fhir.Key{Type: "Basic", ID: "o"}
			s.write(a, "en")
			nation.is(t, a, "en")
			nation.edit(t, b, "fr")
			nation.edit(t, other, "fr")
			s.await(b, "fr")
			nation.edit(t, a, "pt")
			s.await(a, "pt")
			s.write(b, "sw")
			nation.is(t, b, "sw")
			nation.edit(t, b, "")
			s.await(b, "")
			clinic.is(t, other, "fr")
			if _, ok := s.Get(other); ok {
				t.Error("it was given a type that it is not to have")
			}
			st, err := clinic.Control().Status(context.Background())
			if err != nil || len(st.Servers) != 1 || st.Servers[0].Name != "emr" || !st.Servers[0].Capture.Enabled || st.Servers[0].Deliver.LastSuccess == 0 {
				t.Errorf("status %+v, %v", st.Servers, err)
			}
			for range 3 {
				if _, err := clinic.Sync(context.Background(), "both"); err != nil {
					t.Fatal(err)
				}
			}
			head, err := clinic.Engine().Store().Head(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if _, err := clinic.Sync(context.Background(), "both"); err != nil {
					t.Fatal(err)
				}
			}
			if now, err := clinic.Engine().Store().Head(context.Background()); err != nil || now != head {
				t.Errorf("idle passes write: %s, %s, %v", head, now, err)
			}
		})
	}
}

// A server that is away, or does not take the credential, is said in one sentence and keeps the clinic from nothing.
func TestServerAway(t *testing.T) {
	s := &emrtest.FHIRServer{Credential: "Bearer secret"}
	web := httptest.NewServer(s)
	defer web.Close()
	nation := start(t, "nation", nil, node.Deps{}, nil)
	clinic := start(t, "clinic", nation, node.Deps{}, func(c *config.Config) {
		types := []config.TypeRule{{Type: "Patient"}}
		c.Servers = map[string]config.Server{
			"away": {URL: "http://127.0.0.1:1/fhir", Changes: config.FromHistory, Pull: types, Push: types},
			"shut": {URL: web.URL + "/fhir", Changes: config.FromHistory, Pull: types, Push: types},
		}
	})
	k := fhir.Key{Type: "Patient", ID: "a"}
	clinic.edit(t, k, "en")
	nation.is(t, k, "en")
	_, err := clinic.Sync(context.Background(), "both")
	if err == nil || !strings.Contains(err.Error(), "server away: ") || !strings.Contains(err.Error(), "server shut: ") {
		t.Errorf("%v", err)
	}
	t.Logf("%v", err)
}
