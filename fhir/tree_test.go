package fhir_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pgregory.net/rapid"
)

// tree is a JSON value that can be written in many ways: a literal, a string, a list or members.
type tree struct {
	literal string
	text    *string
	list    []tree
	members []member
	object  bool
}

type member struct {
	name  string
	value tree
}

func str(s string) tree { return tree{text: &s} }

func object(ms ...member) tree { return tree{members: ms, object: true} }

func anyTree(depth int) *rapid.Generator[tree] {
	return rapid.Custom(func(t *rapid.T) tree {
		top := 3
		if depth == 0 {
			top = 1
		}
		switch rapid.IntRange(0, top).Draw(t, "kind") {
		case 0:
			return tree{literal: rapid.SampledFrom([]string{"0", "-0", "1", "1.0", "1.00", "10e-1", "1E0", "12345678901234567890.10", "true", "false", "null"}).Draw(t, "literal")}
		case 1:
			return str(anyText().Draw(t, "text"))
		case 2:
			return tree{list: rapid.SliceOfN(anyTree(depth-1), 0, 3).Draw(t, "list")}
		default:
			return object(anyMembers(depth-1).Draw(t, "members")...)
		}
	})
}

func anyText() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "a", "é", "😀", `"`, `\`, "/", "\n", "\u2028", "<&>", "},{"}))
}

func anyMembers(depth int) *rapid.Generator[[]member] {
	return rapid.Custom(func(t *rapid.T) []member {
		name := rapid.OneOf(rapid.SampledFrom([]string{"versionId", "lastUpdated", "tag", "meta", "x", "é", "😀", "\ufb33", "a\"b", "", "reference"}), rapid.String())
		names := rapid.SliceOfNDistinct(name, 0, 4, rapid.ID[string]).Draw(t, "names")
		ms := make([]member, len(names))
		for i, n := range names {
			ms[i] = member{n, anyTree(depth).Draw(t, n)}
		}
		return ms
	})
}

// anyResource makes a resource with an id, perhaps a meta without versionId and lastUpdated, and anything else.
func anyResource() *rapid.Generator[tree] {
	return rapid.Custom(func(t *rapid.T) tree {
		ms := []member{{"resourceType", str("Patient")}, {"id", str("1")}}
		if rapid.Bool().Draw(t, "has meta") {
			ms = append(ms, member{"meta", without(object(anyMembers(2).Draw(t, "meta")...), "versionId", "lastUpdated")})
		}
		return object(append(ms, without(object(anyMembers(3).Draw(t, "others")...), "meta").members...)...)
	})
}

func without(o tree, names ...string) tree {
	var out []member
	for _, m := range o.members {
		drop := false
		for _, n := range names {
			drop = drop || m.name == n
		}
		if !drop {
			out = append(out, m)
		}
	}
	return object(out...)
}

// withBookkeeping returns the resource as a server would have sent it: with the two members of meta that are its own.
func withBookkeeping(t *rapid.T, o tree) tree {
	var extra []member
	for _, n := range []string{"versionId", "lastUpdated"} {
		if rapid.Bool().Draw(t, "has "+n) {
			extra = append(extra, member{n, anyTree(1).Draw(t, n)})
		}
	}
	out, found := object(), false
	for _, m := range o.members {
		if m.name == "meta" {
			found = true
			m.value = object(append(append([]member(nil), m.value.members...), extra...)...)
		}
		out.members = append(out.members, m)
	}
	if !found && (len(extra) > 0 || rapid.Bool().Draw(t, "empty meta")) {
		out.members = append(out.members, member{"meta", object(extra...)})
	}
	return out
}

// plain writes the tree in one way only: compact, members by name, strings as short as they can be.
func plain(v tree) string {
	return writer{blank: func() string { return "" }, quote: quote, order: byName}.write(v)
}

func byName(ms []member) []member {
	return slices.SortedFunc(slices.Values(ms), func(a, b member) int { return strings.Compare(a.name, b.name) })
}

// shuffled writes the same tree with other white space, member order and escapes.
func shuffled(t *rapid.T, v tree) string {
	return writer{
		blank: func() string { return rapid.SampledFrom([]string{"", " ", "\n\t", "\r"}).Draw(t, "blank") },
		quote: func(s string) string {
			if !rapid.Bool().Draw(t, "escaped") {
				return quote(s)
			}
			var b strings.Builder
			for _, r := range s {
				if r > 0xffff {
					r -= 0x10000
					fmt.Fprintf(&b, `\u%04x\u%04X`, 0xd800+r>>10, 0xdc00+r&0x3ff)
				} else {
					fmt.Fprintf(&b, `\u%04x`, r)
				}
			}
			return `"` + b.String() + `"`
		},
		order: func(ms []member) []member {
			if len(ms) < 2 {
				return ms
			}
			return rapid.Permutation(ms).Draw(t, "order")
		},
	}.write(v)
}

type writer struct {
	blank func() string
	quote func(string) string
	order func([]member) []member
}

func (w writer) write(v tree) string {
	var parts []string
	open, shut := "[", "]"
	switch {
	case v.literal != "":
		return w.blank() + v.literal + w.blank()
	case v.text != nil:
		return w.blank() + w.quote(*v.text) + w.blank()
	case v.object:
		open, shut = "{", "}"
		for _, m := range w.order(v.members) {
			parts = append(parts, w.blank()+w.quote(m.name)+w.blank()+":"+w.write(m.value))
		}
	default:
		for _, e := range v.list {
			parts = append(parts, w.write(e))
		}
	}
	return w.blank() + open + w.blank() + strings.Join(parts, ",") + shut + w.blank()
}

func quote(s string) string {
	b := []byte{'"'}
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = append(b, string(r)...)
		}
	}
	return string(append(b, '"'))
}

// change returns the tree with one thing in it different, at a drawn place.
func change(t *rapid.T, v tree) tree {
	switch {
	case v.literal != "":
		if strings.Contains(v.literal, ".") && !strings.Contains(v.literal, "e") {
			return tree{literal: v.literal + "0"}
		}
		return str(v.literal)
	case v.text != nil:
		return str(*v.text + "x")
	case v.object:
		i := rapid.IntRange(0, len(v.members)).Draw(t, "member")
		out := append([]member(nil), v.members...)
		if i == len(out) {
			return object(append(out, member{"added " + strconv.Itoa(i), str("")})...)
		}
		if rapid.Bool().Draw(t, "removed") {
			return object(append(out[:i], out[i+1:]...)...)
		}
		out[i].value = change(t, out[i].value)
		return object(out...)
	}
	if len(v.list) > 1 && plain(v.list[0]) != plain(v.list[1]) && rapid.Bool().Draw(t, "swapped") {
		return tree{list: append([]tree{v.list[1], v.list[0]}, v.list[2:]...)}
	}
	return tree{list: append(append([]tree(nil), v.list...), tree{literal: "null"})}
}
