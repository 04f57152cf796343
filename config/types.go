package config

import (
	"maps"
	"net"
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

// PullTypes returns the types that the node reads from its parent in alphabetical order: nil for all of them, empty and not
// nil for none.
func (c Config) PullTypes() []string { return c.typesOf(FromParent) }

// PushTypes returns the types that the node sends to its parent in alphabetical order: nil for all of them, empty and not
// nil for none.
func (c Config) PushTypes() []string { return c.typesOf(ToParent) }

func (c Config) typesOf(d Direction) []string {
	all := fhir.Types()
	wanted := make([]string, 0, len(all))
	for _, t := range all {
		if c.Wants(d, t) {
			wanted = append(wanted, t)
		}
	}
	rules, _ := c.rules(d)
	if _, star := match(rules, AllTypes); star && len(wanted) == len(all) {
		return nil
	}
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

// clone returns a copy that shares no list or map with c.
func (c Config) clone() Config {
	c.Pull.Types, c.Push.Types = slices.Clone(c.Pull.Types), slices.Clone(c.Push.Types)
	c.Conflicts.Types, c.Conflicts.Priority = maps.Clone(c.Conflicts.Types), maps.Clone(c.Conflicts.Priority)
	c.Feed.Anonymous = slices.Clone(c.Feed.Anonymous)
	return c
}
