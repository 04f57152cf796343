package node_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/syncerr"
)

// harm changes a database behind the program's back, as a defect of a disk or of this program would.
func (r *running) harm(t *testing.T, stmt string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", r.cfg.Store.DSN+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	res, err := db.Exec(stmt, args...)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		t.Fatalf("%s changed %d rows, %v", stmt, n, err)
	}
}

func (r *running) verify(t *testing.T, repair bool) control.Verification {
	t.Helper()
	v, err := r.Control().Verify(context.Background(), repair)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func findings(v control.Verification) string {
	var out []string
	for _, d := range v.Differences {
		text := d.Key.String() + ": " + d.Finding
		if d.Repaired {
			text += " (repaired)"
		}
		out = append(out, text)
	}
	return strings.Join(out, "\n")
}

func expect(t *testing.T, v control.Verification, want ...string) {
	t.Helper()
	if got := findings(v); got != strings.Join(want, "\n") {
		t.Errorf("found\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// What was lost or damaged behind every cursor is found and mended through the engine, each way; two contents of one version are
// shouted about and left alone.
func TestVerifyFindsAndRepairs(t *testing.T) {
	parent := start(t, "parent", nil, node.Deps{}, nil)
	child := start(t, "child", parent, node.Deps{}, nil)
	for i := range 300 {
		parent.write(t, "Patient", fmt.Sprintf("p%03d", i), "from the parent")
	}
	child.write(t, "Observation", "o1", "from the child")
	child.await(t, "Patient", "p299")
	parent.await(t, "Observation", "o1")
	if v := child.verify(t, true); !v.Equal || len(v.Differences) > 0 || v.Run != nil || v.BytesIn+v.BytesOut > 1024 {
		t.Fatalf("equal nodes: %+v", v)
	}

	child.harm(t, "DELETE FROM resource WHERE type = 'Patient' AND id = 'p007'")
	parent.harm(t, "DELETE FROM resource WHERE type = 'Observation' AND id = 'o1'")
	child.harm(t, "UPDATE resource SET hash = x'00' WHERE type = 'Patient' AND id = 'p200'")
	want := []string{"Observation/o1: not at the parent", "Patient/p007: not here", "Patient/p200: SAME VERSION, OTHER CONTENT"}
	v := child.verify(t, false)
	expect(t, v, want...)
	if v.Equal || v.Remaining != 3 || v.Repaired != 0 || v.Run != nil {
		t.Errorf("before the repair: %+v", v)
	}
	if len(v.Differences) == 3 && !strings.Contains(strings.Join(v.Differences[2].Why, " "), "must never be") {
		t.Errorf("two contents of one version: %q", v.Differences[2].Why)
	}

	v = child.verify(t, true)
	expect(t, v, want[0]+" (repaired)", want[1]+" (repaired)", want[2])
	if v.Equal || v.Remaining != 1 || v.Repaired != 2 || v.Run == nil || v.Run.Outcome != "done" || v.Run.Applied != 2 {
		t.Errorf("the repair: %+v, run %+v", v, v.Run)
	}
	runs, err := child.Engine().Store().Runs(context.Background(), "verify", 10)
	if err != nil || len(runs) != 1 || runs[0].Applied != 2 {
		t.Errorf("the record of the repair: %+v %v", runs, err)
	}
	expect(t, child.verify(t, false), want[2])
}

// A type that goes one way only is compared only that way: what the other side has besides is no difference.
func TestVerifyGoesByDirection(t *testing.T) {
	parent := start(t, "parent", nil, node.Deps{}, nil)
	child := start(t, "child", parent, node.Deps{}, func(c *config.Config) {
		c.Pull.Types = []config.TypeRule{{Type: "Patient"}}
		c.Push.Types = []config.TypeRule{{Type: "Observation"}}
	})
	for i := range 400 {
		parent.write(t, "Observation", fmt.Sprintf("a%03d", i), "of another clinic")
		child.write(t, "Patient", fmt.Sprintf("q%03d", i), "not for the parent")
	}
	parent.write(t, "Patient", "q", "from the parent")
	child.write(t, "Basic", "b", "goes nowhere")
	for _, id := range []string{"a100x", "a200x"} {
		child.write(t, "Observation", id, "from the child")
		parent.await(t, "Observation", id)
	}
	child.await(t, "Patient", "q")
	v := child.verify(t, false)
	if expect(t, v); !v.Equal || len(v.Types) != 2 {
		t.Errorf("%+v", v)
	}
	parent.harm(t, "DELETE FROM resource WHERE type = 'Observation' AND id = 'a200x'")
	child.harm(t, "DELETE FROM resource WHERE type = 'Patient' AND id = 'q'")
	v = child.verify(t, true)
	expect(t, v, "Observation/a200x: not at the parent (repaired)", "Patient/q: not here (repaired)")
	if !v.Equal {
		t.Errorf("after the repair: %+v", v)
	}
}

func TestVerifyNeedsParent(t *testing.T) {
	top := start(t, "top", nil, node.Deps{}, nil)
	if _, err := top.Control().Verify(context.Background(), false); syncerr.KindOf(err) != syncerr.Usage || !strings.Contains(err.Error(), "no parent") {
		t.Errorf("at the top: %v", err)
	}
}
