package config

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/syncerr"
)

// Edit changes what is synchronised in the text of a configuration file from one thing to another. Nothing else of the text changes: not a comment,
// not a blank line, not the order, and not how the settings that stay are written. A form of YAML that it cannot change so is an Unsupported error,
// which says what to write by hand.
func Edit(text []byte, from, to Sync) ([]byte, error) {
	e := editor{text: text}
	e.way("pull", from.Pull, to.Pull)
	e.way("push", from.Push, to.Push)
	if from.Conflicts.Default != to.Conflicts.Default {
		e.set([]string{"conflicts", "default"}, quote(string(to.Conflicts.Default)))
	}
	e.policies(from.Conflicts.Types, to.Conflicts.Types)
	return e.text, e.err
}

// editor changes a text by one setting after the other. It finds the places by parsing and changes bytes: a parser that writes again what it read
// loses blank lines and how things were written.
type editor struct {
	text []byte
	err  error
}

func (e *editor) way(name string, from, to Way) {
	if from.Enabled != to.Enabled {
		e.set([]string{name, "enabled"}, map[bool]string{true: "true", false: "false"}[to.Enabled])
	}
	if !slices.EqualFunc(from.Types, to.Types, sameRule) {
		e.rules([]string{name, "types"}, to.Types)
	}
}

func sameRule(a, b TypeRule) bool {
	return a.Type == b.Type && a.Client == b.Client && a.on() == b.on()
}

func (e *editor) policies(from, to map[string]reconcile.Policy) {
	for _, t := range slices.Sorted(maps.Keys(from)) {
		if _, stays := to[t]; !stays {
			e.remove([]string{"conflicts", "types", t})
		}
	}
	for _, t := range slices.Sorted(maps.Keys(to)) {
		if from[t] != to[t] {
			e.set([]string{"conflicts", "types", t}, quote(string(to[t])))
		}
	}
}

// fail says that a setting is for a person to write.
func (e *editor) fail(path []string, why string) {
	if e.err == nil {
		e.err = syncerr.New(syncerr.Unsupported, strings.Join(path, "."), "the file writes it in a form that is not changed by a program: %s", why).
			WithHint("Write it as one line, as `tributary config print` shows it, or change it by hand and start the node again")
	}
}

// splice replaces the bytes from one offset to another.
func (e *editor) splice(from, to int, with string) {
	e.text = slices.Concat(e.text[:from], []byte(with), e.text[to:])
}

// root returns the group of all settings, nil where the text holds none.
func (e *editor) root(path []string) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal(e.text, &doc); err != nil {
		e.fail(path, "it cannot be read")
		return nil
	}
	if len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

// entry returns the name and the value of a setting of a group, nil where it is not there.
func entry(group *yaml.Node, name string) (key, value *yaml.Node) {
	if group == nil || group.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(group.Content); i += 2 {
		if group.Content[i].Value == name {
			return group.Content[i], group.Content[i+1]
		}
	}
	return nil, nil
}

// find returns the group in which a setting stands or would stand, with the name of that group, and the setting.
func (e *editor) find(path []string) (groupKey, group, key, value *yaml.Node) {
	group = e.root(path)
	for _, name := range path[:len(path)-1] {
		if groupKey, group = entry(group, name); group == nil {
			return nil, nil, nil, nil
		}
	}
	key, value = entry(group, path[len(path)-1])
	return groupKey, group, key, value
}

// set gives a setting a value on one line, whether it stands in the text or not.
func (e *editor) set(path []string, value string) {
	if e.err != nil {
		return
	}
	groupKey, group, key, old := e.find(path)
	switch {
	case e.err != nil:
	case key != nil && absent(old):
		at := e.offset(key) + len(e.source(path, key))
		if i := bytes.IndexByte(e.text[at:], ':'); i >= 0 {
			e.splice(at+i+1, at+i+1, " "+value)
		}
	case key != nil:
		from, to := e.span(path, old)
		if e.err == nil {
			if old.Kind != yaml.ScalarNode && old.Style&yaml.FlowStyle == 0 { // it stands below its name
				e.fail(path, "it is a group on lines of its own")
				return
			}
			e.splice(from, to, value)
		}
	default:
		e.insert(path, groupKey, group, value)
	}
}

// absent reports whether a value is that of a name behind which nothing stands.
func absent(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Value == ""
}

