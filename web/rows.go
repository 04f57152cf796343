package web

import (
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
		out[i] = conflictRow{UUID: c.UUID, Key: c.Key, Opened: p.when(c.Opened), Peer: p.peer(c.Peer, "another node")}
		out[i].State, out[i].Class = conflictState(c)
	}
	return out
}

func conflictState(c control.Conflict) (text, class string) {
	switch {
	case c.Status == control.ConflictOpen:
		return "waits for a person", classWarn
	case c.Winner == "local":
		return "this node's copy was kept", classOK
	case c.Winner == "incoming":
		return "the other copy was kept", classOK
	}
	return "decided elsewhere", classOK
}

type parkedRow struct {
	Key    fhir.Key
	Way    string
	Reason string
	Since  when
	Tries  string
	Next   when
	Due    bool // the next round tries it
}

func (p page) parkedRows(parked []control.Parked) []parkedRow {
	out := make([]parkedRow, len(parked))
	for i, x := range parked {
		way := "could not be taken over"
		if x.Direction == control.Push {
			way = "was not taken by the parent"
		}
		out[i] = parkedRow{
			Key: x.Key, Way: way, Reason: reason(x.Reason, x.Key), Since: p.when(x.ParkedAt), Next: p.when(x.NextRetry), Due: x.NextRetry <= p.now,
			Tries: count(x.Attempts, "try so far", "tries so far"),
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
	Refusal string
}

func (p page) heldRows(held []control.Held) []heldRow {
	out := make([]heldRow, len(held))
	for i, h := range held {
		out[i] = heldRow{Key: h.Key, Since: p.when(h.HeldAt), Refusal: sentence(h.Refusal)}
	}
	return out
}
