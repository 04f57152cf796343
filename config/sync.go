package config

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/tributary-sync/tributary/reconcile"
)

// Sync is the part of a configuration that says what is synchronised, and that may change while the node runs: which types go between it
// and its parent, and which policy decides a conflict of each. The JSON form is that of Config.
type Sync struct {
	Pull      Way            `json:"pull"`
	Push      Way            `json:"push"`
	Conflicts ConflictPolicy `json:"conflicts"`
}

// Way says which types go one way.
type Way struct {
	Enabled bool       `json:"enabled"`
	Types   []TypeRule `json:"types"`
}

// ConflictPolicy says which policy decides conflicts: of the types named, and of all others.
type ConflictPolicy struct {
	Default reconcile.Policy            `json:"default"`
	Types   map[string]reconcile.Policy `json:"types,omitempty"`
}

// Sync returns what is synchronised. It shares nothing with c.
func (c Config) Sync() Sync {
	return Sync{
		Pull:      Way{c.Pull.Enabled, slices.Clone(c.Pull.Types)},
		Push:      Way{c.Push.Enabled, slices.Clone(c.Push.Types)},
		Conflicts: ConflictPolicy{c.Conflicts.Default, maps.Clone(c.Conflicts.Types)},
	}
}

// WithSync returns c with something else synchronised. It is not validated.
func (c Config) WithSync(s Sync) Config {
	c = c.clone()
	c.Pull.Enabled, c.Pull.Types = s.Pull.Enabled, slices.Clone(s.Pull.Types)
	c.Push.Enabled, c.Push.Types = s.Push.Enabled, slices.Clone(s.Push.Types)
	c.Conflicts.Default, c.Conflicts.Types = s.Conflicts.Default, maps.Clone(s.Conflicts.Types)
	return c
}

// Equal reports whether two say the same with the same rules.
func (s Sync) Equal(o Sync) bool { return bytes.Equal(s.Canonical(), o.Canonical()) }

// Canonical returns the JSON form, which two have in common where their rules are the same, in whatever order.
func (s Sync) Canonical() []byte {
	sorted := func(rules []TypeRule) []TypeRule {
		out := slices.Clone(rules)
		for i, r := range out {
			if r.Enabled != nil && *r.Enabled {
				out[i].Enabled = nil
			}
		}
		slices.SortStableFunc(out, func(a, b TypeRule) int { return bytes.Compare([]byte(a.Type), []byte(b.Type)) })
		return out
	}
	s.Pull.Types, s.Push.Types = sorted(s.Pull.Types), sorted(s.Push.Types)
	b, err := json.Marshal(s)
	if err != nil {
		panic("bug: " + err.Error())
	}
	return b
}

// Goes reports whether a type goes this way, given a parent.
func (w Way) Goes(resourceType string) bool {
	r, ok := match(w.Types, resourceType)
	return w.Enabled && ok && r.on()
}

// Others reports whether the types go this way that no rule names, given a parent.
func (w Way) Others() bool { return w.Goes(AllTypes) }

// With returns the way after types were let through or kept out, and those that no rule names, too. Of types not given what holds now goes
// on to hold. Rules that are still true stay as they are written, and where nothing goes any more the way is switched off with its rules.
func (w Way) With(others bool, types map[string]bool) Way {
	want := maps.Clone(types)
	if want == nil {
		want = map[string]bool{}
	}
	for _, r := range w.Types {
		if _, given := want[r.Type]; !given && r.Type != AllTypes {
			want[r.Type] = w.Goes(r.Type)
		}
	}
	out := Way{Enabled: others}
	for _, goes := range want {
		out.Enabled = out.Enabled || goes
	}
	if !out.Enabled {
		out.Types = slices.Clone(w.Types)
		return out
	}
	named := map[string]bool{}
	for _, r := range w.Types {
		goes := want[r.Type]
		if r.Type == AllTypes {
			goes = others
		}
		named[r.Type] = true
		if goes != r.on() {
			r.Enabled = unlessOn(goes)
		}
		if goes || r.Client != "" || others && r.Type != AllTypes {
			out.Types = append(out.Types, r)
		}
	}
	if others && !named[AllTypes] {
		out.Types = append(out.Types, TypeRule{Type: AllTypes})
	}
	for _, t := range slices.Sorted(maps.Keys(want)) {
		if !named[t] && want[t] != others {
			out.Types = append(out.Types, TypeRule{Type: t, Enabled: unlessOn(want[t])})
		}
	}
	return out
}

// Client returns the client that a rule gives to a type, empty where none does: then it goes as those that no rule names.
func (w Way) Client(resourceType string) Client {
	if r, ok := match(w.Types, resourceType); ok && r.Type == resourceType {
		return r.Client
	}
	return ""
}

// Via returns the way after types were given to other clients, AllTypes standing for those that no rule names. Empty is as those go, and of
// AllTypes ClientNode. What goes stays as it is.
func (w Way) Via(clients map[string]Client) Way {
	out := Way{Enabled: w.Enabled, Types: slices.Clone(w.Types)}
	for _, t := range slices.Sorted(maps.Keys(clients)) {
		at := slices.IndexFunc(out.Types, func(r TypeRule) bool { return r.Type == t })
		switch r, ok := match(w.Types, t); {
		case at >= 0:
			out.Types[at].Client = clients[t]
		case clients[t] != "":
			out.Types = append(out.Types, TypeRule{Type: t, Client: clients[t], Enabled: unlessOn(ok && r.on())})
		}
	}
	return out
}

func unlessOn(on bool) *bool {
	if on {
		return nil
	}
	return new(bool)
}
