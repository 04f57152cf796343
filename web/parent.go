package web

import (
	"html/template"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/control"
)

type parent struct {
	Name, URL, State, Class string
	Sentence                template.HTML
	Ways                    []way
}

// way is one direction to the parent. Error is what the program noted, in English.
type way struct {
	Text, State, Class string
	Last               when
	Waiting            string
	Did                string
	Next               template.HTML
	Error              string
}

func (p page) parentOf(s control.Status) *parent {
	x := s.Parent
	if x == nil {
		return nil
	}
	out := &parent{Name: or(x.Name, p.t("parent.unmet")), URL: x.URL, Sentence: p.parentWords(*x)}
	switch {
	case x.Reachable:
		out.State, out.Class = p.t("parent.reachable"), classOK
	case x.LastError != "":
		out.State, out.Class = p.t("parent.unreachable"), classBad
	case x.LastSeen > 0:
		out.State = p.t("parent.seen", "ago", p.say.Ago(p.Now, x.LastSeen))
	default:
		out.Name, out.State, out.Class = p.t("parent.title"), p.t("parent.unmet"), classWarn
	}
	out.Ways = []way{p.wayOf("pull", x.Pull), p.wayOf("push", x.Push)}
	return out
}

// parentWords says how the link stands in one sentence.
func (p page) parentWords(x control.Parent) template.HTML {
	var parts []string
	for _, d := range []control.Direction{x.Pull, x.Push} {
		if d.Enabled {
			parts = append(parts, string(p.h("parent.last_"+d.Direction, "ago", p.ago(d.LastSuccess))))
		}
	}
	if len(parts) == 0 {
		return p.h("parent.off")
	}
	waiting := 0
	for _, d := range []control.Direction{x.Pull, x.Push} {
		if d.Backlog > 0 && d.Enabled {
			parts = append(parts, string(p.h("parent.waits_"+d.Direction, "n", d.Backlog)))
			waiting++
		}
	}
	if waiting == 0 {
		parts = append(parts, string(p.h("parent.waits_nothing")))
	}
	return template.HTML(sentence(strings.Join(parts, p.t("list.and")))) //nolint:gosec // escaped above
}

func (p page) wayOf(name string, d control.Direction) way {
	out := way{Text: p.t("way." + name), Last: p.when(d.LastSuccess)}
	if !d.Enabled {
		out.State = p.t("way.off")
		return out
	}
	if d.Last != nil {
		out.Did = p.runWords(*d.Last)
	}
	out.Waiting = p.t("way.nothing_" + name)
	if d.Backlog > 0 {
		out.Waiting = p.t("way.waits_"+name, "n", d.Backlog)
	}
	switch {
	case d.Running && d.Direction == control.Pull && d.Backlog == 0 && d.LastError == "":
		out.State, out.Class = p.t("way.listening"), classOK
	case d.Running:
		out.State, out.Class = p.t("way.working"), classOK
	case d.LastError != "":
		out.State, out.Class = p.t("way.stuck"), classBad
	default:
		out.State, out.Class = p.t("way.ready"), classOK
	}
	if d.LastError != "" {
		out.Error, out.Did = sentence(d.LastError), ""
	}
	if d.NextAttempt > p.Now && !d.Running {
		out.Next = p.h("way.next", "in", p.ago(d.NextAttempt), "at", p.moment(d.NextAttempt))
		if d.Backoff > 0 {
			out.Next = p.h("way.next_after", "in", p.ago(d.NextAttempt), "at", p.moment(d.NextAttempt), "span", time.Duration(d.Backoff)*time.Millisecond)
		}
	}
	return out
}
