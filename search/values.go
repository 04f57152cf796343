package search

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/fhir"
)

// Value is one row of the index: a value that a resource has for an element that search parameters read.
type Value struct {
	Param int32  // which element of which type, a hash; see rowID
	Value string // in the form that is compared, at most 200 bytes
	Space int64  // what the value is to be understood in: a hash of its system, type or unit, or the end of a span of time
	full  string // the value where Value is only its beginning
}

// maxWords bounds the words of a string that are found by their beginning: a text is no name.
const maxWords = 12

// Values returns the index rows of a resource, sorted and without doubles. The body is that of a parsed resource (fhir.Parse);
// of one that is no JSON, it returns what can be read of it.
func Values(key fhir.Key, body []byte) []Value {
	t := tables()[key.Type]
	if t == nil || t.root.below == nil || len(body) == 0 {
		return nil
	}
	w := walk{rows: make([]Value, 0, 16)}
	w.object(gjson.ParseBytes(body), t.root)
	if len(w.rows) == 0 {
		return nil
	}
	slices.SortFunc(w.rows, Value.compare)
	return slices.CompactFunc(w.rows, func(a, b Value) bool { return a.compare(b) == 0 })
}

func (v Value) compare(o Value) int {
	return cmp.Or(cmp.Compare(v.Param, o.Param), strings.Compare(v.Value, o.Value), cmp.Compare(v.Space, o.Space))
}

// walk reads a resource once.
type walk struct {
	rows  []Value
	named bool // the name by which the resource is put in order was read
}

func (w *walk) object(o gjson.Result, n *node) {
	if !o.IsObject() {
		return
	}
	o.ForEach(func(name, v gjson.Result) bool {
		if below := n.below[name.Str]; below != nil {
			w.element(v, below)
		}
		return true
	})
}

// element reads the value of a member: one or a list.
func (w *walk) element(v gjson.Result, n *node) {
	if v.IsArray() {
		v.ForEach(func(_, one gjson.Result) bool {
			if !one.IsArray() {
				w.element(one, n)
			}
			return true
		})
		return
	}
	for i := range n.reads {
		w.read(v, &n.reads[i])
	}
	if n.below != nil {
		w.object(v, n)
	}
}

func (w *walk) add(id int32, value string, space int64) {
	w.rows = append(w.rows, Value{Param: id, Value: value, Space: space})
}

func (w *walk) read(v gjson.Result, p *path) {
	switch p.kind {
	case kindIdentifier:
		w.identifier(v, p.id, p, rowSystem)
	case kindCode:
		w.code(v, p.id)
	case kindContact:
		value, system := member(v, "value"), member(v, "system")
		w.token(p.id, contact(value), space(system))
	case kindString:
		w.text(v, p.id, maxWords)
	case kindName:
		w.name(v, p.id)
	case kindAddress:
		w.address(v, p.id)
	case kindDate:
		w.date(v, p)
	case kindReference:
		w.reference(v, p)
	case kindQuantity:
		w.quantity(v, p.id)
	case kindURI:
		if v.Type == gjson.String {
			w.token(p.id, v.Str, spaceNone)
		}
	}
}

// member returns a member that is a string, else nothing.
func member(v gjson.Result, name string) string {
	if !v.IsObject() {
		return ""
	}
	out := ""
	v.ForEach(func(k, m gjson.Result) bool {
		if k.Str != name {
			return true
		}
		if m.Type == gjson.String {
			out = m.Str
		}
		return false
	})
	return out
}

func (w *walk) token(id int32, value string, space int64) {
	if value = Key(value); value != "" {
		w.add(id, value, space)
	}
}

// identifier reads an Identifier; systems is the kind of the row that has its system.
func (w *walk) identifier(v gjson.Result, id int32, p *path, systems byte) {
	value, system := member(v, "value"), Key(member(v, "system"))
	w.token(id, value, space(system))
	if system != "" {
		w.add(variant(p, systems), system, spaceNone)
	}
}

