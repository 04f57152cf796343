package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// backedUp stops a node and copies its whole machine, the nonce with it; what it returns puts that back and starts the node again.
func backedUp(t *testing.T, r *running) (restore func(*running) *running) {
	t.Helper()
	r.stop()
	saved, data := t.TempDir(), r.cfg.Node.DataDir
	if err := os.CopyFS(saved, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	nonce := filepath.Join(filepath.Dir(data), "."+filepath.Base(data)+".nonce")
	was, err := os.ReadFile(nonce)
	if err != nil {
		t.Fatal(err)
	}
	return func(r *running) *running {
		t.Helper()
		r.stop()
		if err := errors.Join(os.RemoveAll(data), os.CopyFS(data, os.DirFS(saved)), os.WriteFile(nonce, was, 0o600)); err != nil {
			t.Fatal(err)
		}
		return revived(t, r)
	}
}

// A stick that a node wrote after its whole machine was put back, under versions and a number that it had given before, is not taken, however far its
// log has come by then; the next stick from there tells the node that it is an older copy, and nothing is lost.
func TestStickOfAnotherLife(t *testing.T) {
	for name, lost := range map[string][]string{"versions were given twice": {"lost"}, "only the stick's number was": nil} {
		t.Run(name, func(t *testing.T) {
			a, b := alone(t, "district"), alone(t, "clinic")
			introduce(t, a, b)
			b.write(t, "Patient", "old", "before the copy")
			first := t.TempDir()
			b.out(t, first, a, 0)
			a.in(t, first)
			restore := backedUp(t, b)
			b = revived(t, b)
			for _, id := range lost {
				b.write(t, "Patient", id, "after the copy")
			}
			second := t.TempDir()
			b.out(t, second, a, 0)
			a.in(t, second)
			b = restore(b)
			for _, id := range []string{"new", "more"} { // its log is longer than any that was seen
				b.write(t, "Patient", id, "in its second life")
			}
			third := t.TempDir()
			b.out(t, third, a, 0)
			if _, err := a.tryIn(t, third); syncerr.KindOf(err) != syncerr.Denied || !strings.Contains(err.Error(), "two bundles 2") {
				t.Fatalf("the stick of its second life: %v", err)
			}
			if rows, err := a.Engine().Store().AuditRecords(t.Context(), audit.Query{Operation: audit.Refuse, Limit: 10}); err != nil || len(rows) == 0 {
				t.Errorf("the refusal is not audited: %v", err)
			}
			if _, ok, err := a.Engine().Store().Get(t.Context(), fhir.Key{Type: "Patient", ID: "new"}); err != nil || ok {
				t.Errorf("something of it was taken: %v", err)
			}
			answer := t.TempDir()
			a.out(t, answer, b, 0)
			if _, err := b.tryIn(t, answer); err == nil || !strings.Contains(err.Error(), "older copy") {
				t.Fatalf("the answer to it: %v", err)
			}
			b.in(t, answer)
			if _, err := a.tryIn(t, third); syncerr.KindOf(err) != syncerr.Denied {
				t.Errorf("the stick of its second life, late: %v", err)
			}
			for range 3 {
				dir := t.TempDir()
				b.out(t, dir, a, 0)
				a.in(t, dir)
				a.out(t, dir, b, 0)
				b.in(t, dir)
			}
			sticksAgree(t, a, b)
			for _, id := range append([]string{"old", "new", "more"}, lost...) {
				if _, ok, err := a.Engine().Store().Get(t.Context(), fhir.Key{Type: "Patient", ID: id}); err != nil || !ok {
					t.Errorf("%s is not there: %v", id, err)
				}
			}
		})
	}
}
