package bench

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
)

// BenchmarkAuditPage takes a page of 50 rows out of the audit of a district with fifty children: every combination of the filters that the page
// offers, from the newest row and from the middle, for what is common and for what is rare. It reports the mean and the slowest.
func BenchmarkAuditPage(b *testing.B) {
	for driver, open := range map[string]func(testing.TB) string{"sqlite": testdb.SQLite, "mysql": testdb.MySQL} {
		b.Run(driver, func(b *testing.B) { auditPages(b, driver, open(b)) })
	}
}

func auditPages(b *testing.B, driver, dsn string) {
	auditRows := size(b)
	start := time.Date(2024, 5, 1, 8, 0, 0, 0, time.UTC)
	now := start
	st, err := store.Create(b.Context(), store.Options{Driver: driver, DSN: dsn, Clock: func() time.Time { return now }, Volatile: true}, "district", 100)
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	r := rand.New(rand.NewPCG(3, 5))
	types := []string{"Patient", "Encounter", "Observation", "Condition", "Immunization", "MedicationRequest", "AllergyIntolerance", "Location", "Practitioner", "Organization"}
	began := time.Now()
	for done := 0; done < auditRows; {
		run, peer, op := fmt.Sprintf("run-%d", done/5000), fmt.Sprintf("clinic-%d", r.IntN(50)), []audit.Operation{audit.Receive, audit.Receive, audit.Pull, audit.Local}[r.IntN(4)]
		err := st.Write(b.Context(), func(tx *store.Tx) error {
			for range 500 {
				done++
				outcome := audit.Applied
				switch n := r.IntN(1000); {
				case n == 0 && done < auditRows/2: // long ago
					outcome = audit.Refused
				case n < 5:
					outcome = audit.Decided
				case n < 20:
					outcome = audit.Already
				}
				tx.Audit(audit.Record{
					Operation: op, Outcome: outcome, Action: "CREATED", Key: fhir.Key{Type: types[r.IntN(len(types))], ID: fmt.Sprint(r.IntN(200_000))},
					Peer: peer, Run: run, URL: "http://district.example/fhir/R4/Patient/1", ParentURL: "http://nation.example", LinkType: "node", Bytes: 900, Duration: 3,
				})
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		now = now.Add(13 * time.Second)
	}
	b.Logf("%s: %d rows in %v", driver, auditRows, time.Since(began))
	var queries []audit.Query
	for mask := range 1 << 8 {
		on := func(bit int) bool { return mask>>bit&1 == 1 }
		q := audit.Query{Limit: 51}
		if on(0) {
			q.Operation = audit.Pull
		}
		if on(1) {
			q.Outcome = audit.Refused
		}
		if on(2) {
			q.Type = "Condition"
		}
		if on(3) {
			q.Peer = "clinic-7"
		}
		if on(4) {
			q.From, q.To = start.Add(3*time.Hour).UnixMilli(), start.Add(4*time.Hour).UnixMilli()
		}
		if on(5) {
			q.Before = int64(auditRows / 2)
		}
		if on(6) {
			q.Run = "run-90"
		}
		if on(7) {
			q.ID, q.Type = "4711", "Patient"
		}
		queries = append(queries, q)
	}
	queries = append(queries, audit.Query{Failures: true, Limit: 51}, audit.Query{Outcome: audit.Applied, Limit: 51}, audit.Query{Outcome: audit.Applied, Before: int64(auditRows / 2), Limit: 51},
		audit.Query{Outcome: audit.Deferred, Limit: 51}, audit.Query{Peer: "nobody", Limit: 51}, audit.Query{To: start.Add(time.Hour).UnixMilli(), Limit: 51}, audit.Query{ID: "4711", Limit: 51})
	var worst time.Duration
	for b.Loop() {
		worst = 0
		for _, q := range queries {
			began := time.Now()
			rows, err := st.AuditRecords(b.Context(), q)
			if err != nil {
				b.Fatal(err)
			}
			took := time.Since(began)
			worst = max(worst, took)
			if took > 100*time.Millisecond {
				b.Logf("%v for %d rows of %+v", took, len(rows), q)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(queries))/1000, "ms/page")
	b.ReportMetric(float64(worst.Microseconds())/1000, "ms/slowest")
}
