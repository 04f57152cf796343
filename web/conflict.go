package web

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
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
	base, err := w.peered(r.Context(), w.page("Conflict about "+c.Key.String(), "/conflicts"))
	if err != nil {
		return err
	}
	p := conflictPage{page: base, C: c, Basis: c.Basis, LocalName: "This node's copy", IncomingName: "The copy from " + base.peer(c.Peer, "the other node")}
	p.Sentences = p.conflictWords(c.Conflict)
	p.Sides = []side{
		p.sideOf(c.Conflict, p.LocalName, "local", c.Local, c.LocalContent, names),
		p.sideOf(c.Conflict, p.IncomingName, "incoming", c.Incoming, c.IncomingContent, names),
	}
	switch {
	case c.Local.Deleted != c.Incoming.Deleted:
		p.NoDifference = "One side deleted the record, the other changed it."
	case c.LocalContent == nil || c.IncomingContent == nil:
		p.NoDifference = "There are not two contents to compare."
	default:
		p.NoDifference = "Both copies say the same."
		p.Differences = c.Differences
		for i, d := range p.Differences {
			p.Differences[i].Ancestor, p.Differences[i].Local, p.Differences[i].Incoming = clip(d.Ancestor), clip(d.Local), clip(d.Incoming)
		}
	}
	if more := len(p.Differences) - maxDifferences; more > 0 {
		p.Differences = p.Differences[:maxDifferences]
		p.MoreDifferences = "and " + count(more, "more difference", "more differences") + "; both copies are below."
	}
	w.show(out, http.StatusOK, "conflict", p)
	return nil
}

func (p page) conflictWords(c control.Conflict) []string {
	out := []string{"This record was changed here and at another place before either knew of the other, found " + control.Ago(p.now, c.Opened) + " (" + control.UTC(c.Opened) + ")."}
	if c.Kind == control.KindIdentity {
		out = append(out, "It was made on both sides independently, perhaps for two different persons or things.")
	}
	if c.Status == control.ConflictHeld {
		return append(out, "The other place decides which copy is right; you may do it here as well.")
	}
	if c.Status == control.ConflictOpen {
		if c.Reason != "" {
			out = append(out, sentence(c.Reason))
		}
		return append(out, "A person has to say which copy is right; until then this node keeps its own.")
	}
	switch c.Winner {
	case "local":
		out = append(out, "This node's copy was kept")
	case "incoming":
		out = append(out, "The other copy was kept")
	case control.Merged:
		out = append(out, "What each side changed was put together")
	default:
		out = append(out, "It was decided at another node")
	}
	if c.Rule != "" {
		out[len(out)-1] += " (rule: " + c.Rule + ")"
	}
	if c.Actor != "" {
		out[len(out)-1] += " by " + c.Actor
	}
	if c.Closed > 0 {
		out[len(out)-1] += " on " + control.UTC(c.Closed)
	}
	out[len(out)-1] += "."
	if c.Remark != "" {
		out = append(out, "The reason given: "+sentence(c.Remark))
	}
	if c.Flagged {
		out = append(out, "One side had deleted the record, so please look whether it should stay.")
	}
	return append(out, "The copy that was not chosen stays readable here.")
}

func (p page) sideOf(c control.Conflict, name, choice string, s version.Stamp, content []byte, names map[version.Replica]string) side {
	out := side{Name: name, By: or(names[s.Author], string(s.Author)), Authored: p.when(s.Authored)}
	switch {
	case c.Status != control.ConflictDecided:
		out.Choice = choice
	case c.Winner == choice:
		out.State, out.Class = "kept", classOK
	case c.Winner == "local" || c.Winner == "incoming":
		out.State = "not chosen"
	}
	switch {
	case s.Deleted:
		out.Empty = "This side deleted the record."
	case content == nil:
		out.Empty = "Its content is not stored here."
	default:
		out.Text = pretty(content)
	}
	return out
}

// pretty indents JSON without touching its values, and cuts what nobody would read.
func pretty(content []byte) string {
	var b bytes.Buffer
	if err := json.Indent(&b, content, "", "  "); err != nil {
		b.Reset()
		b.Write(content)
	}
	if b.Len() > maxShown {
		return string(bytes.ToValidUTF8(b.Bytes()[:maxShown], nil)) + "\n... and " + size(int64(b.Len()-maxShown)) + " more"
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