// insert adds a setting to its group, and the group where there is none.
func (e *editor) insert(path []string, groupKey, group *yaml.Node, value string) {
	name := path[len(path)-1] + ": " + value
	above := path[:len(path)-1]
	switch {
	case group == nil && len(path) == 2:
		e.endLine()
		e.text = append(e.text, path[0]+":"+e.newline()+"  "+name+e.newline()...)
	case group == nil:
		e.set(above, "{"+name+"}")
	case absent(group):
		at := e.lineEnd(groupKey)
		e.splice(at, at, e.newline()+strings.Repeat(" ", groupKey.Column-1+2)+name)
	case group.Kind != yaml.MappingNode:
		e.fail(path, strings.Join(above, ".")+" is no group")
	case group.Style&yaml.FlowStyle != 0 && len(group.Content) == 0:
		from, to := e.span(path, group)
		e.splice(from, to, "{"+name+"}")
	default:
		e.into(path, group, name)
	}
}

// into adds a line, or a field in brackets, behind the last one of a group.
func (e *editor) into(path []string, group *yaml.Node, field string) {
	_, to := e.span(path, group)
	if e.err != nil {
		return
	}
	if group.Style&yaml.FlowStyle != 0 {
		if _, to = e.span(path, group.Content[len(group.Content)-1]); e.err == nil {
			e.splice(to, to, ", "+field)
		}
		return
	}
	at := to + lineLength(e.text[to:])
	e.splice(at, at, e.newline()+strings.Repeat(" ", group.Content[0].Column-1)+field)
}

// remove takes a setting out of its group.
func (e *editor) remove(path []string) {
	if e.err != nil {
		return
	}
	_, group, key, value := e.find(path)
	if e.err != nil || key == nil {
		return
	}
	_, to := e.span(path, value)
	if absent(value) {
		to = e.offset(key) + len(e.source(path, key)) + 1
	}
	if e.err != nil {
		return
	}
	if group.Style&yaml.FlowStyle == 0 {
		e.dropLines(e.offset(key), to)
		return
	}
	e.dropItem(e.offset(key), to)
}

// rules makes a list of rules say something else; items that stay keep their bytes.
func (e *editor) rules(path []string, rules []TypeRule) {
	if e.err != nil {
		return
	}
	_, _, key, list := e.find(path)
	if e.err != nil {
		return
	}
	if key == nil || absent(list) || list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		e.set(path, "["+joined(rules)+"]")
		return
	}
	type span struct{ from, to int }
	spans := make([]span, len(list.Content))
	for i, item := range list.Content {
		spans[i].from, spans[i].to = e.span(path, item)
	}
	if e.err != nil {
		return
	}
	left := slices.Clone(rules)
	became := make([]*TypeRule, len(list.Content))
	for i, item := range list.Content {
		_, name := entry(item, "type")
		at := slices.IndexFunc(left, func(r TypeRule) bool { return name != nil && r.Type == name.Value })
		if at >= 0 {
			r := left[at]
			became[i], left = &r, slices.Delete(left, at, at+1)
		}
	}
	e.append(list, spans[len(spans)-1].to, left) // from the end on, so that the places before it stand
	for i := len(spans) - 1; i >= 0; i-- {
		switch {
		case became[i] != nil:
			e.rule(path, list.Content[i], *became[i])
		case list.Style&yaml.FlowStyle != 0:
			e.dropItem(spans[i].from, spans[i].to)
		default:
			e.dropLines(spans[i].from, spans[i].to)
		}
	}
}

// append adds rules behind the last one of a list.
func (e *editor) append(list *yaml.Node, at int, rules []TypeRule) {
	if len(rules) == 0 {
		return
	}
	if list.Style&yaml.FlowStyle != 0 {
		e.splice(at, at, ", "+joined(rules))
		return
	}
	at += lineLength(e.text[at:])
	var b strings.Builder
	for _, r := range rules {
		b.WriteString(e.newline() + strings.Repeat(" ", list.Column-1) + "- {" + rule(r) + "}")
	}
	e.splice(at, at, b.String())
}

// rule makes a rule say something else. What is written beside its fields stays where only the switch of it changes.
func (e *editor) rule(path []string, item *yaml.Node, to TypeRule) {
	var is TypeRule
	readRule(item, &is)
	from, end := e.span(path, item)
	_, enabled := entry(item, "enabled")
	switch {
	case e.err != nil || sameRule(is, to):
	case is.Client != to.Client:
		e.splice(from, end, "{"+rule(to)+"}")
	case enabled != nil && !absent(enabled):
		from, end = e.span(path, enabled)
		e.splice(from, end, map[bool]string{true: "true", false: "false"}[to.on()])
	default:
		e.into(path, item, "enabled: false")
	}
}

func readRule(n *yaml.Node, into *TypeRule) {
	text := func(name string) string {
		if _, v := entry(n, name); v != nil {
			return v.Value
		}
		return ""
	}
	into.Type, into.Client, into.Enabled = text("type"), Client(text("client")), unlessOn(text("enabled") != "false")
}

// rule returns a rule as it stands between braces.
func rule(r TypeRule) string {
	out := "type: " + quote(r.Type)
	if r.Client != "" {
		out += ", client: " + quote(string(r.Client))
	}
	if !r.on() {
		out += ", enabled: false"
	}
	return out
}

