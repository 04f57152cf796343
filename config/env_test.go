package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/reconcile"
)

const base = "node: {name: a}\nconflicts: {types: {Consent: defer}, priority: {hospital: 1}}\nfeed: {anonymous: [10.0.0.0/8, 192.168.0.0/16]}\n"

func TestEnvironmentSets(t *testing.T) {
	off := false
	rows := []struct {
		env  string
		got  func(Config) any
		want any
	}{
		{"NODE__NAME=b", func(c Config) any { return c.Node.Name }, "b"},
		{"node__name=b", func(c Config) any { return c.Node.Name }, "b"},
		{"NODE__NAME=007", func(c Config) any { return c.Node.Name }, "007"},
		{"NODE__NAME=\"quoted\"", func(c Config) any { return c.Node.Name }, "quoted"},
		{"PARENT__CREDENTIAL=0123", func(c Config) any { return c.Parent.Credential }, "0123"},
		{"PARENT__CREDENTIAL=a#b:c*", func(c Config) any { return c.Parent.Credential }, "a#b:c*"},
		{"PARENT__CREDENTIAL='q x'", func(c Config) any { return c.Parent.Credential }, "q x"},
		{"PULL__PAGE=7", func(c Config) any { return c.Pull.Page }, 7},
		{"PULL__ENABLED=false", func(c Config) any { return c.Pull.Enabled }, false},
		{"PULL__WAIT=45s", func(c Config) any { return c.Pull.Wait.String() }, "45s"},
		{"PUSH__EVERY=0", func(c Config) any { return c.Push.Every.String() }, "0s"},
		{"LIMITS__BODY=20MiB", func(c Config) any { return c.Limits.Body }, Size(20 << 20)},
		{"PULL__TYPES=[{type: Patient, client: rest}, {type: '*', enabled: false}]", func(c Config) any { return c.Pull.Types }, []TypeRule{{Type: "Patient", Client: ClientREST}, {Type: "*", Enabled: &off}}},
		{"FEED__ANONYMOUS=[127.0.0.1/8]", func(c Config) any {
			return c.Feed.Anonymous[0].String() + " " + c.Feed.Anonymous[len(c.Feed.Anonymous)-1].String()
		}, "127.0.0.0/8 127.0.0.0/8"},
		{"CONFLICTS__TYPES__PATIENT=source-wins", func(c Config) any { return c.Conflicts.Types }, map[string]reconcile.Policy{"Consent": reconcile.Defer, "Patient": reconcile.SourceWins}},
		{"CONFLICTS__TYPES__CONSENT=source-wins", func(c Config) any { return c.Conflicts.Types }, map[string]reconcile.Policy{"Consent": reconcile.SourceWins}},
		{"CONFLICTS__PRIORITY={b.c: 2}", func(c Config) any { return c.Conflicts.Priority }, map[string]int{"hospital": 1, "b.c": 2}},
		{"CONFLICTS__PRIORITY__b=3", func(c Config) any { return c.Conflicts.Priority }, map[string]int{"hospital": 1, "b": 3}},
		{"REFERENCES=hold", func(c Config) any { return c.References }, HoldReferences},
		{"LOG__LEVEL=debug", func(c Config) any { return c.Log.Level }, "debug"},
	}
	for _, r := range rows {
		t.Run(r.env, func(t *testing.T) {
			c, err := Load(write(t, base), []string{"PATH=/bin", "TRIBUTARY_CONFIG=elsewhere", "TRIBUTARY_TEST_MYSQL=x", "OTHER__A=b", "TRIBUTARY_" + r.env})
			if err != nil && !strings.Contains(r.env, "q x") {
				t.Fatal(err)
			}
			if got := r.got(c); !reflect.DeepEqual(got, r.want) {
				t.Errorf("got %v, want %v", got, r.want)
			}
		})
	}
}

func TestEnvironmentRefuses(t *testing.T) {
	rows := []struct {
		env  []string
		want string
	}{
		{[]string{"TRIBUTARY_PARENT__CREDENTIALFILE=s3cr3t"}, "TRIBUTARY_PARENT__CREDENTIALFILE: there is no such setting. Did you mean TRIBUTARY_PARENT__CREDENTIAL_FILE?"},
		{[]string{"TRIBUTARY_PARNET__URL=s3cr3t"}, "Did you mean TRIBUTARY_PARENT?"},
		{[]string{"TRIBUTARY_SOMETHING__ELSE=s3cr3t"}, "TRIBUTARY_SOMETHING__ELSE: there is no such setting. Remove it"},
		{[]string{"TRIBUTARY___NAME=s3cr3t"}, "there is no such setting"},
		{[]string{"TRIBUTARY_NODE__=s3cr3t"}, "there is no such setting"},
		{[]string{"TRIBUTARY_CONFLICTS__TYPES__=s3cr3t"}, "there is no such setting"},
		{[]string{"TRIBUTARY_PULL__TYPES__0=s3cr3t"}, "Set TRIBUTARY_PULL__TYPES as a whole"},
		{[]string{"TRIBUTARY_NODE__NAME__X=s3cr3t"}, "Set TRIBUTARY_NODE__NAME as a whole"},
		{[]string{"TRIBUTARY_PULL__PAGE={s3cr3t"}, "TRIBUTARY_PULL__PAGE: its value is not valid YAML"},
		{[]string{"TRIBUTARY_PULL__PAGE=3\nw: s3cr3t"}, "its value is not valid YAML"},
		{[]string{"TRIBUTARY_PULL__PAGE=s3cr3t"}, "pull.page: is text. Write a whole number (it is set by TRIBUTARY_PULL__PAGE)"},
		{[]string{"TRIBUTARY_NODE__LISTEN=nowhere"}, `node.listen: "nowhere" is not host:port. Write for example 127.0.0.1:8080, or :8080 for every interface (it is set by TRIBUTARY_NODE__LISTEN)`},
		{[]string{"TRIBUTARY_NODE__NAME=b", "TRIBUTARY_node__name=c"}, "TRIBUTARY_node__name: TRIBUTARY_NODE__NAME sets the same setting"},
		{[]string{"TRIBUTARY_CONFLICTS__PRIORITY__b=1", "TRIBUTARY_CONFLICTS__PRIORITY={b: 2}"}, "sets the same setting"},
		{[]string{"TRIBUTARY_CONFLICTS__TYPES__PATEINT=defer"}, "conflicts.types.PATEINT: \"PATEINT\" is not a resource type of FHIR R4. Did you mean Patient?"},
	}
	for _, r := range rows {
		t.Run(strings.Join(r.env, " "), func(t *testing.T) {
			_, err := Load(write(t, base), r.env)
			got := lines(t, err)
			if len(got) != 1 || !strings.Contains(got[0], r.want) || strings.Contains(got[0], "s3cr3t") {
				t.Errorf("got %q, want one with %q", got, r.want)
			}
		})
	}
}
