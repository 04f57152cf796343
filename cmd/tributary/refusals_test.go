package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Wrong usage is exit code 2 and one sentence that says what to do.
func TestUsage(t *testing.T) {
	m := machine{dir: t.TempDir()}
	tests := []struct {
		args  string
		parts []string
	}{
		{"serv", []string{`there is no command "serv"`, "Did you mean `tributary serve`"}},
		{"parked lst", []string{`there is no command "lst"`, "`tributary parked"}},
		{"status --nonsense", []string{"--nonsense", "--help"}},
		{"status now", []string{"takes no argument"}},
		{"load", []string{"it takes files or folders"}},
		{"conflict resolve x", []string{"it is not said what shall stand"}},
		{"conflict resolve x local incoming", []string{"it takes the UUID"}},
		{"status", []string{"there is no tributary.yaml", "tributary init"}},
		{"serve --config missing.yaml", []string{"there is no file", "tributary init"}},
		{"demo --size 0", []string{"--size 0"}},
		{"engine", []string{"--source and --target are both needed"}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) { m.refused(t, 2, tt.parts, strings.Fields(tt.args)...) })
	}
}

func TestServeRefuses(t *testing.T) {
	t.Run("missing database", func(t *testing.T) {
		m := newMachine(t, "a", "")
		if err := os.RemoveAll(filepath.Join(m.dir, "data")); err != nil {
			t.Fatal(err)
		}
		m.refused(t, 1, []string{"tributary init"}, "serve")
		if _, err := os.Stat(filepath.Join(m.dir, "data", "tributary.db")); err == nil {
			t.Error("serve made a new database in an empty folder")
		}
	})
	t.Run("busy port", func(t *testing.T) {
		m := newMachine(t, "a", "")
		l, err := net.Listen("tcp", m.listen)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		m.refused(t, 1, []string{m.listen, "node.listen"}, "serve")
	})
	t.Run("unknown key", func(t *testing.T) {
		m := newMachine(t, "a", "")
		path := filepath.Join(m.dir, "tributary.yaml")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m.write(t, "tributary.yaml", string(text)+"\nfeeds: {page_size: 5}\n")
		for _, c := range []string{"serve", "status", "config check"} {
			m.refused(t, 2, []string{"feeds"}, strings.Fields(c)...)
		}
	})
	t.Run("several problems", func(t *testing.T) {
		m := newMachine(t, "a", "")
		m.env = []string{"TRIBUTARY_PULL__PAGE=-1", "TRIBUTARY_LOG__LEVEL=loud"}
		r := m.do(t, "config", "check")
		if r.code != 2 || !strings.Contains(r.err, "pull.page") && !strings.Contains(r.err, "PULL__PAGE") || strings.Count(r.err, "tributary: ") != 2 {
			t.Errorf("got exit code %d and\n%s", r.code, r.err)
		}
	})
	t.Run("database that is away", func(t *testing.T) {
		m := newMachine(t, "a", "")
		m.env = []string{"TRIBUTARY_STORE__DRIVER=mysql", "TRIBUTARY_STORE__DSN=user:secret@tcp(" + freePort(t) + ")/x"}
		r := m.do(t, "serve")
		if r.code != 1 && r.code != 2 || strings.Count(r.err, "tributary: ") != 1 || strings.Contains(r.err, "secret") {
			t.Errorf("got exit code %d and\n%s", r.code, r.err)
		}
	})
}

// A parent that is something else than a node, or nothing at all.
func TestParentThatIsNone(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>It works!</html>") }))
	defer page.Close()
	tests := []struct {
		name, url string
		says      string
	}{
		{"a web server", page.URL, "not a Tributary node"},
		{"nobody", "http://" + freePort(t), "refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(t, "a", tt.url)
			m.write(t, "data/parent.token", "trib_x\n")
			m.refused(t, 1, []string{tt.says}, "sync")
			r := m.do(t, "doctor")
			if r.code != 1 || !strings.Contains(r.out, "FAIL") || !strings.Contains(r.out, "->") {
				t.Errorf("doctor: got exit code %d and\n%s%s", r.code, r.out, r.err)
			}
		})
	}
	t.Run("the port of another program", func(t *testing.T) {
		m := newMachine(t, "a", "")
		other := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				t.Error("the operator's credential went to another program")
			}
			http.NotFound(w, r)
		}))
		l, err := net.Listen("tcp", m.listen)
		if err != nil {
			t.Fatal(err)
		}
		_ = other.Listener.Close()
		other.Listener = l
		other.Start()
		defer other.Close()
		m.refused(t, 1, []string{"something else than a Tributary node", "node.listen"}, "status")
	})
}
