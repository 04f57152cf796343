package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/tributary-sync/tributary/syncerr"
)

// A table is as narrow as the terminal: sentences fold, names stay whole as long as they can.
func TestTablesFit(t *testing.T) {
	var out bytes.Buffer
	a := &app{out: &out, env: []string{"COLUMNS=66"}, clock: time.Now}
	sentence := "the server answered with a sentence that is far longer than this terminal is wide"
	rows := []table.Row{{"11111111-1111-4111-8111-111111111111", "1,234", sentence}, {"x", "5", "short"}}
	a.table(table.Row{"UUID", "Count", "Why"}, rows, "")
	for line := range strings.Lines(out.String()) {
		if n := text.StringWidthWithoutEscSequences(strings.TrimRight(line, "\n")); n > 66 {
			t.Errorf("a line has %d characters: %s", n, line)
		}
	}
	if !strings.Contains(out.String(), "11111111-1111-4111-8111-111111111111") || !strings.Contains(out.String(), " 1,234 ") || !strings.Contains(out.String(), "     5 ") {
		t.Errorf("got\n%s", out.String())
	}
	if strings.Contains(out.String(), "\x1b[") {
		t.Error("there are colours where there is no terminal")
	}
	out.Reset()
	a.env = nil
	a.table(table.Row{"Why"}, []table.Row{{sentence}}, "")
	if !strings.Contains(out.String(), sentence) {
		t.Errorf("a script gets\n%s", out.String())
	}
	out.Reset()
	a.env = []string{"COLUMNS=5"}
	a.table(table.Row{"UUID", "Why"}, []table.Row{{"abc", sentence}}, "") // narrower than can be: it ends all the same
	if out.Len() == 0 {
		t.Error("nothing was printed")
	}
}

// Colours are for terminals, and for who has not said no.
func TestColours(t *testing.T) {
	m := newMachine(t, "a", "")
	shell := func(env, what string) string {
		t.Helper()
		script, err := exec.LookPath("script")
		if err != nil {
			t.Fatalf("script(1), which makes a terminal, is missing: %v", err)
		}
		c := exec.CommandContext(t.Context(), script, "-qec", env+" "+os.Args[0]+" "+what, "/dev/null")
		c.Dir = m.dir
		c.Env = append(os.Environ(), asProgram+"=1", "TERM=xterm", "COLUMNS=100")
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	if out := shell("", "doctor"); !strings.Contains(out, "\x1b[33mwarn\x1b[0m") {
		t.Errorf("no colour on a terminal:\n%q", out)
	}
	for _, no := range []string{"NO_COLOR=1", "TERM=dumb"} {
		if out := shell(no, "doctor"); strings.Contains(out, "\x1b[3") {
			t.Errorf("%s: got\n%q", no, out)
		}
	}
}

func TestWatch(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out bytes.Buffer
	a := &app{out: &out, clock: time.Now}
	n := 0
	err := a.watch(ctx, time.Millisecond, func() error {
		n++
		switch n {
		case 2:
			return syncerr.New(syncerr.Transient, "ask", "nobody is there")
		case 4:
			stop()
		}
		a.say("picture %d", n)
		return nil
	})
	if got, want := out.String(), "picture 1\nask: nobody is there\npicture 3\n"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if a.out != io.Writer(&out) {
		t.Error("what is printed afterwards goes elsewhere")
	}
	wrong := syncerr.New(syncerr.Usage, "ask", "this way never")
	if err := a.watch(t.Context(), time.Millisecond, func() error { return wrong }); err != wrong {
		t.Errorf("got %v", err)
	}
}

// The manual page has every command, and nothing in it is taken for a request.
func TestManual(t *testing.T) {
	m := machine{dir: t.TempDir()}
	page := m.must(t, "man")
	for _, want := range []string{".TH TRIBUTARY 1", `.SS "conflict resolve`, `\fB\-\-watch\fP`, ".SH \"EXIT STATUS\"", "tributary service install"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "'") {
			t.Errorf("the line %q is a request", line)
		}
		if strings.HasPrefix(line, ".") && !strings.Contains(".TH .SH .SS .PP .RS .RE .nf .fi .TP .B ", strings.Fields(line)[0]+" ") {
			t.Errorf("the line %q is a request", line)
		}
	}
	if groff, err := exec.LookPath("groff"); err == nil {
		c := exec.CommandContext(t.Context(), groff, "-man", "-ww", "-Tutf8")
		c.Stdin = strings.NewReader(page)
		var errs bytes.Buffer
		c.Stderr = &errs
		if err := c.Run(); err != nil || errs.Len() > 0 {
			t.Errorf("groff: %v\n%s", err, errs.String())
		}
	}
}
