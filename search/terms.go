package search

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tributary-sync/tributary/fhir"
)

// filter reads the parameters that select resources and answers false for one that is not known.
func (p *parser) filter(name string, values []string) (bool, error) {
	for _, v := range values {
		if !utf8.ValidString(v) {
			return false, invalid("%.60q: a value is not UTF-8", name)
		}
		t, known, err := p.term(p.query.Type, name, v)
		if err != nil || !known {
			return false, err
		}
		if p.query.Terms = append(p.query.Terms, t); len(p.query.Terms) > MaxTerms {
			return false, invalid("%.60q: more than %d parameters select. split the search", name, MaxTerms)
		}
		p.query.MatchKinds.Related = p.query.MatchKinds.Related || t.Kind == TermLink
		for _, c := range t.Conds {
			_, whole := c.Indexed()
			p.query.MatchKinds.Content = p.query.MatchKinds.Content || !whole
		}
	}
	return true, nil
}

// term reads one parameter with one value, which may have alternatives.
func (p *parser) term(resourceType, name, value string) (Term, bool, error) {
	if rest, ok := strings.CutPrefix(name, "_has:"); ok {
		t, err := p.has(resourceType, name, rest, value)
		return t, err == nil, err
	}
	base, chain, chained := strings.Cut(name, ".")
	base, modifier, modified := strings.Cut(base, ":")
	switch base {
	case ID, LastUpdated:
		if chained || modified {
			return Term{}, false, invalid("%.60q: %s takes no modifier and no chain", name, base)
		}
		t, err := p.common(base, value)
		return t, err == nil, err
	}
	param := tables()[resourceType].parameters[base]
	if param == nil {
		return Term{}, false, nil
	}
	if chained {
		t, err := p.chain(name, param, modifier, chain, value)
		return t, err == nil, err
	}
	t, err := p.plain(name, param, modifier, value)
	return t, err == nil, err
}

// alternatives parts a value at its commas, and counts.
func (p *parser) alternatives(name, value string) ([]string, error) {
	out := split(value, ',')
	if p.values += len(out); p.values > MaxValues {
		return nil, invalid("%.60q: more than %d values. split the search", name, MaxValues)
	}
	for _, text := range out {
		if strings.Trim(text, " ") == "" {
			return nil, invalid("%.60q: a value is empty. give one, or leave the parameter out", name)
		}
	}
	return out, nil
}

// common reads _id and _lastUpdated.
func (p *parser) common(name, value string) (Term, error) {
	texts, err := p.alternatives(name, value)
	t := Term{Name: name, Kind: TermID}
	for _, text := range texts {
		if name == LastUpdated {
			t.Kind = TermLastUpdated
			s, err := readInstants(name, text)
			if err != nil {
				return t, err
			}
			t.Spans = append(t.Spans, s)
			continue
		}
		if text = unescape(text); !fhir.ValidID(text) {
			return t, invalid("_id: a value is not a FHIR id (1 to 64 of A-Z a-z 0-9 - .)")
		}
		t.IDs = append(t.IDs, text)
	}
	return t, err
}

// plain reads a parameter of the table without a chain.
func (p *parser) plain(name string, param *parameter, modifier, value string) (Term, error) {
	t := Term{Name: name}
	read := param.readerOf(modifier)
	switch {
	case modifier == "missing":
		if value != "true" && value != "false" {
			return t, invalid("%.60q: %.20q is not true or false", name, value)
		}
		t.Conds, t.Not = param.present(), value == "true"
		return t, nil
	case read == nil:
		// An ignored modifier would widen the result: servers shall refuse it (FHIR R4 search.html#modifiers).
		return t, invalid("%.60q: %s is a %s, which takes no modifier %.40q here. use %s", name, param.name, param.kind, modifier, param.modifiers())
	}
	t.Not = modifier == "not"
	texts, err := p.alternatives(name, value)
	if err != nil {
		return t, err
	}
	for _, text := range texts {
		conds, err := read(name, text)
		if err != nil {
			return t, err
		}
		t.Conds = append(t.Conds, conds...)
	}
	return t, nil
}

// modifiers names what a parameter takes, for a message.
func (p *parameter) modifiers() string {
	switch p.kind {
	case "string":
		return "none, :exact, :contains or :missing"
	case "token":
		return "none, :not or :missing"
	case "reference":
		return "none, :identifier, :missing or a type"
	default:
		return "none or :missing"
	}
}

// readerOf returns what reads one value of the parameter under a modifier, nil where it takes no such modifier.
func (p *parameter) readerOf(modifier string) func(name, text string) ([]Cond, error) {
	switch {
	case p.kind == "string" && (modifier == "" || modifier == "exact" || modifier == "contains"):
		return func(name, text string) ([]Cond, error) { return p.readString(name, modifier, unescape(text)) }
	case p.kind == "token" && (modifier == "" || modifier == "not"):
		return p.readToken
	case p.kind == "uri" && modifier == "":
		return func(_, text string) ([]Cond, error) {
			return []Cond{everySpace(OpEqual, Key(unescape(text)), p.ids()...)}, nil
		}
	case p.kind == "date" && modifier == "":
		return p.readDate
	case p.kind == "quantity" && modifier == "":
		return p.readQuantity
	case p.kind == "reference" && modifier == "":
		return func(name, text string) ([]Cond, error) { return p.readReference(name, "", unescape(text)) }
	case p.kind == "reference" && modifier == "identifier":
		return p.readLogical
	case p.kind == "reference" && fhir.IsType(modifier) && slices.Contains(p.targets, modifier):
		return func(name, text string) ([]Cond, error) { return p.readReference(name, modifier, unescape(text)) }
	}
	return nil
}

