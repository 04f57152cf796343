package fhir_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// issueTypes returns the codes of http://hl7.org/fhir/R4/valueset-issue-type.html.
func issueTypes() []string {
	return []string{
		"invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired", "forbidden", "suppressed",
		"processing", "not-supported", "duplicate", "multiple-matches", "not-found", "deleted", "too-long", "code-invalid", "extension",
		"too-costly", "business-rule", "conflict", "transient", "lock-error", "no-store", "exception", "timeout", "incomplete",
		"throttled", "informational",
	}
}

type issue struct {
	Severity, Code, Diagnostics string
}

// requireOutcome reads an OperationOutcome with exactly one issue and nothing that R4 does not have.
func requireOutcome(t *testing.T, body []byte) issue {
	t.Helper()
	r := parse(t, string(body))
	var o map[string]json.RawMessage
	var issues []map[string]string
	if err := json.Unmarshal(body, &o); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(o["issue"], &issues); err != nil {
		t.Fatal(err)
	}
	if r.Key.Type != "OperationOutcome" || len(o) != 2 || len(issues) != 1 || len(issues[0]) != 3 {
		t.Fatalf("got %s, want resourceType and one issue of severity, code and diagnostics", body)
	}
	i := issue{issues[0]["severity"], issues[0]["code"], issues[0]["diagnostics"]}
	if !slices.Contains([]string{"fatal", "error", "warning", "information"}, i.Severity) || !slices.Contains(issueTypes(), i.Code) || i.Diagnostics == "" {
		t.Errorf("%+v is no issue of R4", i)
	}
	return i
}

func TestOutcome(t *testing.T) {
	for k := syncerr.Internal; k <= syncerr.Usage; k++ {
		t.Run(k.String(), func(t *testing.T) {
			err := syncerr.New(k, "read resource", "a \"quoted\" <cause>\n\u2028").WithHint("do this")
			want := issue{"error", k.IssueCode(), err.Error()}
			if k == syncerr.Internal {
				want.Diagnostics = "the server met an error of its own; its log has the cause"
			}
			body := fhir.Outcome(fmt.Errorf("outer: %w", err))
			if k != syncerr.Internal {
				want.Diagnostics = "outer: " + want.Diagnostics
			}
			if got := requireOutcome(t, body); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if got := fhir.OutcomeText(body); got != want.Diagnostics {
				t.Errorf("read back: got %q, want %q", got, want.Diagnostics)
			}
		})
	}
	if got := requireOutcome(t, fhir.Outcome(errors.New("password is secret"))); got.Code != "exception" || got.Diagnostics != "the server met an error of its own; its log has the cause" {
		t.Errorf("an error that nobody classified: got %+v", got)
	}
	if got, want := requireOutcome(t, fhir.OutcomeInfo("deleted Patient/1")), (issue{"information", "informational", "deleted Patient/1"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	_, err := fhir.Parse([]byte("{\"resourceType\":\"\xff\"}"), 0)
	requireOutcome(t, fhir.Outcome(err))
	requireOutcome(t, fhir.Outcome(syncerr.New(syncerr.Invalid, "read", "bad byte \xff")))
}

func TestOutcomeText(t *testing.T) {
	const p = `{"resourceType":"OperationOutcome","issue":`
	for _, tt := range []struct{ name, body, want string }{
		{"empty", "", ""},
		{"not JSON", "<html>", ""},
		{"another type", `{"resourceType":"Patient","issue":[{"diagnostics":"x"}]}`, ""},
		{"no type", `{"issue":[{"diagnostics":"x"}]}`, ""},
		{"no issue", p + `[]}`, ""},
		{"issue without text", p + `[{"code":"invalid"}]}`, ""},
		{"diagnostics", p + `[{"diagnostics":"a"}]}`, "a"},
		{"details", p + `[{"details":{"text":"b"}}]}`, "b"},
		{"diagnostics before details", p + `[{"diagnostics":"a","details":{"text":"b"}}]}`, "a"},
		{"several, some without text", p + `[{"diagnostics":"a"},{},{"details":{"text":"b"}}]}`, "a; b"},
		{"codes that R4 does not have", p + `[{"severity":"success","code":"success","diagnostics":"a"}]}`, "a"},
		{"wrong form", p + `{"diagnostics":"a"}}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fhir.OutcomeText([]byte(tt.body)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
