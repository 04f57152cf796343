package support

import (
	"encoding"
	"reflect"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/reconcile"
)

// settings returns a configuration in which only what is listed here is told: numbers, times, words of closed lists, resource types, names of nodes
// and servers, and of addresses the host. Of any other text (a filter, a template, a query, a folder) there is a token.
func (t tokens) settings(cfg config.Config) any {
	return t.setting("", reflect.ValueOf(cfg.Redacted()))
}

func (t tokens) setting(name string, v reflect.Value) any {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok && v.Kind() != reflect.String {
		text, err := m.MarshalText()
		if err != nil {
			return nil
		}
		return string(text) // a duration, a size, a network
	}
	switch v.Kind() {
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Tag.Get("secret") != "" {
				continue
			}
			out[f.Tag.Get("koanf")] = t.setting(f.Tag.Get("koanf"), v.Field(i))
		}
		return out
	case reflect.Map:
		out := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			key := it.Key().String()
			if name == "types" {
				key = t.resourceType(key)
			} else {
				key = t.name(key)
			}
			out[key] = t.setting(name, it.Value())
		}
		return out
	case reflect.Slice:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = t.setting(name, v.Index(i))
		}
		return out
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return t.setting(name, v.Elem())
	case reflect.String:
		return t.word(name, v.String())
	default:
		return v.Interface()
	}
}

// word tells a text of the configuration as far as it may be told.
func (t tokens) word(name, s string) string {
	closed := append(policies(), "sqlite", "mysql", "node", "fhir", "rest", "accept", "hold", "fetch", "history", "latest", "atom", "search", "list", "news",
		"program", "feedsync", "keep", "delete", "debug", "info", "warn", "error", "text", "json")
	words := strings.Split(s, ",")
	switch {
	case s == "":
		return ""
	case !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(closed, strings.TrimSpace(w)) }):
		return s
	case name == "type":
		return t.resourceType(s)
	case name == "name":
		return t.name(s)
	case name == "url" || name == "openmrs" || name == "feed":
		if p := Place(s); p != "" {
			return p
		}
	case name == "listen":
		if listens(s) {
			return s
		}
	}
	return t.of("setting", s)
}

// listens reports whether a text is a port, or an address of numbers with a port.
func listens(s string) bool { return strings.Trim(s, "0123456789.:[]abcdef") == "" }

func policies() []string {
	var out []string
	for _, p := range reconcile.PolicyNames() {
		out = append(out, string(p))
	}
	return out
}
