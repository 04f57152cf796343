package config

import (
	"reflect"
	"slices"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
)

func TestWants(t *testing.T) {
	without := slices.DeleteFunc(fhir.Types(), func(s string) bool { return s == "Media" })
	withoutRest := append(slices.Clone(without), fhir.AnyREST)
	oneREST := append([]string{"-program"}, append(fhir.Types(), fhir.AnyREST)...)
	rows := []struct {
		name    string
		enabled bool
		parent  string
		rules   []TypeRule
		patient bool
		media   bool
		types   []string
	}{
		{"all", true, "https://p", []TypeRule{{Type: "*"}}, true, true, nil},
		{"switched off", false, "https://p", []TypeRule{{Type: "*"}}, false, false, []string{}},
		{"no parent", true, "", []TypeRule{{Type: "*"}}, false, false, []string{}},
		{"no rules", true, "https://p", nil, false, false, []string{}},
		{"one", true, "https://p", []TypeRule{{Type: "Patient"}}, true, false, []string{"Patient"}},
		{"two, in the order of names", true, "https://p", []TypeRule{{Type: "Patient"}, {Type: "Media"}}, true, true, []string{"Media", "Patient"}},
		{"all but one", true, "https://p", []TypeRule{{Type: "*"}, {Type: "Media", Enabled: ref(false)}}, true, false, withoutRest},
		{"all, a REST type by name", true, "https://p", []TypeRule{{Type: "*"}, {Type: "program", Client: ClientREST}}, true, true, nil},
		{"all but a REST type", true, "https://p", []TypeRule{{Type: "*"}, {Type: "program", Enabled: ref(false)}}, true, true, oneREST},
		{"a REST type", true, "https://p", []TypeRule{{Type: "program"}, {Type: "Patient"}}, true, false, []string{"Patient", "program"}},
		{"one against all switched off", true, "https://p", []TypeRule{{Type: "*", Enabled: ref(false)}, {Type: "Media", Enabled: ref(true)}}, false, true, []string{"Media"}},
		{"all, one by name", true, "https://p", []TypeRule{{Type: "Media"}, {Type: "*"}}, true, true, nil},
	}
	for _, r := range rows {
		for _, d := range []Direction{FromParent, ToParent} {
			c := Default()
			c.Parent.URL = r.parent
			c.Pull.Enabled, c.Push.Enabled = false, false
			wants, other, types, none := Config.Pulls, Config.Pushes, Config.PullTypes, Config.PushTypes
			if d == FromParent {
				c.Pull.Enabled, c.Pull.Types = r.enabled, r.rules
			} else {
				c.Push.Enabled, c.Push.Types = r.enabled, r.rules
				wants, other, types, none = other, wants, none, types
			}
			if wants(c, "Patient") != r.patient || wants(c, "Media") != r.media || c.Wants(d, "Media") != r.media {
				t.Errorf("%s, %s: Patient %v, Media %v", r.name, d, wants(c, "Patient"), wants(c, "Media"))
			}
			if got := types(c); !reflect.DeepEqual(got, r.types) {
				t.Errorf("%s, %s: types %v, want %v", r.name, d, got, r.types)
			}
			if got := none(c); other(c, "Patient") || got == nil || len(got) != 0 {
				t.Errorf("%s, %s: the other direction wants something: %v", r.name, d, got)
			}
		}
	}
}

func TestWantsREST(t *testing.T) {
	for _, r := range []struct {
		name           string
		rules          []TypeRule
		program, visit bool
	}{
		{"all", []TypeRule{{Type: "*"}}, true, true},
		{"all but another", []TypeRule{{Type: "*"}, {Type: "Media", Enabled: ref(false)}}, true, true},
		{"all but it", []TypeRule{{Type: "*"}, {Type: "program", Enabled: ref(false)}}, false, true},
		{"it", []TypeRule{{Type: "program"}}, true, false},
		{"another", []TypeRule{{Type: "Patient"}}, false, false},
	} {
		t.Run(r.name, func(t *testing.T) {
			c := Default()
			c.Parent.URL, c.Pull.Types = "https://p", r.rules
			if c.Pulls("program") != r.program || c.Pulls("visittype") != r.visit {
				t.Errorf("program %v, visittype %v", c.Pulls("program"), c.Pulls("visittype"))
			}
			// What the parent is told is what is wanted.
			if list := c.PullTypes(); fhir.Selected(list, "program") != r.program || fhir.Selected(list, "visittype") != r.visit {
				t.Errorf("the list %v", list)
			}
			both := c
			both.Push.Types = []TypeRule{{Type: "visittype"}}
			if x := both.Exchanged(); x != nil && !fhir.Selected(x, "visittype") {
				t.Errorf("exchanged: %v", x)
			}
			if got := slices.Contains(c.Named(FromParent), "program"); got != (r.program && len(r.rules) > 0 && slices.ContainsFunc(r.rules, func(x TypeRule) bool { return x.Type == "program" })) {
				t.Errorf("named %v", got)
			}
		})
	}
}

