// Package messages owns the texts of the pages: a file a language, with the same keys and placeholders in each, and how a language
// writes numbers, sizes and times. It knows no page. A new language is a new file, with a line in Load.
package messages

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"strings"
	"time"

	"golang.org/x/text/language"
)

//go:embed *.json
var files embed.FS

// The forms of a text that counts: the JSON names of the alternatives.
const (
	one   = "one"
	other = "other"
)

// Language is one language with all its texts. It may be used from many goroutines.
type Language struct {
	tag   string
	texts map[string]map[string]string // by key and form; a text that does not count has the form other alone
}

// Languages are those that the program speaks, the first where nothing is known of the reader.
type Languages struct {
	list    []*Language
	matcher language.Matcher
}

// Load reads the embedded files.
func Load() (*Languages, error) {
	var list []*Language
	for _, tag := range []string{"en", "fr", "pt", "es"} {
		b, err := files.ReadFile(tag + ".json")
		if err != nil {
			return nil, err
		}
		l, err := Parse(tag, b)
		if err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	return New(list...), nil
}

// New returns the languages of a list, of which the first is for readers whose language is not in it. It needs one at least.
func New(list ...*Language) *Languages {
	tags := make([]language.Tag, len(list))
	for i, l := range list {
		tags[i] = language.Make(l.tag)
	}
	return &Languages{list: list, matcher: language.NewMatcher(tags)}
}

// All returns the languages in the order in which a reader chooses among them.
func (l *Languages) All() []*Language { return l.list }

// By returns the language of a tag such as "fr", nil where there is none.
func (l *Languages) By(tag string) *Language {
	for _, x := range l.list {
		if x.tag == tag {
			return x
		}
	}
	return nil
}

// Choose returns the language that a reader chose before, else the best for an Accept-Language header (RFC 9110, section 12.5.4).
func (l *Languages) Choose(chosen, acceptLanguage string) *Language {
	if x := l.By(chosen); x != nil {
		return x
	}
	wanted, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil || len(wanted) == 0 {
		return l.list[0]
	}
	_, i, sure := l.matcher.Match(wanted...)
	if sure == language.No {
		return l.list[0]
	}
	return l.list[i]
}

// Parse reads the texts of a language: JSON objects that hold objects, down to a text, or to an object with the texts "one" and
// "other". The key of a text is its path with dots: "home.title".
func Parse(tag string, data []byte) (*Language, error) {
	l := &Language{tag: tag, texts: map[string]map[string]string{}}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		return nil, fmt.Errorf("read the texts of %s: %w", tag, err)
	}
	return l, l.add("", tree)
}

func (l *Language) add(path string, tree map[string]any) error {
	for name, value := range tree {
		key := strings.TrimPrefix(path+"."+name, ".")
		switch v := value.(type) {
		case string:
			l.texts[key] = map[string]string{other: v}
		case map[string]any:
			first, hasOne := v[one].(string)
			rest, hasOther := v[other].(string)
			if hasOne && hasOther && len(v) == 2 {
				l.texts[key] = map[string]string{one: first, other: rest}
			} else if err := l.add(key, v); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s, %s: neither a text nor an object", l.tag, key)
		}
	}
	return nil
}

// Tag returns the language's tag (BCP 47), for the attribute lang.
func (l *Language) Tag() string { return l.tag }

// Has reports whether there is a text of that key.
func (l *Language) Has(key string) bool { _, ok := l.texts[key]; return ok }

// Keys returns the keys of all texts, in no order.
func (l *Language) Keys() []string {
	out := make([]string, 0, len(l.texts))
	for key := range l.texts {
		out = append(out, key)
	}
	return out
}

// Forms returns the forms of a text by their names, "other" alone where it does not count.
func (l *Language) Forms(key string) map[string]string { return l.texts[key] }

// Text returns the text of a key with its placeholders filled: args are names and values in turn, {name} stands for the value.
// A value is a string, or a number, Bytes or time.Duration, which the language writes. The value of "n" chooses the form. A key
// without a text comes back itself: a page with a hole helps more than none.
func (l *Language) Text(key string, args ...any) string {
	return l.fill(key, args, func(s string) string { return s })
}

// HTML is Text for a page: text and values are escaped, but for values that are template.HTML, such as a link.
func (l *Language) HTML(key string, args ...any) template.HTML {
	return template.HTML(l.fill(key, args, template.HTMLEscapeString)) //nolint:gosec // all but template.HTML is escaped
}

func (l *Language) fill(key string, args []any, escape func(string) string) string {
	forms, ok := l.texts[key]
	if !ok {
		return escape(key)
	}
	text := forms[other]
	pairs := make([]string, 0, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		name, _ := args[i].(string)
		n, isNumber := whole(args[i+1])
		if isNumber && name == "n" && l.single(n) && forms[one] != "" {
			text = forms[one]
		}
		var value string
		switch v := args[i+1].(type) {
		case template.HTML:
			value = string(v)
		case string:
			value = escape(v)
		case Bytes:
			value = escape(l.Size(v))
		case time.Duration:
			value = escape(l.Span(v))
		default:
			if value = fmt.Sprint(v); isNumber {
				value = l.Number(n)
			}
			value = escape(value)
		}
		pairs = append(pairs, "{"+name+"}", value)
	}
	return strings.NewReplacer(pairs...).Replace(escape(text))
}

func whole(v any) (int64, bool) {
	switch n := v.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case uint64:
		return int64(n), true //nolint:gosec // a count
	}
	return 0, false
}

// single reports whether a number takes the form "one" (CLDR, plural rules): French counts nothing as one.
func (l *Language) single(n int64) bool { return n == 1 || (l.tag == "fr" && n == 0) }
