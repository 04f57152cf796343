package sdata

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/xmltree"
)

// The namespaces of a schema (SData core 4.3, sme).
const (
	nsXSD = "http://www.w3.org/2001/XMLSchema"
	nsSME = "http://schemas.sage.com/sdata/sme/2007"
)

// WriteSchema advertises resource kinds, in the order in which they are synchronized.
func WriteSchema(kinds []string) []byte {
	d := &xmltree.Document{}
	d.Begin("xs:schema", "xmlns:xs", nsXSD, "xmlns:sme", nsSME, "targetNamespace", nsNode, "elementFormDefault", "qualified")
	for i, k := range kinds {
		d.Text("xs:element", "", "name", k, "sme:role", "resourceKind", "sme:pluralName", k, "sme:canGet", "false", "sme:isSyncSource", "true", "sme:isSyncTarget", "true",
			"sme:syncOrder", strconv.Itoa(i+1))
	}
	return d.Done()
}

// ReadSchema returns the resource kinds that a schema advertises for synchronization, in their order; kinds that are not known here are left
// out. It returns an Invalid error for what is no schema.
func ReadSchema(body []byte) ([]string, error) {
	top, err := xmltree.Parse(body, ours)
	if err != nil {
		return nil, err
	}
	if top.Name.Space != nsXSD || top.Name.Local != "schema" {
		return nil, bad("the root is %.60s in namespace %.100q, not a schema", top.Name.Local, top.Name.Space)
	}
	type kind struct {
		name  string
		order int
	}
	var kinds []kind
	for _, c := range top.Children {
		if c.Name.Space != nsXSD || c.Name.Local != "element" || c.Attr("role") != "resourceKind" || !fhir.IsKind(c.Attr("name")) {
			continue
		}
		n, _ := strconv.Atoi(c.Attr("syncOrder")) // one without an order has nothing that it waits for
		kinds = append(kinds, kind{c.Attr("name"), n})
	}
	slices.SortStableFunc(kinds, func(a, b kind) int { return cmp.Compare(a.order, b.order) })
	out := make([]string, len(kinds))
	for i, k := range kinds {
		out[i] = k.name
	}
	return out, nil
}
