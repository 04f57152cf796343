package web

import (
	"html/template"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/web/messages"
)

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	first, n := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(first)) + s[n:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

// The classes of badges and banners.
const (
	classOK   = "ok"
	classWarn = "warn"
	classBad  = "bad"
)

// outcomeWords says what became of something, for people, with the class of its badge.
func (p page) outcomeWords(o audit.Outcome) (text, class string) {
	switch o {
	case audit.Applied, audit.Done, audit.Decided:
		class = classOK
	case audit.Deferred, audit.Parked:
		class = classWarn
	case audit.Refused, audit.Failed:
		class = classBad
	}
	return p.either("outcome."+string(o), string(o)), class
}

// auditRow is a record of the audit as a sentence. Details is what the program noted, in English.
type auditRow struct {
	ID            int64
	When          when
	What          template.HTML
	Details       string
	Result, Class string
}

func (p page) auditRows(records []audit.Record) []auditRow {
	out := make([]auditRow, len(records))
	for i, r := range records {
		row := auditRow{ID: r.ID, When: p.when(r.Time), Details: reason(r.Details, r.Key)}
		row.Result, row.Class = p.outcomeWords(r.Outcome)
		if r.Key == (fhir.Key{}) {
			row.What = p.eventWords(r)
		} else {
			row.What = p.changeWords(r)
		}
		out[i] = row
	}
	return out
}

// changeWords says what happened to a resource.
func (p page) changeWords(r audit.Record) template.HTML {
	key, otherwise := "", "who.parent"
	switch r.Operation {
	case audit.Pull:
		key = "change.came"
	case audit.Push:
		key = "change.sent"
	case audit.Receive:
		key, otherwise = "change.came", "who.child"
	case audit.Refuse:
		key = "change.refused"
	case audit.Admin:
		key = "change.person"
		switch r.Action {
		case "RESOLVE":
			key = "change.resolved"
		case "GIVE-UP":
			key = "change.given_up"
		case "TAKE-UP":
			key = "change.taken_up"
		case "RETRY":
			key = "change.retried"
		}
	case audit.Local:
		switch r.Action {
		case "CREATED":
			key = "change.created"
		case "DELETED":
			key = "change.deleted"
		default:
			key = "change.changed"
		}
	default:
		return p.record(r.Key)
	}
	if r.Action == "DELETED" && (key == "change.came" || key == "change.sent") {
		key += "_deletion"
	}
	return p.h(key, "record", p.record(r.Key), "peer", p.peer(r.Peer, otherwise))
}

// eventWords says what happened where no resource is named.
func (p page) eventWords(r audit.Record) template.HTML {
	switch r.Operation {
	case audit.Pull:
		return p.h("event.pull", "peer", p.peer(r.Peer, "who.parent"))
	case audit.Push:
		return p.h("event.push", "peer", p.peer(r.Peer, "who.parent"))
	case audit.Device:
		return p.h("event.device", "peer", p.peer(r.Peer, "who.unnamed"))
	case audit.Refuse:
		return p.h("event.refused")
	case audit.Admin:
		if p.say.Has("did." + r.Action) {
			return p.h("did." + r.Action)
		}
		return p.h("did.something")
	}
	return p.h("event.noted", "what", string(r.Operation)+" "+r.Action)
}

// runRow is a pass as a sentence. Error is what the program noted, in English.
type runRow struct {
	ID            string
	Started       when
	Sentence      string
	Error         string
	Result, Class string
}

func (p page) runRows(runs []audit.Run) []runRow {
	out := make([]runRow, len(runs))
	for i, r := range runs {
		row := runRow{ID: r.ID, Started: p.when(r.Started), Sentence: p.runWords(r), Error: sentence(r.Error), Result: p.either("run."+r.Outcome, p.t("run.failed"))}
		switch r.Outcome {
		case "done":
			row.Class = classOK
		case "interrupted":
			row.Class = classWarn
		case "failed":
			row.Class = classBad
		}
		out[i] = row
	}
	return out
}

func (p page) runWords(r audit.Run) string {
	way, bytes := "pulled", r.BytesIn
	if r.Direction == control.Push {
		way, bytes = "pushed", r.BytesOut
	}
	s := p.t("run."+way+"_nothing", "peer", p.peer(r.Peer, "who.parent"))
	if r.Read > 0 {
		s = p.t("run."+way, "n", r.Read, "peer", p.peer(r.Peer, "who.parent"), "applied", r.Applied)
	}
	for _, part := range []struct {
		n   int64
		key string
	}{{r.Skipped, "run.skipped"}, {r.Held, "run.held"}, {r.Parked, "run.parked"}} {
		if part.n > 0 {
			s += p.t("list.and") + p.t(part.key, "n", part.n)
		}
	}
	if bytes > 0 {
		s += p.t("list.then") + p.t("run.bytes", "size", messages.Bytes(bytes))
	}
	if took := r.Finished - r.Started; r.Finished > 0 && took >= 1000 {
		s += p.t("list.then") + p.t("run.took", "span", time.Duration(took)*time.Millisecond)
	}
	return s + "."
}
