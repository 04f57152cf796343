package reconcile

import (
	"bytes"
	"cmp"
	"hash/fnv"
	"slices"

	"github.com/tributary-sync/tributary/fhir"
)

// keyed is a value of a list with what identifies it. Empty keys identify nothing.
type keyed struct {
	elem
	at     int    // in its list
	first  string // what it is told by
	second string // what it is told by where the first does not help
	added  string // what tells that two sides added the same
}

// keysOf finds what identifies the values of a list (DESIGN.md 4.2): identifiers by system and value, codings by system and code, names and
// addresses by use, telecom by use, then value, extensions by url, contained resources and elements with an id by that; other elements by
// what names one of their kind, such as the linkId of a questionnaire's item.
func keysOf(typ string, values []elem, at []int) []keyed {
	out := make([]keyed, len(at))
	for n, i := range at {
		k := keyed{elem: values[i], at: i}
		switch {
		case k.kind() != '{':
			if k.raw != nil {
				k.first, k.added = string(k.raw), string(k.raw)
			}
		case fhir.IsType(typ) || typ == "Resource":
			k.first = "id " + text(k.raw, "resourceType") + "/" + text(k.raw, "id")
			k.added = k.first
		default:
			k.identify(typ)
		}
		out[n] = k
	}
	return out
}

func (k *keyed) identify(typ string) {
	get := func(name string) string { return text(k.raw, name) }
	value := get("value")
	switch typ {
	case "Identifier":
		if value != "" {
			k.first = get("system") + "|" + value
			k.added = k.first
		}
		k.second = "system " + get("system") + " " + get("use")
	case "Coding":
		k.first = get("system") + "|" + get("code")
		k.added = k.first
	case "ContactPoint":
		k.first = get("system") + " " + get("use")
		if value != "" {
			k.second = get("system") + "|" + value
			k.added = k.second
		}
	case "HumanName":
		k.first, k.second = "use "+get("use"), get("text")+"|"+get("family")
		k.added = k.first
	case "Address":
		k.first, k.second = "use "+get("use")+" "+get("type"), get("text")+"|"+get("city")+string(field(k.raw, "line"))
		k.added = k.first
	case "Extension":
		k.first = get("url")
		k.added = k.first
	case "CodeableConcept":
		k.first = conceptKey(k.raw)
		k.added = k.first
	case "Reference":
		k.first = string(cmp.Or(get("reference"), string(field(k.raw, "identifier"))))
		k.added = k.first
	default:
		k.first = named(k.raw)
		k.added = k.first
	}
	if id := get("id"); id != "" {
		k.first, k.added = "id "+id, "id "+id
	}
}

// conceptKey returns what a concept is told by: its first coding, else its text.
func conceptKey(raw []byte) string {
	key := ""
	each(field(raw, "coding"), func(_, c []byte) {
		if key == "" && text(c, "code") != "" {
			key = text(c, "system") + "|" + text(c, "code")
		}
	})
	return cmp.Or(key, text(raw, "text"))
}

// named returns what names an element among others of its kind, where it has such a thing.
func named(raw []byte) string {
	names := [...]string{"uuid", "linkId", "fullUrl", "url", "sequence", "identifier", "code", "path"}
	key, best := "", len(names)
	each(raw, func(quoted, v []byte) {
		i := slices.Index(names[:best], string(quoted[1:len(quoted)-1]))
		if i < 0 {
			return
		}
		if k := nameIn(v); k != "" {
			key, best = names[i]+" "+k, i
		}
	})
	return key
}

func nameIn(v []byte) string {
	switch {
	case v[0] == '[':
		return ""
	case v[0] != '{':
		return string(v)
	case text(v, "value") != "":
		return text(v, "system") + "|" + text(v, "value")
	}
	return conceptKey(v)
}

// match finds for each value of the ancestor that of a copy, or -1: equal ones in their order, then those that have a key alone, then
// similar ones.
func match(typ string, as, bs []elem) []int {
	to, taken := inTurn(as, bs)
	a, b := left(to, func(j int) bool { return j < 0 }), left(taken, func(is bool) bool { return !is })
	if len(a) == 0 || len(b) == 0 {
		return to
	}
	ak, bk := keysOf(typ, as, a), keysOf(typ, bs, b)
	byKey(ak, bk, to, taken, func(k keyed) string { return k.first })
	byKey(ak, bk, to, taken, func(k keyed) string { return k.second })
	bySimilarity(ak, bk, to, taken)
	return to
}

// matchAdded finds what two sides both added.
func matchAdded(typ string, ls, rs []elem) []int {
	to, taken := inTurn(ls, rs)
	l, r := left(to, func(j int) bool { return j < 0 }), left(taken, func(is bool) bool { return !is })
	byKey(keysOf(typ, ls, l), keysOf(typ, rs, r), to, taken, func(k keyed) string { return k.added })
	return to
}

func left[T any](of []T, is func(T) bool) []int {
	var at []int
	for i, x := range of {
		if is(x) {
			at = append(at, i)
		}
	}
	return at
}

