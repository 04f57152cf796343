package support

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// cause is something that a text may speak of, and the words for it that may leave the house.
type cause struct {
	pattern *regexp.Regexp
	words   string // "" for what the pattern finds in its first group, which is a number or a word of this program
}

var causes = sync.OnceValue(func() []cause {
	var out []cause
	for _, c := range [][2]string{
		{`(?i)connection refused|actively refused`, "connection refused"},
		{`(?i)connection reset|broken pipe|wsarecv`, "connection reset"},
		{`(?i)no such host|server misbehaving|name resolution`, "the name is not found"},
		{`(?i)network is unreachable|no route to host`, "no route"},
		{`(?i)i/o timeout|deadline exceeded|timed out|timeout awaiting`, "timeout"},
		{`(?i)context canceled`, "cancelled"},
		{`(?i)unexpected eof|broke off|: eof\b`, "the answer broke off"},
		{`(?i)proxyconnect|proxy`, "proxy"},
		{`(?i)certificate has expired|is not yet valid`, "certificate out of date"},
		{`(?i)unknown authority|self-signed|self signed`, "certificate of an unknown authority"},
		{`(?i)certificate is valid for|doesn't contain any ip sans|cannot validate certificate`, "certificate of another name"},
		{`(?i)tls: |x509: |http response to https client`, "TLS"},
		{`(?i)credential`, "credential"},
		{`(?i)not a tributary node|not that of a node`, "not a node"},
		{`(?i)with a web page`, "a web page instead of an answer"},
		{`(?i)it redirects to`, "redirect"},
		{`(?i)epoch`, "epoch"},
		{`(?i)speaks protocol`, "another protocol version"},
		{`(?i)larger than|too large|is over the limit`, "too large"},
		{`(?i)database is locked|sqlite_busy`, "database locked"},
		{`(?i)malformed|not a database|is damaged|file is encrypted`, "database damaged"},
		{`(?i)disk is full|no space left|sqlite_full`, "disk full"},
		{`(?i)disk i/o error|input/output error`, "disk error"},
		{`(?i)read-only|readonly`, "read-only"},
		{`(?i)permission denied|access is denied`, "permission denied"},
		{`(?i)there is no file|no such file`, "no such file"},
		{`(?i)address already in use|holds this port`, "port in use"},
		{`(?i)schema .{0,40}newer`, "schema newer than the program"},
		{`(?i)duplicate entry`, "duplicate entry"},
		{`(?i)deadlock found`, "deadlock"},
		{`(?i)what it refers to|refers to .{0,200} not here`, "what it refers to is missing"},
		{`(?i)not valid yaml`, "not valid YAML"},
		{`(?i)no setting of that name|unknown key|there is no setting`, "unknown setting"},
		{`(?i)runs twice|two running copies`, "a copy runs beside it"},
		{`(?i)older copy|was put back|was restored`, "an older copy of the database"},
		{`(?i)waits for a person|conflict`, "conflict"},
		{`(?i)answered ([1-5]\d\d)\b`, ""},
		{`\bError (\d{4}) \(`, ""},
		{`(runtime error: (?:index out of range|invalid memory address or nil pointer dereference|slice bounds out of range|integer divide by zero))`, ""},
	} {
		out = append(out, cause{regexp.MustCompile(c[0]), c[1]})
	}
	return out
})

// Causes says in words of a closed list what a text speaks of, "other" where it is none of them, "" for an empty one. A text may hold what a peer
// answered, and that may hold anything: of the text itself nothing is in the answer but the digits of a status.
func Causes(text string) string {
	if strings.TrimSpace(text) == "" {
		return ""
	}
	var out []string
	for _, c := range causes() {
		m := c.pattern.FindStringSubmatch(text)
		switch {
		case m == nil:
		case c.words != "":
			out = append(out, c.words)
		default:
			out = append(out, m[1])
		}
	}
	if len(out) == 0 {
		return "other"
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), ", ")
}

var frame = regexp.MustCompile(`(?m)^((?:github\.com/tributary-sync/tributary|runtime|net/http|database/sql)[\w./*()\-]*)\([^\n]*\)?$`)

// frames returns the functions that a stack in a text names, the innermost first.
func frames(text string) []string {
	var out []string
	if !strings.Contains(text, "goroutine ") {
		return nil
	}
	for _, m := range frame.FindAllStringSubmatch(text, 40) {
		out = append(out, m[1])
	}
	return out
}
