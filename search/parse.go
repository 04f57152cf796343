package search

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// Parse reads the parameters of a search of one resource type (FHIR R4 search.html). A parameter that is repeated must hold
// each time, values separated by commas are alternatives. What is not known, strict refuses; else it stands in
// Query.Ignored (Prefer: handling, http.html#prefer).
//
// It returns an Invalid error, which says what is wrong and what is supported, for an unknown type, a malformed or empty value,
// a modifier or chain on a known parameter, an unknown order, a foreign _page and more than MaxValues values; and an
// Unsupported error for a _format other than JSON. No error quotes an identifier or a reference, since errors are logged.
func Parse(resourceType string, q url.Values, strict bool) (Query, error) {
	p := parser{
		query:  Query{Type: resourceType, Count: DefaultCount, Applied: url.Values{}},
		strict: strict, known: Parameters(resourceType),
	}
	if p.known == nil {
		return Query{}, invalid("%.60q is not a resource type of FHIR R4", resourceType)
	}
	for _, name := range slices.Sorted(maps.Keys(q)) {
		if name == "_page" {
			continue
		}
		if err := p.parameter(name, q[name]); err != nil {
			return Query{}, err
		}
	}
	if tokens := q["_page"]; len(tokens) > 0 {
		token, err := single("_page", tokens)
		if err != nil {
			return Query{}, err
		}
		// Last, because a page belongs to an order.
		if p.query.Page, err = p.query.readPage(token); err != nil {
			return Query{}, err
		}
	}
	return p.query, nil
}

func invalid(format string, args ...any) error {
	return syncerr.New(syncerr.Invalid, "read search", format, args...)
}

type parser struct {
	query  Query
	strict bool
	known  []Parameter
	values int
}

func (p *parser) parameter(name string, values []string) error {
	applied, err := p.control(name, values)
	if err != nil {
		return err
	}
	if !applied {
		if applied, err = p.filter(name, values); err != nil {
			return err
		}
	}
	if applied {
		p.query.Applied[name] = values
		return nil
	}
	return p.ignore(name)
}

func (p *parser) ignore(name string) error {
	if p.strict {
		return invalid("%.60q is not supported for %s. supported are %s, _count, _sort, _total, _summary=count, _format, _pretty",
			name, p.query.Type, p.names())
	}
	p.query.Ignored = append(p.query.Ignored, name)
	return nil
}

func (p *parser) names() string {
	var names []string
	for _, k := range p.known {
		names = append(names, k.Name)
	}
	return strings.Join(names, ", ")
}

// control reads the parameters that shape the result (FHIR R4 search.html#return) and answers false for any other.
func (p *parser) control(name string, values []string) (bool, error) {
	switch name {
	case "_count", "_sort", "_total", "_summary", "_format", "_pretty":
	default:
		return false, nil
	}
	v, err := single(name, values)
	if err != nil {
		return false, err
	}
	q := &p.query
	switch name {
	case "_count":
		return true, q.setCount(v)
	case "_sort":
		for _, s := range []Sort{SortID, SortLastUpdated, SortLastUpdatedDesc} {
			if v == s.String() {
				q.Sort = s
				return true, nil
			}
		}
		return false, invalid("_sort: %.60q is not supported. use _lastUpdated, -_lastUpdated or _id", v)
	case "_total":
		q.Total = Total(v)
		if q.Total != TotalNone && q.Total != TotalEstimate && q.Total != TotalAccurate {
			return false, invalid("_total: %.60q is not none, estimate or accurate", v)
		}
		return true, nil
	case "_summary":
		return q.setSummary(v)
	case "_format":
		return true, checkFormat(v)
	default:
		q.Pretty = v == "true"
		if !q.Pretty && v != "false" {
			return false, invalid("_pretty: %.60q is not true or false", v)
		}
		return true, nil
	}
}

func single(name string, values []string) (string, error) {
	if len(values) != 1 {
		return "", invalid("%s is given %d times. give it once", name, len(values))
	}
	return values[0], nil
}

func (q *Query) setCount(v string) error {
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return invalid("_count: %.60q is not a number of resources. use 1 to %d, or 0 for the total only", v, MaxCount)
	}
	// A page may be smaller than asked for, never greater (FHIR R4 search.html#count).
	q.Count = min(int(n), MaxCount)
	if n == 0 {
		q.TotalOnly = true
	}
	if q.TotalOnly {
		q.Count = 0
	}
	return nil
}

// setSummary answers false for the summaries that this server does not make: whole resources are a permitted answer to them
// (FHIR R4 search.html#summary).
func (q *Query) setSummary(v string) (bool, error) {
	switch v {
	case "count":
		q.TotalOnly, q.Count = true, 0
		return true, nil
	case "false":
		return true, nil
	case "true", "text", "data":
		return false, nil
	default:
		return false, invalid("_summary: %.60q is not count, true, text, data or false", v)
	}
}

