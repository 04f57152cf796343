package search

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/syncerr"
)

// Parse reads the parameters of a search of one resource type (FHIR R4 search.html). A parameter that is repeated must hold
// each time, values separated by commas are alternatives. What is not known, strict refuses; else it stands in
// Query.Ignored (Prefer: handling, http.html#prefer).
//
// It returns an Invalid error, which names the parameter and says what is wrong and what is supported, for an unknown type, a
// malformed or empty value, a modifier that the parameter has not, a chain that leads nowhere, an unknown order, a foreign _page
// and more than MaxValues values; and an Unsupported error for a _format other than JSON. No error quotes an identifier, a name or
// a reference, since errors are logged.
func Parse(resourceType string, q url.Values, strict bool) (Query, error) {
	p := parser{
		query:  Query{Type: resourceType, Count: DefaultCount, Applied: url.Values{}},
		strict: strict, table: tables()[resourceType],
	}
	if p.table == nil {
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
	table  *typeTable
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
		return invalid("%.60q is not supported for %s. supported are _id, _lastUpdated, %s, _has, _include, _revinclude, _count, _sort, _total, "+
			"_elements, _summary=count, _format, _pretty", name, p.query.Type, strings.Join(p.table.names, ", "))
	}
	p.query.Ignored = append(p.query.Ignored, name)
	return nil
}

// control reads the parameters that shape the result (FHIR R4 search.html#return) and answers false for any other.
func (p *parser) control(name string, values []string) (bool, error) {
	switch name {
	case "_include", "_revinclude", "_include:iterate", "_revinclude:iterate":
		return true, p.includes(name, values)
	case "_count", "_sort", "_total", "_summary", "_format", "_pretty", "_elements":
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
		q.Sort, err = p.table.readSort(q.Type, v)
		return err == nil, err
	case "_elements":
		return true, q.setElements(v)
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

// setElements reads the names of members at the top of a resource (FHIR R4 search.html#elements).
func (q *Query) setElements(v string) error {
	for name := range strings.SplitSeq(v, ",") {
		name = strings.TrimPrefix(strings.TrimSpace(name), q.Type+".")
		if !plainName(name) || len(q.Elements) == maxElements {
			return invalid("_elements: give at most %d names of members at the top of a %s, separated by commas", maxElements, q.Type)
		}
		q.Elements = append(q.Elements, name)
	}
	return nil
}

func plainName(name string) bool {
	for i := range len(name) {
		if c := name[i] | 0x20; (c < 'a' || c > 'z') && (i == 0 || name[i] < '0' || name[i] > '9') {
			return false
		}
	}
	return name != "" && len(name) <= 64
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