func TestClient(t *testing.T) {
	c := sound()
	c.Pull.Types = []TypeRule{{Type: "*", Client: ClientFHIR}, {Type: "Patient", Client: ClientREST}, {Type: "Media"}}
	c.Push.Types = []TypeRule{{Type: "*"}, {Type: "Media", Client: ClientFHIR}}
	for _, r := range []struct {
		d    Direction
		name string
		want Client
	}{
		{FromParent, "Patient", ClientREST},
		{FromParent, "Media", ClientFHIR},
		{FromParent, "Consent", ClientFHIR},
		{ToParent, "Patient", ClientNode},
		{ToParent, "Media", ClientFHIR},
	} {
		if got := c.Client(r.d, r.name); got != r.want {
			t.Errorf("%s %s: got %s, want %s", r.d, r.name, got, r.want)
		}
	}
}

func TestPolicies(t *testing.T) {
	c := sound()
	c.Conflicts = Conflicts{
		Default: reconcile.SourceWins, Types: map[string]reconcile.Policy{"Patient": reconcile.Defer},
		Priority: map[string]int{"a": 1}, DeletesWin: true,
	}
	p := c.Policies()
	if p.For("Patient") != reconcile.Defer || p.For("Media") != reconcile.SourceWins || p.Priority["a"] != 1 || !p.DeletesWin {
		t.Errorf("got %+v", p)
	}
	p.Types["Patient"], p.Priority["a"] = reconcile.SourceWins, 2
	if c.Conflicts.Types["Patient"] != reconcile.Defer || c.Conflicts.Priority["a"] != 1 {
		t.Error("the policies share a map with the configuration")
	}
	if got := Default().Policies().For("Patient"); got != reconcile.Merging {
		t.Errorf("the default is %s", got)
	}
}

func TestBaseURL(t *testing.T) {
	for _, r := range []struct{ url, listen, want string }{
		{"https://a.example/sync/", ":1", "https://a.example/sync"},
		{"", "127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"", ":8080", "http://localhost:8080"},
		{"", "0.0.0.0:8080", "http://localhost:8080"},
		{"", "[::]:8080", "http://localhost:8080"},
		{"", "[fd00::1]:80", "http://[fd00::1]:80"},
		{"", "clinic.local:80", "http://clinic.local:80"},
	} {
		c := Config{Node: Node{URL: r.url, Listen: r.listen}}
		if got := c.BaseURL(); got != r.want {
			t.Errorf("%+v: got %s", r, got)
		}
	}
}

func TestWaysAreGivenToOtherClients(t *testing.T) {
	off := false
	all := []TypeRule{{Type: AllTypes}}
	for _, tt := range []struct {
		name    string
		way     Way
		clients map[string]Client
		want    []TypeRule
	}{
		{"a type that goes with all others", Way{true, all}, map[string]Client{"Patient": ClientFHIR}, []TypeRule{{Type: AllTypes}, {Type: "Patient", Client: ClientFHIR}}},
		{"a type that does not go", Way{true, []TypeRule{{Type: "Task"}}}, map[string]Client{"Patient": ClientFHIR}, []TypeRule{{Type: "Task"}, {Type: "Patient", Client: ClientFHIR, Enabled: &off}}},
		{"a type with a rule", Way{true, []TypeRule{{Type: "Task", Enabled: &off}}}, map[string]Client{"Task": ClientREST}, []TypeRule{{Type: "Task", Client: ClientREST, Enabled: &off}}},
		{"all others", Way{true, all}, map[string]Client{AllTypes: ClientFHIR}, []TypeRule{{Type: AllTypes, Client: ClientFHIR}}},
		{"all others, of which none goes", Way{true, []TypeRule{{Type: "Task"}}}, map[string]Client{AllTypes: ClientFHIR}, []TypeRule{{Type: "Task"}, {Type: AllTypes, Client: ClientFHIR, Enabled: &off}}},
		{"back", Way{true, []TypeRule{{Type: "Task", Client: ClientREST}}}, map[string]Client{"Task": "", "Media": ""}, []TypeRule{{Type: "Task"}}},
	} {
		was := slices.Clone(tt.way.Types)
		got := tt.way.Via(tt.clients)
		if !slices.EqualFunc(got.Types, tt.want, sameRule) || got.Enabled != tt.way.Enabled || !slices.EqualFunc(tt.way.Types, was, sameRule) {
			t.Errorf("%s: got %+v, want %+v", tt.name, got.Types, tt.want)
		}
		for name, client := range tt.clients {
			if got.Client(name) != client || got.Goes(name) != tt.way.Goes(name) || got.Others() != tt.way.Others() {
				t.Errorf("%s: %s goes by %q: %t, others %t", tt.name, name, got.Client(name), got.Goes(name), got.Others())
			}
		}
	}
}
