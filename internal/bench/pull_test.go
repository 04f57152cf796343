package bench

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/store"
)

// BenchmarkPull: an empty child pulls 100,000 generated resources, both nodes on this machine with durable SQLite. The figure is
// held against a bare loop that inserts the very rows that the pull wrote, in transactions of 500 resources.
func BenchmarkPull(b *testing.B) {
	const count = 100_000
	parent := start(b, "parent", nil, nil)
	fill(b, parent.Node, count)
	for b.Loop() {
		b.StopTimer()
		child, l := prepare(b, "child", parent, func(c *config.Config) { c.Push.Enabled = false })
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		begin := time.Now()
		runs, err := child.Sync(context.Background(), "pull")
		if err != nil || len(runs) != 1 || runs[0].Applied != count {
			b.Fatalf("%+v %v", runs, err)
		}
		pulled := time.Since(begin)
		b.StopTimer()
		if err := child.Close(); err != nil {
			b.Fatal(err)
		}
		bare := bareLoop(b, child.cfg.Store.DSN, 500)
		b.ReportMetric(count/pulled.Seconds(), "resources/s")
		b.ReportMetric(count/bare.Seconds(), "bare-loop/s")
		b.ReportMetric(bare.Seconds()/pulled.Seconds(), "of-bare-loop(>=0.5)")
		b.ReportMetric(float64(runs[0].BytesIn)/count, "wire-bytes/resource")
		b.StartTimer()
	}
}

// bareLoop writes the rows of the log of a database that a node filled, and with each the resource row of that change, the search values and the audit
// rows, those of group rows of the log in a transaction, into a new database of the same schema and durability. It returns how long the inserts and commits
// took. What a node has to write besides (counters, ticks, knowledge) is left out.
func bareLoop(b *testing.B, from string, group int) time.Duration {
	b.Helper()
	ctx := context.Background()
	to := filepath.Join(b.TempDir(), "bare.db")
	st, err := store.Create(ctx, store.Options{Driver: "sqlite", DSN: to, Clock: time.Now}, "bare", 100)
	if err != nil {
		b.Fatal(err)
	}
	if err := st.Close(); err != nil {
		b.Fatal(err)
	}
	src, err := sql.Open("sqlite", from)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	dst, err := sql.Open("sqlite", "file:"+to+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-16000)&_pragma=wal_autocheckpoint(4000)&_txlock=immediate")
	if err != nil {
		b.Fatal(err)
	}
	defer dst.Close()
	dst.SetMaxOpenConns(1)
	const resources = "SELECT l.type, l.id, l.replica, l.tick, l.vector, l.author, l.authored, l.origin, l.deleted, l.hash, l.committed, l.seq, l.content_seq, " +
		"r.delivered, r.created, r.num FROM change_log l JOIN resource r ON r.type = l.type AND r.id = l.id ORDER BY l.seq"
	// A change of a resource that is there updates its row; only what changes is written.
	const again = " ON CONFLICT (type, id) DO UPDATE SET tick = excluded.tick, vector = excluded.vector, origin = excluded.origin, hash = excluded.hash, " +
		"authored = excluded.authored, committed = excluded.committed, seq = excluded.seq, content_seq = excluded.content_seq"
	tables := []struct {
		name, from, tail string
		rows             [][]any
		per              int // rows in a transaction
		stmt             *sql.Stmt
	}{
		{name: "change_log", from: "SELECT * FROM change_log ORDER BY seq"},
		{name: "resource", from: resources, tail: again},
		{name: "resource_index", from: "SELECT i.* FROM resource_index i JOIN resource r ON r.num = i.num ORDER BY r.seq"},
		{name: "sync_audit_message", from: "SELECT * FROM sync_audit_message ORDER BY sync_audit_message_id"},
	}
	transactions := 0
	for i := range tables {
		t := &tables[i]
		t.rows = all(b, src, t.from)
		if i == 0 {
			transactions = (len(t.rows) + group - 1) / group
		}
		if t.per = (len(t.rows) + transactions - 1) / transactions; t.per == 0 {
			continue
		}
		if t.stmt, err = dst.Prepare("INSERT INTO " + t.name + " VALUES (?" + strings.Repeat(", ?", len(t.rows[0])-1) + ")" + t.tail); err != nil {
			b.Fatal(err)
		}
		defer t.stmt.Close()
	}
	begin := time.Now()
	for range transactions {
		tx, err := dst.Begin()
		if err != nil {
			b.Fatal(err)
		}
		for i := range tables {
			t := &tables[i]
			n := min(t.per, len(t.rows))
			if n == 0 {
				continue
			}
			stmt := tx.Stmt(t.stmt)
			for _, r := range t.rows[:n] {
				if _, err := stmt.Exec(r...); err != nil {
					b.Fatal(err)
				}
			}
			t.rows = t.rows[n:]
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(begin)
}

func all(b *testing.B, db *sql.DB, q string) [][]any {
	b.Helper()
	rows, err := db.Query(q)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		b.Fatal(err)
	}
	var out [][]any
	for rows.Next() {
		r, at := make([]any, len(cols)), make([]any, len(cols))
		for i := range r {
			at[i] = &r[i]
		}
		if err := rows.Scan(at...); err != nil {
			b.Fatal(err)
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return out
}