// inTurn matches equal values: those at the same place from either end, then each with the next that is free.
func inTurn(as, bs []elem) (to []int, taken []bool) {
	to, taken = make([]int, len(as)), make([]bool, len(bs))
	from := 0
	for from < min(len(as), len(bs)) && identical(as[from], bs[from]) {
		to[from], taken[from] = from, true
		from++
	}
	end, other := len(as), len(bs)
	for end > from && other > from && identical(as[end-1], bs[other-1]) {
		end, other = end-1, other-1
		to[end], taken[other] = other, true
	}
	at := make(map[string][]int, other-from)
	for j := from; j < other; j++ {
		k := bs[j].whole()
		at[k] = append(at[k], j)
	}
	for i := from; i < end; i++ {
		to[i] = -1
		if free := at[as[i].whole()]; len(free) > 0 {
			to[i], taken[free[0]], at[as[i].whole()] = free[0], true, free[1:]
		}
	}
	return to, taken
}

func identical(a, b elem) bool { return bytes.Equal(a.raw, b.raw) && bytes.Equal(a.ext, b.ext) }

// whole returns all of a value as a key.
func (e elem) whole() string {
	if e.ext == nil {
		return string(e.raw)
	}
	return string(e.raw) + "\x00" + string(e.ext)
}

func byKey(as, bs []keyed, to []int, taken []bool, key func(keyed) string) {
	const several = -2
	at := map[string]int{}
	for _, b := range bs {
		if k := key(b); !taken[b.at] && k != "" {
			if _, ok := at[k]; ok {
				at[k] = several
			} else {
				at[k] = b.at
			}
		}
	}
	mine := map[string]int{}
	for _, a := range as {
		if k := key(a); to[a.at] < 0 && k != "" {
			mine[k]++
		}
	}
	for _, a := range as {
		k := key(a)
		if j, ok := at[k]; ok && to[a.at] < 0 && k != "" && j != several && mine[k] == 1 {
			to[a.at], taken[j] = j, true
		}
	}
}

const (
	commonest = 16  // a feature that more values of a list have tells nothing
	features  = 200 // of one value that are looked at
)

// bySimilarity matches what is left by the leaves that values share: at least half of those that are not common. It looks only at values
// that share such a leaf, so that its work grows with the size of the lists and not with the square of it.
func bySimilarity(as, bs []keyed, to []int, taken []bool) {
	at := map[uint64][]int{}
	all := map[int][]uint64{}
	for i, a := range as {
		if to[a.at] >= 0 || a.kind() != '{' {
			continue
		}
		all[i] = leaves(a.raw)
		for _, f := range all[i] {
			if len(at[f]) <= commonest {
				at[f] = append(at[f], i)
			}
		}
	}
	if len(all) == 0 {
		return
	}
	telling := func(leaves []uint64) (n int) {
		for _, f := range leaves {
			if len(at[f]) <= commonest {
				n++
			}
		}
		return n
	}
	sizes := make(map[int]int, len(all))
	for i, leaves := range all {
		sizes[i] = telling(leaves)
	}
	type pair struct {
		i, j  int
		score float64
	}
	var pairs []pair
	for j, b := range bs {
		if taken[b.at] || b.kind() != '{' {
			continue
		}
		leaves := leaves(b.raw)
		size := telling(leaves)
		shared := map[int]int{}
		for _, f := range leaves {
			if len(at[f]) <= commonest {
				for _, i := range at[f] {
					shared[i]++
				}
			}
		}
		for i, n := range shared {
			score := float64(2*n) / float64(sizes[i]+size)
			if named := as[i].first != "" && b.first != "" && as[i].first != b.first; score >= 0.5 && !named {
				pairs = append(pairs, pair{i, j, score})
			}
		}
	}
	slices.SortFunc(pairs, func(x, y pair) int {
		return cmp.Or(cmp.Compare(y.score, x.score), cmp.Compare(abs(as[x.i].at-bs[x.j].at), abs(as[y.i].at-bs[y.j].at)), cmp.Compare(x.i, y.i), cmp.Compare(x.j, y.j))
	})
	for _, p := range pairs {
		if i, j := as[p.i].at, bs[p.j].at; to[i] < 0 && !taken[j] {
			to[i], taken[j] = j, true
		}
	}
}

func abs(n int) int { return max(n, -n) }

// leaves returns hashes of the primitive values in an object, each with the names that lead to it.
func leaves(raw []byte) []uint64 {
	var out []uint64
	var walk func(path, raw []byte)
	walk = func(path, raw []byte) {
		if len(out) == features {
			return
		}
		if raw[0] == '{' || raw[0] == '[' {
			each(raw, func(name, value []byte) { walk(slices.Concat(path, name), value) })
			return
		}
		h := fnv.New64a()
		_, _ = h.Write(path)
		_, _ = h.Write(raw)
		out = append(out, h.Sum64())
	}
	walk(nil, raw)
	slices.Sort(out)
	return slices.Compact(out)
}
