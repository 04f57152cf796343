// Package mapping owns how a record of a plain JSON list becomes FHIR resources: by a template from the configuration. It is pure.
//
// A template is a resource, or a list of them, whose texts name values of the record in braces: "{address.city}". A text that is one pair
// of braces takes the value as it is; others take it as text. What the record does not have leaves the member out, and an object or list
// that becomes empty so. Behind the path may stand, after a |: number or text, which turn the value into that; id, which makes an id of FHIR
// of any text; and open=active, which replaces a value by another (*=unknown replaces any other). {{ is a brace.
package mapping

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// Mapping is a template that was read and checked.
type Mapping struct{ templates []map[string]any }

// Resource is what a record became.
type Resource struct {
	Key     fhir.Key
	Content []byte
}

// Parse reads a template. It returns a Usage error that says what is wrong with it.
func Parse(text string) (Mapping, error) {
	wrong := func(format string, args ...any) (Mapping, error) {
		return Mapping{}, syncerr.New(syncerr.Usage, "read template", format, args...).
			WithHint(`Write a resource as JSON, with values of the record in braces: {"resourceType": "Location", "id": "{code|id}", "name": "{name}"}`)
	}
	var raw any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&raw); err != nil {
		return wrong("it is no JSON: %w", err)
	}
	if d.More() {
		return wrong("something follows the JSON")
	}
	all, many := raw.([]any)
	if !many {
		all = []any{raw}
	}
	var m Mapping
	for _, one := range all {
		t, ok := one.(map[string]any)
		if !ok {
			return wrong("a template is an object, or a list of objects")
		}
		if name, _ := t["resourceType"].(string); !fhir.IsType(name) {
			return wrong("resourceType is not a type of FHIR R4")
		}
		if id, ok := t["id"].(string); !ok || !strings.Contains(strings.ReplaceAll(id, "{{", ""), "{") {
			return wrong("id names no value of the record: all of them would be one resource")
		}
		if _, err := expand(t, gjson.Result{}); err != nil {
			return wrong("%w", errors.Unwrap(err))
		}
		m.templates = append(m.templates, t)
	}
	if len(m.templates) == 0 {
		return wrong("it is empty")
	}
	return m, nil
}

// Types returns the types of what records become, sorted.
func (m Mapping) Types() []string {
	types := map[string]bool{}
	for _, t := range m.templates {
		types[t["resourceType"].(string)] = true
	}
	return slices.Sorted(maps.Keys(types))
}

// Apply makes resources of a record. It returns an Invalid error where the record is no object, or has no value for an id.
func (m Mapping) Apply(record gjson.Result) ([]Resource, error) {
	if !record.IsObject() {
		return nil, syncerr.New(syncerr.Invalid, "map record", "it is no JSON object")
	}
	out := make([]Resource, 0, len(m.templates))
	for _, t := range m.templates {
		v, err := expand(t, record)
		if err != nil {
			return nil, err
		}
		made, _ := v.(map[string]any)
		id := textOf(made["id"])
		if id == "" {
			return nil, syncerr.New(syncerr.Invalid, "map record", "it has no value for the id of its %s", t["resourceType"])
		}
		id = ID(id)
		made["id"] = id
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(made); err != nil {
			return nil, syncerr.New(syncerr.Invalid, "map record", "a value of it is no JSON")
		}
		out = append(out, Resource{Key: fhir.Key{Type: t["resourceType"].(string), ID: id}, Content: bytes.TrimSpace(b.Bytes())})
	}
	return out, nil
}

// ID returns a text as an id of FHIR: itself where it is one, else 32 hexadecimal digits of its SHA-256.
func ID(text string) string {
	if fhir.ValidID(text) {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// expand fills in a template; nil leaves its place out.
func expand(t any, record gjson.Result) (any, error) {
	switch t := t.(type) {
	case map[string]any:
		out := make(map[string]any, len(t))
		for name, v := range t {
			got, err := expand(v, record)
			if err != nil {
				return nil, err
			}
			if got != nil {
				out[name] = got
			}
		}
		if len(out) == 0 {
			return nil, nil
		}
		return out, nil
	case []any:
		var out []any
		for _, v := range t {
			got, err := expand(v, record)
			if err != nil {
				return nil, err
			}
			if got != nil {
				out = append(out, got)
			}
		}
		if len(out) == 0 {
			return nil, nil
		}
		return out, nil
	case string:
		return fill(t, record)
	}
	return t, nil
}

// fill fills in a text.
func fill(text string, record gjson.Result) (any, error) {
	var out strings.Builder
	for rest := text; rest != ""; {
		at := strings.IndexByte(rest, '{')
		if at < 0 {
			out.WriteString(rest)
			break
		}
		out.WriteString(rest[:at])
		rest = rest[at+1:]
		if strings.HasPrefix(rest, "{") {
			out.WriteByte('{')
			rest = rest[1:]
			continue
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || name == "" {
			return nil, syncerr.New(syncerr.Usage, "read template", "a brace in %.60q is not closed, or is empty", text)
		}
		v, err := value(name, record)
		if err != nil {
			return nil, err
		}
		if len(name)+2 == len(text) {
			return v, nil
		}
		if v == nil {
			return nil, checkRest(after)
		}
		out.WriteString(textOf(v))
		rest = after
	}
	return out.String(), nil
}

// checkRest checks braces behind one that has no value.
func checkRest(text string) error {
	for _, part := range strings.Split(strings.ReplaceAll(text, "{{", ""), "{")[1:] {
		name, _, closed := strings.Cut(part, "}")
		if !closed || name == "" {
			return syncerr.New(syncerr.Usage, "read template", "a brace in %.60q is not closed, or is empty", text)
		}
		if _, err := value(name, gjson.Result{}); err != nil {
			return err
		}
	}
	return nil
}

// value returns what a pair of braces names, nil where the record does not have it.
func value(name string, record gjson.Result) (any, error) {
	path, options, _ := strings.Cut(name, "|")
	var v any
	if got := record.Get(path); got.Exists() && got.Type != gjson.Null && got.Raw != `""` {
		v = json.RawMessage(got.Raw)
	}
	replaced := false
	for option := range strings.SplitSeq(options, "|") {
		from, to, replaces := strings.Cut(option, "=")
		switch {
		case option == "":
		case replaces:
			if v != nil && !replaced && (from == "*" || from == textOf(v)) {
				v, replaced = to, true
			}
		case option == "text":
			if v != nil {
				v = textOf(v)
			}
		case option == "id":
			if v != nil {
				v = ID(textOf(v))
			}
		case option == "number":
			if v != nil {
				text := strings.TrimSpace(textOf(v))
				if _, err := strconv.ParseFloat(text, 64); err != nil || !json.Valid([]byte(text)) {
					return nil, syncerr.New(syncerr.Invalid, "map record", "the value of %.60s is no number", path)
				}
				v = json.RawMessage(text)
			}
		default:
			return nil, syncerr.New(syncerr.Usage, "read template", "%.40q behind %.60s is not number, text, id or a=b", option, path)
		}
	}
	return v, nil
}

// textOf returns a value as text, empty for none.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.RawMessage:
		return gjson.ParseBytes(v).String()
	}
	return ""
}
