package config

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const withTarget = `node: {name: clinic}
sdata:
  hq:
    url: https://hq.example/sdata
    credential_file: hq.token
    types: [{type: Patient}, {type: program}]
alerts: {command: /usr/local/bin/tell}
`

func TestSDataTargets(t *testing.T) {
	path := write(t, withTarget)
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	hq := c.SData["hq"]
	if got := strings.Join(hq.PushTypes(), " "); got != "Patient program" || hq.Interval() != 15*time.Minute || hq.CredentialFile != filepath.Join(filepath.Dir(path), "hq.token") {
		t.Errorf("%q of %+v", got, hq)
	}
	var b bytes.Buffer
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	again, err := Load(write(t, b.String()), nil)
	if err != nil || again.SData["hq"].URL != hq.URL || again.Alerts.Command != "/usr/local/bin/tell" {
		t.Errorf("what is printed is not read again: %v\n%s", err, b.String())
	}
	all, err := Load(write(t, strings.Replace(withTarget, "[{type: Patient}, {type: program}]", `[{type: "*"}]`, 1)), nil)
	if err != nil || all.SData["hq"].PushTypes() != nil {
		t.Errorf("all types are %v, %v", all.SData["hq"].PushTypes(), err)
	}
}

func TestSDataTargetsRefused(t *testing.T) {
	for _, c := range []struct{ replace, with, want string }{
		{"  hq:", "  parent:", "sdata.parent: this is no name for a target"},
		{"url: https://hq.example/sdata", "url: hq", "sdata.hq.url: "},
		{"url: https://hq.example/sdata", "url: https://me:secret@hq.example/sdata", "sdata.hq.url: "},
		{"{type: program}", "{type: Patients}", "sdata.hq.types[1].type: "},
		{"{type: program}", "{type: Encounter, client: fhir}", "sdata.hq.types[1].client: "},
		{"types: [{type: Patient}, {type: program}]", "every: 30ms", "sdata.hq.types: the list is empty"},
		{"types: ", "every: 30ms\n    types: ", "sdata.hq.every: "},
	} {
		_, err := Load(write(t, strings.Replace(withTarget, c.replace, c.with, 1)), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.with, err, c.want)
		}
	}
}
