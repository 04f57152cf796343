package patch

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/fhir"
)

// as makes a value fit for an element, and names its type as the element does. A value of a wrong type is refused (FHIR R4
// fhirpatch.html, base rules); the kinds of string are not told apart.
func (v value) as(el fhir.Element) (value, error) {
	if v.typ == "" {
		return v.built(el)
	}
	wrong := func() error {
		return cannot("%s is no %s", el.Name, v.typ).WithHint("It is %s", strings.Join(el.Types, " or "))
	}
	switch {
	case v.typ == "Resource":
		d := &doc{b: v.raw}
		t, err := d.resourceType(d.root())
		if err != nil || !fhir.IsType(t) || !slices.Contains(el.Types, "Resource") {
			return v, wrong()
		}
		return v, nil
	case el.Types == nil, slices.Contains(el.Types, v.typ):
		return v, nil
	}
	for _, t := range el.Types {
		if fhir.PrimitiveKind(t) != 0 && fhir.PrimitiveKind(t) == fhir.PrimitiveKind(v.typ) || quantity(t) && quantity(v.typ) {
			v.typ = t
			return v, nil
		}
	}
	return v, wrong()
}

// quantity reports whether a type is Quantity or made from it.
func quantity(t string) bool {
	return slices.Contains([]string{"Quantity", "Age", "Count", "Distance", "Duration"}, t)
}

// built makes the element of parts.
func (v value) built(el fhir.Element) (value, error) {
	var of []string
	for _, t := range el.Types {
		if !fhir.IsPrimitive(t) && t != "Resource" {
			of = append(of, t)
		}
	}
	if len(of) != 1 {
		return v, cannot("value: parts do not say which type %s has", el.Name).WithHint("Send it as value[x]")
	}
	raw, err := object(of[0], v.parts)
	return value{typ: of[0], raw: raw}, err
}

// object writes an element of a type from its parts.
func object(typ string, parts []named) ([]byte, error) {
	if len(parts) == 0 {
		return nil, cannot("value: it has neither a value nor parts")
	}
	out := []byte("{")
	write := func(name string, raw []byte) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out, _ = jsontext.AppendQuote(out, name)
		out = append(append(out, ':'), raw...)
	}
	done := map[string]bool{}
	for i, p := range parts {
		el, ok := fhir.ElementOf(typ, p.name)
		if !ok {
			return nil, cannot("value: %s has no element %.60s", typ, p.name)
		}
		if done[el.Name] {
			if !el.Repeats {
				return nil, cannot("value: %s of %s does not repeat", el.Name, typ)
			}
			continue
		}
		done[el.Name] = true
		var raws, shadows [][]byte
		shadowed, member := false, ""
		for _, q := range parts[i:] {
			if q.name != p.name {
				continue
			}
			v, err := q.as(el)
			if err != nil {
				return nil, err
			}
			raws, shadows = append(raws, orNull(v.raw)), append(shadows, orNull(v.shadow))
			shadowed, member = shadowed || v.shadow != nil, el.Member(v.typ)
			if !el.Repeats {
				break
			}
		}
		if el.Repeats {
			raws, shadows = [][]byte{array(raws)}, [][]byte{array(shadows)}
		}
		if string(raws[0]) != "null" {
			write(member, raws[0])
		}
		if shadowed {
			write("_"+member, shadows[0])
		}
	}
	return append(out, '}'), nil
}

func orNull(raw []byte) []byte {
	if raw == nil {
		return []byte("null")
	}
	return raw
}

func array(items [][]byte) []byte {
	out := []byte("[")
	for i, raw := range items {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, raw...)
	}
	return append(out, ']')
}
