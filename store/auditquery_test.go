package store

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
)

// auditWorld is a store with audit rows of every kind, written under a clock that goes back now and then.
func auditWorld(t *testing.T, driver, dsn string, rows int) (*Store, time.Time) {
	t.Helper()
	start := time.Date(2024, 5, 1, 8, 0, 0, 0, time.UTC)
	now := start
	st, err := Create(t.Context(), Options{Driver: driver, DSN: dsn, Clock: func() time.Time { return now }, Volatile: true}, "clinic", 10)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	r := rand.New(rand.NewPCG(7, 7))
	often := false // most rows are of few classes
	pick := func(from ...string) string {
		if often {
			return from[0]
		}
		return from[r.IntN(len(from))]
	}
	for written := 0; written < rows; {
		n := 1 + r.IntN(120)
		err := st.Write(t.Context(), func(tx *Tx) error {
			for range n {
				often = r.IntN(3) > 0
				tx.Audit(audit.Record{
					Operation: audit.Operation(pick("PULL", "PUSH", "RECEIVE", "LOCAL", "REFUSE")), Outcome: audit.Outcome(pick("applied", "applied", "applied", "held", "refused", "parked")),
					Key:  fhir.Key{Type: pick("Patient", "Observation", "Encounter", "program", "Foo/.."), ID: fmt.Sprint(r.IntN(40))},
					Peer: pick("", "district", "north", "south", "10.1.2.3"), Run: pick("", "", "run-1", fmt.Sprintf("run-%d", written/500)),
				})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		written += n
		if now = now.Add(time.Duration(r.IntN(60_000)) * time.Millisecond); r.IntN(20) == 0 {
			now = now.Add(-40 * time.Minute)
		}
	}
	return st, start
}

// Every combination of filters gives what a look at each row gives, page by page.
func TestAuditFilters(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		st, start := auditWorld(t, driver, dsn, 6000)
		all, err := st.AuditRecords(t.Context(), audit.Query{Limit: maxAudit})
		if err != nil || len(all) < 6000 {
			t.Fatal(len(all), err)
		}
		r := rand.New(rand.NewPCG(1, 2))
		some := func(values ...string) string {
			if r.IntN(2) == 0 {
				return ""
			}
			return values[r.IntN(len(values))]
		}
		found := 0
		few := []audit.Query{ // classes of which one has more rows than are read of it at once, between those of the others
			{Operation: audit.Pull, Outcome: audit.Applied, Type: "Patient", Limit: 70},
			{Operation: audit.Pull, Outcome: audit.Applied, Type: "Patient", Limit: 5000},
			{Operation: audit.Pull, Type: "Patient", Peer: "district", Limit: 200},
			{Operation: audit.Pull, Outcome: audit.Applied, Before: 4000, Limit: 200},
		}
		for i := range 120 {
			q := audit.Query{
				Operation: audit.Operation(some("PULL", "REFUSE", "RECEIVE", "ADMIN")), Outcome: audit.Outcome(some("applied", "held", "parked")), Failures: r.IntN(4) == 0,
				Type: some("Patient", "program", "Device", "Foo/.."), Run: some("run-1", "run-3", "none"), Peer: some("district", "10.1.2.3", "south"), Limit: 1 + r.IntN(200),
			}
			if r.IntN(3) == 0 {
				q.ID = some("1", "39", "none")
			}
			if r.IntN(2) == 0 {
				q.From = start.UnixMilli() + r.Int64N(40*3_600_000)
			}
			if r.IntN(2) == 0 {
				q.To = start.UnixMilli() + r.Int64N(40*3_600_000)
			}
			if r.IntN(3) == 0 {
				q.Before = 1 + r.Int64N(6000)
			}
			if i < len(few) {
				q = few[i]
			}
			var want []int64
			for _, x := range all {
				if (q.Operation == "" || x.Operation == q.Operation) && (q.Outcome == "" || x.Outcome == q.Outcome) && (!q.Failures || !x.Outcome.Success()) &&
					(q.Type == "" || x.Key.Type == q.Type) && (q.ID == "" || x.Key.ID == q.ID) && (q.Run == "" || x.Run == q.Run) && (q.Peer == "" || x.Peer == q.Peer) &&
					(q.From == 0 || x.Time >= q.From) && (q.To == 0 || x.Time < q.To) && (q.Before == 0 || x.ID < q.Before) {
					want = append(want, x.ID)
				}
			}
			var got []int64
			for page := q; ; {
				records, err := st.AuditRecords(t.Context(), page)
				if err != nil {
					t.Fatal(err)
				}
				for _, x := range records {
					got = append(got, x.ID)
				}
				if len(records) < q.Limit {
					break
				}
				page.Before = records[len(records)-1].ID
			}
			found += len(got)
			if !slices.Equal(got, want) {
				t.Fatalf("%+v: got %d rows %v, want %d %v", q, len(got), got, len(want), want)
			}
		}
		if found < 5_000 {
			t.Errorf("the filters found %d rows in all, which proves little", found)
		}
	})
}

// Each statement of a look seeks: none scans the audit table, whatever is asked for.
func TestAuditPlans(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		st, start := auditWorld(t, driver, dsn, 3000)
		err := st.Read(t.Context(), func(r *Reader) error {
			if driver == "mysql" {
				if err := r.each("ANALYZE TABLE sync_audit_message, audit_class, audit_block", nil, func(*sql.Rows) error { return nil }); err != nil {
					return err
				}
			}
			check := func(q audit.Query, name, stmt string, args []any) error {
				plan, err := r.plan(driver, stmt, args)
				for line := range strings.Lines(plan) {
					audit := strings.Contains(line, " m ") || strings.Contains(line, "sync_audit_message")
					if strings.Contains(line, "SCAN m") || strings.Contains(line, "SCAN sync_audit_message") || audit && (strings.Contains(line, " ALL ") || strings.Contains(line, " m index ") || strings.Contains(line, "message index ")) {
						t.Fatalf("%+v, %s: %s\n%s", q, name, stmt, plan)
					}
				}
				index := map[string]string{"newest": "_class", "ids": "_class", "resource": "_resource"}[name]
				if q.Run != "" && index == "_class" {
					index = "_run"
				}
				if driver == "mysql" && name == "newest" && q.Run == "" && !strings.Contains(plan, "Using index for group-by") {
					t.Fatalf("%+v: it reads every row of each class\n%s", q, plan)
				}
				if !strings.Contains(plan, "sync_audit_message"+index) && index != "" || plan == "" {
					t.Fatalf("%+v, %s: not by the index %s\n%s", q, name, index, plan)
				}
				return err
			}
			sp := span{100, 2900}
			for mask := range 1 << 7 {
				on := func(bit int, s string) string {
					if mask>>bit&1 == 0 {
						return ""
					}
					return s
				}
				l := auditLook{query: &r.query, q: audit.Query{
					Operation: audit.Operation(on(0, "PULL")), Outcome: audit.Outcome(on(1, "held")), Type: on(2, "Patient"), Peer: on(3, "north"), Run: on(4, "run-1"),
					ID: on(5, "7"), Failures: on(6, "x") != "",
				}}
				l.q.From, l.q.To = start.UnixMilli(), start.UnixMilli()+3_600_000
				for name, query := range map[string]func() (string, []any){
					"newest":   func() (string, []any) { return l.newestQuery(sp) },
					"ids":      func() (string, []any) { return l.idsQuery([]headed{{1, 2}, {3, 4}, {5, 6}}, sp, 50) },
					"named":    func() (string, []any) { return l.namedQuery([]int64{5, 6, 7}, 50) },
					"range":    func() (string, []any) { return l.rangeQuery(sp, 50) },
					"resource": func() (string, []any) { return l.resourceQuery([]any{"Patient", "program"}, sp, 50) },
				} {
					stmt, args := query()
					if name == "newest" && driver == "mysql" {
						stmt, args = l.groupsQuery(sp)
					}
					if err := check(l.q, name, stmt, args); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
