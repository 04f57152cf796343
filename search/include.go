package search

import (
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
)

// includes reads _include and _revinclude: Type:reference and Type:reference:target (FHIR R4 search.html#include).
func (p *parser) includes(name string, values []string) error {
	for _, v := range values {
		part := strings.Split(v, ":")
		i := Include{Reverse: strings.HasPrefix(name, "_rev"), Iterate: strings.HasSuffix(name, ":iterate"), Source: part[0]}
		source := tables()[part[0]]
		switch {
		case v == "*" && !i.Reverse:
			i.Source, i.Params, i.Targets = p.query.Type, p.table.references(), fhir.Types()
		case len(part) < 2 || len(part) > 3 || source == nil:
			return invalid("%s: write Type:parameter or Type:parameter:TargetType, as in Observation:subject:Patient", name)
		case part[1] == "*":
			i.Params, i.Targets = source.references(), fhir.Types()
		default:
			param := source.parameters[part[1]]
			if param == nil || param.kind != "reference" {
				return invalid("%s: %.60q is no reference of %s. references are %s", name, part[1], part[0], strings.Join(source.referenceNames(), ", "))
			}
			i.Params, i.Targets, i.Target = param.ids(), param.targets, param.filtered()
		}
		if len(part) == 3 {
			if !slices.Contains(i.Targets, part[2]) {
				return invalid("%s: %.60q does not refer to %.60q, but to %s", name, part[1], part[2], few(i.Targets))
			}
			i.Target = part[2]
		}
		if !i.Iterate && (!i.Reverse && i.Source != p.query.Type || i.Reverse && (!slices.Contains(i.Targets, p.query.Type) ||
			i.Target != "" && i.Target != p.query.Type)) {
			return invalid("%s: the resources found are %ss, which %.60q has nothing to do with. use %s:iterate for resources that were included",
				name, p.query.Type, v, name)
		}
		if p.query.Include = append(p.query.Include, i); len(p.query.Include) > maxIncludes {
			return invalid("%s: more than %d in one search", name, maxIncludes)
		}
	}
	return nil
}

// References returns the keys that a resource refers to by the elements of an Include, sorted and without doubles. The body is that
// of a parsed resource.
func (i Include) References(key fhir.Key, body []byte) []fhir.Key {
	if key.Type != i.Source {
		return nil
	}
	var out []fhir.Key
	types := i.Targets
	if i.Target != "" {
		types = []string{i.Target}
	}
	for _, v := range Values(key, body) {
		if !slices.Contains(i.Params, v.Param) || !fhir.ValidID(v.Value) {
			continue
		}
		if at := slices.IndexFunc(types, func(t string) bool { return space(t) == v.Space }); at >= 0 {
			out = append(out, fhir.Key{Type: types[at], ID: v.Value})
		}
	}
	slices.SortFunc(out, fhir.Key.Compare)
	return slices.Compact(out)
}

// TypeSpace returns Value.Space of a reference that names a resource of the type.
func TypeSpace(resourceType string) int64 { return space(resourceType) }

// Compartment returns the elements by which resources are in the compartment of a patient (http://hl7.org/fhir/R4/compartmentdefinition-patient.html),
// of the types given, or of all where there is none.
func Compartment(types []string) []int32 {
	var out []int32
	for _, t := range fhir.Types() {
		if len(types) > 0 && !slices.Contains(types, t) {
			continue
		}
		for _, p := range tables()[t].compartment {
			out = append(out, p.id)
		}
	}
	return out
}

func (t *typeTable) referenceNames() []string {
	var out []string
	for _, name := range t.names {
		if t.parameters[name].kind == "reference" {
			out = append(out, name)
		}
	}
	return out
}

// references returns the elements of all parameters that are references.
func (t *typeTable) references() []int32 {
	var out []int32
	for _, name := range t.referenceNames() {
		out = append(out, t.parameters[name].ids()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Parameter describes a search parameter for a CapabilityStatement (rest.resource.searchParam).
type Parameter struct {
	Name          string
	Type          string // a code of http://hl7.org/fhir/R4/valueset-search-param-type.html
	Documentation string
}

// Parameters returns the search parameters that Parse understands for a resource type, in alphabetical order; none where the
// type is no R4 type.
func Parameters(resourceType string) []Parameter {
	t := tables()[resourceType]
	if t == nil {
		return nil
	}
	out := []Parameter{
		{ID, "token", "the logical id; several are separated by commas"},
		{LastUpdated, "date", "when this server last changed the resource; prefixes eq, ne, gt, ge, lt, le, sa, eb, ap"},
	}
	for _, name := range t.names {
		p := t.parameters[name]
		out = append(out, Parameter{name, p.kind, p.documentation()})
	}
	return out
}

func (p *parameter) documentation() string {
	switch p.kind {
	case "token":
		return "value, system|value, system| or |value; modifiers :not, :missing"
	case "string":
		return "the beginning of a word, without case and accents; modifiers :exact, :contains, :missing"
	case "date":
		return "a span of time; prefixes eq, ne, gt, ge, lt, le, sa, eb, ap; modifier :missing"
	case "quantity":
		return "number, number|system|code or number||code; prefixes eq, ne, gt, ge, lt, le, sa, eb, ap; modifier :missing"
	case "reference":
		return "id, Type/id or a URL that ends so; modifiers :identifier, :missing and a type; chains of one level. Refers to " + few(p.targets)
	default:
		return "the whole value; modifier :missing"
	}
}

// Includes returns what _include and _revinclude take for resources of a type, sorted.
func Includes(resourceType string) (include, revInclude []string) {
	t := tables()[resourceType]
	if t == nil {
		return nil, nil
	}
	for _, name := range t.referenceNames() {
		include = append(include, resourceType+":"+name)
	}
	types := fhir.Types()
	for _, other := range types {
		for _, name := range tables()[other].referenceNames() {
			if p := tables()[other].parameters[name]; len(p.targets) < len(types) && slices.Contains(p.targets, resourceType) {
				revInclude = append(revInclude, other+":"+name)
			}
		}
	}
	return include, revInclude
}

// Sorts returns what _sort takes for resources of a type.
func Sorts(resourceType string) []string {
	if t := tables()[resourceType]; t != nil {
		return t.sorts()
	}
	return nil
}
