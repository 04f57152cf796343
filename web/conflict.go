package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
	"github.com/tributary-sync/tributary/web/messages"
)

// The limits of the page of a conflict: a copy may have megabytes, which nobody reads on a telephone.
const (
	maxShown       = 200_000 // bytes of a copy
	maxDifferences = 200     // rows
	maxForm        = 4 << 10 // bytes
	maxMerge       = 1 << 20 // bytes of the form of a merge
)

type conflictPage struct {
	page
	C                       control.ShownConflict
	Basis                   string
	Sentences               []string
	Differences             []difference
	Merge                   bool   // it can be merged field by field
	Action                  string // where its forms go
	MoreDifferences         string
	NoDifference            string
	LocalName, IncomingName string
	Sides                   []side
	Ancestor                *side // nil where there was none, or nobody knows it
}

// difference is an element with what a person may choose for it.
type difference struct {
	control.ElementDifference
	Name   string // of its fields in the form
	JSON   string // what a person begins with who writes another value
	Text   bool   // its value is a text, which is written without quotation marks
	Chosen string // what a merge takes by itself: local, incoming, or empty where a person has to say
}

// side is one of the two copies.
type side struct {
	Name, By, State, Class string
	Version                string
	Authored               when
	Choice                 string // what its button chooses, empty where there is nothing to choose
	Text, Empty            string
	Open                   bool
}

func (w *Web) conflict(out http.ResponseWriter, r *http.Request) error {
	c, err := w.ctl.Conflict(r.Context(), r.PathValue("uuid"))
	if err != nil {
		return err
	}
	base, err := w.peered(r.Context(), w.page(r, "", "/conflicts"))
	if err != nil {
		return err
	}
	base.Title = base.t("conflict.title", "record", c.Key.String())
	p := conflictPage{page: base, C: c, Basis: c.Basis, Action: conflictPath(c.UUID, c.Key), Merge: c.Basis != "", LocalName: base.t("conflict.ours"), IncomingName: base.t("conflict.theirs", "peer", base.peer(c.Peer, "who.another"))}
	p.Sentences = p.conflictWords(c.Conflict)
	p.Sides = []side{
		p.sideOf(c.Conflict, p.LocalName, "local", c.LocalBy, c.Local, c.LocalContent),
		p.sideOf(c.Conflict, p.IncomingName, "incoming", c.IncomingBy, c.Incoming, c.IncomingContent),
	}
	switch {
	case c.Local.Deleted != c.Incoming.Deleted:
		p.NoDifference = p.t("conflict.deleted_changed")
	case c.LocalContent == nil || c.IncomingContent == nil:
		p.NoDifference = p.t("conflict.no_two")
	default:
		p.NoDifference = p.t("conflict.same")
		for i, d := range c.Differences {
			x := difference{ElementDifference: d, Name: strconv.Itoa(i), Chosen: d.Takes}
			x.Words = p.either("difference."+slug(d.Words), d.Words)
			x.Text = strings.HasPrefix(d.Local+d.Incoming+d.Ancestor, `"`)
			if !x.Text {
				x.JSON = indented(or(d.Local, d.Incoming))
			}
			x.Ancestor, x.Local, x.Incoming = plain(d.Ancestor), plain(d.Local), plain(d.Incoming)
			p.Differences = append(p.Differences, x)
		}
	}
	p.Merge = p.Merge && len(p.Differences) > 0 && len(p.Differences) <= maxDifferences
	if !c.Ancestor.IsZero() {
		before := side{Name: p.t("conflict.ancestor"), Version: c.Ancestor.String(), Empty: p.t("conflict.not_stored")}
		if c.AncestorContent != nil {
			before.Text = p.pretty(c.AncestorContent)
		}
		p.Ancestor = &before
	}
	if more := len(p.Differences) - maxDifferences; more > 0 {
		p.Differences = p.Differences[:maxDifferences]
		p.MoreDifferences = p.t("conflict.more", "n", more)
	}
	w.show(out, http.StatusOK, "conflict", p)
	return nil
}

func (p page) conflictWords(c control.Conflict) []string {
	out := []string{p.t("conflict.found", "ago", p.say.Ago(p.Now, c.Opened), "at", p.moment(c.Opened))}
	if c.Kind == control.KindIdentity {
		out = append(out, p.t("conflict.identity"))
	}
	switch c.Status {
	case control.ConflictHeld:
		return append(out, p.t("conflict.held"))
	case control.ConflictOpen:
		return append(out, p.t("conflict.open"))
	}
	switch {
	case c.Winner != "local" && c.Winner != "incoming" && c.Winner != control.Merged:
		out = append(out, p.t("conflict.done_elsewhere", "at", p.moment(c.Closed)))
	case c.Actor != "":
		out = append(out, p.t("conflict.done_"+c.Winner), p.t("conflict.by_person", "person", c.Actor, "at", p.moment(c.Closed)))
	default:
		out = append(out, p.t("conflict.done_"+c.Winner), p.t("conflict.by_rule", "rule", p.policy(reconcile.Policy(c.Rule)), "at", p.moment(c.Closed)))
	}
	if c.Remark != "" {
		out = append(out, p.t("conflict.remark", "remark", sentence(c.Remark)))
	}
	if c.Flagged {
		out = append(out, p.t("conflict.flagged"))
	}
	if c.Winner == control.Merged {
		return append(out, p.t("conflict.both_stay"))
	}
	return append(out, p.t("conflict.stays"))
}

