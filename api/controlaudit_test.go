package api_test

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
)

// An export holds every row that the filters select, as a table or as lines, and says what it is.
func TestAuditExport(t *testing.T) {
	w, ctl, _ := operated(t)
	all, err := ctl.Audit(t.Context(), audit.Query{})
	if err != nil || len(all) < 2 {
		t.Fatal(len(all), err)
	}
	res := w.do("GET", "/control/v1/audit?format=csv", "").want(200)
	rows, err := csv.NewReader(strings.NewReader(string(res.body))).ReadAll()
	if err != nil || len(rows) != len(all)+1 || strings.Join(rows[0], " ") != strings.Join(audit.Columns(), " ") || rows[1][1] != all[0].UUID {
		t.Errorf("%v, got %q", err, res.body)
	}
	if kind, name := res.header.Get("Content-Type"), res.header.Get("Content-Disposition"); kind != "text/csv; charset=utf-8" || !strings.Contains(name, "audit.csv") {
		t.Errorf("got %q, %q", kind, name)
	}
	lines := strings.Split(strings.TrimSpace(string(w.do("GET", "/control/v1/audit?format=ndjson&operation=LOCAL", "").want(200).body)), "\n")
	var r audit.Record
	if err := json.Unmarshal([]byte(lines[0]), &r); err != nil || r.Operation != audit.Local || len(lines) != 1 {
		t.Errorf("%v: got %d lines, the first is %q", err, len(lines), lines[0])
	}
	res = w.do("GET", "/control/v1/audit?format=csv&outcome=failed", "").want(200)
	if got := strings.TrimSpace(string(res.body)); got != strings.Join(audit.Columns(), ",") {
		t.Errorf("of nothing: got %q", got)
	}
	w.do("GET", "/control/v1/audit?format=ndjson&outcome=failed", "").want(200)
	w.do("GET", "/control/v1/audit?format=xml", "").want(400)
	w.do("GET", "/control/v1/audit/x", "").want(400)
	w.do("GET", "/control/v1/audit/99999", "").want(404)
	w.do("GET", "/control/v1/runs/none", "").want(404)
	w.do("POST", "/control/v1/parked/forget", "{}").want(404)
	w.do("POST", "/control/v1/parked/give-up", `{"uuid":"x"}`).want(404)
	w.do("POST", "/control/v1/parked/give-up", `{"why":"x"}`).want(400)
}
