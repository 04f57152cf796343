package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/search"
)

// Everything asks for a page of what is there about a patient.
type Everything struct {
	Patient string   // the id
	Types   []string // none for all
	Since   int64    // only what this node committed from then on, in milliseconds since 1970 UTC
	Count   int      // resources a page
	After   uint64   // what the page before returned as next; 0 for the first page
}

// Everything returns a page of the live resources of a patient's compartment, the patient itself among them, in the order in which they
// came to be here, so that writes between two pages move nothing; and where the next page begins, 0 on the last.
func (s *Store) Everything(ctx context.Context, e Everything) (out []Copy, next uint64, err error) {
	limited, cancel := context.WithTimeout(ctx, s.limits.time)
	defer cancel()
	err = s.Read(limited, func(r *Reader) error {
		nums, keys, err := r.compartment(e)
		if err != nil {
			return err
		}
		more := len(keys) > e.Count
		keys = keys[:min(len(keys), e.Count)]
		if out, err = r.copies(keys, maxPageBytes); err != nil {
			return err
		}
		if n := len(out); n > 0 && (n < len(keys) || more) {
			next = nums[n-1]
		}
		return nil
	})
	return out, next, s.limits.inTime(ctx, limited, err, "Ask for some types with _type")
}

// compartment returns the numbers and keys of one resource more than a page has.
func (r *Reader) compartment(e Everything) (nums []uint64, keys []fhir.Key, err error) {
	b := &sqlText{mysql: r.mysql}
	r.compartmentText(b, e)
	err = r.each(b.String(), b.args, func(rows *sql.Rows) error {
		var n uint64
		var k fhir.Key
		err := rows.Scan(&n, &k.Type, &k.ID)
		nums, keys = append(nums, n), append(keys, k)
		return err
	})
	return nums, keys, err
}

func (r *Reader) compartmentText(b *sqlText, e Everything) {
	b.add("SELECT r.num, r.type, r.id FROM (")
	b.add("SELECT num FROM resource p"+b.by("resource", primary)+" WHERE p.type = 'Patient' AND p.id = ?", e.Patient)
	if params := search.Compartment(e.Types); len(params) > 0 {
		b.add(" UNION SELECT f.num FROM resource_index f" + b.by("resource_index", byValue) + " WHERE ")
		b.params("f", params)
		b.add(" AND f.value = ? AND f.space = ?", e.Patient, search.TypeSpace("Patient"))
	}
	b.add(") d"+b.then()+"resource r"+b.by("resource", "resource_num")+" ON r.num = d.num WHERE r.deleted = 0 AND r.num > ? AND r.committed >= ?", e.After, e.Since)
	if len(e.Types) > 0 {
		b.add(" AND r.type IN (?" + strings.Repeat(", ?", len(e.Types)-1) + ")")
		for _, t := range slices.Clone(e.Types) {
			b.args = append(b.args, t)
		}
	}
	b.add(" ORDER BY r.num LIMIT ?", e.Count+1)
}
