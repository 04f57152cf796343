package store

import (
	"database/sql"
	"strings"

	"github.com/tributary-sync/tributary/search"
)

// indexRow is a row of resource_index but for the number of its resource.
type indexRow struct {
	param int32
	value string
	space int64
}

// reindexed brings the index of a resource to its values: what is not among them is deleted, what is new is added to the rows to be
// written. An edit changes few of the values, and each row that stays saves two writes.
func (t *transaction) reindexed(num uint64, existed bool, values []search.Value, rows [][]any) ([][]any, error) {
	var there map[indexRow]bool // true for what goes
	if existed {
		there = map[indexRow]bool{}
		err := t.each("SELECT param, value, space FROM resource_index WHERE num = ?", []any{num}, func(r *sql.Rows) error {
			var i indexRow
			err := r.Scan(&i.param, &i.value, &i.space)
			there[i] = true
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	for _, v := range values {
		i := indexRow{v.Param, strings.TrimRight(v.Value, " "), v.Space}
		if _, ok := there[i]; ok {
			there[i] = false
			continue
		}
		rows = append(rows, []any{num, i.param, i.value, i.space})
	}
	for i, goes := range there {
		if !goes {
			continue
		}
		if err := t.exec("DELETE FROM resource_index WHERE num = ? AND param = ? AND value = ? AND space = ?", num, i.param, i.value, i.space); err != nil {
			return nil, err
		}
	}
	return rows, nil
}
