package audit_test

import (
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
)

func TestHarmless(t *testing.T) {
	for _, x := range []struct{ cell, want string }{
		{"", ""},
		{"Patient/1", "Patient/1"},
		{"=1+1", "'=1+1"},
		{"+32", "'+32"},
		{"-2", "'-2"},
		{"@SUM(A1)", "'@SUM(A1)"},
		{"\t=1", "'\t=1"},
		{"\r=1", "'\r=1"},
		{"  =cmd|' /C calc'!A0", "'  =cmd|' /C calc'!A0"},
		{"a=1", "a=1"},
	} {
		if got := audit.Harmless(x.cell); got != x.want {
			t.Errorf("%q: got %q, want %q", x.cell, got, x.want)
		}
	}
}

func TestCells(t *testing.T) {
	cells := audit.Record{ID: 7, Time: 1_700_000_000_123, Operation: audit.Pull, Outcome: audit.Held, Success: true, Key: fhir.Key{Type: "Patient", ID: "1"}, Peer: "=cmd()", Bytes: 5}.Cells()
	if len(cells) != len(audit.Columns()) {
		t.Fatalf("%d cells under %d names", len(cells), len(audit.Columns()))
	}
	got := map[string]string{}
	for i, name := range audit.Columns() {
		got[name] = cells[i]
	}
	for name, want := range map[string]string{
		"id": "7", "timestamp": "2023-11-14T22:13:20.123Z", "operation": "PULL", "success": "true", "resource": "Patient/1", "peer": "'=cmd()", "bytes": "5", "version": "", "httpStatus": "",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
}
