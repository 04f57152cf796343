package config

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/reconcile"
)

// styles are ways in which people write the same things.
func styles() map[string]string {
	return map[string]string{
		"as init writes it": string(Template(Options{Name: "a", Parent: "https://p.example"})),
		"in one line a group": "node: {name: a} # me\npull: {enabled: true, wait: 30s, types: [{type: \"*\"}, {type: 'Media', enabled: false}]} # down\n" +
			"push: {types: [{type: Patient}, {type: Encounter, client: fhir}], enabled: true}\nconflicts: {default: merge, types: {AllergyIntolerance: defer, Flag: 'merge'}}\n",
		"lists on lines": "node:\n    name: a\n\n# what comes down\npull:\n\n    types:\n    # everybody\n    - type: Patient # all of them\n" +
			"    # no pictures: the link is slow\n    - type: Media\n      client: fhir # over there\n      enabled: false # slow\n\n    - {type: Encounter} # visits\n    every: 5m # often\n" +
			"push:\n    types:\n        - type: \"*\"\n        -   type: Media\n            enabled: false\n    # the end\nconflicts:\n    types:\n        # pens\n        Patient: \"merge,defer\" # people\n        Flag: defer\nlog: {level: info}\n",
		"nothing said":             "node: {name: a}",
		"groups without anything":  "# mine\nnode: {name: a}\npull:\n  # types: []\npush: # up\nconflicts:\n  types:\n  #  Patient: defer\n",
		"of Windows":               "node:\r\n  name: a\r\npull:\r\n  types:\r\n    - type: Patient # x\r\n    - type: Flag\r\nconflicts: {types: {}}\r\n",
		"letters before it":        "node: {name: a} # Städtisches Krankenhaus ❤\npull: {every: 5m, types: [ {type: Patient} , {type: Flag,enabled: true}, ]} # ❤\n",
		"lists in brackets, lines": "node: {name: a}\npull:\n  types: [\n    {type: Patient}, # people, all [of] them\n    {type: Flag}, # flags\n    {type: Media, enabled: false} # none\n  ]\n",
	}
}

// Whatever is changed in whatever style, the file then says that and nothing else, and keeps each comment that did not stand on the line of what was
// taken out, and each line that says something else, in order.
func TestEditKeepsTheRest(t *testing.T) {
	types := []string{"Patient", "Media", "Encounter", "Flag", "program"}
	policies := []reconcile.Policy{"", reconcile.LastWriterWins, reconcile.Merging, "merge,last-writer-wins"} // such as fit every way
	for name, text := range styles() {
		t.Run(name, func(t *testing.T) {
			f := &File{path: "/etc/tributary.yaml"}
			was := Contents{Text: []byte(text), file: f}
			var err error
			if was.Config, was.env, err = load(content(text), f.path, nil); err != nil {
				t.Fatal(err)
			}
			rapid.Check(t, func(t *rapid.T) {
				to := was.Config.Sync()
				for i, w := range []*Way{&to.Pull, &to.Push} {
					which := map[string]bool{}
					for _, name := range types {
						switch rapid.IntRange(0, 2).Draw(t, "goes") {
						case 0:
							which[name] = true
						case 1:
							which[name] = false
						}
					}
					others := rapid.Bool().Draw(t, "others")
					before := *w
					*w = w.With(others, which)
					for _, name := range append(types, "Basic") {
						goes, given := which[name]
						if !given && slices.ContainsFunc(before.Types, func(r TypeRule) bool { return r.Type == name }) {
							goes = before.Goes(name)
						} else if !given {
							goes = others
						}
						if w.Goes(name) != goes {
							t.Fatalf("way %d: %s goes %v with %+v", i, name, w.Goes(name), w)
						}
					}
				}
				to.Conflicts.Default = rapid.SampledFrom(policies[1:]).Draw(t, "default")
				to.Conflicts.Types = map[string]reconcile.Policy{}
				for _, name := range types {
					if p := rapid.SampledFrom(policies).Draw(t, "policy"); p != "" {
						to.Conflicts.Types[name] = p
					}
				}
				for _, r := range []*Way{&to.Pull, &to.Push} {
					if len(r.Types) == 0 {
						t.Fatal("the list is empty")
					}
				}
				now, err := was.With(to)
				if err != nil {
					t.Fatalf("%v\n%s", err, now.Text)
				}
				kept(t, text, string(now.Text))
				same, err := now.With(to)
				if err != nil || !bytes.Equal(same.Text, now.Text) {
					t.Fatalf("again it changes: %v\n%s", err, same.Text)
				}
				back, err := now.With(was.Config.Sync())
				if err != nil {
					t.Fatalf("back: %v\n%s", err, now.Text)
				}
				kept(t, text, string(back.Text))
			})
		})
	}
}

