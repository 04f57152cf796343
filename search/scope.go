package search

import (
	"net/url"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// Scope is what somebody may see: the resources that any of its parts finds. No parts mean nothing.
type Scope []Part

// Part is one part of a Scope.
type Part struct {
	Type  string // AllTypes, or a type of FHIR or a REST type
	Query Query  // what finds the resources of the type; without Terms, all of them
}

// AllTypes as the type of a Part stands for all of them.
const AllTypes = "*"

// maxScope bounds the length of a scope as text in bytes.
const maxScope = 8000

// ParseScope reads a scope: each part is a type, a type with the criteria of a search ("Patient?organization=Organization/1"), or "*". It
// returns a Usage error that says what is wrong with which part, also where a criterion shapes a result instead of choosing resources.
func ParseScope(parts []string) (Scope, error) {
	var out Scope
	for _, text := range parts {
		p, err := parsePart(text)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Part) int { return strings.Compare(a.String(), b.String()) })
	out = slices.CompactFunc(out, func(a, b Part) bool { return a.String() == b.String() })
	if len(out) == 0 {
		return nil, syncerr.New(syncerr.Usage, "read scope", "it is empty").WithHint("Name resource types, each with or without criteria: Patient?active=true, or * for everything")
	}
	if len(out.String()) > maxScope {
		return nil, syncerr.New(syncerr.Usage, "read scope", "it is longer than %d bytes", maxScope).WithHint("Use fewer or broader criteria")
	}
	return out, nil
}

func parsePart(text string) (Part, error) {
	t, criteria, has := strings.Cut(strings.TrimSpace(text), "?")
	switch {
	case t == AllTypes && !has, fhir.IsREST(t) && !has:
		return Part{Type: t}, nil
	case !fhir.IsType(t):
		return Part{}, syncerr.New(syncerr.Usage, "read scope", "%.60q is not a resource type of FHIR R4 that could have criteria", t).
			WithHint("Write a type (Patient), a type with the criteria of a search (Patient?active=true), or * for everything")
	}
	values, err := url.ParseQuery(criteria)
	if err != nil {
		return Part{}, syncerr.New(syncerr.Usage, "read scope", "the criteria of %s are no query of a URL: %w", t, err)
	}
	q, err := Parse(t, values, true)
	if err != nil {
		return Part{}, syncerr.New(syncerr.Usage, "read scope", "%s: %w", t, err)
	}
	for _, name := range []string{"_sort", "_count", "_include", "_revinclude", "_include:iterate", "_revinclude:iterate", "_total", "_summary", "_elements", "_format", "_pretty", "_page"} {
		if values.Has(name) {
			return Part{}, syncerr.New(syncerr.Usage, "read scope", "%s: %s shapes a result and chooses no resources", t, name).WithHint("Leave it out")
		}
	}
	return Part{Type: t, Query: q}, nil
}

// String writes a part as ParseScope reads it, without a blank.
func (p Part) String() string {
	if len(p.Query.Terms) == 0 {
		return p.Type
	}
	return p.Type + "?" + p.Query.Applied.Encode()
}

// Covers reports whether the part chooses among resources of a type.
func (p Part) Covers(resourceType string) bool { return p.Type == AllTypes || p.Type == resourceType }

// String writes a scope with a blank between its parts, as strings.Fields takes it apart.
func (s Scope) String() string { return strings.Join(s.Parts(), " ") }

// Parts writes each part.
func (s Scope) Parts() []string {
	out := make([]string, len(s))
	for i, p := range s {
		out[i] = p.String()
	}
	return out
}

// All reports whether every resource of a type is in the scope.
func (s Scope) All(resourceType string) bool {
	return slices.ContainsFunc(s, func(p Part) bool { return p.Covers(resourceType) && len(p.Query.Terms) == 0 })
}

// Related reports whether a resource may come into the scope or leave it because another one changes.
func (s Scope) Related() bool {
	return slices.ContainsFunc(s, func(p Part) bool { return p.Query.MatchKinds.Related })
}
