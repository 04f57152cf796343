package search

import "strings"

// SortBy says what a result is put in order by.
type SortBy string

// What a result may be put in order by. The zero value leaves it to the server: an order that writes do not disturb.
const (
	SortUnset       SortBy = ""
	SortID          SortBy = "_id"
	SortLastUpdated SortBy = "_lastUpdated"
	SortDate        SortBy = "date"
	SortName        SortBy = "name"
)

// Sort is the order of a result; what is equal in it stands in the order in which the resources came to be here. Of several values
// the first in that order counts (FHIR R4 search.html#sort). A resource that has none stands behind all others.
type Sort struct {
	By    SortBy
	Desc  bool
	Param int32 // of SortDate and SortName: the rows of the index that have the values
	Texts bool  // of these rows, those of whole strings count: their Space is not 0
}

// String returns the value of _sort that asks for the order, empty for the order of the server.
func (s Sort) String() string {
	if s.Desc {
		return "-" + string(s.By)
	}
	return string(s.By)
}

// readSort reads _sort. Only one key is supported.
func (t *typeTable) readSort(resourceType, text string) (Sort, error) {
	by, desc := strings.CutPrefix(text, "-")
	s := Sort{By: SortBy(by), Desc: desc}
	switch s.By {
	case SortID, SortLastUpdated:
		return s, nil
	case SortDate, SortName:
		p := t.parameters[by]
		if p == nil || p.kind != "date" && p.kind != "string" {
			return s, invalid("_sort: %s has no parameter %s", resourceType, by)
		}
		s.Param, s.Texts = p.paths[0].id, p.kind == "string"
		return s, nil
	}
	return s, invalid("_sort: %.60q is not supported. use one of %s, with a - before it for the opposite order", text, strings.Join(t.sorts(), ", "))
}

// sorts returns what a type can be sorted by.
func (t *typeTable) sorts() []string {
	out := []string{string(SortLastUpdated), string(SortID)}
	for _, by := range []SortBy{SortDate, SortName} {
		if p := t.parameters[string(by)]; p != nil && (p.kind == "date" || p.kind == "string") {
			out = append(out, string(by))
		}
	}
	return out
}
