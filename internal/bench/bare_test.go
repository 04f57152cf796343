package bench

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/tributary-sync/tributary/store"
)

// bareTable is a table that the bare loop writes: the rows of each transaction, and how its INSERT ends.
type bareTable struct {
	name, tail string
	rows       [][][]any
	stmt       *sql.Stmt
}

// spread deals rows out over transactions, as many to each.
func spread(rows [][]any, transactions int) [][][]any {
	out := make([][][]any, transactions)
	per := (len(rows) + transactions - 1) / transactions
	for i := range out {
		n := min(per, len(rows))
		out[i], rows = rows[:n], rows[n:]
	}
	return out
}

// bareLoop writes what a node wrote into a new database of the same schema, with its indexes, and the same durability: the rows of the log, of which
// group share a transaction, and with each the resource row of that change, the search values, the audit rows and the classes they are found by; and once a
// transaction the counters that it raised, the block of its audit rows and, where the changes were authored here, the ticks and the knowledge of them. It
// returns how long the inserts and commits took, by the clock and by the processor: it looks nothing up, checks nothing and waits for nobody.
func bareLoop(b *testing.B, from string, group int, authored bool) (took, spent time.Duration) {
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
	tables := bareTables(b, src, group, authored)
	dst, err := sql.Open("sqlite", "file:"+to+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-16000)&_pragma=wal_autocheckpoint(4000)&_txlock=immediate")
	if err != nil {
		b.Fatal(err)
	}
	defer dst.Close()
	dst.SetMaxOpenConns(1)
	for i := range tables {
		t := &tables[i]
		if len(t.rows[0]) == 0 {
			continue
		}
		if t.stmt, err = dst.Prepare("INSERT INTO " + t.name + " VALUES (?" + strings.Repeat(", ?", len(t.rows[0][0])-1) + ")" + t.tail); err != nil {
			b.Fatal(err)
		}
		defer t.stmt.Close()
	}
	begin, used := time.Now(), processor(b)
	for i := range tables[0].rows {
		tx, err := dst.Begin()
		if err != nil {
			b.Fatal(err)
		}
		for _, t := range tables {
			if len(t.rows[i]) == 0 {
				continue
			}
			stmt := tx.Stmt(t.stmt)
			for _, r := range t.rows[i] {
				if _, err := stmt.Exec(r...); err != nil {
					b.Fatal(t.name, err)
				}
			}
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(begin), processor(b) - used
}

// bareTables reads what the bare loop is to write.
func bareTables(b *testing.B, src *sql.DB, group int, authored bool) []bareTable {
	b.Helper()
	const resources = "SELECT l.type, l.id, l.replica, l.tick, l.vector, l.author, l.authored, l.origin, l.deleted, l.hash, l.committed, l.seq, l.content_seq, " +
		"r.delivered, r.created, r.num FROM change_log l JOIN resource r ON r.type = l.type AND r.id = l.id ORDER BY l.seq"
	// A change of a resource that is there updates its row; only what changes is written.
	const again = " ON CONFLICT (type, id) DO UPDATE SET tick = excluded.tick, vector = excluded.vector, origin = excluded.origin, hash = excluded.hash, " +
		"authored = excluded.authored, committed = excluded.committed, seq = excluded.seq, content_seq = excluded.content_seq"
	log := all(b, src, "SELECT * FROM change_log ORDER BY seq")
	transactions := (len(log) + group - 1) / group
	read := func(q string) [][][]any { return spread(all(b, src, q), transactions) }
	tables := []bareTable{
		{name: "change_log", rows: spread(log, transactions)},
		{name: "resource", tail: again, rows: read(resources)},
		{name: "resource_index", rows: read("SELECT i.* FROM resource_index i JOIN resource r ON r.num = i.num ORDER BY r.seq")},
		{name: "sync_audit_message", rows: read("SELECT * FROM sync_audit_message ORDER BY sync_audit_message_id")},
		{name: "audit_class", rows: read("SELECT * FROM audit_class"), tail: " ON CONFLICT DO NOTHING"},
		{name: "tick_time", rows: read("SELECT * FROM tick_time"), tail: " ON CONFLICT DO NOTHING"},
	}
	counter := bareTable{name: "counter", tail: " ON CONFLICT (name) DO UPDATE SET value = excluded.value"}
	block := bareTable{name: "audit_block", tail: " ON CONFLICT (block) DO UPDATE SET first_at = MIN(first_at, excluded.first_at), last_at = MAX(last_at, excluded.last_at)"}
	tick := bareTable{name: "tick", tail: " ON CONFLICT (replica, type) DO UPDATE SET value = excluded.value"}
	known := bareTable{name: "knowledge", tail: " ON CONFLICT (type, replica) DO UPDATE SET tick = excluded.tick, revision = excluded.revision, up = excluded.up"}
	for i, rows := range tables[0].rows {
		ordinals, ticks := map[any]any{}, map[any][]any{}
		for _, r := range rows { // seq, type, id, ordinal, action, replica, tick
			ordinals[r[1]], ticks[r[1]] = r[3], r
		}
		last := rows[len(rows)-1]
		counters := [][]any{{"sequence", last[0]}, {"committed", last[13]}, {"audit", last[0]}}
		var given, knows [][]any
		for t, ordinal := range ordinals {
			counters = append(counters, []any{"ordinal/" + t.(string), ordinal})
			if authored {
				r := ticks[t]
				given = append(given, []any{r[5], t, r[6]})
				knows = append(knows, []any{t, r[5], r[6], i, i})
			}
		}
		if authored {
			counters = append(counters, []any{"revision", i}, []any{"up", i})
		}
		counter.rows, tick.rows, known.rows = append(counter.rows, counters), append(tick.rows, given), append(known.rows, knows)
		block.rows = append(block.rows, [][]any{{last[0].(int64) / 256, rows[0][13], last[13]}})
	}
	return append(tables, counter, block, tick, known)
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
