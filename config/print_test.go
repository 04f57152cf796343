package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/reconcile"
)

func printed(t testing.TB, c Config) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestExamples(t *testing.T) {
	checks := map[string]func(*testing.T, Config){
		"clinic.yaml": func(t *testing.T, c Config) {
			if c.Pulls("Media") || !c.Pushes("Media") || c.Policies().For("AllergyIntolerance") != reconcile.Defer || c.Pull.Page != 100 {
				t.Errorf("got %+v", c)
			}
		},
		"district-mysql.yaml": func(t *testing.T, c Config) {
			if len(c.PullTypes()) != 5 || c.Pushes("Binary") || c.Client(ToParent, "Patient") != ClientFHIR || c.Client(FromParent, "Patient") != ClientNode {
				t.Errorf("got %+v", c)
			}
			if c.Conflicts.Priority["hospital.north"] != 1 || len(c.Feed.Anonymous) != 2 || c.Store.DSN != "" || c.Parent.CredentialFile != "/etc/tributary/nation.token" {
				t.Errorf("got %+v", c)
			}
		},
		"nation.yaml": func(t *testing.T, c Config) {
			if c.Pulls("Patient") || c.Pushes("Patient") || c.History.Keep != 0 || c.Audit.Retention.Std() != 520*week || c.Limits.Resource != 4<<20 {
				t.Errorf("got %+v", c)
			}
		},
		"offline.yaml": func(t *testing.T, c Config) {
			if c.Node.Name != "outreach-van" || c.Parent != (Parent{}) || c.Store.Driver != DriverSQLite {
				t.Errorf("got %+v", c)
			}
		},
	}
	dir, err := filepath.Abs("../testdata/config")
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != len(checks) {
		t.Fatalf("%d examples and %d checks, %v", len(files), len(checks), err)
	}
	for _, f := range files {
		t.Run(f.Name(), func(t *testing.T) {
			c, err := Load(filepath.Join(dir, f.Name()), nil)
			if err != nil {
				t.Fatal(err)
			}
			if w := c.Warnings(); len(w) != 0 {
				t.Errorf("warnings %q", w)
			}
			if rel, err := filepath.Rel(dir, c.Node.DataDir); err != nil || rel != "data" {
				t.Errorf("data_dir is %s", c.Node.DataDir)
			}
			checks[f.Name()](t, c)
			again, err := Load(write(t, printed(t, c)), nil)
			if err != nil || !reflect.DeepEqual(again, c.Redacted()) {
				t.Errorf("printed and read again: %v\n%+v\n%+v", err, again, c.Redacted())
			}
		})
	}
}

func TestRedacted(t *testing.T) {
	mysql := func(dsn string) Store { return Store{Driver: DriverMySQL, DSN: dsn} }
	for _, r := range []struct {
		name  string
		store Store
		want  string
	}{
		{"password", mysql("root:s3cr3t@tcp(h:1)/d?tls=true"), "root:***@tcp(h:1)/d?tls=true"},
		{"password with marks", mysql("root:a@s3cr3t/:@tcp(h:1)/d"), "root:***@tcp(h:1)/d"},
		{"no password", mysql("root@tcp(h:1)/d"), "root@tcp(h:1)/d"},
		{"no user", mysql("tcp(h:1)/d"), "tcp(h:1)/d"},
		{"no @", mysql("root:s3cr3t/d"), "***"},
		{"a URL", mysql("mysql://root:s3cr3t@h/d"), "***"},
		{"not understood", mysql("s3cr3t"), "***"},
		{"empty", mysql(""), ""},
		{"unknown driver", Store{Driver: "x", DSN: "host=h password=s3cr3t"}, "***"},
		{"path", Store{Driver: DriverSQLite, DSN: "/home/a@b:c/t.db"}, "/home/a@b:c/t.db"},
		{"driver forgotten", Store{Driver: DriverSQLite, DSN: "root:s3cr3t@tcp(h:1)/d"}, "root:***@tcp(h:1)/d"},
		{"driver forgotten, URL", Store{Driver: DriverSQLite, DSN: "mysql://root:s3cr3t@h/d"}, "***"},
	} {
		c := sound()
		c.Store, c.Parent.Credential, c.Parent.URL = r.store, "s3cr3t", "https://me:s3cr3t@p.example/x?s3cr3t"
		got := c.Redacted()
		if got.Store.DSN != r.want || got.Parent.Credential != "***" || got.Parent.URL != "https://***@p.example/x" {
			t.Errorf("%s: got %q %+v, want %q", r.name, got.Store.DSN, got.Parent, r.want)
		}
		if text := printed(t, c); strings.Contains(text, "s3cr3t") || !strings.HasPrefix(text, "# parent.credential comes from the environment") {
			t.Errorf("%s: printed %s", r.name, text)
		}
		if text, err := json.Marshal(got); err != nil || bytes.Contains(text, []byte("s3cr3t")) {
			t.Errorf("%s: JSON %s, %v", r.name, text, err)
		}
		if c.Store.DSN != r.store.DSN || c.Parent.Credential != "s3cr3t" {
			t.Errorf("%s: the original was changed", r.name)
		}
	}
}

