package control

import (
	"strings"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
)

// story says in sentences how a resource came to be as it is here, and where it is to go.
func (e Explanation) story(now int64) []Sentence {
	record := map[string]string{"record": e.Key.String()}
	if e.Current == nil {
		out := []Sentence{{Code: "never_here", Words: record, Text: "This node has never had a copy of " + e.Key.String() + "."}}
		return append(append(out, e.absent...), e.pending()...)
	}
	out := []Sentence{{Code: "here", Words: record, Text: "This node has a copy of " + e.Key.String() + "."}}
	if !e.Exists {
		out[0] = Sentence{Code: "deleted", Words: record, Text: e.Key.String() + " was deleted."}
	}
	for i, h := range e.History {
		if h.Version != e.Current.Version {
			continue
		}
		out = append(out, Sentence{
			Code: "written", Times: map[string]int64{"at": h.Authored}, Words: map[string]string{"node": h.By},
			Text: "The present version was written at " + h.By + " on " + UTC(h.Authored) + " (" + Ago(now, h.Authored) + ").",
		})
		if h.From != FromHere {
			from := h.Source
			if h.From == FromParent {
				from = "the parent"
			}
			out = append(out, Sentence{
				Code: "came_from_" + h.From, Times: map[string]int64{"at": h.Committed}, Words: map[string]string{"source": h.Source},
				Text: "It came here from " + from + " on " + UTC(h.Committed) + " (" + Ago(now, h.Committed) + ").",
			})
		}
		if n := len(e.History) - i - 1; n > 0 {
			out = append(out, Sentence{Code: "earlier", Count: int64(n), Text: plural(n, "earlier version is", "earlier versions are") + " listed below."})
		}
		break
	}
	out = append(out, e.decided()...)
	out = append(out, e.decidedElsewhere(e.names)...)
	out = append(out, e.pending()...)
	return append(out, e.upward()...)
}

// upward says whether the parent has the present version.
func (e Explanation) upward() []Sentence {
	s := Sentence{Code: "at_parent_" + e.AtParent, Words: map[string]string{"type": e.Key.Type}}
	switch e.AtParent {
	case AtParentYes:
		s.Text = "The parent has this version."
	case AtParentOffered:
		s.Text = "It was sent to the parent, which has this version or one that takes it into account."
	case AtParentWaiting:
		s.Text = "The parent does not have it yet: the next push takes it there."
	case AtParentNotPushed:
		s.Text = "Records of type " + e.Key.Type + " are not sent to the parent."
	default:
		return nil
	}
	return []Sentence{s}
}

// decided says how the present version came of a conflict, if it did.
func (e Explanation) decided() []Sentence {
	for _, x := range e.Conflicts {
		if x.Status != store.ConflictDecided || x.Decided != e.Current.Version {
			continue
		}
		s := Sentence{Words: map[string]string{"conflict": x.UUID, "rule": x.Rule}}
		text := "It settled a conflict"
		switch {
		case x.Actor != "":
			s.Code, s.Words["person"] = "settled_by_person", x.Actor
			text += ": " + x.Actor + " decided it"
			if x.Remark != "" {
				s.Code, s.Words["remark"] = "settled_because", x.Remark
				text += ", because: " + x.Remark
			}
		case x.Winner == Merged:
			s.Code, s.Words["version"] = "settled_by_merge", x.Ancestor.String()
			text += ": two copies, both made from version " + x.Ancestor.String() + ", were put together by the rule " + x.Rule
		default:
			s.Code = "settled_by_rule"
			text += " by the rule " + x.Rule
		}
		if x.Reason != "" {
			text += " (" + x.Reason + ")"
		}
		s.Text = text + ". Both copies: conflict " + x.UUID + "."
		return []Sentence{s}
	}
	return nil
}

// Reason leaves out of a noted error which record it is about, where that is said beside it.
func Reason(text string, key fhir.Key) string {
	return strings.TrimPrefix(text, "accept "+key.String()+": ")
}

// pending says what is not settled.
func (e Explanation) pending() []Sentence {
	var out []Sentence
	for _, x := range e.Conflicts {
		if x.Status == store.ConflictOpen {
			s := Sentence{Code: "conflict_open", Words: map[string]string{"conflict": x.UUID}, Text: "A conflict waits for a person to decide which of two copies is right."}
			if x.Reason != "" {
				s.Text += " The reason: " + x.Reason + "."
			}
			out = append(out, s)
		}
	}
	for _, p := range e.Parked {
		s := Sentence{Code: "not_taken", Count: int64(p.Attempts), Words: map[string]string{"error": p.Reason, "kind": p.Kind}}
		where := "could not be taken over here"
		if p.Direction == Push {
			s.Code, where = "not_delivered", "was refused by the parent"
		}
		s.Text = "A change " + where + " after " + plural(p.Attempts, "attempt", "attempts") + ": " + Reason(p.Reason, p.Key)
		out = append(out, s)
		if g := p.GivenUp; g != nil {
			out = append(out, Sentence{
				Code: "given_up", Times: map[string]int64{"at": g.At}, Words: map[string]string{"person": g.By, "why": g.Why},
				Text: g.By + " gave it up on " + UTC(g.At) + ", so it is not tried any more: " + g.Why,
			})
		}
	}
	for _, h := range e.Held {
		s := Sentence{Code: "held", Text: "A newer copy from the parent waits here until the parent has decided between it and this node's own."}
		if h.Refusal != "" {
			s.Code, s.Words = "held_refused", map[string]string{"error": h.Refusal}
			s.Text += " The parent refused this node's copy: " + h.Refusal
		}
		out = append(out, s)
	}
	return out
}
