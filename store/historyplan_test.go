package store

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/version"
)

// Each history reads along an index: no statement scans the log or sorts it.
func TestHistoryPlans(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		st, err := Create(t.Context(), Options{Driver: driver, DSN: dsn, Clock: time.Now, Volatile: true}, "clinic", 10)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		err = st.Write(t.Context(), func(tx *Tx) error {
			for i := range 2000 {
				k := fhir.Key{Type: []string{"Patient", "Observation"}[i%2], ID: fmt.Sprintf("r%d", i%500)}
				v, err := tx.NextTick(k.Type)
				if err != nil {
					return err
				}
				s := version.Stamp{Version: v, Vector: version.Vector{}.With(v), Author: v.Replica, Origin: v, Hash: version.Hash{1}}
				if _, err := tx.Put(Change{Key: k, Action: feed.Updated, Stamp: s, Content: st.Pack([]byte(`{}`), nil)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range []HistoryQuery{{}, {Type: "Patient"}, {Type: "Patient", ID: "r1"}} {
			h.AsOf, h.Count = 2000, 10
			where, args, _ := h.rows(1000)
			err := st.Read(t.Context(), func(r *Reader) error {
				if driver == "mysql" {
					if err := r.each("ANALYZE TABLE change_log", nil, func(*sql.Rows) error { return nil }); err != nil {
						return err
					}
				}
				plan, err := r.plan(driver, "SELECT r.seq FROM change_log r "+where, args)
				for _, bad := range []string{"SCAN", "TEMP B-TREE", " ALL ", "filesort"} {
					if strings.Contains(plan, bad) {
						t.Errorf("%+v: %s in\n%s", h, bad, plan)
					}
				}
				if strings.Count(plan, "\n") < 3 {
					t.Errorf("%+v: no plan: %s", h, plan)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// plan returns how the database would run a statement, a line for each table.
func (r *Reader) plan(driver, stmt string, args []any) (string, error) {
	prefix := "EXPLAIN QUERY PLAN "
	if driver == "mysql" {
		prefix = "EXPLAIN "
	}
	out := ""
	err := r.each(prefix+stmt, args, func(rows *sql.Rows) error {
		names, err := rows.Columns()
		if err != nil {
			return err
		}
		cells := make([]sql.NullString, len(names))
		into := make([]any, len(names))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for _, c := range cells {
			out += c.String + " "
		}
		out += "\n"
		return nil
	})
	return out, err
}
