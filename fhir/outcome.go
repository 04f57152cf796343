package fhir

import (
	"encoding/json"
	"fmt"

	models "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/tributary-sync/tributary/syncerr"
)

// Outcome returns an OperationOutcome (FHIR R4 operationoutcome.html) with one error issue made from err: the code that its
// Kind maps to, and a text that says what happened, where and what to do. Internal errors show no detail: those go to the log.
func Outcome(err error) []byte {
	kind := syncerr.KindOf(err)
	text := err.Error()
	if kind == syncerr.Internal {
		text = "the server met an error of its own; its log has the cause"
	}
	return outcome("error", kind.IssueCode(), text)
}

// OutcomeInfo returns an OperationOutcome that reports success, for example of a delete.
func OutcomeInfo(text string) []byte { return outcome("information", "informational", text) }

func outcome(severity, code, text string) []byte {
	issue := models.OperationOutcomeIssue{Diagnostics: &text}
	if err := issue.Severity.UnmarshalJSON([]byte(`"` + severity + `"`)); err != nil {
		panic(fmt.Sprintf("bug: %v", err))
	}
	if err := issue.Code.UnmarshalJSON([]byte(`"` + code + `"`)); err != nil {
		panic(fmt.Sprintf("bug: %v", err))
	}
	b, err := json.Marshal(models.OperationOutcome{Issue: []models.OperationOutcomeIssue{issue}})
	if err != nil {
		panic(fmt.Sprintf("bug: %v", err))
	}
	return b
}

// OutcomeText returns the texts of a foreign OperationOutcome, joined by "; ", or "" where the body is none. It reads
// leniently, because foreign servers use codes that R4 does not have.
func OutcomeText(body []byte) string {
	var o struct {
		ResourceType string `json:"resourceType"`
		Issue        []struct {
			Diagnostics string `json:"diagnostics"`
			Details     struct {
				Text string `json:"text"`
			} `json:"details"`
		} `json:"issue"`
	}
	if json.Unmarshal(body, &o) != nil || o.ResourceType != "OperationOutcome" {
		return ""
	}
	text := ""
	for _, i := range o.Issue {
		t := i.Diagnostics
		if t == "" {
			t = i.Details.Text
		}
		if t == "" {
			continue
		}
		if text != "" {
			text += "; "
		}
		text += t
	}
	return text
}
