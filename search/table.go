package search

import (
	_ "embed"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tributary-sync/tributary/fhir"
)

// tableText has a line for each search parameter of each type: its name, its type, the elements that it reads as
// "path:kind" or "path:kind=filter" (see the kinds below), and behind > the types that a reference may name. The line
// "@patient compartment" has the elements by which a resource is in the compartment of a patient
// (https://hl7.org/fhir/R4/compartmentdefinition-patient.html); those with a filter are read for that only. Of a path that
// ends with {A,B}, valueA and valueB are the members in JSON. A test holds every line against the definitions of R4.
//
//go:embed table.txt
var tableText string

// tables is the table as it is used; it never changes.
var tables = sync.OnceValue(readTables)

// kind is how the values of an element are read.
type kind byte

// The kinds, as they stand in the table.
const (
	kindIdentifier kind = 'i' // Identifier: value and system; and its system by itself
	kindCode       kind = 't' // code, boolean, string, Coding, CodeableConcept
	kindContact    kind = 'c' // ContactPoint: value and system
	kindString     kind = 's' // string: what stands from each of its words on, without case and accents
	kindName       kind = 'h' // HumanName: family and given as one, for the order of a result
	kindAddress    kind = 'a' // Address: each of its texts
	kindDate       kind = 'd' // date, dateTime, instant, Period, Timing: a span of time
	kindReference  kind = 'r' // Reference
	kindQuantity   kind = 'q' // Quantity: its number, with its code or unit
	kindURI        kind = 'u' // uri, url
)

// path is an element that a parameter reads. Its rows in the index bear the number id: every parameter that reads the same
// element uses the same rows.
type path struct {
	element string // from the top of the resource, as in FHIRPath
	members string // the path in JSON; the last name may be one of several: a{B,C}
	kind    kind
	filter  string // of a reference: the type that it has to name; of a contact: its system
	id      int32
}

// parameter is a line of the table.
type parameter struct {
	name    string
	kind    string // http://hl7.org/fhir/R4/valueset-search-param-type.html
	paths   []path
	targets []string // types that a reference may name
}

// typeTable is what the table says of a resource type.
type typeTable struct {
	parameters  map[string]*parameter
	names       []string // of the parameters, sorted
	compartment []path
	root        *node // what the walk reads
}

// node is a name on the way to elements that are read.
type node struct {
	below map[string]*node
	reads []path // what ends here; the filter of a reference says which are kept
}

// Kinds of rows beside that of a path itself. None is the kind of an element.
const (
	rowSystem    = '|' // the system of an Identifier, as the value
	rowEnd       = '>' // a span longer than longSpan, by its end
	rowLogical   = 'l' // the identifier of a Reference
	rowLogicalOf = 'L' // the system of such an identifier
)

// rowID returns the number of the rows of an element: 31 bits of a hash, so that it never changes as long as the element has
// its name. A test finds two that are equal.
func rowID(resourceType, element string, k byte) int32 {
	h := fnv.New32a()
	for _, s := range []string{resourceType, ".", element, ":", string(k)} {
		_, _ = h.Write([]byte(s)) // a hash never fails
	}
	return int32(h.Sum32() & 0x7fffffff)
}

func readTables() map[string]*typeTable {
	out := map[string]*typeTable{}
	for _, t := range fhir.Types() {
		out[t] = &typeTable{parameters: map[string]*parameter{}, root: &node{}}
	}
	resourceType := ""
	for line := range strings.Lines(tableText) {
		if !strings.HasPrefix(line, " ") {
			resourceType = strings.TrimSpace(line)
			continue
		}
		left, right, _ := strings.Cut(line, " > ")
		word := strings.Fields(left)
		p := &parameter{name: word[0], kind: word[1]}
		if right = strings.TrimSpace(right); right == "*" {
			p.targets = fhir.Types()
		} else if right != "" {
			p.targets = strings.Split(right, ",")
		}
		t := out[resourceType]
		for _, text := range word[2:] {
			one := readPath(resourceType, text)
			p.paths = append(p.paths, one)
			if p.kind != "compartment" && one.kind == kindReference {
				one.filter = "" // the parameter's, not that of the rows
			}
			t.root.add(one)
		}
		if p.kind == "compartment" {
			t.compartment = p.paths
			continue
		}
		t.parameters[p.name] = p
	}
	for _, t := range out {
		t.names = slices.Sorted(maps.Keys(t.parameters))
	}
	return out
}

func readPath(resourceType, text string) path {
	colon := strings.LastIndexByte(text, ':')
	members := text[:colon]
	k, filter, _ := strings.Cut(text[colon+1:], "=")
	element, _, _ := strings.Cut(members, "{")
	return path{element: element, members: members, kind: kind(k[0]), filter: filter, id: rowID(resourceType, element, k[0])}
}

// add makes the walk read a path. An element that is read twice is read as the one that keeps more.
func (n *node) add(p path) {
	names, last := strings.Split(p.element, "."), []string{""}
	if _, choice, ok := strings.Cut(p.members, "{"); ok {
		last = strings.Split(strings.TrimSuffix(choice, "}"), ",")
	}
	for i, name := range names {
		if i < len(names)-1 {
			n = n.child(name)
			continue
		}
		for _, end := range last {
			c := n.child(name + end)
			at := slices.IndexFunc(c.reads, func(o path) bool { return o.id == p.id })
			switch {
			case at < 0:
				c.reads = append(c.reads, p)
			case p.filter == "":
				c.reads[at].filter = ""
			}
		}
	}
}

func (n *node) child(name string) *node {
	if n.below == nil {
		n.below = map[string]*node{}
	}
	if n.below[name] == nil {
		n.below[name] = &node{}
	}
	return n.below[name]
}
