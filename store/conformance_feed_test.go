package store_test

import (
	"fmt"
	"testing"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// page is what Changes answered, as text.
func (w *world) page(after uint64, types []string, limit int) string {
	w.t.Helper()
	out := ""
	w.look(func(r *store.Reader) error {
		upTo, more, passed, err := r.Changes(after, types, limit, func(row store.Row) error {
			out += fmt.Sprintf("%d:%s=%s ", row.Seq, row.Key, row.Content)
			if row.Stamp.Deleted != (row.Content == nil) {
				w.t.Errorf("%s deleted %v with content %s", row.Key, row.Stamp.Deleted, row.Content)
			}
			return nil
		})
		out += fmt.Sprintf("up to %d, more %v, passed %d", upTo, more, passed)
		return err
	})
	return out
}

// unit puts one version of each Encounter id in a transaction that travels whole.
func (w *world) unit(name string, ids ...string) {
	w.t.Helper()
	w.do(func(tx *store.Tx) error {
		for _, id := range ids {
			if _, err := author(w.Store, tx, key("Encounter", id), []byte(name), name); err != nil {
				return err
			}
		}
		tx.SealUnit(name)
		return nil
	})
}

func TestConformanceChanges(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		if got := w.page(0, nil, 10); got != "up to 0, more false, passed 0" {
			t.Errorf("of an empty log: %s", got)
		}
		w.put(key("Patient", "a"), "1")           // 1
		w.put(key("Patient", "b"), "1")           // 2
		w.put(key("Patient", "a"), "2")           // 3
		w.unit("u1", "x", "y", "z")               // 4 to 6
		w.put(key("Encounter", "x"), "later")     // 7
		w.put(key("Patient", "b"), "")            // 8
		w.unit("alone", "y")                      // 9: one change is no unit
		w.put(key("Observation", "o"), "content") // 10
		tests := []struct {
			name  string
			after uint64
			types []string
			limit int
			want  string
		}{
			{
				"everything", 0, nil, 100, "3:Patient/a=2 4:Encounter/x=u1 5:Encounter/y=u1 6:Encounter/z=u1 7:Encounter/x=later 8:Patient/b= " +
					"9:Encounter/y=alone 10:Observation/o=content up to 10, more false, passed 2",
			},
			{"only overtaken rows", 0, nil, 2, "up to 2, more true, passed 2"},
			{"a limit inside a unit", 0, nil, 4, "3:Patient/a=2 4:Encounter/x=u1 5:Encounter/y=u1 6:Encounter/z=u1 up to 6, more true, passed 2"},
			{"a limit at its end", 3, nil, 3, "4:Encounter/x=u1 5:Encounter/y=u1 6:Encounter/z=u1 up to 6, more true, passed 0"},
			{"behind it", 6, nil, 1, "7:Encounter/x=later up to 7, more true, passed 0"},
			{"types", 0, []string{"Patient", "Observation"}, 100, "3:Patient/a=2 8:Patient/b= 10:Observation/o=content up to 10, more false, passed 2"},
			{"a type without rows in the page", 0, []string{"Observation"}, 4, "up to 6, more true, passed 0"},
			{"no types", 0, []string{}, 100, "up to 10, more false, passed 0"},
			{"type names as they are written", 0, []string{"patient"}, 100, "up to 10, more false, passed 0"},
			{"at the end", 10, nil, 5, "up to 10, more false, passed 0"},
		}
		for _, tt := range tests {
			if got := w.page(tt.after, tt.types, tt.limit); got != tt.want {
				t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
			}
		}
		rows := w.log()
		for i, want := range []int{0, 0, 0, 3, 3, 3, 0, 0, 0, 0} {
			if rows[i].UnitSize != want || (rows[i].Unit != "") != (want > 0) {
				t.Errorf("row %d: unit %q of %d, want %d", i+1, rows[i].Unit, rows[i].UnitSize, want)
			}
		}
		w.look(func(r *store.Reader) error {
			u, err := r.Unit("u1", 5)
			if err != nil || len(u) != 3 || u[0].Seq != 4 || string(u[2].Content) != "u1" {
				t.Errorf("unit: %+v, %v", u, err)
			}
			return nil
		})
		head, err := w.Head(t.Context())
		same(t, "head", head, feed.Cursor{Epoch: w.Identity().Epoch, Seq: 10})
		if err != nil {
			t.Error(err)
		}
	})
}

