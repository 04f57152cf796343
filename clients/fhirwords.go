package clients

import (
	"io"
	"net/http"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/tributary-sync/tributary/fhir"
)

const (
	maxOutcome = 256 << 10 // bytes of an OperationOutcome that are read
	maxWords   = 1000      // bytes of it that are told
)

// outcomeWords returns what an OperationOutcome says (FHIR R4 operationoutcome.html): the texts of its issues with their places, errors before warnings;
// "" where the body is none. It is bounded.
func outcomeWords(body []byte) string {
	var o struct {
		ResourceType string `json:"resourceType"`
		Issue        []struct {
			Severity    string `json:"severity"`
			Code        string `json:"code"`
			Diagnostics string `json:"diagnostics"`
			Details     struct {
				Text   string `json:"text"`
				Coding []struct {
					Display string `json:"display"`
					Code    string `json:"code"`
				} `json:"coding"`
			} `json:"details"`
			Expression []string `json:"expression"`
			Location   []string `json:"location"`
		} `json:"issue"`
	}
	if jsonv2.Unmarshal(body, &o, lenient()) != nil || o.ResourceType != "OperationOutcome" {
		return ""
	}
	var errs, rest []string
	for _, i := range o.Issue {
		text := i.Details.Text
		if text == "" && len(i.Details.Coding) > 0 {
			if text = i.Details.Coding[0].Display; text == "" {
				text = i.Details.Coding[0].Code
			}
		}
		switch {
		case text == "":
			text = i.Diagnostics
		case i.Diagnostics != "" && i.Diagnostics != text:
			text += ": " + i.Diagnostics
		}
		if text == "" {
			text = i.Code
		}
		at := i.Expression
		if len(at) == 0 {
			at = i.Location
		}
		if len(at) > 0 {
			text += " (at " + strings.Join(at, ", ") + ")"
		}
		switch {
		case text == "":
		case i.Severity == "error" || i.Severity == "fatal":
			errs = append(errs, text)
		default:
			rest = append(rest, text)
		}
	}
	if len(errs) == 0 {
		errs = rest
	}
	return cutText(strings.ToValidUTF8(strings.Join(errs, "; "), "?"), maxWords)
}

func cutText(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// reasonOf returns why something was turned away, in the server's words where it has some.
func reasonOf(status int, body []byte) string {
	if words := outcomeWords(body); words != "" {
		return words
	}
	if text := http.StatusText(status); text != "" {
		return strings.ToLower(text) + ", without a word why"
	}
	return "without a word why"
}

// wordsOf is reasonOf for an answer whose body was not read.
func wordsOf(r *fhirReply) string {
	body, _ := io.ReadAll(io.LimitReader(r.body, maxOutcome)) // what came of a cut one is good enough
	return reasonOf(r.status, body)
}

// tagOf returns the version that an entity tag names (FHIR R4 http.html#versioning), "" for none. versionID is meta.versionId, where known: proxies that
// compress add to the tag.
func tagOf(etag, versionID string) string {
	t := strings.TrimPrefix(strings.TrimSpace(etag), "W/")
	if len(t) >= 2 && t[0] == '"' && t[len(t)-1] == '"' {
		t = t[1 : len(t)-1]
	}
	if t == "" || strings.ContainsAny(t, `" ,`) {
		return versionID
	}
	if rest, ok := strings.CutPrefix(t, versionID); ok && versionID != "" && strings.Contains(rest, "gzip") {
		return versionID
	}
	return t
}

// ifMatch is the condition that a copy still has the tag.
func ifMatch(tag string) string { return `W/"` + tag + `"` }

// pathOf is where a document is, or its version.
func pathOf(k fhir.Key, tag string) string {
	if tag == "" {
		return k.String()
	}
	return k.String() + "/_history/" + tag
}
