package device_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	client "github.com/tributary-sync/tributary/clients/device"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/syncerr"
)

// serve runs a node's handler on a real socket.
func serve(t *testing.T) (*node.Node, string) {
	t.Helper()
	cfg := config.Default()
	dir := t.TempDir()
	cfg.Node.Name, cfg.Node.DataDir, cfg.Store.DSN = "clinic", dir, filepath.Join(dir, "tributary.db")
	deps := node.Deps{Volatile: true}
	if err := node.Init(t.Context(), cfg, deps); err != nil {
		t.Fatal(err)
	}
	n, err := node.New(t.Context(), cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(n.Handler())
	t.Cleanup(func() {
		srv.Close()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n, srv.URL
}

func write(t *testing.T, n *node.Node, op engine.Op, typ, id, more string) {
	t.Helper()
	w := engine.Write{Op: op, Key: fhir.Key{Type: typ, ID: id}}
	if op != engine.Delete {
		var err error
		if w.Body, err = fhir.Parse(fmt.Appendf(nil, `{"resourceType":%q,"id":%q%s}`, typ, id, more), 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.Engine().Author(t.Context(), "test", []engine.Write{w}); err != nil {
		t.Fatal(err)
	}
}

// The script keeps a folder in step: what is new, what changed and what was deleted.
func TestScript(t *testing.T) {
	n, url := serve(t)
	d, err := n.Control().AddDevice(t.Context(), "phone", []string{"Patient", "Location"})
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "copy")
	run := func(token, want string, ok bool) {
		t.Helper()
		c := exec.CommandContext(t.Context(), "./sync.sh", folder)
		c.Env = append(os.Environ(), "TRIBUTARY_URL="+url, "TRIBUTARY_TOKEN="+token)
		out, err := c.CombinedOutput()
		if (err == nil) != ok || !strings.Contains(string(out), want) {
			t.Fatalf("%s %v, not %s", out, err, want)
		}
	}
	run(d.Credential, "nothing new", true)
	for i := range 120 {
		write(t, n, engine.Update, "Patient", fmt.Sprintf("p%d", i), `,"name":[{"text":"tab\there \"<ž>"}]`)
	}
	write(t, n, engine.Update, "Location", "l", "")
	write(t, n, engine.Update, "Organization", "o", "")
	run(d.Credential, "121 stored, 0 deleted", true)
	got, err := os.ReadFile(filepath.Join(folder, "Patient", "p7.json"))
	if err != nil || !strings.Contains(string(got), `"tab\there \"<ž>"`) || !strings.Contains(string(got), `"versionId"`) {
		t.Errorf("%s %v", got, err)
	}
	write(t, n, engine.Update, "Patient", "p7", `,"active":true`)
	write(t, n, engine.Delete, "Location", "l", "")
	run(d.Credential, "1 stored, 1 deleted", true)
	run(d.Credential, "nothing new", true)
	files, err := filepath.Glob(filepath.Join(folder, "*", "*"))
	if err != nil || len(files) != 120 {
		t.Errorf("%d files, %v", len(files), err)
	}
	if err := n.Control().RemoveDevice(t.Context(), "phone"); err != nil {
		t.Fatal(err)
	}
	run(d.Credential, "the node answered 401", false)
}

// The Go client stores page by page, acknowledges what was stored alone, and says what is wrong.
func TestClient(t *testing.T) {
	n, url := serve(t)
	d, err := n.Control().AddDevice(t.Context(), "phone", []string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	c := client.New(url+"/", d.Credential, "one", nil)
	have := map[string]client.Event{}
	keep := func(_ context.Context, items []client.Item) error {
		for _, i := range items {
			have[i.Type+"/"+i.ID] = i.Event
		}
		return nil
	}
	if got, err := c.Sync(t.Context(), keep); got != 0 || err != nil {
		t.Error(got, err)
	}
	for i := range 250 {
		write(t, n, engine.Update, "Patient", fmt.Sprintf("p%d", i), "")
	}
	full := errors.New("the card is full")
	pages := 0
	got, err := c.Sync(t.Context(), func(ctx context.Context, items []client.Item) error {
		if pages++; pages > 1 {
			return full
		}
		return keep(ctx, items)
	})
	if got != 100 || !errors.Is(err, full) || len(have) != 100 {
		t.Errorf("%d %v, %d", got, err, len(have))
	}
	if got, err = c.Sync(t.Context(), keep); got != 150 || err != nil || len(have) != 250 || have["Patient/p249"] != client.Created {
		t.Errorf("%d %v, %d", got, err, len(have))
	}
	write(t, n, engine.Delete, "Patient", "p1", "")
	write(t, n, engine.Update, "Patient", "p2", `,"active":true`)
	if got, err = c.Sync(t.Context(), keep); got != 2 || err != nil || have["Patient/p1"] != client.Deleted || have["Patient/p2"] != client.Updated {
		t.Errorf("%d %v, %+v", got, err, have["Patient/p1"])
	}
	if _, err := client.New(url, "nobody", "one", nil).Sync(t.Context(), keep); syncerr.KindOf(err) != syncerr.Denied {
		t.Error(err)
	}
	write(t, n, engine.Update, "Patient", "p3", `,"active":true`)
	s, err := c.Start(t.Context())
	if err != nil || s.Total != 1 {
		t.Fatal(s, err)
	}
	if _, err := client.New(url, d.Credential, "two", nil).Start(t.Context()); err != nil {
		t.Error(err)
	}
	s.ID = "gone"
	if _, err := s.Next(t.Context()); syncerr.KindOf(err) != syncerr.NotFound {
		t.Error(err)
	}
	for answer, kind := range map[string]syncerr.Kind{"503": syncerr.Transient, "400": syncerr.Invalid, "200": syncerr.Invalid} {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			var status int
			_, _ = fmt.Sscan(answer, &status)
			w.WriteHeader(status)
			_, _ = w.Write([]byte("<html>"))
		}))
		if _, err := client.New(other.URL, "x", "y", nil).Start(t.Context()); syncerr.KindOf(err) != kind {
			t.Errorf("%s: %v", answer, err)
		}
		other.Close()
		if _, err := client.New(other.URL, "x", "y", nil).Start(t.Context()); syncerr.KindOf(err) != syncerr.Transient {
			t.Errorf("nobody there: %v", err)
		}
	}
}

// A node that sends names of files instead of resources gets none written.
func TestScriptKeepsToItsFolder(t *testing.T) {
	for _, bad := range []string{`"type":"../../x"`, `"type":"a b"`, `"type":""`} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/start"):
				w.WriteHeader(http.StatusCreated)
				_, _ = w.Write([]byte(`{"data":{"id":"s"}}`))
			case strings.HasSuffix(r.URL.Path, "/main"):
				_, _ = w.Write([]byte(`{"items":[{"data":{"id":"i"},"meta":{` + bad + `,"sync":{"event_type":"created","ack_key":"k"}}}]}`))
			default:
				t.Error("it acknowledged")
			}
		}))
		dir := t.TempDir()
		c := exec.CommandContext(t.Context(), "./sync.sh", filepath.Join(dir, "a", "b"))
		c.Env = append(os.Environ(), "TRIBUTARY_URL="+srv.URL, "TRIBUTARY_TOKEN=x")
		if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "no resource") {
			t.Errorf("%s: %s %v", bad, out, err)
		}
		srv.Close()
		files, err := filepath.Glob(filepath.Join(dir, "x*"))
		if err != nil || len(files) != 0 {
			t.Error(files, err)
		}
	}
}
