package samples

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// validate gives NDJSON to the independent validator and returns what it prints, and whether all was valid.
func validate(t *testing.T, ndjson []byte) (string, bool) {
	t.Helper()
	if _, err := os.Stat(filepath.Join("validate", "node_modules", "@medplum", "core")); errors.Is(err, fs.ErrNotExist) {
		t.Fatal("the FHIR validator is not installed: run `make test`, which installs it (npm ci --prefix internal/samples/validate)")
	}
	cmd := exec.CommandContext(t.Context(), "node", "validate.mjs")
	cmd.Dir = "validate"
	cmd.Stdin = bytes.NewReader(ndjson)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("run the validator with node: %v\n%s%s", err, out, stderr.Bytes())
	}
	return string(out), err == nil
}

func TestValidByIndependentValidator(t *testing.T) {
	var in bytes.Buffer
	kinds, n := map[string]bool{}, 0
	add := func(cfg Config, count int) {
		for res := range All(cfg, count) {
			in.Write(res.JSON)
			in.WriteByte('\n')
			kinds[res.Type], n = true, n+1
		}
	}
	for i, region := range Regions() {
		add(Config{Seed: uint64(i), Region: region, Clinic: "Clinic <" + region + "> & \"Co\""}, 110)
	}
	add(Config{Seed: 99}, 100)
	if len(kinds) != 15 {
		t.Errorf("the sample holds %d types, want all 15: %v", len(kinds), kinds)
	}
	out, ok := validate(t, in.Bytes())
	if !ok {
		t.Errorf("not valid:\n%.4000s", out)
	}
	if want := fmt.Sprintf("%d resources checked, 0 not valid\n", n); out != want {
		t.Errorf("validator says %.400q, want %q", out, want)
	}
}

// TestValidatorCatches shows that the check above can fail: one change to a valid resource each, all in one run.
func TestValidatorCatches(t *testing.T) {
	rows := []struct{ name, kind, old, new, want string }{
		{"unknown element", "Patient", `"active":true`, `"aktiv":true`, "aktiv"},
		{"wrong type", "Patient", `"active":true`, `"active":"yes"`, "active"},
		{"required element missing", "Encounter", `"status":"finished",`, ``, "status"},
		{"bad date", "Patient", `"birthDate":"`, `"birthDate":"x`, "birthDate"},
		{"bad reference", "Condition", `"subject":{"reference":`, `"subject":{"referenz":`, "referenz"},
		{"profile broken", "Observation", `"status":"final",`, ``, "status"},
		{"code unknown to HL7", "Condition", `"code":"confirmed"`, `"code":"confirmd"`, "confirmd"},
		{"display of another code", "Organization", `"display":"Facility ID"`, `"display":"Tax ID number"`, "Facility ID"},
	}
	var in bytes.Buffer
	for _, row := range rows {
		done := false
		for res := range All(Config{Seed: 11, Region: "germany"}, 400) {
			if broken := strings.Replace(string(res.JSON), row.old, row.new, 1); res.Type == row.kind && broken != string(res.JSON) {
				in.WriteString(strings.Replace(broken, res.ID, strings.ReplaceAll(row.name, " ", "-"), 1) + "\n")
				done = true
				break
			}
		}
		if !done {
			t.Fatalf("%s: no %s holds %s", row.name, row.kind, row.old)
		}
	}
	out, ok := validate(t, in.Bytes())
	if ok || !strings.Contains(out, fmt.Sprintf("%d resources checked, %d not valid", len(rows), len(rows))) {
		t.Errorf("not every broken resource was found:\n%s", out)
	}
	for _, row := range rows {
		head := row.kind + "/" + strings.ReplaceAll(row.name, " ", "-") + ": "
		found := false
		for line := range strings.Lines(out) {
			found = found || strings.HasPrefix(line, head) && strings.Contains(line, row.want)
		}
		if !found {
			t.Errorf("%s: no line %s... %s in\n%s", row.name, head, row.want, out)
		}
	}
}
