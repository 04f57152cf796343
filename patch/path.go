package patch

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// maxPath bounds a path in bytes, maxNesting how deep its parentheses may nest.
	maxPath    = 4096
	maxNesting = 40
)

// expr is a FHIRPath expression. What a patch may use of the language (FHIR R4 fhirpatch.html) is small: names, indexes, the functions
// in call.run, comparisons, and, or, xor, is, as, and literals.
type expr interface {
	// eval returns what the expression finds, looked at from one node or, for the whole path, from the resource.
	eval(e *evaluator, focus []*node) ([]*node, error)
}

type (
	literal  struct{ raw []byte }  // a JSON value
	nothing  struct{}              // {}
	this     struct{}              // $this
	resource struct{}              // %resource
	name     struct{ text string } // of an element, or of a type at the beginning
	invoke   struct{ base, step expr }
	indexed  struct {
		base expr
		at   int
	}
	call struct {
		function string
		args     []expr
	}
	binary struct {
		op          string
		left, right expr
	}
	typed struct { // is, as
		op   string
		of   expr
		name string
	}
)

type parser struct {
	text  string
	at    int
	depth int
}

func badPath(format string, args ...any) error {
	return cannot(format, args...).WithHint("Write for example Patient.name.where(use = 'official').family or Patient.telecom[0]")
}

// parsePath reads a path; the error is Unprocessable.
func parsePath(text string) (expr, error) {
	if len(text) > maxPath || !utf8.ValidString(text) {
		return nil, badPath("the path has %d bytes, more than %d", len(text), maxPath)
	}
	p := &parser{text: text}
	x, err := p.operators(0)
	if err != nil {
		return nil, err
	}
	if p.blank(); p.at < len(p.text) {
		return nil, badPath("the path cannot be read from %.40q on", p.text[p.at:])
	}
	return x, nil
}

// levels are the operators from the weakest to the strongest (FHIRPath, operator precedence).
func levels(level int) []string {
	switch level {
	case 0:
		return []string{"or", "xor"}
	case 1:
		return []string{"and"}
	case 2:
		return []string{"!=", "!~", "=", "~"}
	case 3:
		return []string{"<=", ">=", "<", ">"}
	case 4:
		return []string{"is", "as"}
	}
	return nil
}

func (p *parser) operators(level int) (expr, error) {
	if levels(level) == nil {
		return p.invocation()
	}
	left, err := p.operators(level + 1)
	for err == nil {
		op := p.operator(levels(level))
		if op == "" {
			break
		}
		if op == "is" || op == "as" {
			var t string
			if t, err = p.typeName(); err == nil {
				left = typed{op, left, t}
			}
			continue
		}
		var right expr
		if right, err = p.operators(level + 1); err == nil {
			left = binary{op, left, right}
		}
	}
	return left, err
}

func (p *parser) blank() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

