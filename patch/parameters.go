package patch

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// change is one operation of a FHIRPath Patch as it was sent (FHIR R4 fhirpatch.html).
type change struct {
	kind        string
	path        string
	name        string
	value       *value
	index       int // -1 where it was not sent, as the next two
	source      int
	destination int
}

// value is what an operation puts somewhere.
type value struct {
	typ    string  // of value[x]; Resource for a resource; "" where parts make an element of a type without a name
	raw    []byte  // nil for parts, and for a primitive that has extensions only
	shadow []byte  // id and extensions of a primitive
	parts  []named // the elements
}

type named struct {
	name string
	value
}

func badParameters(format string, args ...any) *syncerr.Error {
	return syncerr.New(syncerr.Invalid, "read FHIRPath Patch", format, args...)
}

// readParameters reads a Parameters resource with operations.
func readParameters(body []byte) ([]change, error) {
	d, err := newDoc(body, 0)
	if err != nil {
		return nil, fmt.Errorf("FHIRPath Patch: %w", err)
	}
	if t := ""; d.b[0] == '{' {
		if t, err = d.resourceType(d.root()); err != nil || t != "Parameters" {
			return nil, badParameters("resourceType: %.60q is not Parameters", t).WithHint("Send a FHIRPath Patch, or a JSON Patch as application/json-patch+json")
		}
	} else {
		return nil, badParameters("it is not a Parameters resource").WithHint("A JSON Patch is sent as application/json-patch+json")
	}
	list, ok, err := d.member(d.root(), "parameter")
	if err != nil || !ok {
		return nil, err
	}
	if d.b[list.value.from] != '[' {
		return nil, badParameters("parameter: it is not a list")
	}
	var out []change
	var failure error
	err = d.children(list.value, func(c child) bool {
		if c.index >= MaxOperations {
			failure = tooMany(c.index + 1)
			return false
		}
		var one change
		if one, failure = d.readChange(c.value); failure != nil {
			failure = fmt.Errorf("operation[%d]: %w", c.index, failure)
		}
		out = append(out, one)
		return failure == nil
	})
	if err == nil {
		err = failure
	}
	return out, err
}

func (d *doc) readChange(at span) (change, error) {
	c := change{index: -1, source: -1, destination: -1}
	label, err := d.readParameter(at)
	if err != nil {
		return c, err
	}
	if label.name != "operation" {
		return c, badParameters("name: %.60q is not operation", label.name)
	}
	for _, p := range label.parts {
		said := strings.Trim(string(p.raw), `"`)
		if len(p.raw) > 0 && p.raw[0] == '"' {
			said = fhir.Unquote(p.raw)
		}
		number := -1
		switch p.name {
		case "type":
			c.kind = said
		case "path":
			c.path = said
		case "name":
			c.name = said
		case "value":
			c.value = &p.value
		case "index", "source", "destination":
			n, err := strconv.ParseUint(string(p.raw), 10, 31)
			if err != nil {
				return c, badParameters("%s: it is no number from 0 on", p.name)
			}
			number = int(n)
		default:
			return c, badParameters("part: %.60q is none of type, path, name, value, index, source and destination", p.name)
		}
		switch p.name {
		case "index":
			c.index = number
		case "source":
			c.source = number
		case "destination":
			c.destination = number
		}
	}
	return c, c.check()
}

// check says whether an operation has the parts that it needs.
func (c change) check() error {
	needs := map[string]bool{"path": c.path == ""}
	switch c.kind {
	case "add":
		needs["name"], needs["value"] = c.name == "", c.value == nil
	case "insert":
		needs["value"], needs["index"] = c.value == nil, c.index < 0
	case "replace":
		needs["value"] = c.value == nil
	case "move":
		needs["source"], needs["destination"] = c.source < 0, c.destination < 0
	case "delete":
	default:
		return badParameters("type: %.40q is none of add, insert, delete, replace and move", c.kind)
	}
	for _, part := range []string{"path", "name", "value", "index", "source", "destination"} {
		if needs[part] {
			return badParameters("%s: %s needs it", part, c.kind)
		}
	}
	return nil
}

// readParameter reads a parameter or part: its name, and its value, resource or parts.
func (d *doc) readParameter(at span) (named, error) {
	var out named
	var list span
	var failure error
	if d.b[at.from] != '{' {
		return out, badParameters("a parameter is not an object")
	}
	err := d.children(at, func(c child) bool {
		member, shadow := strings.CutPrefix(c.name, "_")
		switch {
		case c.name == "name" && d.b[c.value.from] == '"':
			out.name = fhir.Unquote(d.at(c.value))
		case c.name == "part" && d.b[c.value.from] == '[':
			list = c.value
		case c.name == "resource" && d.b[c.value.from] == '{':
			out.typ, out.raw = "Resource", d.at(c.value)
		case strings.HasPrefix(member, "value"):
			t, ok := fhir.ValueType(member[len("value"):])
			if !ok || out.typ != "" && out.typ != t {
				failure = badParameters("%.60s: it is no value, or a second one", c.name)
				return false
			}
			if out.typ = t; shadow {
				out.shadow = d.at(c.value)
			} else {
				out.raw = d.at(c.value)
			}
			failure = checkKind(t, d.at(c.value), shadow)
		}
		return failure == nil
	})
	if err == nil {
		err = failure
	}
	if err != nil || list.to == 0 {
		return out, err
	}
	if out.typ != "" {
		return out, badParameters("%.60q has a value and parts", out.name)
	}
	err = d.children(list, func(c child) bool {
		var part named
		part, failure = d.readParameter(c.value)
		out.parts = append(out.parts, part)
		return failure == nil
	})
	if err == nil {
		err = failure
	}
	return out, err
}

// checkKind says whether the JSON of a value is what its type is written as.
func checkKind(t string, raw []byte, shadow bool) error {
	want, got := fhir.PrimitiveKind(t), raw[0]
	switch {
	case want == 0 || shadow:
		want = '{'
	case got == '-' || got >= '0' && got <= '9':
		got = '0'
	case got == 'f':
		got = 't'
	}
	if got != want {
		return badParameters("a %s is not written so in JSON", t)
	}
	return nil
}
