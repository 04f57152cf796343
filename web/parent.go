package web

import (
	"strings"
	"time"

	"github.com/tributary-sync/tributary/control"
)

type parent struct {
	Name, URL, State, Class, Sentence string
	Ways                              []way
}

// way is one direction to the parent.
type way struct {
	Text, State, Class string
	Last               when
	Waiting            string
	Did                string
	Next               string
	Error              string
}

func (p page) parentOf(s control.Status) *parent {
	x := s.Parent
	if x == nil {
		return nil
	}
	out := &parent{Name: or(x.Name, "not met yet"), URL: x.URL, Sentence: p.parentWords(*x)}
	switch {
	case x.Reachable:
		out.State, out.Class = "in touch", classOK
	case x.LastError != "":
		out.State, out.Class = "out of touch", classBad
	case x.LastSeen > 0:
		out.State = "last seen " + control.Ago(p.now, x.LastSeen)
	default:
		out.Name, out.State, out.Class = "The parent", "not met yet", classWarn
	}
	out.Ways = []way{p.wayOf("Fetching from the parent (pull)", x.Pull), p.wayOf("Sending to the parent (push)", x.Push)}
	return out
}

// parentWords says how the link stands in one sentence.
func (p page) parentWords(x control.Parent) string {
	var parts []string
	for _, d := range []control.Direction{x.Pull, x.Push} {
		if d.Enabled {
			parts = append(parts, "last "+d.Direction+" "+control.Ago(p.now, d.LastSuccess))
		}
	}
	if len(parts) == 0 {
		return "Nothing is fetched from it and nothing is sent to it: both are off in the configuration."
	}
	var waiting []string
	if n := x.Pull.Backlog; n > 0 && x.Pull.Enabled {
		waiting = append(waiting, count(n, "change", "changes")+" to fetch")
	}
	if n := x.Push.Backlog; n > 0 && x.Push.Enabled {
		waiting = append(waiting, count(n, "change", "changes")+" to send")
	}
	if len(waiting) == 0 {
		parts = append(parts, "nothing waiting")
	}
	return sentence(strings.Join(append(parts, waiting...), ", "))
}

func (p page) wayOf(text string, d control.Direction) way {
	out := way{Text: text, Last: p.when(d.LastSuccess)}
	if d.Last != nil {
		out.Did = p.runWords(*d.Last)
	}
	verb := "to be sent"
	if d.Direction == control.Pull {
		verb = "to be fetched"
	}
	switch {
	case !d.Enabled:
		out.State, out.Did = "off", ""
		return out
	case d.Backlog == 0:
		out.Waiting = "Nothing waits " + verb + "."
	default:
		out.Waiting = count(d.Backlog, "change waits ", "changes wait ") + verb + "."
	}
	switch {
	case d.Running && d.Direction == control.Pull && d.Backlog == 0 && d.LastError == "":
		out.State, out.Class = "listening", classOK
	case d.Running:
		out.State, out.Class = "at work", classOK
	case d.LastError != "":
		out.State, out.Class = "does not get through", classBad
	default:
		out.State, out.Class = "ready", classOK
	}
	if d.LastError != "" {
		out.Error = "The last attempt: " + sentence(d.LastError)
		out.Did = ""
	}
	if d.NextAttempt > p.now && !d.Running {
		out.Next = "Next attempt " + control.Ago(p.now, d.NextAttempt) + " (" + control.UTC(d.NextAttempt) + ")"
		if d.Backoff > 0 {
			out.Next += ", because it waits " + control.Span(time.Duration(d.Backoff)*time.Millisecond) + " after a failure"
		}
		out.Next += "."
	}
	return out
}
