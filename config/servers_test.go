package config

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const withServer = `node: {name: clinic}
servers:
  emr:
    openmrs: http://127.0.0.1:8080/openmrs
    changes: atom
    feed: [http://127.0.0.1:8080/openmrs/ws/atomfeed/patient/recent]
    credential_file: emr.token
    every: 30s
    pull: [{type: Patient}, {type: program}]
    push: [{type: Patient, client: rest}, {type: Encounter}, {type: Media, enabled: false}]
`

func TestServers(t *testing.T) {
	path := write(t, withServer)
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Servers["emr"]
	if got := s.PushTypes(); !slices.Equal(got, []string{"Encounter", "Patient"}) {
		t.Errorf("push %v", got)
	}
	for resourceType, want := range map[string]Client{"Patient": ClientREST, "Encounter": ClientFHIR, "program": ClientREST} {
		if got := s.Client(resourceType); got != want {
			t.Errorf("%s goes by %s, want %s", resourceType, got, want)
		}
	}
	if s.Base() != "http://127.0.0.1:8080/openmrs/ws/fhir2/R4" || s.Interval() != 30*time.Second || s.Reach() != 5*time.Minute || s.CredentialFile != filepath.Join(filepath.Dir(path), "emr.token") {
		t.Errorf("%+v", s)
	}
	var b bytes.Buffer
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	again, err := Load(write(t, b.String()), nil)
	if err != nil || again.Servers["emr"].Client("Patient") != ClientREST {
		t.Errorf("what is printed is not read again: %v\n%s", err, b.String())
	}
}

func TestServersRefused(t *testing.T) {
	for _, c := range []struct{ replace, with, want string }{
		{"  emr:", "  parent:", "servers.parent: this is no name for a server"},
		{"  emr:", "  clinic:", "servers.clinic: this is no name for a server"},
		{"openmrs: http://127.0.0.1:8080/openmrs", "openmrs: openmrs", "servers.emr.openmrs: "},
		{"openmrs: http://127.0.0.1:8080/openmrs", "url: openmrs", "servers.emr.url: "},
		{"changes: atom", "changes: feed", "servers.emr.changes: "},
		{"    changes: atom\n", "", "servers.emr.changes: "},
		{"    feed: [http://127.0.0.1:8080/openmrs/ws/atomfeed/patient/recent]\n", "", "servers.emr.feed: no feed is named"},
		{"openmrs: http://127.0.0.1:8080/openmrs", "url: http://127.0.0.1:8080/fhir", "servers.emr.openmrs: "},
		{"{type: Encounter}", "{type: Encounter, client: node}", "servers.emr.push[1].client: a server without stamps is no node"},
		{"{type: Encounter}", `{type: "*"}`, "servers.emr.push[1].type: not everything of a server is moved"},
		{"{type: Encounter}", "{type: Encounters}", "servers.emr.push[1].type: "},
		{"every: 30s", "every: 30ms", "servers.emr.every: "},
		{"changes: atom", "changes: feedsync", "servers.emr.push: a feed can only be read"},
	} {
		_, err := Load(write(t, strings.Replace(withServer, c.replace, c.with, 1)), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.with, err, c.want)
		}
	}
}

const withList = `node: {name: nation}
servers:
  registry:
    feed: [https://registry.example/l.json]
    changes: list
    absent: delete
    absent_limit: 20
    pause: 500ms
    list:
      items: rows
      resource: |
        {"resourceType": "Location", "id": "{code}"}
    pull: [{type: Location}]
`

// A list of records has all that it needs, is asked seldom, and prints as it is read.
func TestLists(t *testing.T) {
	c, err := Load(write(t, withList), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Servers["registry"]
	deletes, limit := s.Deletes()
	if s.Base() != "https://registry.example/l.json" || s.Interval() != 15*time.Minute || !deletes || limit != 20 || s.Pause.Std() != 500*time.Millisecond || s.List.Items != "rows" {
		t.Errorf("%+v", s)
	}
	var b bytes.Buffer
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	again, err := Load(write(t, b.String()), nil)
	if err != nil || again.Servers["registry"].List != s.List {
		t.Errorf("what is printed is not read again: %v\n%s", err, b.String())
	}
	for _, c := range []struct{ replace, with, want string }{
		{"changes: list", "changes: history", "servers.registry.list: nothing is read by it"},
		{"changes: list", "changes: news", "servers.registry.absent: only what is read as a whole"},
		{"changes: list", "changes: news", "servers.registry.list: an RSS or Atom feed has no paths"},
		{"    feed: [https://registry.example/l.json]\n", "", "servers.registry.feed: no address is named"},
		{`"{code}"`, `"{code"`, "servers.registry.list.resource: a brace"},
		{"Location\"", "Place\"", "servers.registry.list.resource: resourceType is not"},
		{"pull: [{type: Location}]", "pull: [{type: Organization}]", "servers.registry.pull: Location is made of its records and not read"},
		{"pull: [{type: Location}]", "pull: [{type: Location}]\n    push: [{type: Location}]", "servers.registry.push: a list or feed can only be read"},
		{"absent: delete", "absent: drop", "servers.registry.absent: "},
		{"absent_limit: 20", "absent_limit: 120", "servers.registry.absent_limit: 120 is none"},
		{"pause: 500ms", "pause: 2d", "servers.registry.pause: "},
	} {
		_, err := Load(write(t, strings.Replace(withList, c.replace, c.with, 1)), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.with, err, c.want)
		}
	}
	if s := (Server{Changes: FromSearch}); s.Interval() != 15*time.Minute {
		t.Error(s.Interval())
	}
	if _, limit := (Server{}).Deletes(); limit != 10 {
		t.Error(limit)
	}
}
