package fhir

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/syncerr"
)

// maxFaults bounds how many faults Check names.
const maxFaults = 5

// Check looks whether a resource, as Parse returns it, says only what the base definitions of FHIR R4 let its type say: elements that the
// type has, of the right JSON type and form (FHIR R4 json.html, datatypes.html), each as often as it may stand and those that must be there,
// and the codes that elements of the type code are bound to. It does not look at other codes, at invariants, at what references lead to, or
// at profiles. It is for what a person
// typed: what arrives from other nodes is passed on as its author sent it (DESIGN.md section 3, invariant 4). It returns an Invalid error that
// names the first faults by their places and never by their values, nil for a REST document.
func Check(r Resource) error {
	if r.rest || r.Key.Type == "" {
		return nil
	}
	c := checker{}
	c.object(r.Key.Type, r.Key.Type, r.Body)
	if len(c.faults) == 0 {
		return nil
	}
	text := strings.Join(c.faults[:min(maxFaults, len(c.faults))], "; ")
	if len(c.faults) > maxFaults {
		text += "; and more"
	}
	return syncerr.New(syncerr.Invalid, "check resource", "it is no valid FHIR R4: %s", text)
}

type checker struct{ faults []string }

func (c *checker) fault(at, format string, args ...any) {
	if len(c.faults) <= maxFaults {
		c.faults = append(c.faults, at+": "+fmt.Sprintf(format, args...))
	}
}

// object checks an object of a type, with or without a name of its own.
func (c *checker) object(at, owner string, raw []byte) {
	if raw[0] != '{' {
		c.fault(at, "must be an object, this is %s", kindName(jsontext.Value(raw).Kind()))
		return
	}
	if owner == "Resource" { // one inside another
		owner = resourceTypeOf(raw)
		if !IsType(owner) {
			c.fault(at, "resourceType is missing or no resource type of FHIR R4")
			return
		}
	}
	values := map[string]pairOf{}
	var order []string
	eachMember(raw, func(quoted, value []byte) {
		name := Unquote(quoted)
		key, beside := strings.CutPrefix(name, "_")
		p, seen := values[key]
		if !seen {
			order = append(order, key)
		}
		if beside {
			p.beside = value
		} else {
			p.value = value
		}
		values[key] = p
	})
	there := map[string]string{} // the names that elements have in JSON, by their own
	for _, name := range order {
		if name == "resourceType" && IsType(owner) {
			continue
		}
		p := values[name]
		place := at + "." + printable(name)
		e, known := ElementOf(owner, name)
		if !known || e.Choice && name == e.Name {
			c.fault(place, "%s has no such element", owner)
			continue
		}
		if other, twice := there[e.Name]; twice {
			c.fault(place, "%s is there already, and it may have one type only", other)
			continue
		}
		there[e.Name] = name
		c.element(place, e, p)
	}
	if len(order) == 0 {
		c.fault(at, "must not be empty")
	}
	c.required(at, owner, there)
}

// pairOf is the value of an element and what stands beside it, for a primitive (FHIR R4 json.html#primitive).
type pairOf struct{ value, beside []byte }

func (c *checker) required(at, owner string, there map[string]string) {
	line, _ := lineOf(owner)
	for item := range strings.FieldsSeq(line) {
		if e := elementOf(item); e.Required && there[e.Name] == "" {
			c.fault(at, "%s is missing", e.Name)
		}
	}
}

func (c *checker) element(at string, e Element, p pairOf) {
	typ := ""
	if len(e.Types) == 1 {
		typ = e.Types[0]
	}
	if p.beside != nil && !IsPrimitive(typ) {
		c.fault(at, "only a primitive has members beside it under a name with an underscore")
		return
	}
	if !e.Repeats {
		c.value(at, typ, p)
		c.code(at, e, p.value)
		return
	}
	for _, raw := range [][]byte{p.value, p.beside} {
		if raw != nil && raw[0] != '[' {
			c.fault(at, "may stand several times and must be a list, this is %s", kindName(jsontext.Value(raw).Kind()))
			return
		}
	}
	values, beside := listOf(p.value), listOf(p.beside)
	n := max(len(values), len(beside))
	if n == 0 {
		c.fault(at, "must not be empty")
	}
	if p.value != nil && p.beside != nil && len(values) != len(beside) {
		c.fault(at, "must have as many values as the list beside it")
		return
	}
	for i := range n {
		place, one := fmt.Sprintf("%s[%d]", at, i), pairOf{itemOf(values, i), itemOf(beside, i)}
		c.value(place, typ, one)
		c.code(place, e, one.value)
	}
}