func (p *parameter) ids() []int32 {
	out := make([]int32, 0, len(p.paths))
	for _, one := range p.paths {
		if one.kind != kindName {
			out = append(out, one.id)
		}
	}
	return out
}

func (p *parameter) variants(k byte) []int32 {
	out := make([]int32, 0, len(p.paths))
	for i := range p.paths {
		out = append(out, variant(&p.paths[i], k))
	}
	return out
}

// filtered returns the type that references have to name, or the system that contacts have to be in; empty where there is none.
func (p *parameter) filtered() string { return p.paths[0].filter }

// present returns the conditions that any value holds.
func (p *parameter) present() []Cond {
	c := everySpace(OpAny, "", p.ids()...)
	switch f := p.filtered(); {
	case f == "":
		return []Cond{c}
	case p.kind == "reference":
		return []Cond{c.in(space(f), space(f)), c.in(spaceNone, spaceNone)}
	default:
		return []Cond{c.in(space(f), space(f))}
	}
}

// chain reads param.other=value: a condition on the resource referred to, of one of the types that it may be.
func (p *parser) chain(name string, param *parameter, modifier, chain, value string) (Term, error) {
	t := Term{Name: name, Kind: TermLink}
	types := param.targets
	switch {
	case param.kind != "reference":
		return t, invalid("%.60q: %s is no reference, nothing can be chained to it", name, param.name)
	case strings.Contains(chain, "."):
		return t, invalid("%.60q: only one level can be chained", name)
	case modifier != "" && !slices.Contains(types, modifier):
		return t, invalid("%.60q: %s does not refer to %.60q, but to %s", name, param.name, modifier, few(types))
	case modifier != "":
		types = []string{modifier}
	}
	for _, other := range types {
		where, known, err := p.term(other, chain, value)
		if err != nil {
			return t, err
		}
		if known && where.Kind != TermLink {
			t.Links = append(t.Links, Link{Type: other, Params: param.ids(), Where: where})
		}
	}
	if len(t.Links) == 0 {
		return t, invalid("%.60q: %.60q is no parameter of %s", name, chain, few(types))
	}
	return p.linked(t)
}

// linked refuses what cannot be asked of the index alone.
func (p *parser) linked(t Term) (Term, error) {
	for _, l := range t.Links {
		for _, c := range l.Where.Conds {
			if _, whole := c.Indexed(); !whole {
				return t, invalid("%.60q: a value is longer than %d letters. shorten it", t.Name, maxFolded)
			}
		}
	}
	return t, nil
}

// has reads _has:Type:reference:param=value: a condition on a resource that refers to this one (FHIR R4 search.html#has).
func (p *parser) has(resourceType, name, rest, value string) (Term, error) {
	t := Term{Name: name, Kind: TermLink}
	part := strings.SplitN(rest, ":", 3)
	if len(part) != 3 || tables()[part[0]] == nil {
		return t, invalid("%.60q: write _has:Type:reference:parameter, as in _has:Observation:patient:code", name)
	}
	ref := tables()[part[0]].parameters[part[1]]
	if ref == nil || ref.kind != "reference" || !slices.Contains(ref.targets, resourceType) {
		return t, invalid("%.60q: %.60q of %s is no reference to a %s", name, part[1], part[0], resourceType)
	}
	if strings.Contains(part[2], ".") || strings.HasPrefix(part[2], "_has") {
		return t, invalid("%.60q: nothing can be chained within _has", name)
	}
	where, known, err := p.term(part[0], part[2], value)
	if err != nil {
		return t, err
	}
	if !known {
		return t, invalid("%.60q: %.60q is no parameter of %s", name, part[2], part[0])
	}
	t.Links = []Link{{Type: part[0], Params: ref.ids(), Reverse: true, Where: where}}
	return p.linked(t)
}

// few names some types for a message.
func few(types []string) string {
	const most = 6
	if len(types) > most {
		return strings.Join(types[:most], ", ") + " and others"
	}
	return strings.Join(types, ", ")
}

// readInstants reads a value of _lastUpdated. A resource has one instant, so that a span compares as its beginning does.
func readInstants(name, text string) (Span, error) {
	prefix, from, to, err := readPrefixed(name, text)
	s := Span{From: math.MinInt64, To: math.MaxInt64}
	switch prefix {
	case "eq":
		s.From, s.To = from, to
	case "ne":
		s.From, s.To, s.Not = from, to, true
	case "gt", "sa":
		s.From = to
	case "ge":
		s.From = from
	case "lt", "eb":
		s.To = from
	case "le":
		s.To = to
	case "ap":
		s.From, s.To = from-(to-from), to+(to-from)
	}
	return s, err
}
