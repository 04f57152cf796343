// Package support owns what leaves a node for people who help from afar, and the form in which a node logs: neither may hold anything of a
// patient (DESIGN.md section 3, invariant 8). It works by lists of what may be told, never by lists of what may not: a text that is not made
// of this program's own words is told by its cause (Causes) and by a token that means the same text within one bundle and nothing outside it.
package support

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/tributary-sync/tributary/fhir"
)

// maxLines is how many lines of the log a node remembers for a bundle.
const maxLines = 1000

// Log is a slog.Handler that passes on what may be told, and remembers the last lines.
type Log struct {
	next slog.Handler
	ring *ring
	pre  []slog.Attr // WithAttrs
}

type ring struct {
	mu    sync.Mutex
	lines []string
	next  int
}

// NewLog returns a Log over a handler.
func NewLog(next slog.Handler) *Log { return &Log{next: next, ring: new(ring)} }

// Enabled reports whether the handler below wants lines of a level, or this one remembers them.
func (l *Log) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || l.next.Enabled(ctx, level)
}

// Handle passes a line on without what may not be told.
func (l *Log) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	line := fmt.Sprintf("%s %s %s", r.Time.UTC().Format("2006-01-02T15:04:05.000Z"), r.Level, r.Message)
	tell := func(a slog.Attr) bool {
		a = told(a)
		out.AddAttrs(a)
		if a.Key != "warning" {
			line += fmt.Sprintf(" %s=%q", a.Key, a.Value.String())
		}
		return true
	}
	for _, a := range l.pre {
		tell(a)
	}
	r.Attrs(tell)
	if r.Level >= slog.LevelInfo {
		l.ring.add(line)
	}
	if !l.next.Enabled(ctx, r.Level) {
		return nil
	}
	return l.next.Handle(ctx, out)
}

// WithAttrs returns a Log whose lines all have these attributes.
func (l *Log) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Log{next: l.next, ring: l.ring, pre: slices.Concat(l.pre, attrs)}
}

// WithGroup is not used by this program: the attributes stay where they are.
func (l *Log) WithGroup(string) slog.Handler { return l }

// Lines returns the lines that are remembered, the oldest first.
func (l *Log) Lines() []string {
	l.ring.mu.Lock()
	defer l.ring.mu.Unlock()
	return slices.Concat(l.ring.lines[l.ring.next:], l.ring.lines[:l.ring.next])
}

func (r *ring) add(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) < maxLines {
		r.lines = append(r.lines, line)
		return
	}
	r.lines[r.next] = line
	r.next = (r.next + 1) % maxLines
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// ownWords lists the attributes whose texts are made by this program alone.
func ownWords() []string {
	return []string{"method", "route", "kind", "loop", "again_in", "node", "listen", "version", "severity", "page", "warning", "type"}
}

// told returns an attribute as it may be told.
func told(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindInt64, slog.KindTime, slog.KindUint64:
		return slog.Attr{Key: a.Key, Value: v}
	}
	text := v.String()
	switch {
	case a.Key == "type" && !fhir.IsType(text):
		text = "other"
	case a.Key == "parent":
		text = Place(text)
	case a.Key == "error":
		out := Causes(text)
		if stack := frames(text); len(stack) > 0 {
			out += " in " + strings.Join(stack, " < ")
		}
		text = out
	case !slices.Contains(ownWords(), a.Key) && !uuidForm.MatchString(text):
		text = "(not shown)"
	}
	return slog.String(a.Key, text)
}
