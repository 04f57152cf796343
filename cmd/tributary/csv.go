package main

import (
	"encoding"
	"encoding/csv"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/syncerr"
)

// printCSV prints what --json prints: of a list a line a value, a column a field, those of what is inside joined by dots; of a single value a line a field.
func (a *app) printCSV(v any) error {
	w := csv.NewWriter(a.out)
	list := reflect.ValueOf(listOf(v))
	if list.Kind() != reflect.Slice {
		b, err := json.Marshal(v)
		if err == nil {
			err = w.WriteAll(leaves([][]string{{"field", "value"}}, "", gjson.ParseBytes(b)))
		}
		return syncerr.Wrap(syncerr.Internal, "print", err)
	}
	err := w.Write(columns("", list.Type().Elem()))
	for i := range list.Len() {
		if err == nil {
			err = w.Write(cells(list.Index(i)))
		}
	}
	w.Flush()
	if err == nil {
		err = w.Error()
	}
	return syncerr.Wrap(syncerr.Internal, "print", err)
}

// leaves adds a row for each number, text and truth in a value, under the names and places that lead to it.
func leaves(rows [][]string, path string, v gjson.Result) [][]string {
	if !v.IsObject() && !v.IsArray() {
		text := v.Raw
		switch v.Type {
		case gjson.String:
			text = inert(v.Str)
		case gjson.Null:
			text = ""
		}
		return append(rows, []string{strings.TrimPrefix(path, "."), text})
	}
	place := 0
	v.ForEach(func(name, inside gjson.Result) bool {
		step := name.String()
		if v.IsArray() {
			step, place = strconv.Itoa(place), place+1
		}
		rows = leaves(rows, path+"."+step, inside)
		return true
	})
	return rows
}

// listOf finds the list in a value that has more beside it.
func listOf(v any) any {
	switch v := v.(type) {
	case control.Sticks:
		return v.Peers
	case control.Verification:
		return v.Differences
	case control.Settings:
		return v.Types
	case control.Network:
		var out []control.NetworkNode
		var walk func(n control.NetworkNode)
		walk = func(n control.NetworkNode) {
			below := n.Children
			n.Children = nil
			out = append(out, n)
			for _, k := range below {
				walk(k)
			}
		}
		walk(v.Self)
		return out
	}
	return v
}

// plain reports whether a type is one cell: numbers, texts, lists, and what has a form of its own as text.
func plain(t reflect.Type) bool {
	return t.Kind() != reflect.Struct || t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) || t.Implements(reflect.TypeFor[json.Marshaler]())
}

func columns(prefix string, t reflect.Type) []string {
	if plain(t) {
		return []string{strings.TrimSuffix(prefix, ".")}
	}
	var out []string
	for f := range fields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			out = append(out, columns(prefix, f.Type)...)
		} else {
			out = append(out, columns(prefix+name+".", f.Type)...)
		}
	}
	return out
}

// fields yields the fields of a struct that its JSON form shows.
func fields(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			f := t.Field(i)
			if f.IsExported() && f.Tag.Get("json") != "-" && !yield(f) {
				return
			}
		}
	}
}

func cells(v reflect.Value) []string {
	if plain(v.Type()) {
		return []string{cell(v)}
	}
	var out []string
	for f := range fields(v.Type()) {
		out = append(out, cells(v.FieldByIndex(f.Index))...)
	}
	return out
}

// cell is the JSON form of a value, without quotes where it is a text.
func cell(v reflect.Value) string {
	if v.IsZero() && v.Kind() != reflect.Bool && !v.CanInt() && !v.CanUint() && !v.CanFloat() {
		return ""
	}
	b, err := json.Marshal(v.Interface())
	if err != nil {
		return ""
	}
	var text string
	if json.Unmarshal(b, &text) == nil {
		return inert(text)
	}
	return string(b)
}

// inert keeps a spreadsheet from taking a text for a formula (OWASP, CSV injection).
func inert(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
