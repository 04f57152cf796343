// Package search owns FHIR R4 search as far as Tributary speaks it: it reads the parameters of a search, says which values a
// resource yields for the index, and matches a resource against a search. The API, interest filters and scopes share it.
//
// It is pure: it knows no SQL, no HTTP and no clock. It keeps one invariant: Query.Match on a resource answers what the same
// terms answer on the index rows that Values yields for it, because both read the same rows by the same conditions (Cond).
// Whoever translates a Query (the store's SQL) states each Cond exactly as Cond.holds does.
package search

import (
	"net/url"
	"slices"

	"github.com/tributary-sync/tributary/fhir"
)

// The names of the search parameters that every type has.
const (
	ID          = "_id"          // FHIR R4 search.html#id
	LastUpdated = "_lastUpdated" // FHIR R4 search.html#lastUpdated
)

// Limits of one search.
const (
	DefaultCount = 50   // resources a page where _count is absent
	MaxCount     = 1000 // resources a page at most; a greater _count is lowered to it
	MaxValues    = 1000 // alternatives of all terms together, so that the statement fits every database
	MaxTerms     = 32   // terms of a search
	maxIncludes  = 32   // _include and _revinclude of a search
	maxElements  = 64   // names in _elements
)

// Total says how Bundle.total was asked for (FHIR R4 search.html#total).
type Total string

// The values of _total. TotalUnset leaves the choice to the server.
const (
	TotalUnset    Total = ""
	TotalNone     Total = "none"
	TotalEstimate Total = "estimate"
	TotalAccurate Total = "accurate"
)

// Query is a search of one resource type that has been read and checked.
type Query struct {
	Type       string     // the resource type
	Terms      []Term     // all must hold; none means every resource of the type
	Count      int        // resources a page, 1 to MaxCount; 0 where TotalOnly
	TotalOnly  bool       // _summary=count or _count=0: the total and no resources
	Total      Total      // how the total was asked for
	Sort       Sort       // the order of the result
	Page       Page       // where the page starts; zero for the first
	Include    []Include  // what else comes with the resources found
	Elements   []string   // the members of a resource to be shown, empty for all
	Pretty     bool       // answer indented JSON
	Ignored    []string   // names of the parameters that were not applied, sorted; empty where Parse was strict
	Applied    url.Values // the parameters that were applied, without _page: what a self or next link is made from
	MatchKinds MatchKinds // what the terms are made of
}

// MatchKinds says what the terms of a query need to be judged.
type MatchKinds struct {
	Related bool // other resources: a chain or _has
	Content bool // the content, because a string is longer than what the index has of it
}

// TermKind says what a term asks.
type TermKind int

// The kinds of terms.
const (
	TermIndex       TermKind = iota // an index row of the resource holds any of Conds
	TermID                          // the id is one of IDs
	TermLastUpdated                 // the time of last update lies in one of Spans
	TermLink                        // another resource, to or from which there is a reference, holds: any of Links
)

// Term is one search parameter with its values; it holds where any alternative does, or where none does if Not is set.
type Term struct {
	Name  string // as it was written, with modifier and chain
	Kind  TermKind
	Not   bool
	Conds []Cond
	IDs   []string
	Spans []Span
	Links []Link
}

// Span is a span of instants in milliseconds since 1970 UTC: From <= t < To, the opposite where Not is set. Open ends are
// math.MinInt64 and math.MaxInt64.
type Span struct {
	From, To int64
	Not      bool
}

// Link is a condition on another resource of type Type. It is one that this resource refers to by an element of Params, or, where
// Reverse is set, one that refers to this resource by an element of Params (FHIR R4 search.html#chaining and #has).
type Link struct {
	Type    string
	Params  []int32
	Reverse bool
	Where   Term // on the other resource; no TermLink
}

// Include asks for resources beside those found (FHIR R4 search.html#include).
type Include struct {
	Reverse bool     // those that refer to a resource found, else those that it refers to
	Source  string   // the type that has the reference
	Params  []int32  // the elements that have it
	Target  string   // the type that has to be referred to, empty for any
	Targets []string // the types that the elements may refer to
	Iterate bool     // also of resources that were included
}

// Match reports whether the resource is in the result of the query, whatever its page. The body is that of a parsed resource
// (fhir.Parse); lastUpdatedMillis is the time at which this node committed it, in milliseconds since 1970 UTC. A term that asks
// about other resources (MatchKinds.Related) does not hold; MatchRelated has them answered.
func (q Query) Match(key fhir.Key, body []byte, lastUpdatedMillis int64) bool {
	return q.MatchRelated(key, body, lastUpdatedMillis, func(Term) bool { return false })
}

// MatchRelated is Match with an answer for each term of kind TermLink, but for its Not.
func (q Query) MatchRelated(key fhir.Key, body []byte, lastUpdatedMillis int64, related func(Term) bool) bool {
	if key.Type != q.Type {
		return false
	}
	var rows []Value
	if slices.ContainsFunc(q.Terms, func(t Term) bool { return t.Kind == TermIndex }) {
		rows = Values(key, body)
	}
	for _, t := range q.Terms {
		held := false
		if t.Kind == TermLink {
			held = related(t)
		} else {
			held = t.match(key.ID, rows, lastUpdatedMillis)
		}
		if held == t.Not {
			return false
		}
	}
	return true
}

// match answers for the alternatives, without Not.
func (t Term) match(id string, rows []Value, millis int64) bool {
	switch t.Kind {
	case TermID:
		return slices.Contains(t.IDs, id)
	case TermLastUpdated:
		return slices.ContainsFunc(t.Spans, func(s Span) bool { return (s.From <= millis && millis < s.To) != s.Not })
	default:
		return slices.ContainsFunc(t.Conds, func(c Cond) bool { return slices.ContainsFunc(rows, c.holds) })
	}
}
