package config

import (
	"maps"
	"net"
	"path/filepath"
	"slices"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
)

// AllTypes in a TypeRule stands for every resource type that no other rule of the list names.
const AllTypes = "*"

// Direction says which way resources go between a node and its parent.
type Direction string

// The directions.
const (
	FromParent Direction = "pull"
	ToParent   Direction = "push"
)

// rules returns the type rules of a direction, and whether anything goes that way at all.
func (c Config) rules(d Direction) ([]TypeRule, bool) {
	if d == ToParent {
		return c.Push.Types, c.Push.Enabled && c.Parent.URL != ""
	}
	return c.Pull.Types, c.Pull.Enabled && c.Parent.URL != ""
}

// match returns the rule for a type: the one that names it, else that for all types.
func match(rules []TypeRule, resourceType string) (TypeRule, bool) {
	var all TypeRule
	found := false
	for _, r := range rules {
		if r.Type == resourceType {
			return r, true
		}
		if r.Type == AllTypes {
			all, found = r, true
		}
	}
	return all, found
}

func (r TypeRule) on() bool { return r.Enabled == nil || *r.Enabled }

// Wants reports whether resources of a type go in a direction. Without a parent nothing does.
func (c Config) Wants(d Direction, resourceType string) bool {
	rules, on := c.rules(d)
	if !on {
		return false
	}
	r, ok := match(rules, resourceType)
	return ok && r.on()
}

// Pulls reports whether the node reads resources of a type from its parent.
func (c Config) Pulls(resourceType string) bool { return c.Wants(FromParent, resourceType) }

// Pushes reports whether the node sends resources of a type to its parent.
func (c Config) Pushes(resourceType string) bool { return c.Wants(ToParent, resourceType) }

// Client returns the client that moves a type in a direction: that of its rule, else that of the "*" rule, else ClientNode.
func (c Config) Client(d Direction, resourceType string) Client {
	rules, _ := c.rules(d)
	for _, name := range []string{resourceType, AllTypes} {
		if r, ok := match(rules, name); ok && r.Client != "" {
			return r.Client
		}
	}
	return ClientNode
}

// PullTypes returns the types that the node reads from its parent as fhir.Selected takes them, sorted: nil for all of them, empty and
// not nil for none.
func (c Config) PullTypes() []string { return c.typesOf(FromParent) }

// PushTypes returns the types that the node sends to its parent as fhir.Selected takes them, sorted: nil for all of them, empty and
// not nil for none.
func (c Config) PushTypes() []string { return c.typesOf(ToParent) }

// Exchanged returns the types that go either way between the node and its parent, in alphabetical order; nil for all of them.
func (c Config) Exchanged() []string {
	down, up := c.PullTypes(), c.PushTypes()
	if down == nil || up == nil {
		return nil
	}
	both, rest, _ := fhir.SplitSelection(slices.Concat(down, up))
	if rest {
		both = append(both, fhir.AnyREST)
	}
	slices.Sort(both)
	return slices.Compact(both)
}

// Named returns the types of FHIR, and the REST types that a rule names, which go in a direction.
func (c Config) Named(d Direction) []string {
	var out []string
	for _, t := range c.nameable(d) {
		if c.Wants(d, t) {
			out = append(out, t)
		}
	}
	return out
}

// nameable returns the types of FHIR, and the REST types that rules name.
func (c Config) nameable(d Direction) []string {
	out := fhir.Types()
	rules, _ := c.rules(d)
	for _, r := range rules {
		if fhir.IsREST(r.Type) {
			out = append(out, r.Type)
		}
	}
	slices.Sort(out)
	return out
}

func (c Config) typesOf(d Direction) []string {
	rules, on := c.rules(d)
	all, star := match(rules, AllTypes)
	rest := on && star && all.on()
	wanted := make([]string, 0, len(rules))
	whole := rest
	for _, t := range c.nameable(d) {
		switch yes := c.Wants(d, t); {
		case !yes && rest && fhir.IsREST(t):
			wanted = append(wanted, fhir.Without(t))
		case yes && (!rest || !fhir.IsREST(t)):
			wanted = append(wanted, t)
		}
		whole = whole && c.Wants(d, t)
	}
	if whole {
		return nil
	}
	if rest {
		wanted = append(wanted, fhir.AnyREST)
	}
	slices.Sort(wanted)
	return wanted
}

// Policies returns the conflict policies in the form in which reconcile uses them.
func (c Config) Policies() reconcile.Policies {
	return reconcile.Policies{
		Default:    c.Conflicts.Default,
		Types:      maps.Clone(c.Conflicts.Types),
		Priority:   maps.Clone(c.Conflicts.Priority),
		DeletesWin: c.Conflicts.DeletesWin,
	}
}

// BaseURL returns the URL under which others reach the node, without a slash at its end: node.url, else one made from
// node.listen, with localhost where that names no host.
func (c Config) BaseURL() string {
	if c.Node.URL != "" {
		return trimSlash(c.Node.URL)
	}
	host, port, err := net.SplitHostPort(c.Node.Listen)
	if err != nil {
		return "http://" + c.Node.Listen
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// NoncePath returns the file that holds the database's nonce: beside the data folder and not in it, so that putting back a copy of
// the database or of the whole folder does not put back this file too.
func (c Config) NoncePath() string {
	dir := filepath.Clean(c.Node.DataDir)
	return filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".nonce")
}

// clone returns a copy that shares no list or map with c.
func (c Config) clone() Config {
	c.Pull.Types, c.Push.Types = slices.Clone(c.Pull.Types), slices.Clone(c.Push.Types)
	c.Conflicts.Types, c.Conflicts.Priority = maps.Clone(c.Conflicts.Types), maps.Clone(c.Conflicts.Priority)
	c.Feed.Anonymous, c.Servers, c.SData = slices.Clone(c.Feed.Anonymous), maps.Clone(c.Servers), maps.Clone(c.SData)
	return c
}
