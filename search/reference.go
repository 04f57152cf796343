package search

import (
	"strings"

	"github.com/tributary-sync/tributary/fhir"
)

// target is what the text of a reference says about the resource it names.
type target int

const (
	targetNone    target = iota // nothing outside the resource: empty, or a contained resource
	targetPatient               // a Patient
	targetOther                 // a resource of another type
	targetUnknown               // the text does not say, as with urn:uuid: and foreign URLs
)

// readReference returns the form in which a reference is indexed and what it names: a relative reference as Type/id, any other
// as written, both without the version behind them, because a search finds a resource and not one of its versions (FHIR R4
// references.html#literal, search.html#reference).
func readReference(text string) (string, target) {
	text = strings.TrimRight(text, " ")
	if text == "" || text[0] == '#' {
		return "", targetNone
	}
	if resourceType, _, ok := strings.Cut(text, "?"); ok && !strings.Contains(resourceType, "/") {
		return text, targetOf(resourceType)
	}
	if i := strings.LastIndex(text, "/_history/"); i > 0 {
		text = text[:i]
	}
	slash := strings.LastIndexByte(text, '/')
	if slash < 1 || !fhir.ValidID(text[slash+1:]) {
		return text, targetUnknown
	}
	return text, targetOf(text[strings.LastIndexByte(text[:slash], '/')+1 : slash])
}

func targetOf(resourceType string) target {
	switch {
	case resourceType == "Patient":
		return targetPatient
	case fhir.IsType(resourceType):
		return targetOther
	default:
		return targetUnknown
	}
}

// patientRow returns the indexed form of an element's reference, and false where it is known to name something other than a
// patient. What cannot be known is kept, because only a search for exactly that text finds it. declared is Reference.type.
func patientRow(text, declared string) (string, bool) {
	row, names := readReference(text)
	switch names {
	case targetPatient:
		return row, true
	case targetUnknown:
		return row, declared == "" || targetOf(declared[strings.LastIndexByte(declared, '/')+1:]) != targetOther
	default:
		return "", false
	}
}
