package bench

import (
	"context"
	"database/sql"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
)

// BenchmarkVerify: a node and its parent with SIZE equal resources compare themselves, both on this machine with durable SQLite. The
// figures are those of the issue: at a million less than 64 kB over the link in less than 10 s. Then one resource is edited at the
// child, and what it takes to find and push it is reported too.
func BenchmarkVerify(b *testing.B) {
	const real = 10_000
	ctx := context.Background()
	count := size(b) / real * real
	parent := start(b, "parent", nil, nil)
	fill(b, parent.Node, real)
	child, l := prepare(b, "child", parent, nil)
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	defer child.Close()
	if runs, err := child.Sync(ctx, "pull"); err != nil || len(runs) != 1 || runs[0].Applied != real {
		b.Fatalf("%+v %v", runs, err)
	}
	for _, r := range []*running{parent, child} {
		multiply(b, r.cfg.Store.DSN, count/real+1) // the newest are not multiplied
	}
	for n := 0; b.Loop(); n++ {
		v, err := child.Control().Verify(ctx, false)
		compared := int64(0)
		for _, t := range v.Types {
			compared += t.Here
		}
		if err != nil || !v.Equal || compared < int64(count) {
			b.Fatalf("%d of %d compared, %d differ, %v", compared, count, v.Remaining, err)
		}
		b.ReportMetric(float64(v.Duration)/1000, "seconds(<10-at-a-million)")
		b.ReportMetric(float64(v.BytesIn+v.BytesOut), "wire-bytes(<65536)")

		b.StopTimer()
		edit(b, child.Node, "edited", n)
		v, err = child.Control().Verify(ctx, true)
		if err != nil || !v.Equal || v.Repaired != 1 || v.Differences[0].Key != (fhir.Key{Type: "Basic", ID: "edited"}) {
			b.Fatalf("%+v, %v", v, err)
		}
		b.ReportMetric(float64(v.BytesIn+v.BytesOut), "one-differs-wire-bytes")
		b.StartTimer()
	}
}

// multiply gives a database its current copies so many times, under other ids, but for the newest of each type: where a catch-up begins, nodes have
// one copy and not a hundred. Logs and contents stay as they are: a comparison does not read them, and to write a million of them twice takes a
// quarter of an hour.
func multiply(b *testing.B, dsn string, times int) {
	b.Helper()
	db, err := sql.Open("sqlite", dsn+"?_pragma=busy_timeout(10000)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	var columns string
	if err := db.QueryRow("SELECT group_concat(name) FROM pragma_table_info('resource') WHERE name NOT IN ('id', 'num')").Scan(&columns); err != nil {
		b.Fatal(err)
	}
	_, err = db.Exec("WITH RECURSIVE times (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM times WHERE n < ?) INSERT INTO resource (id, num, "+columns+
		") SELECT id || '-' || n, num + 1000000000000 + n * (SELECT MAX(num) FROM resource), "+columns+" FROM resource r, times WHERE n < ? AND "+
		"tick < (SELECT MAX(tick) FROM resource m WHERE m.type = r.type AND m.replica = r.replica)", times, times)
	if err == nil {
		_, err = db.Exec("PRAGMA wal_checkpoint(TRUNCATE)") // no node writes a hundred thousand pages in one transaction, and reads through such a log
	}
	if err != nil {
		b.Fatal(err)
	}
}
