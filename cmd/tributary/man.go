package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man", Short: "Write the manual page", Args: takes(0, 0, ""),
		Long:    "Man writes the manual page of the program, made from what --help says, in the form that man(1) reads.",
		Example: "  tributary man > /usr/local/share/man/man1/tributary.1\n  tributary man | man -l -",
		RunE: func(c *cobra.Command, _ []string) error {
			a.say("%s", strings.TrimRight(manual(c.Root(), a.version), "\n"))
			return nil
		},
	}
}

// manual writes the tree of commands as one page (man(7)).
func manual(root *cobra.Command, version string) string {
	var b strings.Builder
	line := func(macro, text string) {
		b.WriteString(macro)
		if text != "" {
			b.WriteString(` "` + strings.ReplaceAll(roff(text), `"`, `\(dq`) + `"`)
		}
		b.WriteByte('\n')
	}
	line(`.TH TRIBUTARY 1 ""`, "tributary "+version)
	line(".SH", "NAME")
	b.WriteString(roff("tributary - "+root.Short) + "\n")
	line(".SH", "SYNOPSIS")
	b.WriteString(".B tributary\n" + roff("COMMAND [FLAG]... [ARGUMENT]...") + "\n")
	line(".SH", "DESCRIPTION")
	paragraphs(&b, root.Long)
	line(".SH", "COMMANDS")
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if !c.IsAvailableCommand() {
			return
		}
		line(".SS", strings.TrimPrefix(c.UseLine(), "tributary "))
		text := c.Long
		if text == "" {
			text = c.Short + "."
		}
		paragraphs(&b, text)
		options(&b, c.LocalNonPersistentFlags())
		literal(&b, c.Example)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	for _, c := range root.Commands() {
		walk(c)
	}
	line(".SH", "OPTIONS OF EVERY COMMAND")
	options(&b, root.PersistentFlags())
	line(".SH", "EXIT STATUS")
	paragraphs(&b, "0 done; 1 failed; 2 wrong usage or configuration; 3 done, and something is parked, in conflict or different.")
	line(".SH", "ENVIRONMENT")
	paragraphs(&b, "TRIBUTARY_CONFIG names the configuration file. Any setting can be given, for example parent.credential_file as TRIBUTARY_PARENT__CREDENTIAL_FILE. "+
		"NO_COLOR switches colours off. HTTPS_PROXY, HTTP_PROXY and NO_PROXY are heeded. GOGC and GOMAXPROCS go before the node's own choice.")
	line(".SH", "FILES")
	paragraphs(&b, "./tributary.yaml, /etc/tributary/tributary.yaml: the configuration, whichever is found first.")
	line(".SH", "EXAMPLES")
	literal(&b, root.Example)
	return b.String()
}

// roff writes a text so that no character of it is a request.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "`", `\(ga`, "'", `\(aq`, "^", `\(ha`, "~", `\(ti`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}

// paragraphs keeps lines that are set in as they are, and fills all others.
func paragraphs(b *strings.Builder, text string) {
	b.WriteString(".PP\n")
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "":
			b.WriteString(".PP\n")
		case strings.HasPrefix(line, "  "):
			literal(b, line)
		default:
			b.WriteString(roff(line) + "\n")
		}
	}
}

func literal(b *strings.Builder, text string) {
	if text == "" {
		return
	}
	b.WriteString(".RS 4\n.nf\n")
	for line := range strings.Lines(text) {
		b.WriteString(roff(strings.TrimSpace(line)) + "\n")
	}
	b.WriteString(".fi\n.RE\n")
}

func options(b *strings.Builder, flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name, usage := pflag.UnquoteUsage(f)
		b.WriteString(".TP\n" + `\fB` + roff("--"+f.Name) + `\fP`)
		if name != "" {
			b.WriteString(` \fI` + roff(name) + `\fP`)
		}
		b.WriteString("\n" + roff(strings.ToUpper(usage[:1])+usage[1:]) + ".\n")
	})
}
