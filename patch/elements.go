package patch

import (
	_ "embed"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
)

// elements has a line for each type of FHIR R4, with or without a name of its own: its elements as name:type, name*:type where it
// repeats, name[x]:type|type for a choice, and * for every type that a value may have. What all types have stands in the lines of
// the bases. It is made from the definitions of 4.0.1 (TestElementsAreThoseOfR4).
//
//go:embed elements.txt
var elements string

// element is an element of a type.
type element struct {
	name    string   // as FHIRPath says it
	types   []string // of the value; nil for any
	repeats bool
	choice  bool
}

// elementOf finds an element of a type by the name that FHIRPath gives it, or by the one that JSON gives a choice (then types has
// that one alone).
func elementOf(owner, name string) (element, bool) {
	for _, line := range []string{owner, baseOf(owner)} {
		if e, ok := findElement(line, name); ok {
			return e, true
		}
	}
	return element{}, false
}

// baseOf returns the line in which the elements stand that a type inherits.
func baseOf(owner string) string {
	switch {
	case strings.Contains(owner, "."):
		return "BackboneElement"
	case owner == "Bundle" || owner == "Binary" || owner == "Parameters":
		return "Resource"
	case fhir.IsType(owner):
		return "DomainResource"
	default:
		return "BackboneElement" // Timing and the like have modifierExtension, too
	}
}

func findElement(owner, name string) (element, bool) {
	line, ok := lineOf(owner)
	if !ok {
		return element{}, false
	}
	for item := range strings.SplitSeq(line, " ") {
		label, types, _ := strings.Cut(item, ":")
		e := element{}
		e.name, e.repeats = strings.CutSuffix(label, "*")
		e.name, e.choice = strings.CutSuffix(e.name, "[x]")
		if types != "*" {
			e.types = strings.Split(types, "|")
		}
		switch {
		case e.name == name:
			return e, true
		case e.choice && strings.HasPrefix(name, e.name):
			for _, t := range e.types {
				if name == e.member(t) {
					e.types = []string{t}
					return e, true
				}
			}
			if t, ok := valueType(name[len(e.name):]); ok && e.types == nil {
				e.types = []string{t}
				return e, true
			}
		}
	}
	return element{}, false
}

// lineOf returns what stands behind the name of a type. The lines are sorted by name.
func lineOf(owner string) (string, bool) {
	from, to := 0, len(elements) // the line begins in between
	for from < to {
		start := strings.LastIndexByte(elements[:from+(to-from)/2], '\n') + 1
		line, _, _ := strings.Cut(elements[start:], "\n")
		name, rest, _ := strings.Cut(line, " ")
		switch c := strings.Compare(owner, name); {
		case c == 0:
			return rest, true
		case c < 0:
			to = start
		default:
			from = start + len(line) + 1
		}
	}
	return "", false
}

// member returns the name that JSON gives the element with a value of a type (FHIR R4 json.html#primitive, choice).
func (e element) member(t string) string {
	if !e.choice || t == "" {
		return e.name
	}
	return e.name + strings.ToUpper(t[:1]) + t[1:]
}

// valueType returns the type that a member's ending names, as in valueQuantity (FHIR R4 datatypes.html#open).
func valueType(ending string) (string, bool) {
	if ending == "" {
		return "", false
	}
	if t := strings.ToLower(ending[:1]) + ending[1:]; primitive(t) {
		return t, true
	}
	_, ok := lineOf(ending)
	return ending, ok && !fhir.IsType(ending)
}

// primitive reports whether a type is written as one JSON value (FHIR R4 datatypes.html#primitive).
func primitive(t string) bool { return kindOf(t) != 0 }

// kindOf returns with what the JSON of a primitive type begins: " for a string, 0 for a number, t for a boolean.
func kindOf(t string) byte {
	switch t {
	case "boolean":
		return 't'
	case "integer", "decimal", "positiveInt", "unsignedInt":
		return '0'
	case "string", "code", "id", "markdown", "uri", "url", "canonical", "oid", "uuid", "base64Binary", "xhtml", "date", "dateTime", "instant", "time":
		return '"'
	}
	return 0
}