func joined(rules []TypeRule) string {
	out := make([]string, len(rules))
	for i, r := range rules {
		out[i] = "{" + rule(r) + "}"
	}
	return strings.Join(out, ", ")
}

// dropItem takes something out of a list or group in brackets, with the comma that parts it from the next, or from the one before where it is the
// last. A comment beside it stays.
func (e *editor) dropItem(from, to int) {
	rest := e.text[to:]
	if gap := len(rest) - len(bytes.TrimLeft(rest, " ")); gap < len(rest) && rest[gap] == ',' {
		to += gap + 1
		to += len(e.text[to:]) - len(bytes.TrimLeft(e.text[to:], " "))
	} else if before := bytes.TrimRight(e.text[:from], " "); bytes.HasSuffix(before, []byte(",")) {
		from = len(before) - 1
	}
	e.splice(from, to, "")
}

// dropLines takes out the lines on which something stands alone.
func (e *editor) dropLines(from, to int) {
	from = bytes.LastIndexByte(e.text[:from], '\n') + 1
	to += lineLength(e.text[to:])
	if to < len(e.text) && e.text[to] == '\r' {
		to++
	}
	e.splice(from, min(to+1, len(e.text)), "")
}

// lineLength is the number of bytes to the end of the line.
func lineLength(text []byte) int {
	n := bytes.IndexByte(text, '\n')
	if n < 0 {
		return len(text)
	}
	if n > 0 && text[n-1] == '\r' {
		n--
	}
	return n
}

func (e *editor) lineEnd(n *yaml.Node) int {
	at := e.offset(n)
	return at + lineLength(e.text[at:])
}

func (e *editor) newline() string {
	if bytes.Contains(e.text, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

func (e *editor) endLine() {
	if n := len(e.text); n > 0 && e.text[n-1] != '\n' {
		e.text = slices.Concat(e.text, []byte(e.newline()))
	}
}

// offset returns where a node begins; columns are counted in characters.
func (e *editor) offset(n *yaml.Node) int {
	at := 0
	for line := 1; line < n.Line; line++ {
		i := bytes.IndexByte(e.text[at:], '\n')
		if i < 0 {
			return len(e.text)
		}
		at += i + 1
	}
	for column := 1; column < n.Column && at < len(e.text); column++ {
		_, size := utf8.DecodeRune(e.text[at:])
		at += size
	}
	return at
}

// source returns a scalar as it is written.
func (e *editor) source(path []string, n *yaml.Node) string {
	from, to := e.span(path, n)
	return string(e.text[from:to])
}

// span returns the bytes of a node.
func (e *editor) span(path []string, n *yaml.Node) (from, to int) {
	from = e.offset(n)
	if n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 {
		e.fail(path, "it has an anchor or a tag")
		return from, from
	}
	rest := string(e.text[from:])
	switch {
	case n.Kind == yaml.AliasNode:
		to = from + 1 + len(n.Value)
	case n.Kind == yaml.ScalarNode && n.Style&yaml.DoubleQuotedStyle != 0:
		to = from + quoted(rest, '"')
	case n.Kind == yaml.ScalarNode && n.Style&yaml.SingleQuotedStyle != 0:
		to = from + quoted(rest, '\'')
	case n.Kind == yaml.ScalarNode && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && strings.HasPrefix(rest, n.Value):
		to = from + len(n.Value)
	case n.Kind != yaml.ScalarNode && n.Style&yaml.FlowStyle != 0:
		to = from + bracketed(rest)
	case n.Kind != yaml.ScalarNode && len(n.Content) > 0:
		last := n.Content[len(n.Content)-1]
		if _, to = e.span(path, last); absent(last) && n.Kind == yaml.MappingNode {
			_, to = e.span(path, n.Content[len(n.Content)-2])
			to++ // the colon
		}
	default:
		e.fail(path, "it goes over more than one line")
		return from, from
	}
	if to <= from && !absent(n) {
		e.fail(path, "its end is not found")
	}
	return from, to
}

// quoted returns the length of a quoted scalar, 0 where it has no end.
func quoted(s string, quote byte) int {
	for i := 1; i < len(s); i++ {
		switch {
		case quote == '"' && s[i] == '\\':
			i++
		case s[i] == quote && quote == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return 0
}

// bracketed returns the length of a list or group in brackets, 0 where it has no end.
func bracketed(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		case (c == '"' || c == '\'') && strings.IndexByte(" ,[{:\n", s[i-1]) >= 0:
			n := quoted(s[i:], c)
			if n == 0 {
				return 0
			}
			i += n - 1
		case c == '#' && strings.IndexByte(" \t\n", s[i-1]) >= 0:
			i += lineLength([]byte(s[i:])) - 1
		}
	}
	return 0
}
