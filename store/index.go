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

// indexed reads what stands in the index for the touched keys that were there before: true for each row, until it is known to stay.
func (t *transaction) indexed(p *pending) (map[uint64]map[indexRow]bool, error) {
	var nums []any
	there := map[uint64]map[indexRow]bool{}
	for _, k := range p.order {
		if w := p.touched[k]; w.existed && w.reindex {
			num := t.current[k].Num
			nums, there[num] = append(nums, num), map[indexRow]bool{}
		}
	}
	for len(nums) > 0 {
		n := chunk(len(nums))
		err := t.each("SELECT num, param, value, space FROM resource_index WHERE num IN (?"+strings.Repeat(", ?", n-1)+")", nums[:n], func(r *sql.Rows) error {
			var num uint64
			var i indexRow
			err := r.Scan(&num, &i.param, &i.value, &i.space)
			there[num][i] = true
			return err
		})
		if err != nil {
			return nil, err
		}
		nums = nums[n:]
	}
	return there, nil
}

// chunk returns how many of so many rows the next statement reads: few sizes, so that few statements have to be prepared.
func chunk(rows int) int {
	for _, size := range []int{32, 16, 8, 4, 2} {
		if rows >= size {
			return size
		}
	}
	return 1
}

// reindexed brings the index of a resource from what is there to its values: what is not among them is deleted, what is new is added to the rows to be
// written. An edit changes few of the values, and each row that stays saves two writes.
func (t *transaction) reindexed(num uint64, there map[indexRow]bool, values []search.Value, rows [][]any) ([][]any, error) {
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
