package store_test

import (
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// A node that goes on from a backup counts its ticks anew under a replica that nobody has met (DESIGN.md section 3).
func TestConformanceReincarnate(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		was := w.Identity()
		old := w.put(key("Patient", "a"), "1")
		w.put(key("Patient", "b"), "1")
		err := w.Reincarnate(t.Context(), func(tx *store.Tx) error {
			tx.Audit(audit.Record{Operation: audit.Admin, Outcome: audit.Done, Details: string(tx.Identity().Replica)})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		now := w.Identity()
		if now.Replica == was.Replica || now.Epoch == was.Epoch || !now.Replica.Valid() || now.Name != "clinic" || now.PageSize != 4 {
			t.Errorf("from %+v to %+v", was, now)
		}
		same(t, "identity after a restart", w.again().Identity(), now)
		fresh := w.put(key("Patient", "a"), "2")
		if fresh.Version != (version.Version{Replica: now.Replica, Tick: 1}) || !fresh.Vector.Contains(old.Version) {
			t.Errorf("first version of the new replica %s with vector %s", fresh.Version, fresh.Vector)
		}
		if rows := w.log(); rows[2].Seq != 3 || rows[2].Ordinal != 3 {
			t.Errorf("the log goes on with row %d, ordinal %d", rows[2].Seq, rows[2].Ordinal)
		}
		records, err := w.AuditRecords(t.Context(), audit.Query{})
		if err != nil || len(records) != 1 || records[0].Details != string(now.Replica) {
			t.Errorf("what was noted: %+v, %v", records, err)
		}
		names, err := w.Names(t.Context(), []version.Replica{now.Replica, far, was.Replica, was.Replica})
		if err != nil || len(names) != 2 || names[0].Node != "clinic" || names[1].Node != "clinic" {
			t.Errorf("names: %+v, %v", names, err)
		}
	})
}
