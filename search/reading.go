package search

import (
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
)

// readString reads a string: what begins with it, at any word, is found (FHIR R4 search.html#string).
func (p *parameter) readString(name, modifier, text string) ([]Cond, error) {
	folded := Fold(text)
	if folded == "" {
		return nil, invalid("%.60q: a value has no letter and no digit", name)
	}
	switch modifier {
	case "exact":
		only := exactly(text)
		return []Cond{everySpace(OpEqual, cut(folded), p.ids()...).in(only, only)}, nil
	case "contains":
		if len(folded) > maxFolded/2 {
			return nil, invalid("%.60q: a value is longer than %d letters. shorten it", name, maxFolded/2)
		}
		return []Cond{everySpace(OpContains, folded, p.ids()...)}, nil
	}
	return []Cond{everySpace(OpPrefix, folded, p.ids()...)}, nil
}

// readToken reads value, system|value, system| and |value (FHIR R4 search.html#token).
func (p *parameter) readToken(name, text string) ([]Cond, error) {
	part := split(text, '|')
	for i := range part {
		part[i] = Key(unescape(part[i]))
	}
	system, value, hasSystem := "", part[0], len(part) > 1
	if hasSystem {
		system, value = part[0], part[1]
	}
	switch {
	case len(part) > 2:
		return nil, invalid(`%.60q: a value has more than one |. write \| for one that belongs to the value`, name)
	case system == "" && value == "":
		return nil, invalid("%.60q: a value has neither system nor value. use value, system|value, system| or |value", name)
	}
	c := everySpace(OpEqual, value, p.ids()...)
	switch k := p.paths[0].kind; {
	case k == kindContact:
		return p.readContact(c, system, hasSystem), nil
	case value == "" && k == kindIdentifier:
		return []Cond{everySpace(OpEqual, system, p.variants(rowSystem)...)}, nil
	case value == "":
		c.Op = OpAny
		return []Cond{c.in(space(system), space(system))}, nil
	case hasSystem && system == "" && k == kindIdentifier:
		return []Cond{c.in(spaceNone, spaceNone)}, nil
	case hasSystem && system == "":
		return []Cond{c.in(spaceNone, spaceImplied)}, nil
	case hasSystem && k == kindIdentifier:
		return []Cond{c.in(space(system), space(system))}, nil
	case hasSystem:
		// A code by itself has the system that its element says it has; nothing here knows which.
		return []Cond{c.in(space(system), space(system)), c.in(spaceImplied, spaceImplied)}, nil
	}
	return []Cond{c}, nil
}

// readContact finds contacts as they are compared; the use of one, which R4 lets stand before the |, is not looked at.
func (p *parameter) readContact(c Cond, system string, hasSystem bool) []Cond {
	if c.From = Key(contact(c.From)); c.From == "" {
		c.Op = OpAny
	}
	if f := p.filtered(); f != "" {
		return []Cond{c.in(space(f), space(f))}
	}
	if hasSystem && system != "" {
		return []Cond{c.in(space(system), space(system))}
	}
	return []Cond{c}
}

// readLogical reads the identifier of a reference (FHIR R4 search.html#reference, :identifier).
func (p *parameter) readLogical(name, text string) ([]Cond, error) {
	as := parameter{name: p.name, kind: "token", paths: []path{{kind: kindIdentifier}}}
	conds, err := as.readToken(name, text)
	for i := range conds {
		k := byte(rowLogical)
		if conds[i].Params[0] == variant(&as.paths[0], rowSystem) {
			k = rowLogicalOf
		}
		conds[i].Params = p.variants(k)
	}
	return conds, err
}

// readReference reads id, Type/id and a URL (FHIR R4 search.html#reference). A URL that ends with Type/id finds references that
// are written like it, and relative ones, too: a record keeps its id on every node, under each node's own base URL. only is the type
// that the modifier asks for.
func (p *parameter) readReference(name, only, text string) ([]Cond, error) {
	text = strings.TrimRight(text, " ")
	if f := p.filtered(); f != "" {
		only = f
	}
	equal := func(value string) Cond { return everySpace(OpEqual, Key(value), p.ids()...) }
	if fhir.ValidID(text) {
		if only != "" {
			return []Cond{equal(text).in(space(only), space(only))}, nil
		}
		return []Cond{equal(text)}, nil
	}
	value, names, ok := readReference(text)
	switch {
	case !ok:
		return nil, invalid("%.60q: a contained resource cannot be searched for. use an id", name)
	case only != "" && names != "" && names != only:
		return nil, invalid("%.60q: a value names a resource of another type than %s. use id, %s/id or a URL that ends so", name, only, only)
	case names == "" && only != "":
		return []Cond{equal(value).in(spaceNone, spaceNone), equal(value).in(space(only), space(only))}, nil
	case names == "":
		return []Cond{equal(value)}, nil
	}
	in := space(names)
	conds := []Cond{equal(value).in(in, in)}
	if i := strings.LastIndex(value, "/"+names+"/"); i >= 0 && !strings.Contains(value, "?") {
		conds = append(conds, equal(value[i+len(names)+2:]).in(in, in))
	}
	return conds, nil
}

