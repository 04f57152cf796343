package main

import "strings"

// The colours, as SGR parameters (ECMA-48 section 8.3.117).
const (
	red    = "31"
	green  = "32"
	yellow = "33"
)

// coloured reports whether what is printed is for a terminal that shows colours. NO_COLOR (no-color.org) and TERM=dumb say no.
func (a *app) coloured() bool {
	return terminal(a.display()) && a.variable("NO_COLOR") == "" && a.variable("TERM") != "dumb"
}

// colour marks a text on a terminal.
func (a *app) colour(code, text string) string {
	if !a.coloured() || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// variable returns a variable of the environment, "" where it is not set.
func (a *app) variable(name string) string {
	for _, e := range a.env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}
