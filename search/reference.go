package search

import (
	"strings"

	"github.com/tributary-sync/tributary/fhir"
)

// readReference returns the form in which a reference is indexed, and the type that it names, empty where the text does not say:
// of a relative reference the id, of any other the text as it is written; both without the version behind them, because a search
// finds a resource and not one of its versions (FHIR R4 references.html#literal, search.html#reference). It is false for what
// names nothing outside the resource: an empty one, or one of a contained resource.
func readReference(text string) (value, names string, ok bool) {
	text = strings.TrimRight(text, " ")
	if text == "" || text[0] == '#' {
		return "", "", false
	}
	if resourceType, _, conditional := strings.Cut(text, "?"); conditional && !strings.Contains(resourceType, "/") {
		return text, typeOrNone(resourceType), true
	}
	if i := strings.LastIndex(text, "/_history/"); i > 0 {
		text = text[:i]
	}
	slash := strings.LastIndexByte(text, '/')
	if slash < 1 || !fhir.ValidID(text[slash+1:]) {
		return text, "", true
	}
	before := strings.LastIndexByte(text[:slash], '/')
	names = typeOrNone(text[before+1 : slash])
	if names != "" && before < 0 {
		return text[slash+1:], names, true
	}
	return text, names, true
}

func typeOrNone(name string) string {
	if fhir.IsType(name) {
		return name
	}
	return ""
}