// A reader that calls with the position it was given meets every current copy, and units only whole, at any limit.
func TestConformanceChangesAtEveryLimit(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		for i := range 12 {
			w.put(key("Patient", fmt.Sprint(i%5)), fmt.Sprint(i))
			w.unit(fmt.Sprint("u", i), "e1", "e2", fmt.Sprint("e", 3+i))
		}
		current := map[string]uint64{}
		for _, r := range w.log() {
			current[r.Key.String()] = r.Seq
		}
		for _, limit := range []int{1, 2, 3, 4, 5, 7, 11, 48, 1000} {
			met, units := map[string]uint64{}, map[string]int{}
			var after, last uint64
			for more := true; more; {
				w.look(func(r *store.Reader) (err error) {
					page := map[string]int{}
					after, more, _, err = r.Changes(after, nil, limit, func(row store.Row) error {
						if row.Seq <= last {
							t.Errorf("limit %d: event %d after %d", limit, row.Seq, last)
						}
						last, met[row.Key.String()] = row.Seq, row.Seq
						if row.Unit != "" {
							page[row.Unit]++
							units[row.Unit] = row.UnitSize
						}
						return nil
					})
					for u, n := range page {
						if n != 3 || units[u] != 3 {
							t.Errorf("limit %d: %d of unit %s, which says %d", limit, n, u, units[u])
						}
					}
					return err
				})
			}
			same(t, fmt.Sprint("copies at limit ", limit), met, current)
			if len(units) != 12 {
				t.Errorf("limit %d: %d units", limit, len(units))
			}
		}
	})
}

// Atom pages are numbered by the count of events: what stands on a full page stands there for ever (RFC 5005 section 4).
func TestConformanceAtomPages(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn) // 4 events on a page
		page := func(resourceType string, number int) (got string) {
			w.look(func(r *store.Reader) error {
				p, err := r.AtomPage(resourceType, number)
				got = fmt.Sprintf("%d of %d:", p.Number, p.Last)
				for _, row := range p.Rows {
					got += fmt.Sprintf(" %d/%d", row.Seq, row.Ordinal)
				}
				return err
			})
			return got
		}
		if got := page("", 0); got != "0 of 0:" {
			t.Errorf("of an empty log: %s", got)
		}
		for i := range 10 { // odd sequences are patients, even ones encounters
			w.put(key([]string{"Patient", "Encounter"}[i%2], "same"), fmt.Sprint(i))
			if i == 3 {
				if got := page("", 0); got != "1 of 1: 1/1 2/2 3/3 4/4" {
					t.Errorf("a page that is just full: %s", got)
				}
			}
		}
		tests := []struct {
			resourceType string
			number       int
			want         string
		}{
			{"", 1, "1 of 3: 1/1 2/2 3/3 4/4"},
			{"", 2, "2 of 3: 5/5 6/6 7/7 8/8"},
			{"", 0, "3 of 3: 9/9 10/10"},
			{"Patient", 1, "1 of 2: 1/1 3/2 5/3 7/4"},
			{"Patient", 0, "2 of 2: 9/5"},
			{"Encounter", 2, "2 of 2: 10/5"},
			{"Observation", 0, "0 of 0:"},
		}
		for _, tt := range tests {
			if got := page(tt.resourceType, tt.number); got != tt.want {
				t.Errorf("page %d of %q: got %s, want %s", tt.number, tt.resourceType, got, tt.want)
			}
		}
		w.look(func(r *store.Reader) error {
			for _, number := range []int{-1, 4, 1 << 30} {
				_, err := r.AtomPage("", number)
				wantKind(t, fmt.Sprint("page ", number), err, syncerr.NotFound, "")
			}
			_, err := r.AtomPage("Observation", 1)
			wantKind(t, "page of a type without events", err, syncerr.NotFound, "")
			return nil
		})
	})
}

// Event finds the content of a version also where a row without content was logged for it later.
func TestConformanceEvent(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		k := key("Patient", "a")
		s1 := w.put(k, "one")
		w.do(func(tx *store.Tx) error {
			_, err := tx.Put(store.Change{Key: k, Action: feed.Updated, Stamp: s1.Seeing(version.Vector{{Replica: far, Tick: 3}})})
			return err
		})
		s2 := w.put(k, "two")
		w.look(func(r *store.Reader) error {
			for v, want := range map[version.Version]string{{}: "two", s2.Version: "two", s1.Version: "one"} {
				row, ok, err := r.Event(feed.Ref{Key: k, Version: v})
				if err != nil || !ok || string(row.Content) != want {
					t.Errorf("version %q: %s, %v, %v, want %s", v, row.Content, ok, err, want)
				}
			}
			_, ok, err := r.Event(feed.Ref{Key: key("Patient", "nobody")})
			if ok || err != nil {
				t.Errorf("of a key that never was: %v, %v", ok, err)
			}
			return nil
		})
	})
}