// kept checks that the lines which say nothing of what is synchronised stand in a text as they stood, and every comment that stood alone.
func kept(t *rapid.T, was, is string) {
	lines := strings.Split(is, "\n")
	for line := range strings.Lines(was) {
		line = strings.TrimRight(line, "\n")
		if about := strings.TrimSpace(line); !strings.HasPrefix(about, "#") &&
			(about == "" || strings.ContainsAny(about, "[]{}-") || slices.ContainsFunc([]string{"enabled:", "types:", "default:", "pull:", "push:", "conflicts:", "Flag:", "Patient:", "client:"},
				func(word string) bool { return strings.HasPrefix(about, word) })) {
			continue
		}
		i := slices.Index(lines, line)
		if i < 0 {
			t.Fatalf("%q is gone or moved:\n%s", line, is)
		}
		lines = lines[i+1:]
	}
}

// What a change looks like in the file, so that nobody is surprised.
func TestEditLooks(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{
			"a rule is switched off", "node: {name: a}\npull:\n  types:\n    - type: Patient # people\n    - type: Media # slow\n",
			"node: {name: a}\npull:\n  types:\n    - type: Patient # people\n",
		},
		{
			"a type is kept out of all", "node: {name: a}\npull: {types: [{type: \"*\"}]} # all\n",
			"node: {name: a}\npull: {types: [{type: \"*\"}, {type: Media, enabled: false}]} # all\n",
		},
		{
			"a switch that stands there", "node: {name: a}\npull:\n  types:\n    - type: \"*\"\n    - type: Media\n      enabled: true # since May\n",
			"node: {name: a}\npull:\n  types:\n    - type: \"*\"\n    - type: Media\n      enabled: false # since May\n",
		},
		{
			"a rule with a client", "node: {name: a}\npull:\n  types:\n    - type: \"*\"\n    - type: Media # slow\n      client: fhir\n",
			"node: {name: a}\npull:\n  types:\n    - type: \"*\"\n    - type: Media # slow\n      client: fhir\n      enabled: false\n",
		},
		{"nothing was said", "node: {name: a}", "node: {name: a}\npull:\n  types: [{type: \"*\"}, {type: Media, enabled: false}]\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &File{path: "/etc/tributary.yaml"}
			was := Contents{Text: []byte(c.text), file: f}
			var err error
			if was.Config, was.env, err = load(content(c.text), f.path, nil); err != nil {
				t.Fatal(err)
			}
			to := was.Config.Sync()
			to.Pull = to.Pull.With(to.Pull.Others(), map[string]bool{"Media": false})
			now, err := was.With(to)
			if err != nil || string(now.Text) != c.want {
				t.Errorf("%v\n%s", err, now.Text)
			}
		})
	}
}

// What is written in a way that cannot be changed without changing more is refused in words, and so is what load would refuse.
func TestEditRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, env, want string }{
		{"an anchor", "node: {name: a}\npull: {types: &t [{type: Patient}, {type: Media}]}\npush: {types: *t}\n", "", "a form"},
		{"an alias", "node: {name: a}\npush: {types: &t [{type: Patient}, {type: Media}]}\npull: {types: *t}\n", "", ""},
		{"a group from elsewhere", "node: {name: a}\npush: &p {types: [{type: Patient}, {type: Media}]}\npull:\n  <<: *p\n", "", ""},
		{"the environment", "node: {name: a}\n", "TRIBUTARY_PULL__TYPES=[{type: Patient}, {type: Media}]", "TRIBUTARY_PULL__TYPES"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &File{path: "/etc/tributary.yaml", env: []string{c.env}}
			was := Contents{Text: []byte(c.text), file: f}
			var err error
			if was.Config, was.env, err = load(content(c.text), f.path, f.env); err != nil {
				t.Fatal(err)
			}
			to := was.Config.Sync()
			to.Pull = to.Pull.With(to.Pull.Others(), map[string]bool{"Media": false})
			now, err := was.With(to)
			if c.want == "" && err == nil {
				if now.Config.Pulls("Media") || !now.Config.Sync().Push.Goes("Media") {
					t.Errorf("it says something else\n%s", now.Text)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v\n%s", err, now.Text)
			}
		})
	}
}
