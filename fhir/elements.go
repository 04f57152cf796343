package fhir

import (
	_ "embed"
	"strings"
)

// elements has a line for each type of FHIR R4, with or without a name of its own: its elements as name:type, name*:type where it
// repeats, name!:type where it must be there, name[x]:type|type for a choice, * for every type that a value may have, and name:code=set
// where the codes are those of a line of codes. What all types have stands in the lines of the bases. It is made from the definitions of 4.0.1, which HL7 gives under CC0 (TestElementsAreThoseOfR4).
//
//go:embed elements.txt
var elements string

// codes has a line for each value set that R4 binds elements of the type code to (binding required), as far as HL7 publishes its codes: its
// name and the codes. It is made with elements.
//
//go:embed codes.txt
var codes string

// Element is an element of a type of FHIR R4.
type Element struct {
	Name     string   // as FHIRPath says it
	Types    []string // of the value; nil for any
	Repeats  bool
	Required bool // at least one is there
	Choice   bool
	Codes    string // the name of the value set whose codes alone it may have, where there is one (codesOf)
}

// ElementOf finds an element of a type by the name that FHIRPath gives it, or by the one that JSON gives a choice (then types has
// that one alone).
func ElementOf(owner, name string) (Element, bool) {
	for _, line := range []string{owner, BaseOf(owner)} {
		if e, ok := findElement(line, name); ok {
			return e, true
		}
	}
	return Element{}, false
}

// BaseOf returns the line in which the elements stand that a type inherits.
func BaseOf(owner string) string {
	switch {
	case strings.Contains(owner, "."):
		return "BackboneElement"
	case owner == "Bundle" || owner == "Binary" || owner == "Parameters":
		return "Resource"
	case IsType(owner):
		return "DomainResource"
	default:
		return "BackboneElement" // Timing and the like have modifierExtension, too
	}
}

func findElement(owner, name string) (Element, bool) {
	line, ok := lineOf(owner)
	if !ok {
		return Element{}, false
	}
	for item := range strings.SplitSeq(line, " ") {
		e := elementOf(item)
		switch {
		case e.Name == name:
			return e, true
		case e.Choice && strings.HasPrefix(name, e.Name):
			for _, t := range e.Types {
				if name == e.Member(t) {
					e.Types = []string{t}
					return e, true
				}
			}
			if t, ok := ValueType(name[len(e.Name):]); ok && e.Types == nil {
				e.Types = []string{t}
				return e, true
			}
		}
	}
	return Element{}, false
}

// elementOf reads one entry of a line.
func elementOf(item string) Element {
	label, types, _ := strings.Cut(item, ":")
	e := Element{}
	e.Name, e.Required = strings.CutSuffix(label, "!")
	e.Name, e.Repeats = strings.CutSuffix(e.Name, "*")
	e.Name, e.Choice = strings.CutSuffix(e.Name, "[x]")
	types, e.Codes, _ = strings.Cut(types, "=")
	if types != "*" {
		e.Types = strings.Split(types, "|")
	}
	return e
}

// codesOf returns the codes of a value set.
func codesOf(set string) []string {
	line, _ := lineIn(codes, set)
	return strings.Fields(line)
}

// lineOf returns what stands behind the name of a type. The lines are sorted by name.
func lineOf(owner string) (string, bool) { return lineIn(elements, owner) }

func lineIn(table, owner string) (string, bool) {
	from, to := 0, len(table) // the line begins in between
	for from < to {
		start := strings.LastIndexByte(table[:from+(to-from)/2], '\n') + 1
		line, _, _ := strings.Cut(table[start:], "\n")
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

// Member returns the name that JSON gives the element with a value of a type (FHIR R4 json.html#primitive, choice).
func (e Element) Member(t string) string {
	if !e.Choice || t == "" {
		return e.Name
	}
	return e.Name + strings.ToUpper(t[:1]) + t[1:]
}

// ValueType returns the type that a member's ending names, as in valueQuantity (FHIR R4 datatypes.html#open).
func ValueType(ending string) (string, bool) {
	if ending == "" {
		return "", false
	}
	if t := strings.ToLower(ending[:1]) + ending[1:]; IsPrimitive(t) {
		return t, true
	}
	_, ok := lineOf(ending)
	return ending, ok && !IsType(ending)
}

// IsPrimitive reports whether a type is written as one JSON value (FHIR R4 datatypes.html#primitive).
func IsPrimitive(t string) bool { return PrimitiveKind(t) != 0 }

// PrimitiveKind returns with what the JSON of a primitive type begins: " for a string, 0 for a number, t for a boolean.
func PrimitiveKind(t string) byte {
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
