package main

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/tributary-sync/tributary/control"
)

// The exit code says whether the node and its parent agree, whether the node runs or not.
func TestVerify(t *testing.T) {
	nation := newMachine(t, "nation", "")
	nation.serve(t)
	nation.refused(t, 1, []string{"no parent"}, "verify")
	clinic := newMachine(t, "clinic", nation.url())
	credential := strings.TrimSpace(nation.do(t, "child", "add", "clinic").out)
	clinic.write(t, "data/parent.token", credential+"\n")
	clinic.must(t, "load", clinic.write(t, "p.ndjson", patients(20)))

	r := clinic.do(t, "verify")
	if r.code != 3 || !strings.Contains(r.out, "Patient/p7") || !strings.Contains(r.out, "not at the parent") || !strings.Contains(r.out, "not pushed yet") ||
		!strings.Contains(r.out, "20 differences remain") {
		t.Errorf("before the first sync: exit code %d:\n%s%s", r.code, r.out, r.err)
	}
	r = clinic.do(t, "verify", "--repair")
	if r.code != 0 || !strings.Contains(r.out, "20 differences were repaired") || !strings.Contains(r.out, "agree") {
		t.Errorf("the repair: exit code %d:\n%s%s", r.code, r.out, r.err)
	}
	var s control.Status
	if nation.value(t, &s, "status"); s.Counts.Resources["Patient"] != 20 {
		t.Errorf("the nation has %+v", s.Counts.Resources)
	}
	clinic.must(t, "sync")
	clinic.serve(t)
	var v control.Verification
	if clinic.value(t, &v, "verify"); !v.Equal || len(v.Types) != 1 || v.Types[0].Here != 20 || v.Types[0].There != 20 {
		t.Errorf("after it: %+v", v)
	}

	db, err := sql.Open("sqlite", filepath.Join(clinic.dir, "data", "tributary.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE resource SET hash = x'00' WHERE id = 'p7'"); err != nil {
		t.Fatal(err)
	}
	if r = clinic.do(t, "verify", "--repair"); r.code != 3 || !strings.Contains(r.out, "SAME VERSION, OTHER CONTENT") || !strings.Contains(r.out, "1 difference remains") {
		t.Errorf("two contents of one version: exit code %d:\n%s%s", r.code, r.out, r.err)
	}
	if r = clinic.do(t, "verify", "--json"); r.code != 3 || !strings.Contains(r.out, `"finding": "SAME VERSION, OTHER CONTENT"`) {
		t.Errorf("as JSON: exit code %d:\n%s%s", r.code, r.out, r.err)
	}
}
