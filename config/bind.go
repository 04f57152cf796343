package config

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// binder copies what YAML says into a Config. It is stricter than a general decoder, because a setting that is silently
// misread is found months later: unknown names, text for a number and a number for text are all problems, and all of them
// are collected.
type binder struct{ problems []error }

// bind sets v from raw; a null leaves v as it is, so that a group whose lines are all commented out means nothing.
func (b *binder) bind(path string, raw any, v reflect.Value) {
	if raw == nil {
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		b.text(path, raw, u)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		b.group(path, raw, v)
	case reflect.Map:
		b.table(path, raw, v)
	case reflect.Slice:
		b.list(path, raw, v)
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		b.bind(path, raw, p.Elem())
		v.Set(p)
	case reflect.Bool:
		if x, ok := raw.(bool); ok {
			v.SetBool(x)
		} else {
			b.add(path, "Write true or false", "is %s", describe(raw))
		}
	case reflect.Int:
		if x, ok := raw.(int); ok {
			v.SetInt(int64(x))
		} else {
			b.add(path, "Write a whole number", "is %s", describe(raw))
		}
	case reflect.String:
		if x, ok := raw.(string); ok {
			v.SetString(strings.TrimSpace(x))
		} else {
			b.add(path, "Write text; put what looks like a number, date, true or false in quotes", "is %s", describe(raw))
		}
	default:
		panic("bug: config has a field of kind " + v.Kind().String())
	}
}

func (b *binder) add(path, hint, format string, args ...any) {
	b.problems = append(b.problems, problem(path, hint, format, args...))
}

func (b *binder) text(path string, raw any, u encoding.TextUnmarshaler) {
	switch raw.(type) {
	case string, int, int64, uint64, float64:
	default:
		b.add(path, "Write one value", "is %s", describe(raw))
		return
	}
	if err := u.UnmarshalText(fmt.Append(nil, raw)); err != nil {
		what, do, _ := strings.Cut(err.Error(), "; ")
		b.add(path, capital(do), "%s", what)
	}
}

func (b *binder) group(path string, raw any, v reflect.Value) {
	names := fieldNames(v.Type())
	m, ok := raw.(map[string]any)
	if !ok {
		b.add(path, "Write name: value lines under it, of "+strings.Join(names, ", "), "is %s", describe(raw))
		return
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		i := slices.Index(names, key)
		if i < 0 {
			b.problems = append(b.problems, unknownKey(join(path, key), key, names))
			continue
		}
		b.bind(join(path, key), m[key], v.Field(i))
	}
}

func (b *binder) table(path string, raw any, v reflect.Value) {
	m, ok := raw.(map[string]any)
	if !ok {
		b.add(path, "Write name: value lines under it", "is %s", describe(raw))
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if m[key] == nil {
			b.add(join(path, key), "Give it a value or remove the line", "has no value")
			continue
		}
		item := reflect.New(v.Type().Elem()).Elem()
		b.bind(join(path, key), m[key], item)
		out.SetMapIndex(reflect.ValueOf(key), item)
	}
	v.Set(out)
}

func (b *binder) list(path string, raw any, v reflect.Value) {
	items, ok := raw.([]any)
	if !ok {
		b.add(path, "Write a list in [ ] or on lines that start with -", "is %s", describe(raw))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		at := fmt.Sprintf("%s[%d]", path, i)
		if item == nil {
			b.add(at, "Remove it", "is empty")
			continue
		}
		b.bind(at, item, out.Index(i))
	}
	v.Set(out)
}

// fieldNames returns the YAML names of a struct's fields, in order.
func fieldNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Tag.Get("koanf")
	}
	return names
}

func unknownKey(path, key string, names []string) error {
	hint := "Remove it, or use one of " + strings.Join(names, ", ")
	if s := suggest(key, names); s != "" {
		hint = fmt.Sprintf("Did you mean %s?", s)
	}
	return problem(path, hint, "there is no such setting")
}

// describe says what was found by its kind only: a value in the wrong place may be a secret.
func describe(raw any) string {
	switch raw.(type) {
	case string:
		return "text"
	case bool:
		return "true or false"
	case int, int64, uint64:
		return "a number"
	case float64:
		return "a number with a fraction"
	case []any:
		return "a list"
	case map[string]any:
		return "a group of settings"
	default:
		return "something else, such as a date"
	}
}

func join(path, key string) string {
	if len(key) > 60 || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		key = fmt.Sprintf("%.60q", key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
