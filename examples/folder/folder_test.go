package folder_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/examples/folder"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/syncerr"
)

func settings(t *testing.T) config.Config {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "tributary.yaml")
	text := `node: {name: clinic}
servers:
  files:
    changes: program
    absent: delete
    pull: [{type: Location}]
    push: [{type: Location}]
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// A program embeds a node and gives it a participant of its own: what changes in the folder changes at the node, and the reverse.
func TestFolder(t *testing.T) {
	cfg := settings(t)
	f := &folder.Folder{Dir: filepath.Join(t.TempDir(), "files")}
	deps := node.Deps{Volatile: true, Participants: map[string]node.Participant{"files": {Source: f, Remote: f}}}
	if err := node.Init(t.Context(), cfg, deps); err != nil {
		t.Fatal(err)
	}
	n, err := node.New(t.Context(), cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	file := func(id string) string { return filepath.Join(f.Dir, "Location", id+".json") }
	write := func(id, name string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(file(id)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file(id), fmt.Appendf(nil, `{"resourceType":"Location","id":%q,"name":%q}`, id, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	edit := func(id, name string) {
		t.Helper()
		w := engine.Write{Op: engine.Delete, Key: fhir.Key{Type: "Location", ID: id}}
		if name != "" {
			body, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":"Location","id":%q,"name":%q}`, id, name), 0)
			if err != nil {
				t.Fatal(err)
			}
			w.Op, w.Body = engine.Update, body
		}
		if _, err := n.Engine().Author(t.Context(), "test", []engine.Write{w}); err != nil {
			t.Fatal(err)
		}
	}
	sync := func() {
		t.Helper()
		if _, err := n.Sync(t.Context(), "both"); err != nil {
			t.Fatal(err)
		}
	}
	both := func(id, name string) {
		t.Helper()
		c, ok, err := n.Engine().Store().Get(context.Background(), fhir.Key{Type: "Location", ID: id})
		body, ferr := os.ReadFile(file(id))
		if name == "" {
			if err != nil || ok && !c.Stamp.Deleted || !os.IsNotExist(ferr) {
				t.Errorf("%s is not gone: %s %v, %s", id, c.Body, err, body)
			}
			return
		}
		if err != nil || ferr != nil || !strings.Contains(string(c.Body), name) || !strings.Contains(string(body), name) {
			t.Errorf("%s: the node has %s (%v), the folder %s (%v), want %s", id, c.Body, err, body, ferr, name)
		}
	}
	write("a", "from the folder")
	edit("b", "from the node")
	sync()
	both("a", "from the folder")
	both("b", "from the node")
	write("b", "changed in the folder")
	edit("a", "changed at the node")
	sync()
	both("a", "changed at the node")
	both("b", "changed in the folder")
	if err := os.Remove(file("a")); err != nil {
		t.Fatal(err)
	}
	edit("b", "")
	sync()
	both("a", "")
	both("b", "")
	edit("b", "back again")
	sync()
	both("b", "back again")
	head, err := n.Engine().Store().Head(t.Context())
	sync()
	if now, err2 := n.Engine().Store().Head(t.Context()); err != nil || err2 != nil || now != head {
		t.Errorf("an idle pass writes: %s, %s", head, now)
	}
}

// A node that is not given the participant says so.
func TestFolderIsMissing(t *testing.T) {
	cfg := settings(t)
	if err := node.Init(t.Context(), cfg, node.Deps{}); err != nil {
		t.Fatal(err)
	}
	if _, err := node.New(t.Context(), cfg, node.Deps{}); syncerr.KindOf(err) != syncerr.Usage || !strings.Contains(err.Error(), "servers.files") {
		t.Error(err)
	}
}

// The example stays short enough to be read in one go.
func TestFolderIsShort(t *testing.T) {
	text, err := os.ReadFile("folder.go")
	if lines := strings.Count(string(text), "\n"); err != nil || lines >= 100 {
		t.Errorf("it has %d lines, %v", lines, err)
	}
}
