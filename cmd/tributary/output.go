package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tributary-sync/tributary/syncerr"
)

// printJSON writes a value as the API would, with --csv as lines.
func (a *app) printJSON(v any) error {
	if a.csv {
		return a.printCSV(v)
	}
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return syncerr.Wrap(syncerr.Internal, "print", e.Encode(v))
}

// table prints rows under a header; a nil or empty list prints the sentence none instead.
func (a *app) table(header table.Row, rows []table.Row, none string) {
	if len(rows) == 0 {
		a.say("%s", none)
		return
	}
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Options.SeparateRows = false
	t.Style().Format.Header = 0
	t.SetColumnConfigs(fit(header, rows, a.width()))
	a.tint(rows)
	t.AppendHeader(header)
	t.AppendRows(rows)
	a.say("%s", t.Render())
}

func cellText(c any) string { return fmt.Sprint(c) }

func (a *app) say(format string, args ...any) { fmt.Fprintf(a.out, format+"\n", args...) }

// display is what a person looks at.
func (a *app) display() io.Writer {
	if a.screen != nil {
		return a.screen
	}
	return a.out
}

// terminal reports whether somebody watches what is written.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// when shows milliseconds since 1970 as a time in the zone of whoever reads it.
func (a *app) when(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(ms).In(a.clock().Location()).Format("2006-01-02 15:04:05")
}

// ago shows how long ago something was.
func (a *app) ago(ms int64) string {
	if ms == 0 {
		return "never"
	}
	d := a.clock().Sub(time.UnixMilli(ms))
	switch {
	case d < time.Second:
		return "just now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}

// number shows a count with thin groups, so that 1234567 can be read.
func number[T int | int64 | uint64](n T) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func bytesText(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d kB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// counted shows a number with its noun: 1 file, 2 files.
func counted[T int | int64 | uint64](n T, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// short cuts a text for a cell of a table.
func short(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// dash stands for nothing in a table.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
