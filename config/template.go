package config

import (
	"fmt"
	"strings"
)

// Options are the answers that `tributary init` has.
type Options struct {
	Name   string // node.name; required
	Parent string // parent.url; empty for a node without a parent
	Listen string // node.listen; empty for the default
}

// Template returns the commented configuration that `tributary init` writes: what most nodes need, and the rest as a
// comment. It loads and validates where the options are valid.
func Template(o Options) []byte {
	d := Default()
	if o.Listen == "" {
		o.Listen = d.Node.Listen
	}
	parent := "# No parent: this node is the top, or stands alone. To join a parent, remove the # of the next three lines.\n" +
		"#parent:\n  #url: https://district.example\n  #credential_file: data/parent.token\n"
	if o.Parent != "" {
		parent = "parent:\n  url: " + quote(o.Parent) + "\n" +
			"  # What `tributary child add " + placeholder(o.Name) + "` prints at the parent goes into this file.\n" +
			"  credential_file: data/parent.token\n"
	}
	return []byte(`# The configuration of a Tributary node. Paths are relative to this file.
# Any setting can also come from the environment: TRIBUTARY_NODE__LISTEN is node.listen.
# tributary config check says what is wrong with it; tributary config print shows all settings.

node:
  name: ` + quote(o.Name) + `
  # The address on which this node answers. 127.0.0.1 is this machine only; :8080 is every network it is on.
  listen: ` + quote(o.Listen) + `
  # How other machines reach this node, if they do.
  #url: https://clinic-a.example

store:
  # A file, with nothing to install. For a server: driver: mysql and dsn_file: data/mysql.dsn,
  # a file that holds user:password@tcp(127.0.0.1:3306)/tributary.
  driver: sqlite
  dsn: data/tributary.db

` + parent + `
# What is read from the parent, and what is sent to it. "*" is every resource type; a list of types is
# types: [{type: Patient}, {type: Encounter}], and all but one is types: [{type: "*"}, {type: Media, enabled: false}].
pull:
  enabled: true
  types: [{type: "*"}]
push:
  enabled: true
  types: [{type: "*"}]

# An EMR beside this node: what is written there becomes changes of this node, and what comes here is given to it.
#servers:
#  emr:
#    openmrs: http://127.0.0.1:8080/openmrs   # or url: the base of any FHIR R4 server
#    credential_file: data/emr.login          # user:password, or a token
#    changes: atom                            # or history, latest, search, list, news: see examples/registries
#    feed: [http://127.0.0.1:8080/openmrs/ws/atomfeed/patient/recent]
#    pull: [{type: Patient}]
#    push: [{type: Patient, client: rest}]

# A record that comes from another node before one that it refers to (an observation before its patient): accept takes it,
# hold sets it aside until the other has come, fetch asks the parent for the other. Nothing waits unseen: tributary parked list.
#references: ` + string(d.References) + `

# What becomes of a record that was changed in two places. Both copies are always kept. merge takes what each side changed; what both
# changed waits for a person, or goes by the policy behind a comma (merge,last-writer-wins). The others take one copy whole.
# ` + policyList() + `
conflicts:
  default: ` + string(d.Conflicts.Default) + `
  #types: {AllergyIntolerance: defer}
  #priority: {hospital: 1, clinic-a: 5}

# Older versions of a record keep their content for this long; the current one always stays.
history:
  keep: ` + d.History.Keep.String() + `

# How long the record of every exchange stays.
audit:
  retention: ` + d.Audit.Retention.String() + `

# After how long without a word a node below this one is shown as silent; one that comes less often, by what it says itself, later. The same at all
# levels, so that it is told upward in time.
network:
  silent_after: ` + d.Network.SilentAfter.String() + `
`)
}

func policyList() string {
	return strings.Join(policyNames(), ", ") + "; defer waits for a person"
}

// quote returns a YAML scalar that reads back as s: as it is where it is plain without doubt, else in double quotes, whose
// escapes are a superset of those that Go writes for valid text (YAML 1.2.2 section 5.7).
func quote(s string) string {
	plain := s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:") == ""
	letter := s != "" && (s[0]|0x20) >= 'a' && (s[0]|0x20) <= 'z'
	if plain && letter && !strings.HasSuffix(s, ":") && !reserved(s) {
		return s
	}
	return fmt.Sprintf("%q", strings.ToValidUTF8(s, "\ufffd"))
}

// reserved reports whether YAML 1.1 or 1.2 readers take a word for something else than text.
func reserved(s string) bool {
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return true
	}
	return false
}
