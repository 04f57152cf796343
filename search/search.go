// Package search owns FHIR R4 search as far as Tributary speaks it: it reads the parameters of a search, says which values a
// resource yields for the index, and matches a resource against a search. The API, interest filters and scopes share it.
//
// It is pure: it knows no SQL, no HTTP and no clock. It keeps one invariant: Query.Match on a resource answers what the same
// terms answer on the index rows that Values yields for it, because both sides are normalised by Key and read the same
// rows. Whoever translates a Query (the store's SQL) states the comparison of each Alternative exactly as Match does.
package search

import (
	"net/url"
	"slices"

	"github.com/tributary-sync/tributary/fhir"
)

// The names of the search parameters, as they stand in Term.Name, Value.Name and a URL.
const (
	ID          = "_id"          // FHIR R4 search.html#id
	LastUpdated = "_lastUpdated" // FHIR R4 search.html#lastUpdated
	Identifier  = "identifier"   // a token on the top-level identifiers of a resource
	Patient     = "patient"      // a reference to the patient whom a resource is about
)

// Limits of one search.
const (
	DefaultCount = 50   // resources a page where _count is absent
	MaxCount     = 1000 // resources a page at most; a greater _count is lowered to it
	MaxValues    = 1000 // alternatives of all terms together, so that the statement fits every database
)

// Sort is the order of a result. Each is a total order, because the id breaks ties.
type Sort int

// The orders. By id is the zero value: it is stable while resources are written.
const (
	SortID              Sort = iota // ascending id
	SortLastUpdated                 // ascending time of last update, then ascending id
	SortLastUpdatedDesc             // descending time of last update, then ascending id
)

// String returns the value of _sort that asks for the order.
func (s Sort) String() string {
	switch s {
	case SortLastUpdated:
		return "_lastUpdated"
	case SortLastUpdatedDesc:
		return "-_lastUpdated"
	default:
		return "_id"
	}
}

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
	Type      string     // the resource type
	Terms     []Term     // all must hold; none means every resource of the type
	Count     int        // resources a page, 1 to MaxCount; 0 where TotalOnly
	TotalOnly bool       // _summary=count or _count=0: the total and no resources
	Total     Total      // how the total was asked for
	Sort      Sort       // the order of the result
	Page      Page       // where the page starts; zero for the first
	Pretty    bool       // answer indented JSON
	Ignored   []string   // names of the parameters that were not applied, sorted; empty where Parse was strict
	Applied   url.Values // the parameters that were applied, without _page: what a self or next link is made from
}

// Term is one search parameter with its values; it holds where any alternative does.
type Term struct {
	Name string // ID, LastUpdated, Identifier or Patient
	Any  []Alternative
}

// Alternative is one value of a search parameter. Which fields are set depends on the term's name:
//
//   - ID: Value is the id, HasValue is set;
//   - Identifier and Patient: an index row of the term's name holds if its value equals Value where HasValue is set, and its
//     system equals System where HasSystem is set (an empty System then asks for rows without one); both are Keys already;
//   - LastUpdated: From <= t < To, in milliseconds since 1970 UTC, the opposite where Not is set. Open ends are
//     math.MinInt64 and math.MaxInt64.
type Alternative struct {
	Value     string
	HasValue  bool
	System    string
	HasSystem bool
	From, To  int64
	Not       bool
}

// Match reports whether the resource is in the result of the query, whatever its page. The body is that of a parsed resource
// (fhir.Parse); lastUpdatedMillis is the time at which this node committed it, in milliseconds since 1970 UTC.
func (q Query) Match(key fhir.Key, body []byte, lastUpdatedMillis int64) bool {
	if key.Type != q.Type {
		return false
	}
	var rows []Value
	if slices.ContainsFunc(q.Terms, func(t Term) bool { return t.indexed() }) {
		rows = Values(key, body)
	}
	for _, t := range q.Terms {
		if !t.match(key.ID, rows, lastUpdatedMillis) {
			return false
		}
	}
	return true
}

func (t Term) indexed() bool { return t.Name == Identifier || t.Name == Patient }

func (t Term) match(id string, rows []Value, millis int64) bool {
	return slices.ContainsFunc(t.Any, func(a Alternative) bool {
		switch t.Name {
		case ID:
			return a.Value == id
		case LastUpdated:
			return (a.From <= millis && millis < a.To) != a.Not
		default:
			return slices.ContainsFunc(rows, func(v Value) bool { return v.Name == t.Name && a.holds(v) })
		}
	})
}

func (a Alternative) holds(v Value) bool {
	return (!a.HasValue || a.Value == v.Value) && (!a.HasSystem || a.System == v.System)
}