func (w *walk) code(v gjson.Result, id int32) {
	switch {
	case v.Type == gjson.String:
		w.token(id, v.Str, spaceImplied)
	case v.Type == gjson.True:
		w.add(id, "true", spaceImplied)
	case v.Type == gjson.False:
		w.add(id, "false", spaceImplied)
	case v.IsObject():
		code, system := "", ""
		v.ForEach(func(name, m gjson.Result) bool {
			switch {
			case name.Str == "coding" && m.IsArray():
				m.ForEach(func(_, c gjson.Result) bool {
					if c.IsObject() {
						w.token(id, member(c, "code"), space(Key(member(c, "system"))))
					}
					return true
				})
			case name.Str == "code" && m.Type == gjson.String:
				code = m.Str
			case name.Str == "system" && m.Type == gjson.String:
				system = m.Str
			}
			return true
		})
		w.token(id, code, space(Key(system)))
	}
}

// text adds a row for what stands from each word of a string on; that from the first on also says which string it was.
func (w *walk) text(v gjson.Result, id int32, words int) {
	if v.Type != gjson.String {
		return
	}
	folded := Fold(v.Str)
	if folded == "" {
		return
	}
	w.folded(id, folded, exactly(v.Str))
	for words--; words > 0; words-- {
		_, rest, ok := strings.Cut(folded, " ")
		if !ok {
			return
		}
		folded = rest
		w.folded(id, folded, spaceNone)
	}
}

func (w *walk) folded(id int32, folded string, space int64) {
	v := Value{Param: id, Value: cut(folded), Space: space}
	if len(v.Value) < len(folded) {
		v.full = folded
	}
	w.rows = append(w.rows, v)
}

// name adds the family name and the given names of the first name of a person.
func (w *walk) name(v gjson.Result, id int32) {
	if w.named || !v.IsObject() {
		return
	}
	parts := []string{member(v, "family")}
	v.Get("given").ForEach(func(_, g gjson.Result) bool {
		if g.Type == gjson.String {
			parts = append(parts, g.Str)
		}
		return true
	})
	folded := Fold(strings.Join(parts, " "))
	if folded == "" {
		folded = Fold(member(v, "text"))
	}
	if folded != "" {
		w.named = true
		w.folded(id, folded, spaceImplied)
		w.rows[len(w.rows)-1].full = ""
	}
}

func (w *walk) address(v gjson.Result, id int32) {
	if !v.IsObject() {
		return
	}
	v.ForEach(func(name, m gjson.Result) bool {
		switch name.Str {
		case "text", "city", "district", "state", "postalCode", "country":
			w.text(m, id, 1)
		case "line":
			m.ForEach(func(_, line gjson.Result) bool {
				w.text(line, id, 1)
				return true
			})
		}
		return true
	})
}

func (w *walk) reference(v gjson.Result, p *path) {
	if !v.IsObject() {
		return
	}
	text, declared := "", ""
	v.ForEach(func(name, m gjson.Result) bool {
		switch {
		case name.Str == "reference" && m.Type == gjson.String:
			text = m.Str
		case name.Str == "type" && m.Type == gjson.String:
			declared = m.Str
		case name.Str == "identifier" && p.filter == "":
			w.identifier(m, variant(p, rowLogical), p, rowLogicalOf)
		}
		return true
	})
	value, names, ok := readReference(text)
	if !ok {
		return
	}
	if names == "" {
		names = declared[strings.LastIndexByte(declared, '/')+1:]
	}
	if p.filter == "" || p.filter == names {
		w.token(p.id, value, space(names))
	}
}

// variant returns the number of the rows of another kind that a path has.
func variant(p *path, k byte) int32 {
	// The kinds are ASCII, so that numbers of one path differ in bits that a hash of names leaves to chance.
	return int32((uint32(p.id)*16777619 ^ uint32(k)*2654435761) & 0x7fffffff)
}
