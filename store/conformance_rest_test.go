package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
)

// A list of types chooses the same everywhere, and as fhir.Selected says: REST types that nobody names, too, on both databases, which order
// letters each by its own rules.
func TestConformanceSelection(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		all := []string{"Account", "Patient", "VisionPrescription", "a", "form", "program", "visittype", "zz-9"}
		for _, kind := range all {
			w.put(key(kind, "x"), "1")
		}
		for _, types := range [][]string{
			nil,
			{},
			{"Patient"},
			{"program"},
			{"Patient", "program"},
			{fhir.AnyREST},
			{fhir.AnyREST, "Patient"},
			{fhir.AnyREST, fhir.Without("program")},
			{fhir.AnyREST, fhir.Without("program"), fhir.Without("a"), "Account"},
			{fhir.Without("program"), "form"},
		} {
			t.Run(strings.Join(types, ","), func(t *testing.T) {
				var want []string
				for _, kind := range all {
					if fhir.Selected(types, kind) {
						want = append(want, kind)
					}
				}
				got := map[string][]string{}
				w.look(func(r *store.Reader) error {
					_, _, _, err := r.Changes(0, types, 100, func(row store.Row) error {
						got["changes"] = append(got["changes"], row.Key.Type)
						return nil
					})
					if err != nil {
						return err
					}
					known, err := r.Knowledge(types)
					if err != nil {
						return err
					}
					for _, k := range known {
						got["knowledge"] = append(got["knowledge"], k.Type)
					}
					place, done := store.Place{Head: uint64(len(all))}, false
					for !done && err == nil {
						place, done, err = r.Missing(feed.Knowledge{}, types, place, 3, func(row store.Row, _ store.Place) error {
							got["missing"] = append(got["missing"], row.Key.Type)
							return nil
						})
						if err == nil && !done {
							place, err = store.ParsePlace(place.String()) // as it goes to the asker and back
						}
					}
					return err
				})
				for _, p := range w.digest(feed.DigestQuery{Types: types}) {
					got["digest"] = append(got["digest"], p.Type)
				}
				for _, from := range []string{"changes", "knowledge", "missing", "digest"} {
					if slices.Sort(got[from]); !slices.Equal(got[from], want) {
						t.Errorf("%s: got %v, want %v", from, got[from], want)
					}
				}
				scope := "*"
				if types != nil {
					scope = strings.Join(types, ",")
				}
				for _, kind := range all {
					if (store.Participant{Scope: scope}).Reads(kind) != slices.Contains(want, kind) {
						t.Errorf("a participant that reads %q: %s", scope, kind)
					}
				}
			})
		}
	})
}

func TestConformanceList(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		var want []string
		for i := range 9 {
			id := fmt.Sprintf("d%d", 8-i)
			w.put(key("program", id), "before")
			w.put(key("program", id), id)
			if i != 4 {
				want = append([]string{id}, want...)
			}
		}
		w.put(key("program", "d4"), "")
		w.put(key("form", "d1"), "another type")
		for size := 1; size <= len(want)+1; size++ {
			var got []string
			for more := true; more; {
				page, next, total, err := w.List(context.Background(), "program", len(got), size, true)
				if err != nil || total != int64(len(want)) || len(page) > size || len(page) == 0 {
					t.Fatalf("pages of %d behind %v: %d copies, total %d, %v", size, got, len(page), total, err)
				}
				for _, c := range page {
					if string(c.Body) != c.Key.ID {
						t.Errorf("%s has %s", c.Key, c.Body)
					}
					got = append(got, c.Key.ID)
				}
				more = next
			}
			if !slices.Equal(got, want) {
				t.Errorf("pages of %d: got %v, want %v", size, got, want)
			}
		}
		if page, more, total, err := w.List(context.Background(), "program", 100, 10, false); len(page) > 0 || more || total != 0 || err != nil {
			t.Errorf("behind the end: %v %v %d %v", page, more, total, err)
		}
	})
}
