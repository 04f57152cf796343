package main

import (
	"encoding"
	"encoding/csv"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/syncerr"
)

// rows gives a listing the flag --csv. It prints what --json prints: a line a value, a column a field, those of what is inside joined by dots.
func (a *app) rows(c *cobra.Command) {
	c.Flags().BoolVar(&a.csv, "csv", false, "print the values as comma-separated lines for a spreadsheet (RFC 4180)")
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if a.csv && c.Flags().Changed("json") {
			return syncerr.New(syncerr.Usage, c.CommandPath(), "--json and --csv are both given").WithHint("Choose one")
		}
		a.json = a.json || a.csv
		return run(c, args)
	}
}

// printCSV writes a list of values.
func (a *app) printCSV(v any) error {
	list := reflect.ValueOf(listOf(v))
	if list.Kind() != reflect.Slice {
		return syncerr.New(syncerr.Usage, "print", "this is no list").WithHint("Use --json")
	}
	w := csv.NewWriter(a.out)
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

// listOf finds the list in a value that has more beside it.
func listOf(v any) any {
	switch v := v.(type) {
	case control.Sticks:
		return v.Peers
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
