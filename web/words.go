package web

import (
	"strconv"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
)

// number writes a count with separators: 1,234,567.
func number[N int | int64 | uint64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count writes "1 change" or "1,200 changes".
func count[N int | int64 | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// size writes a number of bytes as people do.
func size(n int64) string {
	switch {
	case n < 1000:
		return count(n, "byte", "bytes")
	case n < 1_000_000:
		return strconv.FormatInt((n+500)/1000, 10) + " kB"
	}
	return strconv.FormatFloat(float64(n)/1e6, 'f', 1, 64) + " MB"
}

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
	if c := s[0]; c >= 'a' && c <= 'z' {
		s = string(c-'a'+'A') + s[1:]
	}
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
func outcomeWords(o audit.Outcome) (text, class string) {
	switch o {
	case audit.Applied, audit.Done:
		return "done", classOK
	case audit.Already:
		return "was there already", ""
	case audit.Equal:
		return "same on both sides", ""
	case audit.Superseded:
		return "a newer one was there", ""
	case audit.Decided:
		return "conflict decided", classOK
	case audit.Deferred:
		return "waits for a person", classWarn
	case audit.Held:
		return "waits for the parent", ""
	case audit.Parked:
		return "set aside", classWarn
	case audit.Refused:
		return "refused", classBad
	case audit.Failed:
		return "did not work", classBad
	}
	return string(o), ""
}

// auditRow is a record of the audit as a sentence: Before, the resource, After.
type auditRow struct {
	When          when
	Before, After string
	Key           fhir.Key
	Details       string
	Result, Class string
}

func (p page) auditRows(records []audit.Record) []auditRow {
	out := make([]auditRow, len(records))
	for i, r := range records {
		row := auditRow{When: p.when(r.Time), Key: r.Key, Details: reason(r.Details, r.Key)}
		row.Result, row.Class = outcomeWords(r.Outcome)
		if r.Key == (fhir.Key{}) {
			row.Before, row.Details = p.eventWords(r)
		} else {
			row.Before, row.After = p.changeWords(r)
		}
		out[i] = row
	}
	return out
}

// changeWords says what happened to a resource.
func (p page) changeWords(r audit.Record) (before, after string) {
	if r.Action == "DELETED" && r.Operation != audit.Local {
		before = "The deletion of "
	}
	switch r.Operation {
	case audit.Pull:
		return before, " came from " + p.peer(r.Peer, "the parent")
	case audit.Push:
		return before, " was sent to " + p.peer(r.Peer, "the parent")
	case audit.Receive:
		return before, " came from " + p.peer(r.Peer, "a child")
	case audit.Local:
		switch r.Action {
		case "CREATED":
			return "", " was created here"
		case "DELETED":
			return "", " was deleted here"
		}
		return "", " was changed here"
	case audit.Refuse:
		return "A call about ", " was turned away"
	case audit.Admin:
		if r.Action == "RESOLVE" {
			return "A person decided the conflict about ", ""
		}
		return "A person did something about ", ""
	}
	return "", ""
}

// eventWords says what happened where no resource is named.
func (p page) eventWords(r audit.Record) (before, details string) {
	switch r.Operation {
	case audit.Pull:
		return "Fetching from " + p.peer(r.Peer, "the parent"), sentence(r.Details)
	case audit.Push:
		return "Sending to " + p.peer(r.Peer, "the parent"), sentence(r.Details)
	case audit.Device:
		return "Device " + p.peer(r.Peer, "of an unknown name"), sentence(r.Details)
	case audit.Refuse:
		return "A call was turned away", sentence(r.Details)
	case audit.Admin:
		if r.Details != "" {
			return sentence(r.Details), ""
		}
	}
	return string(r.Operation) + " " + r.Action, sentence(r.Details)
}

// runRow is a pass as a sentence.
type runRow struct {
	Started       when
	Sentence      string
	Error         string
	Result, Class string
}

func (p page) runRows(runs []audit.Run) []runRow {
	out := make([]runRow, len(runs))
	for i, r := range runs {
		row := runRow{Started: p.when(r.Started), Sentence: p.runWords(r), Error: sentence(r.Error)}
		switch r.Outcome {
		case "done":
			row.Result, row.Class = "done", classOK
		case "running":
			row.Result = "is running"
		case "interrupted":
			row.Result, row.Class = "was interrupted", classWarn
		default:
			row.Result, row.Class = "did not get through", classBad
		}
		out[i] = row
	}
	return out
}

func (p page) runWords(r audit.Run) string {
	verb, done, bytes := "Fetched from "+p.peer(r.Peer, "the parent"), "taken over", r.BytesIn
	if r.Direction == control.Push {
		verb, done, bytes = "Sent to "+p.peer(r.Peer, "the parent"), "taken there", r.BytesOut
	}
	s := verb + ": "
	if r.Read == 0 {
		s += "nothing new"
	} else {
		s += count(r.Read, "change", "changes") + ", " + number(r.Applied) + " " + done
	}
	for _, part := range []struct {
		n    int64
		text string
	}{{r.Skipped, "not needed"}, {r.Held, "waiting for a decision"}, {r.Parked, "set aside"}} {
		if part.n > 0 {
			s += ", " + number(part.n) + " " + part.text
		}
	}
	if bytes > 0 {
		s += "; " + size(bytes)
	}
	if took := r.Finished - r.Started; r.Finished > 0 && took >= 1000 {
		s += "; took " + control.Span(time.Duration(took)*time.Millisecond)
	}
	return s + "."
}