func (p page) sideOf(c control.Conflict, name, choice, by string, s version.Stamp, content []byte) side {
	out := side{Name: name, Version: s.Version.String(), By: or(by, string(s.Author)), Authored: p.when(s.Authored)}
	switch {
	case c.Status != control.ConflictDecided:
		out.Choice = choice
	case c.Winner == choice:
		out.State, out.Class = p.t("conflict.kept"), classOK
	case c.Winner == "local" || c.Winner == "incoming":
		out.State = p.t("conflict.not_chosen")
	}
	switch {
	case s.Deleted:
		out.Empty = p.t("conflict.side_deleted")
	case content == nil:
		out.Empty = p.t("conflict.not_stored")
	default:
		out.Text = p.pretty(content)
	}
	return out
}

// pretty indents JSON without touching its values, and cuts what nobody would read.
func (p page) pretty(content []byte) string {
	var b bytes.Buffer
	if err := json.Indent(&b, content, "", "  "); err != nil {
		b.Reset()
		b.Write(content)
	}
	if b.Len() > maxShown {
		return string(bytes.ToValidUTF8(b.Bytes()[:maxShown], nil)) + "\n... " + p.t("conflict.cut", "size", messages.Bytes(b.Len()-maxShown))
	}
	return b.String()
}

// resolve writes what a person chose.
func (w *Web) resolve(out http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(out, r.Body, maxMerge)
	if err := r.ParseForm(); err != nil {
		return syncerr.New(syncerr.Invalid, "resolve conflict", "the form cannot be read: %w", err)
	}
	choice := control.Resolution{Choice: control.Choice(r.PostForm.Get("choice")), Basis: r.PostForm.Get("basis"), Remark: r.PostForm.Get("remark")}
	if choice.Choice == "merge" {
		choice.Choice = ""
		var err error
		if choice.Fields, choice.Values, err = fieldChoices(r.PostForm); err != nil {
			return err
		}
	}
	done, err := w.ctl.As("dashboard").ResolveConflict(r.Context(), r.PathValue("uuid"), choice)
	if err != nil {
		return err
	}
	http.Redirect(out, r, conflictPath(done.UUID, done.Key), http.StatusSeeOther)
	return nil
}

// fieldChoices reads what a person chose for each element: a copy, or a value of one's own. path.N names the element, take.N what was chosen,
// value.N the value: JSON, or a text where text.N says so.
func fieldChoices(f url.Values) (map[string]control.Choice, map[string]json.RawMessage, error) {
	choices, values := map[string]control.Choice{}, map[string]json.RawMessage{}
	for i := range maxDifferences {
		n := strconv.Itoa(i)
		path, value := f.Get("path."+n), strings.TrimSpace(f.Get("value."+n))
		switch take := f.Get("take." + n); {
		case path == "":
		case take == "own" && value == "":
			return nil, nil, syncerr.New(syncerr.Invalid, "resolve conflict", "%s: another value was chosen, and none was written", path)
		case take == "own" && f.Get("text."+n) == "":
			values[path] = json.RawMessage(value)
		case take == "own":
			text, err := json.Marshal(value)
			if err != nil {
				return nil, nil, err
			}
			values[path] = text
		case take != "":
			choices[path] = control.Choice(take)
		}
	}
	return choices, values, nil
}

// plain writes a JSON value for people: a text without its quotation marks, an object or a list with a line for each value and its names before it.
func plain(value string) string {
	if value == "" {
		return ""
	}
	var b strings.Builder
	d := json.NewDecoder(strings.NewReader(value))
	d.UseNumber()
	if lines(d, "", &b) != nil {
		return clip(value)
	}
	return clip(strings.TrimSuffix(b.String(), "\n"))
}

// lines writes the next value of d, which stands under a name.
func lines(d *json.Decoder, name string, b *strings.Builder) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	open, nested := token.(json.Delim)
	if !nested {
		if name != "" {
			name += ": "
		}
		fmt.Fprintf(b, "%s%v\n", name, token)
		return nil
	}
	for i := 1; d.More(); i++ {
		inner := name
		if open == '[' && i > 1 {
			inner = fmt.Sprintf("%s (%d)", name, i)
		}
		if open == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			inner = strings.TrimPrefix(fmt.Sprintf("%s %v", name, key), " ")
		}
		if err := lines(d, inner, b); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// indented writes a JSON value with a line for each member.
func indented(value string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(value), "", "  ") != nil {
		return value
	}
	return b.String()
}

// clip cuts a value that is too long for a table.
func clip(s string) string {
	const most = 2000
	if len(s) <= most {
		return s
	}
	return string(bytes.ToValidUTF8([]byte(s[:most]), nil)) + " ..."
}

// slug turns one of the few phrases of reconcile into the key of a text.
func slug(phrase string) string {
	return strings.NewReplacer(" ", "_", ",", "", ";", "").Replace(phrase)
}
