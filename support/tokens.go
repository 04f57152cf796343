package support

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
)

// tokens stand for what may not be told. Their key is drawn for one bundle and thrown away with it: who has only the bundle cannot find out what a
// token stands for by trying names or identifiers, nor compare it with another bundle.
type tokens struct {
	key   []byte
	names []string // of nodes and servers, which may be told
}

func (t tokens) of(kind, text string) string {
	if text == "" {
		return ""
	}
	h := hmac.New(sha256.New, t.key)
	h.Write([]byte(kind + "\x00" + text))
	return "~" + hex.EncodeToString(h.Sum(nil)[:6])
}

// id stands for a resource: an id may be the number by which a patient is known outside.
func (t tokens) id(k fhir.Key) string {
	if k.ID == "" {
		return ""
	}
	return t.of("id", k.Type+"/"+k.ID)
}

// resourceType tells a type of FHIR; those of REST are words that applications choose.
func (t tokens) resourceType(name string) string {
	if name == "" || name == "*" || fhir.IsType(name) {
		return name
	}
	return t.of("type", name)
}

// text stands for a text, with what it speaks of.
func (t tokens) text(s string) *hidden {
	if s == "" {
		return nil
	}
	return &hidden{Cause: Causes(s), Text: t.of("text", s)}
}

// hidden is what is told of a text: the same token is the same text.
type hidden struct {
	Cause string `json:"cause"`
	Text  string `json:"text"`
}

// name tells the name of a node, a server or an operator, and the place of one that is known by its address.
func (t tokens) name(s string) string {
	switch {
	case s == "" || slices.Contains(t.names, s):
		return s
	case slices.Contains(t.names, Place(s)):
		return Place(s)
	}
	return t.of("name", s)
}

// run tells the id of a pass; those of SData are chosen by others.
func (t tokens) run(s string) string {
	if s == "" || uuidForm.MatchString(s) {
		return s
	}
	return t.of("run", s)
}

// Place returns of an address its scheme, host and port: a path or query may hold what was searched for. It is "" for what is none.
func Place(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	out := u.Scheme + "://" + u.Host
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		out += "/..."
	}
	return out
}

// checkName tells the name of a check; behind the first word may stand a name.
func (t tokens) checkName(s string) string {
	first, rest, ok := strings.Cut(s, " ")
	if !ok || strings.Trim(first, "abcdefghijklmnopqrstuvwxyz") != "" {
		return s
	}
	return first + " " + t.name(rest)
}
