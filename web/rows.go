package web

import (
	"html/template"
	"strings"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
)

type conflictRow struct {
	UUID   string
	Key    fhir.Key
	Opened when
	Peer   string
	State  string
	Class  string
}

func (p page) conflictRows(conflicts []control.Conflict) []conflictRow {
	out := make([]conflictRow, len(conflicts))
	for i, c := range conflicts {
		out[i] = conflictRow{UUID: c.UUID, Key: c.Key, Opened: p.when(c.Opened), Peer: p.peer(c.Peer, "who.another")}
		out[i].State, out[i].Class = p.conflictState(c)
	}
	return out
}

func (p page) conflictState(c control.Conflict) (text, class string) {
	switch {
	case c.Status == control.ConflictOpen:
		return p.t("outcome.deferred"), classWarn
	case c.Status == control.ConflictHeld:
		return p.t("outcome.held"), ""
	case c.Winner == "local" || c.Winner == "incoming" || c.Winner == control.Merged:
		return p.t("conflict.kept_" + c.Winner), classOK
	}
	return p.t("conflict.elsewhere"), classOK
}

type parkedRow struct {
	What   template.HTML
	Reason string // as the program noted it, in English
	Since  when
	Tries  string
	Next   when
	Due    bool // the next round tries it
}

func (p page) parkedRows(parked []control.Parked) []parkedRow {
	out := make([]parkedRow, len(parked))
	for i, x := range parked {
		way := "parked.not_taken"
		if x.Direction == control.Push {
			way = "parked.not_delivered"
		}
		out[i] = parkedRow{
			What: p.h(way, "record", p.record(x.Key)), Reason: reason(x.Reason, x.Key), Since: p.when(x.ParkedAt), Next: p.when(x.NextRetry),
			Due: x.NextRetry <= p.Now, Tries: p.t("parked.tries", "n", x.Attempts),
		}
	}
	return out
}

// reason leaves out of an error what the row says already: which record it is about.
func reason(text string, key fhir.Key) string {
	return sentence(strings.TrimPrefix(text, "accept "+key.String()+": "))
}

type heldRow struct {
	Key     fhir.Key
	Since   when
	Refusal string // as the program noted it, in English
}

func (p page) heldRows(held []control.Held) []heldRow {
	out := make([]heldRow, len(held))
	for i, h := range held {
		out[i] = heldRow{Key: h.Key, Since: p.when(h.HeldAt), Refusal: sentence(h.Refusal)}
	}
	return out
}