func (p *parser) take(symbol string) bool {
	p.blank()
	if !strings.HasPrefix(p.text[p.at:], symbol) {
		return false
	}
	p.at += len(symbol)
	return true
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
func digit(c byte) bool  { return c >= '0' && c <= '9' }

func (p *parser) operator(ops []string) string {
	p.blank()
	for _, op := range ops {
		end := p.at + len(op)
		if !strings.HasPrefix(p.text[p.at:], op) || letter(op[0]) && end < len(p.text) && (letter(p.text[end]) || digit(p.text[end])) {
			continue
		}
		p.at = end
		return op
	}
	return ""
}

// word reads an identifier, also one between back quotes.
func (p *parser) word() (string, bool) {
	p.blank()
	start := p.at
	if p.take("`") {
		end := strings.IndexByte(p.text[p.at:], '`')
		if end < 0 {
			return "", false
		}
		p.at += end + 1
		return p.text[start+1 : p.at-1], true
	}
	for p.at < len(p.text) && (letter(p.text[p.at]) || p.at > start && digit(p.text[p.at])) {
		p.at++
	}
	return p.text[start:p.at], p.at > start
}

func (p *parser) typeName() (string, error) {
	t, ok := p.word()
	if ok && (t == "FHIR" || t == "System") && p.take(".") {
		t, ok = p.word()
	}
	if !ok {
		return "", badPath("the path names no type at %.40q", p.text[p.at:])
	}
	return t, nil
}

func (p *parser) invocation() (expr, error) {
	x, err := p.term()
	for err == nil {
		switch {
		case p.take("."):
			var step expr
			if step, err = p.step(); err == nil {
				x = invoke{x, step}
			}
		case p.take("["):
			p.blank()
			start := p.at
			for p.at < len(p.text) && digit(p.text[p.at]) {
				p.at++
			}
			n, bad := strconv.ParseUint(p.text[start:p.at], 10, 31)
			if bad != nil || !p.take("]") {
				return nil, badPath("the path has no index between [ and ] at %.40q", p.text[start:])
			}
			x = indexed{x, int(n)}
		default:
			return x, nil
		}
	}
	return nil, err
}

func (p *parser) term() (expr, error) {
	p.blank()
	rest := p.text[p.at:]
	switch {
	case p.take("("):
		if p.depth++; p.depth > maxNesting {
			return nil, badPath("the path nests deeper than %d levels", maxNesting)
		}
		x, err := p.operators(0)
		if err == nil && !p.take(")") {
			err = badPath("the path lacks a ) at %.40q", p.text[p.at:])
		}
		p.depth--
		return x, err
	case p.take("{"):
		if !p.take("}") {
			return nil, badPath("the path lacks a } at %.40q", p.text[p.at:])
		}
		return nothing{}, nil
	case p.take("'"):
		return p.text1()
	case p.take("$this"):
		return this{}, nil
	case p.take("%resource"), p.take("%context"), p.take("%rootResource"):
		return resource{}, nil
	case p.take("@"):
		start := p.at
		for p.at < len(p.text) && (digit(p.text[p.at]) || strings.IndexByte("-:TZ+.", p.text[p.at]) >= 0) {
			p.at++
		}
		return literal{[]byte(`"` + strings.TrimPrefix(p.text[start:p.at], "T") + `"`)}, nil
	case rest != "" && (digit(rest[0]) || rest[0] == '-'):
		start := p.at
		for p.at++; p.at < len(p.text) && (digit(p.text[p.at]) || p.text[p.at] == '.' && p.at+1 < len(p.text) && digit(p.text[p.at+1])); {
			p.at++
		}
		if v := jsontext.Value(p.text[start:p.at]); v.IsValid() {
			return literal{v}, nil
		}
		return nil, badPath("the path has a malformed number at %.40q", rest)
	}
	return p.step()
}

// text1 reads a string behind its opening quote (FHIRPath, string literals).
func (p *parser) text1() (expr, error) {
	var out strings.Builder
	for ; p.at < len(p.text); p.at++ {
		c := p.text[p.at]
		if c == '\'' {
			p.at++
			quoted, err := jsontext.AppendQuote(nil, out.String())
			if err != nil {
				return nil, badPath("a string of the path is not valid UTF-8")
			}
			return literal{quoted}, nil
		}
		if c == '\\' && p.at+1 < len(p.text) {
			p.at++
			if c = p.text[p.at]; strings.IndexByte("rntf", c) >= 0 {
				c = "\r\n\t\f"[strings.IndexByte("rntf", c)]
			} else if c == 'u' {
				if p.at+5 > len(p.text) {
					break
				}
				r, err := strconv.ParseUint(p.text[p.at+1:p.at+5], 16, 16)
				if err != nil {
					return nil, badPath("a string of the path has a malformed \\u")
				}
				out.WriteRune(rune(r))
				p.at += 4
				continue
			}
		}
		out.WriteByte(c)
	}
	return nil, badPath("a string of the path has no end")
}

// step reads a name or a call.
func (p *parser) step() (expr, error) {
	if p.take("$this") {
		return this{}, nil
	}
	quoted := strings.HasPrefix(strings.TrimLeft(p.text[p.at:], " \t\r\n"), "`")
	word, ok := p.word()
	if !ok {
		if p.at == len(p.text) {
			return nil, badPath("the path ends where a name is missing")
		}
		return nil, badPath("the path cannot be read from %.40q on", p.text[p.at:])
	}
	if quoted || !p.take("(") {
		if !quoted && (word == "true" || word == "false") {
			return literal{[]byte(word)}, nil
		}
		return name{word}, nil
	}
	c := call{function: word}
	if p.depth++; p.depth > maxNesting {
		return nil, badPath("the path nests deeper than %d levels", maxNesting)
	}
	defer func() { p.depth-- }()
	if p.take(")") {
		return c, c.check()
	}
	for {
		x, err := p.operators(0)
		if err != nil {
			return nil, err
		}
		c.args = append(c.args, x)
		if p.take(")") {
			return c, c.check()
		}
		if !p.take(",") {
			return nil, badPath("the path lacks a ) at %.40q", p.text[p.at:])
		}
	}
}

// check says whether there is such a function with so many arguments.
func (c call) check() error {
	low, high := 0, 0
	switch c.function {
	case "first", "last", "tail", "single", "empty", "not", "count", "hasValue":
	case "exists":
		high = 1
	case "where", "all", "ofType", "as", "is", "extension", "startsWith", "endsWith", "contains", "skip", "take":
		low, high = 1, 1
	default:
		return cannot("the path uses %.40s(), which a patch cannot use here", c.function).
			WithHint("Use where, first, last, tail, single, skip, take, exists, empty, not, count, hasValue, all, ofType, as, is, extension, startsWith, endsWith, contains")
	}
	if len(c.args) < low || len(c.args) > high {
		return badPath("the path calls %s with %d arguments", c.function, len(c.args))
	}
	return nil
}