func TestRedactedSharesNothing(t *testing.T) {
	c := sound()
	c.Conflicts.Types, c.Conflicts.Priority = map[string]reconcile.Policy{"Patient": reconcile.Defer}, map[string]int{"a": 1}
	r := c.Redacted()
	r.Pull.Types[0].Type, r.Push.Types[0].Type, r.Conflicts.Types["Patient"], r.Conflicts.Priority["a"] = "x", "x", "x", 9
	if c.Pull.Types[0].Type != "*" || c.Push.Types[0].Type != "*" || c.Conflicts.Types["Patient"] != reconcile.Defer || c.Conflicts.Priority["a"] != 1 {
		t.Errorf("the original was changed: %+v", c)
	}
}

func TestPrintOrder(t *testing.T) {
	c := sound()
	c.Store.DSN = "/data/t.db"
	want := `node:
  name: clinic-a
  listen: 127.0.0.1:8080
  data_dir: data
store:
  driver: sqlite
  dsn: /data/t.db
parent:
  url: https://district.example
  credential_file: data/parent.token
pull:
  enabled: true
  wait: 30s
  every: 0s
  page: 500
  types:
      - type: '*'
push:
  enabled: true
  every: 0s
  types:
      - type: '*'
network:
  silent_after: 1d
references: accept
conflicts:
  default: merge
  deletes_win: false
history:
  keep: 90d
audit:
  success: true
  retention: 365d
feed:
  page_size: 100
limits:
  resource: 16MiB
  body: 64MiB
log:
  level: info
  format: text
`
	if got := printed(t, c); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestPrintFails(t *testing.T) {
	if err := sound().Print(full{}); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got %v", err)
	}
}

func TestTemplate(t *testing.T) {
	for _, o := range []Options{
		{Name: "clinic-a"},
		{Name: "clinic-a", Parent: "https://district.example:8443/x", Listen: ":9090"},
		{Name: "no", Parent: "http://127.0.0.1:9", Listen: "[::1]:0"},
		{Name: "1e3", Listen: "0.0.0.0:80"},
		{Name: "2020-01-01"},
	} {
		text := Template(o)
		c, err := Load(write(t, string(text)), nil)
		if err != nil {
			t.Errorf("%+v: %v\n%s", o, err, text)
			continue
		}
		want := o.Listen
		if want == "" {
			want = "127.0.0.1:8080"
		}
		if c.Node.Name != o.Name || c.Parent.URL != o.Parent || c.Node.Listen != want {
			t.Errorf("%+v: got %+v %+v", o, c.Node, c.Parent)
		}
		same := Default()
		same.Node, same.Parent, same.Store = c.Node, c.Parent, c.Store
		if !reflect.DeepEqual(c, same) {
			t.Errorf("%+v: the template says something else than the defaults: %+v", o, c)
		}
	}
}

func TestTemplateCommentsAreSettings(t *testing.T) {
	text := string(Template(Options{Name: "a"}))
	var out []string
	for line := range strings.Lines(text) {
		trimmed := strings.TrimLeft(line, " ")
		if strings.HasPrefix(trimmed, "#") && !strings.HasPrefix(trimmed, "# ") {
			line = strings.Replace(line, "#", "", 1)
		}
		out = append(out, line)
	}
	c, err := Load(write(t, strings.Join(out, "")), nil)
	if err != nil || c.Parent.URL == "" || c.Node.URL == "" || len(c.Conflicts.Priority) != 2 || len(c.Conflicts.Types) != 1 {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestTemplateTakesAnyText(t *testing.T) {
	for _, name := range []string{"", "a b", "a: b", "x\ny: 1", "\"'", "\xff", "é\u2028", "#", "a\x00"} {
		_, err := Load(write(t, string(Template(Options{Name: name}))), nil)
		got := lines(t, err)
		if len(got) != 1 || !strings.HasPrefix(got[0], "node.name: ") {
			t.Errorf("%q: got %q, want only a problem with node.name", name, got)
		}
	}
}
