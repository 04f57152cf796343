package node_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/internal/emrtest"
	"github.com/tributary-sync/tributary/node"
)

// What the nation writes reaches the OpenMRS of a clinic, in the form that it takes, and a deletion voids it there: documents by REST, resources
// by REST and FHIR.
func TestDocumentsReachOpenMRS(t *testing.T) {
	emr := emrtest.New()
	srv := httptest.NewServer(emr)
	t.Cleanup(srv.Close)
	secret := filepath.Join(t.TempDir(), "emr")
	if err := os.WriteFile(secret, []byte(emrtest.User+":"+emrtest.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	nation := start(t, "nation", nil, node.Deps{}, nil)
	clinic := start(t, "clinic", nation, node.Deps{}, func(c *config.Config) {
		c.Servers = map[string]config.Server{"emr": {
			OpenMRS: srv.URL, CredentialFile: secret,
			Push: []config.TypeRule{{Type: "program"}, {Type: "Location", Client: config.ClientREST}},
		}}
	})
	shows := func(uuid, path, want string) {
		t.Helper()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(20 * time.Second); ; <-tick.C {
			got := emr.Full(uuid)
			if gjson.GetBytes(got, path).String() == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("OpenMRS has %s, want %s = %s; it was called\n%s", got, path, want, strings.Join(emr.Calls(), "\n"))
			}
		}
	}
	tag, body := nation.wrote(t, http.MethodPut, "/rest/v1/program/p", `{"name":"HIV","concept":{"uuid":"c","display":"C"},"links":[]}`)
	clinic.awaitREST(t, "/rest/v1/program/p", tag, body)
	shows("p", "name", "HIV")
	shows("p", "concept.uuid", "c")
	tag, body = nation.wrote(t, http.MethodPost, "/rest/v1/program/p", `{"name":"HIV and TB"}`)
	shows("p", "name", "HIV and TB")
	clinic.awaitREST(t, "/rest/v1/program/p", tag, body) // what OpenMRS made of it is no change of its own
	nation.wrote(t, http.MethodDelete, "/rest/v1/program/p", "")
	shows("p", "retired", "true")
	nation.wrote(t, http.MethodPost, "/rest/v1/program/p", `{"deleted":"false"}`)
	shows("p", "retired", "false")
	nation.wrote(t, http.MethodPut, "/fhir/R4/Location/l", `{"resourceType":"Location","id":"l","name":"Ward"}`)
	shows("l", "name", "Ward") // made by REST
	nation.wrote(t, http.MethodDelete, "/fhir/R4/Location/l", "")
	shows("l", "retired", "true")
}
