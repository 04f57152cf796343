package config

import (
	"fmt"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
)

func (k *checker) rules(path, enabled string, rules []TypeRule) {
	if len(rules) == 0 {
		k.add(path, "Remove the line for all types, or set "+enabled+": false for none", "the list is empty")
	}
	seen := map[string]int{}
	for i, r := range rules {
		at := fmt.Sprintf("%s[%d]", path, i)
		if r.Type == "" {
			k.add(at+".type", `Write a resource type such as Patient, or "*" for all`, "the type is missing")
		} else if r.Type != AllTypes {
			k.resourceType(at+".type", r.Type)
		}
		if first, ok := seen[r.Type]; ok && r.Type != "" {
			k.add(at+".type", "Keep one of them", "%.60q stands at %s[%d] already", r.Type, path, first)
		} else {
			seen[r.Type] = i
		}
		if r.Client != "" {
			k.oneOf(at+".client", string(r.Client), string(ClientNode), string(ClientFHIR), string(ClientREST))
		}
	}
}

func (k *checker) resourceType(path, name string) {
	if fhir.IsKind(name) {
		return
	}
	hint := "Use a type of https://hl7.org/fhir/R4/resourcelist.html, or the lower-case name of a REST resource such as program"
	if t, ok := fhir.CanonicalType(name); ok {
		hint = "It is written " + t
	}
	if s := suggest(name, fhir.Types()); s != "" {
		hint = "Did you mean " + s + "?"
	}
	k.add(path, hint, "%.60q is not a resource type of FHIR R4", name)
}

func (k *checker) conflicts(c Config) {
	k.policy("conflicts.default", c.Conflicts.Default)
	for _, t := range sorted(c.Conflicts.Types) {
		path := join("conflicts.types", t)
		if t == AllTypes {
			k.add(path, "Use conflicts.default for all types", "there is no such resource type")
			continue
		}
		k.resourceType(path, t)
		k.policy(path, c.Conflicts.Types[t])
	}
	for _, name := range sorted(c.Conflicts.Priority) {
		path := join("conflicts.priority", name)
		if n := c.Conflicts.Priority[name]; n < 1 {
			k.add(path, "Use 1 for the strongest node and higher numbers for weaker ones", "%d is not a priority", n)
		}
		if !validName(name) {
			k.add(path, "Use the node.name of a node", "this is not the name of a node")
		}
	}
	for _, g := range c.hiding(func(t string) bool { return c.Pushes(t) && !c.Pulls(t) }, reconcile.DestinationWins, reconcile.Defer) {
		k.add(g.path, "Pull the type as well, stop pushing it, or use "+string(reconcile.LastWriterWins),
			"%s would hide the parent's changes for ever, because %s pushed and not pulled", g.policy, g.subject())
	}
}

// policy checks the name of a policy.
func (k *checker) policy(path string, p reconcile.Policy) {
	if _, err := reconcile.ParsePolicy(string(p)); err == nil {
		return
	}
	k.oneOf(path, string(p), policyNames()...)
}

func policyNames() []string {
	var names []string
	for _, p := range reconcile.PolicyNames() {
		names = append(names, string(p))
	}
	return names
}

// group is the types that one setting gives a policy which hides one side's changes.
type group struct {
	path   string
	policy reconcile.Policy
	types  []string
}

// subject names the types of a group in a few words with their verb.
func (g group) subject() string {
	switch n := len(g.types); {
	case n == 1:
		return g.types[0] + " is"
	case n <= 3:
		return strings.Join(g.types[:n-1], ", ") + " and " + g.types[n-1] + " are"
	default:
		return fmt.Sprintf("%s, %s and %d other types are", g.types[0], g.types[1], n-2)
	}
}

// hiding returns the groups of types for which the condition holds and whose policy is one of those given; types that have
// no policy of their own are one group under conflicts.default.
func (c Config) hiding(condition func(resourceType string) bool, policies ...reconcile.Policy) []group {
	var groups []group
	byDefault := group{path: "conflicts.default", policy: c.Policies().For("")}
	var hides reconcile.Policy
	for _, t := range fhir.Types() {
		own, named := c.Conflicts.Types[t]
		if !condition(t) {
			continue
		}
		for _, p := range policies {
			switch {
			case named && own.Names(p):
				groups = append(groups, group{path: join("conflicts.types", t), policy: p, types: []string{t}})
			case !named && byDefault.policy.Names(p):
				hides = p
				byDefault.types = append(byDefault.types, t)
			}
		}
	}
	if len(byDefault.types) > 0 {
		byDefault.policy = hides
		groups = append(groups, byDefault)
	}
	return groups
}

// Warnings returns what is allowed and probably not meant, each a sentence that begins with the setting.
func (c Config) Warnings() []string {
	var w []string
	if c.Parent.URL == "" && (c.Parent.CredentialFile != "" || c.Parent.Credential != "") {
		w = append(w, "parent.credential_file: has no effect without parent.url")
	}
	if u := new(checker).url("parent.url", "", c.Parent.URL); u != nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		w = append(w, "parent.url: plain http shows records and the credential to everybody on the way; use https")
	}
	for _, g := range c.hiding(func(t string) bool { return c.Pulls(t) && !c.Pushes(t) }, reconcile.DestinationWins) {
		w = append(w, fmt.Sprintf("%s: destination-wins keeps this node's edits from the parent for ever, because %s pulled and not pushed", g.path, g.subject()))
	}
	for i, n := range c.Feed.Anonymous {
		if n.IsValid() && n.Bits() == 0 {
			w = append(w, fmt.Sprintf("feed.anonymous[%d]: %s lets everybody read the feed; name the networks of its readers", i, n))
		}
	}
	return w
}