// code checks a value against the codes that an element may have (FHIR R4 terminologies.html#required).
func (c *checker) code(at string, e Element, value []byte) {
	if e.Codes == "" || value == nil || value[0] != '"' {
		return
	}
	if may := codesOf(e.Codes); !slices.Contains(may, Unquote(value)) {
		list := strings.Join(may[:min(12, len(may))], ", ")
		if len(may) > 12 {
			list += " and others"
		}
		c.fault(at, "must be one of %s", list)
	}
}

func listOf(raw []byte) (out [][]byte) {
	if raw != nil {
		eachMember(raw, func(_, value []byte) { out = append(out, value) })
	}
	return out
}

// itemOf returns a value of a list of primitives or of what stands beside them, nil for the null that keeps its place.
func itemOf(values [][]byte, i int) []byte {
	if i >= len(values) || string(values[i]) == "null" {
		return nil
	}
	return values[i]
}

func (c *checker) value(at, typ string, p pairOf) {
	if p.beside != nil && string(p.beside) != "null" {
		c.object(at, "Element", p.beside)
	}
	switch {
	case p.value == nil && p.beside == nil, p.value != nil && p.value[0] == 'n':
		c.fault(at, "null is no value")
	case p.value == nil:
	case p.value[0] == '[':
		c.fault(at, "may stand once and must be no list")
	case !IsPrimitive(typ):
		c.object(at, typ, p.value)
	default:
		c.primitive(at, typ, p.value)
	}
}

func (c *checker) primitive(at, typ string, raw []byte) {
	kind := jsontext.Value(raw).Kind()
	if kind == 'f' {
		kind = 't'
	}
	if want := jsontext.Kind(PrimitiveKind(typ)); kind != want {
		c.fault(at, "%s is written as %s, this is %s", withArticle(typ), kindName(want), kindName(kind))
		return
	}
	text := raw
	if kind == '"' {
		text = []byte(Unquote(raw))
		if len(bytes.TrimSpace(text)) == 0 {
			c.fault(at, "must not be empty")
			return
		}
	}
	if form := forms()[typ]; form != nil && !form.Match(text) {
		c.fault(at, "has not the form of %s", withArticle(typ))
	}
}

// forms are those of the primitive types (FHIR R4 datatypes.html#primitive). Of a base64Binary only the characters are looked at.
var forms = sync.OnceValue(func() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		"base64Binary": regexp.MustCompile(`^[A-Za-z0-9+/=\s]+$`),
		"canonical":    regexp.MustCompile(`^\S+$`),
		"code":         regexp.MustCompile(`^\S+(\s\S+)*$`),
		"date":         regexp.MustCompile(`^` + day + `$`),
		"dateTime":     regexp.MustCompile(`^(` + day + `|` + wholeDay + `T` + clock + zone + `)$`),
		"id":           regexp.MustCompile(`^[A-Za-z0-9.-]{1,64}$`),
		"instant":      regexp.MustCompile(`^` + wholeDay + `T` + clock + zone + `$`),
		"integer":      regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`),
		"oid":          regexp.MustCompile(`^urn:oid:[0-2](\.(0|[1-9][0-9]*))+$`),
		"positiveInt":  regexp.MustCompile(`^[1-9][0-9]*$`),
		"time":         regexp.MustCompile(`^` + clock + `$`),
		"unsignedInt":  regexp.MustCompile(`^(0|[1-9][0-9]*)$`),
		"uri":          regexp.MustCompile(`^\S+$`),
		"url":          regexp.MustCompile(`^\S+$`),
		"uuid":         regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`),
		"xhtml":        regexp.MustCompile(`^\s*<div\b[\s\S]*>\s*$`),
	}
})

const (
	wholeDay = `[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])`
	day      = `[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?`
	clock    = `([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?`
	zone     = `(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))`
)

func withArticle(typ string) string {
	if strings.ContainsAny(typ[:1], "aeio") {
		return "an " + typ
	}
	return "a " + typ
}

// printable returns a name as an error may show it: as far as a name of FHIR would go.
func printable(name string) string {
	if len(name) > 40 {
		name = strings.ToValidUTF8(name[:40], "") + "..."
	}
	return name
}

// eachMember calls f for what an object or array of compact JSON contains. A value of an array has no name.
func eachMember(raw []byte, f func(name, value []byte)) {
	for i := 1; i < len(raw)-1; {
		var name []byte
		if raw[0] == '{' {
			end := ValueEnd(raw, i)
			name = raw[i:end]
			i = end + 1 // the colon
		}
		end := ValueEnd(raw, i)
		f(name, raw[i:end])
		i = end + 1 // the comma
	}
}

func resourceTypeOf(raw []byte) (typ string) {
	eachMember(raw, func(name, value []byte) {
		if string(name) == `"resourceType"` && value[0] == '"' {
			typ = Unquote(value)
		}
	})
	return typ
}
