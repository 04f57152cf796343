package feed

import (
	"errors"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Known is what a node says it knows of one resource type, all of it or what changed since a revision (DESIGN.md 4.3): every version
// that Vector contains has a fate there, but for those that it Lacks; of what Forgotten contains, deletions may have been collected.
type Known struct {
	Type      string         `json:"type"`
	Vector    version.Vector `json:"vector,omitempty"`
	Forgotten version.Vector `json:"forgotten,omitempty"`
	Lacks     []Lack         `json:"lacks,omitempty"`
}

// Lack is a version that a node could not take: refused, parked, held, deferred, or lacked by the node that it learnt from. Seen is
// what its copy of the key has seen, said where the whole knowledge is told: an excepted key is compared by it.
type Lack struct {
	ID      string          `json:"id"`
	Version version.Version `json:"version"`
	Seen    version.Vector  `json:"seen,omitempty"`
}

// IsZero reports whether nothing is said.
func (k Known) IsZero() bool { return len(k.Vector) == 0 && len(k.Forgotten) == 0 && len(k.Lacks) == 0 }

// Except returns the knowledge with another exception; the receiver is not changed.
func (k Known) Except(id string, v version.Version) Known {
	k.Lacks = append(slices.Clip(k.Lacks), Lack{ID: id, Version: v})
	return k
}

// maxLacks bounds the exceptions of a type that a reader takes.
const maxLacks = version.MaxExceptions

// Check returns an Invalid error for knowledge of an unknown type, or of what no node can have made.
func (k Known) Check() error {
	bad := func(format string, args ...any) error {
		return syncerr.New(syncerr.Invalid, "read knowledge", format, args...)
	}
	if !fhir.IsKind(k.Type) {
		return bad("%.60q is not a resource type", k.Type)
	}
	if len(k.Lacks) > maxLacks {
		return bad("%s has %d exceptions, at most %d are taken", k.Type, len(k.Lacks), maxLacks)
	}
	possible := func(x version.Vector) error {
		for _, v := range x {
			if v.Tick > version.MaxTick || v.Tick == 0 {
				return bad("%s: %s is no version", k.Type, v)
			}
		}
		return nil
	}
	if err := errors.Join(possible(k.Vector), possible(k.Forgotten)); err != nil {
		return err
	}
	for _, l := range k.Lacks {
		if err := (Ref{Key: fhir.Key{Type: k.Type, ID: l.ID}, Version: l.Version}).check(); err != nil {
			return err
		}
		if err := errors.Join(possible(version.Vector{l.Version}), possible(l.Seen)); err != nil {
			return err
		}
	}
	return nil
}

// Knowledge is what is known by type.
type Knowledge map[string]Known

// KnowledgeOf collects parts; a later part of a type takes the place of an earlier one.
func KnowledgeOf(parts []Known) Knowledge {
	out := make(Knowledge, len(parts))
	for _, k := range parts {
		out[k.Type] = k
	}
	return out
}

// Parts returns what is known in the order of the types.
func (k Knowledge) Parts() []Known {
	out := make([]Known, 0, len(k))
	for _, p := range k {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Known) int { return strings.Compare(a.Type, b.Type) })
	return out
}

// CatchUp asks for the current copies of types that a knowledge does not contain. Resume is where an earlier answer ended, as its
// sender wrote it; empty at the begin.
type CatchUp struct {
	Knowledge []Known
	Types     []string // nil for all
	Resume    string
	Limit     int      // copies at most, 0 for the server's choice
	Inline    int      // contents up to that many bytes travel with the event
	Bare      []string // resource types whose contents do not
}

// Known writes what is known of a type; errors as for Event.
func (e *Encoder) Known(k Known) error {
	if err := e.open(); err != nil {
		return err
	}
	if err := k.Check(); err != nil {
		return defect(err)
	}
	b := append(e.buf[:0], `{"known":{"type":"`...)
	b = append(b, k.Type...)
	b = append(b, '"')
	for _, x := range []struct {
		name   string
		vector version.Vector
	}{{"vector", k.Vector}, {"forgotten", k.Forgotten}} {
		if len(x.vector) > 0 {
			b = append(append(append(b, ',', '"'), x.name...), `":"`...)
			b = append(appendVector(b, x.vector), '"')
		}
	}
	for i, l := range k.Lacks {
		if i == 0 {
			b = append(b, `,"lacks":[{"id":"`...)
		} else {
			b = append(b, `,{"id":"`...)
		}
		b = append(append(b, l.ID...), `","version":"`...)
		b = append(appendVersion(b, l.Version), '"')
		if len(l.Seen) > 0 {
			b = append(appendVector(append(b, `,"seen":"`...), l.Seen), '"')
		}
		b = append(b, '}')
	}
	if len(k.Lacks) > 0 {
		b = append(b, ']')
	}
	return e.write(append(b, '}'))
}

// Mark writes up to where a reader of a catch-up has all that stands before the line: it resumes there.
func (e *Encoder) Mark(at string) error {
	if err := e.open(); err != nil {
		return err
	}
	b := appendText(append(e.buf[:0], `{"mark":{"at":`...), at)
	return e.write(append(b, '}'))
}

// Head writes the sender's log head of when it read what stands behind the line, as the reader is to remember it (DESIGN.md 4.3, restore and clone).
func (e *Encoder) Head(head string) error {
	if err := e.open(); err != nil {
		return err
	}
	if err := (Head{head}).check(); err != nil {
		return defect(err)
	}
	b := appendText(append(e.buf[:0], `{"head":{"at":`...), head)
	return e.write(append(b, '}'))
}

// Head is the line that Encoder.Head writes. Only its sender can read it.
type Head struct {
	At string `json:"at"`
}

// MaxHead is the longest log head in bytes.
const MaxHead = 400

func (h Head) check() error {
	if h.At == "" || len(h.At) > MaxHead {
		return syncerr.New(syncerr.Invalid, "check head", "it is empty, or longer than %d bytes", MaxHead)
	}
	return nil
}

// Mark is the line that Encoder.Mark writes.
type Mark struct {
	At string `json:"at"`
}

// Knowledge returns what is known of the type as the algebra takes it; keys are ids. It returns an Invalid error for what no node could tell.
func (k Known) Knowledge() (version.Knowledge, error) {
	rows := version.Rows{}
	for _, v := range k.Vector {
		rows.Entries = append(rows.Entries, version.Entry{Version: v})
	}
	for _, l := range k.Lacks {
		rows.Exceptions = append(rows.Exceptions, version.Exception{Key: l.ID, Lacks: []version.Version{l.Version}})
	}
	return version.FromRows(rows)
}