// checkFormat accepts the names of FHIR's JSON (FHIR R4 http.html#mime-type); a blank is a + that was not escaped.
func checkFormat(v string) error {
	media, _, _ := strings.Cut(v, ";")
	switch strings.ReplaceAll(strings.ToLower(strings.TrimSpace(media)), " ", "+") {
	case "json", "application/json", "application/fhir+json", "text/json":
		return nil
	}
	return syncerr.New(syncerr.Unsupported, "read search", "_format: %.60q is not supported. use json", v)
}

// filter reads the parameters that select resources and answers false for one that is not known.
func (p *parser) filter(name string, values []string) (bool, error) {
	base, modifier := name, ""
	if i := strings.IndexAny(name, ":."); i >= 0 {
		base, modifier = name[:i], name[i:]
	}
	if !slices.ContainsFunc(p.known, func(k Parameter) bool { return k.Name == base }) {
		return false, nil
	}
	// An ignored modifier would widen the result: servers shall refuse it (FHIR R4 search.html#modifiers).
	if strings.Contains(modifier, ".") {
		return false, invalid("%.60q: chained parameters are not supported. search the other type first, then %s=id", name, base)
	}
	if modifier != "" {
		return false, invalid("%.60q: modifiers are not supported. use %s without one", name, base)
	}
	for _, v := range values {
		t := Term{Name: base}
		for _, text := range split(v, ',') {
			a, err := readValue(base, text)
			if err != nil {
				return false, err
			}
			t.Any = append(t.Any, a...)
		}
		if p.values += len(t.Any); p.values > MaxValues {
			return false, invalid("more than %d values. split the search", MaxValues)
		}
		p.query.Terms = append(p.query.Terms, t)
	}
	return true, nil
}

func readValue(name, text string) ([]Alternative, error) {
	if !utf8.ValidString(text) {
		return nil, invalid("%s: a value is not UTF-8", name)
	}
	if strings.Trim(text, " ") == "" {
		return nil, invalid("%s: a value is empty. give one, or leave the parameter out", name)
	}
	switch name {
	case ID:
		if text = unescape(text); !fhir.ValidID(text) {
			return nil, invalid("_id: %.100q is not a FHIR id (1 to 64 of A-Z a-z 0-9 - .)", text)
		}
		return []Alternative{{Value: text, HasValue: true}}, nil
	case LastUpdated:
		a, err := readDate(name, text)
		return []Alternative{a}, err
	case Identifier:
		a, err := readToken(text)
		return []Alternative{a}, err
	default:
		return readPatient(unescape(text))
	}
}

// readToken reads value, system|value, system| and |value (FHIR R4 search.html#token).
func readToken(text string) (Alternative, error) {
	part := split(text, '|')
	for i := range part {
		part[i] = Key(unescape(part[i]))
	}
	switch {
	case len(part) > 2:
		return Alternative{}, invalid(`identifier: a value has more than one |. write \| for one that belongs to the value`)
	case len(part) == 1:
		return Alternative{Value: part[0], HasValue: true}, nil
	case part[0] == "" && part[1] == "":
		return Alternative{}, invalid("identifier: a value has neither system nor value. use value, system|value, system| or |value")
	case part[1] == "":
		return Alternative{System: part[0], HasSystem: true}, nil
	default:
		return Alternative{System: part[0], HasSystem: true, Value: part[1], HasValue: true}, nil
	}
}

// readPatient reads id, Patient/id and a URL (FHIR R4 search.html#reference). A URL that ends with Patient/id finds references
// that are written like it, and relative ones, too: a record keeps its id on every node, under each node's own base URL.
func readPatient(text string) ([]Alternative, error) {
	text = strings.TrimRight(text, " ")
	if fhir.ValidID(text) {
		return []Alternative{{Value: "Patient/" + text, HasValue: true}}, nil
	}
	row, names := readReference(text)
	switch names {
	case targetNone:
		return nil, invalid("patient: a contained resource cannot be searched for. use the id of a Patient")
	case targetOther:
		return nil, invalid("patient: a value names a resource of another type. use id, Patient/id or a URL that ends so")
	}
	out := []Alternative{{Value: Key(row), HasValue: true}}
	if i := strings.LastIndex(row, "/Patient/"); names == targetPatient && i >= 0 && !strings.Contains(row, "?") {
		out = append(out, Alternative{Value: row[i+1:], HasValue: true})
	}
	return out, nil
}

// split parts a value at the separators that no backslash escapes (FHIR R4 search.html#escaping); escapes stay.
func split(text string, separator byte) []string {
	var out []string
	from := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case separator:
			out = append(out, text[from:i])
			from = i + 1
		}
	}
	return append(out, text[from:])
}

// unescape resolves \, \| \$ and \\; a backslash before anything else stands for itself.
func unescape(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	return strings.NewReplacer(`\\`, `\`, `\,`, `,`, `\|`, `|`, `\$`, `$`).Replace(text)
}
