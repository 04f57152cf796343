package reconcile

import (
	"bytes"
	"cmp"
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
	switch typ {
	case "Identifier":
		if value := get("value"); value != "" {
			k.first = get("system") + "|" + value
			k.added = k.first
		}
		k.second = "system " + get("system") + " " + get("use")
	case "Coding":
		k.first = get("system") + "|" + get("code")
		k.added = k.first
	case "ContactPoint":
		k.first = get("system") + " " + get("use")
		if value := get("value"); value != "" {
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
		var id string
		if k.first, id = named(k.raw); id != "" {
			k.first = "id " + id
		}
		k.added = k.first
		return
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

// named returns what names an element among others of its kind, where it has such a thing, and its id.
func named(raw []byte) (key, id string) {
	names := [...]string{"uuid", "linkId", "fullUrl", "url", "sequence", "identifier", "code", "path"}
	best := len(names)
	each(raw, func(quoted, v []byte) {
		name := quoted[1 : len(quoted)-1]
		if string(name) == "id" && v[0] == '"' {
			id = fhir.Unquote(v)
			return
		}
		for i := range best {
			if string(name) == names[i] {
				if k := nameIn(v); k != "" {
					key, best = names[i]+" "+k, i
				}
				return
			}
		}
	})
	return key, id
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
	first := make(map[string]int, other-from) // free ones of equal values
	next := make([]int, other-from)           // of the same value, -1 at the end
	for j := other - 1; j >= from; j-- {
		next[j-from] = lookup(first, bs[j])
		first[bs[j].whole()] = j
	}
	for i := from; i < end; i++ {
		if to[i] = lookup(first, as[i]); to[i] >= 0 {
			taken[to[i]], first[as[i].whole()] = true, next[to[i]-from]
		}
	}
	return to, taken
}

// lookup returns what a map has for a value, -1 for nothing.
func lookup(m map[string]int, e elem) int {
	var n int
	var ok bool
	if e.ext == nil {
		n, ok = m[string(e.raw)] // makes no copy
	} else {
		n, ok = m[e.whole()]
	}
	if !ok {
		return -1
	}
	return n
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

// telling knows which values of a list have a feature, of those that are not too common to tell anything.
type telling struct {
	first map[uint64]int32 // of the occurrences of a feature
	at    []occurrence
}

type occurrence struct {
	value int32
	next  int32 // of the same feature, -1 at the end
	count int32 // at the first one: how many there are
}

func (t *telling) add(feature uint64, value int) {
	first, there := t.first[feature]
	if !there {
		t.first[feature] = int32(len(t.at))
		t.at = append(t.at, occurrence{value: int32(value), next: -1, count: 1})
		return
	}
	if t.at[first].count++; t.at[first].count > commonest {
		return
	}
	t.at = append(t.at, occurrence{value: int32(value), next: t.at[first].next})
	t.at[first].next = int32(len(t.at) - 1)
}

// with returns the first value that has a feature, -1 where there is none, and whether the feature tells anything.
func (t *telling) with(feature uint64) (int32, bool) {
	i, there := t.first[feature]
	if !there {
		return -1, true
	}
	if t.at[i].count > commonest {
		return -1, false
	}
	return i, true
}

// bySimilarity matches what is left by the leaves that values share: at least half of those that are not common. It looks only at values
// that share such a leaf, so that its work grows with the size of the lists and not with the square of it.
func bySimilarity(as, bs []keyed, to []int, taken []bool) {
	t := telling{first: map[uint64]int32{}}
	var all []uint64 // the features of all values, one value's behind the other's
	ends := make([]int, len(as))
	for i, a := range as {
		if to[a.at] < 0 && a.kind() == '{' {
			from := len(all)
			all = leaves(all, a.raw)
			for _, f := range all[from:] {
				t.add(f, i)
			}
		}
		ends[i] = len(all)
	}
	if len(all) == 0 {
		return
	}
	sizes := make([]int, len(as)) // how many features of a value tell something
	from := 0
	for i, end := range ends {
		for _, f := range all[from:end] {
			if _, tells := t.with(f); tells {
				sizes[i]++
			}
		}
		from = end
	}
	type pair struct {
		i, j  int
		score float64
	}
	var pairs []pair
	shared := make([]int, len(as))
	var sharing []int32
	for j, b := range bs {
		if taken[b.at] || b.kind() != '{' {
			continue
		}
		size := 0
		all = leaves(all[:0], b.raw)
		for _, f := range all {
			at, tells := t.with(f)
			if tells {
				size++
			}
			for ; at >= 0; at = t.at[at].next {
				i := t.at[at].value
				if shared[i] == 0 {
					sharing = append(sharing, i)
				}
				shared[i]++
			}
		}
		for _, i := range sharing {
			score := float64(2*shared[i]) / float64(sizes[i]+size)
			if named := as[i].first != "" && b.first != "" && as[i].first != b.first; score >= 0.5 && !named {
				pairs = append(pairs, pair{int(i), j, score})
			}
			shared[i] = 0
		}
		sharing = sharing[:0]
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

// leaves appends hashes of the primitive values in an object, each with the names that lead to it, without repetition.
func leaves(out []uint64, raw []byte) []uint64 {
	const offset = 14695981039346656037 // FNV-1a
	from := len(out)
	w := leafWalk{out: out, most: from + features}
	w.value(raw, 0, offset)
	slices.Sort(w.out[from:])
	return w.out[:from+len(slices.Compact(w.out[from:]))]
}

type leafWalk struct {
	out  []uint64
	most int
}

// value takes the value that begins at i, and returns the offset behind it; a negative one when there are as many leaves as may be.
func (w *leafWalk) value(b []byte, i int, path uint64) int {
	switch b[i] {
	case '{', '[':
		named := b[i] == '{'
		for i++; b[i] != '}' && b[i] != ']'; {
			if b[i] == ',' {
				i++
			}
			hash := path
			if named {
				end := fhir.ValueEnd(b, i)
				hash = fnv1a(path, b[i:end])
				i = end + 1 // the colon
			}
			if i = w.value(b, i, hash); i < 0 {
				return i
			}
		}
		return i + 1
	}
	if len(w.out) == w.most {
		return -1
	}
	end := fhir.ValueEnd(b, i)
	w.out = append(w.out, fnv1a(path, b[i:end]))
	return end
}

func fnv1a(hash uint64, b []byte) uint64 {
	for _, c := range b {
		hash = (hash ^ uint64(c)) * 1099511628211
	}
	return hash
}
