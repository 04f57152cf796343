package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
	"github.com/tributary-sync/tributary/web/messages"
)

// The limits of the page of a conflict: a copy may have megabytes, which nobody reads on a telephone.
const (
	maxShown       = 200_000 // bytes of a copy
	maxDifferences = 200     // rows
	maxForm        = 4 << 10 // bytes
)

type conflictPage struct {
	page
	C                       control.ShownConflict
	Basis                   string
	Sentences               []string
	Differences             []control.ElementDifference
	MoreDifferences         string
	NoDifference            string
	LocalName, IncomingName string
	Sides                   []side
}

// side is one of the two copies.
type side struct {
	Name, By, State, Class string
	Authored               when
	Choice                 string // what its button chooses, empty where there is nothing to choose
	Text, Empty            string
}

func (w *Web) conflict(out http.ResponseWriter, r *http.Request) error {
	c, err := w.ctl.Conflict(r.Context(), r.PathValue("uuid"))
	if err != nil {
		return err
	}
	names, err := w.ctl.Names(r.Context(), c.Local.Author, c.Incoming.Author)
	if err != nil {
		return err
	}
	base, err := w.peered(r.Context(), w.page(r, "", "/conflicts"))
	if err != nil {
		return err
	}
	base.Title = base.t("conflict.title", "record", c.Key.String())
	p := conflictPage{page: base, C: c, Basis: c.Basis, LocalName: base.t("conflict.ours"), IncomingName: base.t("conflict.theirs", "peer", base.peer(c.Peer, "who.another"))}
	p.Sentences = p.conflictWords(c.Conflict)
	p.Sides = []side{
		p.sideOf(c.Conflict, p.LocalName, "local", c.Local, c.LocalContent, names),
		p.sideOf(c.Conflict, p.IncomingName, "incoming", c.Incoming, c.IncomingContent, names),
	}
	switch {
	case c.Local.Deleted != c.Incoming.Deleted:
		p.NoDifference = p.t("conflict.deleted_changed")
	case c.LocalContent == nil || c.IncomingContent == nil:
		p.NoDifference = p.t("conflict.no_two")
	default:
		p.NoDifference = p.t("conflict.same")
		p.Differences = c.Differences
		for i, d := range p.Differences {
			p.Differences[i].Words = p.either("difference."+slug(d.Words), d.Words)
			p.Differences[i].Ancestor, p.Differences[i].Local, p.Differences[i].Incoming = clip(d.Ancestor), clip(d.Local), clip(d.Incoming)
		}
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
		out = append(out, p.t("conflict.done_"+c.Winner), p.t("conflict.by_rule", "rule", c.Rule, "at", p.moment(c.Closed)))
	}
	if c.Remark != "" {
		out = append(out, p.t("conflict.remark", "remark", sentence(c.Remark)))
	}
	if c.Flagged {
		out = append(out, p.t("conflict.flagged"))
	}
	return append(out, p.t("conflict.stays"))
}

func (p page) sideOf(c control.Conflict, name, choice string, s version.Stamp, content []byte, names map[version.Replica]string) side {
	out := side{Name: name, By: or(names[s.Author], string(s.Author)), Authored: p.when(s.Authored)}
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
	r.Body = http.MaxBytesReader(out, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return syncerr.New(syncerr.Invalid, "resolve conflict", "the form cannot be read: %w", err)
	}
	if _, err := w.ctl.As("dashboard").ResolveConflict(r.Context(), r.PathValue("uuid"), control.Resolution{
		Choice: control.Choice(r.PostForm.Get("choice")), Basis: r.PostForm.Get("basis"), Remark: r.PostForm.Get("remark"),
	}); err != nil {
		return err
	}
	http.Redirect(out, r, "/conflicts/"+r.PathValue("uuid"), http.StatusSeeOther)
	return nil
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
