package config

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/syncerr"
)

// write makes a configuration file and returns its path.
func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tributary.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// lines returns the joined problems one by one and fails unless each is a Usage error of one line with a hint.
func lines(t testing.TB, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	all := []error{err}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		all = j.Unwrap()
	}
	var out []string
	for _, e := range all {
		if syncerr.KindOf(e) != syncerr.Usage || syncerr.HintOf(e) == "" || strings.Contains(e.Error(), "\n") {
			t.Errorf("%q is no one-line usage error with a hint", e)
		}
		out = append(out, e.Error())
	}
	return out
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	second := filepath.Join(dir, "etc.yaml")
	if _, err := find(nil, "tributary.yaml", second); syncerr.KindOf(err) != syncerr.Usage || !strings.Contains(syncerr.HintOf(err), "tributary init") {
		t.Errorf("nothing there: got %v, want a usage error that names tributary init", err)
	}
	steps := []struct {
		name, create string
		env          []string
		want         string
	}{
		{"the last place", second, []string{"TRIBUTARY_CONFIG="}, second},
		{"the working folder goes before it", "tributary.yaml", []string{"OTHER=1"}, "tributary.yaml"},
		{"the environment goes before all", "", []string{"A=b", "TRIBUTARY_CONFIG=/somewhere/x.yaml"}, "/somewhere/x.yaml"},
	}
	for _, s := range steps {
		if s.create != "" {
			if err := os.WriteFile(s.create, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := find(s.env, "tributary.yaml", second); err != nil || got != s.want {
			t.Errorf("%s: got %q, %v, want %q", s.name, got, err, s.want)
		}
	}
	if got, err := Find(nil); err != nil || got != "tributary.yaml" {
		t.Errorf("Find: got %q, %v", got, err)
	}
	if err := os.WriteFile("tributary.yaml", []byte("node: {name: found}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load("", nil); err != nil || c.Node.Name != "found" || c.Node.DataDir != filepath.Join(dir, "data") {
		t.Errorf("Load without a path: got %+v, %v", c.Node, err)
	}
}

func TestLoadKeepsDefaults(t *testing.T) {
	path := write(t, "node: {name: a}\nstore:\npull:\n  types:\n")
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Node.Name = "a"
	want.Node.DataDir = filepath.Join(filepath.Dir(path), "data")
	want.Store.DSN = filepath.Join(filepath.Dir(path), "data/tributary.db")
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v\nwant %+v", c, want)
	}
	if c.Pull.Wait.Std() != 30*time.Second || c.History.Keep.Std() != 90*24*time.Hour || c.Audit.Retention.Std() != 365*24*time.Hour {
		t.Errorf("times are %v %v %v", c.Pull.Wait, c.History.Keep, c.Audit.Retention)
	}
}

func TestLoadPaths(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.yaml")
	text := "node: {name: a, data_dir: state}\nparent: {url: 'https://p.example', credential_file: keys/token}\nstore: {driver: mysql, dsn_file: /abs/dsn}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(dir))
	c, err := Load(filepath.Join(filepath.Base(dir), "c.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.Node.DataDir, c.Parent.CredentialFile, c.Store.DSNFile, c.Store.DSN}
	if want := []string{filepath.Join(dir, "state"), filepath.Join(dir, "keys/token"), "/abs/dsn", ""}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	c, err = Load(path, []string{"TRIBUTARY_STORE__DRIVER=sqlite", "TRIBUTARY_STORE__DSN_FILE=", "TRIBUTARY_PARENT__CREDENTIAL_FILE=env.token"})
	if err != nil || c.Store.DSN != filepath.Join(dir, "state/tributary.db") || c.Parent.CredentialFile != filepath.Join(dir, "env.token") {
		t.Errorf("got %q %q, %v", c.Store.DSN, c.Parent.CredentialFile, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	const ok = "node: {name: a}\n"
	rows := []struct {
		name, text string
		want       []string // a part of each problem, in order
	}{
		{"unknown group", ok + "nodes: {}", []string{"nodes: there is no such setting. Did you mean node?"}},
		{"unknown setting", ok + "pull: {wiat: 3s}", []string{"pull.wiat: there is no such setting. Did you mean wait?"}},
		{"unknown setting far from any", ok + "push: {frequency: 3s}", []string{"push.frequency: there is no such setting. Remove it, or use one of enabled, every, types"}},
		{"capital", "Node: {name: a}", []string{"Did you mean node?", "node.name: the node has no name"}},
		{"unknown in a list", ok + "pull: {types: [{type: Patient, clients: node}]}", []string{"pull.types[0].clients: there is no such setting. Did you mean client?"}},
		{"several at once", ok + "a: 1\nlog: {level: loud}\npull: {page: 0}", []string{"a: there is no", "pull.page: 0 is not", "log.level: \"loud\" is not known"}},
		{"group is text", "node: clinic", []string{"node: is text. Write name: value lines under it, of name, listen, url, data_dir"}},
		{"group is a list", ok + "log: [a]", []string{"log: is a list"}},
		{"number for text", "node: {name: 7}", []string{"node.name: is a number. Write text"}},
		{"date for text", "node: {name: 2020-01-01}", []string{"node.name: is something else"}},
		{"text for bool", ok + "pull: {enabled: no}", []string{"pull.enabled: is text. Write true or false"}},
		{"text for number", ok + "pull: {page: many}", []string{"pull.page: is text. Write a whole number"}},
		{"fraction for number", ok + "pull: {page: 1.5}", []string{"pull.page: is a number with a fraction"}},
		{"bool for number", ok + "pull: {page: true}", []string{"pull.page: is true or false"}},
		{"no unit", ok + "history: {keep: 90}", []string{`history.keep: "90" has no unit. Write for example 30s, 5m, 12h, 90d or 2w`}},
		{"list for time", ok + "history: {keep: [1d]}", []string{"history.keep: is a list. Write one value"}},
		{"bad size", ok + "limits: {body: big}", []string{`limits.body: "big" is not a size. Write for example 16MiB`}},
		{"bad network", ok + "feed: {anonymous: [10.0.0.1]}", []string{`feed.anonymous[0]: "10.0.0.1" is not a network. Write for example 10.0.0.0/8`}},
		{"text for list", ok + "feed: {anonymous: 10.0.0.0/8}", []string{"feed.anonymous: is text. Write a list"}},
		{"empty item", ok + "feed: {anonymous: [null]}", []string{"feed.anonymous[0]: is empty"}},
		{"type as text", ok + "pull: {types: [Patient]}", []string{"pull.types[0]: is text. Write name: value lines under it, of type, client, enabled"}},
		{"group is a number", ok + "conflicts: {types: 3}", []string{"conflicts.types: is a number"}},
		{"no value", ok + "conflicts: {priority: {a: }}", []string{"conflicts.priority.a: has no value"}},
		{"priority is text", ok + "conflicts: {priority: {a: high}}", []string{"conflicts.priority.a: is text"}},
		{"secret in the file", ok + "parent: {url: 'https://p.example', credential: s3cr3t}", []string{"parent.credential: a secret does not belong", "parent.credential_file: parent.url is given without a credential"}},
		{"key twice", ok + "node: {name: b}", []string{"it is not valid YAML: "}},
		{"not YAML", "node: {name: a", []string{"it is not valid YAML: line"}},
		{"only text", "s3cr3t-content", []string{"it holds no settings of the form name: value"}},
		{"a list", "- a\n- b", []string{"it holds no settings"}},
		{"two documents", ok + "---\nlog: {level: warn}", []string{"line 2 begins a second document"}},
		{"not UTF-8", "node: {name: \"\xff\"}", []string{"it is not UTF-8 text"}},
		{"odd key", ok + "\"a\\nb\": 1", []string{`"a\nb": there is no such setting`}},
		{"empty", "", []string{"node.name: the node has no name. Use 1 to 64 letters"}},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			_, err := Load(write(t, r.text), nil)
			got := lines(t, err)
			if len(got) != len(r.want) {
				t.Fatalf("got %d problems %q, want %d", len(got), got, len(r.want))
			}
			for i := range got {
				if !strings.Contains(got[i], r.want[i]) {
					t.Errorf("got %q, want %q in it", got[i], r.want[i])
				}
				if strings.Contains(got[i], "s3cr3t") {
					t.Errorf("%q shows a secret", got[i])
				}
			}
		})
	}
}

func TestLoadFileProblems(t *testing.T) {
	big := write(t, "#"+strings.Repeat("x", maxFile))
	for _, r := range []struct{ name, path, want string }{
		{"missing", filepath.Join(t.TempDir(), "no.yaml"), "there is no file"},
		{"folder", t.TempDir(), "is not a file"},
		{"under a file", filepath.Join(big, "x"), "not a directory"},
		{"huge", big, "larger than 1 MiB"},
	} {
		_, err := Load(r.path, nil)
		if got := lines(t, err); len(got) != 1 || !strings.Contains(got[0], r.want) {
			t.Errorf("%s: got %q, want %q", r.name, got, r.want)
		}
	}
}

func TestLoadOneDocumentWithMarks(t *testing.T) {
	c, err := Load(write(t, "\n# comment\r\n---\r\nnode:\r\n  name: a\r\n"), nil)
	if err != nil || c.Node.Name != "a" {
		t.Errorf("got %q, %v", c.Node.Name, err)
	}
}

// bytesProvider gives koanf the bytes of a fuzz input.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("../testdata/config/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no example configurations: %v", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "TRIBUTARY_PULL__PAGE", "7")
	}
	f.Add([]byte("node: {name: a}\nconflicts: {types: {Patient: defer}, priority: {a.b__c: 1}}"), "TRIBUTARY_CONFLICTS__TYPES__PATIENT", "'x'")
	f.Add(Template(Options{Name: "a", Parent: "https://p.example"}), "TRIBUTARY_PUSH__TYPES", "[{type: Patient, client: rest}]")
	f.Fuzz(func(t *testing.T, data []byte, name, value string) {
		c, _, err := load(content(data), "/etc/tributary/tributary.yaml", []string{name + "=" + value})
		lines(t, err)
		if err != nil {
			return
		}
		c.Warnings()
		var first, second bytes.Buffer
		if err := c.Print(&first); err != nil {
			t.Fatal(err)
		}
		environ := []string{"TRIBUTARY_PARENT__CREDENTIAL=" + c.Parent.Credential}
		again, _, err := load(content(first.Bytes()), "/etc/tributary/tributary.yaml", environ)
		if err != nil {
			t.Fatalf("what was printed does not load: %v\n%s", err, first.Bytes())
		}
		if err := again.Print(&second); err != nil || first.String() != second.String() {
			t.Fatalf("printed twice: %v\n%s\n%s", err, first.String(), second.String())
		}
	})
}
