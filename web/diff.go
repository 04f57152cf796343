package web

import (
	"bytes"
	"encoding/json"
	"sort"
	"strconv"
)

// difference is one place at which two documents differ; a side is empty where it has nothing there.
type difference struct{ Path, Left, Right string }

// differences compares two JSON documents value by value. Lists are compared by position, with places counted from 1; number
// literals are compared as they are written, because 1.0 and 1.00 say different things (FHIR R4 datatypes, decimal).
func differences(left, right []byte) []difference {
	l, okLeft := decode(left)
	r, okRight := decode(right)
	if !okLeft || !okRight {
		if bytes.Equal(left, right) {
			return nil
		}
		return []difference{{"everything", clip(string(left)), clip(string(right))}}
	}
	var out []difference
	compare(&out, "", l, r)
	return out
}

func decode(b []byte) (any, bool) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err == nil
}

// missing stands for a value that one side does not have; nil is JSON's null.
type missing struct{}

func compare(out *[]difference, path string, l, r any) {
	switch a := l.(type) {
	case map[string]any:
		if b, ok := r.(map[string]any); ok {
			compareObjects(out, path, a, b)
			return
		}
	case []any:
		if b, ok := r.([]any); ok {
			for i := range max(len(a), len(b)) {
				compare(out, join(path, strconv.Itoa(i+1)), at(a, i), at(b, i))
			}
			return
		}
	}
	if x, y := text(l), text(r); x != y {
		*out = append(*out, difference{Path: path, Left: x, Right: y})
	}
}

func compareObjects(out *[]difference, path string, a, b map[string]any) {
	names := make([]string, 0, len(a))
	for n := range a {
		names = append(names, n)
	}
	for n := range b {
		if _, ok := a[n]; !ok {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	for _, n := range names {
		compare(out, join(path, n), member(a, n), member(b, n))
	}
}

func member(m map[string]any, name string) any {
	if v, ok := m[name]; ok {
		return v
	}
	return missing{}
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return missing{}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + " › " + name
}

func text(v any) string {
	switch x := v.(type) {
	case missing:
		return ""
	case string:
		return clip(x)
	case json.Number:
		return x.String()
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return "?"
	}
	return clip(string(b))
}

// clip cuts a value that is too long for a table.
func clip(s string) string {
	const most = 2000
	if len(s) <= most {
		return s
	}
	return string(bytes.ToValidUTF8([]byte(s[:most]), nil)) + " ..."
}