// readDate compares spans of time with that of the value (FHIR R4 search.html#date, #prefix).
func (p *parameter) readDate(name, text string) ([]Cond, error) {
	prefix, from, to, err := readPrefixed(name, text)
	if err != nil {
		return nil, err
	}
	from, to = max(from, minInstant), min(max(to, from), maxInstant)
	begins := func(low, high int64) Cond { // from low, before high
		c := everySpace(OpRange, instantKey(low), p.ids()...)
		if high < maxInstant {
			c.To = instantKey(high)
		}
		return c
	}
	ends := everySpace(OpRange, "", p.variants(rowEnd)...) // of the long ones, by their end; their space is their beginning
	within := begins(from, to).in(minInstant, to)
	after := func(t int64) []Cond { // those that end after t: the short ones are not long before
		long := ends
		long.From = instantKey(t + 1)
		return []Cond{begins(t-longSpan, maxInstant).in(t+1, maxInstant), long}
	}
	before := begins(minInstant, from)
	switch prefix {
	case "eq":
		return []Cond{within}, nil
	case "ne":
		return []Cond{before, begins(from, to).in(to+1, maxInstant), begins(to, maxInstant)}, nil
	case "gt":
		return after(to), nil
	case "ge":
		return append(after(to), within), nil
	case "lt":
		return []Cond{before}, nil
	case "le":
		return []Cond{before, within}, nil
	case "sa":
		return []Cond{begins(to, maxInstant)}, nil
	case "eb":
		return []Cond{before.in(minInstant, from)}, nil
	default: // ap: what overlaps the span when it is stretched by its own length at both ends
		stretch := to - from
		low, high := max(from-stretch, minInstant), min(to+stretch, maxInstant)
		long := ends.in(minInstant, high-1)
		long.From = instantKey(low + 1)
		return []Cond{begins(low-longSpan, high).in(low+1, maxInstant), long}, nil
	}
}

// readQuantity reads number, number|system|code and number||code, with a prefix (FHIR R4 search.html#quantity). A code that stands
// alone is also compared with the unit as people read it.
func (p *parameter) readQuantity(name, text string) ([]Cond, error) {
	part := split(text, '|')
	if len(part) != 1 && len(part) != 3 {
		return nil, invalid("%.60q: write a number, number|system|code or number||code", name)
	}
	prefix, number := cutPrefix(strings.TrimSpace(part[0]))
	value, from, to, ok := decimalSpan(number)
	if !ok {
		return nil, invalid("%.60q: a value is no number. write it as 5.4, with a prefix eq, ne, gt, ge, lt, le, sa, eb or ap", name)
	}
	between := func(low, high string) Cond {
		c := everySpace(OpRange, low, p.ids()...)
		c.To = high
		return c
	}
	at, next := numberKey(value), numberKey(value)+digits[:1]
	var conds []Cond
	switch prefix {
	case "eq":
		conds = []Cond{between(numberKey(from), numberKey(to))}
	case "ne":
		conds = []Cond{between("", numberKey(from)), between(numberKey(to), "")}
	case "gt", "sa":
		conds = []Cond{between(next, "")}
	case "ge":
		conds = []Cond{between(at, "")}
	case "lt", "eb":
		conds = []Cond{between("", at)}
	case "le":
		conds = []Cond{between("", next)}
	case "ap":
		tenth := max(value, -value) / 10
		conds = []Cond{between(numberKey(min(from, value-tenth)), numberKey(max(to, value+tenth))+digits[:1])}
	default:
		return nil, invalid("%.60q: the prefix %q is not supported. use eq, ne, gt, ge, lt, le, sa, eb or ap", name, prefix)
	}
	if len(part) == 3 && part[1]+part[2] != "" {
		system, code := unescape(part[1]), unescape(part[2])
		if code == "" {
			return nil, invalid("%.60q: a value has a system and no code. write number|system|code", name)
		}
		low, high := unitBase(code), unitBase(code)|0xffffffff
		if system != "" {
			low = unitSpace(system, code)
			high = low
		}
		for i := range conds {
			conds[i] = conds[i].in(low, high)
		}
	}
	return conds, nil
}

// cutPrefix parts a prefix from a value; eq where there is none.
func cutPrefix(text string) (prefix, rest string) {
	if len(text) > 2 && text[0] >= 'a' && text[0] <= 'z' && text[1] >= 'a' && text[1] <= 'z' {
		return text[:2], text[2:]
	}
	return "eq", text
}

// readPrefixed reads a value of a date parameter: a prefix and a date that may be partial, which stands for the whole span of it
// (FHIR R4 search.html#prefix and #date). A date without a time zone is one in UTC. A fraction of a second is read to the
// millisecond, the precision in which instants are kept.
func readPrefixed(name, text string) (prefix string, from, to int64, err error) {
	prefix, date := cutPrefix(unescape(text))
	switch prefix {
	case "eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap":
	default:
		return "", 0, 0, invalid("%.60q: the prefix %s is not supported. use eq, ne, gt, ge, lt, le, sa, eb or ap", name, strconv.Quote(prefix))
	}
	from, to, ok := dateSpan(date)
	if !ok {
		return "", 0, 0, invalid("%.60q: a value is no date. write it as 2026, 2026-01, 2026-01-31 or 2026-01-31T12:00:00Z, "+
			"with a prefix eq, ne, gt, ge, lt, le, sa, eb or ap", name)
	}
	return prefix, from, to, nil
}
